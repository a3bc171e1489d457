#include "broker/txn.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "broker/broker.h"
#include "broker/clients.h"
#include "broker/divert.h"
#include "broker/handlers.h"
#include "broker/offsets.h"
#include "broker/schedule.h"
#include "broker/topics.h"
#include "broker/traffic.h"
#include "proto/code.h"
#include "proto/flags.h"
#include "proto/hdr_produce.h"
#include "proto/msgid.h"
#include "proto/names.h"
#include "proto/properties.h"
#include "remoting/server.h"
#include "store/append.h"
#include "store/read.h"

#undef LOG_MODULE
#define LOG_MODULE "txn"

#define GROUP      TL_STR("CID_RMQ_SYS_TRANS")
#define HALF_TOPIC TL_STR(NAME_HALF_TOPIC)
#define OP_TOPIC   TL_STR(NAME_OP_HALF_TOPIC)
#define GIVEN_UP   TL_STR("TRANS_CHECK_MAX_TIME_TOPIC")

enum {
    MOVED_MAX = 65536,     /* copies whose later copy is remembered */
    BACKOFF_DOUBLINGS = 2, /* between two questions: 1, 2, then 4 intervals */
    ROUND_MS = 60000,      /* a round ends after so long */
};

/* A queue offset and what is known of it: a set of the decided, a map of the copied. */
struct node {
    int64_t offset; /* key */
    int64_t to;     /* of the copied: the newest copy */
    UT_hash_handle hh;
};

/* Op records in order: each can be forgotten when all it names lies before the half offset. */
struct op {
    int64_t offset, max_half;
};

struct txn {
    struct broker *b;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    bool stopping;      /* under lock */
    struct node *moved; /* under lock; at most MOVED_MAX */
    /* the thread's */
    int64_t half_offset, op_offset, op_read;
    struct node *decided; /* half offsets >= half_offset */
    struct op *ops;
    size_t ops_from, ops_n, ops_cap;
    uint32_t round_robin;
};

/* ---- half messages ------------------------------------------------------------------------ */

void txn_divert(struct arena *a, struct tl_str uniq_key, struct tl_str *topic,
                int32_t *queue_id, struct tl_str *properties)
{
    static const struct tl_str *const but[] = {&PROP_REAL_TOPIC, &PROP_REAL_QID,
                                               &PROP_TRANSACTION_ID};
    char *out = arena_alloc(a, properties->len + topic->len + uniq_key.len + DIVERT_ROOM + 40);
    char *p = properties_put_but(out, *properties, but, sizeof(but) / sizeof(but[0]));

    p = properties_put(p, PROP_TRANSACTION_ID, uniq_key);
    p = divert_put(p, *topic, *queue_id);
    *properties = tl_str_n(out, (size_t)(p - out));
    *topic = HALF_TOPIC;
    *queue_id = 0;
}

/* ---- records ------------------------------------------------------------------------------ */

/* Encode @r behind what @batch has.  TL_EILLEGAL. */
static int stage(struct append_batch *batch, struct append_entry *e, const struct record *r)
{
    *e = (struct append_entry){.wait_flush = true};
    int rc = record_encode(r, append_reserve(batch, e, record_size(r), 1));
    if (rc)
        append_unreserve(batch, e);
    return rc;
}

/* "decided" for half offset @half. */
static int stage_op(const struct broker *b, struct append_batch *batch, struct append_entry *e,
                    int64_t half)
{
    char body[24];
    int n = snprintf(body, sizeof(body), "%" PRId64 ",", half);
    struct record r = {
        .topic = OP_TOPIC,
        .body = tl_str_n(body, (size_t)n),
        .properties = TL_STR("TAGS\001d\002"),
        .born_timestamp = clock_now_ms(),
        .born_host = b->host,
        .store_host = b->host,
    };
    return stage(batch, e, &r);
}

/* ---- END_TRANSACTION ---------------------------------------------------------------------- */

