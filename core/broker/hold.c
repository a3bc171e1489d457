#include "broker/hold.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <uthash.h>
#include <utlist.h>

#include "base/mem.h"
#include "broker/broker.h"
#include "broker/schedule.h"
#include "remoting/server.h"
#include "store/store.h"

struct hold_queue {
    struct consumequeue *q; /* key */
    struct held_pull *pulls;
    struct hold_queue *woken_next;
    bool woken;
    UT_hash_handle hh;
};

struct hold {
    struct broker_io *io;
    void (*resume)(struct held_pull *p, enum hold_reason reason);
    struct hold_queue *queues; /* hash by consumequeue */
    struct hold_queue *woken;  /* to be looked at when the turn ends */
    struct turn_hook hook;
    int count;
};

/* An arrival for another reactor's hold. */
struct arrival {
    struct mail mail;
    struct hold *hold;
    struct consumequeue *q;
};

static void run_woken(struct turn_hook *hook);

struct hold *hold_new(struct broker_io *io,
                      void (*resume)(struct held_pull *p, enum hold_reason reason))
{
    struct hold *h = xzalloc(sizeof(*h));

    h->io = io;
    h->resume = resume;
    h->hook.run = run_woken;
    return h;
}

void hold_free(struct hold *h)
{
    struct hold_queue *hq, *tmp;

    HASH_ITER (hh, h->queues, hq, tmp) {
        HASH_DEL(h->queues, hq);
        free(hq);
    }
    free(h);
}

int hold_count(const struct hold *h)
{
    return h->count;
}

static void mark_woken(struct hold *h, struct hold_queue *hq)
{
    if (hq->woken)
        return;
    hq->woken = true;
    hq->woken_next = h->woken;
    h->woken = hq;
    reactor_at_turn_end(h->io->reactor, TURN_WAKE, &h->hook);
}

static struct held_pull *conn_list(const struct held_pull *p)
{
    return server_conn_user(p->rq->conn);
}

/* Take @p out of both lists and its timer. */
static void unpark(struct hold *h, struct held_pull *p)
{
    struct held_pull *list = conn_list(p);

    timer_clear(h->io->reactor, &p->timer);
    DL_DELETE(p->queue->pulls, p);
    DL_DELETE2(list, p, conn_prev, conn_next);
    server_conn_set_user(p->rq->conn, list);
    h->count--;
}

static void pull_timed_out(struct timer *t)
{
    struct held_pull *p = (struct held_pull *)((char *)t - offsetof(struct held_pull, timer));
    struct hold *h = ((struct broker_io *)reactor_local(reactor_current()))->hold;

    unpark(h, p);
    h->resume(p, HOLD_TIMED_OUT);
}

static struct hold_queue *queue_of(struct hold *h, struct consumequeue *q)
{
    struct hold_queue *hq;

    HASH_FIND_PTR(h->queues, &q, hq);
    if (!hq) {
        hq = xzalloc(sizeof(*hq));
        hq->q = q;
        HASH_ADD_PTR(h->queues, q, hq);
    }
    return hq;
}

void hold_park(struct hold *h, struct held_pull *p, struct consumequeue *q, int64_t seen,
               int64_t timeout_ms)
{
    struct hold_queue *hq = queue_of(h, q);
    struct held_pull *list = conn_list(p);

    p->queue = hq;
    p->offset = seen;
    DL_APPEND(hq->pulls, p);
    DL_APPEND2(list, p, conn_prev, conn_next);
    server_conn_set_user(p->rq->conn, list);
    h->count++;
    timer_init(&p->timer, pull_timed_out);
    timer_set(h->io->reactor, &p->timer, timeout_ms);

    atomic_fetch_or_explicit(store_queue_waiters(q), UINT64_C(1) << h->io->index,
                             memory_order_seq_cst);
    if (store_queue_end(q) > seen)
        mark_woken(h, hq);
}

/* Resume what @hq's end has passed; whoever stays keeps the bit set. */
static void run_queue(struct hold *h, struct hold_queue *hq)
{
    int64_t end = store_queue_end(hq->q);
    struct held_pull *p, *tmp, *ready = NULL;

    DL_FOREACH_SAFE (hq->pulls, p, tmp) {
        if (p->offset >= end)
            continue;
        unpark(h, p);
        DL_APPEND(ready, p);
    }
    DL_FOREACH_SAFE (ready, p, tmp) {
        DL_DELETE(ready, p);
        h->resume(p, HOLD_ARRIVED);
    }
    if (!hq->pulls)
        return; /* hq stays: the group's next pull is about to come back */
    atomic_fetch_or_explicit(store_queue_waiters(hq->q), UINT64_C(1) << h->io->index,
                             memory_order_seq_cst);
    if (store_queue_end(hq->q) > end)
        mark_woken(h, hq);
}

static void run_woken(struct turn_hook *hook)
{
    struct hold *h = (struct hold *)((char *)hook - offsetof(struct hold, hook));
    struct hold_queue *list = h->woken, *next;

    h->woken = NULL;
    for (struct hold_queue *hq = list; hq; hq = next) {
        next = hq->woken_next;
        hq->woken = false;
        run_queue(h, hq);
    }
}

void hold_drop_conn(struct hold *h, struct conn *c)
{
    struct held_pull *p;

    while ((p = server_conn_user(c)) != NULL) {
        unpark(h, p);
        request_ok(p->rq); /* goes nowhere; frees the request */
    }
}

void hold_expire_all(struct hold *h)
{
    struct hold_queue *hq, *tmp;

    HASH_ITER (hh, h->queues, hq, tmp) {
        while (hq->pulls) {
            struct held_pull *p = hq->pulls;
            unpark(h, p);
            h->resume(p, HOLD_TIMED_OUT);
        }
    }
}

static void wake_local(struct hold *h, struct consumequeue *q)
{
    struct hold_queue *hq;

    HASH_FIND_PTR(h->queues, &q, hq);
    if (hq && hq->pulls)
        mark_woken(h, hq);
}

static void arrival_run(struct mail *m)
{
    struct arrival *a = (struct arrival *)m;

    wake_local(a->hold, a->q);
    free(a);
}

void hold_arrived(struct broker *b, struct consumequeue *q, int64_t end)
{
    _Atomic uint64_t *waiters = store_queue_waiters(q);

    (void)end;
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(waiters, memory_order_relaxed))
        return;
    uint64_t bits = atomic_exchange_explicit(waiters, 0, memory_order_seq_cst);
    if (bits >> SCHEDULE_WAITER) {
        schedule_wake(b->schedule);
        bits &= ~(UINT64_C(1) << SCHEDULE_WAITER);
    }
    while (bits) {
        struct broker_io *io = &b->io_state[__builtin_ctzll(bits)];
        bits &= bits - 1;
        if (reactor_is_own(io->reactor)) {
            wake_local(io->hold, q);
            continue;
        }
        struct arrival *a = xmalloc(sizeof(*a));
        *a = (struct arrival){.mail.run = arrival_run, .hold = io->hold, .q = q};
        reactor_post(io->reactor, &a->mail);
    }
}
