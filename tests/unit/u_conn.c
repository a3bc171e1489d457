#include "net/conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/listener.h"
#include "peer.h"
#include "t.h"
#include "tally.h"

/*
 * A server of tiny frames: 4 bytes of length, then a letter that says what to do, then payload.
 *   e echo the frame     b answer with `big` bytes     r the same by reference
 *   k abort and c close at the end of the turn, w write "bye" and close     anything else: only noted
 */
static struct fixture {
    struct reactor *io;
    struct listener *listener;
    uint16_t port;
    struct conn_limits limits;
    int sndbuf; /* of accepted sockets; 0 = the system's choice */
    size_t big; /* bytes of a big answer */
    bool hold;  /* keep a reference to each connection: `held` */
    struct tally inputs, frames, closes, released, gone;
    /* notes of the reactor's thread; read when it is known to be done with them */
    struct conn *held;
    struct strbuf notes; /* letters of the frames, in order */
    size_t queued_max, consumed;
    uint32_t turn_max, turn_now;
    uint64_t turn;
    uint8_t *pattern;
} f;

static struct kill_hook {
    struct turn_hook hook;
    struct conn *c;
    char how;
} kill_hook;

static void kill_run(struct turn_hook *h)
{
    struct kill_hook *k = (struct kill_hook *)h;
    if (k->how == 'k')
        conn_abort(k->c);
    else
        conn_close(k->c);
}

static void release_ref(void *arg)
{
    tally_add(arg, 1);
}

static void serve(struct conn *c, const uint8_t *frame, size_t len)
{
    uint8_t head[4];

    strbuf_add(&f.notes, frame + 4, 1);
    switch (frame[4]) {
    case 'e': conn_write(c, frame, len); break;
    case 'b':
    case 'r':
        put_be32(head, (uint32_t)f.big);
        conn_write(c, head, sizeof(head));
        if (frame[4] == 'b')
            conn_write(c, f.pattern, f.big);
        else
            conn_write_ref(c, f.pattern, f.big, release_ref, &f.released);
        break;
    case 'w': conn_write(c, "bye", 3); /* fall through */
    case 'k':
    case 'c':
        kill_hook = (struct kill_hook){{.run = kill_run}, c, (char)frame[4]};
        reactor_at_turn_end(conn_reactor(c), TURN_REPLY, &kill_hook.hook);
        break;
    default: break;
    }
    if (conn_queued(c) > f.queued_max)
        f.queued_max = conn_queued(c);
}

static void count_in_turn(void)
{
    uint64_t turn = reactor_turns(f.io);

    if (turn != f.turn)
        f.turn_now = 0;
    f.turn = turn;
    if (++f.turn_now > f.turn_max)
        f.turn_max = f.turn_now;
}

static int64_t on_input(struct conn *c, const uint8_t *data, size_t len, size_t *need)
{
    size_t at = 0;
    int n = 0;

    CHECK(conn_is_open(c));
    while (at < len) {
        size_t left = len - at, whole = left < 4 ? 0 : 4 + (size_t)get_be32(data + at);
        *need = whole;
        if (left < 5 || left < whole || !conn_spend(c))
            break;
        count_in_turn();
        serve(c, data + at, whole);
        at += whole;
        n++;
    }
    f.consumed += at;
    tally_add(&f.inputs, 1);
    tally_add(&f.frames, n);
    return (int64_t)at;
}

static void on_close(struct conn *c)
{
    CHECK(!conn_is_open(c));
    tally_add(&f.closes, 1);
}

static const struct conn_ops ops = {.on_input = on_input, .on_close = on_close};

static void gone(void *arg)
{
    (void)arg;
    tally_add(&f.gone, 1);
    listener_gone(f.listener);
}

static void on_accept(void *arg, struct reactor *r, int fd, const struct addr *peer)
{
    (void)arg;
    if (f.sndbuf)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &f.sndbuf, sizeof(f.sndbuf));
    struct conn *c = conn_new(r, fd, peer, &ops, &f.limits, &f);
    conn_set_release(c, gone, NULL);
    if (f.hold)
        f.held = conn_ref(c);
}

