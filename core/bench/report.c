/*
 * report - what a run shows: a line a second on stderr, the result on stdout
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/run.h"

static const struct {
    const char *name;
    double q;
} quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}};
enum { QUANTILES = sizeof(quantiles) / sizeof(quantiles[0]) };

void report_progress(const struct run *run, double elapsed_s, const struct tally *before)
{
    const struct tally *t = &run->tally;
    uint64_t sent = stats_get(&t->all_sent), received = stats_get(&t->all_received);
    bool tty = isatty(STDERR_FILENO);

    if (run->o->quiet)
        return;
    fprintf(stderr, "%s%6.0f s", tty ? "\r" : "", elapsed_s);
    if (run->o->mode & BENCH_PRODUCE)
        fprintf(stderr, "  sent %" PRIu64 " (%" PRIu64 "/s)", sent,
                sent - stats_get(&before->all_sent));
    if (run->o->mode & BENCH_CONSUME)
        fprintf(stderr, "  received %" PRIu64 " (%" PRIu64 "/s)", received,
                received - stats_get(&before->all_received));
    if (stats_get(&t->refused))
        fprintf(stderr, "  refused %" PRIu64, stats_get(&t->refused));
    fprintf(stderr, "%s", tty ? "   " : "\n");
    fflush(stderr);
}

static void print_latency(const char *what, const struct stats_hist *h)
{
    if (!h->count)
        return;
    printf("%-10s", what);
    for (int i = 0; i < QUANTILES; i++)
        printf("  %s %.3f", quantiles[i].name,
               (double)stats_hist_quantile(h, quantiles[i].q) / 1000.0);
    printf("  max %.3f  mean %.3f ms\n", (double)h->max_us / 1000.0,
           (double)h->sum_us / (double)h->count / 1000.0);
}

static json_t *latency_json(const struct stats_hist *h)
{
    json_t *o = json_object();

    for (int i = 0; i < QUANTILES; i++)
        json_object_set_new(o, quantiles[i].name,
                            json_integer((json_int_t)stats_hist_quantile(h, quantiles[i].q)));
    json_object_set_new(o, "max", json_integer((json_int_t)h->max_us));
    json_object_set_new(o, "mean",
                        json_real(h->count ? (double)h->sum_us / (double)h->count : 0));
    return o;
}

static void print_json(const struct run *run, double seconds, int64_t missed,
                       const struct stats_hist *const hists[3])
{
    static const char *const names[3] = {"sendUs", "pullUs", "endToEndUs"};
    static const char *const modes[] = {"", "produce", "consume", "e2e"};
    const struct bench_options *o = run->o;
    const struct tally *t = &run->tally;
    double s = seconds > 0 ? seconds : 1;
    json_t *root = json_pack(
        "{s:s, s:i, s:i, s:i, s:f, s:f, s:I, s:I, s:f, s:f, s:f, s:I, s:I, s:I}", "mode",
        modes[o->mode], "connections", o->connections, "window", o->window, "size", o->size,
        "rate", o->rate, "seconds", seconds, "sent", (json_int_t)stats_get(&t->sent),
        "received", (json_int_t)stats_get(&t->received), "sentPerSecond",
        (double)stats_get(&t->sent) / s, "receivedPerSecond",
        (double)stats_get(&t->received) / s, "bytesPerSecond", (double)stats_get(&t->bytes) / s,
        "refused", (json_int_t)stats_get(&t->refused), "lostConnections",
        (json_int_t)stats_get(&t->lost_links), "notSentInTime", (json_int_t)missed);

    for (int i = 0; i < 3; i++) {
        if (hists[i]->count)
            json_object_set_new(root, names[i], latency_json(hists[i]));
    }
    char *text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(9));
    printf("%s\n", text);
    free(text);
    json_decref(root);
}

void report_result(const struct run *run, double seconds, int64_t missed,
                   const struct stats_hist *send, const struct stats_hist *pull,
                   const struct stats_hist *e2e)
{
    const struct bench_options *o = run->o;
    const struct tally *t = &run->tally;
    double s = seconds > 0 ? seconds : 1;

    if (!o->quiet && isatty(STDERR_FILENO))
        fprintf(stderr, "\n");
    if (o->json) {
        print_json(run, seconds, missed, (const struct stats_hist *const[]){send, pull, e2e});
        return;
    }
    if (o->mode & BENCH_PRODUCE)
        printf("sent       %" PRIu64 " messages of %d bytes in %.2f s: %.0f/s\n",
               stats_get(&t->sent), o->size, seconds, (double)stats_get(&t->sent) / s);
    if (o->mode & BENCH_CONSUME)
        printf("received   %" PRIu64 " messages in %.2f s: %.0f/s, %.1f MB/s\n",
               stats_get(&t->received), seconds, (double)stats_get(&t->received) / s,
               (double)stats_get(&t->bytes) / s / 1e6);
    print_latency("send", send);
    print_latency("pull", pull);
    print_latency("end to end", e2e);
    if (missed)
        printf("behind     %" PRId64 " sends were due but not made when the time was over\n",
               missed);
}
