#include "proto/bodies.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "proto/batch.h"
#include "proto/code.h"
#include "proto/command.h"
#include "proto/hdr_produce.h"
#include "proto/msgid.h"
#include "proto/names.h"
#include "proto/properties.h"
#include "proto/record.h"
#include "t.h"

/* Hexadecimal text, blanks allowed, into @out; the length. */
static size_t unhex(const char *text, uint8_t *out)
{
    size_t n = 0;

    for (; *text; text++) {
        if (*text == ' ')
            continue;
        char pair[3] = {text[0], text[1], 0};
        out[n++] = (uint8_t)strtol(pair, NULL, 16);
        text++;
    }
    return n;
}

static int decode_json(struct arena *a, const char *text, struct command *out)
{
    struct frame f = {.type = SERIALIZE_JSON, .header = tl_str_of(text)};
    return command_decode(&f, a, out);
}

TEST(a_frame_is_cut_when_it_is_whole_and_not_before)
{
    uint8_t data[64];
    struct frame f;
    size_t need,
        n = unhex(
            "00000025 01000021 0069 00 018f 00000007 00000000 00000000 0000000c 0005 746f706963 00000001 54",
            data);

    for (size_t i = 0; i < n; i++)
        CHECK_INT(frame_cut(data, i, FRAME_MAX_DEFAULT, &f, &need), 0);
    CHECK_INT(frame_cut(data, n, FRAME_MAX_DEFAULT, &f, &need), (int64_t)n);
    CHECK_INT(f.type, SERIALIZE_BINARY);
    CHECK(!f.body.data);
}

TEST(a_frame_that_lies_ends_the_connection)
{
    uint8_t data[16];
    struct frame f;
    size_t need;

    CHECK_INT(frame_cut(data, unhex("7fffffff 00000000", data), FRAME_MAX_DEFAULT, &f, &need),
              -1);
    CHECK_INT(frame_cut(data, unhex("00000002 00000000", data), FRAME_MAX_DEFAULT, &f, &need),
              -1);
    CHECK_INT(frame_cut(data, unhex("00000014 00000190", data), FRAME_MAX_DEFAULT, &f, &need),
              -1);
    CHECK_INT(frame_cut(data, unhex("0000000c 07000008", data), FRAME_MAX_DEFAULT, &f, &need),
              -1);
}

TEST(a_binary_header_made_by_java_decodes)
{
    uint8_t data[64];
    size_t n = unhex(
        "0069 00 018f 00000007 00000000 00000000 0000000c 0005 746f706963 00000001 54", data);
    struct frame f = {.type = SERIALIZE_BINARY, .header = tl_str_n(data, n)};
    struct command c;
    struct arena a;

    arena_init(&a, 0);
    CHECK_OK(command_decode(&f, &a, &c));
    CHECK_INT(c.code, 105);
    CHECK_INT(c.version, 399);
    CHECK_INT(c.opaque, 7);
    CHECK_STR(command_ext(&c, "topic"), "T");
    arena_release(&a);
}

TEST(a_json_header_takes_the_dialects_of_all_clients)
{
    struct command c;
    struct send_request h;
    struct arena a;

    arena_init(&a, 0);
    CHECK_OK(decode_json(
        &a,
        "{\"code\":310,\"language\":\"JAVA\",\"opaque\":1,\"flag\":0,\"version\":121,\"more\":[{\"x\":null}],"
        "\"extFields\":{\"a\":\"PG\",\"b\":\"T\",\"d\":4,\"e\":0,\"f\":0,\"g\":1700000000000,\"h\":0,"
        "\"i\":\"TAGS\\u0001A\\u0002\",\"j\":0,\"k\":false,\"c\":null}}",
        &c));
    CHECK_INT(c.code, 310);
    CHECK_INT(c.version, 121);
    CHECK_OK(header_decode(&send_request_header, c.ext, c.ext_count, true, &h));
    CHECK_STR(h.topic, "T");
    CHECK_INT(h.born_timestamp, 1700000000000);
    CHECK_STR(h.properties, "TAGS\001A\002");
    CHECK(!h.default_topic.data);
    CHECK(!h.batch);
    CHECK_OK(
        decode_json(&a, "{\"Code\":\"34\",\"extFields\":null,\"language\":\"KLINGON\"}", &c));
    CHECK_INT(c.code, 34);
    CHECK_INT(c.language, -1);
    CHECK(!c.has_ext);
    arena_release(&a);
}

