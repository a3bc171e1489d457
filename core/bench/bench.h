/*
 * bench (sender_, puller_, pacing_, targets_) - load on a RocketMQ broker, ours or Apache's, and what it took
 *
 * produce: sends from a number of connections.  consume: pulls what is there, or what comes.
 * e2e: both at once, with the time from a message's send to its arrival at the consumer.
 *
 * Closed loop (rate 0): each connection keeps `window` sends under way.  Open loop: sends fall due
 * at fixed times whether or not the broker keeps up, and a latency counts from the moment the send
 * was due (no coordinated omission).  A warm-up at the start is not counted.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>

enum bench_mode { BENCH_PRODUCE = 1, BENCH_CONSUME = 2, BENCH_E2E = 3 };

struct bench_options {
    enum bench_mode mode;
    const char *namesrv; /* "h:p;h:p" */
    const char *topic;   /* with topics > 1: topic-0, topic-1, ... */
    const char *group;   /* of the producers and of the consumers */
    const char *tag;     /* of each message; also what consumers ask for; NULL = none */
    int32_t topics, queues, connections, window, size, threads, pull_max;
    double rate; /* messages a second, all connections together; 0 = closed loop */
    double duration_s,
        warmup_s;  /* duration 0: until count is reached, or the backlog is read */
    int64_t count; /* 0 = no limit */
    bool json, quiet;
};
enum { BENCH_SIZE_MIN = 16 }; /* a body holds a stamp */

/* What can be wrong with options, as one sentence by tl_fail(TL_EINVAL); 0 when nothing is. */
int bench_check(const struct bench_options *o);
/*
 * Run it: progress on stderr each second, the report on stdout.  Blocks.  0 when messages went
 * through and none was refused or lost on the way; TL_E... with a text otherwise.
 */
int bench_run(const struct bench_options *o);

#endif
