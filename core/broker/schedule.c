#include "broker/schedule.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "broker/broker.h"
#include "broker/config.h"
#include "broker/divert.h"
#include "broker/savefile.h"
#include "proto/names.h"
#include "proto/properties.h"
#include "proto/topic.h"
#include "store/append.h"
#include "store/read.h"

#undef LOG_MODULE
#define LOG_MODULE "schedule"

enum {
    LEVEL_ROOM = 40, /* bytes of a DELAY */
    AT_ONCE = 64,    /* messages delivered by one append */
    RETRY_MS = 100,  /* after a refused append */
    SAVE_MS = 1000,  /* well within the 3 s by which a replay begins before the checkpoint */
    SLEEP_MS = 60000 /* at most: the clock may be set */
};

struct level {
    struct consumequeue *queue;
    int64_t delay_ms;
    _Atomic int64_t offset; /* the next to be delivered */
};

struct schedule {
    struct broker *b;
    char *path;
    struct level levels[STORE_DELAY_LEVELS_MAX];
    int n;
    struct data_version version;
    json_t *rest; /* members of the file that are not ours */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    bool woken;
    _Atomic bool stopping;
    /* the thread's own */
    struct append_batch *batch;
    struct append_entry entries[AT_ONCE];
    bool changed;
    int64_t saved_ms;
};

/* ---- coming in ---------------------------------------------------------------------------- */

/* The properties but for @but, and DELAY anew; *end: the place behind, with room for @more bytes. */
static char *with_level(struct arena *a, struct tl_str properties,
                        const struct tl_str *const *but, size_t n, int32_t level, size_t more,
                        char **end)
{
    char text[20], *out = arena_alloc(a, properties.len + LEVEL_ROOM + more);
    char *p = properties_put_but(out, properties, but, n);

    *end = properties_put(p, PROP_DELAY, tl_str_n(text, tl_i64_text(level, text)));
    return out;
}

void schedule_set_level(struct arena *a, int32_t level, struct tl_str *properties)
{
    static const struct tl_str *const but[] = {&PROP_DELAY};
    char *p, *out = with_level(a, *properties, but, 1, level, 0, &p);

    *properties = tl_str_n(out, (size_t)(p - out));
}

void schedule_divert(const struct broker *b, struct arena *a, int32_t level,
                     struct tl_str *topic, int32_t *queue_id, struct tl_str *properties)
{
    static const struct tl_str *const but[] = {
        &PROP_DELAY,          &PROP_REAL_TOPIC,      &PROP_REAL_QID,
        &PROP_TIMER_DELAY_MS, &PROP_TIMER_DELAY_SEC, &PROP_TIMER_DELIVER_MS,
    };
    if (level > b->delay_levels)
        level = b->delay_levels;
    char *p, *out = with_level(a, *properties, but, sizeof(but) / sizeof(but[0]), level,
                               topic->len + DIVERT_ROOM, &p);

    p = divert_put(p, *topic, *queue_id);
    *properties = tl_str_n(out, (size_t)(p - out));
    *topic = TL_STR(NAME_SCHEDULE_TOPIC);
    *queue_id = level - 1;
}

/* ---- progress ----------------------------------------------------------------------------- */

void schedule_replayed(struct schedule_replay *r, const struct record *rec)
{
    int32_t level = 0;

    if (rec->prepared_offset <= 0 || tl_str_is(rec->topic, NAME_SCHEDULE_TOPIC) ||
        !tl_str_i32(properties_get(rec->properties, PROP_DELAY), &level) || level < 1 ||
        level > STORE_DELAY_LEVELS_MAX)
        return;
    if (rec->prepared_offset > r->log_pos[level - 1])
        r->log_pos[level - 1] = rec->prepared_offset;
}

static int load(struct schedule *s)
{
    json_t *root, *value;
    const char *key;
    int rc = savefile_load(s->path, &root);

    if (rc)
        return rc;
    json_object_foreach(json_object_get(root, "offsetTable"), key, value)
    {
        int32_t level;
        if (tl_str_i32(tl_str_of(key), &level) && level >= 1 && level <= STORE_DELAY_LEVELS_MAX)
            atomic_store(&s->levels[level - 1].offset, json_as_i64(value, 0));
        else
            log_warn("entry in the file is left out file=%s level=%s", s->path, key);
    }
    data_version_from_json(&s->version, json_object_get(root, "dataVersion"));
    json_object_del(root, "offsetTable");
    json_object_del(root, "dataVersion");
    s->rest = root;
    return 0;
}

