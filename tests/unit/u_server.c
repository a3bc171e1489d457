#include "remoting/server.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "peer.h"
#include "proto/code.h"
#include "proto/hdr_topic.h"
#include "t.h"
#include "tally.h"
#include "wire.h"

/* What the test's server does with a request goes by its code. */
enum {
    ECHO = RQ_SEND_MESSAGE,       /* body back; the topic as remark */
    HOLD = RQ_PULL_MESSAGE,       /* kept for the test to answer */
    WORK = RQ_GET_MAX_OFFSET,     /* echo, on a worker */
    SLICES = RQ_GET_MIN_OFFSET,   /* on a worker, the body by reference */
    NEEDS_EXT = RQ_QUERY_MESSAGE, /* echo, refused without extFields */
    MAIN_ONLY = RQ_GET_ALL_TOPIC_CONFIG,
    CREATE = RQ_UPDATE_AND_CREATE_TOPIC, /* has required fields */
    UNKNOWN = 9999,
    HELD_MAX = 64,
    SLICE = 100000,
    SLICE_COUNT = 40,
    LARGE_ANSWERS = 16,
};

static struct fixture {
    struct server_opts opts;
    struct server *server;
    struct reactor *io;
    uint16_t port;
    struct arena arena; /* of received answers */
    struct command got;
    struct tally handled, disconnected, released;
    struct tally nheld;
    struct request *held[HELD_MAX]; /* written before nheld says so */
    struct conn *last;              /* of the last request handled; a hint for pushing */
    char slice[SLICE];
} f;

static void echo(void *ctx, struct request *rq)
{
    const struct topic_request *h = request_header(rq);

    CHECK(ctx == &f);
    tally_add(&f.handled, 1);
    request_reply(rq, &(struct reply){.remark = h->topic, .body = rq->cmd.body});
}

static void echo_plain(void *ctx, struct request *rq)
{
    CHECK(ctx == &f);
    tally_add(&f.handled, 1);
    request_ok_body(rq, rq->cmd.body);
}

static void hold(void *ctx, struct request *rq)
{
    (void)ctx;
    request_keep(rq);
    f.held[tally_get(&f.nheld)] = rq;
    f.last = rq->conn;
    tally_add(&f.nheld, 1);
}

static void release_slice(void *arg)
{
    CHECK(arg == f.slice);
    tally_add(&f.released, 1);
}

static void answer_slices(void *ctx, struct request *rq)
{
    struct body_slice slices[SLICE_COUNT];

    (void)ctx;
    CHECK(!reactor_current());
    for (int i = 0; i < SLICE_COUNT; i++)
        slices[i] = (struct body_slice){f.slice, SLICE, release_slice, f.slice};
    request_reply(rq, &(struct reply){.slices = slices, .nslices = SLICE_COUNT});
    tally_add(&f.handled, 1);
}

static const struct route rows[] = {
    {ECHO, &topic_request_header, echo, LANE_IO, 0},
    {HOLD, &topic_request_header, hold, LANE_IO, 0},
    {WORK, &topic_request_header, echo, LANE_WORK, 0},
    {SLICES, NULL, answer_slices, LANE_WORK, 0},
    {NEEDS_EXT, NULL, echo_plain, LANE_IO, ROUTE_NEEDS_EXT},
    {MAIN_ONLY, NULL, echo_plain, LANE_IO, ROUTE_MAIN_ONLY},
    {CREATE, &create_topic_request_header, echo_plain, LANE_IO, 0},
};

static void on_disconnect(void *ctx, struct conn *c)
{
    CHECK(ctx == &f);
    CHECK(!conn_is_open(c));
    tally_add(&f.disconnected, 1);
}

static void prepare(void)
{
    log_set_level(LOG_ERROR);
    memset(&f, 0, sizeof(f));
    f.handled = f.disconnected = f.released = f.nheld = TALLY_INIT;
    arena_init(&f.arena, 0);
    for (int i = 0; i < SLICE; i++)
        f.slice[i] = (char)('a' + i % 26);
    f.opts = (struct server_opts){
        .name = "test",
        .reactors = &f.io,
        .nreactors = 1,
        .ctx = &f,
        .limits = conn_limits_default,
        .frame_max = 1 << 20,
        .version = VERSION_OURS,
        .pending_max = 1000,
        .on_disconnect = on_disconnect,
    };
    CHECK_OK(addr_parse(TL_STR("127.0.0.1:0"), &f.opts.bind));
}