/* Is this the half message the request means?  False: answered. */
static bool check_half(struct request *rq, const struct record *r)
{
    const struct end_transaction_request *h = request_header(rq);
    int64_t immunity_s, now = clock_now_ms();

    if (tl_str_i64(properties_get(r->properties, PROP_CHECK_IMMUNITY), &immunity_s) &&
        immunity_s >= 0 && !h->from_transaction_check &&
        now - r->born_timestamp > immunity_s * 1000) {
        request_fail(
            rq, RS_ILLEGAL_OPERATION,
            "Message commit fail [producer end]. currentTimeMillis - bornTime > checkImmunityTime");
        return false;
    }
    if (!tl_str_eq(properties_get(r->properties, PROP_PGROUP), h->producer_group))
        request_fail(rq, RS_SYSTEM_ERROR, "The producer group wrong");
    else if (r->queue_offset != h->tran_state_table_offset)
        request_fail(rq, RS_SYSTEM_ERROR, "The transaction state table offset wrong");
    else if (r->log_pos != h->commit_log_offset)
        request_fail(rq, RS_SYSTEM_ERROR, "The commit log offset wrong");
    else
        return true;
    return false;
}

/* A copy made meanwhile is decided with it: 0 or the failure. */
static int decide_copy(struct txn *t, int64_t half)
{
    struct node *n;

    pthread_mutex_lock(&t->lock);
    HASH_FIND(hh, t->moved, &half, sizeof(half), n);
    int64_t to = n ? n->to : -1;
    pthread_mutex_unlock(&t->lock);
    if (to < 0)
        return 0;
    struct append_batch *batch = append_batch_new(NULL, NULL);
    struct append_entry e;
    int rc = stage_op(t->b, batch, &e, to);
    if (!rc)
        rc = append_wait_batch(t->b->store, batch);
    append_batch_free(batch);
    return rc;
}

static int stage_commit(struct broker *b, struct request *rq, struct append_batch *batch,
                        struct append_entry *e, const struct record *half)
{
    struct record r = *half;
    int32_t level = 0;

    divert_restore(&r);
    r.sys_flag = (half->sys_flag & ~SYS_TRANSACTION_MASK) | SYS_COMMIT;
    r.prepared_offset = half->log_pos;
    if (tl_str_i32(properties_get(r.properties, PROP_DELAY), &level) && level > 0)
        schedule_divert(b, &rq->arena, level, &r.topic, &r.queue_id, &r.properties);
    int rc = stage(batch, e, &r);
    if (!rc)
        traffic_put(b->traffic, r.topic, 1, e->size);
    return rc;
}

static void decide(struct broker *b, struct request *rq, const struct record *half, bool commit)
{
    struct append_batch *batch = append_batch_new(NULL, NULL);
    struct append_entry committed, op;
    int rc = commit ? stage_commit(b, rq, batch, &committed, half) : 0;

    if (!rc)
        rc = stage_op(b, batch, &op, half->queue_offset);
    if (!rc)
        rc = append_wait_batch(b->store, batch);
    append_batch_free(batch);
    if (!rc)
        rc = decide_copy(b->txn, half->queue_offset);
    if (rc)
        request_fail(rq, RS_SYSTEM_ERROR, "%s", tl_error_text());
    else if (commit)
        request_ok(rq);
    else
        request_reply(rq, &(struct reply){.remark = TL_STR("not set any response code")});
}

void on_end_transaction(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct end_transaction_request *h = request_header(rq);
    struct read_slice slice;
    struct record r;

    if (h->commit_or_rollback == 0) {
        rq->cmd.flag |= COMMAND_ONEWAY; /* undecided: RocketMQ does not answer either */
        request_ok(rq);
        return;
    }
    if (h->commit_or_rollback != SYS_COMMIT && h->commit_or_rollback != SYS_ROLLBACK) {
        request_fail(rq, RS_SYSTEM_ERROR, "commitOrRollback field wrong");
        return;
    }
    if (read_at(b->store, h->commit_log_offset, &slice)) {
        request_fail(rq, RS_SYSTEM_ERROR, "Find prepared transaction message failed");
        return;
    }
    record_decode(slice.data, slice.len, 0, &r); /* read_at() has checked it */
    if (check_half(rq, &r))
        decide(b, rq, &r, h->commit_or_rollback == SYS_COMMIT);
    read_release_slice(slice.pin);
}

