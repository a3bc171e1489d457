/*
 * workers - a pool of threads for work that blocks
 *
 * A job runs on some worker thread (ROLE_WORK); to answer, it posts a mail to whoever waits.
 */
#ifndef BASE_WORKERS_H
#define BASE_WORKERS_H

#include "base/mailbox.h"

struct workers;

/* 0 or TL_ENOMEM.  Owned by the caller until workers_stop(). */
int workers_start(struct workers **out, const char *name, int threads);
/* Run what is queued, then end the threads and free the pool. */
void workers_stop(struct workers *w);
/* Any thread.  Takes @job; job->run() is called on a worker. */
void workers_run(struct workers *w, struct mail *job);

#endif
