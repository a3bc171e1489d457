#include "store/index.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/errinj.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/properties.h"
#include "store/segment.h"

#undef LOG_MODULE
#define LOG_MODULE "store"

enum {
    HEADER_SIZE = 40,
    SLOT_SIZE = 4,
    ENTRY_SIZE = 20,
    NAME_DIGITS = 17,
    RESERVE_BYTES =
        256 *
        1024, /* blocks are allocated so much at a time: a full disk is an error, not a signal */
    AT_BEGIN_MS = 0,
    AT_END_MS = 8,
    AT_BEGIN_POS = 16,
    AT_END_POS = 24,
    AT_SLOT_COUNT = 32,
    AT_COUNT = 36,
};

struct index_file {
    struct segment *seg; /* start = its name as a number */
    int64_t reserved;    /* bytes whose blocks exist */
};

/* ---- fields that readers look at while they are written ------------------------------------- */

static int32_t load32(const struct segment *g, int64_t at)
{
    return (int32_t)__builtin_bswap32(
        __atomic_load_n((const uint32_t *)(const void *)(g->map + at), __ATOMIC_ACQUIRE));
}

static void store32(struct segment *g, int64_t at, int32_t v)
{
    __atomic_store_n((uint32_t *)(void *)(g->map + at), __builtin_bswap32((uint32_t)v),
                     __ATOMIC_RELEASE);
}

static int64_t load64(const struct segment *g, int64_t at)
{
    return (int64_t)__builtin_bswap64(
        __atomic_load_n((const uint64_t *)(const void *)(g->map + at), __ATOMIC_ACQUIRE));
}

static void store64(struct segment *g, int64_t at, int64_t v)
{
    __atomic_store_n((uint64_t *)(void *)(g->map + at), __builtin_bswap64((uint64_t)v),
                     __ATOMIC_RELEASE);
}

/* A file that was just made says 0 or 1: both are "none". */
static int32_t count_of(const struct segment *g)
{
    int32_t n = load32(g, AT_COUNT);
    return n > 0 ? n : 1;
}

static int64_t slot_at(const struct index *x, int32_t hash)
{
    return HEADER_SIZE + (int64_t)(hash % x->slots) * SLOT_SIZE;
}

static int64_t entry_at(const struct index *x, int32_t n)
{
    return HEADER_SIZE + (int64_t)x->slots * SLOT_SIZE + (int64_t)n * ENTRY_SIZE;
}

/* IndexFile.indexKeyHashMethod: the one negative number without a positive twin counts as 0. */
static int32_t key_hash(struct strbuf *b, struct tl_str topic, struct tl_str key)
{
    strbuf_clear(b);
    strbuf_addstr(b, topic);
    strbuf_addc(b, '#');
    strbuf_addstr(b, key);
    int32_t h = hash_java_string(strbuf_str(b));
    return h == INT32_MIN ? 0 : h < 0 ? -h : h;
}

/* ---- files -------------------------------------------------------------------------------- */

static void add_file(struct index *x, struct segment *g)
{
    struct index_file *f = xzalloc(sizeof(*f));

    f->seg = g;
    rwlock_write(&x->lock);
    if (x->n == x->cap) {
        x->cap = x->cap ? x->cap * 2 : 8;
        x->files = xrealloc(x->files, x->cap * sizeof(*x->files));
    }
    x->files[x->n++] = f;
    rwlock_drop(&x->lock);
}

/* Take file @i out of the list and off the disk. */
static int remove_file(struct index *x, size_t i)
{
    struct index_file *f = x->files[i];
    int rc = segment_remove(f->seg);

    if (rc)
        return rc;
    rwlock_write(&x->lock);
    memmove(&x->files[i], &x->files[i + 1], (x->n - i - 1) * sizeof(*x->files));
    x->n--;
    rwlock_drop(&x->lock);
    segment_unref(f->seg);
    free(f);
    return 0;
}

static int64_t size_of_file(const struct index *x)
{
    return entry_at(x, x->entries);
}

