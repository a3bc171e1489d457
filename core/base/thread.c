#include "base/thread.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

static _Thread_local enum thread_role my_role = ROLE_ANY;

struct start {
    char name[16];
    enum thread_role role;
    void *(*fn)(void *);
    void *arg;
};

static void *enter(void *arg)
{
    struct start s = *(struct start *)arg;
    free(arg);
    pthread_setname_np(pthread_self(), s.name);
    my_role = s.role;
    return s.fn(s.arg);
}

/* Signals sent to the process are for the main thread; faults stay with whoever makes them. */
static void asynchronous_signals(sigset_t *set)
{
    sigfillset(set);
    sigdelset(set, SIGSEGV);
    sigdelset(set, SIGBUS);
    sigdelset(set, SIGFPE);
    sigdelset(set, SIGILL);
    sigdelset(set, SIGABRT);
    sigdelset(set, SIGTRAP);
    sigdelset(set, SIGPROF);
}

int thread_start(pthread_t *out, const char *name, enum thread_role role, void *(*fn)(void *),
                 void *arg)
{
    struct start *s = xzalloc(sizeof(*s));
    snprintf(s->name, sizeof(s->name), "%.15s", name);
    s->role = role;
    s->fn = fn;
    s->arg = arg;

    sigset_t block;
    sigset_t before;
    asynchronous_signals(&block);
    pthread_sigmask(SIG_BLOCK, &block, &before);
    int err = pthread_create(out, NULL, enter, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err) {
        free(s);
        return tl_fail_errno(TL_ENOMEM, err, "starting thread %s", name);
    }
    return 0;
}

void thread_cond_init(pthread_cond_t *c)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(c, &attr);
    pthread_condattr_destroy(&attr);
}

struct timespec thread_deadline(int64_t ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t ns = t.tv_nsec + ms % 1000 * 1000000;
    t.tv_sec += ms / 1000 + ns / 1000000000;
    t.tv_nsec = ns % 1000000000;
    return t;
}

void thread_set_role(enum thread_role role)
{
    my_role = role;
}

enum thread_role thread_role(void)
{
    return my_role;
}
