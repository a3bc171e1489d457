#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "store/consumequeue.h"
#include "store/format.h"
#include "store/read.h"
#include "store/store_private.h"

#undef LOG_MODULE
#define LOG_MODULE "store"

/* ---- opening ------------------------------------------------------------------------------ */

/* What other storage modes leave behind: our files beside theirs would be a second truth. */
static const struct foreign {
    const char *path, *what;
} foreign_stores[] = {
    {"config/metadata",
     "metadata in RocksDB (configManagerVersion=V2): export it to JSON with Apache's tools first"},
    {"config/topics",
     "topic settings in RocksDB: export them to JSON with Apache's tools first"},
    {"config/subscriptionGroups",
     "group settings in RocksDB: export them to JSON with Apache's tools first"},
    {"config/consumerOffsets",
     "consumer offsets in RocksDB: export them to JSON with Apache's tools first"},
    {"consumequeue_rocksdb",
     "consume queues in RocksDB (storeType=defaultRocksDB): remove that folder to have them rebuilt"},
    {"dledger", "a DLedger log: start from an ordinary replica's store"},
    {"batchconsumequeue", "batch consume queues (queue.type=BatchCQ): drop those topics first"},
};

static int check_foreign(const struct store *s)
{
    for (size_t i = 0; i < sizeof(foreign_stores) / sizeof(foreign_stores[0]); i++) {
        char *path = xasprintf("%s/%s", s->root, foreign_stores[i].path);
        DIR *dir = opendir(path);
        int rc = dir ? tl_fail(TL_ECORRUPT, "%s holds %s", path, foreign_stores[i].what) : 0;
        if (dir)
            closedir(dir);
        free(path);
        if (rc)
            return rc;
    }
    return 0;
}

static int take_lock(struct store *s)
{
    char *path = xasprintf("%s/" FORMAT_LOCK, s->root);
    int rc = fs_mkdirs_synced(s->root);

    if (!rc)
        rc = fs_lock(path, TL_STR("lock"), &s->lock_fd);
    if (rc == TL_ELOCKED)
        rc = tl_wrap(rc, "the store %s is in use by another broker", s->root);
    free(path);
    return rc;
}

int store_write_abort(const struct store *s)
{
    char text[24];
    FILE *f = fopen(s->abort_path, "we");

    if (!f)
        return tl_fail_errno(TL_EIO, errno, "creating %s", s->abort_path);
    int n = snprintf(text, sizeof(text), "%d", (int)getpid());
    bool bad = fwrite(text, 1, (size_t)n, f) != (size_t)n;
    bad |= fflush(f) != 0 || fsync(fileno(f)) != 0;
    int err = errno;
    fclose(f);
    return bad ? tl_fail_errno(TL_EIO, err, "writing %s", s->abort_path) : fs_sync_dir(s->root);
}

static int load_index(struct store *s)
{
    char *dir = xasprintf("%s/" FORMAT_INDEX_DIR, s->root);
    int rc = index_open(&s->index, dir, s->opts.index_slots, s->opts.index_entries,
                        s->clean_start ? INT64_MAX : s->checkpoint.index_ms,
                        atomic_load(&s->log_end));

    free(dir);
    atomic_store(&s->index_full_ms, s->checkpoint.index_ms);
    return rc;
}

/* Where the machine stands: did it go down since the store was written to?  Then what was not synced may be gone. */
static int load_checkpoint(struct store *s)
{
    struct checkpoint *c = &s->checkpoint;
    char boot_id[CHECKPOINT_BOOT_ID] = "";
    int rc = checkpoint_read(s->checkpoint_path, c);

    if (s->opts.boot_id)
        snprintf(boot_id, sizeof(boot_id), "%s", s->opts.boot_id);
    else
        checkpoint_boot_id(boot_id);
    s->same_boot = c->marked && boot_id[0] && strcmp(boot_id, c->boot_id) == 0;
    memcpy(c->boot_id, boot_id, sizeof(boot_id));
    return rc;
}

static int load_log(struct store *s)
{
    int64_t bytes = s->opts.log_file_bytes;
    bool unsafe = s->checkpoint.marked && !s->same_boot;
    int rc = segq_open(&s->log, s->log_dir, &bytes, SEGMENT_READ,
                       unsafe ? s->checkpoint.flushed : INT64_MAX);

    if (!rc && bytes != s->opts.log_file_bytes && s->log.n)
        log_info("log files keep their size bytes=%lld configured=%lld", (long long)bytes,
                 (long long)s->opts.log_file_bytes);
    return rc;
}