static void serve(void)
{
    CHECK_OK(reactor_start(&f.io, "test", ROLE_ANY));
    CHECK_OK(workers_start(&f.opts.workers, "work", 2));
    CHECK_OK(route_table_new(&f.opts.routes, rows, sizeof(rows) / sizeof(rows[0])));
    CHECK_OK(server_start(&f.server, &f.opts));
    f.port = server_port(f.server);
}

static void begin(void)
{
    prepare();
    serve();
}

static void end(void)
{
    workers_stop(f.opts.workers);
    server_stop(f.server);
    reactor_stop(f.io);
    reactor_join(f.io);
    reactor_free(f.io);
    route_table_free(f.opts.routes);
    arena_release(&f.arena);
}

static void ask_as(int fd, int32_t version, int code, int32_t opaque, int32_t flag,
                   const char *topic, const char *body)
{
    struct topic_request ext = {.topic = tl_str_of(topic)};

    wire_send(fd,
              (struct command_out){.code = code,
                                   .version = version,
                                   .opaque = opaque,
                                   .flag = flag,
                                   .ext_header = topic ? &topic_request_header : NULL,
                                   .ext_struct = &ext},
              tl_str_of(body));
}

static void ask(int fd, int code, int32_t opaque, const char *topic, const char *body)
{
    ask_as(fd, VERSION_OURS, code, opaque, 0, topic, body);
}

static void expect(int fd, int32_t opaque, int32_t code)
{
    arena_reset(&f.arena);
    wire_recv(fd, &f.arena, &f.got);
    CHECK_INT(f.got.opaque, opaque);
    CHECK_INT(f.got.code, code);
    CHECK_INT(f.got.flag, COMMAND_RESPONSE);
    CHECK_INT(f.got.version, VERSION_OURS);
}

/* The next answer is that of a request sent now: nothing else was on its way. */
static void expect_nothing_before(int fd)
{
    ask(fd, ECHO, 424242, "fence", NULL);
    expect(fd, 424242, RS_SUCCESS);
}

static void nothing(void *arg)
{
    (void)arg;
}

static void turns_pass(void)
{
    for (int i = 0; i < 3; i++)
        reactor_call(f.io, nothing, NULL);
}

/* Answer a held request with its own topic and body, on its reactor. */
static void answer_held(void *arg)
{
    struct request *rq = arg;
    const struct topic_request *h = request_header(rq);

    request_reply(rq, &(struct reply){.remark = h->topic, .body = rq->cmd.body});
}

/* ---- answers ------------------------------------------------------------------------------ */

TEST(a_request_is_answered_with_its_opaque_and_body)
{
    begin();
    int fd = peer_connect(f.port);
    ask(fd, ECHO, 17, "T", "hello");
    expect(fd, 17, RS_SUCCESS);
    CHECK_STR(f.got.remark, "T");
    CHECK_STR(f.got.body, "hello");
    ask(fd, ECHO, -1, "T", NULL);
    expect(fd, -1, RS_SUCCESS);
    CHECK(!f.got.body.data);
    peer_close(fd);
    end();
}

TEST(answers_may_overtake_each_other_and_keep_their_opaque)
{
    begin();
    int fd = peer_connect(f.port);
    ask(fd, HOLD, 1, "first", "one");
    ask(fd, HOLD, 2, "second", "two");
    ask(fd, ECHO, 3, "third", "three");
    expect(fd, 3, RS_SUCCESS);
    tally_wait(&f.nheld, 2);
    reactor_call(f.io, answer_held, f.held[1]);
    expect(fd, 2, RS_SUCCESS);
    CHECK_STR(f.got.remark, "second");
    CHECK_STR(f.got.body, "two");
    answer_held(f.held[0]); /* from another thread */
    expect(fd, 1, RS_SUCCESS);
    CHECK_STR(f.got.remark, "first");
    CHECK_STR(f.got.body, "one");
    peer_close(fd);
    end();
}

