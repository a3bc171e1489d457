/*
 * index - hash index of keys: where in the log are the messages with KEYS or UNIQ_KEY k? (IndexFile, IndexService)
 *
 *   header 40:  beginTimestamp 8 | endTimestamp 8 | beginPhyOffset 8 | endPhyOffset 8 | hashSlotCount 4 | indexCount 4
 *   slots:      an int each: number of the newest entry of the chain, 0 = empty
 *   entries 20: keyHash 4 | phyOffset 8 | seconds since beginTimestamp 4 | previous entry of the chain 4
 *
 * Entry 0 is not used; indexCount is the number the next entry gets.  The hash is that of "topic#key", so an answer is
 * a superset: clients compare the keys.  Files are named by the local time they were made at; a full one is synced
 * and the next begins.  All of it is derived from the log.
 *
 * One thread writes (marked [index]); look-ups run on any thread.
 */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "proto/record.h"

struct index_file;

struct index {
    char *dir;
    int32_t slots, entries;    /* maxHashSlotNum, maxIndexNum */
    struct rwlock lock;        /* of the list */
    struct index_file **files; /* by name */
    size_t n, cap;
    struct strbuf key;   /* the writer's */
    int64_t full_end_ms; /* endTimestamp of the last file that got full; 0 none.  [index] */
};

/*
 * Load the files in @dir, which need not exist.  Those that are not full or whose endTimestamp is later than @trusted_ms (after a
 * crash: the checkpoint's indexMsgTimestamp; INT64_MAX after a clean stop, then neither matters), whose end lies at or beyond @log_end, or which make no
 * sense are removed, and those behind them: they are made again.  0, TL_EIO.
 */
int index_open(struct index *x, const char *dir, int32_t slots, int32_t entries,
               int64_t trusted_ms, int64_t log_end);
void index_close(struct index *x);

/* Position of the last record indexed; -1 none.  [index], or before it runs */
int64_t index_last_pos(const struct index *x);
/* Put the record's keys.  0, TL_ENOSPC, TL_EIO.  *rolled: a file got full and is on the disk.  [index] */
int index_put(struct index *x, const struct record *r, bool *rolled);
int index_sync(struct index *x); /* [index]; 0 or TL_EIO */
/* Remove files all of whose records lie before @log_begin, but never the last.  [index] */
void index_trim(struct index *x, int64_t log_begin);

struct index_hits {
    int64_t last_update_ms, last_update_pos; /* of the newest file; 0, 0 without one */
    int32_t n;
};
/*
 * Log positions of up to @max entries of "topic#key" between the store times @begin_ms and @end_ms (seconds exact), newest
 * first, into @out.  Any thread.
 */
void index_find(struct index *x, struct tl_str topic, struct tl_str key, int32_t max,
                int64_t begin_ms, int64_t end_ms, int64_t *out, struct index_hits *hits);

#endif