/* ---- what is decided ---------------------------------------------------------------------- */

static struct node *put_node(struct node **table, int64_t offset, int64_t to)
{
    struct node *n;

    HASH_FIND(hh, *table, &offset, sizeof(offset), n);
    if (!n) {
        n = xzalloc(sizeof(*n));
        n->offset = offset;
        HASH_ADD(hh, *table, offset, sizeof(n->offset), n);
    }
    n->to = to;
    return n;
}

static void drop_node(struct node **table, struct node *n)
{
    HASH_DEL(*table, n);
    free(n);
}

static void free_nodes(struct node **table)
{
    struct node *n, *next;

    HASH_ITER (hh, *table, n, next)
        drop_node(table, n);
}

static bool is_decided(const struct txn *t, int64_t half)
{
    struct node *n;

    HASH_FIND(hh, t->decided, &half, sizeof(half), n);
    return n != NULL;
}

static void mark_decided(struct txn *t, int64_t half)
{
    if (half >= t->half_offset && !is_decided(t, half))
        put_node(&t->decided, half, 0);
}

/* The offsets an op record names; marks them.  The largest, -1 for none. */
static int64_t take_op(struct txn *t, const struct record *r, int64_t watch, bool *seen)
{
    int64_t max = -1, half;

    if (!tl_str_is(properties_get(r->properties, PROP_TAGS), "d"))
        return -1;
    for (struct tl_str rest = r->body; rest.data;) {
        if (!tl_str_i64(tl_str_trim(tl_str_cut(&rest, ',')), &half) || half < 0)
            continue;
        mark_decided(t, half);
        *seen |= half == watch;
        max = half > max ? half : max;
    }
    return max;
}

/* The record at an offset of a queue, with a pin; false when it is gone. */
static bool read_one(struct txn *t, struct tl_str topic, int64_t offset,
                     struct read_slice *slice, struct record *r)
{
    int64_t pos = read_log_pos(t->b->store, topic, 0, offset);

    if (pos < 0 || read_at(t->b->store, pos, slice))
        return false;
    record_decode(slice->data, slice->len, 0, r); /* read_at() has checked it */
    return true;
}

/* Take in the new op records.  True when one of them, other than that at @own, names @watch. */
static bool read_ops(struct txn *t, int64_t watch, int64_t own)
{
    int64_t min, max;
    bool seen = false;

    store_queue_bounds(t->b->store, OP_TOPIC, 0, &min, &max);
    if (t->op_read < min)
        t->op_read = min;
    for (; t->op_read < max; t->op_read++) {
        struct read_slice slice;
        struct record r;
        struct op op = {t->op_read, -1};
        if (read_one(t, OP_TOPIC, t->op_read, &slice, &r)) {
            bool named = false;
            op.max_half = take_op(t, &r, watch, &named);
            seen |= named && t->op_read != own;
            read_release_slice(slice.pin);
        }
        if (t->ops_n == t->ops_cap) {
            t->ops_cap = t->ops_cap ? t->ops_cap * 2 : 256;
            t->ops = xrealloc(t->ops, t->ops_cap * sizeof(*t->ops));
        }
        t->ops[t->ops_n++] = op;
    }
    return seen;
}

/* ---- asking ------------------------------------------------------------------------------- */

static int32_t times_asked(const struct record *r)
{
    int32_t n = 0;

    tl_str_i32(properties_get(r->properties, PROP_TRANSACTION_CHECK_TIMES), &n);
    return n > 0 ? n : 0;
}

/* The properties with @asked questions, and @first: where the first copy stood.  In @out. */
static void asked_properties(const struct record *r, int32_t asked, struct tl_str first,
                             struct strbuf *out)
{
    static const struct tl_str *const but[] = {&PROP_TRANSACTION_CHECK_TIMES,
                                               &PROP_TRAN_PREPARED_QUEUE_OFFSET};
    char text[20], *to = strbuf_reserve(out, r->properties.len + 1);

    strbuf_commit(
        out, (size_t)(properties_put_but(to, r->properties, but, first.data ? 2 : 1) - to));
    properties_add(out, PROP_TRANSACTION_CHECK_TIMES, tl_str_n(text, tl_i64_text(asked, text)));
    if (first.data)
        properties_add(out, PROP_TRAN_PREPARED_QUEUE_OFFSET, first);
}

