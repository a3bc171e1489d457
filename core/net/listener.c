#include "net/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/timer.h"

#undef LOG_MODULE
#define LOG_MODULE "net"

enum { ACCEPTS_PER_EVENT = 64, PAUSE_MS = 100 };

/* The part of a listener that lives on one reactor. */
struct acceptor {
    struct listener *l;
    struct reactor *r;
    int fd;
    struct event *ev;
    struct timer resume; /* accepting pauses while descriptors are out */
};

struct listener {
    struct listener_opts opts;
    uint16_t port;
    _Atomic int64_t connections;
    bool stopped;
    int n;
    struct acceptor acceptors[];
};

static int bind_socket(const struct addr *bind_to, bool shared, int backlog, int *out)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(bind_to, &ss);
    char text[ADDR_TEXT_MAX];
    int one = 1, fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    addr_text(bind_to, text);
    if (fd < 0)
        return tl_fail_errno(TL_EIO, errno, "listen on %s", text);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (shared)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&ss, len) || listen(fd, backlog)) {
        int err = errno;
        close(fd);
        return tl_fail_errno(TL_EIO, err, "listen on %s", text);
    }
    *out = fd;
    return 0;
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    struct addr a = {0};

    if (getsockname(fd, (struct sockaddr *)&ss, &len) == 0)
        addr_from_sockaddr((const struct sockaddr *)&ss, &a);
    return a.port;
}

/* A port some other process has is refused even when both would share it. */
static int probe(const struct addr *bind_to)
{
    int fd, rc = bind_to->port ? bind_socket(bind_to, false, 1, &fd) : 0;

    if (!rc && bind_to->port)
        close(fd);
    return rc;
}

static int open_sockets(struct listener *l)
{
    struct addr bind_to = l->opts.bind;
    int rc = l->n > 1 ? probe(&bind_to) : 0;

    for (int i = 0; i < l->n && !rc; i++) {
        rc = bind_socket(&bind_to, l->n > 1, l->opts.backlog, &l->acceptors[i].fd);
        if (!rc)
            bind_to.port = l->port = bound_port(l->acceptors[i].fd);
    }
    return rc;
}

static void take(struct acceptor *a, int fd, const struct sockaddr_storage *ss)
{
    struct listener *l = a->l;
    struct addr peer;

    addr_from_sockaddr((const struct sockaddr *)ss, &peer);
    if (l->opts.max_connections && atomic_load(&l->connections) >= l->opts.max_connections) {
        log_warn_every(1000, "connection refused: limit reached limit=%lld",
                       (long long)l->opts.max_connections);
        close(fd);
        return;
    }
    atomic_fetch_add(&l->connections, 1);
    l->opts.on_accept(l->opts.arg, a->r, fd, &peer);
}

static void on_acceptable(evutil_socket_t listen_fd, short what, void *arg)
{
    struct acceptor *a = arg;

    (void)what;
    for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
        struct sockaddr_storage ss;
        socklen_t len = sizeof(ss);
        int fd = accept4(listen_fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take(a, fd, &ss);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            log_warn_every(1000, "accepting pauses ms=%d error=%s", PAUSE_MS, strerror(errno));
            event_del(a->ev);
            timer_set(a->r, &a->resume, PAUSE_MS);
        }
        if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

static void resume_fire(struct timer *t)
{
    struct acceptor *a = (struct acceptor *)((char *)t - offsetof(struct acceptor, resume));
    event_add(a->ev, NULL);
}

static void acceptor_begin(void *arg)
{
    struct acceptor *a = arg;

    timer_init(&a->resume, resume_fire);
    a->ev = event_new(reactor_base(a->r), a->fd, EV_READ | EV_PERSIST, on_acceptable, a);
    event_add(a->ev, NULL);
}

static void acceptor_end(void *arg)
{
    struct acceptor *a = arg;

    timer_clear(a->r, &a->resume);
    event_free(a->ev);
}

int listener_open(struct listener **out, const struct listener_opts *opts)
{
    struct listener *l =
        xzalloc(sizeof(*l) + (size_t)opts->nreactors * sizeof(l->acceptors[0]));

    l->opts = *opts;
    l->n = opts->nreactors;
    for (int i = 0; i < l->n; i++)
        l->acceptors[i] = (struct acceptor){.l = l, .r = opts->reactors[i], .fd = -1};
    int rc = open_sockets(l);
    if (rc) {
        for (int i = 0; i < l->n; i++) {
            if (l->acceptors[i].fd >= 0)
                close(l->acceptors[i].fd);
        }
        free(l);
        return rc;
    }
    *out = l; /* before the first connection can come */
    for (int i = 0; i < l->n; i++)
        reactor_call(l->acceptors[i].r, acceptor_begin, &l->acceptors[i]);
    return 0;
}

uint16_t listener_port(const struct listener *l)
{
    return l->port;
}

void listener_stop(struct listener *l)
{
    for (int i = 0; i < l->n && !l->stopped; i++) {
        reactor_call(l->acceptors[i].r, acceptor_end, &l->acceptors[i]);
        close(l->acceptors[i].fd);
    }
    l->stopped = true;
}

void listener_close(struct listener *l)
{
    listener_stop(l);
    free(l);
}

void listener_gone(struct listener *l)
{
    atomic_fetch_sub(&l->connections, 1);
}