static void drop_leftover(void *arg, struct consumequeue *q)
{
    struct store *s = arg;
    struct cq_entry e;
    int64_t pos = drops_find(s, cq_topic(q));

    if (pos < 0 || !cq_peek(q, cq_begin(q), &e) || e.log_pos >= pos)
        return;
    if (pos < s->rescan_from)
        s->rescan_from = pos;
    if (cq_reset(q))
        log_error("queue of a deleted topic stays: %s", tl_error_text());
}

static int load(struct store *s)
{
    int64_t queue_bytes = s->opts.queue_file_bytes;
    char *queue_dir = xasprintf("%s/" FORMAT_QUEUE_DIR, s->root);
    int rc;

    queue_bytes = (queue_bytes + CQ_ENTRY_SIZE - 1) / CQ_ENTRY_SIZE * CQ_ENTRY_SIZE;
    s->clean_start = !fs_exists(s->abort_path);
    if (!(rc = load_checkpoint(s)) && !(rc = load_log(s)) && !(rc = drops_load(s)))
        rc = cqset_open(&s->queues, queue_dir, queue_bytes, s->clean_start, &s->queues_damaged);
    free(queue_dir);
    if (rc)
        return rc;
    s->rescan_from = INT64_MAX;
    cqset_each(&s->queues, drop_leftover, s);
    if ((rc = recover(s)) != 0)
        return rc;
    return s->opts.index_entries ? load_index(s) : 0;
}

static void init_locks(struct store *s)
{
    pthread_mutex_init(&s->prep.lock, NULL);
    pthread_cond_init(&s->prep.wanted, NULL);
    pthread_cond_init(&s->prep.done, NULL);
    pthread_mutex_init(&s->flusher.lock, NULL);
    thread_cond_init(&s->flusher.more);
    pthread_cond_init(&s->flusher.flushed_cond, NULL);
    pthread_mutex_init(&s->retain_lock, NULL);
    pthread_mutex_init(&s->checkpoint_lock, NULL);
    pthread_mutex_init(&s->queue_sync_lock, NULL);
    pthread_mutex_init(&s->indexer.lock, NULL);
    thread_cond_init(&s->indexer.more);
    thread_cond_init(&s->indexer.progress);
}

static int start(struct store *s)
{
    int rc;

    if ((rc = take_lock(s)) || (rc = check_foreign(s)) || (rc = load(s)))
        return rc;
    s->started = true;
    if ((rc = prep_start(s)) || (rc = flush_start(s)) ||
        (s->opts.index_entries && (rc = indexer_start(s))))
        return rc;
    prep_want(s, segq_end(&s->log));
    return 0;
}

int store_open(struct store **out, const struct store_opts *opts)
{
    struct store *s = xzalloc(sizeof(*s));

    s->opts = *opts;
    s->lock_fd = -1;
    s->root = xstrdup(opts->root_dir);
    s->log_dir =
        opts->log_dir ? xstrdup(opts->log_dir) : xasprintf("%s/" FORMAT_LOG_DIR, s->root);
    s->checkpoint_path = xasprintf("%s/" FORMAT_CHECKPOINT, s->root);
    s->abort_path = xasprintf("%s/" FORMAT_ABORT, s->root);
    mailbox_init(&s->submitted);
    init_locks(s);
    int rc = start(s);
    if (rc) {
        struct tl_error why;
        tl_error_save(&why, rc);
        store_close(s);
        return tl_error_raise(&why);
    }
    *out = s;
    return 0;
}

/* ---- closing ------------------------------------------------------------------------------ */

static void close_index(struct store *s)
{
    if (!s->index.dir)
        return;
    indexer_stop(s, !atomic_load(&s->failed));
    if (index_sync(&s->index))
        log_error("index not synced: %s", tl_error_text());
    index_close(&s->index);
}

static void drop_unused(void *arg, struct consumequeue *q)
{
    (void)arg;
    if (cq_drop_unused(q))
        log_warn("empty queue file stays: %s", tl_error_text());
}

void store_close(struct store *s)
{
    bool failed;

    atomic_store(&s->closing, true);
    prep_stop(s);
    close_index(s);
    flush_stop(s);
    failed = atomic_load(&s->failed);
    if (s->started && !failed)
        cqset_each(&s->queues, drop_unused, NULL);
    if (s->started && !failed && unlink(s->abort_path))
        log_error("abort file stays: %s: %s", s->abort_path, strerror(errno));
    if (s->queues.dir)
        cqset_close(&s->queues);
    if (s->log.dir)
        segq_close(&s->log);
    drops_free(s);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    free(s->flusher.unseen);
    free(s->root);
    free(s->log_dir);
    free(s->checkpoint_path);
    free(s->abort_path);
    free(s);
}

