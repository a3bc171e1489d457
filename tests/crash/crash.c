#include "crash.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/mem.h"
#include "proto/properties.h"
#include "proto/record.h"
#include "store/read.h"

enum { KEYS_ASKED = 250, FAULTS_SHOWN = 20, INDEX_MS = 20000, QUEUES_MAX = 4096 };

struct store_opts crash_opts(const struct crash_settings *c)
{
    return (struct store_opts){
        .root_dir = c->root,
        .log_file_bytes = c->log_bytes,
        .queue_file_bytes = c->queue_bytes,
        .index_slots = c->index_slots,
        .index_entries = c->index_entries,
        .flush_sync = c->sync,
        .flush_interval_ms = 5,
        .check_crc = true,
        .boot_id = c->boot_id,
    };
}

/* ---- messages ----------------------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
    x ^= x >> 31;
    x *= UINT64_C(0x9E3779B97F4A7C15);
    return x ^ x >> 29;
}

static uint32_t tag_of(uint32_t crc)
{
    return crc % 5;
}

void crash_message(struct crash_message *m, const char *prefix, uint64_t id, const char *topic,
                   int32_t queue_id)
{
    char body[CRASH_BODY_MAX], props[128];
    uint64_t x = mix(id + 1);

    m->length = 20 + (uint32_t)(x % 16 ? x % 700 : x % (CRASH_BODY_MAX - 20));
    for (uint32_t i = 0; i < m->length; i++) {
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
        body[i] = (char)(x >> 56);
    }
    m->crc = hash_crc31(body, m->length);
    m->queue_id = queue_id;
    snprintf(m->key, sizeof(m->key), "%s%" PRIu64, prefix, id);
    snprintf(m->topic, sizeof(m->topic), "%s", topic);
    snprintf(props, sizeof(props), "KEYS\001%s\002TAGS\001T%u\002", m->key, tag_of(m->crc));
    struct record r = {
        .queue_id = queue_id,
        .born_host = {.ip = {127, 0, 0, 1}, .port = 1},
        .store_host = {.ip = {127, 0, 0, 1}, .port = 2},
        .topic = tl_str_of(m->topic),
        .body = tl_str_n(body, m->length),
        .properties = tl_str_of(props),
    };
    m->size = (uint32_t)record_size(&r);
    if (record_encode(&r, m->record))
        abort();
}

/* ---- the ledger --------------------------------------------------------------------------- */

struct sent {
    UT_hash_handle hh;
    char key[40], topic[64];
    int32_t queue_id;
    uint32_t crc, length;
    int64_t offset, log_pos, size;
    bool acked, dropping, dropped, seen;
};

struct ledger {
    struct sent *all;
    int64_t acked;
    bool retention;
};

static void drop_topic(struct ledger *l, const char *topic, bool done)
{
    for (struct sent *m = l->all; m; m = m->hh.next) {
        if (strcmp(m->topic, topic) != 0)
            continue;
        if (!done)
            m->dropping = true;
        else if (m->dropping)
            m->dropped = true;
    }
}

static void read_line(struct ledger *l, const char *line)
{
    struct sent m = {0}, *known;
    char topic[64];

    if (sscanf(line, "S %39s %63s %d %u %u", m.key, m.topic, &m.queue_id, &m.crc, &m.length) ==
        5) {
        known = xzalloc(sizeof(*known));
        *known = m;
        HASH_ADD_STR(l->all, key, known);
    } else if (sscanf(line, "A %39s %63s %d %" SCNd64 " %" SCNd64 " %" SCNd64, m.key, m.topic,
                      &m.queue_id, &m.offset, &m.log_pos, &m.size) == 6) {
        HASH_FIND_STR(l->all, m.key, known);
        if (!known)
            return;
        known->acked = true;
        known->queue_id = m.queue_id;
        known->offset = m.offset;
        known->log_pos = m.log_pos;
        known->size = m.size;
        l->acked++;
    } else if (sscanf(line, "D %63s", topic) == 1) {
        drop_topic(l, topic, false);
    } else if (sscanf(line, "d %63s", topic) == 1) {
        drop_topic(l, topic, true);
    } else if (line[0] == 'R') {
        l->retention = true;
    }
}

