#include "net/listener.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "peer.h"
#include "t.h"
#include "tally.h"

enum { REACTORS = 2, CLIENTS = 64 };

static struct fixture {
    struct reactor *io[REACTORS];
    int n;
    struct listener *listener;
    struct tally accepted;
    _Atomic int of[REACTORS]; /* connections by reactor */
    struct addr peer;         /* of the last one */
} f;

static void on_accept(void *arg, struct reactor *r, int fd, const struct addr *peer)
{
    CHECK(arg == &f);
    CHECK(reactor_is_own(r));
    f.of[r == f.io[1]]++;
    if (f.n == 1)
        f.peer = *peer;
    close(fd);
    tally_add(&f.accepted, 1);
}

static struct listener_opts opts_of(const char *bind)
{
    struct listener_opts opts = {.reactors = f.io,
                                 .nreactors = f.n,
                                 .backlog = CLIENTS,
                                 .on_accept = on_accept,
                                 .arg = &f};

    CHECK_OK(addr_parse(tl_str_of(bind), &opts.bind));
    return opts;
}

static void begin(int reactors)
{
    log_set_level(LOG_ERROR);
    f = (struct fixture){.n = reactors, .accepted = TALLY_INIT};
    for (int i = 0; i < reactors; i++)
        CHECK_OK(reactor_start(&f.io[i], "test", ROLE_ANY));
}

static void end(void)
{
    for (int i = 0; i < f.n; i++) {
        reactor_stop(f.io[i]);
        reactor_join(f.io[i]);
        reactor_free(f.io[i]);
    }
}

static void nothing(void *arg)
{
    (void)arg;
}

static void turns_pass(void)
{
    for (int i = 0; i < 3; i++)
        reactor_call(f.io[0], nothing, NULL);
}

static void connect_and_see_it_closed(uint16_t port)
{
    int fd = peer_connect(port);
    peer_await_close(fd, NULL);
    peer_close(fd);
}

TEST(port_zero_takes_a_free_one_and_tells_it)
{
    begin(1);
    struct listener_opts opts = opts_of("127.0.0.1:0");
    CHECK_OK(listener_open(&f.listener, &opts));
    CHECK(listener_port(f.listener) > 0);
    connect_and_see_it_closed(listener_port(f.listener));
    tally_wait(&f.accepted, 1);
    CHECK_INT(f.peer.ip[0], 127);
    CHECK(f.peer.port > 0);
    listener_close(f.listener);
    end();
}

static void check_port_in_use(int reactors)
{
    uint16_t port;
    char text[32];
    int holder = peer_listen(1, &port);

    begin(reactors);
    snprintf(text, sizeof(text), "127.0.0.1:%u", port);
    struct listener_opts opts = opts_of(text);
    f.listener = (struct listener *)&f;
    CHECK_INT(listener_open(&f.listener, &opts), TL_EIO);
    CHECK_HAS(t_error(), "listen on 127.0.0.1:");
    CHECK_HAS(t_error(), strchr(text, ':'));
    CHECK_HAS(t_error(), "Address already in use");
    CHECK(f.listener == (struct listener *)&f); /* untouched */
    peer_close(holder);
    CHECK_OK(listener_open(&f.listener, &opts));
    listener_close(f.listener);
    end();
}

TEST(a_port_in_use_is_an_error_that_names_it)
{
    check_port_in_use(1);
}

TEST(a_port_in_use_is_an_error_also_when_several_reactors_are_to_share_it)
{
    check_port_in_use(REACTORS);
}

TEST(a_second_listener_of_our_own_does_not_share_the_port)
{
    struct listener *second;
    char text[32];

    begin(REACTORS);
    struct listener_opts opts = opts_of("127.0.0.1:0");
    CHECK_OK(listener_open(&f.listener, &opts));
    snprintf(text, sizeof(text), "127.0.0.1:%u", listener_port(f.listener));
    opts = opts_of(text);
    CHECK_INT(listener_open(&second, &opts), TL_EIO);
    listener_close(f.listener);
    end();
}

TEST(an_address_of_another_host_is_refused)
{
    begin(1);
    struct listener_opts opts = opts_of("192.0.2.1:0");
    CHECK_INT(listener_open(&f.listener, &opts), TL_EIO);
    CHECK_HAS(t_error(), "listen on 192.0.2.1:0: Cannot assign requested address");
    end();
}

