#include <stdio.h>

#include "base/json.h"
#include "t.h"

static json_t *parse(const char *text)
{
    json_t *v = json_parse(tl_str_of(text));
    if (!v)
        fprintf(stderr, "%s: %s\n", text, t_error());
    return v;
}

/* What @text is when written again by @write. */
static struct tl_str again(const char *text, void (*write)(const json_t *, struct strbuf *))
{
    static struct strbuf out;
    json_t *v = parse(text);
    CHECK(v);
    strbuf_clear(&out);
    write(v, &out);
    json_decref(v);
    return strbuf_str(&out);
}

static void refused(const char *text, const char *why)
{
    json_t *v = json_parse(tl_str_of(text));
    CHECK(!v);
    CHECK_HAS(t_error(), why);
}

TEST(strict_json_is_read)
{
    CHECK_STR(again(" {\"b\": [1, 2.5, true,\tnull], \"a\": \"x\"} \n", json_write),
              "{\"a\":\"x\",\"b\":[1,2.5,true,null]}");
    CHECK_STR(again("[]", json_write), "[]");
    CHECK_STR(again("-9223372036854775808", json_write), "-9223372036854775808");
    CHECK_STR(again("false", json_write), "false");
}

TEST(bare_integer_keys_are_read)
{
    CHECK_STR(again("{\"offsetTable\":{0:5,1:7}}", json_write),
              "{\"offsetTable\":{\"0\":5,\"1\":7}}");
    CHECK_STR(again("{-1:1}", json_write), "{\"-1\":1}");
}

TEST(the_offset_file_of_a_broker_is_read)
{
    json_t *v = parse("{\n\t\"dataVersion\":{\"counter\":3,\"stateVersion\":0},\n"
                      "\t\"offsetTable\":{ \"TopicA@g1\":{0:100,1:101\n\t\t},\n"
                      "\t\t\"%RETRY%g1@g1\":{0:7\n\t\t} }\n}");
    CHECK(v);
    const json_t *table = json_get_object(v, "offsetTable");
    const json_t *queues = json_get_object(table, "TopicA@g1");
    CHECK_INT(json_get_i64(queues, "1", -1), 101);
    CHECK_INT(json_get_i64(json_get_object(table, "%RETRY%g1@g1"), "0", -1), 7);
    json_decref(v);
}

TEST(bare_object_keys_become_their_text)
{
    const char *text =
        "{\"offsetTable\":{{\"queueId\":0,\"brokerName\":\"b\",\"topic\":\"T\"}:5}}";
    json_t *v = parse(text);
    CHECK(v);
    CHECK_INT(json_get_i64(json_get_object(v, "offsetTable"),
                           "{\"brokerName\":\"b\",\"queueId\":0,\"topic\":\"T\"}", -1),
              5);
    json_decref(v);
    CHECK_STR(again(text, json_write_fastjson),
              "{\"offsetTable\":{{\"brokerName\":\"b\",\"queueId\":0,\"topic\":\"T\"}:5}}");
}

TEST(single_quotes_bare_names_and_trailing_commas_are_read)
{
    CHECK_STR(again("{a:1,$b:'x\"y',}", json_write), "{\"$b\":\"x\\\"y\",\"a\":1}");
    CHECK_STR(again("[1,2,]", json_write), "[1,2]");
    CHECK_STR(again("{'k':[{},],}", json_write), "{\"k\":[{}]}");
}

TEST(escapes_are_read)
{
    CHECK_STR(again("\"\\u0041\\x42\\n\\/\\u4e2d\\ud83d\\ude00\"", json_write),
              "\"AB\\n/\xe4\xb8\xad\xf0\x9f\x98\x80\"");
    CHECK_STR(again("\"a\\u0001b\\u0002\"", json_write), "\"a\\u0001b\\u0002\"");
    CHECK_STR(again("\"\\ud83d!\"", json_write), "\"\xef\xbf\xbd!\"");
    CHECK_STR(again("\"a\\u0000b\"", json_write), "\"a\\u0000b\"");
}

TEST(raw_control_characters_and_bad_utf8_in_strings_are_taken)
{
    CHECK_STR(again("\"a\x01\x02\tb\"", json_write), "\"a\\u0001\\u0002\\tb\"");
    CHECK_STR(again("\"a\xff\xc3\"", json_write), "\"a\xef\xbf\xbd\xef\xbf\xbd\"");
}

TEST(damaged_text_is_refused_with_its_place)
{
    refused("", "no text");
    refused("{", "at byte 1");
    refused("{\"a\":1", "at byte 6");
    refused("{\"a\" 1}", "expected ':' at byte 5");
    refused("[1 2]", "expected ',' or ']' at byte 3");
    refused("{\"a\":1}x", "behind the value at byte 7");
    refused("\"abc", "without its end");
    refused("\"\\q\"", "bad escape");
    refused("\"\\u12g4\"", "bad escape");
    refused("nul", "at byte 0");
    refused("-", "unexpected character");
    refused("1.2.3", "bad number");
    refused("[,]", "at byte 1");
    refused("{:1}", "member's name");
    refused("   ", "unexpected end");
}

