#include "base/workers.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/thread.h"

struct workers {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t more;
    struct mail *first, *last; /* the queue, oldest first */
    bool stopping;
    int n;
    pthread_t threads[];
};

/* The oldest job, waiting for one; NULL when the pool ends and the queue is empty. */
static struct mail *next_job(struct workers *w)
{
    pthread_mutex_lock(&w->lock);
    while (!w->first && !w->stopping)
        pthread_cond_wait(&w->more, &w->lock);
    struct mail *job = w->first;
    if (job) {
        w->first = job->next;
        if (!w->first)
            w->last = NULL;
        job->next = NULL;
    }
    pthread_mutex_unlock(&w->lock);
    return job;
}

static void *work(void *arg)
{
    struct workers *w = arg;
    for (struct mail *job; (job = next_job(w));)
        job->run(job);
    return NULL;
}

int workers_start(struct workers **out, const char *name, int threads)
{
    struct workers *w = xzalloc(sizeof(*w) + (size_t)threads * sizeof(w->threads[0]));
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->more, NULL);
    for (; w->n < threads; w->n++) {
        int rc = thread_start(&w->threads[w->n], name, ROLE_WORK, work, w);
        if (rc) {
            workers_stop(w);
            return rc;
        }
    }
    *out = w;
    return 0;
}

void workers_stop(struct workers *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_broadcast(&w->more);
    pthread_mutex_unlock(&w->lock);
    for (int i = 0; i < w->n; i++)
        pthread_join(w->threads[i], NULL);
    pthread_cond_destroy(&w->more);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

void workers_run(struct workers *w, struct mail *job)
{
    job->next = NULL;
    pthread_mutex_lock(&w->lock);
    if (w->last)
        w->last->next = job;
    else
        w->first = job;
    w->last = job;
    pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->lock);
}