TEST(what_a_kept_request_says_outlives_its_frame)
{
    char topic[100], body[3000];

    begin();
    memset(topic, 'T', sizeof(topic) - 1);
    topic[sizeof(topic) - 1] = '\0';
    memset(body, 'B', sizeof(body) - 1);
    body[sizeof(body) - 1] = '\0';
    int fd = peer_connect(f.port);
    ask(fd, HOLD, 1, topic, body);
    tally_wait(&f.nheld, 1);
    for (int i = 0; i < 100; i++) { /* run over the buffer it came in */
        ask(fd, ECHO, 2, "other", "other");
        expect(fd, 2, RS_SUCCESS);
    }
    reactor_call(f.io, answer_held, f.held[0]);
    expect(fd, 1, RS_SUCCESS);
    CHECK_STR(f.got.remark, topic);
    CHECK_STR(f.got.body, body);
    peer_close(fd);
    end();
}

TEST(oneway_requests_are_handled_and_never_answered)
{
    begin();
    int fd = peer_connect(f.port);
    ask_as(fd, VERSION_OURS, ECHO, 1, COMMAND_ONEWAY, "T", "x");
    ask_as(fd, VERSION_OURS, WORK, 2, COMMAND_ONEWAY, "T", "x");
    ask_as(fd, VERSION_OURS, SLICES, 3, COMMAND_ONEWAY, NULL, NULL);
    ask_as(fd, VERSION_OURS, UNKNOWN, 4, COMMAND_ONEWAY, NULL, NULL);
    tally_wait(&f.handled, 3);
    tally_wait(&f.released, SLICE_COUNT);
    turns_pass();
    expect_nothing_before(fd);
    CHECK(server_wait_idle(f.server, 30000));
    peer_close(fd);
    end();
}

/* Every request of several connections, on both lanes, gets one answer: its own. */
TEST(each_request_is_answered_exactly_once)
{
    enum { CONNS = 4, EACH = 400 };
    int fd[CONNS], seen[EACH];
    char body[32];

    begin();
    for (int c = 0; c < CONNS; c++)
        fd[c] = peer_connect(f.port);
    for (int i = 0; i < EACH; i++) {
        for (int c = 0; c < CONNS; c++) {
            snprintf(body, sizeof(body), "%d/%d", c, i);
            ask(fd[c], i % 3 ? ECHO : WORK, i, "T", body);
        }
    }
    for (int c = 0; c < CONNS; c++) {
        memset(seen, 0, sizeof(seen));
        for (int i = 0; i < EACH; i++) {
            arena_reset(&f.arena);
            wire_recv(fd[c], &f.arena, &f.got);
            CHECK(f.got.opaque >= 0 && f.got.opaque < EACH);
            CHECK_INT(seen[f.got.opaque]++, 0);
            snprintf(body, sizeof(body), "%d/%d", c, f.got.opaque);
            CHECK_STR(f.got.body, body);
        }
        expect_nothing_before(fd[c]);
        peer_close(fd[c]);
    }
    end();
    CHECK_INT(tally_get(&f.handled), CONNS * (EACH + 1));
}

TEST(a_body_by_reference_arrives_whole_and_is_released)
{
    begin();
    int fd = peer_connect(f.port);
    ask(fd, SLICES, 5, NULL, NULL);
    expect(fd, 5, RS_SUCCESS);
    CHECK_INT(f.got.body.len, (int64_t)SLICE * SLICE_COUNT);
    for (int i = 0; i < SLICE_COUNT; i++)
        CHECK(memcmp(f.got.body.data + (size_t)i * SLICE, f.slice, SLICE) == 0);
    tally_wait(&f.released, SLICE_COUNT);
    peer_close(fd);
    end();
    CHECK_INT(tally_get(&f.released), SLICE_COUNT);
}

TEST(an_answer_to_a_connection_that_is_gone_is_dropped)
{
    begin();
    int fd = peer_connect(f.port);
    ask(fd, HOLD, 1, "T", "x");
    ask(fd, HOLD, 2, "T", "x");
    tally_wait(&f.nheld, 2);
    peer_reset(fd);
    tally_wait(&f.disconnected, 1);
    turns_pass();
    CHECK_INT(server_connections(f.server), 0);
    reactor_call(f.io, answer_held, f.held[0]);
    answer_held(f.held[1]);
    CHECK(server_wait_idle(f.server, 30000));
    end();
    CHECK_INT(tally_get(&f.disconnected), 1);
}

