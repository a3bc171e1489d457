#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "t.h"

enum { WAIT_S = 30 };

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void set_options(int fd)
{
    struct timeval wait = {WAIT_S, 0};
    int one = 1;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* The socket, or -errno. */
static int try_connect(uint16_t port)
{
    struct sockaddr_in to = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    set_options(fd);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
        return fd;
    int err = errno;
    close(fd);
    return -err;
}

int peer_connect(uint16_t port)
{
    int fd = try_connect(port);

    if (fd < 0)
        CHECK_STR(strerror(-fd), "connected");
    return fd;
}

bool peer_is_refused(uint16_t port)
{
    int fd = try_connect(port);

    if (fd >= 0)
        close(fd);
    return fd == -ECONNREFUSED;
}

int peer_listen(int backlog, uint16_t *port)
{
    struct sockaddr_in at = loopback(0);
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    set_options(fd);
    CHECK_INT(bind(fd, (struct sockaddr *)&at, len), 0);
    CHECK_INT(listen(fd, backlog), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

int peer_accept(int listen_fd)
{
    int fd = accept(listen_fd, NULL, NULL);

    CHECK(fd >= 0);
    set_options(fd);
    return fd;
}

void peer_send(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            CHECK_STR(strerror(errno), "sent");
        p += n;
        len -= (size_t)n;
    }
}

/* Bytes read, 0 at the end, -1 when reset. */
static ssize_t read_some(int fd, void *data, size_t len)
{
    ssize_t n;

    do
        n = recv(fd, data, len, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno != ECONNRESET)
        CHECK_STR(strerror(errno), "received");
    return n;
}

void peer_recv(int fd, void *data, size_t len)
{
    char *p = data;
    size_t got = 0;

    while (got < len) {
        ssize_t n = read_some(fd, p + got, len - got);
        if (n <= 0)
            CHECK_INT(got, len);
        got += (size_t)n;
    }
}

void peer_await_close(int fd, size_t *unread)
{
    char buf[65536];
    ssize_t n;

    if (unread)
        *unread = 0;
    while ((n = read_some(fd, buf, sizeof(buf))) > 0) {
        if (unread)
            *unread += (size_t)n;
    }
}

void peer_end_output(int fd)
{
    CHECK_INT(shutdown(fd, SHUT_WR), 0);
}

void peer_close(int fd)
{
    CHECK_INT(close(fd), 0);
}

void peer_reset(int fd)
{
    struct linger at_once = {1, 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    CHECK_INT(close(fd), 0);
}