static void prepare(void)
{
    log_set_level(LOG_ERROR);
    f = (struct fixture){.limits = conn_limits_default, .big = 1000};
    f.inputs = f.frames = f.closes = f.released = f.gone = TALLY_INIT;
    strbuf_init(&f.notes);
}

static void start(void)
{
    struct listener_opts opts = {
        .reactors = &f.io, .nreactors = 1, .backlog = 16, .on_accept = on_accept};

    f.pattern = xmalloc(f.big);
    for (size_t i = 0; i < f.big; i++)
        f.pattern[i] = (uint8_t)(i * 31 + (i >> 8));
    CHECK_OK(reactor_start(&f.io, "test", ROLE_ANY));
    CHECK_OK(addr_parse(TL_STR("127.0.0.1:0"), &opts.bind));
    CHECK_OK(listener_open(&f.listener, &opts));
    f.port = listener_port(f.listener);
}

/* Every connection must be closed, by whomever, exactly once, and its memory given back. */
static void end(int connections)
{
    tally_wait(&f.gone, connections);
    listener_close(f.listener);
    reactor_stop(f.io);
    reactor_join(f.io);
    reactor_free(f.io);
    CHECK_INT(tally_get(&f.closes), connections);
    CHECK_INT(tally_get(&f.gone), connections);
    strbuf_release(&f.notes);
    free(f.pattern);
}

static void nothing(void *arg)
{
    (void)arg;
}

/* What the kernel had for the reactor before has been seen, and a whole turn is behind it. */
static void turns_pass(void)
{
    for (int i = 0; i < 3; i++)
        reactor_call(f.io, nothing, NULL);
}

/* Append a frame of @len payload bytes (letter included) to @b. */
static void add_frame(struct strbuf *b, char letter, size_t len)
{
    char *p = strbuf_reserve(b, 4 + len);

    put_be32(p, (uint32_t)len);
    memset(p + 4, 'x', len);
    p[4] = letter;
    strbuf_commit(b, 4 + len);
}

static void send_frame(int fd, char letter, size_t len)
{
    struct strbuf b;

    strbuf_init(&b);
    add_frame(&b, letter, len);
    peer_send(fd, b.data, b.len);
    strbuf_release(&b);
}

static void recv_big(int fd)
{
    uint8_t head[4], *body = xmalloc(f.big);

    peer_recv(fd, head, 4);
    CHECK_INT(get_be32(head), f.big);
    peer_recv(fd, body, f.big);
    CHECK(memcmp(body, f.pattern, f.big) == 0);
    free(body);
}

/* ---- input -------------------------------------------------------------------------------- */

TEST(frames_are_whole_wherever_they_are_split)
{
    struct strbuf two, back;

    prepare();
    start();
    strbuf_init(&two);
    strbuf_init(&back);
    add_frame(&two, 'e', 9);
    add_frame(&two, 'e', 17);
    int fd = peer_connect(f.port);
    for (size_t cut = 1; cut < two.len; cut++) {
        int before = tally_get(&f.inputs);
        peer_send(fd, two.data, cut);
        tally_wait(&f.inputs, before + 1);
        peer_send(fd, two.data + cut, two.len - cut);
        strbuf_clear(&back);
        peer_recv(fd, strbuf_reserve(&back, two.len), two.len);
        CHECK(memcmp(back.data, two.data, two.len) == 0);
    }
    CHECK_INT(tally_get(&f.frames), 2 * (two.len - 1));
    peer_close(fd);
    strbuf_release(&two);
    strbuf_release(&back);
    end(1);
}

TEST(frames_are_whole_when_every_byte_comes_alone)
{
    struct strbuf b;
    char back[64];

    prepare();
    start();
    strbuf_init(&b);
    add_frame(&b, 'e', 12);
    add_frame(&b, 'e', 1);
    int fd = peer_connect(f.port);
    for (size_t i = 0; i < b.len; i++) {
        peer_send(fd, b.data + i, 1);
        turns_pass();
    }
    peer_recv(fd, back, b.len);
    CHECK(memcmp(back, b.data, b.len) == 0);
    peer_close(fd);
    strbuf_release(&b);
    end(1);
}