static void next_properties(const struct record *r, struct strbuf *out)
{
    struct tl_str first = properties_get(r->properties, PROP_TRAN_PREPARED_QUEUE_OFFSET);
    char text[20];

    if (!first.len)
        first = tl_str_n(text, tl_i64_text(r->queue_offset, text));
    asked_properties(r, times_asked(r) + 1, first, out);
}

/* From now on whoever decides @r decides its copy at @to as well. */
static void remember_copy(struct txn *t, const struct record *r, int64_t to)
{
    int64_t first = r->queue_offset;

    tl_str_i64(properties_get(r->properties, PROP_TRAN_PREPARED_QUEUE_OFFSET), &first);
    pthread_mutex_lock(&t->lock);
    put_node(&t->moved, r->queue_offset, to);
    put_node(&t->moved, first, to);
    while (HASH_COUNT(t->moved) > MOVED_MAX)
        drop_node(&t->moved, t->moved); /* the oldest */
    pthread_mutex_unlock(&t->lock);
}

/* Store @r anew and, in the same append, that the old copy is decided.  0 or the failure. */
static int copy_half(struct txn *t, const struct record *r, struct tl_str topic,
                     struct tl_str properties, struct append_entry *e, struct append_entry *op)
{
    struct append_batch *batch = append_batch_new(NULL, NULL);
    struct record copy = *r;

    copy.topic = topic;
    copy.queue_id = 0;
    copy.properties = properties;
    int rc = stage(batch, e, &copy);
    if (!rc)
        rc = stage_op(t->b, batch, op, r->queue_offset);
    if (!rc)
        rc = append_wait_batch(t->b->store, batch);
    append_batch_free(batch);
    return rc;
}

/* CHECK_TRANSACTION_STATE for the copy at @e. */
static void ask(struct txn *t, struct conn *conn, const struct record *half,
                struct tl_str properties, const struct append_entry *e)
{
    struct record r = *half;
    char id[MSGID_MAX];

    r.properties = properties;
    divert_restore(&r);
    size_t size = record_size(&r);
    uint8_t *body = xmalloc(size);
    if (record_encode(&r, body) == 0) {
        record_patch(body, e->queue_offset, e->log_pos, e->store_ms);
        struct tl_str uniq = properties_get(properties, PROP_UNIQ_KEY);
        struct check_transaction_request ext = {
            .topic = HALF_TOPIC,
            .tran_state_table_offset = e->queue_offset,
            .commit_log_offset = e->log_pos,
            .msg_id = uniq,
            .transaction_id = uniq,
            .offset_msg_id = tl_str_n(id, msgid_offset_text(&t->b->host, e->log_pos, id)),
            .broker_name = t->b->conf->broker_name,
        };
        struct server_push push = {.code = RQ_CHECK_TRANSACTION_STATE,
                                   .header = &check_transaction_request_header,
                                   .ext = &ext,
                                   .body = tl_str_n(body, size)};
        server_push_oneway(conn, &push);
    }
    free(body);
}

/* The half message was looked at: what now? */
enum verdict { LATER, DONE, STOP };

static enum verdict ask_about(struct txn *t, const struct record *r)
{
    struct tl_str group = properties_get(r->properties, PROP_PGROUP);
    struct conn *conn = clients_producer(t->b->clients, group, t->round_robin++);
    struct append_entry e, op;
    struct strbuf properties;

    if (!conn) {
        log_warn_every(60000,
                       "undecided transactions wait for a producer group=%.*s half=%" PRId64,
                       TL_STR_ARG(group), r->queue_offset);
        return LATER;
    }
    strbuf_init(&properties);
    next_properties(r, &properties);
    int rc = copy_half(t, r, HALF_TOPIC, strbuf_str(&properties), &e, &op);
    if (!rc) {
        remember_copy(t, r, e.queue_offset);
        if (read_ops(t, r->queue_offset, op.queue_offset)) /* decided while it was copied */
            rc = decide_copy(t, r->queue_offset);
        else
            ask(t, conn, r, strbuf_str(&properties), &e);
    }
    if (rc)
        log_warn_every(1000, "transaction not checked, trying again: %s", tl_error_text());
    strbuf_release(&properties);
    conn_unref(conn);
    return rc ? STOP : DONE;
}

