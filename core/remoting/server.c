#include "remoting/server.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>
#include <uthash.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/timer.h"
#include "proto/code.h"
#include "remoting/server_io.h"

#undef LOG_MODULE
#define LOG_MODULE "remoting"

enum { GO_AWAY_VERSION = 475, BACKLOG = 1024, IDLE_POLL_MS = 5 };

struct push_call {
    int32_t opaque; /* key */
    struct server_conn *sc;
    server_answer cb;
    void *arg;
    struct timer timer;
    UT_hash_handle hh;
};

/* ---- requests ----------------------------------------------------------------------------- */

static void run_on_worker(struct mail *m)
{
    struct request *rq = (struct request *)m;
    rq->route->handler(rq->server->opts.ctx, rq);
}

static void dispatch(struct server *s, struct request *rq)
{
    int rc = request_decode_header(rq);

    if (rc) {
        request_fail_error(rq, rc);
    } else if (rq->route->lane == LANE_IO) {
        rq->route->handler(s->opts.ctx, rq);
    } else {
        request_keep(rq);
        rq->mail.run = run_on_worker;
        workers_run(s->opts.workers, &rq->mail);
    }
}

/*
 * While stopping: newer clients are told.  Older ones would hand the code to their users; what they
 * try again elsewhere is a closed connection, which it is when all accepted before is answered.
 */
static void turn_away(struct server_conn *sc, struct request *rq)
{
    if (rq->cmd.version > GO_AWAY_VERSION) {
        request_fail(rq, RS_GO_AWAY, "please go away");
        return;
    }
    sc->leaving = true;
    request_free(rq);
}

static void take_request(struct server_conn *sc, struct request *rq)
{
    struct server *s = sc->io->server;

    rq->route = route_find(s->opts.routes, rq->cmd.code);
    if (rq->route && sc->vip && (rq->route->flags & ROUTE_MAIN_ONLY))
        rq->route = NULL;
    if (!rq->route) {
        request_fail(rq, RS_REQUEST_CODE_NOT_SUPPORTED, " request type %d not supported",
                     rq->cmd.code);
        return;
    }
    rq->counters = route_counters(s->opts.routes, rq->route);
    stats_add(&rq->counters->requests, 1);
    if (atomic_load_explicit(&s->draining, memory_order_relaxed))
        turn_away(sc, rq);
    else if (sc->pending > s->opts.pending_max)
        request_fail(rq, RS_SYSTEM_BUSY,
                     "[OVERLOAD]system busy, start flow control for a while");
    else if ((rq->route->flags & ROUTE_NEEDS_EXT) && !rq->cmd.has_ext)
        request_fail(rq, RS_SYSTEM_ERROR, "the request has no extFields");
    else
        dispatch(s, rq);
}

/* ---- answers of clients ------------------------------------------------------------------- */

static void end_call(struct push_call *call, int rc, const struct command *reply)
{
    timer_clear(call->sc->io->reactor, &call->timer);
    HASH_DEL(call->sc->calls, call);
    call->cb(call->arg, rc, reply);
    free(call);
}

static void take_answer(struct server_conn *sc, const struct command *reply)
{
    struct push_call *call;

    HASH_FIND_INT(sc->calls, &reply->opaque, call);
    if (call)
        end_call(call, 0, reply);
    else
        log_debug("answer nobody waits for peer=%s opaque=%d", conn_peer_text(sc->conn),
                  reply->opaque);
}

/* ---- connections -------------------------------------------------------------------------- */

static bool take_frame(struct server_conn *sc, const struct frame *f)
{
    struct request *rq = request_new(sc->io, sc);

    rq->frame = *f;
    if (command_decode(f, &rq->arena, &rq->cmd)) {
        log_warn_every(1000, "connection closed: frame does not decode peer=%s: %s",
                       conn_peer_text(sc->conn), tl_error_text());
        request_free(rq);
        return false;
    }
    if (rq->cmd.nothing) {
        log_warn_every(1000, "frame passed over: its header says nothing peer=%s",
                       conn_peer_text(sc->conn));
        request_free(rq);
    } else if (rq->cmd.flag & COMMAND_RESPONSE) {
        take_answer(sc, &rq->cmd);
        request_free(rq);
    } else {
        take_request(sc, rq);
    }
    return true;
}

static int64_t on_input(struct conn *c, const uint8_t *data, size_t len, size_t *need)
{
    struct server_conn *sc = conn_owner(c);
    size_t at = 0;

    while (at < len && conn_is_open(c)) {
        struct frame f;
        int64_t n = frame_cut(data + at, len - at, sc->io->server->opts.frame_max, &f, need);
        if (n < 0) {
            log_warn_every(1000, "connection closed: bad frame peer=%s: %s", conn_peer_text(c),
                           tl_error_text());
            return -1;
        }
        if (n == 0 || !conn_spend(c))
            break;
        if (!take_frame(sc, &f))
            return -1;
        at += (size_t)n;
    }
    return (int64_t)at;
}