TEST(many_frames_of_one_read_are_all_served_a_budget_per_turn)
{
    enum { FRAMES = 5000 };
    struct strbuf b, back;

    prepare();
    f.limits.turn_frames = 10;
    start();
    strbuf_init(&b);
    strbuf_init(&back);
    for (int i = 0; i < FRAMES; i++)
        add_frame(&b, 'e', 1 + (size_t)i % 7);
    int fd = peer_connect(f.port);
    peer_send(fd, b.data, b.len);
    peer_recv(fd, strbuf_reserve(&back, b.len), b.len);
    CHECK(memcmp(back.data, b.data, b.len) == 0);
    peer_close(fd);
    end(1);
    CHECK_INT(tally_get(&f.frames), FRAMES);
    CHECK_INT(f.turn_max, 10);
    CHECK_INT(f.consumed, b.len);
    strbuf_release(&b);
    strbuf_release(&back);
}

TEST(a_large_frame_arrives_over_many_reads)
{
    enum { LEN = 3 << 20 };
    uint8_t *back = xmalloc(LEN + 4);

    prepare();
    start();
    int fd = peer_connect(f.port);
    send_frame(fd, 'e', LEN);
    peer_recv(fd, back, LEN + 4);
    CHECK_INT(get_be32(back), LEN);
    CHECK_INT(back[4 + LEN - 1], 'x');
    peer_close(fd);
    free(back);
    end(1);
}

TEST(a_frame_over_the_limit_closes_and_the_log_says_why)
{
    const char *path = t_path(t_tmpdir(), "net.log");
    struct strbuf text;

    prepare();
    f.limits.input_max = 1000;
    CHECK_OK(log_start(&(struct log_opts){.path = path, .level = LOG_WARN}));
    start();
    int fd = peer_connect(f.port);
    send_frame(fd, 'e', 996); /* the limit exactly */
    char back[1000];
    peer_recv(fd, back, sizeof(back));
    uint8_t head[8] = {0, 0, 997 >> 8, 997 & 0xff, 'e'}; /* one byte more */
    peer_send(fd, head, sizeof(head));
    peer_await_close(fd, NULL);
    peer_close(fd);
    end(1);
    log_stop();
    strbuf_init(&text);
    CHECK_OK(fs_read(path, 1 << 20, &text));
    CHECK_HAS(strbuf_str(&text), "connection closed: frame over the limit peer=127.0.0.1:");
    CHECK_HAS(strbuf_str(&text), "bytes=1001 limit=1000");
    strbuf_release(&text);
    CHECK_INT(tally_get(&f.frames), 1);
}

TEST(a_peer_that_leaves_within_a_frame_is_closed_once_and_the_rest_dropped)
{
    struct strbuf b;

    prepare();
    start();
    strbuf_init(&b);
    add_frame(&b, 'e', 100);
    for (int how = 0; how < 3; how++) {
        int fd = peer_connect(f.port), before = tally_get(&f.inputs);
        peer_send(fd, b.data, b.len - 1);
        tally_wait(&f.inputs, before + 1);
        if (how == 0)
            peer_end_output(fd);
        if (how == 2)
            peer_reset(fd);
        else if (how == 1)
            peer_close(fd);
        tally_wait(&f.closes, how + 1);
        if (how == 0) {
            peer_await_close(fd, NULL);
            peer_close(fd);
        }
    }
    strbuf_release(&b);
    end(3);
    CHECK_INT(tally_get(&f.frames), 0);
}

/* A connection is closed while the rest of its input waits for the next turn. */
static void close_with_input_left(char letter)
{
    enum { FRAMES = 1000 };
    struct strbuf b;
    size_t unread;

    prepare();
    f.limits.turn_frames = 10;
    start();
    strbuf_init(&b);
    for (int i = 0; i < FRAMES; i++)
        add_frame(&b, i == 4 ? letter : 'n', 1);
    int fd = peer_connect(f.port);
    peer_send(fd, b.data, b.len);
    peer_await_close(fd, &unread);
    CHECK_INT(unread, letter == 'w' ? 3 : 0);
    peer_close(fd);
    strbuf_release(&b);
    end(1);
    CHECK(tally_get(&f.frames) <= 10);
}

TEST(a_connection_may_be_aborted_with_input_left)
{
    close_with_input_left('k');
}

