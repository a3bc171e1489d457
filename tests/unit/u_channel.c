#include "remoting/channel.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "peer.h"
#include "proto/code.h"
#include "proto/hdr_topic.h"
#include "t.h"
#include "tally.h"
#include "wire.h"

enum { CALLS_MAX = 64, FRAME_MAX = 1 << 20 };

/* How a call ended. */
static struct ended {
    int times, rc;
    int32_t code;
    char text[256]; /* the answer's body, or the error */
} ended[CALLS_MAX];

/* A channel, and a socket of the test's that it talks to. */
static struct fixture {
    struct reactor *io;
    struct channel *ch;
    struct arena arena; /* of what the peer received */
    struct command got;
    char addr[32];
    uint16_t port;
    int listen_fd;
    struct tally ends, requests;
    _Atomic int then_send; /* calls made from within a callback */
    struct command asked;
    char asked_body[64];
} f;

static void prepare(void)
{
    log_set_level(LOG_ERROR);
    memset(&f, 0, sizeof(f));
    memset(ended, 0, sizeof(ended));
    f.ends = f.requests = TALLY_INIT;
    arena_init(&f.arena, 0);
    CHECK_OK(reactor_start(&f.io, "test", ROLE_ANY));
    f.listen_fd = peer_listen(8, &f.port);
    snprintf(f.addr, sizeof(f.addr), "127.0.0.1:%u", f.port);
}

static void begin(void)
{
    prepare();
    CHECK_OK(channel_new(&f.ch, f.io, f.addr, FRAME_MAX));
    CHECK_STR(channel_addr(f.ch), f.addr);
}

static void free_channel(void *arg)
{
    (void)arg;
    channel_free(f.ch);
    f.ch = NULL;
}

static void end(void)
{
    if (f.ch)
        reactor_call(f.io, free_channel, NULL);
    reactor_stop(f.io);
    reactor_join(f.io);
    reactor_free(f.io);
    arena_release(&f.arena);
    if (f.listen_fd >= 0)
        peer_close(f.listen_fd);
}

/* ---- calls -------------------------------------------------------------------------------- */

static void send_number(void *arg);

static void on_end(void *arg, int rc, const struct command *reply)
{
    struct ended *e = arg;

    e->times++;
    e->rc = rc;
    e->code = rc ? -1 : reply->code;
    if (rc)
        snprintf(e->text, sizeof(e->text), "%s", t_error());
    else
        snprintf(e->text, sizeof(e->text), "%.*s", TL_STR_ARG(reply->body));
    if (f.then_send > 0)
        send_number(&ended[CALLS_MAX - f.then_send--]);
    tally_add(&f.ends, 1);
}

/* The call's number among `ended` is its body. */
static void send_number(void *arg)
{
    struct topic_request ext = {.topic = TL_STR("T")};
    struct ended *e = arg;
    int before = e->times;
    char digits[20];
    struct channel_call call = {.code = RQ_SEND_MESSAGE,
                                .header = &topic_request_header,
                                .ext = &ext,
                                .body = tl_str_n(digits, tl_i64_text(e - ended, digits))};

    channel_send(f.ch, &call, 30000, on_end, e);
    CHECK_INT(e->times, before); /* never from within */
}

static void send_call(int number)
{
    reactor_call(f.io, send_number, &ended[number]);
}

static void check_end(int number, int rc, const char *text)
{
    CHECK_INT(ended[number].times, 1);
    CHECK_INT(ended[number].rc, rc);
    CHECK_HAS(ended[number].text, text);
}

/* The next request the peer gets is call @number. */
static int32_t receive(int fd, int number)
{
    char digits[20];

    wire_recv(fd, &f.arena, &f.got);
    CHECK_INT(f.got.code, RQ_SEND_MESSAGE);
    CHECK_INT(f.got.flag, 0);
    CHECK_INT(f.got.version, VERSION_OURS);
    CHECK_STR(command_ext(&f.got, "topic"), "T");
    digits[tl_i64_text(number, digits)] = '\0';
    CHECK_STR(f.got.body, digits);
    return f.got.opaque;
}