/* ---- refusals ----------------------------------------------------------------------------- */

TEST(an_unknown_code_is_answered_with_3_in_rocketmqs_words)
{
    begin();
    int fd = peer_connect(f.port);
    ask(fd, UNKNOWN, 7, NULL, NULL);
    expect(fd, 7, RS_REQUEST_CODE_NOT_SUPPORTED);
    CHECK_INT(f.got.code, 3);
    CHECK_STR(f.got.remark, " request type 9999 not supported");
    ask(fd, ECHO, 8, "T", NULL); /* and the connection goes on */
    expect(fd, 8, RS_SUCCESS);
    peer_close(fd);
    end();
}

TEST(a_missing_field_is_named)
{
    begin();
    int fd = peer_connect(f.port);
    ask(fd, CREATE, 1, NULL, NULL);
    expect(fd, 1, RS_SYSTEM_ERROR);
    CHECK_STR(f.got.remark, "the custom field <topic> is null");
    ask(fd, NEEDS_EXT, 2, NULL, NULL);
    expect(fd, 2, RS_SYSTEM_ERROR);
    CHECK_STR(f.got.remark, "the request has no extFields");
    ask(fd, NEEDS_EXT, 3, "T", "x");
    expect(fd, 3, RS_SUCCESS);
    CHECK_INT(tally_get(&f.handled), 1);
    peer_close(fd);
    end();
}

TEST(over_the_pending_limit_the_answer_is_busy_until_one_is_answered)
{
    prepare();
    f.opts.pending_max = 2;
    serve();
    int fd = peer_connect(f.port);
    ask(fd, HOLD, 1, "T", "x");
    ask(fd, HOLD, 2, "T", "x");
    ask(fd, HOLD, 3, "T", "x");
    expect(fd, 3, RS_SYSTEM_BUSY);
    tally_wait(&f.nheld, 2);
    reactor_call(f.io, answer_held, f.held[0]);
    expect(fd, 1, RS_SUCCESS);
    ask(fd, ECHO, 4, "T", NULL);
    expect(fd, 4, RS_SUCCESS);
    reactor_call(f.io, answer_held, f.held[1]);
    expect(fd, 2, RS_SUCCESS);
    peer_close(fd);
    end();
}

TEST(the_vip_port_serves_all_but_what_is_for_the_main_port)
{
    struct addr vip;
    uint16_t free_port;

    prepare();
    peer_close(peer_listen(1, &free_port));
    vip = f.opts.bind;
    vip.port = free_port;
    f.opts.vip_bind = vip;
    serve();
    int main_fd = peer_connect(f.port), vip_fd = peer_connect(free_port);
    ask(main_fd, MAIN_ONLY, 1, NULL, "x");
    expect(main_fd, 1, RS_SUCCESS);
    ask(vip_fd, MAIN_ONLY, 2, NULL, "x");
    expect(vip_fd, 2, RS_REQUEST_CODE_NOT_SUPPORTED);
    ask(vip_fd, ECHO, 3, "T", "x");
    expect(vip_fd, 3, RS_SUCCESS);
    peer_close(main_fd);
    peer_close(vip_fd);
    end();
}

TEST(a_frame_that_is_none_closes_its_connection_only)
{
    begin();
    int good = peer_connect(f.port), bad = peer_connect(f.port);
    ask(good, ECHO, 1, "T", "x");
    expect(good, 1, RS_SUCCESS);
    peer_send(bad, "GET / HTTP/1.1\r\n\r\n", 18);
    peer_await_close(bad, NULL);
    tally_wait(&f.disconnected, 1);
    expect_nothing_before(good);
    peer_close(good);
    peer_close(bad);
    end();
}

TEST(connections_over_the_limit_are_closed_until_one_leaves)
{
    int fd[3];

    prepare();
    f.opts.max_connections = 2;
    serve();
    for (int i = 0; i < 2; i++) {
        fd[i] = peer_connect(f.port);
        expect_nothing_before(fd[i]);
    }
    CHECK_INT(server_connections(f.server), 2);
    fd[2] = peer_connect(f.port);
    peer_await_close(fd[2], NULL);
    peer_close(fd[2]);
    expect_nothing_before(fd[0]);
    peer_close(fd[1]);
    tally_wait(&f.disconnected, 1);
    turns_pass();
    fd[2] = peer_connect(f.port);
    expect_nothing_before(fd[2]);
    peer_close(fd[2]);
    peer_close(fd[0]);
    end();
}

