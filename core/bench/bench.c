/*
 * bench - a run: prepare, start the workers, watch, stop, report
 */
#include "bench/bench.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "bench/run.h"
#include "client/client.h"

enum { GRACE_MS = 10000 }; /* for answers under way when the time is over */

int bench_check(const struct bench_options *o)
{
    const struct {
        const char *name;
        int64_t value, min, max;
    } limits[] = {
        {"topics", o->topics, 1, 1000},
        {"queues", o->queues, 1, 1024},
        {"connections", o->connections, 1, 10000},
        {"window", o->window, 1, 65536},
        {"size", o->size, BENCH_SIZE_MIN, 4 << 20},
        {"threads", o->threads, 1, 64},
        {"pullMax", o->pull_max, 1, 1024},
        {"count", o->count, 0, INT64_MAX},
    };

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        if (limits[i].value < limits[i].min || limits[i].value > limits[i].max)
            return tl_fail(TL_EINVAL, "--%s %lld: a number from %lld to %lld expected",
                           limits[i].name, (long long)limits[i].value, (long long)limits[i].min,
                           (long long)limits[i].max);
    }
    if (!(o->rate >= 0 && o->rate <= 1e8) || !(o->duration_s >= 0 && o->duration_s <= 1e6) ||
        !(o->warmup_s >= 0 && o->warmup_s <= 1e6))
        return tl_fail(TL_EINVAL,
                       "--rate, --duration, --warmup: a number that is not negative");
    if ((o->mode & BENCH_PRODUCE) && o->duration_s <= 0 && o->count <= 0)
        return tl_fail(TL_EINVAL, "sending needs an end: --duration or --count");
    return 0;
}

/* ---- workers ------------------------------------------------------------------------------ */

static void add_link(struct worker *w, struct link *l)
{
    if (!l)
        return;
    w->links = xrealloc(w->links, (size_t)(w->nlinks + 1) * sizeof(*w->links));
    w->links[w->nlinks++] = l;
    if (l->sends)
        w->run->busy_senders++;
    else
        w->run->busy_pullers++;
}

/* The brokers of the targets, each once. */
static size_t broker_list(const struct targets *t, const char ***out)
{
    size_t n = 0;

    *out = xcalloc(t->n, sizeof(**out));
    for (size_t i = 0; i < t->n; i++) {
        size_t at = 0;
        while (at < n && strcmp((*out)[at], t->items[i].addr) != 0)
            at++;
        if (at == n)
            (*out)[n++] = t->items[i].addr;
    }
    return n;
}

/* Sending connections are dealt out to the brokers in turn; each broker's queues are pulled over @connections of them. */
static void make_links(struct run *run)
{
    const struct bench_options *o = run->o;
    const char **brokers;
    size_t nbrokers = broker_list(&run->targets, &brokers);
    int32_t next = 0;

    for (int i = 0; (o->mode & BENCH_CONSUME) && i < o->connections; i++) {
        for (size_t b = 0; b < nbrokers; b++) {
            struct worker *w = &run->workers[next++ % o->threads];
            add_link(w, puller_new(w, i, brokers[b]));
        }
    }
    for (int i = 0; (o->mode & BENCH_PRODUCE) && i < o->connections; i++) {
        struct worker *w = &run->workers[i % o->threads];
        add_link(w, sender_new(w, i, brokers[(size_t)i % nbrokers]));
    }
    free(brokers);
}

static int start_workers(struct run *run)
{
    int n = run->o->threads;

    run->workers = xcalloc((size_t)n, sizeof(*run->workers));
    for (int i = 0; i < n; i++) {
        struct worker *w = &run->workers[i];
        w->run = run;
        w->share = run->o->count ? run->o->count / n + (i < run->o->count % n) : INT64_MAX;
        strbuf_init(&w->encode);
        int rc = reactor_start(&w->r, "load", ROLE_ANY);
        if (rc)
            return rc;
    }
    make_links(run);
    return 0;
}

static void begin(void *arg)
{
    struct worker *w = arg;

    for (int i = 0; i < w->nlinks; i++) {
        if (link_connect(w->links[i]))
            link_done(w->links[i]);
    }
    pacing_begin(w);
}

static void end(void *arg)
{
    struct worker *w = arg;

    for (int i = 0; i < w->nlinks; i++) {
        struct link *l = w->links[i];
        link_done(l);
        if (l->conn)
            conn_abort(l->conn);
    }
    alarm_free(w->alarm);
}

static void stop_workers(struct run *run)
{
    for (int i = 0; run->workers && i < run->o->threads; i++) {
        struct worker *w = &run->workers[i];
        if (!w->r)
            continue;
        reactor_call(w->r, end, w);
        reactor_stop(w->r);
        reactor_join(w->r);
        reactor_free(w->r);
    }
}

static void free_workers(struct run *run)
{
    for (int i = 0; run->workers && i < run->o->threads; i++) {
        struct worker *w = &run->workers[i];
        for (int n = 0; n < w->nlinks; n++) {
            arena_release(&w->links[n]->arena);
            w->links[n]->free(w->links[n]);
        }
        free(w->links);
        strbuf_release(&w->encode);
    }
    free(run->workers);
}

/* ---- watching ----------------------------------------------------------------------------- */