/* Deliveries that happened after the file was saved. */
static void take_replay(struct schedule *s, const struct schedule_replay *replay)
{
    for (int i = 0; i < s->n; i++) {
        struct read_slice slice;
        struct record r;
        if (!replay->log_pos[i] || read_at(s->b->store, replay->log_pos[i], &slice))
            continue;
        if (record_decode(slice.data, slice.len, 0, &r) == RECORD_MESSAGE &&
            tl_str_is(r.topic, NAME_SCHEDULE_TOPIC) && r.queue_id == i &&
            r.queue_offset >= atomic_load(&s->levels[i].offset)) {
            atomic_store(&s->levels[i].offset, r.queue_offset + 1);
            s->changed = true;
        }
        read_release_slice(slice.pin);
    }
}

static void save(struct schedule *s)
{
    json_t *root = json_copy(s->rest), *table = json_object();
    struct data_version next = s->version;

    for (int i = 0; i < STORE_DELAY_LEVELS_MAX; i++) {
        int64_t offset = atomic_load(&s->levels[i].offset);
        char key[12];
        snprintf(key, sizeof(key), "%d", i + 1);
        if (offset > 0)
            json_object_set_new(table, key, json_integer(offset));
    }
    data_version_bump(&next, clock_now_ms());
    json_object_set_new(root, "dataVersion", data_version_to_json(&next));
    json_object_set_new(root, "offsetTable", table);
    if (savefile_store(s->path, root)) {
        log_warn_every(60000, "progress of delayed messages not saved, trying again: %s",
                       tl_error_text());
    } else {
        s->version = next;
        s->changed = false;
    }
    s->saved_ms = clock_mono_ms();
    json_decref(root);
}

int64_t schedule_offset(const struct schedule *s, int level)
{
    return atomic_load(&s->levels[level - 1].offset);
}

/* ---- delivering --------------------------------------------------------------------------- */

/* Stage the message behind the delayed record; false when it can't be delivered at all. */
static bool stage(struct schedule *s, const struct record *delayed, struct append_entry *e)
{
    struct record r = *delayed;

    divert_restore(&r);
    if (!r.topic.len || tl_str_is(r.topic, NAME_HALF_TOPIC) ||
        tl_str_is(r.topic, NAME_SCHEDULE_TOPIC)) {
        log_warn_every(1000, "delayed message dropped: no topic it may go to pos=%" PRId64,
                       delayed->log_pos);
        return false;
    }
    r.prepared_offset = delayed->log_pos;
    *e = (struct append_entry){.wait_flush = true};
    if (record_encode(&r, append_reserve(s->batch, e, record_size(&r), 1)) == 0)
        return true;
    append_unreserve(s->batch, e);
    log_warn_every(1000, "delayed message dropped: %s pos=%" PRId64, tl_error_text(),
                   delayed->log_pos);
    return false;
}

/* RocketMQ's guard against a clock that was set back: nobody waits for longer than his level. */
static int64_t due_ms(const struct level *l, const struct cq_entry *e, int64_t now)
{
    return e->tag_hash > now + l->delay_ms ? now : e->tag_hash;
}

/* Stage those of @entries that are due; *used: how many entries that makes, *next_ms: when the one behind is due. */
static int stage_due(struct schedule *s, struct level *l, const struct cq_entry *entries,
                     size_t n, size_t *used, int64_t *next_ms)
{
    int64_t now = clock_now_ms();
    int staged = 0;

    for (*used = 0; *used < n; (*used)++) {
        const struct cq_entry *e = &entries[*used];
        struct read_slice slice;
        struct record r;
        if (e->size != CQ_PADDING_SIZE && due_ms(l, e, now) > now) {
            *next_ms = due_ms(l, e, now);
            break;
        }
        if (e->size == CQ_PADDING_SIZE || read_at(s->b->store, e->log_pos, &slice))
            continue; /* deleted with its log file */
        if (record_decode(slice.data, slice.len, 0, &r) == RECORD_MESSAGE)
            staged += stage(s, &r, &s->entries[staged]);
        read_release_slice(slice.pin);
    }
    return staged;
}

/* How many of the staged went well before one did not: 0 .. staged. */
static int good_prefix(const struct schedule *s, int staged)
{
    int n = 0;

    while (n < staged && (s->entries[n].rc == 0 || s->entries[n].rc == TL_ETIMEOUT))
        n++;
    return n;
}

/* The queue offset of the delayed message that the first failed entry was made from. */
static size_t used_until(struct schedule *s, const struct cq_entry *entries, size_t used,
                         int good)
{
    const struct append_entry *e = &s->entries[good];
    struct record r;

    if (record_decode(s->batch->buf + e->at, e->size, 0, &r) == RECORD_MESSAGE) {
        for (size_t i = 0; i < used; i++) {
            if (entries[i].log_pos == r.prepared_offset)
                return i;
        }
    }
    return 0;
}