/* ---- stopping ----------------------------------------------------------------------------- */

TEST(draining_answers_what_was_accepted_and_turns_the_rest_away)
{
    begin();
    int fd = peer_connect(f.port);
    ask(fd, HOLD, 1, "T", "accepted");
    tally_wait(&f.nheld, 1);
    server_drain(f.server);
    CHECK(peer_is_refused(f.port));
    ask(fd, ECHO, 2, "T", NULL);
    expect(fd, 2, RS_GO_AWAY);
    CHECK_STR(f.got.remark, "please go away");
    CHECK(!server_wait_idle(f.server, 0));
    reactor_call(f.io, answer_held, f.held[0]);
    expect(fd, 1, RS_SUCCESS);
    CHECK_STR(f.got.body, "accepted");
    CHECK(server_wait_idle(f.server, 30000));
    end();
    peer_await_close(fd, NULL);
    peer_close(fd);
    CHECK_INT(tally_get(&f.handled), 0);
}

static void *receive_slices(void *arg)
{
    int fd = *(int *)arg;
    struct arena arena;
    struct command got;

    arena_init(&arena, 0);
    for (int i = 0; i < LARGE_ANSWERS; i++) {
        wire_recv(fd, &arena, &got);
        CHECK_INT(got.body.len, (int64_t)SLICE * SLICE_COUNT);
        arena_reset(&arena);
    }
    peer_await_close(fd, NULL);
    arena_release(&arena);
    return NULL;
}

TEST(draining_waits_until_large_answers_have_left)
{
    pthread_t reader;

    prepare();
    f.opts.limits.high_water = SIZE_MAX;
    serve();
    int fd = peer_connect(f.port);
    for (int i = 0; i < LARGE_ANSWERS; i++)
        ask(fd, SLICES, i, NULL, NULL);
    tally_wait(&f.handled, LARGE_ANSWERS);
    server_drain(f.server);
    CHECK(!server_wait_idle(f.server, 0)); /* the socket does not hold them all */
    CHECK_OK(thread_start(&reader, "peer", ROLE_ANY, receive_slices, &fd));
    CHECK(server_wait_idle(f.server, 30000));
    end();
    pthread_join(reader, NULL);
    peer_close(fd);
}

/* Clients that do not know GO_AWAY would show it to their users; a closed connection they retry. */
TEST(draining_closes_the_connections_of_older_clients_once_they_have_their_answers)
{
    enum { OLD = 475 };

    begin();
    int busy = peer_connect(f.port), idle = peer_connect(f.port);
    ask_as(busy, OLD, HOLD, 1, 0, "T", "accepted");
    ask_as(idle, OLD, ECHO, 1, 0, "T", NULL);
    expect(idle, 1, RS_SUCCESS);
    tally_wait(&f.nheld, 1);
    server_drain(f.server);
    ask_as(busy, OLD, ECHO, 2, 0, "T", NULL);
    ask_as(idle, OLD, ECHO, 2, 0, "T", NULL);
    size_t unread;
    peer_await_close(idle, &unread);
    CHECK_INT(unread, 0);
    turns_pass();
    reactor_call(f.io, answer_held, f.held[0]);
    expect(busy, 1, RS_SUCCESS);
    CHECK_STR(f.got.body, "accepted");
    peer_await_close(busy, &unread);
    CHECK_INT(unread, 0);
    peer_close(busy);
    peer_close(idle);
    end();
    CHECK_INT(tally_get(&f.handled), 1);
}

