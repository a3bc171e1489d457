/*
 * format - names and sizes of the store's files (StorePathConfigHelper, StoreCheckpoint)
 */
#ifndef STORE_FORMAT_H
#define STORE_FORMAT_H

#include "proto/record.h"

#define FORMAT_LOG_DIR    "commitlog"
#define FORMAT_QUEUE_DIR  "consumequeue"
#define FORMAT_INDEX_DIR  "index"
#define FORMAT_CHECKPOINT "checkpoint"
#define FORMAT_ABORT      "abort"
#define FORMAT_LOCK       "lock"
#define FORMAT_DROPS      "deletedTopics" /* ours */

enum {
    FORMAT_CHECKPOINT_SIZE = 4096,
    /* Behind the last record of a log file at least so much stays free: the blank that ends it. */
    FORMAT_TAIL_SIZE = RECORD_BLANK_SIZE,
};

_Static_assert(RECORD_BLANK_SIZE == 8, "a blank is a length and a magic number");

#endif