TEST(a_connection_may_be_closed_with_input_left)
{
    close_with_input_left('c');
}

TEST(what_was_written_before_the_close_leaves)
{
    close_with_input_left('w');
}

/* Stands in the reactor's way until both peers have sent everything. */
struct barrier {
    struct mail mail;
    struct tally entered, leave;
};

static void stand_in_the_way(struct mail *m)
{
    struct barrier *b = (struct barrier *)m;
    tally_add(&b->entered, 1);
    tally_wait(&b->leave, 1);
}

TEST(a_busy_connection_does_not_starve_another)
{
    enum { FRAMES = 10000, TURN = 16 };
    struct barrier b = {
        .mail.run = stand_in_the_way, .entered = TALLY_INIT, .leave = TALLY_INIT};
    struct strbuf many;

    prepare();
    f.limits.turn_frames = TURN;
    start();
    strbuf_init(&many);
    for (int i = 0; i < FRAMES; i++)
        add_frame(&many, 'n', 1);
    int busy = peer_connect(f.port), quiet = peer_connect(f.port);
    send_frame(busy, 'B', 1);
    send_frame(quiet, 'Q', 1);
    tally_wait(&f.frames, 2);
    reactor_post(f.io, &b.mail);
    tally_wait(&b.entered, 1);
    peer_send(busy, many.data, many.len);
    send_frame(quiet, 'q', 1);
    tally_add(&b.leave, 1);
    tally_wait(&f.frames, FRAMES + 3);
    const char *at = memchr(f.notes.data, 'q', f.notes.len);
    CHECK(at != NULL);
    CHECK(at - f.notes.data <= 2 + 2 * TURN);
    peer_close(busy);
    peer_close(quiet);
    strbuf_release(&many);
    end(2);
}

/* The same with frames of many turns' bytes: what counts then is the bytes of a turn. */
TEST(a_frame_of_many_megabytes_does_not_keep_the_turn)
{
    enum { LEN = 8 << 20 };
    int rounds = 0;

    prepare();
    f.limits.turn_bytes = 4096;
    start();
    int busy = peer_connect(f.port), quiet = peer_connect(f.port);
    struct strbuf large;
    strbuf_init(&large);
    add_frame(&large, 'n', LEN);
    peer_send(busy, large.data, 4096);
    tally_wait(&f.inputs, 1);
    uint64_t before = reactor_turns(f.io);
    peer_send(busy, large.data + 4096, large.len - 4096);
    for (; tally_get(&f.frames) == rounds; rounds++) {
        char back[5];
        send_frame(quiet, 'e', 1);
        peer_recv(quiet, back, sizeof(back));
    }
    tally_wait(&f.frames, rounds + 1);
    CHECK(reactor_turns(f.io) - before >= LEN / 4096 - 1);
    peer_close(busy);
    peer_close(quiet);
    strbuf_release(&large);
    end(2);
}

/* ---- output ------------------------------------------------------------------------------- */

TEST(answers_larger_than_the_socket_buffer_arrive_whole)
{
    enum { EACH = 4 };

    prepare();
    f.sndbuf = 128 * 1024;
    f.big = 3 << 20;
    f.limits.high_water = 1 << 30;
    start();
    int fd = peer_connect(f.port);
    for (int i = 0; i < EACH; i++) {
        send_frame(fd, 'b', 1);
        send_frame(fd, 'r', 1);
    }
    for (int i = 0; i < 2 * EACH; i++)
        recv_big(fd);
    tally_wait(&f.released, EACH);
    peer_close(fd);
    end(1);
    CHECK_INT(tally_get(&f.released), EACH);
}

TEST(references_are_released_when_the_peer_goes_before_it_has_the_bytes)
{
    prepare();
    f.sndbuf = 128 * 1024;
    f.big = 8 << 20;
    f.limits.high_water = 1 << 30;
    start();
    int fd = peer_connect(f.port);
    for (int i = 0; i < 3; i++)
        send_frame(fd, 'r', 1);
    tally_wait(&f.frames, 3);
    peer_reset(fd);
    end(1);
    CHECK_INT(tally_get(&f.released), 3);
}

