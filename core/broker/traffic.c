/*
 * Per topic and per (topic, group) counters live in striped hash tables and stay for the
 * life of the broker, up to a limit; totals are plain atomics.  Windows are written by the
 * sampler and read under the same lock.
 */
#include "broker/traffic.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/stats.h"
#include "broker/map.h"

enum { STRIPES = 16, KEY_MAX = 520, COUNTERS_PER_STRIPE_MAX = 8192, TPS_SECONDS = 60 };

/* Messages of one topic in, or of one group's topic out. */
struct counter {
    UT_hash_handle hh;
    char *key;                  /* topic, or topic@group; owned */
    uint64_t messages, sampled; /* now, and at the window's last sample */
    int64_t sampled_ms;
    struct stats_window window;
};

struct stripe {
    struct lock lock;
    struct counter *counters;
};

enum total { PUT_MESSAGES, PUT_BYTES, GET_MESSAGES, GET_BYTES, GET_FOUND, GET_MISS, TOTALS };

struct traffic {
    struct stripe stripe[STRIPES];
    stats_counter total[TOTALS];
    struct lock lock; /* what follows */
    struct stats_window window[TOTALS];
    int day;                           /* of the local calendar, -1 = not sampled yet */
    uint64_t put_today, put_yesterday; /* PUT_MESSAGES at the last two midnights */
    uint64_t get_today, get_yesterday;
    int64_t next_counters_ms; /* when per-topic windows are sampled again */
};

struct traffic *traffic_new(void)
{
    struct traffic *t = xzalloc(sizeof(*t));

    for (int i = 0; i < STRIPES; i++)
        lock_init(&t->stripe[i].lock, RANK_STATS);
    lock_init(&t->lock, RANK_STATS);
    t->day = -1;
    return t;
}

void traffic_free(struct traffic *t)
{
    struct counter *c, *next;

    for (int i = 0; i < STRIPES; i++) {
        HASH_ITER (hh, t->stripe[i].counters, c, next) {
            HASH_DEL(t->stripe[i].counters, c);
            free(c->key);
            free(c);
        }
        lock_release(&t->stripe[i].lock);
    }
    lock_release(&t->lock);
    free(t);
}

/* ---- counting --------------------------------------------------------------------------- */

/* "topic" or "topic@group" into @buf; 0 when too long. */
static size_t key_of(struct tl_str topic, struct tl_str group, char buf[KEY_MAX])
{
    size_t len = topic.len + (group.data ? 1 + group.len : 0);

    if (!topic.len || len > KEY_MAX)
        return 0;
    memcpy(buf, topic.data, topic.len);
    if (group.data) {
        buf[topic.len] = '@';
        memcpy(buf + topic.len + 1, group.data, group.len);
    }
    return len;
}

static struct stripe *stripe_of(struct traffic *t, const char *key, size_t len)
{
    return &t->stripe[hash_bytes(key, len) % STRIPES];
}

static void count(struct traffic *t, struct tl_str topic, struct tl_str group,
                  uint64_t messages)
{
    char key[KEY_MAX];
    size_t len = key_of(topic, group, key);
    struct counter *c;

    if (!len)
        return;
    struct stripe *s = stripe_of(t, key, len);
    lock_take(&s->lock);
    HASH_FIND(hh, s->counters, key, len, c);
    if (!c && HASH_COUNT(s->counters) < COUNTERS_PER_STRIPE_MAX) {
        c = xzalloc(sizeof(*c));
        c->key = xstrndup(key, len);
        HASH_ADD_KEYPTR(hh, s->counters, c->key, len, c);
        c->sampled_ms = clock_mono_ms();
        stats_window_sample(&c->window, c->sampled_ms, 0);
    }
    if (c)
        c->messages += messages;
    lock_drop(&s->lock);
}

void traffic_put(struct traffic *t, struct tl_str topic, uint64_t messages, uint64_t bytes)
{
    stats_add(&t->total[PUT_MESSAGES], messages);
    stats_add(&t->total[PUT_BYTES], bytes);
    count(t, topic, TL_STR_NONE, messages);
}

void traffic_get(struct traffic *t, struct tl_str topic, struct tl_str group, uint64_t messages,
                 uint64_t bytes)
{
    stats_add(&t->total[GET_FOUND], 1);
    stats_add(&t->total[GET_MESSAGES], messages);
    stats_add(&t->total[GET_BYTES], bytes);
    count(t, topic, group, messages);
}

void traffic_pull_miss(struct traffic *t)
{
    stats_add(&t->total[GET_MISS], 1);
}

/* ---- sampling --------------------------------------------------------------------------- */

static int local_day(int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;

    localtime_r(&seconds, &tm);
    return (tm.tm_year + 1900) * 1000 + tm.tm_yday;
}