TEST(depth_is_limited)
{
    struct strbuf b = {0};
    for (int i = 0; i < JSON_DEPTH_MAX; i++)
        strbuf_addc(&b, '[');
    for (int i = 0; i < JSON_DEPTH_MAX; i++)
        strbuf_addc(&b, ']');
    json_t *v = json_parse(strbuf_str(&b));
    CHECK(v);
    json_decref(v);
    strbuf_clear(&b);
    for (int i = 0; i < 100000; i++)
        strbuf_addc(&b, '{');
    CHECK(!json_parse(strbuf_str(&b)));
    CHECK_HAS(t_error(), "nested too deep");
    strbuf_release(&b);
}

TEST(getters_convert_and_default)
{
    static const char *const modes[] = {"PULL", "POP"};
    json_t *v = parse("{n:'12',s:7,t:true,f:'FALSE',d:1.9,z:null,o:{},a:[],e:'POP',e2:1,e3:'0',"
                      "big:99999999999,bad:'x'}");
    CHECK(v);
    CHECK_INT(json_get_i64(v, "n", 0), 12);
    CHECK_INT(json_get_i64(v, "s", 0), 7);
    CHECK_INT(json_get_i64(v, "d", 0), 1);
    CHECK_INT(json_get_i64(v, "z", 5), 5);
    CHECK_INT(json_get_i64(v, "none", 5), 5);
    CHECK_INT(json_get_i64(v, "bad", 5), 5);
    CHECK_INT(json_get_i64(v, "o", 5), 5);
    CHECK_INT(json_get_i32(v, "big", 3), 3);
    CHECK(json_get_bool(v, "t", false));
    CHECK(!json_get_bool(v, "f", true));
    CHECK(json_get_bool(v, "s", false));
    CHECK(json_get_bool(v, "z", true));
    CHECK(json_get_f64(v, "d", 0) == 1.9);
    CHECK(json_get_f64(v, "n", 0) == 12);
    CHECK_STR(json_get_str(v, "n"), "12");
    CHECK(!json_get_str(v, "s").data);
    CHECK_INT(json_get_enum(v, "e", modes, 2, -1), 1);
    CHECK_INT(json_get_enum(v, "e2", modes, 2, -1), 1);
    CHECK_INT(json_get_enum(v, "e3", modes, 2, -1), 0);
    CHECK_INT(json_get_enum(v, "s", modes, 2, -1), -1);
    CHECK_INT(json_get_enum(v, "bad", modes, 2, -1), -1);
    CHECK(json_get_object(v, "o") && !json_get_object(v, "a"));
    CHECK(json_get_array(v, "a") && !json_get_array(v, "o"));
    CHECK_INT(json_get_i64(NULL, "a", 4), 4);
    json_decref(v);
}

TEST(absent_strings_are_not_set_and_bad_ones_are_repaired)
{
    json_t *o = json_object();
    struct strbuf b = {0};
    json_set_str(o, "gone", TL_STR_NONE);
    json_set_str(o, "empty", TL_STR(""));
    json_set_str(o, "odd", TL_STR("a\xff"));
    json_set_i64(o, "n", INT64_MAX);
    json_set_bool(o, "b", true);
    json_set_f64(o, "d", 2);
    json_write(o, &b);
    CHECK_STR(strbuf_str(&b), "{\"b\":true,\"d\":2.0,\"empty\":\"\",\"n\":9223372036854775807,"
                              "\"odd\":\"a\xef\xbf\xbd\"}");
    strbuf_release(&b);
    json_decref(o);
}

TEST(integer_keys_are_sorted_as_numbers)
{
    CHECK_STR(again("{10:1,9:2,2:3}", json_write_fastjson), "{2:3,9:2,10:1}");
    CHECK_STR(again("{'007':1,'x{':2}", json_write_fastjson), "{\"007\":1,\"x{\":2}");
    CHECK_STR(again("{'{bad':2}", json_write_fastjson), "{\"{bad\":2}");
}

TEST(the_pretty_form_is_that_of_the_config_files)
{
    CHECK_STR(
        again("{\"offsetTable\":{\"TopicA@g1\":{0:100,1:101},\"E\":{}},"
              "\"groupTopicMap\":{\"g1\":[\"TopicA\"]},\"list\":[{\"a\":1}]}",
              json_write_pretty),
        "{\n\t\"groupTopicMap\":{\n\t\t\"g1\":[\"TopicA\"]\n\t},\n"
        "\t\"list\":[\n\t\t{\n\t\t\t\"a\":1\n\t\t}\n\t],\n"
        "\t\"offsetTable\":{\n\t\t\"E\":{},\n\t\t\"TopicA@g1\":{0:100,1:101\n\t\t}\n\t}\n}");
}

TEST(the_pretty_form_is_read_back)
{
    const char *text = "{\"offsetTable\":{\"T@g\":{0:100,1:101}}}";
    char pretty[200];
    struct tl_str s = again(text, json_write_pretty);
    snprintf(pretty, sizeof(pretty), "%.*s", TL_STR_ARG(s));
    CHECK_STR(again(pretty, json_write_fastjson), text);
}

TEST(strings_are_written_with_fastjsons_escapes)
{
    struct strbuf b = {0};
    json_write_string(&b, TL_STR("a\"\\\n\x01\x7f\xc2\x85\xe2\x80\xa8/\xc3\xa9\xfe"));
    CHECK_STR(strbuf_str(&b),
              "\"a\\\"\\\\\\n\\u0001\\u007F\\u0085\\u2028/\xc3\xa9\xef\xbf\xbd\"");
    strbuf_release(&b);
}