TEST(above_the_high_water_mark_nothing_is_read_until_the_peer_has_taken_half)
{
    enum { FRAMES = 200, MARK = 256 * 1024 };
    struct strbuf b;

    prepare();
    f.sndbuf = 128 * 1024;
    f.big = 64 * 1024;
    f.limits.high_water = MARK;
    start();
    strbuf_init(&b);
    for (int i = 0; i < FRAMES; i++)
        add_frame(&b, i % 2 ? 'b' : 'r', 1);
    int fd = peer_connect(f.port);
    peer_send(fd, b.data, b.len);
    send_frame(fd, 'b', 1);
    tally_wait(&f.frames, 1);
    turns_pass();
    CHECK(tally_get(&f.frames) < FRAMES); /* the peer has taken nothing */
    for (int i = 0; i < FRAMES + 1; i++)
        recv_big(fd);
    peer_close(fd);
    strbuf_release(&b);
    end(1);
    CHECK_INT(tally_get(&f.frames), FRAMES + 1);
    CHECK(f.queued_max > MARK);
    CHECK(f.queued_max <= MARK + f.big + 4); /* one answer beyond the mark, not one turn's */
}

static void write_to_held(void *arg)
{
    (void)arg;
    conn_write(f.held, "lost", 4);
    conn_write_ref(f.held, "lost", 4, release_ref, &f.released);
    conn_close(f.held);
    conn_abort(f.held);
    CHECK_INT(conn_queued(f.held), 0);
}

TEST(a_closed_connection_is_safe_to_use_while_it_is_referred_to)
{
    prepare();
    f.hold = true;
    start();
    int fd = peer_connect(f.port);
    send_frame(fd, 'n', 1);
    tally_wait(&f.frames, 1);
    CHECK(conn_is_open(f.held));
    CHECK(conn_reactor(f.held) == f.io);
    CHECK_HAS(conn_peer_text(f.held), "127.0.0.1:");
    CHECK_INT(conn_local(f.held)->port, f.port);
    CHECK(conn_owner(f.held) == &f);
    peer_close(fd);
    tally_wait(&f.closes, 1);
    CHECK(!conn_is_open(f.held));
    reactor_call(f.io, write_to_held, NULL);
    CHECK_INT(tally_get(&f.released), 1);
    CHECK_INT(tally_get(&f.gone), 0);
    conn_unref(f.held); /* from another thread than its reactor's */
    end(1);
}

/* ---- silence ------------------------------------------------------------------------------ */

TEST(a_silent_connection_is_closed_after_its_time_and_any_input_renews_it)
{
    char back[5];

    clock_fake(1700000000000);
    prepare();
    f.limits.idle_ms = 1000;
    start();
    int fd = peer_connect(f.port);
    send_frame(fd, 'e', 1);
    peer_recv(fd, back, sizeof(back));
    for (int i = 0; i < 5; i++) {
        clock_advance_ms(900);
        turns_pass();
        send_frame(fd, 'n', 1);
        tally_wait(&f.frames, i + 2);
    }
    clock_advance_ms(990);
    turns_pass();
    CHECK_INT(tally_get(&f.closes), 0);
    clock_advance_ms(20);
    turns_pass();
    peer_await_close(fd, NULL);
    peer_close(fd);
    end(1);
    clock_real();
}

TEST(zero_means_never_idle)
{
    char back[5];

    clock_fake(1700000000000);
    prepare();
    f.limits.idle_ms = 0;
    start();
    int fd = peer_connect(f.port);
    send_frame(fd, 'e', 1);
    peer_recv(fd, back, sizeof(back));
    clock_advance_ms(INT32_MAX);
    turns_pass();
    send_frame(fd, 'e', 1);
    peer_recv(fd, back, sizeof(back));
    peer_close(fd);
    end(1);
    clock_real();
}

/* ---- connecting --------------------------------------------------------------------------- */

static struct outgoing {
    struct addr to;
    int32_t timeout_ms;
    char then; /* what is done while it connects */
    struct conn *c;
    struct tally connected, closed;
    int rc;
    char why[256];
    bool closed_first;
} out;

