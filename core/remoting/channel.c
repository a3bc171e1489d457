#include "remoting/channel.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <uthash.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/addr.h"
#include "net/conn.h"
#include "net/timer.h"
#include "proto/code.h"

#undef LOG_MODULE
#define LOG_MODULE "remoting"

/* A call that waits for its answer. */
struct call {
    int32_t opaque; /* key */
    struct channel *ch;
    channel_cb cb;
    void *arg;
    struct timer timer;
    UT_hash_handle hh;
};

struct channel {
    struct reactor *r;
    struct addr addr;
    char *text;
    size_t frame_max;
    struct conn *conn; /* a reference, while connecting or connected */
    bool connected;
    int64_t retry_at_ms;           /* no attempt before */
    struct tl_error connect_error; /* why the last attempt failed; code 0 = it did not */
    struct strbuf queued;          /* frames that wait for the connection */
    struct call *calls;
    uint32_t next_opaque;
    struct arena arena; /* of the frame being looked at */
    struct strbuf encode;
    void (*on_request)(void *arg, struct channel *ch, const struct command *rq);
    void *on_request_arg;
    bool closing;
};

int channel_new(struct channel **out, struct reactor *r, const char *addr, size_t frame_max)
{
    struct addr a;
    int rc = addr_parse(tl_str_of(addr), &a);

    if (rc)
        return rc;
    struct channel *ch = xzalloc(sizeof(*ch));
    ch->r = r;
    ch->addr = a;
    ch->text = xstrdup(addr);
    ch->frame_max = frame_max;
    ch->next_opaque = 1;
    arena_init(&ch->arena, 0);
    *out = ch;
    return 0;
}

const char *channel_addr(const struct channel *ch)
{
    return ch->text;
}

void channel_on_request(struct channel *ch,
                        void (*cb)(void *arg, struct channel *ch, const struct command *rq),
                        void *arg)
{
    ch->on_request = cb;
    ch->on_request_arg = arg;
}

/* ---- calls -------------------------------------------------------------------------------- */

/* @list: where it is kept. */
static void end_call(struct call **list, struct call *c, int rc, const struct command *reply)
{
    timer_clear(c->ch->r, &c->timer);
    HASH_DEL(*list, c);
    c->cb(c->arg, rc, reply);
    free(c);
}

/* Those of now: a callback may make new calls, which are none of what failed. */
static void fail_all(struct channel *ch, const char *why)
{
    struct call *failed = ch->calls, *c, *tmp;

    ch->calls = NULL;
    strbuf_clear(&ch->queued);
    HASH_ITER (hh, failed, c, tmp) {
        end_call(&failed, c, tl_fail(TL_ECLOSED, "%s: %s", ch->text, why), NULL);
    }
}

static void call_timed_out(struct timer *t)
{
    struct call *c = (struct call *)((char *)t - offsetof(struct call, timer));

    end_call(&c->ch->calls, c, tl_fail(TL_ETIMEOUT, "%s did not answer in time", c->ch->text),
             NULL);
}

/* ---- the connection ----------------------------------------------------------------------- */

static bool take_frame(struct channel *ch, const struct frame *f)
{
    struct command cmd;
    struct call *c;

    arena_reset(&ch->arena);
    if (command_decode(f, &ch->arena, &cmd)) {
        log_warn_every(1000, "connection closed: frame does not decode peer=%s: %s", ch->text,
                       tl_error_text());
        return false;
    }
    if (!(cmd.flag & COMMAND_RESPONSE)) {
        if (ch->on_request)
            ch->on_request(ch->on_request_arg, ch, &cmd);
        return true;
    }
    HASH_FIND_INT(ch->calls, &cmd.opaque, c);
    if (c)
        end_call(&ch->calls, c, 0, &cmd);
    return true;
}

