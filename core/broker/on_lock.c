/*
 * LOCK_BATCH_MQ, UNLOCK_BATCH_MQ of ordered consumers (RebalanceLockManager's front)
 */
#include "base/clock.h"
#include "broker/broker.h"
#include "broker/clients.h"
#include "broker/handlers.h"
#include "broker/qlock.h"
#include "proto/bodies.h"
#include "proto/code.h"
#include "remoting/request.h"

static struct tl_str broker_of(const struct lock_queue *q)
{
    return q->broker_name ? tl_str_of(q->broker_name) : TL_STR_NONE;
}

static bool same_queue(const struct lock_queue *a, const struct lock_queue *b)
{
    return a->queue_id == b->queue_id && tl_str_is(tl_str_of(a->topic), b->topic) &&
           tl_str_eq(broker_of(a), broker_of(b));
}

/* It was named before: a set holds it once. */
static bool named_before(const struct lock_body *body, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (same_queue(&body->queues[i], &body->queues[at]))
            return true;
    }
    return false;
}

void on_lock_batch(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    struct lock_body body;
    struct strbuf text = {0};
    int64_t now = clock_mono_ms();
    bool first = true;
    int rc = lock_body_parse(rq->cmd.body, &body);

    if (rc) {
        request_fail_error(rq, rc);
        return;
    }
    strbuf_addz(&text, "{\"lockOKMQSet\":[");
    for (size_t i = 0; i < body.nqueues; i++) {
        const struct lock_queue *q = &body.queues[i];
        if (named_before(&body, i) ||
            !qlock_take(clients_qlock(b->clients), tl_str_of(body.group), tl_str_of(q->topic),
                        broker_of(q), q->queue_id, tl_str_of(body.client_id), now))
            continue;
        if (!first)
            strbuf_addc(&text, ',');
        first = false;
        message_queue_write(&text, tl_str_of(q->topic), broker_of(q), q->queue_id);
    }
    strbuf_addz(&text, "]}");
    lock_body_release(&body);
    request_ok_body(rq, strbuf_str(&text));
    strbuf_release(&text);
}

void on_unlock_batch(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    struct lock_body body;
    int rc = lock_body_parse(rq->cmd.body, &body);

    if (rc) {
        request_fail_error(rq, rc);
        return;
    }
    if (!*body.group || !*body.client_id) {
        request_fail(rq, RS_SYSTEM_ERROR, "unlock: consumerGroup and clientId are needed");
        lock_body_release(&body);
        return;
    }
    for (size_t i = 0; i < body.nqueues; i++) {
        const struct lock_queue *q = &body.queues[i];
        qlock_drop(clients_qlock(b->clients), tl_str_of(body.group), tl_str_of(q->topic),
                   broker_of(q), q->queue_id, tl_str_of(body.client_id));
    }
    lock_body_release(&body);
    request_ok(rq);
}