TEST(connections_are_spread_over_the_reactors)
{
    begin(REACTORS);
    struct listener_opts opts = opts_of("127.0.0.1:0");
    CHECK_OK(listener_open(&f.listener, &opts));
    for (int i = 0; i < CLIENTS; i++)
        connect_and_see_it_closed(listener_port(f.listener));
    tally_wait(&f.accepted, CLIENTS);
    CHECK_INT(f.of[0] + f.of[1], CLIENTS);
    CHECK(f.of[0] > 0 && f.of[1] > 0);
    listener_close(f.listener);
    end();
}

TEST(connections_over_the_limit_are_closed_until_one_is_gone)
{
    begin(1);
    struct listener_opts opts = opts_of("127.0.0.1:0");
    opts.max_connections = 2;
    CHECK_OK(listener_open(&f.listener, &opts));
    for (int i = 0; i < 5; i++)
        connect_and_see_it_closed(listener_port(f.listener));
    turns_pass();
    CHECK_INT(tally_get(&f.accepted), 2);
    listener_gone(f.listener);
    connect_and_see_it_closed(listener_port(f.listener));
    tally_wait(&f.accepted, 3);
    listener_close(f.listener);
    end();
}

TEST(after_the_stop_connections_are_refused_and_the_port_is_free)
{
    struct listener *next;
    char text[32];

    begin(REACTORS);
    struct listener_opts opts = opts_of("127.0.0.1:0");
    CHECK_OK(listener_open(&f.listener, &opts));
    uint16_t port = listener_port(f.listener);
    listener_stop(f.listener);
    CHECK(peer_is_refused(port));
    snprintf(text, sizeof(text), "127.0.0.1:%u", port);
    opts = opts_of(text);
    CHECK_OK(listener_open(&next, &opts));
    CHECK_INT(listener_port(next), port);
    listener_stop(f.listener); /* a second time, of no effect */
    connect_and_see_it_closed(port);
    tally_wait(&f.accepted, 1);
    listener_close(f.listener);
    listener_close(next);
    end();
}

/* All descriptors are taken: the client is in the kernel's queue until there is one. */
TEST(accepting_goes_on_when_descriptors_are_back)
{
    struct rlimit before, none;

    begin(1);
    struct listener_opts opts = opts_of("127.0.0.1:0");
    CHECK_OK(listener_open(&f.listener, &opts));
    int fd = peer_connect(listener_port(f.listener));
    tally_wait(&f.accepted, 1);
    peer_close(fd);
    int held = peer_listen(1, &(uint16_t){0}); /* to become the client */
    peer_close(held);
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)(held + 1); /* one for the client, none for the server */
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
    fd = peer_connect(listener_port(f.listener));
    turns_pass();
    int accepted = tally_get(&f.accepted);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_INT(accepted, 1);
    tally_wait(&f.accepted, 2);
    peer_close(fd);
    listener_close(f.listener);
    end();
}

TEST(a_listener_may_be_closed_while_it_waits_for_descriptors)
{
    struct rlimit before, none;

    begin(1);
    struct listener_opts opts = opts_of("127.0.0.1:0");
    CHECK_OK(listener_open(&f.listener, &opts));
    int held = peer_listen(1, &(uint16_t){0});
    peer_close(held);
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)(held + 1);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
    int fd = peer_connect(listener_port(f.listener));
    turns_pass();
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    listener_close(f.listener);
    CHECK_INT(tally_get(&f.accepted), 0);
    peer_close(fd);
    end();
}

TEST(ipv6_is_listened_on)
{
    int probe = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_storage ss;
    struct addr a;

    CHECK_OK(addr_parse(TL_STR("[::1]:0"), &a));
    socklen_t len = addr_to_sockaddr(&a, &ss);
    bool has_v6 = probe >= 0 && bind(probe, (struct sockaddr *)&ss, len) == 0;
    if (probe >= 0)
        close(probe);
    if (!has_v6)
        return; /* a host without it */
    begin(1);
    struct listener_opts opts = opts_of("[::1]:0");
    CHECK_OK(listener_open(&f.listener, &opts));
    a.port = listener_port(f.listener);
    len = addr_to_sockaddr(&a, &ss);
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK_INT(connect(fd, (struct sockaddr *)&ss, len), 0);
    tally_wait(&f.accepted, 1);
    CHECK(f.peer.v6);
    close(fd);
    listener_close(f.listener);
    end();
}