static void out_connected(struct conn *c, int rc)
{
    CHECK(c == out.c);
    out.rc = rc;
    snprintf(out.why, sizeof(out.why), "%s", rc ? t_error() : "");
    if (!rc)
        conn_write(c, "hello", 5);
    tally_add(&out.connected, 1);
}

static int64_t out_input(struct conn *c, const uint8_t *data, size_t len, size_t *need)
{
    (void)c;
    (void)data;
    (void)need;
    return (int64_t)len;
}

static void out_closed(struct conn *c)
{
    CHECK(c == out.c);
    out.closed_first = tally_get(&out.connected) == 0;
    tally_add(&out.closed, 1);
}

static const struct conn_ops out_ops = {.on_input = out_input, .on_close = out_closed};

static void out_begin(void *arg)
{
    (void)arg;
    out.c = conn_connect(f.io, &out.to, out.timeout_ms, &out_ops, &conn_limits_default, NULL,
                         out_connected);
    CHECK(out.c != NULL);
    if (out.then == 'c')
        conn_close(out.c);
    if (out.then == 'w')
        conn_write(out.c, "early,", 6);
}

static void connect_to(uint16_t port, int32_t timeout_ms, char then)
{
    prepare();
    out = (struct outgoing){.to = {.ip = {127, 0, 0, 1}, .port = port},
                            .timeout_ms = timeout_ms,
                            .then = then,
                            .connected = TALLY_INIT,
                            .closed = TALLY_INIT};
    CHECK_OK(reactor_start(&f.io, "test", ROLE_ANY));
    reactor_call(f.io, out_begin, NULL);
}

static void connect_end(void)
{
    tally_wait(&out.closed, 1);
    turns_pass();
    reactor_stop(f.io);
    reactor_join(f.io);
    reactor_free(f.io);
    CHECK_INT(tally_get(&out.closed), 1);
}

TEST(what_is_written_while_connecting_leaves_first)
{
    uint16_t port;
    char got[12] = "";
    int at = peer_listen(4, &port);

    connect_to(port, 10000, 'w');
    int fd = peer_accept(at);
    peer_recv(fd, got, 11);
    CHECK_STR(got, "early,hello");
    peer_close(fd);
    connect_end();
    CHECK_INT(out.rc, 0);
    CHECK_INT(tally_get(&out.connected), 1);
    peer_close(at);
}

TEST(a_refused_connection_says_so_then_closes)
{
    uint16_t port;

    peer_close(peer_listen(4, &port));
    connect_to(port, 10000, 0);
    connect_end();
    CHECK_INT(tally_get(&out.connected), 1);
    CHECK_INT(out.rc, TL_ECLOSED);
    CHECK_HAS(out.why, "connect to 127.0.0.1:");
    CHECK_HAS(out.why, "Connection refused");
    CHECK(!out.closed_first);
}

/* An address the system refuses at once, without a try on the network. */
TEST(an_unreachable_address_is_named_with_the_systems_reason)
{
    prepare();
    out = (struct outgoing){.to = {.ip = {255, 255, 255, 255}, .port = 9},
                            .timeout_ms = 10000,
                            .connected = TALLY_INIT,
                            .closed = TALLY_INIT};
    CHECK_OK(reactor_start(&f.io, "test", ROLE_ANY));
    reactor_call(f.io, out_begin, NULL);
    connect_end();
    CHECK_INT(out.rc, TL_ECLOSED);
    CHECK_HAS(out.why, "connect to 255.255.255.255:9: ");
    CHECK(!strstr(out.why, "refused"));
}

TEST(a_connection_that_does_not_come_about_times_out)
{
    uint16_t port;
    int at = peer_listen(0, &port), first = peer_connect(port); /* the queue is full */

    connect_to(port, 50, 0);
    connect_end();
    CHECK_INT(out.rc, TL_ETIMEOUT);
    CHECK_HAS(out.why, "timed out");
    CHECK(!out.closed_first);
    peer_close(first);
    peer_close(at);
}

TEST(a_connection_may_be_closed_while_it_is_being_made)
{
    uint16_t port;
    int at = peer_listen(0, &port), first = peer_connect(port);

    connect_to(port, 600000, 'c');
    connect_end();
    CHECK_INT(tally_get(&out.connected), 0);
    peer_close(first);
    peer_close(at);
}
