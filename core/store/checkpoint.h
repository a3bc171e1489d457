/*
 * checkpoint - how far the files were known to be on the disk (StoreCheckpoint)
 *
 *   physicMsgTimestamp 8 | logicsMsgTimestamp 8 | indexMsgTimestamp 8 | masterFlushedOffset 8 |
 *   confirmPhyOffset 8 | zeros to 4096
 *
 * RocketMQ uses 40 bytes of the page and leaves the rest as it is.  At 64 stands a mark of ours, for recovery:
 *
 *   "TLMARK01" 8 | physicMsgTimestamp again 8 | flushed 8 | log begin 8 | queue entries 8 |
 *   of them on the disk 8 | log end 8 | boot id 40 | CRC-32 4
 *
 * It holds only while the two times agree: once RocketMQ has written its checkpoint, ours is out of date.  All of it lies in
 * one sector, so a power cut leaves the old or the new one.
 */
#ifndef STORE_CHECKPOINT_H
#define STORE_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

enum { CHECKPOINT_BOOT_ID = 40 };

struct checkpoint {
    int64_t physic_ms; /* store time of the last log record that is on the disk */
    int64_t logics_ms; /* store time of the last queue entry that is on the disk */
    int64_t index_ms;  /* store time of the last entry of the last full index file */
    int64_t master_flushed, confirm_pos; /* kept as found */
    /* the mark */
    bool marked;           /* it is there and holds */
    int64_t flushed;       /* all of the log before this position is on the disk */
    int64_t log_begin;     /* files before this position were deleted on purpose */
    int64_t queue_entries; /* in all queues; -1 unknown */
    int64_t queue_synced;  /* of them on the disk */
    int64_t log_end;
    char boot_id[CHECKPOINT_BOOT_ID]; /* of the machine's start the writer lives in */
};

/* Zeros when @path does not exist.  TL_EIO. */
int checkpoint_read(const char *path, struct checkpoint *out);
/* Write and sync.  Blocks. */
int checkpoint_write(const char *path, const struct checkpoint *c);
/* What differs from one start of the machine to the next; empty when unknown. */
void checkpoint_boot_id(char out[CHECKPOINT_BOOT_ID]);

#endif
