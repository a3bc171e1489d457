#include "broker/traffic.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "t.h"

#define T TL_STR("TopicA")

/* A second each, as the service thread samples. */
static void pass_seconds(struct traffic *t, int seconds)
{
    for (int i = 0; i < seconds; i++) {
        clock_advance_ms(1000);
        traffic_sample(t, clock_now_ms());
    }
}

static struct traffic *started(void)
{
    clock_fake(1700000000000);
    struct traffic *t = traffic_new();
    traffic_sample(t, clock_now_ms());
    return t;
}

static void finished(struct traffic *t)
{
    traffic_free(t);
    clock_real();
}

static double first_number(struct traffic *t, const char *key)
{
    json_t *table = json_object();

    traffic_runtime_info(t, table);
    double n = strtod(json_string_value(json_object_get(table, key)), NULL);
    json_decref(table);
    return n;
}

TEST(without_traffic_all_rates_are_three_zeros)
{
    struct traffic *t = started();
    json_t *table = json_object();
    static const char *const keys[] = {"putTps", "getFoundTps", "getMissTps", "getTotalTps",
                                       "getTransferredTps"};

    traffic_runtime_info(t, table);
    for (int i = 0; i < 5; i++)
        CHECK_STR(json_get_str(table, keys[i]), "0.0 0.0 0.0");
    CHECK_STR(json_get_str(table, "msgPutTotalTodayNow"), "0");
    json_decref(table);
    finished(t);
}

TEST(a_steady_stream_shows_its_rate)
{
    struct traffic *t = started();

    for (int i = 0; i < 60; i++) {
        traffic_put(t, T, 10, 1000);
        traffic_get(t, T, TL_STR("g"), 5, 500);
        traffic_pull_miss(t);
        pass_seconds(t, 1);
    }
    CHECK(first_number(t, "putTps") > 9.0 && first_number(t, "putTps") < 11.0);
    CHECK(first_number(t, "getTransferredTps") > 4.5 &&
          first_number(t, "getTransferredTps") < 5.5);
    CHECK(first_number(t, "getFoundTps") > 0.9 && first_number(t, "getFoundTps") < 1.1);
    CHECK(first_number(t, "getTotalTps") > 1.8 && first_number(t, "getTotalTps") < 2.2);
    CHECK(traffic_topic_put_tps(t, T) > 9.0 && traffic_topic_put_tps(t, T) < 11.0);
    CHECK(traffic_group_get_tps(t, T, TL_STR("g")) > 4.5);
    CHECK(traffic_group_get_tps(t, T, TL_STR("other")) == 0.0);
    finished(t);
}

TEST(a_rate_falls_to_zero_when_the_stream_ends)
{
    struct traffic *t = started();

    traffic_put(t, T, 100, 1000);
    pass_seconds(t, 10);
    CHECK(traffic_topic_put_tps(t, T) > 0.0);
    pass_seconds(t, 120);
    CHECK(traffic_topic_put_tps(t, T) == 0.0);
    CHECK(first_number(t, "putTps") == 0.0);
    finished(t);
}

TEST(totals_of_the_day_move_at_midnight)
{
    struct traffic *t = started();

    traffic_put(t, T, 7, 70);
    CHECK(first_number(t, "msgPutTotalTodayMorning") == 0);
    CHECK(first_number(t, "msgPutTotalTodayNow") == 7);
    clock_advance_ms(24 * 3600 * 1000);
    traffic_sample(t, clock_now_ms());
    CHECK(first_number(t, "msgPutTotalTodayMorning") == 7);
    traffic_put(t, T, 3, 30);
    clock_advance_ms(24 * 3600 * 1000);
    traffic_sample(t, clock_now_ms());
    CHECK(first_number(t, "msgPutTotalYesterdayMorning") == 7);
    CHECK(first_number(t, "msgPutTotalTodayMorning") == 10);
    finished(t);
}

TEST(rates_are_written_as_java_writes_doubles)
{
    struct strbuf text = {0};

    traffic_rate_text(0.0, &text);
    strbuf_addc(&text, ' ');
    traffic_rate_text(12.5, &text);
    strbuf_addc(&text, ' ');
    traffic_rate_text(100, &text);
    CHECK_STR(strbuf_str(&text), "0.0 12.5 100.0");
    strbuf_release(&text);
}
