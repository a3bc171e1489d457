#include "broker/send.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "broker/broker.h"
#include "broker/clients.h"
#include "broker/groups.h"
#include "broker/handlers.h"
#include "broker/qlock.h"
#include "broker/registrar.h"
#include "broker/schedule.h"
#include "broker/topics.h"
#include "broker/traffic.h"
#include "broker/txn.h"
#include "proto/batch.h"
#include "proto/code.h"
#include "proto/flags.h"
#include "proto/hdr_produce.h"
#include "proto/names.h"
#include "proto/properties.h"
#include "store/append.h"
#include "store/store.h"

enum { STAGE_BYTES = 1 << 20, FREE_BATCHES_BYTES = 4 << 20 };

struct send_stage {
    struct broker_io *io;
    struct turn_hook hook;
    struct append_batch *now;  /* being filled; NULL until the first send of a turn */
    struct append_batch *free; /* recycled ones */
    size_t free_bytes;         /* their buffers; at most FREE_BATCHES_BYTES */
    int pending;
    struct strbuf suffix; /* properties the broker adds to every message */
    uint32_t round;       /* queue choice for senders that leave it to the broker */
};

/* A send on its way through the log; lives in the request's arena. */
struct parked_send {
    struct append_entry entry; /* first: entries are turned back into it */
    struct request *rq;
    struct tl_str topic, transaction_id; /* in the arena */
    int32_t queue_id;
    bool made_topic;
};

/* What a send asks for, gathered by the checks. */
struct sending {
    const struct send_request *h;
    const struct topic_config *topic_config;
    struct tl_str topic, properties;
    struct tl_str uniq_key; /* absent in batches that have none */
    int32_t queue_id, asked_queue, sys_flag; /* asked_queue: what the sender is told */
    bool wait_flush, made_topic;
    bool dead; /* goes to the dead-letter queue: without delay */
};

static void stage_submit(struct turn_hook *hook);
static void batch_done(struct append_batch *b);

struct send_stage *send_stage_new(struct broker_io *io)
{
    const struct broker_conf *conf = io->broker->conf;
    struct send_stage *s = xzalloc(sizeof(*s));

    s->io = io;
    s->hook.run = stage_submit;
    strbuf_init(&s->suffix);
    properties_add(&s->suffix, PROP_MSG_REGION, conf->region_id);
    properties_add(&s->suffix, PROP_TRACE_ON,
                   conf->trace_on ? TL_STR("true") : TL_STR("false"));
    properties_add(&s->suffix, PROP_CLUSTER, conf->broker_cluster_name);
    return s;
}

void send_stage_free(struct send_stage *s)
{
    while (s->free) {
        struct append_batch *b = s->free;
        s->free = b->next;
        append_batch_free(b);
    }
    if (s->now)
        append_batch_free(s->now);
    strbuf_release(&s->suffix);
    free(s);
}

int send_stage_pending(const struct send_stage *s)
{
    return s->pending;
}

/* ---- answers ------------------------------------------------------------------------------ */

static struct send_response base_response(const struct broker *b)
{
    return (struct send_response){
        .msg_region = b->conf->region_id,
        .trace_on = b->conf->trace_on ? TL_STR("true") : TL_STR("false"),
    };
}

