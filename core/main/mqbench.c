/*
 * mqbench - load on a RocketMQ broker, ours or Apache's
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "bench/bench.h"
#include "main/cli.h"

static struct {
    const char *namesrv, *topic, *group, *tag, *topics, *queues, *connections, *window, *size,
        *threads, *pull_max, *rate, *duration, *warmup, *count;
    bool json, quiet;
} args;

static const struct cli_option options[] = {
    {'n', "namesrvAddr", "ADDRS", "name servers, 'host:port;host:port' (or NAMESRV_ADDR)",
     CLI_TEXT, &args.namesrv},
    {'t', "topic", "NAME", "topic, made when it is missing (mqbench)", CLI_TEXT, &args.topic},
    {0, "topics", "N", "so many: NAME-0, NAME-1, ... (1)", CLI_TEXT, &args.topics},
    {'q', "queues", "N", "queues of a topic that is made (8)", CLI_TEXT, &args.queues},
    {'g', "group", "NAME", "group of producers and consumers (mqbench)", CLI_TEXT, &args.group},
    {0, "tag", "TAG", "tag to send and to ask for (none)", CLI_TEXT, &args.tag},
    {'c', "connections", "N", "connections, for sending and for pulling each (8)", CLI_TEXT,
     &args.connections},
    {'w', "window", "N", "sends under way on a connection (32)", CLI_TEXT, &args.window},
    {'s', "size", "BYTES", "size of a body (1024)", CLI_TEXT, &args.size},
    {'r', "rate", "N",
     "messages a second in all, sent at their time whether or not the broker keeps "
     "up; 0: as fast as the windows allow (0)",
     CLI_TEXT, &args.rate},
    {'d', "duration", "SECONDS",
     "how long to measure (produce, e2e: 10; consume: until the backlog "
     "is read)",
     CLI_TEXT, &args.duration},
    {0, "warmup", "SECONDS", "load before that, not counted (0)", CLI_TEXT, &args.warmup},
    {0, "count", "N", "end after so many sends", CLI_TEXT, &args.count},
    {0, "pullMax", "N", "messages a pull may return (32)", CLI_TEXT, &args.pull_max},
    {0, "threads", "N", "threads that make the load (1)", CLI_TEXT, &args.threads},
    {0, "json", NULL, "print the result as JSON; times in microseconds", CLI_FLAG, &args.json},
    {0, "quiet", NULL, "no progress", CLI_FLAG, &args.quiet},
};

static const struct cli_program program = {"mqbench produce|consume|e2e",
                                           "load on a RocketMQ broker, and what it took",
                                           options, sizeof(options) / sizeof(options[0])};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "mqbench: %s\n", what);
    exit(1);
}

static double number(const char *name, const char *text, double def)
{
    double n;

    if (!text)
        return def;
    if (!tl_str_f64(tl_str_of(text), &n) || n != n) {
        fprintf(stderr, "mqbench: --%s %s: a number expected\n", name, text);
        exit(1);
    }
    return n;
}

static int32_t whole(const char *name, const char *text, int32_t def)
{
    int32_t n = def;

    if (text && !tl_str_i32(tl_str_of(text), &n)) {
        fprintf(stderr, "mqbench: --%s %s: a whole number expected\n", name, text);
        exit(1);
    }
    return n;
}

static enum bench_mode mode_of(const char *word)
{
    static const char *const words[] = {"", "produce", "consume", "e2e"};

    for (int m = BENCH_PRODUCE; m <= BENCH_E2E; m++) {
        if (strcmp(word, words[m]) == 0)
            return (enum bench_mode)m;
    }
    fprintf(stderr, "mqbench: unknown command %s (see mqbench --help)\n", word);
    exit(1);
}

int main(int argc, char **argv)
{
    int64_t count = 0;

    log_set_level(LOG_ERROR);
    if (argc < 2 || argv[1][0] == '-') {
        cli_parse(&program, argc, argv); /* --help, --version */
        cli_usage(&program);
        return 1;
    }
    enum bench_mode mode = mode_of(argv[1]);
    cli_parse(&program, argc - 1, argv + 1);
    if (args.count && (!tl_str_i64(tl_str_of(args.count), &count) || count < 1))
        die("--count: a number of messages expected");
    struct bench_options o = {
        .mode = mode,
        .namesrv = args.namesrv ? args.namesrv : getenv("NAMESRV_ADDR"),
        .topic = args.topic ? args.topic : "mqbench",
        .group = args.group ? args.group : "mqbench",
        .tag = args.tag,
        .topics = whole("topics", args.topics, 1),
        .queues = whole("queues", args.queues, 8),
        .connections = whole("connections", args.connections, 8),
        .window = whole("window", args.window, 32),
        .size = whole("size", args.size, 1024),
        .threads = whole("threads", args.threads, 1),
        .pull_max = whole("pullMax", args.pull_max, 32),
        .rate = number("rate", args.rate, 0),
        .duration_s =
            number("duration", args.duration, mode == BENCH_CONSUME || args.count ? 0 : 10),
        .warmup_s = number("warmup", args.warmup, 0),
        .count = count,
        .json = args.json,
        .quiet = args.quiet,
    };
    fflush(stdout);
    if (bench_run(&o))
        die(tl_error_text());
    return 0;
}