/* After all questions: laid aside, where an operator finds it. */
static enum verdict give_up(struct txn *t, const struct record *r)
{
    struct append_entry e, op;

    topics_ensure(t->b->topics, GIVEN_UP, 1, PERM_READ | PERM_WRITE, false, 0);
    if (copy_half(t, r, GIVEN_UP, r->properties, &e, &op)) {
        log_warn_every(1000, "transaction not given up, trying again: %s", tl_error_text());
        return STOP;
    }
    log_warn("transaction given up after %d questions half=%" PRId64 " group=%.*s: it is in %s",
             times_asked(r), r->queue_offset,
             TL_STR_ARG(properties_get(r->properties, PROP_PGROUP)), GIVEN_UP.data);
    return DONE;
}

/* ---- rounds ------------------------------------------------------------------------------- */

/* How long a half message is left alone: after its birth, and after a question. */
static bool left_alone(const struct txn *t, const struct record *r, int64_t now)
{
    int64_t immunity_ms = t->b->conf->transaction_time_out, seconds;
    int32_t asked = times_asked(r);

    if (tl_str_i64(properties_get(r->properties, PROP_CHECK_IMMUNITY), &seconds) &&
        seconds >= 0)
        immunity_ms = seconds * 1000;
    if (now - r->born_timestamp >= 0 && now - r->born_timestamp <= immunity_ms)
        return true;
    int shift = asked - 1 < BACKOFF_DOUBLINGS ? asked - 1 : BACKOFF_DOUBLINGS;
    int64_t pause = asked ? t->b->conf->transaction_check_interval << shift : 0;
    return now - r->store_timestamp < pause * 9 / 10; /* a round may come a little early */
}

static enum verdict look_at(struct txn *t, const struct record *r, int64_t begun)
{
    const struct broker_conf *conf = t->b->conf;
    int64_t kept_ms = (int64_t)conf->file_reserved_time * 3600 * 1000, first;

    if (r->store_timestamp >= begun)
        return STOP; /* a copy of this round, or newer */
    if (tl_str_i64(properties_get(r->properties, PROP_TRAN_PREPARED_QUEUE_OFFSET), &first))
        remember_copy(t, r, r->queue_offset); /* made before a restart */
    if (left_alone(t, r, begun))
        return LATER;
    if (begun - r->born_timestamp > kept_ms) {
        log_warn("transaction dropped: older than fileReservedTime half=%" PRId64,
                 r->queue_offset);
        return DONE;
    }
    return times_asked(r) >= conf->transaction_check_max ? give_up(t, r) : ask_about(t, r);
}

/* Everything before the first undecided one is done with. */
static void advance(struct txn *t)
{
    struct node *n;
    int64_t min, max;

    store_queue_bounds(t->b->store, HALF_TOPIC, 0, &min, &max);
    for (;; t->half_offset++) {
        HASH_FIND(hh, t->decided, &t->half_offset, sizeof(t->half_offset), n);
        if (!n && t->half_offset >= min)
            break;
        if (n)
            drop_node(&t->decided, n);
    }
    while (t->ops_from < t->ops_n && t->ops[t->ops_from].max_half < t->half_offset)
        t->op_offset = t->ops[t->ops_from++].offset + 1;
    if (t->ops_from == t->ops_n)
        t->ops_from = t->ops_n = 0;
    if (t->half_offset > 0)
        offsets_commit(t->b->offsets, GROUP, HALF_TOPIC, 0, t->half_offset);
    if (t->op_offset > 0)
        offsets_commit(t->b->offsets, GROUP, OP_TOPIC, 0, t->op_offset);
}

static bool stopping(struct txn *t)
{
    pthread_mutex_lock(&t->lock);
    bool stop = t->stopping;
    pthread_mutex_unlock(&t->lock);
    return stop;
}

