#include "net/conn.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/input.h"
#include "net/timer.h"

#undef LOG_MODULE
#define LOG_MODULE "net"

enum {
    IN_MIN = 16 * 1024, /* first size of a connection's own input buffer */
    OUT_COMPACT =
        256 * 1024, /* sent bytes in front of the buffer that are worth moving the rest */
    WRITE_PIECES = 64,
};

const struct conn_limits conn_limits_default = {
    .input_max = 16777216 + 8,
    .high_water = 8 << 20,
    .idle_ms = 120000,
    .turn_bytes = 64 * 1024,
    .turn_frames = 64,
};

/* A run of output: copied bytes (data NULL, at the offset `at` of the buffer) or borrowed ones. */
struct piece {
    const uint8_t *data;
    size_t at, len;
    void (*release)(void *arg);
    void *arg;
};

struct conn {
    struct mail free_mail; /* first: the last reference may be dropped on another thread */
    struct reactor *r;
    int fd;
    _Atomic int refs;
    _Atomic bool open;
    uint64_t id;
    struct addr peer, local;
    char peer_text[ADDR_TEXT_MAX];
    const struct conn_ops *ops;
    struct conn_limits limits;
    void *owner;
    void (*release)(void *arg); /* of the owner's part */
    void *release_arg;
    struct event read_ev, write_ev;
    bool closing, connecting, paused, spent, writing;
    int connect_errno; /* connect() failed at once */
    bool deaf; /* the peer takes no output any more; what it sent before is still read */
    void (*on_connected)(struct conn *c, int rc);
    /* input */
    uint8_t *in;
    size_t in_len, in_cap, need;
    uint32_t frames_left;
    uint64_t budget_turn;
    struct turn_hook again;
    /* output */
    uint8_t *out;
    size_t out_len, out_cap;
    struct piece *pieces;
    size_t first, npieces, pieces_cap; /* pieces[first .. npieces) are to be sent */
    size_t queued;
    struct turn_hook flush, free_hook;
    struct timer idle;
    int64_t active_ms;
};

static _Atomic uint64_t next_id = 1;

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);
static void input_again(struct turn_hook *h);
static void flush_hook(struct turn_hook *h);
static void idle_fire(struct timer *t);
static void do_close(struct conn *c);

/* ---- making ------------------------------------------------------------------------------- */

static void set_options(int fd)
{
    int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
}

static void learn_local(struct conn *c)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);

    if (getsockname(c->fd, (struct sockaddr *)&ss, &len) == 0)
        addr_from_sockaddr((const struct sockaddr *)&ss, &c->local);
}

static struct conn *make(struct reactor *r, int fd, const struct addr *peer,
                         const struct conn_ops *ops, const struct conn_limits *limits,
                         void *owner)
{
    struct conn *c = xzalloc(sizeof(*c));

    assert(reactor_is_own(r));
    c->r = r;
    c->fd = fd;
    atomic_init(&c->refs, 1);
    atomic_init(&c->open, true);
    c->id = atomic_fetch_add_explicit(&next_id, 1, memory_order_relaxed);
    c->peer = *peer;
    addr_text(peer, c->peer_text);
    c->ops = ops;
    c->limits = *limits;
    c->owner = owner;
    c->again.run = input_again;
    c->flush.run = flush_hook;
    c->active_ms = reactor_now_ms(r);
    event_assign(&c->read_ev, reactor_base(r), fd, EV_READ | EV_PERSIST, on_readable, c);
    event_assign(&c->write_ev, reactor_base(r), fd, EV_WRITE | EV_PERSIST, on_writable, c);
    timer_init(&c->idle, idle_fire);
    set_options(fd);
    return c;
}

static void begin(struct conn *c)
{
    learn_local(c);
    event_add(&c->read_ev, NULL);
    if (c->limits.idle_ms > 0)
        timer_set(c->r, &c->idle, c->limits.idle_ms);
}

struct conn *conn_new(struct reactor *r, int fd, const struct addr *peer,
                      const struct conn_ops *ops, const struct conn_limits *limits, void *owner)
{
    struct conn *c = make(r, fd, peer, ops, limits, owner);

    begin(c);
    return c;
}

