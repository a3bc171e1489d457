/*
 * read - get messages of a queue: filter, limits, pinned slices (DefaultMessageStore.getMessage)
 *
 * Lock-free against the writer; runs on reactors from the page cache.
 */
#ifndef STORE_READ_H
#define STORE_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "store/consumequeue.h"

struct store;

/* GetMessageStatus, with the names that stand in a pull answer's remark. */
enum read_status {
    READ_FOUND,
    READ_NO_MATCHED_MESSAGE,
    READ_MESSAGE_WAS_REMOVING,
    READ_OFFSET_FOUND_NULL,
    READ_OFFSET_OVERFLOW_BADLY,
    READ_OFFSET_OVERFLOW_ONE,
    READ_OFFSET_TOO_SMALL,
    READ_NO_MATCHED_LOGIC_QUEUE,
    READ_NO_MESSAGE_IN_QUEUE,
};
const char *read_status_name(enum read_status status);

enum read_verdict { READ_SKIP, READ_TAKE, READ_STOP }; /* STOP: not this one, and no further */

struct read_query {
    struct tl_str topic;
    int32_t queue_id;
    int64_t offset;
    int32_t max_nums;  /* the first that matches is always returned, so <= 1 means 1 */
    int64_t max_bytes; /* stop before exceeding it, but at least one message */
    /* Either may be NULL.  entry: by the queue entry alone; record: on the stored bytes, after entry. */
    bool (*entry)(void *arg, int64_t tag_hash);
    enum read_verdict (*record)(void *arg, const void *record, size_t len,
                                int64_t queue_offset);
    void *arg;
    int32_t scan_entries; /* entries looked at most */
    int64_t scan_bytes;   /* bytes of records shown to record() at most */
};

/* Bytes that stay readable until released. */
struct read_slice {
    const uint8_t *data;
    size_t len;
    void *pin;
};

struct read_result {
    enum read_status status;
    int64_t next_offset, min_offset, max_offset;
    int32_t messages;
    int64_t bytes;
    int32_t scanned;           /* entries looked at */
    struct read_slice *slices; /* neighbouring records are one slice; in memory of the result */
    int32_t nslices;
    struct read_slice inline_slices[64]; /* slices points here or to the heap */
};

/* Fill @out; its slices are released one by one with read_release_slice() (their pins may travel)
 * or all with read_release().  0, or TL_ECORRUPT when a queue entry points at something that is no
 * record. Any thread. */
int read_messages(struct store *s, const struct read_query *q, struct read_result *out);
/* What of a query's data is not in memory. */
enum { READ_COLD_MAX = 64 };
struct read_cold {
    bool entries; /* the queue's entries at the offset */
    int32_t n;    /* records; the first READ_COLD_MAX of them */
    struct {
        int64_t log_pos;
        int32_t size;
    } records[READ_COLD_MAX];
};
/*
 * Would read_messages() have to wait for the disk?  Then @out says for what.  A hint, for old data only: what is recent is
 * taken to be in memory.  q->entry is asked, q->record is not: all it may be shown counts.  Any thread; does not block.
 */
bool read_is_cold(struct store *s, const struct read_query *q, struct read_cold *out);
/* Bring that into memory, and begin with what follows.  Blocks: not on a reactor. */
void read_warm(struct store *s, struct tl_str topic, int32_t queue_id, int64_t offset,
               const struct read_cold *cold);
void read_release_slice(void *pin);
void read_release(struct read_result *r);

/* One record by its log position: 0 and a slice to be released; TL_ENOTFOUND "can not find message by the offset, N". */
int read_at(struct store *s, int64_t log_pos, struct read_slice *out);

struct read_by_key {
    struct tl_str topic, key;
    int32_t max; /* at most READ_BY_KEY_MAX */
    int64_t begin_ms, end_ms;
    /* results */
    struct read_slice *slices; /* by log position; owned, released with read_by_key_release() */
    int32_t n;
    int64_t last_update_ms, last_update_pos; /* of the index */
};
enum { READ_BY_KEY_MAX = 64 };
/* Messages whose index entry is that of topic#key: a superset.  Waits for the index to catch up, shortly.  Blocks. */
void read_by_key(struct store *s, struct read_by_key *q);
void read_by_key_release(struct read_by_key *q);
/* Store time of the message at @offset of a queue; -1 when there is none. */
int64_t read_store_time(struct store *s, struct tl_str topic, int32_t queue_id, int64_t offset);
/*
 * The offset by store time as getOffsetInQueueByTime: lower = first with time >= @ms (max when all are
 * older), upper = last with time <= @ms (0 when all are newer).  0 for an unknown queue.
 */
int64_t read_offset_by_time(struct store *s, struct tl_str topic, int32_t queue_id, int64_t ms,
                            bool upper);
/* Would reading this record likely block (position far behind the log's end)? For "young queue" rules. */
bool read_is_recent(struct store *s, int64_t log_pos);
/* Copy up to @max entries of a queue from @from on; returns how many, 0 outside the queue or at a file's end. */
size_t read_queue(struct store *s, struct tl_str topic, int32_t queue_id, int64_t from,
                  struct cq_entry *out, size_t max);
/* Log position of an entry; -1 when there is none. */
int64_t read_log_pos(struct store *s, struct tl_str topic, int32_t queue_id, int64_t offset);

#endif