/* More frames than a turn's budget are in the buffer when the connection is turned away. */
TEST(an_older_client_is_turned_away_in_the_middle_of_a_burst)
{
    struct topic_request ext = {.topic = TL_STR("T")};
    struct strbuf b;

    begin();
    int fd = peer_connect(f.port);
    expect_nothing_before(fd);
    server_drain(f.server);
    strbuf_init(&b);
    for (int i = 0; i < 500; i++)
        wire_add(&b,
                 (struct command_out){.code = ECHO,
                                      .version = 100,
                                      .opaque = i,
                                      .ext_header = &topic_request_header,
                                      .ext_struct = &ext},
                 TL_STR_NONE);
    peer_send(fd, b.data, b.len);
    strbuf_release(&b);
    size_t unread;
    peer_await_close(fd, &unread);
    CHECK_INT(unread, 0);
    peer_close(fd);
    CHECK(server_wait_idle(f.server, 30000));
    end();
}

TEST(stopping_sends_what_is_queued_and_closes)
{
    begin();
    int fd = peer_connect(f.port), silent = peer_connect(f.port);
    ask(fd, WORK, 1, "T", "last words");
    tally_wait(&f.handled, 1);
    end();
    expect(fd, 1, RS_SUCCESS);
    CHECK_STR(f.got.body, "last words");
    arena_release(&f.arena);
    peer_await_close(fd, NULL);
    peer_await_close(silent, NULL);
    peer_close(fd);
    peer_close(silent);
}

TEST(a_port_in_use_stops_the_start)
{
    char text[32];
    uint16_t port;

    prepare();
    int holder = peer_listen(1, &port);
    snprintf(text, sizeof(text), "127.0.0.1:%u", port);
    CHECK_OK(addr_parse(tl_str_of(text), &f.opts.bind));
    CHECK_OK(reactor_start(&f.io, "test", ROLE_ANY));
    CHECK_INT(server_start(&f.server, &f.opts), TL_EIO);
    CHECK_HAS(t_error(), text);
    CHECK_HAS(t_error(), "Address already in use");
    reactor_stop(f.io);
    reactor_join(f.io);
    reactor_free(f.io);
    peer_close(holder);
}

/* ---- what the server asks its clients ----------------------------------------------------- */

static struct answer {
    struct tally n;
    int rc;
    int32_t code;
    char remark[64], body[64];
} answer;

static void on_answer(void *arg, int rc, const struct command *reply)
{
    CHECK(arg == &answer);
    CHECK(reactor_is_own(f.io));
    answer.rc = rc;
    answer.code = rc ? -1 : reply->code;
    if (rc)
        snprintf(answer.remark, sizeof(answer.remark), "%s", t_error());
    else
        snprintf(answer.body, sizeof(answer.body), "%.*s", TL_STR_ARG(reply->body));
    tally_add(&answer.n, 1);
}

/* A client with one held request, so that there is a connection to push to. */
static int client_to_push_to(void)
{
    answer = (struct answer){.n = TALLY_INIT};
    int fd = peer_connect(f.port);
    ask(fd, HOLD, 1, "T", NULL);
    tally_wait(&f.nheld, 1);
    return fd;
}

static void push(int32_t timeout_ms)
{
    struct topic_request ext = {.topic = TL_STR("pushed")};
    struct server_push p = {.code = RQ_NOTIFY_CONSUMER_IDS_CHANGED,
                            .header = &topic_request_header,
                            .ext = &ext,
                            .body = TL_STR("question")};

    if (timeout_ms > 0)
        server_push_call(f.last, &p, timeout_ms, on_answer, &answer);
    else
        server_push_oneway(f.last, &p);
}

TEST(a_oneway_push_reaches_the_client)
{
    begin();
    int fd = client_to_push_to();
    push(0);
    wire_recv(fd, &f.arena, &f.got);
    CHECK_INT(f.got.code, RQ_NOTIFY_CONSUMER_IDS_CHANGED);
    CHECK_INT(f.got.flag, COMMAND_ONEWAY);
    CHECK_STR(command_ext(&f.got, "topic"), "pushed");
    CHECK_STR(f.got.body, "question");
    reactor_call(f.io, answer_held, f.held[0]);
    expect(fd, 1, RS_SUCCESS);
    peer_close(fd);
    end();
}

