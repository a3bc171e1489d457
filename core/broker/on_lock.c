/*
 * LOCK_BATCH_MQ, UNLOCK_BATCH_MQ of ordered consumers (RebalanceLockManager's front)
 */
#include "base/clock.h"
#include "broker/broker.h"
#include "broker/clients.h"
#include "broker/handlers.h"
#include "broker/qlock.h"
#include "proto/bodies.h"
#include "remoting/request.h"

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
        if (!qlock_take(clients_qlock(b->clients), tl_str_of(body.group), tl_str_of(q->topic),
                        tl_str_of(q->broker_name), q->queue_id, tl_str_of(body.client_id), now))
            continue;
        if (!first)
            strbuf_addc(&text, ',');
        first = false;
        message_queue_write(&text, tl_str_of(q->topic), tl_str_of(q->broker_name), q->queue_id);
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
    for (size_t i = 0; i < body.nqueues; i++) {
        const struct lock_queue *q = &body.queues[i];
        qlock_drop(clients_qlock(b->clients), tl_str_of(body.group), tl_str_of(q->topic),
                   tl_str_of(q->broker_name), q->queue_id, tl_str_of(body.client_id));
    }
    lock_body_release(&body);
    request_ok(rq);
}
