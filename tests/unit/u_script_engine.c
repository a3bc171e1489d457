#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/compress.h"
#include "base/mem.h"
#include "net/reactor.h"
#include "proto/flags.h"
#include "proto/record.h"
#include "script/script.h"
#include "t.h"

static const struct script_limits limits = {20000, 500000, 16 << 20};

/* ---- several threads ---------------------------------------------------------------------- */

struct worker {
    struct reactor *reactor;
    struct script_engine *e;
    struct script_vm *vm;
    struct script_binding *b;
    enum script_result result;
    bool accept;
};

static void make_vm(void *arg)
{
    struct worker *w = arg;
    CHECK_OK(script_vm_new(&w->vm, w->e, w->reactor));
}

static void free_vm(void *arg)
{
    struct worker *w = arg;
    script_vm_free(w->vm);
}

static void call_once(void *arg)
{
    struct worker *w = arg;
    struct record r = {.topic = TL_STR("T"), .body = TL_STR("b")};
    uint8_t bytes[256];

    CHECK_OK(record_encode(&r, bytes));
    struct script_message m = {bytes, record_size(&r), 0};
    w->accept = false;
    w->result = script_filter(w->vm, w->b, &m, &w->accept);
}

static void start(struct worker *w, int n, struct script_engine *e, struct script_binding *b)
{
    for (int i = 0; i < n; i++) {
        w[i] = (struct worker){.e = e, .b = b};
        CHECK_OK(reactor_start(&w[i].reactor, "vm", ROLE_ANY));
        reactor_call(w[i].reactor, make_vm, &w[i]);
    }
}

static void stop(struct worker *w, int n)
{
    for (int i = 0; i < n; i++) {
        reactor_call(w[i].reactor, free_vm, &w[i]);
        reactor_stop(w[i].reactor);
        reactor_join(w[i].reactor);
        reactor_free(w[i].reactor);
    }
}

/* What all threads answer; -1 when they do not agree, -2 when a call fails. */
static int decision(struct worker *w, int n)
{
    int all = -3;

    for (int i = 0; i < n; i++) {
        reactor_call(w[i].reactor, call_once, &w[i]);
        int one = w[i].result ? -2 : w[i].accept;
        all = i == 0 || all == one ? one : -1;
    }
    return all;
}

TEST(a_version_is_swapped_in_on_all_threads_or_on_none)
{
    struct script_binding b = {
        .id = script_binding_id(), .script = xstrdup("s"), .args = json_object()};
    struct script_engine *e;
    struct worker w[2];

    CHECK_OK(script_engine_new(&e, &limits));
    start(w, 2, e, &b);
    CHECK_INT(decision(w, 2), -2);
    CHECK_INT(w[0].result, SCRIPT_ERR_MISSING);
    CHECK_OK(script_deploy(e, TL_STR("s"),
                           TL_STR("return { filter = function() return true end }")));
    CHECK_INT(decision(w, 2), 1);
    CHECK_OK(script_deploy(e, TL_STR("s"),
                           TL_STR("return { filter = function() return false end }")));
    CHECK_INT(decision(w, 2), 0);
    CHECK_INT(script_deploy(e, TL_STR("s"), TL_STR("return {")), TL_ESCRIPT);
    CHECK_HAS(t_error(), "s:1: ");
    CHECK_INT(decision(w, 2), 0);
    CHECK_OK(script_rollback(e, TL_STR("s")));
    CHECK_INT(decision(w, 2), 1);
    CHECK_OK(script_delete(e, TL_STR("s")));
    CHECK_INT(decision(w, 2), -2);
    CHECK_INT(script_delete(e, TL_STR("s")), TL_ENOTFOUND);
    CHECK_INT(script_rollback(e, TL_STR("s")), TL_ENOTFOUND);
    stop(w, 2);
    script_engine_free(e);
    json_decref(b.args);
    free(b.script);
}