/* A refusal; carries the two ext fields that every answer of a send has. */
static void send_fail(struct broker *b, struct request *rq, int code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void send_fail(struct broker *b, struct request *rq, int code, const char *fmt, ...)
{
    struct send_response ext = base_response(b);
    va_list ap;

    va_start(ap, fmt);
    struct tl_str remark = arena_vprintf(&rq->arena, fmt, ap);
    va_end(ap);
    request_reply(
        rq, &(struct reply){
                .code = code, .remark = remark, .header = &send_response_header, .ext = &ext});
}

static void fail_illegal(struct broker *b, struct request *rq)
{
    send_fail(b, rq, RS_MESSAGE_ILLEGAL,
              "the message is illegal, maybe msg body or properties length not matched. "
              "msg body length limit %dB, msg properties length limit 32KB.",
              b->conf->max_message_size);
}

static struct tl_str number_text(struct arena *a, int64_t n)
{
    char *p = arena_alloc(a, 20);
    return tl_str_n(p, tl_i64_text(n, p));
}

/* The offset ids of all records of an entry, joined by commas; sizes stand in the records. */
static struct tl_str ids_text(const struct broker *b, struct arena *a, const uint8_t *records,
                              const struct append_entry *e)
{
    char *text = arena_alloc(a, (size_t)e->count * (MSGID_MAX + 1));
    int64_t pos = e->log_pos;
    size_t n = 0;

    for (uint32_t i = 0; i < e->count; i++) {
        if (i > 0)
            text[n++] = ',';
        n += msgid_offset_text(&b->host, pos, text + n);
        uint32_t size = get_be32(records);
        records += size;
        pos += size;
    }
    return tl_str_n(text, n);
}

static void answer_failed(struct broker *b, const struct parked_send *p)
{
    switch (p->entry.rc) {
    case TL_EILLEGAL: fail_illegal(b, p->rq); break;
    case TL_ENOSPC:
    case TL_ESTOPPED:
        send_fail(
            b, p->rq, RS_SERVICE_NOT_AVAILABLE,
            "service not available now. It may be caused by one of the following reasons: "
            "the broker's disk is full, messages are put to the slave, message store has been "
            "shut down, etc. (%s)",
            tl_code_text(p->entry.rc));
        break;
    default:
        send_fail(b, p->rq, RS_SYSTEM_ERROR, "UNKNOWN_ERROR: %s", tl_code_text(p->entry.rc));
    }
}

/* An answer that waits for the name servers; lives in the request's arena. */
struct announcement {
    struct mail mail;
    struct request *rq;
    struct registrar *registrar;
    struct send_response ext;
    int64_t deadline_ms;
};

/* [work] */
static void announced(struct mail *m)
{
    struct announcement *n = (struct announcement *)m;
    int64_t left = n->deadline_ms - clock_mono_ms();

    if (left > 0)
        registrar_sync(n->registrar, (int32_t)left);
    request_reply(n->rq, &(struct reply){.header = &send_response_header, .ext = &n->ext});
}

/*
 * The send that made its topic is answered when the name servers that are there have the topic:
 * who hears of it starts a consumer next, and some clients do not start without a route
 * (registerBrokerData).  The message was stored in its turn all the same.
 */
static void answer_announced(struct broker *b, struct request *rq,
                             const struct send_response *ext)
{
    struct announcement *n = arena_zalloc(&rq->arena, sizeof(*n));

    n->mail.run = announced;
    n->rq = rq;
    n->registrar = b->registrar;
    n->ext = *ext;
    n->deadline_ms = clock_mono_ms() + REGISTRAR_WAIT_MS;
    workers_run(b->workers, &n->mail);
}

/* Stored; the code tells when it is not known to be on the disk. */
static void answer_stored(struct broker_io *io, const struct parked_send *p,
                          const uint8_t *records)
{
    struct broker *b = io->broker;
    struct arena *a = &p->rq->arena;
    struct send_response ext = base_response(b);

    ext.msg_id = ids_text(b, a, records, &p->entry);
    ext.queue_id = number_text(a, p->queue_id);
    ext.queue_offset = number_text(a, p->entry.queue_offset);
    ext.transaction_id = p->transaction_id;
    traffic_put(b->traffic, p->topic, p->entry.count, p->entry.size);
    int code = p->entry.rc ? RS_FLUSH_DISK_TIMEOUT : RS_SUCCESS;
    if (p->made_topic && b->registrar && !io->leaving && !request_is_oneway(p->rq) && !code)
        answer_announced(b, p->rq, &ext);
    else
        request_reply(p->rq, &(struct reply){
                                 .code = code, .header = &send_response_header, .ext = &ext});
}

/* ---- staging ------------------------------------------------------------------------------ */

static struct append_batch *stage_batch(struct send_stage *s)
{
    if (s->now)
        return s->now;
    if (s->free) {
        s->now = s->free;
        s->free = s->now->next;
        s->free_bytes -= s->now->cap;
    } else {
        s->now = append_batch_new(batch_done, s);
    }
    reactor_at_turn_end(s->io->reactor, TURN_APPEND, &s->hook);
    return s->now;
}

/* For the next turns, or not when there are plenty. */
static void stage_keep(struct send_stage *s, struct append_batch *b)
{
    append_batch_reset(b);
    if (s->free_bytes + b->cap > FREE_BATCHES_BYTES) {
        append_batch_free(b);
        return;
    }
    b->next = s->free;
    s->free = b;
    s->free_bytes += b->cap;
}

static void stage_submit(struct turn_hook *hook)
{
    struct send_stage *s =
        (struct send_stage *)((char *)hook - offsetof(struct send_stage, hook));
    struct append_batch *b = s->now;

    if (!b)
        return;
    s->now = NULL;
    if (append_batch_empty(b)) {
        stage_keep(s, b);
        return;
    }
    s->pending++;
    append_submit(s->io->broker->store, b);
}

/* On the batch's own reactor: answer every entry, then keep the batch for the next turns. */
static void batch_answer(struct mail *m)
{
    struct append_batch *batch = (struct append_batch *)m;
    struct send_stage *s = batch->owner;
    struct broker *b = s->io->broker;

    for (struct append_entry *e = batch->first, *next; e; e = next) {
        next = e->next; /* the entry goes with its request */
        struct parked_send *p = (struct parked_send *)e;
        if (e->rc && e->rc != TL_ETIMEOUT)
            answer_failed(b, p);
        else
            answer_stored(s->io, p, batch->buf + e->at);
    }
    s->pending--;
    stage_keep(s, batch);
}

static void batch_done(struct append_batch *b)
{
    struct send_stage *s = b->owner;

    if (reactor_is_own(s->io->reactor)) {
        batch_answer(&b->mail);
        return;
    }
    b->mail.run = batch_answer;
    reactor_post(s->io->reactor, &b->mail);
}

/* ---- properties --------------------------------------------------------------------------- */

/* What the broker has to know of a message's properties, from one walk over them. */
struct seen {
    struct tl_str uniq_key, wait, delay, tran_msg, timer;
    bool inner_num;
    bool replace; /* some name is one of ours or must go, or a piece is no pair: build anew */
    bool twice;   /* some name may stand there twice: the last one counts */
};

static bool wait_is_default(struct tl_str name, struct tl_str value)
{
    return tl_str_eq(name, PROP_WAIT) && tl_str_is(value, "true");
}

static struct seen properties_see(struct tl_str text)
{
    struct seen seen = {.replace = false};
    struct tl_str name, value;
    uint64_t names = 0; /* a bit for each, by length and ends */
    size_t pairs = 0;   /* bytes */

    for (size_t at = 0; properties_next(text, &at, &name, &value);) {
        uint64_t bit = UINT64_C(1) << ((name.len * 37 + (unsigned char)name.data[0] * 7 +
                                        (unsigned char)name.data[name.len - 1]) &
                                       63);
        seen.twice |= names & bit;
        names |= bit;
        pairs += name.len + value.len + 2;
        switch (name.len) {
        case 4:
            if (tl_str_eq(name, PROP_WAIT)) {
                seen.wait = value;
                seen.replace |= wait_is_default(name, value);
            }
            break;
        case 5:
            if (tl_str_eq(name, PROP_DELAY))
                seen.delay = value;
            break;
        case 6: seen.replace |= tl_str_eq(name, PROP_POP_CK); break;
        case 7: seen.replace |= tl_str_eq(name, PROP_CLUSTER); break;
        case 8:
            if (tl_str_eq(name, PROP_UNIQ_KEY))
                seen.uniq_key = value;
            else if (tl_str_eq(name, PROP_TRAN_MSG))
                seen.tran_msg = value;
            else
                seen.replace |= tl_str_eq(name, PROP_TRACE_ON);
            break;
        case 9: seen.inner_num |= tl_str_eq(name, PROP_INNER_NUM); break;
        case 10: seen.replace |= tl_str_eq(name, PROP_MSG_REGION); break;
        case 14:
        case 15:
        case 16:
            if (tl_str_eq(name, PROP_TIMER_DELAY_MS) || tl_str_eq(name, PROP_TIMER_DELAY_SEC) ||
                tl_str_eq(name, PROP_TIMER_DELIVER_MS))
                seen.timer = value;
            break;
        default: break;
        }
    }
    seen.replace |= seen.twice || (pairs != text.len && pairs != text.len + 1);
    return seen;
}

/* Not stored as it came: the broker's own, and a WAIT that says nothing. */
static bool property_goes(struct tl_str name, struct tl_str value)
{
    return wait_is_default(name, value) || tl_str_eq(name, PROP_POP_CK) ||
           tl_str_eq(name, PROP_CLUSTER) || tl_str_eq(name, PROP_TRACE_ON) ||
           tl_str_eq(name, PROP_MSG_REGION);
}

static bool comes_again(struct tl_str text, size_t at, struct tl_str name)
{
    struct tl_str other, value;

    while (properties_next(text, &at, &other, &value)) {
        if (tl_str_eq(other, name))
            return true;
    }
    return false;
}

/*
 * The stored property text: the sender's, without what the broker decides itself, then @uniq_key if
 * it is a new one, then the broker's.  Pieces that are no pair go, and all but the last of a name.
 */
static struct tl_str properties_build(struct send_stage *s, struct arena *a, struct tl_str text,
                                      const struct seen *seen, struct tl_str new_key)
{
    char *out = arena_alloc(a, text.len + s->suffix.len + PROP_UNIQ_KEY.len + new_key.len + 4);
    char *p = out;
    struct tl_str name, value;

    if (seen->replace) {
        for (size_t at = 0; properties_next(text, &at, &name, &value);) {
            if (!property_goes(name, value) && !(seen->twice && comes_again(text, at, name)))
                p = properties_put(p, name, value);
        }
    } else if (text.len > 0) {
        memcpy(p, text.data, text.len);
        p += text.len;
        if (p[-1] != 2)
            *p++ = 2;
    }
    if (new_key.data)
        p = properties_put(p, PROP_UNIQ_KEY, new_key);
    memcpy(p, s->suffix.data, s->suffix.len);
    return tl_str_n(out, (size_t)(p - out) + s->suffix.len);
}

static struct tl_str new_uniq_key(struct broker_io *io, struct arena *a)
{
    char *key = arena_alloc(a, 32);
    msgid_make(&io->ids, clock_now_ms(), key);
    return tl_str_n(key, 32);
}

/* ---- checks ------------------------------------------------------------------------------- */

/* Name, existence (creating it when allowed), queue.  False: answered. */
static bool check_topic(struct broker_io *io, struct request *rq, struct sending *s)
{
    struct broker *b = io->broker;
    const struct send_request *h = s->h;

    if (names_check_topic(h->topic)) {
        send_fail(b, rq, RS_INVALID_PARAMETER, "%s", tl_error_text());
        return false;
    }
    if (names_is_send_forbidden(h->topic)) {
        send_fail(b, rq, RS_NO_PERMISSION, "Sending message to topic[%.*s] is forbidden.",
                  TL_STR_ARG(h->topic));
        return false;
    }
    s->topic_config = topics_find(b->topics, &io->topics, h->topic);
    if (!s->topic_config) {
        if (!h->default_topic.data || !(h->present & SEND_HAS_DEFAULT_QUEUES)) {
            request_fail(rq, RS_SYSTEM_ERROR, "no default topic to make topic %.*s from",
                         TL_STR_ARG(h->topic));
            return false;
        }
        int32_t flag = h->unit_mode ? (names_is_retry(h->topic) ? 2 : 1) : 0;
        if (topics_auto_create(b->topics, h->topic, h->default_topic,
                               h->default_topic_queue_nums, flag) == 0)
            s->topic_config = topics_find(b->topics, &io->topics, h->topic);
        s->made_topic = true;
    }
    if (!s->topic_config) {
        send_fail(b, rq, RS_TOPIC_NOT_EXIST,
                  "topic[%.*s] not exist, apply first please!" FAQ_SUFFIX,
                  TL_STR_ARG(h->topic));
        return false;
    }
    int32_t reads = s->topic_config->read_queue_nums,
            writes = s->topic_config->write_queue_nums;
    if (h->queue_id >= (reads > writes ? reads : writes)) {
        struct strbuf text;
        strbuf_init(&text);
        topic_config_text(s->topic_config, &text);
        send_fail(b, rq, RS_INVALID_PARAMETER,
                  "request queueId[%d] is illegal, %s Producer: %s", h->queue_id, text.data,
                  conn_peer_text(rq->conn));
        strbuf_release(&text);
        return false;
    }
    s->queue_id = h->queue_id;
    if (s->queue_id < 0)
        s->queue_id = writes > 0 ? (int32_t)(io->send->round++ % (uint32_t)writes) : 0;
    s->topic = h->topic;
    return true;
}

/* A consumer's own resend: over the group's retries, or in order, it goes to the dead-letter topic. */
static bool check_retry(struct broker_io *io, struct request *rq, struct sending *s)
{
    struct broker *b = io->broker;
    struct tl_str group = tl_str_n(s->topic.data + sizeof(NAME_RETRY_PREFIX) - 1,
                                   s->topic.len - (sizeof(NAME_RETRY_PREFIX) - 1));
    const struct group_config *config = groups_find(b->groups, &io->groups, group);

    if (!config) {
        send_fail(b, rq, RS_SUBSCRIPTION_GROUP_NOT_EXIST,
                  "subscription group not exist, %.*s " FAQ_SUFFIX, TL_STR_ARG(group));
        return false;
    }
    int32_t max = config->retry_max_times;
    if (rq->cmd.version >= 121 && send_request_has_max_reconsume(s->h))
        max = s->h->max_reconsume_times;
    if (s->h->reconsume_times <= max &&
        !qlock_group_holds(clients_qlock(b->clients), group, clock_mono_ms()))
        return true;
    s->topic = arena_printf(&rq->arena, "%s%.*s", NAME_DLQ_PREFIX, TL_STR_ARG(group));
    s->dead = true;
    topics_ensure(b->topics, s->topic, 1, PERM_READ | PERM_WRITE, false, 0);
    s->queue_id = 0;
    return true;
}

static bool check_body(struct broker *b, struct request *rq, const struct sending *s)
{
    if (!rq->cmd.body.len) {
        request_fail(rq, RS_SYSTEM_ERROR, "the message has no body");
        return false;
    }
    if (rq->cmd.body.len > (size_t)b->conf->max_message_size) {
        fail_illegal(b, rq);
        return false;
    }
    if (!s->h->batch)
        return true;
    if (names_is_retry(s->h->topic)) {
        send_fail(b, rq, RS_MESSAGE_ILLEGAL, "batch request does not support retry group %.*s",
                  TL_STR_ARG(s->h->topic));
        return false;
    }
    return true;
}

static bool delay_level(struct tl_str text, int32_t *level)
{
    *level = 0;
    return text.data && tl_str_i32(text, level) && *level > 0;
}

/* A half message; not so the resend of one by an old client. */
static bool is_half(const struct request *rq, const struct seen *seen)
{
    const struct send_request *h = request_header(rq);
    int32_t level;

    return tl_str_eq_nocase(seen->tran_msg, TL_STR("true")) && !h->batch &&
           !(h->reconsume_times > 0 && delay_level(seen->delay, &level));
}

/* Kinds of messages that need machinery this broker does not run: refused, never delivered early. */
static bool check_kind(struct broker *b, struct request *rq, const struct seen *seen)
{
    int32_t level = 0;

    if (is_half(rq, seen) && b->conf->reject_transaction_message) {
        send_fail(b, rq, RS_NO_PERMISSION,
                  "the broker[%s] sending transaction message is forbidden", broker_ip(b));
        return false;
    }
    if (seen->delay.data && !tl_str_i32(seen->delay, &level)) {
        request_fail(rq, RS_SYSTEM_ERROR, "delay level is not a number: \"%.*s\"",
                     TL_STR_ARG(seen->delay));
        return false;
    }
    if (seen->timer.data && level <= 0) {
        send_fail(b, rq, RS_SYSTEM_ERROR,
                  "the broker[%s] does not deliver at a given time: send it with a delay level",
                  broker_ip(b));
        return false;
    }
    return true;
}

/* Flags that say what a message is not: half or inner batches come by other ways. */
static bool check_flags(struct broker *b, struct request *rq, const struct sending *s,
                        const struct seen *seen)
{
    int32_t flag = s->h->sys_flag;

    if (s->h->batch ? !(flag & SYS_TRANSACTION_MASK)
                    : !(flag & SYS_INNER_BATCH) && !seen->inner_num)
        return true;
    fail_illegal(b, rq);
    return false;
}

static bool check_broker(struct broker *b, struct request *rq, const struct sending *s)
{
    if (!(b->conf->broker_permission & PERM_WRITE) && s->topic_config->order) {
        send_fail(b, rq, RS_NO_PERMISSION, "the broker[%s] sending message is forbidden",
                  broker_ip(b));
        return false;
    }
    if (store_writable(b->store)) {
        send_fail(
            b, rq, RS_SERVICE_NOT_AVAILABLE,
            "service not available now. It may be caused by one of the following reasons: "
            "the broker's disk is full, messages are put to the slave, message store has been "
            "shut down, etc. (%s)",
            tl_error_text());
        return false;
    }
    return true;
}

/* ---- encoding ----------------------------------------------------------------------------- */

static struct record record_of(const struct broker *b, const struct request *rq,
                               const struct sending *s)
{
    const struct addr *peer = conn_peer(rq->conn);
    struct record r = {
        .queue_id = s->queue_id,
        .flag = s->h->flag,
        .sys_flag = s->sys_flag,
        .reconsume_times = s->h->reconsume_times,
        .born_timestamp = s->h->born_timestamp,
        .store_host = b->host,
        .topic = s->topic,
    };
    memcpy(r.born_host.ip, peer->ip, sizeof(r.born_host.ip));
    r.born_host.v6 = peer->v6;
    r.born_host.port = peer->port;
    return r;
}

static struct parked_send *park(struct request *rq, const struct sending *s)
{
    struct parked_send *p = arena_zalloc(&rq->arena, sizeof(*p));

    p->rq = rq;
    p->queue_id = s->asked_queue;
    p->made_topic = s->made_topic;
    p->topic = arena_copy(&rq->arena, s->topic);
    if (s->uniq_key.data)
        p->transaction_id = arena_copy(&rq->arena, s->uniq_key);
    p->entry.wait_flush = s->wait_flush;
    return p;
}

static void stage_one(struct broker_io *io, struct request *rq, const struct sending *s)
{
    struct broker *b = io->broker;
    struct record r = record_of(b, rq, s);

    r.body = rq->cmd.body;
    r.properties = s->properties;
    if (r.properties.len > RECORD_PROPERTIES_MAX) {
        fail_illegal(b, rq);
        return;
    }
    struct parked_send *p = park(rq, s);
    struct append_batch *batch = stage_batch(io->send);
    size_t size = record_size(&r);
    if (record_encode(&r, append_reserve(batch, &p->entry, size, 1))) {
        append_unreserve(batch, &p->entry);
        fail_illegal(b, rq);
        return;
    }
    if (batch->len >= STAGE_BYTES)
        stage_submit(&io->send->hook);
}

/* The records of a batch: each inner message with its own properties and the request's behind them. */
static void stage_many(struct broker_io *io, struct request *rq, const struct sending *s)
{
    struct broker *b = io->broker;
    struct record r = record_of(b, rq, s);
    struct batch_item item;
    struct reader reader = reader_of(rq->cmd.body.data, rq->cmd.body.len);
    size_t total = 0, props_max = 0;
    uint32_t count = 0;
    int rc;

    while ((rc = batch_next(&reader, &item)) > 0) {
        size_t props = item.properties.len + 1 + s->properties.len;
        if (props > props_max)
            props_max = props;
        r.body = item.body;
        r.properties = tl_str_n(s->properties.data, props);
        total += record_size(&r);
        count++;
    }
    if (rc < 0 || count == 0) {
        request_fail(rq, RS_SYSTEM_ERROR, "batch body: %s",
                     rc < 0 ? tl_error_text() : "no message in it");
        return;
    }
    if (props_max > RECORD_PROPERTIES_MAX) {
        fail_illegal(b, rq);
        return;
    }
    struct parked_send *p = park(rq, s);
    struct append_batch *batch = stage_batch(io->send);
    uint8_t *start = append_reserve(batch, &p->entry, total, count), *at = start;
    char *props = arena_alloc(&rq->arena, props_max);

    reader = reader_of(rq->cmd.body.data, rq->cmd.body.len);
    while (batch_next(&reader, &item) > 0) {
        size_t n = item.properties.len;
        memcpy(props, item.properties.data ? item.properties.data : "", n);
        if (n > 0 && props[n - 1] != 2)
            props[n++] = 2;
        memcpy(props + n, s->properties.data, s->properties.len);
        r.flag = item.flag;
        r.body = item.body;
        r.properties = tl_str_n(props, n + s->properties.len);
        if (record_encode(&r, at)) {
            append_unreserve(batch, &p->entry);
            fail_illegal(b, rq);
            return;
        }
        at += record_size(&r);
    }
    append_trim(batch, &p->entry, (size_t)(at - start));
    if (batch->len >= STAGE_BYTES)
        stage_submit(&io->send->hook);
}

/* A message with a delay level waits in the queue of that level, a half message in that of its kind. */
static void divert(struct broker *b, struct request *rq, struct sending *s,
                   const struct seen *seen)
{
    int transaction = s->sys_flag & SYS_TRANSACTION_MASK;
    int32_t level;

    s->asked_queue = s->queue_id;
    if (is_half(rq, seen)) {
        s->sys_flag &= ~SYS_TRANSACTION_MASK;
        txn_divert(&rq->arena, s->uniq_key, &s->topic, &s->queue_id, &s->properties);
    } else if (!s->h->batch && delay_level(seen->delay, &level) &&
               transaction != SYS_PREPARED && transaction != SYS_ROLLBACK) {
        schedule_divert(b, &rq->arena, level, &s->topic, &s->queue_id, &s->properties);
    }
}

void send_handle(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    struct broker_io *io = broker_io(b);
    struct sending s = {.h = request_header(rq)};

    if (!check_topic(io, rq, &s) || !check_body(b, rq, &s) || !check_broker(b, rq, &s))
        return;
    if (names_is_retry(s.topic) && !check_retry(io, rq, &s))
        return;
    struct tl_str text = s.h->properties;
    if (s.dead)
        schedule_set_level(&rq->arena, -1, &text); /* not to be delayed any more */
    struct seen seen = properties_see(text);
    if (!check_kind(b, rq, &seen) || !check_flags(b, rq, &s, &seen))
        return;
    s.sys_flag = s.h->sys_flag;
    if (s.topic_config->filter_type == TOPIC_MULTI_TAG)
        s.sys_flag |= SYS_MULTI_TAGS;
    s.wait_flush = !tl_str_eq_nocase(seen.wait, TL_STR("false"));
    s.uniq_key = seen.uniq_key;

    struct tl_str new_key = TL_STR_NONE;
    if (!s.h->batch && !seen.uniq_key.data)
        s.uniq_key = new_key = new_uniq_key(io, &rq->arena);
    s.properties = properties_build(io->send, &rq->arena, text, &seen, new_key);
    divert(b, rq, &s, &seen);
    if (s.h->batch)
        stage_many(io, rq, &s);
    else
        stage_one(io, rq, &s);
}
