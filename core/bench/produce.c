/*
 * produce - links that send
 *
 * A frame is made once for each queue; for a message only the opaque, the time and the unique key in it
 * change, all of fixed width, so that the load costs little beside the broker it measures.
 * The opaque is OPAQUE_FIRST + the slot of the window the send occupies.
 */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "bench/run.h"
#include "proto/code.h"
#include "proto/msgid.h"
#include "proto/names.h"
#include "proto/properties.h"

enum { OPAQUE_FIRST = 1000000000, OPAQUE_DIGITS = 10, BORN_DIGITS = 13, KEY_LEN = 32 };

struct pattern { /* the frame of a send up to the body */
    char *bytes;
    size_t len, at_opaque, at_born, at_key;
};

struct sender {
    struct link link; /* first */
    struct pattern *patterns;
    size_t npatterns, next;
    int64_t *since; /* of each slot: when its send was due */
    int32_t *idle;  /* slots without a send */
    int32_t nidle;
    char *body;
    struct msgid_maker ids;
};

/* ---- frames ------------------------------------------------------------------------------- */

static size_t place_of(const struct strbuf *b, const char *what)
{
    const char *at = memmem(b->data, b->len, what, strlen(what));

    assert(at);
    return (size_t)(at - b->data);
}

static struct pattern make_pattern(const struct bench_options *o, const struct target *t)
{
    static const char born[] = "1111111111111", opaque[] = "1000000000",
                      key[] = "KKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKK";
    struct strbuf frame, props;
    char queue[20];

    strbuf_init(&frame);
    strbuf_init(&props);
    properties_add(&props, PROP_UNIQ_KEY, tl_str_of(key));
    properties_add(&props, PROP_WAIT, TL_STR("true"));
    if (o->tag)
        properties_add(&props, PROP_TAGS, tl_str_of(o->tag));
    /* SendMessageRequestHeaderV2, as stock clients send it */
    struct kv fields[] = {
        {TL_STR("a"), tl_str_of(o->group)},
        {TL_STR("b"), tl_str_of(t->topic)},
        {TL_STR("c"), TL_STR(NAME_TBW102)},
        {TL_STR("d"), TL_STR("4")},
        {TL_STR("e"), tl_str_n(queue, tl_i64_text(t->queue_id, queue))},
        {TL_STR("f"), TL_STR("0")},
        {TL_STR("g"), tl_str_of(born)},
        {TL_STR("h"), TL_STR("0")},
        {TL_STR("i"), strbuf_str(&props)},
        {TL_STR("j"), TL_STR("0")},
        {TL_STR("k"), TL_STR("false")},
        {TL_STR("m"), TL_STR("false")},
    };
    struct command_out c = {
        .code = RQ_SEND_MESSAGE_V2,
        .version = VERSION_OURS,
        .opaque = OPAQUE_FIRST,
        .extra = fields,
        .extra_count = sizeof(fields) / sizeof(fields[0]),
        .body_len = (size_t)o->size,
    };
    command_encode(&c, SERIALIZE_JSON, &frame);
    strbuf_release(&props);
    struct pattern p = {
        .len = frame.len,
        .at_opaque = place_of(&frame, opaque),
        .at_born = place_of(&frame, born),
        .at_key = place_of(&frame, key),
    };
    p.bytes = strbuf_detach(&frame, NULL);
    return p;
}

static void put_digits(char *at, int64_t n, int digits)
{
    while (digits > 0) {
        at[--digits] = (char)('0' + n % 10);
        n /= 10;
    }
}

static void send_one(struct sender *s, int64_t due_ns)
{
    const struct bench_options *o = s->link.w->run->o;
    const struct pattern *p = &s->patterns[s->next++ % s->npatterns];
    int32_t slot = s->idle[--s->nidle];
    int64_t wall_ms = clock_now_ms();
    size_t size = (size_t)o->size;
    char *to = conn_write_reserve(s->link.conn, p->len + size);
    struct stamp stamp = {.run = s->link.w->run->id, .at_ns = due_ns};

    memcpy(to, p->bytes, p->len);
    put_digits(to + p->at_opaque, OPAQUE_FIRST + slot, OPAQUE_DIGITS);
    put_digits(to + p->at_born, wall_ms, BORN_DIGITS);
    msgid_make(&s->ids, wall_ms, to + p->at_key);
    memcpy(to + p->len, s->body, size);
    memcpy(to + p->len, &stamp, sizeof(stamp));
    s->since[slot] = due_ns;
    conn_write_commit(s->link.conn, p->len + size);
}

/* ---- pacing ------------------------------------------------------------------------------- */

static struct sender *with_room(struct worker *w)
{
    for (int i = 0; i < w->nlinks; i++) {
        struct link *l = w->links[w->round++ % w->nlinks];
        struct sender *s = (struct sender *)l;
        if (l->sends && l->up && !l->done && s->nidle > 0)
            return s;
    }
    return NULL;
}

static int64_t due_at(const struct worker *w, int64_t k)
{
    return w->start_ns + (int64_t)llround((double)k * w->interval_ns);
}

static void end_when_answered(struct sender *s)
{
    if (s->nidle == s->link.w->run->o->window)
        link_done(&s->link);
}

