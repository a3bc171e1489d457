/*
 * store_private - the store's parts, as store.c, append.c, flush.c, recover.c and read.c share them
 */
#ifndef STORE_STORE_PRIVATE_H
#define STORE_STORE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/mailbox.h"
#include "proto/record.h"
#include "store/append.h"
#include "store/checkpoint.h"
#include "store/cqset.h"
#include "store/index.h"
#include "store/segq.h"
#include "store/store.h"

/* The next log file, made ahead by the prep thread. */
struct prep {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wanted, done;
    int64_t want;          /* start of the file asked for; -1 = none */
    struct segment *ready; /* made, not taken yet */
    bool running, stopping, busy;
};

/* SYNC_FLUSH: entries of a queue that become visible once the log is flushed so far. */
struct unseen {
    struct consumequeue *queue;
    int64_t end, log_end;
};

/* The flush thread: log, queues, checkpoint, and the batches that wait for the log. */
struct flusher {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct append_batch *first, *last; /* wait for the flushed mark, in order of their ends */
    struct unseen *unseen;             /* [unseen_from, unseen_n) wait, in order */
    size_t unseen_from, unseen_n, unseen_cap;
    int64_t written_back; /* log position up to which writing was begun; the thread's own */
    bool running, stopping, asked;
    pthread_cond_t flushed_cond;
};

/* The index thread. */
struct indexer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more, progress;
    _Atomic int64_t pos; /* the next record to be indexed */
    _Atomic bool asleep; /* wants to be woken by an append */
    _Atomic bool halt;   /* end at once, whatever is left */
    int64_t trim_to;     /* under lock: the index is to forget what lies before; 0 = nothing */
    int64_t done_before; /* the record there and those before it are indexed */
    bool running, stopping, wanted, ended;
};

struct store {
    struct store_opts opts;
    char *root, *log_dir, *checkpoint_path, *abort_path;
    int lock_fd;
    struct segq log;
    struct cqset queues;
    struct index index;
    struct indexer indexer;
    _Atomic int64_t index_full_ms;   /* for the checkpoint */
    pthread_mutex_t checkpoint_lock; /* of the next three */
    struct checkpoint checkpoint, written;
    bool drops_seen;                 /* a topic was deleted while the queues were counted */
    pthread_mutex_t queue_sync_lock; /* one syncs queues at a time */
    _Atomic bool
        queues_suspect; /* an entry leads to no record: the next start reads the whole log */
    /* the append token and what its holder owns */
    struct mailbox submitted;
    _Atomic int token;
    struct segment *tail;
    int64_t tail_pos; /* where the next record goes */
    int64_t last_store_ms;
    struct cq_touched touched;
    /* published */
    _Atomic int64_t log_end, log_flushed;
    _Atomic int64_t end_store_ms; /* store time of the last record before log_end */
    _Atomic int failed;           /* TL_EIO: no append succeeds any more */
    _Atomic bool closing;
    char fatal_text[512];
    struct prep prep;
    struct flusher flusher;
    /* counters */
    _Atomic uint64_t put_messages, put_bytes, put_failures, put_class[STORE_LATENCY_CLASSES],
        put_max_us;
    _Atomic int64_t token_since_ns;
    pthread_mutex_t retain_lock; /* one trims at a time */
    _Atomic bool disk_full;
    _Atomic int manual_rounds;
    char disk_text[256]; /* why, while disk_full */
    _Atomic int64_t trimmed_to;
    int64_t recovered_bytes, recovery_ms;
    bool clean_start, started;
    bool full_scan;      /* recovery reads the log from its beginning */
    int64_t rescan_from; /* recovery begins here at the latest */
    bool queues_damaged; /* found at load: all of the log has to be read */
    bool same_boot;      /* the machine has not started anew since the store was written to */
    struct drop *drops;  /* token held */
};

/* ---- dispatch.c: one path for live appends and recovery --------------------------------------- */

/* The queue of record @r gets an entry; TL_EORDER when its offset is beyond the queue's end.  Recovery's form:
 * makes room itself and skips what is there. [store] */
int dispatch_replay(struct store *s, const struct record *r);
/* The live form: the entry's room was reserved.  [store] */
void dispatch_put(struct store *s, struct consumequeue *q, const struct record *r);
/* Is the record one that goes into a queue (not PREPARED, not ROLLBACK)? */
bool dispatch_indexed(const struct record *r);

/* ---- drops.c -------------------------------------------------------------------------------- */

int drops_load(struct store *s);
/* Records of @topic before @pos count as deleted from now on; on the disk when this returns 0.  Token held. */
int drops_add(struct store *s, struct tl_str topic, int64_t pos);
/* That position; -1 when the topic was never deleted.  Token held, or recovery. */
int64_t drops_find(struct store *s, struct tl_str topic);
/* The log ends at @end: what is going to be written there is not deleted yet.  Recovery. */
int drops_clamp(struct store *s, int64_t end);
void drops_free(struct store *s);

/* ---- append.c ------------------------------------------------------------------------------- */

/* Take the token, waiting for it; not on a reactor.  And give it back, serving what was submitted. */
void append_token_take(struct store *s);
void append_token_drop(struct store *s);

/* ---- flush.c -------------------------------------------------------------------------------- */

int flush_start(struct store *s);
void flush_stop(struct store *s); /* flushes all */
/* Park a written batch until the log is flushed up to its end.  Token held. */
void flush_wait(struct store *s, struct append_batch *b);
/* The queue's entries are to be published once the log is flushed up to now.  Token held. */
void flush_then_publish(struct store *s, struct consumequeue *q);
void flush_kick(struct store *s); /* behind several of them */
/* All queues' entries and names are on the disk afterwards.  Any thread; blocks.  0 or TL_EIO: fatal, and told. */
int flush_queues(struct store *s);
/* Write the checkpoint if it changed; @log_begin >= 0: the log is going to begin there.  As above. */
int flush_checkpoint(struct store *s, int64_t log_begin);

/* ---- indexer.c ------------------------------------------------------------------------------ */

int indexer_start(struct store *s);
/* @drain: index what is in the log first. */
void indexer_stop(struct store *s, bool drain);
void indexer_trim(struct store *s, int64_t log_begin); /* any thread */
void indexer_wake(struct store *s); /* there is more in the log; any thread, cheap */
/* Until what is in the log now is indexed, or @timeout_ms have passed.  Blocks. */
void indexer_wait(struct store *s, int32_t timeout_ms);

/* ---- prep.c --------------------------------------------------------------------------------- */

int prep_start(struct store *s);
void prep_stop(struct store *s);
/* Have the file that starts at @start made. */
void prep_want(struct store *s, int64_t start);
/* The file that starts at @start, waiting for it or making it here.  0 and *out (taken), TL_ENOSPC, TL_EIO. */
int prep_take(struct store *s, int64_t start, struct segment **out);

/* ---- recover.c ------------------------------------------------------------------------------ */

/* Find the log's end, cut the tail, bring the queues up to it.  Sets tail, log_end. */
int recover(struct store *s);

/* ---- store.c -------------------------------------------------------------------------------- */

/* How far readers may see: SYNC_FLUSH shows nothing that a crash could take back. */
int64_t store_visible_end(struct store *s);
int store_write_abort(
    const struct store *s); /* the file that says that the store is open; synced */
/* The store can't go on: remember why, tell the owner once.  Any thread. */
void store_fatal(struct store *s, const char *text);

#endif