static void sample_counters(struct traffic *t, int64_t mono_ms)
{
    for (int i = 0; i < STRIPES; i++) {
        lock_take(&t->stripe[i].lock);
        for (struct counter *c = t->stripe[i].counters; c; c = c->hh.next) {
            stats_window_sample(&c->window, mono_ms, c->messages);
            c->sampled = c->messages;
            c->sampled_ms = mono_ms;
        }
        lock_drop(&t->stripe[i].lock);
    }
}

void traffic_sample(struct traffic *t, int64_t now_ms)
{
    int64_t mono_ms = clock_mono_ms();
    int day = local_day(now_ms);

    lock_take(&t->lock);
    for (int i = 0; i < TOTALS; i++)
        stats_window_sample(&t->window[i], mono_ms, stats_get(&t->total[i]));
    if (t->day >= 0 && day != t->day) {
        t->put_yesterday = t->put_today;
        t->get_yesterday = t->get_today;
        t->put_today = stats_get(&t->total[PUT_MESSAGES]);
        t->get_today = stats_get(&t->total[GET_MESSAGES]);
    }
    t->day = day;
    bool counters = mono_ms >= t->next_counters_ms;
    if (counters)
        t->next_counters_ms = mono_ms + 10000;
    lock_drop(&t->lock);
    if (counters)
        sample_counters(t, mono_ms);
}

/* ---- rates ------------------------------------------------------------------------------ */

/* As of the last sample: in Java, too, a topic's rate is 0 until it was sampled once. */
static double tps(struct traffic *t, struct tl_str topic, struct tl_str group)
{
    char key[KEY_MAX];
    size_t len = key_of(topic, group, key);
    struct counter *c;
    double rate = 0.0;

    if (!len)
        return 0.0;
    struct stripe *s = stripe_of(t, key, len);
    lock_take(&s->lock);
    HASH_FIND(hh, s->counters, key, len, c);
    if (c)
        rate = stats_window_rate(&c->window, c->sampled_ms, c->sampled, TPS_SECONDS);
    lock_drop(&s->lock);
    return rate;
}

double traffic_topic_put_tps(struct traffic *t, struct tl_str topic)
{
    return tps(t, topic, TL_STR_NONE);
}

double traffic_group_get_tps(struct traffic *t, struct tl_str topic, struct tl_str group)
{
    return tps(t, topic, group);
}

void traffic_rate_text(double rate, struct strbuf *out)
{
    char text[40];

    snprintf(text, sizeof(text), "%.10g", rate);
    strbuf_addz(out, text);
    if (!strpbrk(text, ".en"))
        strbuf_addz(out, ".0");
}

/*
 * "t10 t60 t600": events per second of the sum of totals @a and @b (TOTALS = none); t->lock
 * is held.
 */
static void set_rates(struct traffic *t, json_t *table, const char *key, enum total a,
                      enum total b)
{
    static const int windows[] = {10, 60, 600};
    int64_t now = clock_mono_ms();
    struct strbuf text = {0};

    for (int i = 0; i < 3; i++) {
        double rate =
            stats_window_rate(&t->window[a], now, stats_get(&t->total[a]), windows[i]);
        if (b != TOTALS)
            rate += stats_window_rate(&t->window[b], now, stats_get(&t->total[b]), windows[i]);
        if (i)
            strbuf_addc(&text, ' ');
        traffic_rate_text(rate, &text);
    }
    json_set_str(table, key, strbuf_str(&text));
    strbuf_release(&text);
}

static void set_number(json_t *table, const char *key, uint64_t n)
{
    char text[24];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
    json_set_str(table, key, tl_str_of(text));
}

void traffic_runtime_info(struct traffic *t, json_t *table)
{
    lock_take(&t->lock);
    set_rates(t, table, "putTps", PUT_MESSAGES, TOTALS);
    set_rates(t, table, "getFoundTps", GET_FOUND, TOTALS);
    set_rates(t, table, "getMissTps", GET_MISS, TOTALS);
    set_rates(t, table, "getTotalTps", GET_FOUND, GET_MISS);
    set_rates(t, table, "getTransferredTps", GET_MESSAGES, TOTALS);
    set_number(table, "msgPutTotalYesterdayMorning", t->put_yesterday);
    set_number(table, "msgPutTotalTodayMorning", t->put_today);
    set_number(table, "msgPutTotalTodayNow", stats_get(&t->total[PUT_MESSAGES]));
    set_number(table, "msgGetTotalYesterdayMorning", t->get_yesterday);
    set_number(table, "msgGetTotalTodayMorning", t->get_today);
    set_number(table, "msgGetTotalTodayNow", stats_get(&t->total[GET_MESSAGES]));
    lock_drop(&t->lock);
}