static void on_close(struct conn *c)
{
    struct server_conn *sc = conn_owner(c);
    struct server *s = sc->io->server;
    struct push_call *call, *tmp;

    HASH_ITER (hh, sc->calls, call, tmp) {
        tl_fail(TL_ECLOSED, "client %s is gone", conn_peer_text(c));
        end_call(call, TL_ECLOSED, NULL);
    }
    if (s->opts.on_disconnect)
        s->opts.on_disconnect(s->opts.ctx, c);
    DL_DELETE(sc->io->conns, sc);
    listener_gone(sc->listener);
    atomic_fetch_sub(&s->connections, 1);
}

static const struct conn_ops ops = {.on_input = on_input, .on_close = on_close};

static struct server_io *io_of(struct server *s, const struct reactor *r)
{
    for (int i = 0; i < s->opts.nreactors; i++) {
        if (s->ios[i].reactor == r)
            return &s->ios[i];
    }
    assert(!"a reactor of another server");
    return NULL;
}

static void accepted(struct server *s, struct reactor *r, int fd, const struct addr *peer,
                     bool vip)
{
    struct server_conn *sc = xzalloc(sizeof(*sc));

    sc->io = io_of(s, r);
    sc->vip = vip;
    sc->listener = vip ? s->vip_listener : s->listener;
    sc->conn = conn_new(r, fd, peer, &ops, &s->opts.limits, sc);
    conn_set_release(sc->conn, free, sc);
    DL_APPEND(sc->io->conns, sc);
    atomic_fetch_add(&s->connections, 1);
}

static void on_accept(void *arg, struct reactor *r, int fd, const struct addr *peer)
{
    accepted(arg, r, fd, peer, false);
}

static void on_accept_vip(void *arg, struct reactor *r, int fd, const struct addr *peer)
{
    accepted(arg, r, fd, peer, true);
}

/* ---- life --------------------------------------------------------------------------------- */

static int listen_on(struct server *s, const struct addr *bind_to, struct listener **out,
                     void (*accept_fn)(void *, struct reactor *, int, const struct addr *))
{
    struct listener_opts opts = {
        .bind = *bind_to,
        .reactors = s->opts.reactors,
        .nreactors = s->opts.nreactors,
        .backlog = BACKLOG,
        .max_connections = s->opts.max_connections,
        .on_accept = accept_fn,
        .arg = s,
    };
    return listener_open(out, &opts);
}

static void free_ios(void *arg)
{
    struct server_io *io = arg;

    while (io->free_requests) {
        struct request *rq = io->free_requests;
        io->free_requests = rq->next;
        arena_release(&rq->arena);
        free(rq);
    }
    io->nfree = 0;
    strbuf_release(&io->encode);
}

static void server_free(struct server *s)
{
    for (int i = 0; i < s->opts.nreactors; i++)
        reactor_call(s->ios[i].reactor, free_ios, &s->ios[i]);
    if (s->listener)
        listener_close(s->listener);
    if (s->vip_listener)
        listener_close(s->vip_listener);
    free(s->ios);
    free(s);
}

int server_start(struct server **out, const struct server_opts *opts)
{
    struct server *s = xzalloc(sizeof(*s));

    s->opts = *opts;
    s->ios = xcalloc((size_t)opts->nreactors, sizeof(*s->ios));
    for (int i = 0; i < opts->nreactors; i++)
        s->ios[i] = (struct server_io){.server = s, .reactor = opts->reactors[i]};
    int rc = listen_on(s, &opts->bind, &s->listener, on_accept);
    if (!rc && opts->vip_bind.port)
        rc = listen_on(s, &opts->vip_bind, &s->vip_listener, on_accept_vip);
    if (rc) {
        struct tl_error why;
        tl_error_save(&why, rc);
        server_stop(s);
        return tl_error_raise(&why);
    }
    *out = s;
    return 0;
}

uint16_t server_port(const struct server *s)
{
    return listener_port(s->listener);
}

void server_drain(struct server *s)
{
    atomic_store(&s->draining, true);
    listener_stop(s->listener);
    if (s->vip_listener)
        listener_stop(s->vip_listener);
}

struct queued {
    struct server_io *io;
    size_t bytes;
};

static void count_queued(void *arg)
{
    struct queued *q = arg;
    struct server_conn *sc;

    DL_FOREACH (q->io->conns, sc) {
        q->bytes += conn_queued(sc->conn);
    }
}

/* A request is done with when its answer has left: one larger than the socket's buffer may not have. */
static bool is_idle(struct server *s)
{
    struct queued q = {.bytes = 0};

    if (atomic_load(&s->pending) > 0)
        return false;
    for (int i = 0; i < s->opts.nreactors; i++) {
        q.io = &s->ios[i];
        reactor_call(q.io->reactor, count_queued, &q);
    }
    return q.bytes == 0;
}

