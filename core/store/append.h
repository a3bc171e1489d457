/*
 * append - the append token: staged batches -> offsets -> write -> dispatch -> publish
 *
 * A producer of records (a reactor, the service thread) stages them in a batch: it reserves room, encodes
 * the record there with its three holes (queue offset, log position, store time), and submits the
 * batch.  Submitting pushes it on a multi-producer list and tries the token; who gets it writes
 * everybody's batches: fills the holes, one pwritev per run of records of a log file, dispatch into the
 * queues, publish, done().  Who does not get it goes on; the holder completes its batch.
 *
 * Guarantees: records of one entry stand one behind the other in one log file with consecutive
 * queue offsets, all or nothing.  Entries keep the order they were reserved in.  done() is called exactly once
 * per submitted batch, when every entry has its result: after the write, or after the flush if an
 * entry waits for it (SYNC_FLUSH).  done() runs on any thread that happens to hold the token or
 * to flush, often the submitting one, even within append_submit().
 */
#ifndef STORE_APPEND_H
#define STORE_APPEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mailbox.h"

struct store;

/* What the owner embeds in its own struct (a parked send); zero it before append_reserve(). */
struct append_entry {
    struct append_entry *next; /* of the batch, in order */
    uint32_t at, size;         /* bytes of the batch's buffer */
    uint32_t count;            /* records in it, >= 1 */
    bool wait_flush; /* with SYNC_FLUSH: done only when flushed (WAIT property not false) */
    /* results */
    int rc; /* 0, TL_ENOSPC, TL_ESTOPPED, TL_EIO, TL_EILLEGAL (record over a file's size),
             * TL_ETIMEOUT (stored, but not known to be flushed within syncFlushTimeout) */
    int64_t log_pos;      /* of the first record */
    int64_t queue_offset; /* of the first record */
    int64_t store_ms;
};

struct append_batch {
    struct mail mail; /* the owner's to use once done() was called (posting it home) */
    struct append_entry *first, *last;
    void (*done)(struct append_batch *b);
    void *owner; /* set by the owner */
    uint8_t *buf;
    size_t len, cap;
    struct append_batch *next; /* of whoever keeps free ones */
    /* private to append.c */
    int64_t end_pos, parked_ms;
    bool has_waiter;
};

struct append_batch *append_batch_new(void (*done)(struct append_batch *b), void *owner);
void append_batch_free(struct append_batch *b);
/* Empty a completed batch for reuse; gives memory beyond 1 MiB back. */
void append_batch_reset(struct append_batch *b);

/*
 * Room for @size bytes = @count whole records of one (topic, queue), one behind the other.  The address is valid until
 * the next reserve.  Links @e into the batch.
 */
uint8_t *append_reserve(struct append_batch *b, struct append_entry *e, size_t size,
                        uint32_t count);
/* Take the last reserved entry back (its encoding failed). */
void append_unreserve(struct append_batch *b, struct append_entry *e);
/* The last reserved entry turned out to need only its first @size bytes. */
void append_trim(struct append_batch *b, struct append_entry *e, size_t size);
static inline bool append_batch_empty(const struct append_batch *b)
{
    return !b->first;
}

/* Hand the batch over.  Any thread. */
void append_submit(struct store *s, struct append_batch *b);

/* Submit @batch, made with done NULL, and wait.  Blocks.  0, or the first failure of an entry (TL_ETIMEOUT is none). */
int append_wait_batch(struct store *s, struct append_batch *batch);
/* Convenience for tools, tests and the service thread: append one encoded entry and wait.  Blocks. */
int append_wait(struct store *s, const void *records, size_t size, uint32_t count,
                struct append_entry *result);

#endif
