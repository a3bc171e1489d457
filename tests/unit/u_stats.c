#include "base/stats.h"
#include "t.h"

TEST(counters_count)
{
    stats_counter c = 0;
    stats_add(&c, 3);
    stats_add(&c, 4);
    CHECK_INT(stats_get(&c), 7);
}

TEST(a_window_gives_rates_over_its_spans)
{
    struct stats_window w = {0};
    CHECK(stats_window_rate(&w, 1000, 5, 10) == 0.0);
    for (int i = 0; i <= 70; i++) /* 100 a second for 600 s, then 200 */
        stats_window_sample(&w, (int64_t)i * 10000,
                            i <= 60 ? (uint64_t)i * 1000 : 60000 + (uint64_t)(i - 60) * 2000);
    CHECK(stats_window_rate(&w, 700000, 80000, 10) == 200.0);
    CHECK(stats_window_rate(&w, 700000, 80000, 60) == 200.0);
    CHECK(stats_window_rate(&w, 700000, 80000, 600) == 70000.0 / 600);
}

TEST(a_window_takes_one_sample_in_ten_seconds)
{
    struct stats_window w = {0};
    stats_window_sample(&w, 0, 0);
    stats_window_sample(&w, 9999, 50);
    CHECK_INT(w.n, 1);
    stats_window_sample(&w, 10000, 100);
    CHECK_INT(w.n, 2);
    CHECK(stats_window_rate(&w, 10000, 100, 10) == 10.0);
}

TEST(a_young_window_averages_over_what_it_has)
{
    struct stats_window w = {0};
    stats_window_sample(&w, 1000, 0);
    CHECK(stats_window_rate(&w, 1000, 10, 600) == 0.0);
    CHECK(stats_window_rate(&w, 3000, 10, 600) == 5.0);
}

TEST(quantiles_are_within_the_width_of_a_bucket)
{
    static struct stats_hist h;
    for (uint64_t us = 1; us <= 100000; us++)
        stats_hist_record(&h, us);
    uint64_t p50 = stats_hist_quantile(&h, 0.5);
    uint64_t p99 = stats_hist_quantile(&h, 0.99);
    CHECK(p50 >= 50000 && p50 <= 51600);
    CHECK(p99 >= 99000 && p99 <= 100000);
    CHECK_INT(stats_hist_quantile(&h, 1.0), 100000);
    CHECK_INT(stats_hist_quantile(&h, 0.0), 1);
    CHECK_INT(h.count, 100000);
    CHECK_INT(h.max_us, 100000);
}

TEST(small_values_are_exact_and_huge_ones_are_kept)
{
    static struct stats_hist h;
    CHECK_INT(stats_hist_quantile(&h, 0.5), 0);
    stats_hist_record(&h, 0);
    CHECK_INT(stats_hist_quantile(&h, 1.0), 0);
    stats_hist_record(&h, 31);
    stats_hist_record(&h, 7);
    CHECK_INT(stats_hist_quantile(&h, 0.6), 7);
    stats_hist_record(&h, UINT64_MAX / 4);
    CHECK(stats_hist_quantile(&h, 1.0) == UINT64_MAX / 4);
}

TEST(histograms_add_up)
{
    static struct stats_hist a;
    static struct stats_hist b;
    stats_hist_record(&a, 10);
    stats_hist_record(&b, 2000);
    stats_hist_add(&a, &b);
    CHECK_INT(a.count, 2);
    CHECK_INT(a.sum_us, 2010);
    CHECK_INT(a.max_us, 2000);
    CHECK_INT(stats_hist_quantile(&a, 0.5), 10);
    CHECK_INT(stats_hist_quantile(&a, 1.0), 2000);
}