static void reply(int fd, int32_t opaque, int32_t code, const char *body)
{
    wire_send(fd,
              (struct command_out){.code = code, .opaque = opaque, .flag = COMMAND_RESPONSE},
              tl_str_of(body));
}

TEST(answers_find_their_calls_in_any_order)
{
    int32_t opaque[3];

    begin();
    for (int i = 0; i < 3; i++)
        send_call(i); /* before there is a connection */
    int fd = peer_accept(f.listen_fd);
    for (int i = 0; i < 3; i++)
        opaque[i] = receive(fd, i);
    reply(fd, opaque[2], 0, "two");
    reply(fd, opaque[0], 17, "zero");
    reply(fd, opaque[1], 0, "one");
    tally_wait(&f.ends, 3);
    check_end(0, 0, "zero");
    check_end(1, 0, "one");
    check_end(2, 0, "two");
    CHECK_INT(ended[0].code, 17); /* a refusal is an answer */
    send_call(3);                 /* on the same connection */
    reply(fd, receive(fd, 3), 0, "three");
    tally_wait(&f.ends, 4);
    peer_close(fd);
    end();
}

TEST(an_answer_nobody_waits_for_is_ignored)
{
    begin();
    send_call(0);
    int fd = peer_accept(f.listen_fd);
    int32_t opaque = receive(fd, 0);
    reply(fd, opaque + 1000, 0, "stray");
    reply(fd, opaque, 0, "mine");
    reply(fd, opaque, 0, "again");
    tally_wait(&f.ends, 1);
    send_call(1);
    reply(fd, receive(fd, 1), 0, "next");
    tally_wait(&f.ends, 2);
    check_end(0, 0, "mine");
    check_end(1, 0, "next");
    peer_close(fd);
    end();
}

static void send_oneway(void *arg)
{
    (void)arg;
    channel_send_oneway(
        f.ch,
        &(struct channel_call){.code = RQ_HEART_BEAT, .version = 300, .body = TL_STR("beat")});
}

static void nothing(void *arg)
{
    (void)arg;
}

TEST(oneway_sends_carry_the_flag_and_wait_for_nothing)
{
    begin();
    reactor_call(f.io, send_oneway, NULL); /* while connecting */
    int fd = peer_accept(f.listen_fd);
    for (int i = 0; i < 2; i++) {
        wire_recv(fd, &f.arena, &f.got);
        CHECK_INT(f.got.code, RQ_HEART_BEAT);
        CHECK_INT(f.got.flag, COMMAND_ONEWAY);
        CHECK_INT(f.got.version, 300);
        CHECK_STR(f.got.body, "beat");
        if (i == 0)
            reactor_call(f.io, send_oneway, NULL); /* connected */
    }
    peer_close(fd);
    end();
    CHECK_INT(tally_get(&f.ends), 0);
}

TEST(a_large_answer_arrives_whole)
{
    char *body = malloc(FRAME_MAX - 1000);

    begin();
    memset(body, 'z', FRAME_MAX - 1001);
    body[FRAME_MAX - 1001] = '\0';
    send_call(0);
    int fd = peer_accept(f.listen_fd);
    reply(fd, receive(fd, 0), 0, body);
    tally_wait(&f.ends, 1);
    check_end(0, 0, "zzzz");
    peer_close(fd);
    free(body);
    end();
}

/* ---- failures ----------------------------------------------------------------------------- */

TEST(a_refused_connection_fails_the_calls_with_the_systems_reason)
{
    begin();
    peer_close(f.listen_fd);
    f.listen_fd = -1;
    send_call(0);
    send_call(1);
    tally_wait(&f.ends, 2);
    check_end(0, TL_ECLOSED, f.addr);
    CHECK_HAS(ended[0].text, "Connection refused");
    CHECK_INT(ended[1].rc, TL_ECLOSED);
    end();
}

