/*
 * crash_store - a store under load, and the check of what is left of it
 *
 *   crash_store run ROOT LEDGER    append from several threads, delete topics, delete old files
 *   crash_store check ROOT LEDGER  open, compare with the ledger, end without closing (--close: in order)
 *   crash_store replace FILE N     N times over: FILE := "N NNN..."
 *
 * Exit codes: 0 good, 1 faults found, 3 the store refused to open (the text says why), 4 the store stopped by itself
 * (run), 9 something was acknowledged after that.  Fault points end it with 57.
 */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "crash.h"
#include "store/append.h"

enum { THREADS = 3, BATCH_MAX = 4, QUEUES = 3, FATAL_TRIES = 3 };

static struct crash_settings settings = {
    .log_bytes = 16384, .queue_bytes = 400, .index_slots = 50, .index_entries = 200};
static struct {
    uint64_t seed;
    int64_t count, durable, step_ms;
    bool retention, drops, close;
} args = {.count = 300, .durable = INT64_MAX, .step_ms = 20};

static int ledger_fd = -1;
static struct store *store;
static _Atomic bool fatal, full;
static _Atomic int64_t left;
static char fatal_text[600];

static void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void note(const char *fmt, ...)
{
    char text[2048];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (write(ledger_fd, text, (size_t)n) != n)
        abort();
}

/* ---- run ---------------------------------------------------------------------------------- */

struct sender {
    pthread_t thread;
    int index;
    uint64_t random, next_id;
    char prefix[24];
};

static uint32_t pick(struct sender *t, uint32_t n)
{
    t->random = t->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(t->random >> 33) % n;
}

/* One entry of 1 .. BATCH_MAX messages.  What append_wait() says. */
static int send_some(struct sender *t, const char *topic, int32_t queue_id)
{
    static _Thread_local struct crash_message m[BATCH_MAX];
    static _Thread_local uint8_t bytes[BATCH_MAX * CRASH_RECORD_MAX];
    uint32_t n = pick(t, 4) ? 1 : 1 + pick(t, BATCH_MAX);
    char lines[BATCH_MAX * 200];
    int len = 0;
    size_t size = 0;
    struct append_entry e = {.wait_flush = true};

    for (uint32_t i = 0; i < n; i++) {
        crash_message(&m[i], t->prefix, t->next_id++, topic, queue_id);
        memcpy(bytes + size, m[i].record, m[i].size);
        size += m[i].size;
        len += snprintf(lines + len, sizeof(lines) - (size_t)len, "S %s %s %d %u %u\n",
                        m[i].key, topic, queue_id, m[i].crc, m[i].length);
    }
    note("%s", lines);
    int rc = append_wait(store, bytes, size, n, &e);
    int64_t pos = e.log_pos;
    len = 0;
    for (uint32_t i = 0; i < n && !rc; i++) {
        len += snprintf(lines + len, sizeof(lines) - (size_t)len,
                        "A %s %s %d %" PRId64 " %" PRId64 " %u\n", m[i].key, topic, queue_id,
                        e.queue_offset + i, pos, m[i].size);
        pos += m[i].size;
    }
    if (!rc)
        note("%s", lines);
    clock_advance_ms(args.step_ms);
    return rc;
}

static void drop(const char *topic)
{
    note("D %s\n", topic);
    if (store_drop_topic(store, tl_str_of(topic)) == 0)
        note("d %s\n", topic);
}

static void *send_main(void *arg)
{
    struct sender *t = arg;
    char topic[32];

    while (atomic_fetch_sub(&left, 1) > 0 && !atomic_load(&fatal)) {
        bool own = args.drops && pick(t, 4) == 0;
        if (own)
            snprintf(topic, sizeof(topic), "Own%d", t->index);
        else
            snprintf(topic, sizeof(topic), "T%u", pick(t, 3));
        int rc = send_some(t, topic, (int32_t)pick(t, QUEUES));
        if (rc == TL_EIO || rc == TL_ESTOPPED)
            break;
        if (own && pick(t, 15) == 0)
            drop(topic);
    }
    return NULL;
}

static int disk_usage(void *arg, const char *path, struct fs_usage *out)
{
    (void)arg;
    (void)path;
    int64_t unused = atomic_load(&full) ? 10 : 60;
    *out = (struct fs_usage){100, unused, unused};
    return 0;
}

static void on_fatal(void *arg, const char *text)
{
    (void)arg;
    snprintf(fatal_text, sizeof(fatal_text), "%s", text);
    note("X %s\n", text);
    atomic_store(&fatal, true);
}

/* Now and then the disk seems full, and a file or two go. */
static void *retain_main(void *arg)
{
    int64_t told = atomic_load(&left);

    (void)arg;
    note("R\n");
    while (atomic_load(&left) > 0 && !atomic_load(&fatal)) {
        struct timespec nap = {0, 200000};
        nanosleep(&nap, NULL);
        if (told - atomic_load(&left) < 60)
            continue;
        told = atomic_load(&left);
        atomic_store(&full, true);
        store_retain(store);
        atomic_store(&full, false);
        store_retain(store);
    }
    return NULL;
}

static int try_after_fatal(struct sender *t)
{
    for (int i = 0; i < FATAL_TRIES; i++) {
        if (send_some(t, "T0", 0) == 0)
            return 9;
    }
    printf("fatal: %s\n", fatal_text);
    return 4;
}

static int refused(int rc)
{
    printf("refused: %s: %s\n", tl_code_name(rc), tl_error_text());
    return 3;
}