/* yyyyMMddHHmmssSSS as a number, later than the last file's. */
static int64_t new_name(const struct index *x)
{
    int64_t now = clock_now_ms(), last = x->n ? x->files[x->n - 1]->seg->start : 0;
    time_t seconds = (time_t)(now / 1000);
    struct tm tm;

    localtime_r(&seconds, &tm);
    int64_t name = tm.tm_year + 1900;
    name = name * 100 + tm.tm_mon + 1;
    name = name * 100 + tm.tm_mday;
    name = name * 100 + tm.tm_hour;
    name = name * 100 + tm.tm_min;
    name = name * 100 + tm.tm_sec;
    name = name * 1000 + now % 1000;
    return name > last ? name : last + 1;
}

static char *path_of(const struct index *x, int64_t name)
{
    return xasprintf("%s/%0*" PRId64, x->dir, NAME_DIGITS, name);
}

static int create_file(struct index *x)
{
    int64_t name = new_name(x);
    const struct segment *before = x->n ? x->files[x->n - 1]->seg : NULL;
    struct segment *g;
    int rc = fs_mkdirs(x->dir);

    if (rc)
        return rc;
    char *path = path_of(x, name);
    rc = segment_create_at(&g, path, name, size_of_file(x), SEGMENT_WRITE);
    free(path);
    if (rc)
        return rc;
    rc = segment_reserve(g, 0, entry_at(x, 0));
    if (rc) {
        segment_remove(g);
        segment_unref(g);
        return rc;
    }
    if (before) { /* until the first entry comes */
        store64(g, AT_BEGIN_MS, load64(before, AT_END_MS));
        store64(g, AT_END_MS, load64(before, AT_END_MS));
        store64(g, AT_BEGIN_POS, load64(before, AT_END_POS));
        store64(g, AT_END_POS, load64(before, AT_END_POS));
    }
    store32(g, AT_COUNT, 1);
    add_file(x, g);
    x->files[x->n - 1]->reserved = entry_at(x, 0);
    return 0;
}

/* ---- loading ------------------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static int list_names(const char *dir, int64_t **out, size_t *n)
{
    DIR *d = opendir(dir);
    size_t cap = 0;

    *out = NULL;
    *n = 0;
    if (!d)
        return errno == ENOENT ? 0 : tl_fail_errno(TL_EIO, errno, "reading folder %s", dir);
    for (struct dirent *e; (e = readdir(d));) {
        int64_t name;
        if (e->d_type == DT_DIR || !tl_str_i64(tl_str_of(e->d_name), &name) || name < 0 ||
            strlen(e->d_name) != NAME_DIGITS) {
            if (e->d_name[0] != '.')
                log_warn("%s/%s is no index file: left alone", dir, e->d_name);
            continue;
        }
        if (*n == cap)
            *out = xrealloc(*out, (cap = cap ? cap * 2 : 16) * sizeof(**out));
        (*out)[(*n)++] = name;
    }
    closedir(d);
    if (*n)
        qsort(*out, *n, sizeof(**out), compare);
    return 0;
}

/* Why a loaded file is of no use; NULL when it is. */
static const char *doubt(const struct index *x, const struct segment *g, int64_t trusted_ms,
                         int64_t log_end)
{
    int32_t n = load32(g, AT_COUNT);

    if (n <= 1)
        return "it is empty";
    if (n > x->entries || load64(g, AT_BEGIN_MS) > load64(g, AT_END_MS) ||
        load64(g, AT_BEGIN_POS) > load64(g, AT_END_POS) || load64(g, AT_BEGIN_POS) < 0)
        return "its header makes no sense";
    if (load64(g, AT_END_MS) > trusted_ms || (trusted_ms != INT64_MAX && n < x->entries))
        return "it may not be on the disk completely";
    return load64(g, AT_END_POS) >= log_end ? "it reaches beyond the log" : NULL;
}