struct conn *conn_connect(struct reactor *r, const struct addr *peer, int32_t timeout_ms,
                          const struct conn_ops *ops, const struct conn_limits *limits,
                          void *owner, void (*on_connected)(struct conn *c, int rc))
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(peer, &ss);
    int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        tl_fail_errno(TL_EIO, errno, "socket");
        return NULL;
    }
    struct conn *c = make(r, fd, peer, ops, limits, owner);
    c->connecting = true;
    c->on_connected = on_connected;
    if (connect(fd, (struct sockaddr *)&ss, len) && errno != EINPROGRESS)
        c->connect_errno = errno; /* told by the write event, which comes at once */
    event_add(&c->write_ev, NULL);
    c->writing = true;
    timer_set(r, &c->idle, timeout_ms);
    return c;
}

static void connected(struct conn *c)
{
    int err = 0;
    socklen_t len = sizeof(err);

    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
    timer_clear(c->r, &c->idle);
    if (c->connect_errno)
        err = c->connect_errno;
    c->connecting = false;
    if (err) {
        int rc = tl_fail_errno(TL_ECLOSED, err, "connect to %s", c->peer_text);
        c->on_connected(c, rc);
        do_close(c);
        return;
    }
    event_del(&c->write_ev);
    c->writing = false;
    c->active_ms = reactor_now_ms(c->r);
    begin(c);
    conn_ref(c);
    c->on_connected(c, 0);
    if (c->queued)
        reactor_at_turn_end(c->r, TURN_FLUSH, &c->flush);
    conn_unref(c);
}

/* ---- references --------------------------------------------------------------------------- */

