/*
 * tally - a counter one thread adds to and another waits on
 *
 * What the adding thread did before is visible to who waited.  Any thread.
 */
#ifndef TALLY_H
#define TALLY_H

#include <pthread.h>

struct tally {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int n;
};

#define TALLY_INIT ((struct tally){PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0})

void tally_add(struct tally *t, int n);
int tally_get(struct tally *t);
/* Until at least @n were counted; fails the test after 30 s.  Returns the count. */
int tally_wait(struct tally *t, int n);

#endif