/* @broken: keys are missing from here on, so nothing later is of use: indexing goes on where the last file ends. */
static int load_file(struct index *x, int64_t name, int64_t trusted_ms, int64_t log_end,
                     bool *broken)
{
    char *path = path_of(x, name);
    struct segment *g = NULL;
    int rc = segment_open_at(&g, path, name, size_of_file(x), SEGMENT_WRITE);
    const char *why = rc ? tl_error_text() : doubt(x, g, trusted_ms, log_end);

    if (rc && rc != TL_ECORRUPT) {
        free(path);
        return rc;
    }
    rc = 0;
    if (!why && *broken)
        why = "one before it had to be made again";
    if (why) {
        *broken |= g != NULL && count_of(g) > 1;
        *broken |= g == NULL;
        log_info("index file removed, to be made again file=%s: %s", path, why);
        if (unlink(path))
            rc = tl_fail_errno(TL_EIO, errno, "removing %s", path);
        if (g)
            segment_unref(g);
    } else {
        add_file(x, g);
    }
    free(path);
    return rc;
}

int index_open(struct index *x, const char *dir, int32_t slots, int32_t entries,
               int64_t trusted_ms, int64_t log_end)
{
    int64_t *names;
    size_t n;
    bool broken = false;

    *x = (struct index){.dir = xstrdup(dir), .slots = slots, .entries = entries};
    rwlock_init(&x->lock, RANK_SEGQ);
    strbuf_init(&x->key);
    int rc = list_names(dir, &names, &n);
    for (size_t i = 0; !rc && i < n; i++)
        rc = load_file(x, names[i], trusted_ms, log_end, &broken);
    free(names);
    if (rc)
        index_close(x);
    return rc;
}

void index_close(struct index *x)
{
    for (size_t i = 0; i < x->n; i++) {
        segment_unref(x->files[i]->seg);
        free(x->files[i]);
    }
    free(x->files);
    free(x->dir);
    strbuf_release(&x->key);
    rwlock_release(&x->lock);
    *x = (struct index){0};
}

int64_t index_last_pos(const struct index *x)
{
    return x->n ? load64(x->files[x->n - 1]->seg, AT_END_POS) : -1;
}

/* ---- writing ------------------------------------------------------------------------------ */

static int ensure_room(struct index *x, bool *rolled)
{
    struct index_file *f = x->n ? x->files[x->n - 1] : NULL;

    if (f && count_of(f->seg) >= x->entries) {
        int rc = index_sync(x);
        if (rc)
            return rc;
        x->full_end_ms = load64(f->seg, AT_END_MS);
        *rolled = true;
        f = NULL;
    }
    if (!f) {
        int rc = create_file(x);
        if (rc)
            return rc;
        f = x->files[x->n - 1];
    }
    int64_t need = entry_at(x, count_of(f->seg)) + ENTRY_SIZE;
    if (f->reserved == 0) { /* a loaded one: what it has is not known */
        int rc = segment_reserve(f->seg, 0, entry_at(x, 0));
        if (rc)
            return rc;
        f->reserved = need - ENTRY_SIZE;
    }
    while (f->reserved < need) {
        int rc = segment_reserve(f->seg, f->reserved, RESERVE_BYTES);
        if (rc)
            return rc;
        f->reserved += RESERVE_BYTES;
    }
    return 0;
}

static int32_t seconds_since(int64_t begin_ms, int64_t ms)
{
    int64_t s = begin_ms > 0 ? (ms - begin_ms) / 1000 : 0;
    return s < 0 ? 0 : s > INT32_MAX ? INT32_MAX : (int32_t)s;
}

/* The entry, then the slot, then the counters: a reader never follows a number to nothing. */
static void put_key(struct index *x, struct segment *g, const struct record *r,
                    struct tl_str key)
{
    int32_t hash = key_hash(&x->key, r->topic, key), n = count_of(g);
    int64_t slot = slot_at(x, hash);
    int32_t before = load32(g, slot);
    uint8_t *e = g->map + entry_at(x, n);

    if (n <= 1) {
        store64(g, AT_BEGIN_MS, r->store_timestamp);
        store64(g, AT_BEGIN_POS, r->log_pos);
    }
    if (before <= 0 || before > n)
        before = 0;
    put_be32(e, (uint32_t)hash);
    put_be64(e + 4, (uint64_t)r->log_pos);
    put_be32(e + 12, (uint32_t)seconds_since(load64(g, AT_BEGIN_MS), r->store_timestamp));
    put_be32(e + 16, (uint32_t)before);
    store32(g, slot, n);
    if (before == 0)
        store32(g, AT_SLOT_COUNT, load32(g, AT_SLOT_COUNT) + 1);
    store64(g, AT_END_POS, r->log_pos);
    store64(g, AT_END_MS, r->store_timestamp);
    store32(g, AT_COUNT, n + 1);
}

