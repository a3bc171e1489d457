/*
 * run - inside a benchmark: targets, workers, links (private to bench/)
 *
 * The main thread prepares targets, starts the workers (a reactor each) and watches the counters;
 * each link, a connection, belongs to one worker.  A worker's histograms are read when its reactor has stopped.
 */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/stats.h"
#include "bench/bench.h"
#include "net/alarm.h"
#include "net/conn.h"
#include "proto/command.h"

/* A queue of a topic on a broker. */
struct target {
    char *addr, *topic; /* owned */
    int32_t queue_id;
    int64_t min_offset, max_offset; /* at the start */
};
struct targets {
    struct target *items;
    size_t n;
};
/* Create the topics where they are missing, wait until the name server tells them. */
int targets_prepare(const struct bench_options *o, struct targets *out);
void targets_release(struct targets *t);

/* What happened so far; any thread. */
struct tally {
    stats_counter sent, received, bytes; /* sent: acknowledged */
    stats_counter all_sent,
        all_received; /* including the warm-up and what came after the end */
    stats_counter refused, lost_links;
};

struct link;
struct run {
    const struct bench_options *o;
    struct targets targets;
    uint32_t id;               /* in the stamps of this run's messages */
    int64_t from_ns, until_ns; /* what counts; until: INT64_MAX without a duration */
    struct worker *workers;
    struct tally tally;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int busy_senders, busy_pullers; /* links with work left; under lock */
    char first_refusal[256];        /* under lock */
};

struct worker {
    struct run *run;
    struct reactor *r;
    struct link **links;
    int nlinks;
    struct alarm *alarm;
    int64_t last_ns; /* of the last counted answer */
    struct stats_hist send, pull, e2e;
    struct strbuf encode;
    /* pacing; see produce.c */
    double interval_ns;
    int64_t start_ns, due, share; /* sends due so far; most this worker may make */
    int round;
    bool ended;
    int64_t missed; /* were due, not sent when the time was over */
};

/* A connection of the load. */
struct link {
    struct worker *w;
    struct conn *conn;
    const char *addr;
    bool up, done, sends;
    struct arena arena;
    void (*on_up)(struct link *l);
    void (*on_reply)(struct link *l, const struct command *reply);
    void (*free)(struct link *l);
};
/* Own reactor. */
int link_connect(struct link *l);
/* The link has nothing left to do: tells the run, once. */
void link_done(struct link *l);
void link_refused(struct link *l, const struct command *reply);

/* produce.c: the sending link number @index of the worker. */
struct link *sender_new(struct worker *w, int index, const char *addr);
void pacing_begin(struct worker *w);
/* consume.c: a pulling link for the queues of @addr with number % connections == @index. */
struct link *puller_new(struct worker *w, int index, const char *addr);

/* The stamp at the start of a body: run id 4, zero 4, send time (clock_mono_ns) 8; host order: one machine. */
struct stamp {
    uint32_t run, zero;
    int64_t at_ns;
};
_Static_assert(sizeof(struct stamp) == BENCH_SIZE_MIN, "the stamp fits the smallest body");

/* report.c */
void report_progress(const struct run *run, double elapsed_s, const struct tally *before);
/* @pull, @send, @e2e merged over the workers. */
void report_result(const struct run *run, double seconds, int64_t missed,
                   const struct stats_hist *send, const struct stats_hist *pull,
                   const struct stats_hist *e2e);

#endif
