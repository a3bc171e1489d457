/*
 * stats - counters, sliding windows, latency histograms
 *
 * stats_counter: relaxed atomic; any thread.
 * stats_window: totals sampled every 10 s, from which 10 s / 60 s / 600 s rates come, as
 *     StoreStatsService reports them; sampled and read by one thread (or under a lock).
 * stats_hist: log-linear latency histogram (1 us .. 1000 s, ~3 % wide buckets), 64-bit counts;
 *     own thread, merged with stats_hist_add().
 */
#ifndef BASE_STATS_H
#define BASE_STATS_H

#include <stdatomic.h>
#include <stdint.h>

typedef _Atomic uint64_t stats_counter;

static inline void stats_add(stats_counter *c, uint64_t n)
{
    atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

static inline uint64_t stats_get(const stats_counter *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

enum { STATS_WINDOW_SAMPLES = 61 };

struct stats_window {
    struct {
        int64_t at_ms;
        uint64_t total;
    } sample[STATS_WINDOW_SAMPLES];
    int n, next;
};

/* Record @total at @now_ms when 10 s have passed since the last sample (or it is the first). */
void stats_window_sample(struct stats_window *w, int64_t now_ms, uint64_t total);
/* Events per second over the last @seconds, from the samples and @total now; 0.0 without any. */
double stats_window_rate(const struct stats_window *w, int64_t now_ms, uint64_t total, int seconds);

enum { STATS_HIST_BUCKETS = 32 * 31 };

struct stats_hist {
    uint64_t count, max_us, sum_us;
    uint64_t bucket[STATS_HIST_BUCKETS];
};

void stats_hist_record(struct stats_hist *h, uint64_t us);
void stats_hist_add(struct stats_hist *to, const struct stats_hist *from);
/* The value below which @q (0.0 .. 1.0) of the recorded values lie; 0 when empty. */
uint64_t stats_hist_quantile(const struct stats_hist *h, double q);

#endif