TEST(after_a_failure_calls_fail_at_once_and_a_second_later_it_is_tried_again)
{
    clock_fake(1700000000000);
    begin();
    peer_close(f.listen_fd);
    f.listen_fd = -1;
    send_call(0);
    tally_wait(&f.ends, 1);
    send_call(1);
    clock_advance_ms(10);                  /* a tick: it ends soon, not within the call */
    reactor_call(f.io, send_oneway, NULL); /* is lost */
    tally_wait(&f.ends, 2);
    check_end(1, TL_ECLOSED, "not reachable");
    clock_advance_ms(CHANNEL_RETRY_MS);
    reactor_call(f.io, nothing, NULL); /* a turn that sees the time */
    send_call(2);
    tally_wait(&f.ends, 3);
    check_end(2, TL_ECLOSED, "Connection refused"); /* it was tried */
    clock_real();
    end();
}

TEST(a_peer_that_does_not_answer_costs_the_timeout_and_its_late_answer_is_ignored)
{
    clock_fake(1700000000000);
    begin();
    send_call(0);
    int fd = peer_accept(f.listen_fd);
    int32_t opaque = receive(fd, 0);
    clock_advance_ms(29000);
    send_call(1);
    int32_t second = receive(fd, 1);
    CHECK_INT(tally_get(&f.ends), 0);
    clock_advance_ms(1000);
    send_call(2);
    tally_wait(&f.ends, 1);
    check_end(0, TL_ETIMEOUT, "did not answer in time");
    reply(fd, opaque, 0, "late");
    reply(fd, second, 0, "in time");
    tally_wait(&f.ends, 2);
    check_end(1, 0, "in time");
    reply(fd, receive(fd, 2), 0, "");
    tally_wait(&f.ends, 3);
    CHECK_INT(ended[0].times, 1);
    peer_close(fd);
    clock_real();
    end();
}

TEST(a_connection_that_does_not_come_about_fails_the_calls_in_time)
{
    uint16_t port;
    int full = peer_listen(0, &port), first = peer_connect(port); /* the queue is full */

    clock_fake(1700000000000);
    prepare();
    snprintf(f.addr, sizeof(f.addr), "127.0.0.1:%u", port);
    CHECK_OK(channel_new(&f.ch, f.io, f.addr, FRAME_MAX));
    send_call(0);
    clock_advance_ms(CHANNEL_CONNECT_MS);
    reactor_call(f.io, send_oneway, NULL);
    tally_wait(&f.ends, 1);
    check_end(0, TL_ECLOSED, "timed out");
    clock_real();
    end();
    peer_close(first);
    peer_close(full);
}

TEST(a_peer_that_restarts_is_connected_to_anew)
{
    begin();
    send_call(0);
    int fd = peer_accept(f.listen_fd);
    receive(fd, 0);
    peer_reset(fd);
    tally_wait(&f.ends, 1);
    check_end(0, TL_ECLOSED, "connection lost");
    send_call(1);
    fd = peer_accept(f.listen_fd);
    reply(fd, receive(fd, 1), 0, "back");
    tally_wait(&f.ends, 2);
    check_end(1, 0, "back");
    peer_close(fd);
    end();
}

TEST(calls_under_way_end_with_closed_when_the_channel_is_freed)
{
    begin();
    send_call(0);
    int fd = peer_accept(f.listen_fd);
    receive(fd, 0);
    send_call(1);
    reactor_call(f.io, free_channel, NULL);
    CHECK_INT(tally_get(&f.ends), 2);
    check_end(0, TL_ECLOSED, "closed");
    check_end(1, TL_ECLOSED, "closed");
    receive(fd, 1); /* it had been sent */
    peer_await_close(fd, NULL);
    peer_close(fd);
    end();
}