TEST(a_version_one_thread_refuses_is_dropped_on_the_others)
{
    static const char fat[] =
        "local keep\n"
        "return { filter = function() keep = keep or ('x'):rep(1000):rep(900); return true end }";
    struct script_binding b = {
        .id = script_binding_id(), .script = xstrdup("s"), .args = json_object()};
    struct script_limits tight = limits;
    struct script_engine *e;
    struct worker w[2];

    CHECK_OK(script_engine_new(&e, &limits));
    start(w, 2, e, &b);
    CHECK_OK(script_deploy(e, TL_STR("s"), tl_str_of(fat)));
    reactor_call(w[1].reactor, call_once, &w[1]); /* this state alone is large now */
    CHECK(w[1].result == SCRIPT_OK && w[1].accept);
    tight.memory_bytes = 500000;
    script_engine_set_limits(e, &tight);
    CHECK_INT(script_deploy(e, TL_STR("s"),
                            TL_STR("return { filter = function() return false end }")),
              TL_ESCRIPT);
    CHECK_HAS(t_error(), "scriptMemoryLimit");
    script_engine_set_limits(e, &limits);
    CHECK_INT(decision(w, 2), 1);
    stop(w, 2);
    script_engine_free(e);
    json_decref(b.args);
    free(b.script);
}

/* ---- one state ---------------------------------------------------------------------------- */

/* What `return EXPRESSION` as filter says of @r: 1, 0, or minus the kind of failure. */
static int verdict(const char *expression, const struct record *r)
{
    char *source = xasprintf("return { filter = function(msg) return %s end }", expression);
    struct script_binding b = {
        .id = script_binding_id(), .script = xstrdup("s"), .args = json_object()};
    uint8_t *bytes = xzalloc(record_size(r));
    struct script_engine *e;
    struct script_vm *vm;
    bool accept = false;

    CHECK_OK(record_encode(r, bytes));
    CHECK_OK(script_engine_new(&e, &limits));
    CHECK_OK(script_vm_new(&vm, e, NULL));
    CHECK_OK(script_deploy(e, TL_STR("s"), tl_str_of(source)));
    struct script_message m = {bytes, record_size(r), 3};
    enum script_result rc = script_filter(vm, &b, &m, &accept);
    script_vm_free(vm);
    script_engine_free(e);
    json_decref(b.args);
    free(b.script);
    free(bytes);
    free(source);
    return rc ? -(int)rc : accept;
}

TEST(records_with_long_topics_and_ipv6_hosts_are_seen_right)
{
    char topic[200];
    memset(topic, 't', sizeof(topic));
    struct record r = {
        .topic = tl_str_n(topic, sizeof(topic)),
        .body = TL_STR("body"),
        .queue_id = 2,
        .born_timestamp = 1700000000123,
        .born_host = {.ip = {[15] = 1}, .v6 = true, .port = 99},
        .store_host = {.ip = {[15] = 2}, .v6 = true, .port = 98},
    };
    CHECK_INT(verdict("#msg.topic == 200 and msg:body() == 'body'", &r), 1);
    CHECK_INT(verdict("msg.born_host == '[::1]:99' and mq.cidr(msg.born_host, '::/64')", &r),
              1);
    CHECK_INT(
        verdict("msg.born_ms == 1700000000123 and msg.queue_id == 2 and #msg.msg_id == 56", &r),
        1);
    CHECK_INT(verdict("msg.tags == nil and msg.keys == nil and next(msg:props()) == nil", &r),
              1);
}

TEST(a_compressed_body_is_expanded_when_it_is_asked_for)
{
    struct record r = {.topic = TL_STR("T"), .sys_flag = SYS_COMPRESSED};
    struct strbuf packed;

    strbuf_init(&packed);
    CHECK_OK(compress_pack(COMPRESS_ZLIB, "{\"n\":5}", 7, &packed));
    r.body = strbuf_str(&packed);
    CHECK_INT(verdict("msg:body() == '{\"n\":5}' and msg:json('n') == 5", &r), 1);
    strbuf_clear(&packed);
    CHECK_OK(compress_pack(COMPRESS_LZ4, "{\"n\":6}", 7, &packed));
    r.sys_flag |= COMPRESS_LZ4 << SYS_COMPRESSION_SHIFT;
    r.body = strbuf_str(&packed);
    CHECK_INT(verdict("msg:json('n') == 6", &r), 1);
    r.body = TL_STR("not compressed at all");
    CHECK_INT(verdict("msg:json('n') == 6", &r), -SCRIPT_ERR_RUNTIME);
    CHECK_HAS(t_error(), "message body");
    strbuf_release(&packed);
}