static int64_t on_input(struct conn *conn, const uint8_t *data, size_t len, size_t *need)
{
    struct channel *ch = conn_owner(conn);
    size_t at = 0;

    while (at < len && conn_is_open(conn)) {
        struct frame f;
        int64_t n = frame_cut(data + at, len - at, ch->frame_max, &f, need);
        if (n < 0)
            log_warn_every(1000, "connection closed: bad frame peer=%s: %s", ch->text,
                           tl_error_text());
        if (n < 0 || (n > 0 && !take_frame(ch, &f)))
            return -1;
        if (n == 0)
            break;
        at += (size_t)n;
    }
    return (int64_t)at;
}

static void on_close(struct conn *conn)
{
    struct channel *ch = conn_owner(conn);

    if (ch->conn != conn)
        return;
    ch->conn = NULL;
    ch->connected = false;
    conn_unref(conn);
    if (!ch->closing)
        fail_all(ch, ch->connect_error.code ? ch->connect_error.text : "connection lost");
}

static const struct conn_ops ops = {.on_input = on_input, .on_close = on_close};

static void on_connected(struct conn *conn, int rc)
{
    struct channel *ch = conn_owner(conn);

    if (rc) {
        ch->retry_at_ms = reactor_now_ms(ch->r) + CHANNEL_RETRY_MS;
        tl_error_save(&ch->connect_error, rc);
        return; /* on_close comes next and fails the calls */
    }
    ch->connected = true;
    conn_write(conn, ch->queued.data, ch->queued.len);
    strbuf_clear(&ch->queued);
}

static int ensure_connection(struct channel *ch)
{
    struct conn_limits limits = conn_limits_default;

    if (ch->conn)
        return 0;
    if (reactor_now_ms(ch->r) < ch->retry_at_ms)
        return tl_fail(TL_ECLOSED, "%s: not reachable a moment ago", ch->text);
    ch->connect_error.code = 0;
    limits.input_max = ch->frame_max + FRAME_PREFIX;
    ch->conn =
        conn_connect(ch->r, &ch->addr, CHANNEL_CONNECT_MS, &ops, &limits, ch, on_connected);
    if (!ch->conn)
        return TL_ECLOSED;
    conn_ref(ch->conn);
    return 0;
}

static void send_frame(struct channel *ch, const struct channel_call *call, int32_t opaque,
                       int32_t flag)
{
    struct command_out c = {
        .code = call->code,
        .version = call->version ? call->version : VERSION_OURS,
        .opaque = opaque,
        .flag = flag,
        .ext_header = call->header,
        .ext_struct = call->ext,
        .extra = call->extra,
        .extra_count = call->extra_count,
        .body_len = call->body.len,
    };
    struct strbuf *out = ch->connected ? &ch->encode : &ch->queued;

    if (ch->connected)
        strbuf_clear(out);
    command_encode(&c, SERIALIZE_JSON, out);
    strbuf_addstr(out, call->body);
    if (ch->connected)
        conn_write(ch->conn, out->data, out->len);
}

/* ---- sending ------------------------------------------------------------------------------ */

/* A call that can't even be tried is answered by its timer, not from within channel_send(). */
static void fail_soon(struct timer *t)
{
    struct call *c = (struct call *)((char *)t - offsetof(struct call, timer));

    end_call(&c->ch->calls, c, tl_fail(TL_ECLOSED, "%s: not reachable", c->ch->text), NULL);
}

static int32_t next_opaque(struct channel *ch)
{
    return (int32_t)ch->next_opaque++;
}

void channel_send(struct channel *ch, const struct channel_call *call, int32_t timeout_ms,
                  channel_cb cb, void *arg)
{
    struct call *c = xzalloc(sizeof(*c));

    assert(reactor_is_own(ch->r) && !ch->closing);
    *c = (struct call){.opaque = next_opaque(ch), .ch = ch, .cb = cb, .arg = arg};
    HASH_ADD_INT(ch->calls, opaque, c);
    if (ensure_connection(ch)) {
        timer_init(&c->timer, fail_soon);
        timer_set(ch->r, &c->timer, 0);
        return;
    }
    timer_init(&c->timer, call_timed_out);
    timer_set(ch->r, &c->timer, timeout_ms);
    send_frame(ch, call, c->opaque, 0);
}

