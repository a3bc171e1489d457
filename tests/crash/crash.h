/*
 * crash - what the programs of tests/crash share: messages, the ledger, the check of a store
 *
 * The ledger is a text file outside the store, written by whoever sends; a line is written before (S) or after (the
 * others) the thing it tells of:
 *
 *   S key topic queue crc length            about to send; queue -1: the broker chooses
 *   A key topic queue offset log_pos size   acknowledged; size 0: not known
 *   D topic / d topic                       about to delete a topic / deleted
 *   R                                       from now on old log files may be deleted
 *   X text                                  the store said that it can't go on
 */
#ifndef CRASH_H
#define CRASH_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

enum { CRASH_BODY_MAX = 3000, CRASH_RECORD_MAX = 4096 };

struct crash_settings {
    const char *root, *ledger, *boot_id;
    const char *rewrite; /* where crash_check() writes the ledger to go on with; may be NULL */
    int64_t log_bytes, queue_bytes;
    int32_t index_slots, index_entries;
    bool sync, no_keys, no_tags;
    int64_t damaged_from,
        damaged_to; /* a part of the log: what overlaps it may be lost or changed */
};

/* Options for store_open(); on_fatal etc. are the caller's. */
struct store_opts crash_opts(const struct crash_settings *c);

/* The encoded record of message @id.  Its key is "<prefix><id>". */
struct crash_message {
    char key[40], topic[64];
    int32_t queue_id;
    uint8_t record[CRASH_RECORD_MAX];
    uint32_t size, crc, length;
};
void crash_message(struct crash_message *m, const char *prefix, uint64_t id, const char *topic,
                   int32_t queue_id);

/*
 * Does the open store hold what the ledger says?  Prints each fault and returns their number.  Acknowledged messages that
 * end beyond @durable in the log may be missing.
 */
int crash_check(struct store *s, const struct crash_settings *c, int64_t durable);
/* A sum over names and contents of the log and of the queues; prints what must not be there. */
uint64_t crash_tree_sum(const char *root, int *faults);

#endif