/* Is there anything left to wait for?  Under lock. */
static bool finished(const struct run *run, int64_t now)
{
    enum bench_mode mode = run->o->mode;

    if (mode == BENCH_PRODUCE)
        return run->busy_senders == 0;
    if (mode == BENCH_CONSUME)
        return run->busy_pullers == 0 || now >= run->until_ns;
    if (run->busy_senders > 0)
        return false;
    return run->busy_pullers == 0 ||
           stats_get(&run->tally.all_received) >= stats_get(&run->tally.all_sent);
}

static void wait_a_moment(struct run *run, int64_t wall_ms)
{
    struct timespec at = {wall_ms / 1000, wall_ms % 1000 * 1000000};

    pthread_cond_timedwait(&run->changed, &run->lock, &at);
}

/* Until everything was answered, or for GRACE_MS after the end. */
static void watch(struct run *run)
{
    struct tally before = {0};
    int64_t began = clock_mono_ns(), next = began + 1000000000, last_change = began;
    uint64_t seen = 0;

    pthread_mutex_lock(&run->lock);
    for (;;) {
        int64_t now = clock_mono_ns();
        uint64_t total = stats_get(&run->tally.all_sent) + stats_get(&run->tally.all_received);
        if (finished(run, now))
            break;
        if (total != seen)
            last_change = now;
        seen = total;
        int64_t quiet_since = run->until_ns > last_change && run->until_ns != INT64_MAX
                                  ? run->until_ns
                                  : last_change;
        if (now - quiet_since > GRACE_MS * INT64_C(1000000))
            break;
        if (now >= next) {
            report_progress(run, (double)(now - began) / 1e9, &before);
            before.all_sent = stats_get(&run->tally.all_sent);
            before.all_received = stats_get(&run->tally.all_received);
            next += 1000000000;
        }
        wait_a_moment(run, clock_now_ms() + 50);
    }
    pthread_mutex_unlock(&run->lock);
}

/* ---- the whole ---------------------------------------------------------------------------- */

static double measured_seconds(const struct run *run)
{
    int64_t last = 0;

    for (int i = 0; i < run->o->threads; i++)
        last = run->workers[i].last_ns > last ? run->workers[i].last_ns : last;
    return last > run->from_ns ? (double)(last - run->from_ns) / 1e9 : 0;
}

static void report(const struct run *run)
{
    struct stats_hist *sums = xcalloc(3, sizeof(*sums));
    int64_t missed = 0;

    for (int i = 0; i < run->o->threads; i++) {
        const struct worker *w = &run->workers[i];
        stats_hist_add(&sums[0], &w->send);
        stats_hist_add(&sums[1], &w->pull);
        stats_hist_add(&sums[2], &w->e2e);
        missed += w->missed;
    }
    report_result(run, measured_seconds(run), missed, &sums[0], &sums[1], &sums[2]);
    free(sums);
}

static int verdict(const struct run *run)
{
    const struct tally *t = &run->tally;
    uint64_t sent = stats_get(&t->all_sent), received = stats_get(&t->all_received);

    if (stats_get(&t->refused))
        return tl_fail(TL_EINVAL, "%llu requests were refused, the first with %s",
                       (unsigned long long)stats_get(&t->refused), run->first_refusal);
    if (stats_get(&t->lost_links))
        return tl_fail(TL_ECLOSED, "%llu connections to %s were lost or refused",
                       (unsigned long long)stats_get(&t->lost_links),
                       run->targets.items[0].addr);
    if (run->busy_senders)
        return tl_fail(TL_ETIMEOUT, "sends were not answered within %d s", GRACE_MS / 1000);
    if (run->o->mode == BENCH_E2E && received < sent)
        return tl_fail(TL_ETIMEOUT, "%llu of %llu messages sent did not arrive within %d s",
                       (unsigned long long)(sent - received), (unsigned long long)sent,
                       GRACE_MS / 1000);
    if (run->o->mode == BENCH_CONSUME && run->busy_pullers && run->o->duration_s <= 0)
        return tl_fail(TL_ETIMEOUT, "pulls were not answered within %d s", GRACE_MS / 1000);
    return 0;
}

int bench_run(const struct bench_options *o)
{
    struct run run = {.o = o, .id = (uint32_t)getpid() ^ (uint32_t)clock_mono_ns()};
    int rc = bench_check(o);

    if (rc)
        return rc;
    rc = targets_prepare(o, &run.targets);
    if (rc)
        return rc;
    pthread_mutex_init(&run.lock, NULL);
    pthread_cond_init(&run.changed, NULL);
    rc = start_workers(&run);
    if (!rc) {
        run.from_ns = clock_mono_ns() + (int64_t)llround(o->warmup_s * 1e9);
        run.until_ns =
            o->duration_s > 0 ? run.from_ns + (int64_t)llround(o->duration_s * 1e9) : INT64_MAX;
        for (int i = 0; i < o->threads; i++)
            reactor_call(run.workers[i].r, begin, &run.workers[i]);
        watch(&run);
        rc = verdict(&run);
    }
    struct tl_error why;
    tl_error_save(&why, rc);
    stop_workers(&run);
    if (run.from_ns)
        report(&run);
    free_workers(&run);
    targets_release(&run.targets);
    pthread_cond_destroy(&run.changed);
    pthread_mutex_destroy(&run.lock);
    return rc ? tl_error_raise(&why) : 0;
}
