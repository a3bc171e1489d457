#include "base/stats.h"

#include <string.h>

enum { SAMPLE_EVERY_MS = 10000, SUB_BITS = 5, SUB = 1 << SUB_BITS };

void stats_window_sample(struct stats_window *w, int64_t now_ms, uint64_t total)
{
    if (w->n) {
        int last = (w->next + STATS_WINDOW_SAMPLES - 1) % STATS_WINDOW_SAMPLES;
        if (now_ms - w->sample[last].at_ms < SAMPLE_EVERY_MS)
            return;
    }
    w->sample[w->next].at_ms = now_ms;
    w->sample[w->next].total = total;
    w->next = (w->next + 1) % STATS_WINDOW_SAMPLES;
    if (w->n < STATS_WINDOW_SAMPLES)
        w->n++;
}

double stats_window_rate(const struct stats_window *w, int64_t now_ms, uint64_t total,
                         int seconds)
{
    /* From the newest sample that is old enough, or the oldest there is. */
    int from = -1;
    for (int back = 1; back <= w->n; back++) {
        from = (w->next + STATS_WINDOW_SAMPLES - back) % STATS_WINDOW_SAMPLES;
        if (now_ms - w->sample[from].at_ms >= (int64_t)seconds * 1000)
            break;
    }
    if (from < 0 || now_ms <= w->sample[from].at_ms || total < w->sample[from].total)
        return 0.0;
    return (double)(total - w->sample[from].total) * 1000.0 /
           (double)(now_ms - w->sample[from].at_ms);
}

/*
 * Bucket layout: values below SUB have one each; above, every power of two is cut into SUB equal
 * parts.  The last bucket takes all that is beyond.
 */
static unsigned bucket_of(uint64_t us)
{
    if (us < SUB)
        return (unsigned)us;
    unsigned shift = 63 - (unsigned)__builtin_clzll(us) - SUB_BITS;
    unsigned i = (shift + 1) * SUB + (unsigned)(us >> shift) - SUB;
    return i < STATS_HIST_BUCKETS ? i : STATS_HIST_BUCKETS - 1;
}

static uint64_t bucket_top(unsigned i)
{
    if (i < SUB)
        return i;
    unsigned shift = i / SUB - 1;
    return ((uint64_t)(SUB + i % SUB + 1) << shift) - 1;
}

void stats_hist_record(struct stats_hist *h, uint64_t us)
{
    h->count++;
    h->sum_us += us;
    if (us > h->max_us)
        h->max_us = us;
    h->bucket[bucket_of(us)]++;
}

void stats_hist_add(struct stats_hist *to, const struct stats_hist *from)
{
    to->count += from->count;
    to->sum_us += from->sum_us;
    if (from->max_us > to->max_us)
        to->max_us = from->max_us;
    for (int i = 0; i < STATS_HIST_BUCKETS; i++)
        to->bucket[i] += from->bucket[i];
}

uint64_t stats_hist_quantile(const struct stats_hist *h, double q)
{
    if (!h->count)
        return 0;
    double want = q * (double)h->count;
    uint64_t seen = 0;
    for (unsigned i = 0; i < STATS_HIST_BUCKETS - 1; i++) {
        seen += h->bucket[i];
        if (seen && (double)seen >= want)
            return bucket_top(i) < h->max_us ? bucket_top(i) : h->max_us;
    }
    return h->max_us;
}