TEST(a_header_that_is_no_object_is_refused)
{
    static const char *const bad[] = {"null",
                                      "true",
                                      "this is not json",
                                      "{",
                                      "{\"code\":1",
                                      "{\"code\":1}x",
                                      "{\"code\":99999999999}",
                                      "{\"code\":1e99}",
                                      "{\"language\":[]}",
                                      "{\"@type\":\"x\"}",
                                      "{\"remark\":\"\xff\"}",
                                      "{\"a\":\"\\xg0\"}",
                                      "{\"a\":\"\\q\"}"};
    struct command c;
    struct arena a;

    arena_init(&a, 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK(decode_json(&a, bad[i], &c) != 0);
    arena_release(&a);
}

TEST(a_binary_header_without_ext_fields_may_say_so_by_minus_one)
{
    static const char bytes[] = "\0\x69"     /* 105 */
                                "\x63\1\xdf" /* language 99, version 479 */
                                "\0\0\0\7\0\0\0\0\0\0\0\0\xff\xff\xff\xff"
                                "tail";
    struct frame f = {.type = SERIALIZE_BINARY, .header = tl_str_n(bytes, sizeof(bytes) - 1)};
    struct command c;
    struct arena a;

    arena_init(&a, 0);
    CHECK_OK(command_decode(&f, &a, &c));
    CHECK_INT(c.code, 105);
    CHECK_INT(c.language, -1);
    CHECK_INT(c.opaque, 7);
    CHECK(!c.has_ext);
    arena_release(&a);
}

TEST(a_header_that_says_nothing_is_passed_over)
{
    static const char *const empty[] = {"", "   ", "{}", "[]", "12", "-1", "\"x\""};
    struct command c;
    struct arena a;

    arena_init(&a, 0);
    for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
        CHECK_OK(decode_json(&a, empty[i], &c));
        CHECK(c.nothing);
    }
    CHECK_OK(decode_json(&a, "{\"opaque\":1}", &c));
    CHECK(!c.nothing);
    CHECK_INT(c.language, 0);
    arena_release(&a);
}

TEST(a_json_header_may_be_written_as_fastjson_reads_it)
{
    struct command c;
    struct arena a;

    arena_init(&a, 0);
    CHECK_OK(decode_json(&a,
                         "\xef\xbb\xbf {code:1.05e2,/* a */'opaque':true,flag:2.9,// b\n"
                         "\"extFields\":{'topic':'it\\'s \\x41'}}",
                         &c));
    CHECK_INT(c.code, 105);
    CHECK_INT(c.opaque, 1);
    CHECK_INT(c.flag, 2);
    CHECK_STR(command_ext(&c, "topic"), "it's A");
    arena_release(&a);
}

TEST(text_that_is_not_utf8_is_written_with_replacement_characters)
{
    struct kv pair = {TL_STR("k"), TL_STR("a\xff\xc3\xa9")};
    struct command_out out = {.extra = &pair, .extra_count = 1};
    struct strbuf text;

    strbuf_init(&text);
    command_encode(&out, SERIALIZE_JSON, &text);
    CHECK_HAS(strbuf_str(&text), "\"k\":\"a\xef\xbf\xbd\xc3\xa9\"");
    strbuf_release(&text);
}

TEST(numbers_of_the_fast_codec_must_be_numbers)
{
    struct kv fast[] = {{TL_STR("b"), TL_STR("T")}, {TL_STR("e"), TL_STR("x")}};
    struct kv slow[] = {
        {TL_STR("topic"), TL_STR("T")},   {TL_STR("queueId"), TL_STR("0")},
        {TL_STR("sysFlag"), TL_STR("0")}, {TL_STR("bornTimestamp"), TL_STR("1")},
        {TL_STR("flag"), TL_STR("0")},    {TL_STR("reconsumeTimes"), TL_STR("x")}};
    struct send_request h;

    CHECK(header_decode(&send_request_header, fast, 2, true, &h) == TL_EFORMAT);
    CHECK_STR(tl_str_of(tl_error_text()), "the custom field <queueId> is not a number: \"x\"");
    CHECK_OK(header_decode(&send_request_header, slow, 6, false, &h));
    CHECK_INT(h.reconsume_times, 0);
}

TEST(a_missing_required_field_is_named_as_java_names_it)
{
    struct kv pairs[] = {{TL_STR("b"), TL_STR("T")}};
    struct send_request h;

    CHECK(header_decode(&send_request_header, pairs, 1, true, &h) != 0);
    CHECK_HAS(tl_error_text(), "the custom field <queueId> is null");
}