static int put_one(struct index *x, const struct record *r, struct tl_str key, bool *rolled)
{
    int rc = key.len ? ensure_room(x, rolled) : 0;

    if (!rc && key.len)
        put_key(x, x->files[x->n - 1]->seg, r, key);
    return rc;
}

int index_put(struct index *x, const struct record *r, bool *rolled)
{
    struct tl_str uniq = TL_STR_NONE, keys = TL_STR_NONE, name, value;

    *rolled = false;
    for (size_t at = 0; properties_next(r->properties, &at, &name, &value);) {
        if (tl_str_eq(name, PROP_UNIQ_KEY))
            uniq = value;
        else if (tl_str_eq(name, PROP_KEYS))
            keys = value;
    }
    int rc = put_one(x, r, uniq, rolled);
    while (!rc && keys.data)
        rc = put_one(x, r, tl_str_cut(&keys, ' '), rolled);
    return rc;
}

int index_sync(struct index *x)
{
    if (!x->n)
        return 0;
    if (ERRINJ(INDEX_SYNC))
        return tl_fail_errno(TL_EIO, EIO, "syncing %s", x->files[x->n - 1]->seg->path);
    int rc = segment_sync(x->files[x->n - 1]->seg);
    return rc ? rc : fs_sync_dir(x->dir);
}

void index_trim(struct index *x, int64_t log_begin)
{
    while (x->n > 1 && load64(x->files[0]->seg, AT_END_POS) < log_begin) {
        if (remove_file(x, 0)) {
            log_warn_every(60000, "old index file stays: %s", tl_error_text());
            return;
        }
    }
}

/* ---- looking up --------------------------------------------------------------------------- */

struct search {
    const struct index *x;
    int32_t hash, max;
    int64_t begin_ms, end_ms, *out;
    int32_t n;
};

static void search_file(struct search *s, const struct segment *g)
{
    int64_t base = load64(g, AT_BEGIN_MS);
    int32_t at = load32(g, slot_at(s->x, s->hash)), count = count_of(g);

    if (load64(g, AT_END_MS) < s->begin_ms || base > s->end_ms)
        return;
    while (at > 0 && at < count && s->n < s->max) {
        const uint8_t *e = g->map + entry_at(s->x, at);
        int64_t ms = base + (int64_t)(int32_t)get_be32(e + 12) * 1000;
        int32_t before = (int32_t)get_be32(e + 16);
        if ((int32_t)get_be32(e) == s->hash && ms >= s->begin_ms && ms <= s->end_ms)
            s->out[s->n++] = (int64_t)get_be64(e + 4);
        if (before == at || before > at || ms < s->begin_ms)
            return;
        at = before;
    }
}

void index_find(struct index *x, struct tl_str topic, struct tl_str key, int32_t max,
                int64_t begin_ms, int64_t end_ms, int64_t *out, struct index_hits *hits)
{
    struct strbuf text;

    strbuf_init(&text);
    struct search s = {
        .x = x,
        .hash = key_hash(&text, topic, key),
        .max = max,
        .begin_ms = begin_ms,
        .end_ms = end_ms,
        .out = out,
    };
    strbuf_release(&text);
    *hits = (struct index_hits){0};
    rwlock_read(&x->lock);
    size_t n = x->n;
    struct segment **list = xcalloc(n + 1, sizeof(*list));
    for (size_t i = 0; i < n; i++)
        list[i] = segment_ref(x->files[i]->seg);
    rwlock_drop(&x->lock);
    if (n) {
        hits->last_update_ms = load64(list[n - 1], AT_END_MS);
        hits->last_update_pos = load64(list[n - 1], AT_END_POS);
    }
    for (size_t i = n; i-- > 0;) {
        search_file(&s, list[i]);
        if (s.n >= max || load64(list[i], AT_BEGIN_MS) < begin_ms)
            break;
    }
    for (size_t i = 0; i < n; i++)
        segment_unref(list[i]);
    free(list);
    hits->n = s.n;
}
