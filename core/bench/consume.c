/*
 * consume - links that pull: a request under way for each of their queues, as clients have
 *
 * The opaque is OPAQUE_FIRST + the number of the queue in the link.
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "bench/run.h"
#include "proto/code.h"
#include "proto/flags.h"
#include "proto/hdr_consume.h"
#include "proto/record.h"

enum { OPAQUE_FIRST = 1000000000, SUSPEND_MS = 15000 };

struct cursor {
    const struct target *target;
    int64_t offset, end; /* end INT64_MAX: go on for ever */
    int64_t since_ns;    /* of the pull under way */
    bool ended;
};

struct puller {
    struct link link; /* first */
    struct cursor *cursors;
    int32_t ncursors, left; /* left: not ended */
};

static void pull(struct puller *p, int32_t i)
{
    struct worker *w = p->link.w;
    const struct bench_options *o = w->run->o;
    struct cursor *c = &p->cursors[i];
    bool waits = c->end == INT64_MAX;
    struct pull_request ext = {
        .consumer_group = tl_str_of(o->group),
        .topic = tl_str_of(c->target->topic),
        .queue_id = c->target->queue_id,
        .queue_offset = c->offset,
        .max_msg_nums = o->pull_max,
        .sys_flag = PULL_SUBSCRIPTION | (waits ? PULL_SUSPEND : 0),
        .suspend_timeout_ms = waits ? SUSPEND_MS : 0,
        .subscription = tl_str_of(o->tag ? o->tag : "*"),
        .expression_type = TL_STR("TAG"),
    };
    struct command_out out = {
        .code = RQ_PULL_MESSAGE,
        .version = VERSION_OURS,
        .opaque = OPAQUE_FIRST + i,
        .ext_header = &pull_request_header,
        .ext_struct = &ext,
    };

    strbuf_clear(&w->encode);
    command_encode(&out, SERIALIZE_JSON, &w->encode);
    c->since_ns = clock_mono_ns();
    conn_write(p->link.conn, w->encode.data, w->encode.len);
}

static void end_queue(struct puller *p, struct cursor *c)
{
    c->ended = true;
    if (--p->left == 0)
        link_done(&p->link);
}

/* The time a message of this run took; -1 for others and those of the warm-up. */
static int64_t age_of(const struct run *run, const uint8_t *rec, size_t len, int64_t now)
{
    struct record r;
    struct stamp stamp;

    if (record_decode(rec, len, 0, &r) != RECORD_MESSAGE || r.body.len < sizeof(stamp))
        return -1;
    memcpy(&stamp, r.body.data, sizeof(stamp));
    if (stamp.run != run->id || stamp.zero != 0)
        return -1;
    return stamp.at_ns < run->from_ns ? -1 : now - stamp.at_ns;
}

/* Count the records of an answer; false when it is not made of records. */
static bool take_records(struct worker *w, struct tl_str body)
{
    const uint8_t *at = (const uint8_t *)body.data;
    struct run *run = w->run;
    bool timed = run->o->mode & BENCH_PRODUCE;
    int64_t now = clock_mono_ns();
    bool counts = now >= run->from_ns && now <= run->until_ns;
    uint64_t n = 0, measured = 0;

    for (size_t left = body.len; left > 0; n++) {
        uint32_t size = left >= 4 ? get_be32(at) : 0;
        if (size < 4 || size > left)
            return false;
        int64_t age = timed ? age_of(run, at, left, now) : 0;
        if (timed && age >= 0) {
            stats_hist_record(&w->e2e, (uint64_t)age / 1000);
            measured++;
        }
        at += size;
        left -= size;
    }
    stats_add(&run->tally.all_received, n);
    if (timed) {
        stats_add(&run->tally.received, measured);
        stats_add(&run->tally.bytes, measured * (uint64_t)run->o->size);
    } else if (counts) {
        stats_add(&run->tally.received, n);
        stats_add(&run->tally.bytes, body.len);
    }
    if (counts)
        w->last_ns = now;
    return true;
}

static void on_reply(struct link *l, const struct command *reply)
{
    struct puller *p = (struct puller *)l;
    struct worker *w = l->w;
    int32_t i = reply->opaque - OPAQUE_FIRST;

    if (i < 0 || i >= p->ncursors || p->cursors[i].ended)
        return;
    struct cursor *c = &p->cursors[i];
    int64_t now = clock_mono_ns();
    if (reply->code == RS_SUCCESS) {
        if (now >= w->run->from_ns && now <= w->run->until_ns)
            stats_hist_record(&w->pull, (uint64_t)(now - c->since_ns) / 1000);
        if (!take_records(w, reply->body)) {
            conn_abort(l->conn);
            return;
        }
    } else if (reply->code != RS_PULL_NOT_FOUND && reply->code != RS_PULL_RETRY_IMMEDIATELY &&
               reply->code != RS_PULL_OFFSET_MOVED) {
        link_refused(l, reply);
        end_queue(p, c);
        return;
    }
    tl_str_i64(command_ext(reply, "nextBeginOffset"), &c->offset);
    if (c->offset >= c->end)
        end_queue(p, c);
    else
        pull(p, i);
}

static void on_up(struct link *l)
{
    struct puller *p = (struct puller *)l;

    for (int32_t i = 0; i < p->ncursors; i++) {
        if (p->cursors[i].offset < p->cursors[i].end)
            pull(p, i);
        else
            end_queue(p, &p->cursors[i]);
    }
}

static void puller_free(struct link *l)
{
    struct puller *p = (struct puller *)l;

    free(p->cursors);
    free(p);
}

struct link *puller_new(struct worker *w, int index, const char *addr)
{
    const struct run *run = w->run;
    const struct bench_options *o = run->o;
    struct puller *p = xzalloc(sizeof(*p));
    int32_t n = 0;

    p->link = (struct link){
        .w = w, .addr = addr, .on_up = on_up, .on_reply = on_reply, .free = puller_free};
    p->cursors = xcalloc(run->targets.n, sizeof(*p->cursors));
    for (size_t i = 0; i < run->targets.n; i++) {
        const struct target *t = &run->targets.items[i];
        if (strcmp(t->addr, addr) != 0 || n++ % o->connections != index)
            continue;
        bool follows = (o->mode & BENCH_PRODUCE) || o->duration_s > 0;
        p->cursors[p->ncursors++] = (struct cursor){
            .target = t,
            .offset = (o->mode & BENCH_PRODUCE) ? t->max_offset : t->min_offset,
            .end = follows ? INT64_MAX : t->max_offset,
        };
    }
    p->left = p->ncursors;
    if (p->ncursors == 0) { /* fewer queues than connections */
        free(p->cursors);
        free(p);
        return NULL;
    }
    return &p->link;
}