int64_t store_visible_end(struct store *s)
{
    return atomic_load_explicit(s->opts.flush_sync ? &s->log_flushed : &s->log_end,
                                memory_order_acquire);
}

void store_fatal(struct store *s, const char *text)
{
    int none = 0;

    if (!atomic_compare_exchange_strong(&s->failed, &none, TL_EIO))
        return;
    snprintf(s->fatal_text, sizeof(s->fatal_text), "%s", text);
    log_error("the store stops: %s", s->fatal_text);
    if (s->opts.on_fatal)
        s->opts.on_fatal(s->opts.arg, s->fatal_text);
}

/* ---- queues ------------------------------------------------------------------------------- */

struct consumequeue *store_queue(struct store *s, struct tl_str topic, int32_t queue_id,
                                 bool create)
{
    return cqset_find(&s->queues, topic, queue_id, create);
}

void store_queue_bounds(struct store *s, struct tl_str topic, int32_t queue_id, int64_t *min,
                        int64_t *max)
{
    const struct consumequeue *q = cqset_find(&s->queues, topic, queue_id, false);

    *max = q ? cq_end(q) : 0;
    *min = q ? cq_begin(q) : 0;
}

int64_t store_queue_end(const struct consumequeue *q)
{
    return cq_end(q);
}

_Atomic uint64_t *store_queue_waiters(struct consumequeue *q)
{
    return cq_waiters(q);
}

struct tl_str store_queue_topic(const struct consumequeue *q)
{
    return cq_topic(q);
}

int32_t store_queue_id(const struct consumequeue *q)
{
    return cq_id(q);
}

void store_each_queue(struct store *s, void (*cb)(void *arg, struct consumequeue *q), void *arg)
{
    cqset_each(&s->queues, cb, arg);
}

int store_drop_topic(struct store *s, struct tl_str topic)
{
    append_token_take(s);
    int rc = drops_add(s, topic, s->tail_pos);
    if (!rc)
        rc = cqset_drop_topic(&s->queues, topic);
    append_token_drop(s);
    pthread_mutex_lock(&s->checkpoint_lock);
    s->checkpoint.queue_synced = -1;
    s->drops_seen = true;
    pthread_mutex_unlock(&s->checkpoint_lock);
    return rc;
}

/* ---- state -------------------------------------------------------------------------------- */

static int64_t first_store_ms(struct store *s)
{
    int64_t begin = segq_first(&s->log), ms = -1;
    struct read_slice slice;

    if (begin < atomic_load(&s->log_end) && read_at(s, begin, &slice) == 0) {
        ms = record_store_timestamp(slice.data);
        read_release_slice(slice.pin);
    }
    return ms;
}

void store_state(struct store *s, struct store_state *out)
{
    int64_t since = atomic_load(&s->token_since_ns);

    *out = (struct store_state){
        .log_begin = segq_first(&s->log),
        .log_end = atomic_load(&s->log_end),
        .log_flushed = atomic_load(&s->log_flushed),
        .put_messages = atomic_load(&s->put_messages),
        .put_bytes = atomic_load(&s->put_bytes),
        .put_failures = atomic_load(&s->put_failures),
        .put_max_us = atomic_load(&s->put_max_us),
        .token_held_us = since ? (clock_mono_ns() - since) / 1000 : 0,
        .earliest_store_ms = first_store_ms(s),
        .index_behind =
            s->opts.index_entries ? atomic_load(&s->log_end) - atomic_load(&s->indexer.pos) : 0,
        .recovered_bytes = s->recovered_bytes,
        .recovery_ms = s->recovery_ms,
        .clean_start = s->clean_start,
        .writable = store_writable(s) == 0,
    };
    for (int i = 0; i < STORE_LATENCY_CLASSES; i++)
        out->put_class[i] = atomic_load(&s->put_class[i]);
}

int store_writable(struct store *s)
{
    if (atomic_load_explicit(&s->failed, memory_order_relaxed))
        return tl_fail(TL_ESTOPPED, "%s", s->fatal_text);
    if (atomic_load_explicit(&s->closing, memory_order_relaxed))
        return tl_fail(TL_ESTOPPED, "the store is closing");
    if (atomic_load_explicit(&s->disk_full, memory_order_acquire))
        return tl_fail(TL_ENOSPC, "%s", s->disk_text);
    return 0;
}

const char *store_log_dir(const struct store *s)
{
    return s->log_dir;
}