TEST(a_key_that_goes_on_behind_a_zero_byte_is_unknown)
{
    struct kv pairs[] = {{TL_STR("b"), TL_STR("T")},   {TL_STR("e"), TL_STR("1")},
                         {TL_STR("g"), TL_STR("1")},   {TL_STR("h"), TL_STR("0")},
                         {TL_STR("a"), TL_STR("PG")},  {TL_STR("c"), TL_STR("TBW102")},
                         {TL_STR("d"), TL_STR("4")},   {TL_STR("f"), TL_STR("0")},
                         {TL_STR("i\0"), TL_STR("K")}, {TL_STR("b\0\0xyz"), TL_STR("no")}};
    struct send_request h;

    CHECK_OK(
        header_decode(&send_request_header, pairs, sizeof(pairs) / sizeof(pairs[0]), true, &h));
    CHECK(!h.properties.data);
    CHECK_STR(h.topic, "T");
}

TEST(a_record_is_the_bytes_java_writes)
{
    static const char golden[] =
        "0000007d daa320a7 7036e992 00000000 00000007 0000000000000000 0000000000000000 00000000"
        "0000018bcfe56800 7f000001 0000d431 000001a203e63c18 7f000001 00002a9f 00000000 0000000000000000"
        "00000006 68656c6c6f30 06 546f70696341 0016 4b45595301 6b30206b6b30 02 5441475301 54616741 02";
    uint8_t want[256], got[256];
    size_t n = unhex(golden, want);
    struct record r = {
        .flag = 7,
        .born_timestamp = 1700000000000,
        .store_timestamp = 0x1a203e63c18,
        .born_host = {.ip = {127, 0, 0, 1}, .port = 54321},
        .store_host = {.ip = {127, 0, 0, 1}, .port = 10911},
        .body = TL_STR("hello0"),
        .topic = TL_STR("TopicA"),
        .properties = TL_STR("KEYS\001k0 kk0\002TAGS\001TagA\002"),
    };

    CHECK_INT(record_size(&r), n);
    CHECK_OK(record_encode(&r, got));
    CHECK(memcmp(got, want, n) == 0);
    struct record back;
    CHECK_INT(record_decode(got, n, RECORD_CHECK_CRC, &back), RECORD_MESSAGE);
    CHECK_STR(back.topic, "TopicA");
    got[90] ^= 1;
    CHECK_INT(record_decode(got, n, RECORD_CHECK_CRC, &back), -TL_ECORRUPT);
    CHECK_INT(record_decode(want, n - 1, 0, &back), -TL_EFORMAT);
}

TEST(a_batch_body_made_by_java_is_read_and_a_short_one_refused)
{
    uint8_t data[128];
    size_t n = unhex(
        "00000030 00000000 00000000 00000000 00000002 6231 0018 4b455953016b02574149540174727565025441475301 4102",
        data);
    struct reader r = reader_of(data, n);
    struct batch_item item;

    CHECK_INT(batch_next(&r, &item), 1);
    CHECK_STR(item.body, "b1");
    CHECK_INT(batch_next(&r, &item), 0);
    r = reader_of(data, n - 1);
    CHECK_INT(batch_next(&r, &item), -TL_EFORMAT);
    data[3] = 7; /* the size is what follows, whatever it says */
    r = reader_of(data, n);
    CHECK_INT(batch_next(&r, &item), 1);
    CHECK_INT(batch_next(&r, &item), 0);
}

TEST(an_offset_id_is_the_one_java_makes)
{
    struct record_host host = {.ip = {10, 0, 0, 1}, .port = 10911}, back;
    char text[MSGID_MAX];
    int64_t pos;

    CHECK_STR(tl_str_n(text, msgid_offset_text(&host, 0x1234, text)),
              "0A00000100002A9F0000000000001234");
    CHECK(msgid_offset_parse(tl_str_n(text, 32), &back, &pos));
    CHECK_INT(pos, 0x1234);
    CHECK(!msgid_offset_parse(TL_STR("xyz"), &back, &pos));
}

TEST(properties_skip_what_java_skips)
{
    struct tl_str text = TL_STR("a\001b\002\002=\002\001x\002c\001\002d\001e\001f\002a\001z");

    CHECK_STR(properties_get(text, TL_STR("a")), "z");
    CHECK_STR(properties_get(text, TL_STR("d")), "e\001f");
    CHECK(!properties_get(text, TL_STR("c")).data);
}