struct conn *conn_ref(struct conn *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

static void give_back(struct conn *c, uint8_t **buf, size_t *cap)
{
    bufpool_give(reactor_buffers(c->r), *buf, *cap);
    *buf = NULL;
    *cap = 0;
}

static void destroy(struct turn_hook *h)
{
    struct conn *c = (struct conn *)((char *)h - offsetof(struct conn, free_hook));

    assert(!atomic_load(&c->open));
    if (c->release)
        c->release(c->release_arg);
    free(c->pieces);
    give_back(c, &c->out, &c->out_cap);
    give_back(c, &c->in, &c->in_cap);
    free(c);
}

static void destroy_at_home(struct mail *m)
{
    struct conn *c = (struct conn *)m;

    c->free_hook.run = destroy;
    reactor_at_turn_end(c->r, TURN_FREE, &c->free_hook);
}

void conn_unref(struct conn *c)
{
    if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (reactor_is_own(c->r)) {
        destroy_at_home(&c->free_mail);
        return;
    }
    c->free_mail.run = destroy_at_home;
    reactor_post(c->r, &c->free_mail);
}

/* ---- closing ------------------------------------------------------------------------------ */

static void release_output(struct conn *c)
{
    for (; c->first < c->npieces; c->first++) {
        struct piece *p = &c->pieces[c->first];
        if (p->release)
            p->release(p->arg);
    }
    c->first = c->npieces = 0;
    c->out_len = c->queued = 0;
}

static void do_close(struct conn *c)
{
    if (!atomic_load_explicit(&c->open, memory_order_relaxed))
        return;
    atomic_store_explicit(&c->open, false, memory_order_release);
    event_del(&c->read_ev);
    event_del(&c->write_ev);
    timer_clear(c->r, &c->idle);
    close(c->fd);
    release_output(c);
    c->in_len = 0;
    c->ops->on_close(c);
    conn_unref(c);
}

void conn_close(struct conn *c)
{
    assert(reactor_is_own(c->r));
    if (c->closing || !conn_is_open(c))
        return;
    c->closing = true;
    event_del(&c->read_ev);
    reactor_at_turn_end(c->r, TURN_FLUSH, &c->flush);
}

void conn_abort(struct conn *c)
{
    assert(reactor_is_own(c->r));
    do_close(c);
}

bool conn_is_open(const struct conn *c)
{
    return atomic_load_explicit(&c->open, memory_order_acquire);
}

static void idle_fire(struct timer *t)
{
    struct conn *c = (struct conn *)((char *)t - offsetof(struct conn, idle));
    int64_t silent = reactor_now_ms(c->r) - c->active_ms;

    if (c->connecting) {
        c->connecting = false;
        c->on_connected(c, tl_fail(TL_ETIMEOUT, "connect to %s: timed out", c->peer_text));
        do_close(c);
    } else if (silent >= c->limits.idle_ms) {
        log_debug("idle connection closed peer=%s silent_ms=%lld", c->peer_text,
                  (long long)silent);
        do_close(c);
    } else {
        timer_set(c->r, t, c->limits.idle_ms - silent);
    }
}

/* ---- input -------------------------------------------------------------------------------- */

bool conn_spend(struct conn *c)
{
    if (c->frames_left == 0 || c->paused) {
        c->spent = true;
        return false;
    }
    c->frames_left--;
    return true;
}

/* Room for the frame that is coming; the first @len bytes of the buffer stay. */
static bool in_reserve(struct conn *c, size_t want, size_t len)
{
    if (want > c->limits.input_max) {
        log_warn_every(1000,
                       "connection closed: frame over the limit peer=%s bytes=%zu limit=%zu",
                       c->peer_text, want, c->limits.input_max);
        return false;
    }
    if (want <= c->in_cap)
        return true;
    size_t cap;
    uint8_t *in = bufpool_take(reactor_buffers(c->r), want < IN_MIN ? IN_MIN : want, &cap);
    if (!in) {
        log_warn_every(1000, "connection closed: no memory for a frame peer=%s bytes=%zu",
                       c->peer_text, want);
        return false;
    }
    if (len)
        memcpy(in, c->in, len);
    give_back(c, &c->in, &c->in_cap);
    c->in = in;
    c->in_cap = cap;
    return true;
}

/* Keep what was not consumed; @rest may lie in the own buffer. */
static bool in_keep(struct conn *c, const uint8_t *rest, size_t len)
{
    if (len == 0) {
        c->in_len = 0;
        give_back(c, &c->in, &c->in_cap);
        return true;
    }
    bool own = c->in && rest >= c->in && rest < c->in + c->in_cap;
    if (own)
        memmove(c->in, rest, len);
    size_t want = c->need > len ? c->need : len + 1;
    if (!in_reserve(c, want, own ? len : 0))
        return false;
    if (!own)
        memcpy(c->in, rest, len);
    c->in_len = len;
    return true;
}

static void budget_renew(struct conn *c)
{
    uint64_t turn = reactor_turns(c->r);

    if (c->budget_turn == turn + 1)
        return;
    c->budget_turn = turn + 1;
    c->frames_left = c->limits.turn_frames;
}

/* The connection outlives the turn it waits for, closed or not. */
static void go_on_next_turn(struct conn *c)
{
    if (c->again.scheduled)
        return;
    conn_ref(c);
    reactor_next_turn(c->r, &c->again);
}

/* Hand @len bytes up; keep the rest. */
static void feed(struct conn *c, const uint8_t *data, size_t len)
{
    conn_ref(c);
    budget_renew(c);
    c->spent = false;
    c->need = 0;
    int64_t n = c->ops->on_input(c, data, len, &c->need);
    if (n < 0 || !conn_is_open(c)) {
        do_close(c);
    } else if (c->closing) {
        c->in_len = 0;
    } else if (!in_keep(c, data + n, len - (size_t)n)) {
        do_close(c);
    } else if (c->spent) {
        go_on_next_turn(c);
    }
    conn_unref(c);
}

static void input_again(struct turn_hook *h)
{
    struct conn *c = (struct conn *)((char *)h - offsetof(struct conn, again));

    if (conn_is_open(c) && !c->closing && !c->paused && c->in_len)
        feed(c, c->in, c->in_len);
    conn_unref(c);
}

/* 1 = bytes came, 0 = none now, -1 = the peer is gone */
static int read_some(struct conn *c, uint8_t *to, size_t room, size_t *got)
{
    ssize_t n;

    do
        n = read(c->fd, to, room);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        *got = (size_t)n;
        c->active_ms = reactor_now_ms(c->r);
        return 1;
    }
    return n < 0 && errno == EAGAIN ? 0 : -1;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    size_t got = 0;
    int rc;

    (void)fd;
    (void)what;
    if (c->paused || c->closing || c->again.scheduled)
        return; /* the next turn has its rest to work on first */
    size_t room =
        c->limits.turn_bytes < REACTOR_SCRATCH ? c->limits.turn_bytes : REACTOR_SCRATCH;
    if (c->in_len == 0) {
        uint8_t *scratch = reactor_scratch(c->r);
        rc = read_some(c, scratch, room, &got);
        if (rc > 0)
            feed(c, scratch, got);
    } else {
        if (room > c->in_cap - c->in_len)
            room = c->in_cap - c->in_len;
        rc = read_some(c, c->in + c->in_len, room, &got);
        if (rc > 0) {
            c->in_len += got;
            if (c->need && c->in_len < c->need)
                return;
            feed(c, c->in, c->in_len);
        }
    }
    if (rc < 0)
        do_close(c);
}