/* Deliver what is due of a level; when the next one is: INT64_MAX when none waits. */
static int64_t deliver(struct schedule *s, struct level *l)
{
    struct cq_entry entries[AT_ONCE];
    int id = (int)(l - s->levels);
    int64_t next_ms = INT64_MAX, min, max;

    store_queue_bounds(s->b->store, TL_STR(NAME_SCHEDULE_TOPIC), id, &min, &max);
    if (atomic_load(&l->offset) < min) {
        log_warn("delayed messages were deleted before they were due level=%d count=%" PRId64,
                 id + 1, min - atomic_load(&l->offset));
        atomic_store(&l->offset, min);
    }
    while (next_ms == INT64_MAX && !s->stopping) {
        int64_t offset = atomic_load(&l->offset);
        size_t n = read_queue(s->b->store, TL_STR(NAME_SCHEDULE_TOPIC), id, offset, entries,
                              AT_ONCE),
               used;
        if (n == 0)
            return INT64_MAX;
        append_batch_reset(s->batch);
        int staged = stage_due(s, l, entries, n, &used, &next_ms);
        if (staged) {
            append_wait_batch(s->b->store, s->batch); /* each entry tells how it went */
            int good = good_prefix(s, staged);
            if (good < staged) {
                log_warn_every(1000, "delayed messages wait: %s",
                               tl_code_text(s->entries[good].rc));
                used = used_until(s, entries, used, good);
                next_ms = clock_now_ms() + RETRY_MS;
            }
        }
        if (used) {
            atomic_store(&l->offset, offset + (int64_t)used);
            s->changed = true;
        }
    }
    return next_ms;
}

/* ---- the thread --------------------------------------------------------------------------- */

/* Be told when this queue, of which nothing waits, gets a message.  False when it has one already. */
static bool arm(struct level *l)
{
    atomic_fetch_or_explicit(store_queue_waiters(l->queue), UINT64_C(1) << SCHEDULE_WAITER,
                             memory_order_seq_cst);
    return store_queue_end(l->queue) <= atomic_load(&l->offset);
}

/* Deliver everything that is due; when the next round is wanted. */
static int64_t round_of_all(struct schedule *s)
{
    int64_t next = INT64_MAX;

    for (int i = 0; i < s->n; i++) {
        int64_t ms = deliver(s, &s->levels[i]);
        if (ms == INT64_MAX && !arm(&s->levels[i]))
            ms = 0;
        next = ms < next ? ms : next;
    }
    return next;
}

static void sleep_until(struct schedule *s, int64_t wall_ms)
{
    int64_t now = clock_now_ms(), ms = wall_ms > now ? wall_ms - now : 0;

    if (ms > SLEEP_MS)
        ms = SLEEP_MS;
    if (s->changed && ms > SAVE_MS)
        ms = SAVE_MS;
    struct timespec until = thread_deadline(ms);
    pthread_mutex_lock(&s->lock);
    while (!s->woken && !s->stopping) {
        if (pthread_cond_timedwait(&s->more, &s->lock, &until) == ETIMEDOUT)
            break;
    }
    s->woken = false;
    pthread_mutex_unlock(&s->lock);
}

static void *schedule_main(void *arg)
{
    struct schedule *s = arg;

    while (!s->stopping) {
        int64_t next = round_of_all(s);
        if (s->changed && clock_mono_ms() - s->saved_ms >= SAVE_MS)
            save(s);
        sleep_until(s, next);
    }
    return NULL;
}

void schedule_wake(struct schedule *s)
{
    pthread_mutex_lock(&s->lock);
    s->woken = true;
    pthread_cond_signal(&s->more);
    pthread_mutex_unlock(&s->lock);
}

static void release(struct schedule *s)
{
    if (s->batch)
        append_batch_free(s->batch);
    pthread_cond_destroy(&s->more);
    pthread_mutex_destroy(&s->lock);
    json_decref(s->rest);
    free(s->path);
    free(s);
}

int schedule_start(struct schedule **out, struct broker *b, const char *config_dir,
                   const struct schedule_replay *replay)
{
    struct schedule *s = xzalloc(sizeof(*s));
    int64_t delays[STORE_DELAY_LEVELS_MAX];

    s->b = b;
    s->path = xasprintf("%s/delayOffset.json", config_dir);
    s->n = broker_conf_delay_levels(b->conf, delays, STORE_DELAY_LEVELS_MAX); /* checked */
    pthread_mutex_init(&s->lock, NULL);
    thread_cond_init(&s->more);
    for (int i = 0; i < s->n; i++) {
        s->levels[i].delay_ms = delays[i];
        s->levels[i].queue = store_queue(b->store, TL_STR(NAME_SCHEDULE_TOPIC), i, true);
    }
    int rc = load(s);
    if (!rc) {
        take_replay(s, replay);
        s->batch = append_batch_new(NULL, NULL);
        *out = s; /* before it can be asked to wake */
        rc = thread_start(&s->thread, "schedule", ROLE_ANY, schedule_main, s);
    }
    if (rc) {
        *out = NULL;
        release(s);
    }
    return rc;
}

void schedule_stop(struct schedule *s)
{
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_signal(&s->more);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    if (s->changed)
        save(s);
    release(s);
}
