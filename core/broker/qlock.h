/*
 * qlock - which client of a group may consume a queue in order (RebalanceLockManager)
 *
 * A lock belongs to a client id and ends QLOCK_EXPIRE_MS after it was last asked for.  In
 * memory only.  One mutex (RANK_QLOCK).  Any thread; does not block.
 */
#ifndef BROKER_QLOCK_H
#define BROKER_QLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum { QLOCK_EXPIRE_MS = 60000 };

struct qlock;

struct qlock *qlock_new(void);
void qlock_free(struct qlock *l);

/* Take or renew; false when another client holds it at @now_ms. */
bool qlock_take(struct qlock *l, struct tl_str group, struct tl_str topic,
                struct tl_str broker_name, int32_t queue_id, struct tl_str client_id,
                int64_t now_ms);
/* Does anybody of @group hold any queue at @now_ms? */
bool qlock_group_holds(struct qlock *l, struct tl_str group, int64_t now_ms);
/* Give it up if @client_id has it. */
void qlock_drop(struct qlock *l, struct tl_str group, struct tl_str topic,
                struct tl_str broker_name, int32_t queue_id, struct tl_str client_id);

#endif