TEST(a_body_that_expands_to_more_than_a_call_may_cost_stops_the_call)
{
    struct record r = {.topic = TL_STR("T"), .sys_flag = SYS_COMPRESSED};
    size_t size = 8 << 20;
    char *zeros = xzalloc(size);
    struct strbuf packed;

    strbuf_init(&packed);
    CHECK_OK(compress_pack(COMPRESS_ZLIB, zeros, size, &packed));
    r.body = strbuf_str(&packed);
    CHECK_INT(verdict("#msg:body() > 0", &r), -SCRIPT_ERR_BUDGET);
    strbuf_release(&packed);
    free(zeros);
}

TEST(properties_follow_the_rules_of_the_stored_form)
{
    struct record r = {.topic = TL_STR("T"),
                       .properties =
                           TL_STR("a\0011\002a\0012\002e\001\002x\002n\001-1.5e1\002z\001end")};

    CHECK_INT(verdict("msg:prop('a') == '2' and msg:num('a') == 2", &r), 1);
    CHECK_INT(
        verdict("msg:prop('e') == nil and msg:prop('x') == nil and msg:prop('') == nil", &r),
        1);
    CHECK_INT(
        verdict("msg:num('n') == -15 and msg:num('z') == nil and msg:prop('z') == 'end'", &r),
        1);
}

TEST(json_paths_find_values_and_tell_what_is_malformed)
{
    struct record r = {
        .topic = TL_STR("T"),
        .body = TL_STR(
            "{\"a\":[{\"b\\u0063\":\"\\ud83d\\ude00\"},null,[1,2]],\"t\":true,\"bad\":[1,}")};

    CHECK_INT(verdict("msg:json('a[0].bc') == '\\240\\159\\152\\128'", &r), 1);
    CHECK_INT(
        verdict(
            "msg:json('a[1]') == nil and msg:json('a[9]') == nil and msg:json('a.b') == nil",
            &r),
        1);
    CHECK_INT(verdict("msg:json('a[2]')[2] == 2 and msg:json('t') == true", &r), 1);
    CHECK_INT(verdict("select(2, msg:json('bad')):find('JSON: ', 1, true) == 1", &r), 1);
    CHECK_INT(verdict("msg:json('a[x]')", &r), -SCRIPT_ERR_RUNTIME);
    CHECK_INT(verdict("select('#', mq.json.decode(('['):rep(100))) == 2", &r), 1);
    CHECK_INT(
        verdict(
            "mq.json.encode(mq.json.decode('{\"k\":[1,null,\"\\\\n\"]}')) == '{\"k\":[1,null,\"\\\\n\"]}'",
            &r),
        1);
    CHECK_INT(verdict("mq.json.encode({ f = print or function() end })", &r),
              -SCRIPT_ERR_RUNTIME);
}

TEST(an_open_breaker_calls_again_by_one_probe_a_second)
{
    static const char source[] =
        "local n = 0\n"
        "return { filter = function() n = n + 1; if n <= 21 then error('no') end; return true end }";
    struct script_binding b = {
        .id = script_binding_id(), .script = xstrdup("s"), .args = json_object()};
    struct worker w = {.b = &b};

    clock_fake(1700000000000);
    CHECK_OK(script_engine_new(&w.e, &limits));
    CHECK_OK(script_vm_new(&w.vm, w.e, NULL));
    CHECK_OK(script_deploy(w.e, TL_STR("s"), tl_str_of(source)));
    for (int i = 0; i < 30; i++) {
        call_once(&w);
        CHECK_INT(w.result, SCRIPT_ERR_RUNTIME);
    }
    CHECK_INT(stats_get(&b.counters.calls), SCRIPT_BREAKER_ERRORS);
    clock_advance_ms(SCRIPT_BREAKER_PROBE_MS);
    call_once(&w);
    CHECK_INT(w.result, SCRIPT_ERR_RUNTIME); /* the probe failed */
    CHECK_INT(stats_get(&b.counters.calls), SCRIPT_BREAKER_ERRORS + 1);
    clock_advance_ms(SCRIPT_BREAKER_PROBE_MS);
    call_once(&w);
    CHECK(w.result == SCRIPT_OK && w.accept);
    CHECK_INT(b.probe_at_ms, 0);
    clock_real();
    script_vm_free(w.vm);
    script_engine_free(w.e);
    json_decref(b.args);
    free(b.script);
}
