/*
 * thread - named threads with a role
 *
 * A role says which data a thread may touch; thread_assert() is the first line of a function
 * that belongs to one.  Debug builds check, release builds do not.
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum thread_role {
    ROLE_ANY, /* a thread nobody gave a role: tests, tools */
    ROLE_MAIN,
    ROLE_IO,  /* a reactor that serves clients */
    ROLE_SVC, /* the service reactor */
    ROLE_WORK,
    ROLE_FLUSH,
    ROLE_PREP,
    ROLE_INDEX,
    ROLE_LOG,
};

/* Start a joinable thread named "@name" (15 characters shown by the system).  0 or TL_ENOMEM. */
int thread_start(pthread_t *out, const char *name, enum thread_role role, void *(*fn)(void *), void *arg);
/* A condition whose timed waits take thread_deadline(): the end of @ms from now, on the clock that never steps. */
void thread_cond_init(pthread_cond_t *c);
struct timespec thread_deadline(int64_t ms);
void thread_set_role(enum thread_role role);
enum thread_role thread_role(void);

#define thread_assert(role) assert(thread_role() == (role) || thread_role() == ROLE_ANY)

#endif