static void end_sending(struct worker *w, int64_t now)
{
    int64_t over = w->run->until_ns < now ? w->run->until_ns : now;

    w->ended = true;
    if (w->interval_ns > 0 && w->due < w->share) {
        int64_t were_due = (int64_t)((double)(over - w->start_ns) / w->interval_ns);
        were_due = were_due < w->share ? were_due : w->share;
        w->missed = were_due > w->due ? were_due - w->due : 0;
    }
    for (int i = 0; i < w->nlinks; i++) {
        if (w->links[i]->sends)
            end_when_answered((struct sender *)w->links[i]);
    }
}

/* Send what is due (closed loop: as much as the windows take); then arm the alarm for the next one. */
static void pump(struct worker *w)
{
    int64_t now = clock_mono_ns();
    struct sender *s;

    while (!w->ended) {
        if (now >= w->run->until_ns || w->due >= w->share) {
            end_sending(w, now);
            return;
        }
        int64_t due = w->interval_ns > 0 ? due_at(w, w->due) : now;
        if (due > now) {
            alarm_set(w->alarm, due < w->run->until_ns ? due : w->run->until_ns);
            return;
        }
        s = with_room(w);
        if (!s) {
            alarm_set(w->alarm, now + 1000000000 < w->run->until_ns ? now + 1000000000
                                                                    : w->run->until_ns);
            return; /* an answer makes room */
        }
        send_one(s, due);
        w->due++;
    }
}

static void on_alarm(void *arg)
{
    pump(arg);
}

void pacing_begin(struct worker *w)
{
    const struct bench_options *o = w->run->o;
    int senders = 0;

    for (int i = 0; i < w->nlinks; i++)
        senders += w->links[i]->sends;
    if (!senders)
        return;
    double part = (double)senders / o->connections;
    w->interval_ns = o->rate > 0 ? 1e9 / (o->rate * part) : 0;
    w->start_ns = clock_mono_ns();
    w->alarm = alarm_new(w->r, on_alarm, w);
    if (!w->alarm)
        w->share = 0;
    pump(w);
}

/* ---- a link ------------------------------------------------------------------------------- */

static void on_up(struct link *l)
{
    if (l->w->start_ns)
        pump(l->w);
}

static void count_sent(struct sender *s, const struct command *reply, int64_t since)
{
    struct worker *w = s->link.w;
    struct tally *t = &w->run->tally;
    int64_t now = clock_mono_ns();

    if (reply->code != RS_SUCCESS && reply->code != RS_FLUSH_DISK_TIMEOUT &&
        reply->code != RS_SLAVE_NOT_AVAILABLE && reply->code != RS_FLUSH_SLAVE_TIMEOUT) {
        link_refused(&s->link, reply);
        return;
    }
    stats_add(&t->all_sent, 1);
    if (since < w->run->from_ns || now > w->run->until_ns)
        return;
    stats_add(&t->sent, 1);
    if (!(w->run->o->mode & BENCH_CONSUME))
        stats_add(&t->bytes, (uint64_t)w->run->o->size);
    stats_hist_record(&w->send, (uint64_t)(now - since) / 1000);
    w->last_ns = now;
}

static void on_reply(struct link *l, const struct command *reply)
{
    struct sender *s = (struct sender *)l;
    int32_t slot = reply->opaque - OPAQUE_FIRST;

    if (slot < 0 || slot >= l->w->run->o->window || !s->since[slot])
        return;
    count_sent(s, reply, s->since[slot]);
    s->since[slot] = 0;
    s->idle[s->nidle++] = slot;
    if (l->w->ended)
        end_when_answered(s);
    else
        pump(l->w);
}

static void sender_free(struct link *l)
{
    struct sender *s = (struct sender *)l;

    for (size_t i = 0; i < s->npatterns; i++)
        free(s->patterns[i].bytes);
    free(s->patterns);
    free(s->since);
    free(s->idle);
    free(s->body);
    free(s);
}

struct link *sender_new(struct worker *w, int index, const char *addr)
{
    const struct bench_options *o = w->run->o;
    const struct targets *t = &w->run->targets;
    struct sender *s = xzalloc(sizeof(*s));
    static const uint8_t ip[4] = {127, 0, 0, 1};

    s->link = (struct link){.w = w,
                            .addr = addr,
                            .sends = true,
                            .on_up = on_up,
                            .on_reply = on_reply,
                            .free = sender_free};
    s->patterns = xcalloc(t->n, sizeof(*s->patterns));
    for (size_t i = 0; i < t->n; i++) {
        if (strcmp(t->items[i].addr, addr) == 0)
            s->patterns[s->npatterns++] = make_pattern(o, &t->items[i]);
    }
    s->next = (size_t)index % s->npatterns;
    s->since = xcalloc((size_t)o->window, sizeof(*s->since));
    s->idle = xcalloc((size_t)o->window, sizeof(*s->idle));
    while (s->nidle < o->window) {
        s->idle[s->nidle] = s->nidle;
        s->nidle++;
    }
    s->body = xmalloc((size_t)o->size);
    for (int32_t i = 0; i < o->size; i++)
        s->body[i] = "abcdefghijklmnopqrstuvwxyz"[(i * 7 + i / 26) % 26];
    msgid_maker_init(&s->ids, ip, (uint32_t)clock_mono_ns() + (uint32_t)index);
    return &s->link;
}
