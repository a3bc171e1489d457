#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/thread.h"
#include "base/workers.h"
#include "t.h"

struct job {
    struct mail mail;
    _Atomic int *done;
};

static void run_job(struct mail *m)
{
    struct job *j = (struct job *)m;
    CHECK_INT(thread_role(), ROLE_WORK);
    (*j->done)++;
    free(j);
}

static void add_job(struct workers *w, _Atomic int *done)
{
    struct job *j = xmalloc(sizeof(*j));
    *j = (struct job){{NULL, run_job}, done};
    workers_run(w, &j->mail);
}

TEST(stopping_runs_what_is_queued)
{
    _Atomic int done = 0;
    struct workers *w = NULL;
    CHECK_OK(workers_start(&w, "work", 3));
    for (int i = 0; i < 5000; i++)
        add_job(w, &done);
    workers_stop(w);
    CHECK_INT(done, 5000);
}

TEST(a_pool_without_jobs_stops)
{
    struct workers *w = NULL;
    CHECK_OK(workers_start(&w, "work", 2));
    workers_stop(w);
    workers_stop(NULL);
}

struct ordered {
    struct mail mail;
    int number, *last;
};

static void run_ordered(struct mail *m)
{
    struct ordered *o = (struct ordered *)m;
    CHECK_INT(o->number, *o->last + 1);
    *o->last = o->number;
}

TEST(one_worker_keeps_the_order)
{
    struct ordered o[100];
    int last = -1;
    struct workers *w = NULL;
    CHECK_OK(workers_start(&w, "work", 1));
    for (int i = 0; i < 100; i++) {
        o[i] = (struct ordered){{NULL, run_ordered}, i, &last};
        workers_run(w, &o[i].mail);
    }
    workers_stop(w);
    CHECK_INT(last, 99);
}