/* ---- output ------------------------------------------------------------------------------- */

static void out_reserve(struct conn *c, size_t n)
{
    if (c->out_len + n <= c->out_cap)
        return;
    size_t want = c->out_len + n, cap;
    if (want < 2 * c->out_cap)
        want = 2 * c->out_cap;
    uint8_t *out = bufpool_take(reactor_buffers(c->r), want, &cap);
    if (!out)
        out = xmalloc(cap = want);
    if (c->out_len)
        memcpy(out, c->out, c->out_len);
    give_back(c, &c->out, &c->out_cap);
    c->out = out;
    c->out_cap = cap;
}

static struct piece *add_piece(struct conn *c)
{
    if (c->npieces == c->pieces_cap) {
        c->pieces_cap = c->pieces_cap ? c->pieces_cap * 2 : 8;
        c->pieces = xrealloc(c->pieces, c->pieces_cap * sizeof(*c->pieces));
    }
    return &c->pieces[c->npieces++];
}

static void output_grew(struct conn *c, size_t n)
{
    c->queued += n;
    reactor_at_turn_end(c->r, TURN_FLUSH, &c->flush);
    if (!c->paused && c->queued > c->limits.high_water) {
        c->paused = true;
        event_del(&c->read_ev);
    }
}

char *conn_write_reserve(struct conn *c, size_t n)
{
    out_reserve(c, n);
    return (char *)c->out + c->out_len;
}

static bool takes_output(const struct conn *c)
{
    return conn_is_open(c) && !c->deaf;
}

void conn_write_commit(struct conn *c, size_t n)
{
    if (!takes_output(c) || n == 0)
        return;
    struct piece *last = c->npieces > c->first ? &c->pieces[c->npieces - 1] : NULL;
    if (last && !last->data && last->at + last->len == c->out_len)
        last->len += n;
    else
        *add_piece(c) = (struct piece){.at = c->out_len, .len = n};
    c->out_len += n;
    output_grew(c, n);
}

void conn_write(struct conn *c, const void *data, size_t len)
{
    if (!takes_output(c) || len == 0)
        return;
    memcpy(conn_write_reserve(c, len), data, len);
    conn_write_commit(c, len);
}

void conn_write_ref(struct conn *c, const void *data, size_t len, void (*release)(void *arg),
                    void *arg)
{
    if (!takes_output(c) || len == 0) {
        release(arg);
        return;
    }
    *add_piece(c) = (struct piece){.data = data, .len = len, .release = release, .arg = arg};
    output_grew(c, len);
}

size_t conn_queued(const struct conn *c)
{
    return c->queued;
}

