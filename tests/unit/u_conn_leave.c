#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/addr.h"
#include "net/conn.h"
#include "net/reactor.h"
#include "t.h"

enum { FRAMES = 500, LEAVES_AT = 10 };

/* A connection for which each byte is a frame, answered by a copied and a borrowed piece. */
struct peer {
    struct mail start;
    struct reactor *r;
    struct conn_limits limits;
    int fd, server_fd;
    int frames, borrowed, released, closed;
};

static void released(void *arg)
{
    ((struct peer *)arg)->released++;
}

static int64_t take_frames(struct conn *c, const uint8_t *data, size_t len, size_t *need)
{
    struct peer *p = conn_owner(c);
    size_t at = 0;

    (void)data;
    (void)need;
    for (; at < len && conn_spend(c); at++) {
        conn_write(c, "copied", 6);
        conn_write_ref(c, "borrowed", 8, released, p);
        p->borrowed++;
        if (++p->frames == LEAVES_AT)
            close(p->fd); /* with answers it did not read: the kernel resets the connection */
    }
    return (int64_t)at;
}

static void gone(struct conn *c)
{
    struct peer *p = conn_owner(c);

    p->closed++;
    reactor_stop(p->r);
}

static const struct conn_ops ops = {take_frames, gone};

/* Both ends of a TCP connection on the loopback interface. */
static void tcp_pair(int *client, int *server)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    CHECK_INT(bind(listener, (struct sockaddr *)&a, len), 0);
    CHECK_INT(listen(listener, 1), 0);
    CHECK_INT(getsockname(listener, (struct sockaddr *)&a, &len), 0);
    *client = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(connect(*client, (struct sockaddr *)&a, len), 0);
    *server = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    CHECK(*server >= 0);
    close(listener);
}

static void begin(struct mail *m)
{
    struct peer *p = (struct peer *)m;
    struct addr a;

    CHECK_OK(addr_parse_literal(tl_str_of("127.0.0.1:1"), &a));
    conn_new(p->r, p->server_fd, &a, &ops, &p->limits, p);
}

/* The peer sends its frames and leaves when some of them were answered. */
static void serve_a_peer_that_leaves(size_t high_water)
{
    static const uint8_t frames[FRAMES];
    struct peer p = {.start.run = begin, .limits = conn_limits_default};

    p.limits.high_water = high_water;
    p.limits.turn_bytes = 16;
    p.limits.turn_frames = 4;
    tcp_pair(&p.fd, &p.server_fd);
    CHECK_INT(write(p.fd, frames, FRAMES), FRAMES);
    CHECK_OK(reactor_new(&p.r, "conn"));
    reactor_post(p.r, &p.start);
    reactor_run(p.r);
    reactor_free(p.r);
    CHECK_INT(p.closed, 1);
    CHECK_INT(p.released, p.borrowed);
    CHECK_INT(p.frames, FRAMES);
}

TEST(all_a_peer_sent_is_read_though_it_left_without_reading_the_answers)
{
    serve_a_peer_that_leaves(1 << 20);
}

TEST(all_a_peer_sent_is_read_though_it_left_while_reading_was_paused)
{
    serve_a_peer_that_leaves(8);
}