static void round_of_all(struct txn *t)
{
    int64_t begun = clock_now_ms(), began_mono = clock_mono_ms(), min, max;

    read_ops(t, -1, -1);
    store_queue_bounds(t->b->store, HALF_TOPIC, 0, &min, &max);
    for (int64_t i = t->half_offset > min ? t->half_offset : min;
         i < max && clock_mono_ms() - began_mono < ROUND_MS && !stopping(t); i++) {
        struct read_slice slice;
        struct record r;
        if (is_decided(t, i))
            continue;
        if (!read_one(t, HALF_TOPIC, i, &slice, &r)) {
            mark_decided(t, i); /* gone with its log file */
            continue;
        }
        enum verdict v = look_at(t, &r, begun);
        read_release_slice(slice.pin);
        if (v == STOP)
            break;
        if (v == DONE)
            mark_decided(t, i);
    }
    read_ops(t, -1, -1);
    advance(t);
}

static void sleep_ms(struct txn *t, int64_t ms)
{
    struct timespec until = thread_deadline(ms);

    pthread_mutex_lock(&t->lock);
    while (!t->stopping && pthread_cond_timedwait(&t->more, &t->lock, &until) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&t->lock);
}

static void *txn_main(void *arg)
{
    struct txn *t = arg;

    while (!stopping(t)) {
        round_of_all(t);
        sleep_ms(t, t->b->conf->transaction_check_interval);
    }
    return NULL;
}

/* ---- life --------------------------------------------------------------------------------- */

static void release(struct txn *t)
{
    free_nodes(&t->moved);
    free_nodes(&t->decided);
    free(t->ops);
    pthread_cond_destroy(&t->more);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

int txn_start(struct txn **out, struct broker *b)
{
    struct txn *t = xzalloc(sizeof(*t));

    t->b = b;
    pthread_mutex_init(&t->lock, NULL);
    thread_cond_init(&t->more);
    t->half_offset = offsets_query(b->offsets, GROUP, HALF_TOPIC, 0);
    t->op_offset = offsets_query(b->offsets, GROUP, OP_TOPIC, 0);
    t->half_offset = t->half_offset > 0 ? t->half_offset : 0;
    t->op_offset = t->op_offset > 0 ? t->op_offset : 0;
    t->op_read = t->op_offset;
    int rc = thread_start(&t->thread, "txn", ROLE_ANY, txn_main, t);
    if (rc)
        release(t);
    else
        *out = t;
    return rc;
}

void txn_stop(struct txn *t)
{
    pthread_mutex_lock(&t->lock);
    t->stopping = true;
    pthread_cond_signal(&t->more);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    release(t);
}

/* ---- RESUME_CHECK_HALF_MESSAGE ------------------------------------------------------------ */

/* A half message, perhaps one that was given up, is asked about from the beginning again. */
void on_resume_half(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    struct record_host host;
    struct read_slice slice;
    struct record r;
    int64_t pos;

    if (!msgid_offset_parse(request_ext(rq, "msgId"), &host, &pos) ||
        read_at(b->store, pos, &slice)) {
        request_fail(rq, RS_SYSTEM_ERROR, "The message of [%.*s] could not be found",
                     TL_STR_ARG(request_ext(rq, "msgId")));
        return;
    }
    struct append_batch *batch = append_batch_new(NULL, NULL);
    struct append_entry e;
    struct strbuf properties;
    record_decode(slice.data, slice.len, 0, &r); /* read_at() has checked it */
    strbuf_init(&properties);
    asked_properties(&r, 0, TL_STR_NONE, &properties);
    r.topic = HALF_TOPIC;
    r.queue_id = 0;
    r.properties = strbuf_str(&properties);
    int rc = properties_get(r.properties, PROP_REAL_TOPIC).len
                 ? stage(batch, &e, &r)
                 : tl_fail(TL_EINVAL, "no half message");
    if (!rc)
        rc = append_wait_batch(b->store, batch);
    if (rc)
        request_fail(rq, RS_SYSTEM_ERROR,
                     "Put message back to RMQ_SYS_TRANS_HALF_TOPIC failed.");
    else
        request_ok(rq);
    append_batch_free(batch);
    strbuf_release(&properties);
    read_release_slice(slice.pin);
}
