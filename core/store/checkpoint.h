/*
 * checkpoint - how far the files were known to be on the disk (StoreCheckpoint)
 *
 *   physicMsgTimestamp 8 | logicsMsgTimestamp 8 | indexMsgTimestamp 8 | masterFlushedOffset 8 |
 *   confirmPhyOffset 8 | zeros to 4096
 */
#ifndef STORE_CHECKPOINT_H
#define STORE_CHECKPOINT_H

#include <stdint.h>

struct checkpoint {
    int64_t physic_ms; /* store time of the last log record that is on the disk */
    int64_t logics_ms; /* store time of the last queue entry that is on the disk */
    int64_t index_ms;       /* store time of the last entry of the last full index file */
    int64_t master_flushed, confirm_pos; /* kept as found */
};

/* Zeros when @path does not exist.  TL_EIO. */
int checkpoint_read(const char *path, struct checkpoint *out);
/* Write and sync.  Blocks. */
int checkpoint_write(const char *path, const struct checkpoint *c);

#endif