TEST(a_pushed_call_gets_the_clients_answer_and_strange_answers_are_ignored)
{
    begin();
    int fd = client_to_push_to();
    push(30000);
    wire_recv(fd, &f.arena, &f.got);
    CHECK_INT(f.got.flag, 0);
    wire_send(fd, (struct command_out){.opaque = f.got.opaque + 1, .flag = COMMAND_RESPONSE},
              TL_STR("not asked for"));
    wire_send(fd,
              (struct command_out){.code = 5, .opaque = f.got.opaque, .flag = COMMAND_RESPONSE},
              TL_STR("answer"));
    tally_wait(&answer.n, 1);
    CHECK_INT(answer.rc, 0);
    CHECK_INT(answer.code, 5);
    CHECK_STR(answer.body, "answer");
    wire_send(fd,
              (struct command_out){.code = 6, .opaque = f.got.opaque, .flag = COMMAND_RESPONSE},
              TL_STR("again"));
    expect_nothing_before(fd);
    CHECK_INT(tally_get(&answer.n), 1);
    answer_held(f.held[0]);
    expect(fd, 1, RS_SUCCESS);
    peer_close(fd);
    end();
}

TEST(a_pushed_call_ends_with_a_timeout_when_the_client_keeps_silent)
{
    begin();
    int fd = client_to_push_to();
    push(20);
    tally_wait(&answer.n, 1);
    CHECK_INT(answer.rc, TL_ETIMEOUT);
    CHECK_HAS(answer.remark, "did not answer in time");
    answer_held(f.held[0]);
    peer_close(fd);
    end();
    CHECK_INT(tally_get(&answer.n), 1);
}

TEST(pushed_calls_end_with_closed_when_the_client_goes_and_after_it_went)
{
    begin();
    int fd = client_to_push_to();
    push(30000);
    wire_recv(fd, &f.arena, &f.got);
    peer_close(fd);
    tally_wait(&answer.n, 1);
    CHECK_INT(answer.rc, TL_ECLOSED);
    CHECK_HAS(answer.remark, "is gone");
    push(30000); /* the held request keeps the connection's struct alive */
    tally_wait(&answer.n, 2);
    CHECK_INT(answer.rc, TL_ECLOSED);
    push(0);
    answer_held(f.held[0]);
    end();
    CHECK_INT(tally_get(&answer.n), 2);
}

/* ---- the table ---------------------------------------------------------------------------- */

TEST(a_table_with_a_wrong_row_is_refused_and_the_row_named)
{
    static const struct route twice[] = {{ECHO, NULL, echo, LANE_IO, 0},
                                         {HOLD, NULL, echo, LANE_IO, 0},
                                         {ECHO, NULL, echo, LANE_IO, 0}};
    static const struct route nameless[] = {{UNKNOWN, NULL, echo, LANE_IO, 0}};
    static const struct route idle[] = {{ECHO, NULL, NULL, LANE_IO, 0}};
    static const struct header huge = {.name = "huge", .size = REQUEST_HEADER_MAX + 1};
    static const struct route fat[] = {{ECHO, &huge, echo, LANE_IO, 0}};
    struct route_table *t;

    CHECK_INT(route_table_new(&t, twice, 3), TL_EINVAL);
    CHECK_STR(t_error(), "route SEND_MESSAGE: twice in the table");
    CHECK_INT(route_table_new(&t, nameless, 1), TL_EINVAL);
    CHECK_STR(t_error(), "route: code 9999 has no name");
    CHECK_INT(route_table_new(&t, idle, 1), TL_EINVAL);
    CHECK_STR(t_error(), "route SEND_MESSAGE: no handler");
    CHECK_INT(route_table_new(&t, fat, 1), TL_EINVAL);
    CHECK_STR(t_error(), "route SEND_MESSAGE: header huge has 321 bytes, at most 320");
}

TEST(rows_are_found_by_code_counted_and_printed)
{
    struct route_table *t;
    struct strbuf out;

    CHECK_OK(route_table_new(&t, rows, sizeof(rows) / sizeof(rows[0])));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        CHECK(route_find(t, rows[i].code) == &rows[i]);
    CHECK(!route_find(t, UNKNOWN));
    CHECK(!route_find(t, 0));
    CHECK(route_counters(t, &rows[0]) != route_counters(t, &rows[1]));
    strbuf_init(&out);
    route_print(t, &out);
    CHECK_HAS(strbuf_str(&out), "SEND_MESSAGE");
    CHECK_HAS(strbuf_str(&out), "work");
    strbuf_release(&out);
    route_table_free(t);
}
