/*
 * retain - how long messages are kept, and what happens when the disk fills (CleanCommitLogService,
 *          CleanConsumeQueueService)
 *
 * A round, every cleanResourceInterval, by whoever calls store_retain():
 *
 *   1. how full are the disks of the log and of the rest?
 *   2. above the warning level sends are refused, until usage is at or below the forced level again
 *   3. log files go, oldest first, never the last: in an hour of deleteWhen and above the used ratio those older
 *      than fileReservedTime, above the forced level whatever their age
 *   4. queues and index are trimmed to what the log still has
 *
 * A file's age is that of its last change, as RocketMQ has it.  diskReservedBytes works like both upper levels:
 * with less free than that old files go whatever their age and sends are refused.
 */
#ifndef STORE_RETAIN_H
#define STORE_RETAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fs.h"

struct store;

struct retain_opts {
    int64_t reserved_ms; /* fileReservedTime */
    uint32_t hours;      /* deleteWhen: bit n = hour n, local time */
    int32_t
        max_ratio; /* diskMaxUsedSpaceRatio, percent: beyond it expired files go at any hour */
    int32_t forced_ratio; /* diskSpaceCleanForciblyRatio, percent */
    int32_t
        warning_ratio; /* diskSpaceWarningLevelRatio, percent; 0 = sends are never refused */
    bool forcibly;     /* cleanFileForciblyEnable */
    int64_t reserved_bytes; /* diskReservedBytes; 0 = none */
    int32_t batch_max;      /* deleteFileBatchMax: files of a round */
    int32_t pause_ms;       /* deleteCommitLogFilesInterval: between two files */
    /* For tests; NULL = fs_usage(). */
    int (*usage)(void *arg, const char *path, struct fs_usage *out);
    void *usage_arg;
};

/* "04" or "04;16": the hours as bits.  TL_EINVAL names the piece. */
int retain_hours(const char *text, uint32_t *out);

/* One round; blocks (never on a reactor).  Errors are logged: a file that can't go stays. */
void store_retain(struct store *s);
/* Trim queues and index to what the log has.  Blocks. */
void store_trim(struct store *s);
/* The next rounds delete expired files at any hour (DELETE_EXPIRED_COMMITLOG).  Any thread. */
void store_retain_soon(struct store *s);
/* Used share of a disk as df shows it, 0.0 .. 1.0, rounded up to percents. */
double retain_used(const struct fs_usage *u);

#endif