TEST(a_tag_expression_takes_its_tags_and_no_others)
{
    struct subscription s;

    CHECK_OK(subscription_init(&s, TL_STR("T"), TL_STR(" TagA ||TagB|| TagA"), TL_STR_NONE, 1));
    CHECK_INT(s.tag_count, 2);
    CHECK(subscription_takes(&s, 2598919));
    CHECK(!subscription_takes(&s, 0));
    subscription_release(&s);
    CHECK(subscription_init(&s, TL_STR("T"), TL_STR("||"), TL_STR_NONE, 1) == TL_EFORMAT);
    CHECK_OK(subscription_init(&s, TL_STR("T"), TL_STR(" "), TL_STR_NONE, 1)); /* of no tag */
    CHECK(!subscription_takes(&s, 0));
    subscription_release(&s);
    CHECK_OK(subscription_init(&s, TL_STR("T"), TL_STR("TagA"), TL_STR(""), 1));
    CHECK(!subscription_takes(&s, 2598919));
    subscription_release(&s);
}

TEST(the_codes_of_a_heartbeat_decide_and_not_its_text)
{
    static const char *const bodies[] = {
        "{\"topic\":\"T\",\"subString\":\"TagA\",\"codeSet\":[],\"tagsSet\":[\"TagA\"]}",
        "{\"topic\":\"T\",\"subString\":\"TagB\",\"codeSet\":[\"2598919\"],\"subVersion\":7}",
        "{\"topic\":\"T\",\"subString\":\"TagA\",\"expressionType\":null}",
        "{\"topic\":\"T\",\"subString\":\"*\",\"codeSet\":[]}",
        "{\"topic\":\"T\",\"subString\":\"\",\"codeSet\":[]}"};
    static const bool takes[] = {false, true, true, true, false};

    for (size_t i = 0; i < 5; i++) {
        struct subscription s, copy;
        json_t *o = json_parse(tl_str_of(bodies[i]));
        CHECK_OK(subscription_from_json(&s, o));
        subscription_copy(&copy, &s);
        subscription_release(&s);
        CHECK(subscription_takes(&copy, 2598919) == takes[i]);
        json_t *shown = subscription_to_json(&copy);
        CHECK(json_equal(json_object_get(shown, "subString"), json_object_get(o, "subString")));
        CHECK((json_object_get(shown, "expressionType") == NULL) == (i == 2));
        CHECK_INT(json_get_i64(shown, "subVersion", -1), i == 1 ? 7 : 0);
        json_decref(shown);
        json_decref(o);
        subscription_release(&copy);
    }
}

TEST(heartbeats_of_cpp_and_go_are_understood)
{
    struct heartbeat h;

    CHECK_OK(heartbeat_parse(
        TL_STR(
            "{\"clientID\":\"10.0.0.7@77\",\"consumerDataSet\":[{\"consumeFromWhere\":0,\"consumeType\":1,"
            "\"groupName\":\"CG\",\"messageModel\":1,\"subscriptionDataSet\":[{\"subString\":\"*\","
            "\"subVersion\":\"1700000000000\",\"topic\":\"T\",\"codeSet\":[\"65\"]}]}]}\n"),
        &h));
    CHECK_INT(h.nconsumers, 1);
    CHECK_INT(h.consumers[0].model, MODEL_CLUSTERING);
    CHECK_INT(h.consumers[0].subs[0].version, 1700000000000);
    heartbeat_release(&h);
    CHECK(heartbeat_parse(TL_STR("{\"consumerDataSet\":null}"), &h) != 0);
    CHECK(heartbeat_parse(TL_STR("{\"producerDataSet\":[{\"groupName\":null}]}"), &h) != 0);
    CHECK_OK(heartbeat_parse(TL_STR("{}"), &h)); /* a client without a name */
    heartbeat_release(&h);
}

TEST(names_that_a_heartbeat_invents_are_unknown)
{
    struct heartbeat h;

    CHECK_OK(heartbeat_parse(
        TL_STR("{\"consumerDataSet\":[{\"groupName\":\"g\",\"consumeType\":\"push\"}]}"), &h));
    CHECK_INT(h.consumers[0].type, CONSUME_UNKNOWN);
    CHECK_INT(h.consumers[0].model, MODEL_UNKNOWN);
    CHECK_INT(h.consumers[0].from_where, -1);
    heartbeat_release(&h);
}

TEST(names_follow_the_validator)
{
    CHECK_OK(names_check_topic(TL_STR("%RETRY%a-b_c|1")));
    CHECK(names_check_topic(TL_STR("..")) == TL_EINVAL);
    CHECK(names_check_topic(TL_STR("")) == TL_EINVAL);
    CHECK(names_is_system_topic(TL_STR("rmq_sys_x")));
    CHECK(names_is_send_forbidden(TL_STR(NAME_SCHEDULE_TOPIC)));
}

TEST(version_numbers_have_their_names)
{
    char buf[32];

    CHECK_STR(version_name(479, buf), "V5_3_3");
    CHECK_STR(version_name(399, buf), "V4_9_3");
    CHECK_STR(version_name(317, buf), "V4_5_2");
}