/* @n bytes have left. */
static void consume(struct conn *c, size_t n)
{
    c->queued -= n;
    while (n > 0) {
        struct piece *p = &c->pieces[c->first];
        size_t take = n < p->len ? n : p->len;
        if (p->data)
            p->data += take;
        else
            p->at += take;
        p->len -= take;
        n -= take;
        if (p->len)
            break;
        if (p->release)
            p->release(p->arg);
        c->first++;
    }
    if (c->first < c->npieces)
        return;
    c->first = c->npieces = 0;
    c->out_len = 0;
    give_back(c, &c->out, &c->out_cap);
}

/* A connection that never drains would grow its buffer for ever: move what is unsent to the front. */
static void compact(struct conn *c)
{
    size_t from = c->out_len;

    for (size_t i = c->first; i < c->npieces && from == c->out_len; i++) {
        if (!c->pieces[i].data)
            from = c->pieces[i].at;
    }
    if (from < OUT_COMPACT || from < c->out_len / 2)
        return;
    memmove(c->out, c->out + from, c->out_len - from);
    c->out_len -= from;
    memmove(c->pieces, c->pieces + c->first, (c->npieces - c->first) * sizeof(*c->pieces));
    c->npieces -= c->first;
    c->first = 0;
    for (size_t i = 0; i < c->npieces; i++) {
        if (!c->pieces[i].data)
            c->pieces[i].at -= from;
    }
}

static size_t gather(const struct conn *c, struct iovec iov[WRITE_PIECES])
{
    size_t n = 0;

    for (size_t i = c->first; i < c->npieces && n < WRITE_PIECES; i++, n++) {
        const struct piece *p = &c->pieces[i];
        /* writev() does not write to what iov_base points at. */
        iov[n] =
            (struct iovec){(void *)(uintptr_t)(p->data ? p->data : c->out + p->at), p->len};
    }
    return n;
}

/* 0 = all sent, 1 = the socket is full, -1 = the peer is gone */
static int send_queued(struct conn *c)
{
    struct iovec iov[WRITE_PIECES];

    while (c->queued) {
        ssize_t n = writev(c->fd, iov, (int)gather(c, iov));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 1 : -1;
        c->active_ms = reactor_now_ms(c->r);
        consume(c, (size_t)n);
    }
    return 0;
}

static void want_writable(struct conn *c, bool want)
{
    if (c->writing == want)
        return;
    c->writing = want;
    if (want)
        event_add(&c->write_ev, NULL);
    else
        event_del(&c->write_ev);
}

static void flush(struct conn *c)
{
    if (!conn_is_open(c) || (c->connecting && !c->closing))
        return;
    int rc = c->connecting ? 0 : send_queued(c);
    if (c->closing) {
        do_close(c);
        return;
    }
    if (rc < 0) {
        /* A client that sent without waiting for answers and left: its requests count. */
        c->deaf = true;
        release_output(c);
        shutdown(c->fd, SHUT_RDWR); /* the end of the input closes, also after an odd error */
    }
    if (rc > 0)
        compact(c);
    want_writable(c, rc > 0);
    if (c->paused && c->queued <= c->limits.high_water / 2) {
        c->paused = false;
        event_add(&c->read_ev, NULL);
        if (c->in_len)
            go_on_next_turn(c);
    }
}

static void flush_hook(struct turn_hook *h)
{
    flush((struct conn *)((char *)h - offsetof(struct conn, flush)));
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;

    (void)fd;
    (void)what;
    if (c->connecting)
        connected(c);
    else
        flush(c);
}

/* ---- small ones --------------------------------------------------------------------------- */

struct reactor *conn_reactor(const struct conn *c)
{
    return c->r;
}

const struct addr *conn_peer(const struct conn *c)
{
    return &c->peer;
}

const char *conn_peer_text(const struct conn *c)
{
    return c->peer_text;
}

const struct addr *conn_local(const struct conn *c)
{
    return &c->local;
}

void *conn_owner(const struct conn *c)
{
    return c->owner;
}

void conn_set_owner(struct conn *c, void *owner)
{
    c->owner = owner;
}

void conn_set_release(struct conn *c, void (*release)(void *arg), void *arg)
{
    c->release = release;
    c->release_arg = arg;
}

uint64_t conn_id(const struct conn *c)
{
    return c->id;
}