static int run(void)
{
    struct store_opts opts = crash_opts(&settings);
    struct sender senders[THREADS];
    pthread_t retainer;

    ledger_fd = open(settings.ledger, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    opts.on_fatal = on_fatal;
    opts.retain = (struct retain_opts){.reserved_ms = 1000000000,
                                       .max_ratio = 75,
                                       .forced_ratio = 85,
                                       .forcibly = true,
                                       .batch_max = 2,
                                       .usage = disk_usage};
    clock_fake(INT64_C(1700000000000) + (int64_t)args.seed % 1000000 * 1000000);
    int rc = store_open(&store, &opts);
    if (rc)
        return refused(rc);
    atomic_store(&left, args.count);
    for (int i = 0; i < THREADS; i++) {
        senders[i] = (struct sender){.index = i, .random = args.seed * 1000 + (uint64_t)i};
        snprintf(senders[i].prefix, sizeof(senders[i].prefix), "s%" PRIu64 "t%dn", args.seed,
                 i);
        pthread_create(&senders[i].thread, NULL, send_main, &senders[i]);
    }
    if (args.retention)
        pthread_create(&retainer, NULL, retain_main, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(senders[i].thread, NULL);
    if (args.retention)
        pthread_join(retainer, NULL);
    if (atomic_load(&fatal))
        return try_after_fatal(&senders[0]);
    if (args.close)
        store_close(store);
    if (atomic_load(&fatal)) {
        printf("fatal: %s\n", fatal_text);
        return 4;
    }
    return 0;
}

/* ---- check -------------------------------------------------------------------------------- */

static int check(void)
{
    struct store_opts opts = crash_opts(&settings);
    int rc = store_open(&store, &opts);
    if (rc)
        return refused(rc);
    int faults = crash_check(store, &settings, args.durable);
    if (args.close)
        store_close(store);
    printf("sum=%016" PRIx64 "\n", crash_tree_sum(settings.root, &faults));
    return faults ? 1 : 0;
}

/* ---- replace ------------------------------------------------------------------------------ */

static int replace(void)
{
    int64_t n = atoi(settings.ledger);

    for (int64_t i = 1; i <= n; i++) {
        struct strbuf text = {0};
        strbuf_printf(&text, "%" PRId64 " ", i);
        for (int k = 0; k < 3000; k++)
            strbuf_addc(&text, (char)('0' + i % 10));
        int rc = fs_replace(settings.root, strbuf_str(&text));
        strbuf_release(&text);
        if (rc) {
            printf("fatal: %s\n", tl_error_text());
            return 4;
        }
        printf("%" PRId64 "\n", i);
        fflush(stdout);
    }
    return 0;
}

/* ---- main --------------------------------------------------------------------------------- */

enum {
    LOG_BYTES = 256,
    QUEUE_BYTES,
    SLOTS,
    ENTRIES,
    STEP,
    DURABLE,
    BOOT,
    REWRITE,
    NO_KEYS,
    NO_TAGS,
    FROM,
    TO
};

static const struct option options[] = {
    {"seed", required_argument, NULL, 's'},
    {"count", required_argument, NULL, 'n'},
    {"sync", no_argument, NULL, 'y'},
    {"retention", no_argument, NULL, 'r'},
    {"drops", no_argument, NULL, 'd'},
    {"close", no_argument, NULL, 'c'},
    {"step-ms", required_argument, NULL, STEP},
    {"durable", required_argument, NULL, DURABLE},
    {"boot-id", required_argument, NULL, BOOT},
    {"no-tags", no_argument, NULL, NO_TAGS},
    {"damaged-from", required_argument, NULL, FROM},
    {"damaged-to", required_argument, NULL, TO},
    {"no-keys", no_argument, NULL, NO_KEYS},
    {"rewrite", required_argument, NULL, REWRITE},
    {"log-bytes", required_argument, NULL, LOG_BYTES},
    {"queue-bytes", required_argument, NULL, QUEUE_BYTES},
    {"index-slots", required_argument, NULL, SLOTS},
    {"index-entries", required_argument, NULL, ENTRIES},
    {0},
};

static void take(int c)
{
    int64_t n = optarg ? strtoll(optarg, NULL, 10) : 0;

    switch (c) {
    case 's': args.seed = (uint64_t)n; break;
    case 'n': args.count = n; break;
    case 'y': settings.sync = true; break;
    case 'r': args.retention = true; break;
    case 'd': args.drops = true; break;
    case 'c': args.close = true; break;
    case STEP: args.step_ms = n; break;
    case DURABLE: args.durable = n; break;
    case BOOT: settings.boot_id = optarg; break;
    case NO_TAGS: settings.no_tags = true; break;
    case FROM: settings.damaged_from = n; break;
    case TO: settings.damaged_to = n; break;
    case NO_KEYS: settings.no_keys = true; break;
    case REWRITE: settings.rewrite = optarg; break;
    case LOG_BYTES: settings.log_bytes = n; break;
    case QUEUE_BYTES: settings.queue_bytes = n; break;
    case SLOTS: settings.index_slots = (int32_t)n; break;
    case ENTRIES: settings.index_entries = (int32_t)n; break;
    default: exit(2);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } modes[] = {{"run", run}, {"check", check}, {"replace", replace}};

    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
        take(c);
    if (argc - optind != 3) {
        fprintf(stderr, "usage: crash_store run|check|replace PATH LEDGER [options]\n");
        return 2;
    }
    settings.root = argv[optind + 1];
    settings.ledger = argv[optind + 2];
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(argv[optind], modes[i].name) == 0) {
            int rc = modes[i].run();
            fflush(stdout);
            _exit(rc); /* as a kill would, unless the store was closed */
        }
    }
    return 2;
}
