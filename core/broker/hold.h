/*
 * hold - parked pulls of one reactor, woken by queue or by time (PullRequestHoldService)
 *
 * A pull that found nothing waits here until its queue grows past what it has seen, its time is
 * over, or its connection goes.  Arrivals are told by the holder of the append token through
 * hold_arrived(): a bit per reactor in the queue's waiters word says who has somebody parked, so a
 * queue nobody waits on costs one load.
 *
 * A wake-up is never lost: parking sets the bit and then looks at the queue's end again; the token
 * holder publishes the end and then looks at the bits.
 */
#ifndef BROKER_HOLD_H
#define BROKER_HOLD_H

#include <stdint.h>

#include "base/str.h"
#include "net/timer.h"

struct broker;
struct broker_io;
struct conn;
struct consumequeue;
struct hold;
struct hold_queue;
struct request;

/* What waits; lives in the request's arena. */
struct held_pull {
    struct held_pull *next, *prev;           /* of the queue's list */
    struct held_pull *conn_next, *conn_prev; /* of the connection's list */
    struct hold_queue *queue;
    struct request *rq;
    struct timer timer;
    int64_t offset; /* the queue's end it has seen: wakes when there is more */
};

/* Why a held pull runs again. */
enum hold_reason { HOLD_ARRIVED, HOLD_TIMED_OUT };

/* Own reactor for all but hold_arrived(). */
struct hold *hold_new(struct broker_io *io,
                      void (*resume)(struct held_pull *p, enum hold_reason reason));
/* Nothing may be held any more. */
void hold_free(struct hold *h);

/*
 * Park @p (rq set; request_keep() done) on @q until its end passes @seen or @timeout_ms are over; then
 * resume(p, reason) is called, never within this call.
 */
void hold_park(struct hold *h, struct held_pull *p, struct consumequeue *q, int64_t seen,
               int64_t timeout_ms);
/* The connection is gone: answer (that is, free) what it has parked. */
void hold_drop_conn(struct hold *h, struct conn *c);
/* Time is up for everybody: at shutdown. */
void hold_expire_all(struct hold *h);
int hold_count(const struct hold *h);

/* From the store, any thread: @q has entries up to @end. */
void hold_arrived(struct broker *b, struct consumequeue *q, int64_t end);

#endif