static void ledger_load(struct ledger *l, const char *path)
{
    char line[1024];
    FILE *f = fopen(path, "re");

    if (!f) {
        fprintf(stderr, "%s: no ledger\n", path);
        exit(2);
    }
    while (fgets(line, sizeof(line), f))
        read_line(l, line);
    fclose(f);
}

static void ledger_free(struct ledger *l)
{
    struct sent *m, *next;

    HASH_ITER (hh, l->all, m, next) {
        HASH_DEL(l->all, m);
        free(m);
    }
}

/* ---- the check ---------------------------------------------------------------------------- */

struct check {
    struct store *s;
    const struct crash_settings *c;
    struct ledger l;
    int faults;
    int64_t served, required;
    int keys_asked;
};

static void __attribute__((format(printf, 2, 3))) fault(struct check *k, const char *fmt, ...)
{
    va_list ap;

    if (k->faults++ >= FAULTS_SHOWN)
        return;
    fputs("fault: ", stdout);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

static bool overlaps(const struct check *k, int64_t pos, int64_t size)
{
    return pos < k->c->damaged_to && pos + size > k->c->damaged_from;
}

static bool property(const struct record *r, const char *want, char *out, size_t cap)
{
    struct tl_str name, value;

    for (size_t at = 0; properties_next(r->properties, &at, &name, &value);) {
        if (tl_str_is(name, want)) {
            snprintf(out, cap, "%.*s", TL_STR_ARG(value));
            return true;
        }
    }
    return false;
}

/* The index leads to it. */
static void check_key(struct check *k, const struct record *r, const char *key)
{
    struct store_state state;
    bool found = false, caught_up;
    int64_t until = clock_mono_ms() + INDEX_MS;

    do {
        store_state(k->s, &state);
        caught_up = state.index_behind == 0;
        struct read_by_key q = {
            .topic = r->topic, .key = tl_str_of(key), .max = 64, .end_ms = INT64_MAX};
        read_by_key(k->s, &q);
        for (int32_t i = 0; i < q.n && !found; i++) {
            struct record hit;
            found =
                record_decode(q.slices[i].data, q.slices[i].len, 0, &hit) == RECORD_MESSAGE &&
                hit.log_pos == r->log_pos;
        }
        read_by_key_release(&q);
    } while (!found && !caught_up && clock_mono_ms() < until);
    if (!found)
        fault(k, "key %s of the message at %" PRId64 " is not found", key, r->log_pos);
}

static void check_record(struct check *k, struct consumequeue *q, const struct record *r,
                         int64_t at)
{
    struct tl_str topic = store_queue_topic(q);
    char key[40], tag[16], want[16];
    struct sent *m = NULL;
    struct cq_entry e;

    k->served++;
    if (overlaps(k, r->log_pos, r->size))
        return;
    if (!tl_str_eq(r->topic, topic) || r->queue_id != store_queue_id(q) ||
        r->queue_offset != at) {
        fault(k, "%.*s-%d offset %" PRId64 " serves the message of %.*s-%d offset %" PRId64,
              TL_STR_ARG(topic), store_queue_id(q), at, TL_STR_ARG(r->topic), r->queue_id,
              r->queue_offset);
        return;
    }
    if (property(r, "KEYS", key, sizeof(key)))
        HASH_FIND_STR(k->l.all, key, m);
    if (!m || m->crc != (uint32_t)r->body_crc || m->length != r->body.len ||
        !tl_str_is(topic, m->topic)) {
        fault(k, "%.*s-%d offset %" PRId64 " serves what was never sent", TL_STR_ARG(topic),
              store_queue_id(q), at);
        return;
    }
    snprintf(want, sizeof(want), "T%u", tag_of(m->crc));
    if (!k->c->no_tags && property(r, "TAGS", tag, sizeof(tag)) && strcmp(tag, want) == 0 &&
        (read_queue(k->s, topic, store_queue_id(q), at, &e, 1) != 1 ||
         e.tag_hash != hash_java_string(tl_str_of(want))))
        fault(k, "%.*s-%d offset %" PRId64 " has a wrong tag in its queue", TL_STR_ARG(topic),
              store_queue_id(q), at);
    if (m->seen)
        fault(k, "%s is served twice", key);
    if (m->dropped)
        fault(k, "%s of a deleted topic is served", key);
    if (m->acked && (m->offset != at || m->queue_id != r->queue_id || m->log_pos != r->log_pos))
        fault(k, "%s was acknowledged as queue %d offset %" PRId64 " and is at %d %" PRId64,
              key, m->queue_id, m->offset, r->queue_id, at);
    m->seen = true;
    m->queue_id = r->queue_id;
    m->offset = at;
    m->log_pos = r->log_pos;
    m->size = r->size;
}

static int64_t check_slice(struct check *k, struct consumequeue *q,
                           const struct read_slice *slice, int64_t at)
{
    const uint8_t *p = slice->data, *end = p + slice->len;

    while (p < end) {
        struct record r;
        if (record_decode(p, (size_t)(end - p), RECORD_CHECK_CRC, &r) != RECORD_MESSAGE) {
            if (k->c->damaged_to) /* one whose body is; clients see it by its checksum, and go on behind */
                return at + 1;
            fault(k, "%.*s-%d offset %" PRId64 " serves no record: %s",
                  TL_STR_ARG(store_queue_topic(q)), store_queue_id(q), at, tl_error_text());
            return -1;
        }
        if (k->c->damaged_to && r.queue_offset > at)
            at = r.queue_offset; /* those between were skipped */
        check_record(k, q, &r, at);
        p += r.size;
        at++;
    }
    return at;
}

static void check_queue(struct check *k, struct consumequeue *q)
{
    int64_t min, max;

    store_queue_bounds(k->s, store_queue_topic(q), store_queue_id(q), &min, &max);
    for (int64_t at = min; at >= 0 && at < max;) {
        struct read_result r;
        struct read_query query = {.topic = store_queue_topic(q),
                                   .queue_id = store_queue_id(q),
                                   .offset = at,
                                   .max_nums = k->c->damaged_to ? 1 : 32,
                                   .max_bytes = 1 << 20,
                                   .scan_entries = 1000};
        int rc = read_messages(k->s, &query, &r);
        if (!rc && r.status != READ_FOUND && k->c->damaged_to && r.next_offset > at) {
            at = r.next_offset;
            continue;
        }
        if (rc || r.status != READ_FOUND) {
            fault(k, "%.*s-%d has a gap at %" PRId64 " of [%" PRId64 ", %" PRId64 "): %s",
                  TL_STR_ARG(query.topic), query.queue_id, at, min, max,
                  rc ? tl_error_text() : read_status_name(r.status));
            return;
        }
        for (int i = 0; i < r.nslices && at >= 0; i++)
            at = check_slice(k, q, &r.slices[i], at);
        if (at >= 0 && at != r.next_offset && !k->c->damaged_to)
            fault(k, "%.*s-%d skips from %" PRId64 " to %" PRId64, TL_STR_ARG(query.topic),
                  query.queue_id, at, r.next_offset);
        at = at < 0 ? at : r.next_offset;
        read_release(&r);
    }
}

struct queues {
    struct consumequeue *list[QUEUES_MAX];
    int n;
};

static void collect_queue(void *arg, struct consumequeue *q)
{
    struct queues *all = arg;

    if (all->n == QUEUES_MAX)
        abort();
    all->list[all->n++] = q;
}

/* Keys of a sample, evenly over all that is served. */
static void check_keys(struct check *k)
{
    int64_t step = k->served / KEYS_ASKED + 1, n = 0;

    for (struct sent *m = k->l.all; m; m = m->hh.next) {
        struct read_slice slice;
        struct record r;
        if (!m->seen || !m->acked || overlaps(k, m->log_pos, m->size) || n++ % step ||
            read_at(k->s, m->log_pos, &slice))
            continue;
        if (record_decode(slice.data, slice.len, 0, &r) == RECORD_MESSAGE)
            check_key(k, &r, m->key);
        read_release_slice(slice.pin);
        k->keys_asked++;
    }
}

/* Deleted ones first, so that their topic's line does not touch the others. */
static void write_sent(const struct ledger *l, FILE *f, bool dropped)
{
    for (const struct sent *m = l->all; m; m = m->hh.next) {
        if (m->dropped == dropped)
            fprintf(f, "S %s %s %d %u %u\n", m->key, m->topic, m->queue_id, m->crc, m->length);
    }
    for (const struct sent *m = l->all; m && dropped; m = m->hh.next) {
        if (m->dropped)
            fprintf(f, "D %s\nd %s\n", m->topic, m->topic);
    }
}

/* The ledger of one who goes on from here: all that is served counts as acknowledged. */
static void rewrite(const struct ledger *l, const char *path)
{
    FILE *f = fopen(path, "we");

    if (!f)
        abort();
    write_sent(l, f, true);
    write_sent(l, f, false);
    for (const struct sent *m = l->all; m; m = m->hh.next) {
        if (m->seen)
            fprintf(f, "A %s %s %d %" PRId64 " %" PRId64 " %" PRId64 "\n", m->key, m->topic,
                    m->queue_id, m->offset, m->log_pos, m->size);
    }
    if (l->retention)
        fputs("R\n", f);
    fclose(f);
}

int crash_check(struct store *s, const struct crash_settings *c, int64_t durable)
{
    struct check k = {.s = s, .c = c};
    struct queues queues = {.n = 0};
    struct store_state state;

    ledger_load(&k.l, c->ledger);
    store_state(s, &state);
    store_each_queue(s, collect_queue, &queues);
    for (int i = 0; i < queues.n; i++)
        check_queue(&k, queues.list[i]);
    for (struct sent *m = k.l.all; m; m = m->hh.next) {
        bool gone = k.l.retention && m->log_pos < state.log_begin;
        if (!m->acked || m->dropping || gone || m->log_pos + m->size > durable ||
            overlaps(&k, m->log_pos, m->size))
            continue;
        k.required++;
        if (!m->seen)
            fault(&k, "LOST %s: acknowledged as %s-%d offset %" PRId64 " log position %" PRId64,
                  m->key, m->topic, m->queue_id, m->offset, m->log_pos);
    }
    if (c->index_entries && !c->no_keys)
        check_keys(&k);
    printf("served=%" PRId64 " acked=%" PRId64 " required=%" PRId64 " keys=%d begin=%" PRId64
           " end=%" PRId64 "\n",
           k.served, k.l.acked, k.required, k.keys_asked, state.log_begin, state.log_end);
    if (c->rewrite)
        rewrite(&k.l, c->rewrite);
    ledger_free(&k.l);
    return k.faults;
}

/* ---- the tree ----------------------------------------------------------------------------- */

static bool all_zero(const char *p, size_t n)
{
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

static void add_file(uint64_t *sum, const char *path, size_t skip, int *faults)
{
    struct strbuf text = {0};

    if (fs_read(path, INT64_MAX, &text)) {
        printf("fault: %s\n", tl_error_text());
        ++*faults;
        return;
    }
    bool zero = text.data ? all_zero(text.data, text.len) : true;
    if (zero && strstr(path, "/consumequeue/")) {
        printf("fault: %s has no entry\n", path); /* RocketMQ would find one in it */
        ++*faults;
    }
    if (!zero) { /* the next log file, made ahead, may be there or not */
        *sum = *sum * 31 + hash_bytes(path + skip, strlen(path + skip));
        *sum = *sum * 31 + hash_bytes(text.data, text.len);
    }
    strbuf_release(&text);
}

static void add_folder(uint64_t *sum, const char *path, size_t skip, int *faults)
{
    struct dirent **list;
    int n = scandir(path, &list, NULL, alphasort);

    for (int i = 0; i < n; i++) {
        struct stat st;
        char *child = xasprintf("%s/%s", path, list[i]->d_name);
        if (list[i]->d_name[0] != '.' && stat(child, &st) == 0) {
            if (S_ISDIR(st.st_mode))
                add_folder(sum, child, skip, faults);
            else
                add_file(sum, child, skip, faults);
        }
        free(child);
        free(list[i]);
    }
    if (n >= 0)
        free(list);
}

uint64_t crash_tree_sum(const char *root, int *faults)
{
    static const char *const folders[] = {"commitlog", "consumequeue"};
    uint64_t sum = 0;

    for (int i = 0; i < 2; i++) {
        char *path = xasprintf("%s/%s", root, folders[i]);
        add_folder(&sum, path, strlen(root), faults);
        free(path);
    }
    return sum;
}