TEST(a_channel_may_be_freed_while_it_connects_and_unused)
{
    uint16_t port;
    int full = peer_listen(0, &port), first = peer_connect(port);

    prepare();
    snprintf(f.addr, sizeof(f.addr), "127.0.0.1:%u", port);
    CHECK_OK(channel_new(&f.ch, f.io, f.addr, FRAME_MAX));
    send_call(0);
    reactor_call(f.io, free_channel, NULL);
    check_end(0, TL_ECLOSED, "closed");
    CHECK_OK(channel_new(&f.ch, f.io, f.addr, FRAME_MAX));
    reactor_call(f.io, free_channel, NULL);
    end();
    peer_close(first);
    peer_close(full);
}

/* A caller that tries again at once must not keep the reactor, nor lose its second try. */
TEST(callbacks_of_a_lost_connection_may_call_again)
{
    enum { N = 8 };

    begin();
    for (int i = 0; i < N; i++)
        send_call(i);
    int fd = peer_accept(f.listen_fd);
    for (int i = 0; i < N; i++)
        receive(fd, i);
    f.then_send = N;
    peer_reset(fd);
    tally_wait(&f.ends, N);
    for (int i = 0; i < N; i++)
        check_end(i, TL_ECLOSED, "connection lost");
    fd = peer_accept(f.listen_fd);
    for (int i = CALLS_MAX - N; i < CALLS_MAX; i++)
        reply(fd, receive(fd, i), 0, "second try");
    tally_wait(&f.ends, 2 * N);
    for (int i = CALLS_MAX - N; i < CALLS_MAX; i++)
        check_end(i, 0, "second try");
    peer_close(fd);
    end();
}

TEST(a_truncated_answer_is_none)
{
    struct strbuf b;

    begin();
    strbuf_init(&b);
    send_call(0);
    int fd = peer_accept(f.listen_fd);
    wire_add(&b, (struct command_out){.opaque = receive(fd, 0), .flag = COMMAND_RESPONSE},
             TL_STR("a body that is cut"));
    peer_send(fd, b.data, b.len - 1);
    peer_close(fd);
    strbuf_release(&b);
    tally_wait(&f.ends, 1);
    check_end(0, TL_ECLOSED, "connection lost");
    end();
}

/* @bytes instead of an answer. */
static void answer_with(const void *bytes, size_t len)
{
    begin();
    send_call(0);
    int fd = peer_accept(f.listen_fd);
    receive(fd, 0);
    peer_send(fd, bytes, len);
    tally_wait(&f.ends, 1);
    CHECK_INT(ended[0].rc, TL_ECLOSED);
    peer_await_close(fd, NULL);
    peer_close(fd);
    end();
}

TEST(an_answer_that_is_no_frame_closes_the_connection)
{
    answer_with("HTTP/1.1 400 Bad Request\r\n\r\n", 28);
    answer_with("\0\0\0\x0c\0\0\0\x08{\"code\":", 16);     /* JSON that ends early */
    answer_with("\0\0\0\x08\0\0\0\x10{}{}", 12);           /* a header over its frame */
    answer_with("\0\x10\x00\x01\0\0\0\x08{\"code\":", 16); /* over the frame's limit */
}

TEST(an_address_that_is_none_is_refused)
{
    struct channel *ch = NULL;

    prepare();
    CHECK_INT(channel_new(&ch, f.io, "nowhere", FRAME_MAX), TL_EINVAL);
    CHECK_HAS(t_error(), "nowhere");
    CHECK(!ch);
    end();
}

/* ---- what the peer asks ------------------------------------------------------------------- */

static void on_request(void *arg, struct channel *ch, const struct command *rq)
{
    CHECK(arg == &f);
    CHECK(ch == f.ch);
    f.asked = *rq;
    snprintf(f.asked_body, sizeof(f.asked_body), "%.*s", TL_STR_ARG(rq->body));
    channel_answer(ch, rq, RS_SUCCESS, TL_STR("here"), TL_STR("you are"));
    tally_add(&f.requests, 1);
}