void channel_send_oneway(struct channel *ch, const struct channel_call *call)
{
    assert(reactor_is_own(ch->r));
    if (!ensure_connection(ch))
        send_frame(ch, call, next_opaque(ch), COMMAND_ONEWAY);
}

void channel_answer(struct channel *ch, const struct command *rq, int32_t code,
                    struct tl_str remark, struct tl_str body)
{
    struct command_out c = {
        .code = code,
        .version = VERSION_OURS,
        .opaque = rq->opaque,
        .flag = COMMAND_RESPONSE,
        .remark = remark,
        .body_len = body.len,
    };

    if (!ch->connected || (rq->flag & COMMAND_ONEWAY))
        return;
    strbuf_clear(&ch->encode);
    command_encode(&c, SERIALIZE_JSON, &ch->encode);
    strbuf_addstr(&ch->encode, body);
    conn_write(ch->conn, ch->encode.data, ch->encode.len);
}

void channel_free(struct channel *ch)
{
    ch->closing = true;
    if (ch->conn)
        conn_abort(ch->conn);
    fail_all(ch, "closed");
    arena_release(&ch->arena);
    strbuf_release(&ch->queued);
    strbuf_release(&ch->encode);
    free(ch->text);
    free(ch);
}

/* ---- waiting ------------------------------------------------------------------------------ */

struct waiter {
    struct mail mail;
    struct channel *ch;
    const struct channel_call *call;
    int32_t timeout_ms;
    struct arena *arena;
    struct command *reply;
    struct tl_error error;
    int rc;
    bool done;
    pthread_mutex_t lock;
    pthread_cond_t cond;
};

/* @from's slices live in the connection's buffers: copy them into @a. */
static void copy_command(struct command *to, const struct command *from, struct arena *a)
{
    *to = *from;
    to->remark = from->remark.data ? arena_copy(a, from->remark) : TL_STR_NONE;
    to->body = from->body.data ? arena_copy(a, from->body) : TL_STR_NONE;
    to->ext = arena_alloc(a, (from->ext_count + 1) * sizeof(*to->ext));
    for (uint32_t i = 0; i < from->ext_count; i++)
        to->ext[i] =
            (struct kv){arena_copy(a, from->ext[i].key), arena_copy(a, from->ext[i].value)};
}

static void wait_done(void *arg, int rc, const struct command *reply)
{
    struct waiter *w = arg;

    if (rc)
        tl_error_save(&w->error, rc);
    else
        copy_command(w->reply, reply, w->arena);
    pthread_mutex_lock(&w->lock);
    w->rc = rc;
    w->done = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->lock);
}

static void wait_send(struct mail *m)
{
    struct waiter *w = (struct waiter *)m;
    channel_send(w->ch, w->call, w->timeout_ms, wait_done, w);
}

int channel_call_wait(struct channel *ch, const struct channel_call *call, int32_t timeout_ms,
                      struct arena *reply_arena, struct command *reply)
{
    struct waiter w = {.mail.run = wait_send,
                       .ch = ch,
                       .call = call,
                       .timeout_ms = timeout_ms,
                       .arena = reply_arena,
                       .reply = reply};

    assert(!reactor_is_own(ch->r));
    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.cond, NULL);
    reactor_post(ch->r, &w.mail);
    pthread_mutex_lock(&w.lock);
    while (!w.done)
        pthread_cond_wait(&w.cond, &w.lock);
    pthread_mutex_unlock(&w.lock);
    pthread_cond_destroy(&w.cond);
    pthread_mutex_destroy(&w.lock);
    return w.rc ? tl_error_raise(&w.error) : 0;
}
