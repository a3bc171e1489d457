#include "tally.h"

#include <time.h>

#include "t.h"

enum { WAIT_S = 30 };

void tally_add(struct tally *t, int n)
{
    pthread_mutex_lock(&t->lock);
    t->n += n;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

int tally_get(struct tally *t)
{
    pthread_mutex_lock(&t->lock);
    int n = t->n;
    pthread_mutex_unlock(&t->lock);
    return n;
}

int tally_wait(struct tally *t, int n)
{
    struct timespec end;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += WAIT_S;
    pthread_mutex_lock(&t->lock);
    while (t->n < n) {
        if (pthread_cond_timedwait(&t->changed, &t->lock, &end))
            break;
    }
    int got = t->n;
    pthread_mutex_unlock(&t->lock);
    if (got < n)
        CHECK_INT(got, n);
    return got;
}
