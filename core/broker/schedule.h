/*
 * schedule - delayed messages: 18 levels, a queue of SCHEDULE_TOPIC_XXXX each (ScheduleMessageService)
 *
 * A send with DELAY=n is stored in queue n-1; the entry of its consume queue holds the time it is due
 * instead of a tag hash.  One thread sleeps until the next one is due, then stores the message again under its own
 * topic, with the property text it had.  Progress is config/delayOffset.json, a queue offset per level.
 *
 * Exactly once, also over a crash: a delivered record names the record it was made from in its
 * PREPAREDTRANSACTIONOFFSET, which plain messages do not use.  What the store replays at its opening tells by that
 * which deliveries the file does not know of yet.
 */
#ifndef BROKER_SCHEDULE_H
#define BROKER_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "proto/record.h"
#include "store/store.h"

struct broker;
struct schedule;

/* What the replay of the log says: for each level the position of the last delayed record that was delivered. */
struct schedule_replay {
    int64_t log_pos[STORE_DELAY_LEVELS_MAX]; /* 0 none */
};
void schedule_replayed(struct schedule_replay *r, const struct record *rec);

/* After the store was opened.  Starts the thread.  TL_ECORRUPT, TL_EIO, TL_ENOMEM. */
int schedule_start(struct schedule **out, struct broker *b, const char *config_dir,
                   const struct schedule_replay *replay);
/* Saves the progress. */
void schedule_stop(struct schedule *s);
/*
 * A message that is to be delayed: it goes to the queue of its level (one beyond the last is the last), where it is
 * meant for then stands in its properties; times of delivery go (HookUtils.transformDelayLevelMessage).  In @a.
 */
void schedule_divert(const struct broker *b, struct arena *a, int32_t level,
                     struct tl_str *topic, int32_t *queue_id, struct tl_str *properties);
/* Only set DELAY. */
void schedule_set_level(struct arena *a, int32_t level, struct tl_str *properties);
/* A queue of the schedule topic has got its first message to wait for.  Any thread. */
void schedule_wake(struct schedule *s);
/* The next queue offset of @level (from 1) to be delivered; any thread. */
int64_t schedule_offset(const struct schedule *s, int level);

enum { SCHEDULE_WAITER = 63 }; /* this bit of a queue's waiters word is the schedule's */

#endif