TEST(requests_of_the_peer_are_handed_up_and_answered_unless_oneway)
{
    begin();
    channel_on_request(f.ch, on_request, &f);
    reactor_call(f.io, send_oneway, NULL);
    int fd = peer_accept(f.listen_fd);
    wire_recv(fd, &f.arena, &f.got);
    wire_send(fd,
              (struct command_out){
                  .code = RQ_NOTIFY_CONSUMER_IDS_CHANGED, .opaque = 70, .flag = COMMAND_ONEWAY},
              TL_STR("hint"));
    tally_wait(&f.requests, 1);
    CHECK_INT(f.asked.code, RQ_NOTIFY_CONSUMER_IDS_CHANGED);
    CHECK_STR(f.asked_body, "hint");
    wire_send(fd, (struct command_out){.code = RQ_GET_CONSUMER_RUNNING_INFO, .opaque = 71},
              TL_STR("question"));
    wire_recv(fd, &f.arena, &f.got); /* the first answer is that of the second request */
    CHECK_INT(f.got.opaque, 71);
    CHECK_INT(f.got.flag, COMMAND_RESPONSE);
    CHECK_STR(f.got.remark, "here");
    CHECK_STR(f.got.body, "you are");
    peer_close(fd);
    end();
}

TEST(without_a_taker_requests_of_the_peer_are_passed_over)
{
    begin();
    send_call(0);
    int fd = peer_accept(f.listen_fd);
    int32_t opaque = receive(fd, 0);
    wire_send(fd,
              (struct command_out){.code = RQ_NOTIFY_CONSUMER_IDS_CHANGED, .opaque = opaque},
              TL_STR_NONE); /* the same number, but no answer */
    reply(fd, opaque, 0, "answer");
    tally_wait(&f.ends, 1);
    check_end(0, 0, "answer");
    peer_close(fd);
    end();
}

/* ---- waiting ------------------------------------------------------------------------------ */

struct answerer {
    pthread_t thread;
    int n;
};

static void *answer_in_a_thread(void *arg)
{
    struct answerer *a = arg;
    int fd = peer_accept(f.listen_fd);

    for (int i = 0; i < a->n; i++) {
        wire_recv(fd, &f.arena, &f.got);
        wire_send(
            fd,
            (struct command_out){.code = 3,
                                 .opaque = f.got.opaque,
                                 .flag = COMMAND_RESPONSE,
                                 .remark = TL_STR("remark"),
                                 .ext_header = &topic_request_header,
                                 .ext_struct = &(struct topic_request){.topic = TL_STR("T")}},
            TL_STR("body"));
    }
    peer_close(fd);
    return NULL;
}

TEST(a_waiting_call_has_the_answer_in_its_own_memory)
{
    struct answerer a = {.n = 1};
    struct channel_call call = {.code = RQ_SEND_MESSAGE};
    struct command got;
    struct arena arena;

    begin();
    arena_init(&arena, 0);
    CHECK_OK(thread_start(&a.thread, "peer", ROLE_ANY, answer_in_a_thread, &a));
    CHECK_OK(channel_call_wait(f.ch, &call, 30000, &arena, &got));
    pthread_join(a.thread, NULL);
    reactor_call(f.io, free_channel, NULL);
    CHECK_INT(got.code, 3);
    CHECK_STR(got.remark, "remark");
    CHECK_STR(got.body, "body");
    CHECK_STR(command_ext(&got, "topic"), "T");
    arena_release(&arena);
    end();
}

TEST(a_waiting_call_fails_with_the_channels_reason)
{
    struct channel_call call = {.code = RQ_SEND_MESSAGE};
    struct command got;
    struct arena arena;

    begin();
    arena_init(&arena, 0);
    CHECK_INT(channel_call_wait(f.ch, &call, 20, &arena, &got), TL_ETIMEOUT);
    CHECK_HAS(t_error(), "did not answer in time");
    int fd = peer_accept(f.listen_fd);
    peer_close(fd);
    peer_close(f.listen_fd);
    f.listen_fd = -1;
    int rc =
        channel_call_wait(f.ch, &call, 30000, &arena, &got); /* on the old one or a new one */
    CHECK_INT(rc, TL_ECLOSED);
    CHECK_HAS(t_error(), f.addr);
    arena_release(&arena);
    end();
}