bool server_wait_idle(struct server *s, int32_t timeout_ms)
{
    int64_t end = clock_mono_ms() + timeout_ms;
    struct timespec pause = {0, IDLE_POLL_MS * 1000000L};

    while (!is_idle(s)) {
        if (clock_mono_ms() >= end)
            return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

/* Replies that are queued still get one try. */
static void close_all(void *arg)
{
    struct server_io *io = arg;
    struct server_conn *sc, *tmp;

    DL_FOREACH_SAFE (io->conns, sc, tmp) {
        conn_close(sc->conn);
    }
}

static void abort_all(void *arg)
{
    struct server_io *io = arg;
    struct server_conn *sc, *tmp;

    DL_FOREACH_SAFE (io->conns, sc, tmp) {
        conn_abort(sc->conn);
    }
}

static void nothing(void *arg)
{
    (void)arg;
}

void server_stop(struct server *s)
{
    if (s->listener)
        listener_stop(s->listener);
    if (s->vip_listener)
        listener_stop(s->vip_listener);
    for (int i = 0; i < s->opts.nreactors; i++) {
        reactor_call(s->ios[i].reactor, close_all, &s->ios[i]);
        reactor_call(s->ios[i].reactor, abort_all, &s->ios[i]);
        reactor_call(s->ios[i].reactor, nothing,
                     NULL); /* a turn's end: what is freed there is freed */
    }
    server_free(s);
}

int64_t server_connections(const struct server *s)
{
    return atomic_load(&s->connections);
}

/* ---- pushing ------------------------------------------------------------------------------ */

static void encode_push(const struct server *s, const struct server_push *p, int32_t opaque,
                        int32_t flag, struct strbuf *out)
{
    struct command_out c = {
        .code = p->code,
        .version = s->opts.version,
        .opaque = opaque,
        .flag = flag,
        .ext_header = p->header,
        .ext_struct = p->ext,
        .extra = p->extra,
        .extra_count = p->extra_count,
        .body_len = p->body.len,
    };

    command_encode(&c, SERIALIZE_JSON, out);
    strbuf_addstr(out, p->body);
}

/* An encoded push on its way to its connection's reactor. */
struct push_mail {
    struct mail mail;
    struct conn *conn;
    struct strbuf frame;
    int32_t opaque;
    int32_t timeout_ms;
    server_answer cb; /* NULL = one-way */
    void *arg;
};

static void call_timed_out(struct timer *t)
{
    struct push_call *call =
        (struct push_call *)((char *)t - offsetof(struct push_call, timer));

    tl_fail(TL_ETIMEOUT, "client %s did not answer in time", conn_peer_text(call->sc->conn));
    end_call(call, TL_ETIMEOUT, NULL);
}

static void register_call(struct server_conn *sc, struct push_mail *m)
{
    struct push_call *call = xzalloc(sizeof(*call));

    *call = (struct push_call){.opaque = m->opaque, .sc = sc, .cb = m->cb, .arg = m->arg};
    HASH_ADD_INT(sc->calls, opaque, call);
    timer_init(&call->timer, call_timed_out);
    timer_set(sc->io->reactor, &call->timer, m->timeout_ms);
}

static void push_run(struct mail *mail)
{
    struct push_mail *m = (struct push_mail *)mail;
    struct server_conn *sc = conn_owner(m->conn);

    if (conn_is_open(m->conn)) {
        if (m->cb)
            register_call(sc, m);
        conn_write(m->conn, m->frame.data, m->frame.len);
    } else if (m->cb) {
        m->cb(m->arg, tl_fail(TL_ECLOSED, "client %s is gone", conn_peer_text(m->conn)), NULL);
    }
    strbuf_release(&m->frame);
    conn_unref(m->conn);
    free(m);
}

static _Atomic int32_t push_opaque = 1;

static void push(struct conn *c, const struct server_push *p, int32_t timeout_ms,
                 server_answer cb, void *arg)
{
    struct server_conn *sc = conn_owner(c);
    struct push_mail *m = xzalloc(sizeof(*m));

    m->mail.run = push_run;
    m->conn = conn_ref(c);
    m->opaque = atomic_fetch_add_explicit(&push_opaque, 1, memory_order_relaxed);
    m->timeout_ms = timeout_ms;
    m->cb = cb;
    m->arg = arg;
    strbuf_init(&m->frame);
    encode_push(sc->io->server, p, m->opaque, cb ? 0 : COMMAND_ONEWAY, &m->frame);
    if (reactor_is_own(conn_reactor(c)))
        push_run(&m->mail);
    else
        reactor_post(conn_reactor(c), &m->mail);
}

void server_push_oneway(struct conn *c, const struct server_push *p)
{
    push(c, p, 0, NULL, NULL);
}

void server_push_call(struct conn *c, const struct server_push *p, int32_t timeout_ms,
                      server_answer cb, void *arg)
{
    push(c, p, timeout_ms, cb, arg);
}

void *server_conn_user(const struct conn *c)
{
    const struct server_conn *sc = conn_owner(c);
    return sc->user;
}

void server_conn_set_user(struct conn *c, void *user)
{
    struct server_conn *sc = conn_owner(c);
    sc->user = user;
}
