/*
 * store - the log and what is derived from it, as one thing to open and close
 *
 * Files are Apache RocketMQ's (DefaultMessageStore): commitlog/, consumequeue/<topic>/<id>/,
 * checkpoint, abort, lock.  Knows no sockets: tools and tests use it as it is.
 *
 * Writing goes through append.h (one writer at a time: the append token), reading through read.h.
 * Threads of its own: prep (next segment), flush (fdatasync).
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "store/retain.h"

struct store;
struct consumequeue;
struct record;

enum { STORE_DELAY_LEVELS_MAX = 64 };

struct store_opts {
    const char *root_dir; /* storePathRootDir */
    const char *log_dir;  /* storePathCommitLog; NULL = root_dir/commitlog */
    int64_t
        log_file_bytes; /* mappedFileSizeCommitLog; existing files decide when there are any */
    int64_t queue_file_bytes; /* mappedFileSizeConsumeQueue, rounded up to a multiple of 20 */
    int32_t index_slots, index_entries; /* maxHashSlotNum, maxIndexNum; 0 = no index of keys */
    bool flush_sync;                    /* flushDiskType=SYNC_FLUSH */
    int32_t flush_interval_ms;          /* flushIntervalCommitLog */
    int32_t queue_flush_interval_ms;
    bool check_crc;  /* checkCRCOnRecover */
    bool cut_damage; /* truncateDamagedLog */
    const char
        *boot_id; /* what tells this start of the machine from others; NULL = the kernel's */
    int64_t delay_level_ms[STORE_DELAY_LEVELS_MAX]; /* messageDelayLevel, index 0 = level 1 */
    int32_t delay_levels;
    int64_t recent_bytes; /* so close to the log's end data surely is in memory; 0 = 256 MiB */
    struct retain_opts retain; /* for store_retain() */
    /*
     * New entries of queue @q are readable up to (not including) @end.  Called by the holder of
     * the append token once per queue and batch, on whichever thread that is; must not block.
     */
    void (*on_arrival)(void *arg, struct consumequeue *q, int64_t end);
    /* Each record the opening replays, in order; may be NULL.  Within store_open(). */
    void (*on_replay)(void *arg, const struct record *r);
    /* The store can't go on (write or fsync error): the text names file and errno.  Called once, on
     * any thread; no append succeeds afterwards.  The owner stops the process. */
    void (*on_fatal)(void *arg, const char *text);
    /* Progress of recovery, at most once a second; may be NULL. */
    void (*on_progress)(void *arg, const char *what, int64_t done, int64_t total);
    void *arg;
};

/*
 * Lock the directory, recover, start the threads, create the abort file.  0, or TL_ELOCKED (another
 * broker has it), TL_EIO (names the file), TL_ECORRUPT (damage before the tail, or a foreign
 * format: says what to do).
 */
int store_open(struct store **out, const struct store_opts *opts);
/* Appends must have ended.  Flushes all, writes the checkpoint, removes abort (unless the store
 * had a fatal error), unlocks, frees. */
void store_close(struct store *s);

/* ---- queues ------------------------------------------------------------------------------- */

/*
 * The queue of (topic, id).  @create: make an empty one in memory when there is none (its files
 * come with the first entry).  NULL = unknown.  Any thread; valid until store_close(), also when the
 * topic is dropped meanwhile.
 */
struct consumequeue *store_queue(struct store *s, struct tl_str topic, int32_t queue_id,
                                 bool create);
/* Bounds [min, max): max is the next offset to be written.  0, 0 for an unknown queue. */
void store_queue_bounds(struct store *s, struct tl_str topic, int32_t queue_id, int64_t *min,
                        int64_t *max);
/* The next offset to be written of one queue, as store_queue_bounds() without the look-up. */
int64_t store_queue_end(const struct consumequeue *q);
/* 64 bits that belong to whoever listens to arrivals: who waits on this queue. */
_Atomic uint64_t *store_queue_waiters(struct consumequeue *q);
struct tl_str store_queue_topic(const struct consumequeue *q);
int32_t store_queue_id(const struct consumequeue *q);
/* Walk all queues (name order is not promised); any thread, cb must not call the store's writers. */
void store_each_queue(struct store *s, void (*cb)(void *arg, struct consumequeue *q),
                      void *arg);
/* Remove a topic's queues and their folder; blocks.  0 or TL_EIO. */
int store_drop_topic(struct store *s, struct tl_str topic);

/* ---- state -------------------------------------------------------------------------------- */

enum {
    STORE_LATENCY_CLASSES = 13
}; /* as putMessageDistributeTime: 0, <10, <50, <100, <200, <500 ms, <1 .. <5, <10, more s */

struct store_state {
    int64_t log_begin, log_end, log_flushed;        /* positions, bytes */
    int64_t dispatch_behind;                        /* bytes in the log not yet in the queues */
    uint64_t put_messages, put_bytes, put_failures; /* since start */
    uint64_t put_class[STORE_LATENCY_CLASSES];
    uint64_t put_max_us;
    int64_t token_held_us;     /* how long the present append has been going on; 0 idle */
    int64_t earliest_store_ms; /* of the first record; -1 none */
    int64_t index_behind;      /* bytes in the log whose keys are not indexed yet */
    int64_t recovered_bytes, recovery_ms; /* at the last open */
    bool clean_start;                     /* no abort file was found */
    bool writable;
};
void store_state(struct store *s, struct store_state *out); /* any thread */
/* 0, or TL_ENOSPC (disk full) / TL_ESTOPPED with the reason as text: why an append would be refused now. */
int store_writable(struct store *s);
/* SYNC_FLUSH: batches that have waited longer than @timeout_ms are answered with TL_ETIMEOUT.  Any thread. */
void store_flush_overdue(struct store *s, int32_t timeout_ms);
/* Wait until everything appended so far is on the disk.  Blocks. 0 or TL_EIO. */
int store_flush(struct store *s);
const char *store_log_dir(const struct store *s);

#endif
