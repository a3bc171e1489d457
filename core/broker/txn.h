/*
 * txn - transactional messages: half messages, commit and rollback, the check of what is undecided
 *       (TransactionalMessageServiceImpl, EndTransactionProcessor)
 *
 * A half message waits in queue 0 of RMQ_SYS_TRANS_HALF_TOPIC; where it is meant for stands in its
 * properties.  END_TRANSACTION stores the message under its own topic (commit) and, in the same append, a
 * record in RMQ_SYS_TRANS_OP_HALF_TOPIC whose body names the half's queue offset: decided.  A thread looks through
 * the undecided ones every transactionCheckInterval and asks a producer of the group what became of them;
 * each question is a new copy of the half message with one more in TRANSACTION_CHECK_TIMES.  A question that
 * could not be asked does not count.  Progress is the offsets of group CID_RMQ_SYS_TRANS on both topics.
 */
#ifndef BROKER_TXN_H
#define BROKER_TXN_H

#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

struct broker;
struct txn;

/* After the tables and the service reactor.  TL_ENOMEM. */
int txn_start(struct txn **out, struct broker *b);
void txn_stop(struct txn *t);

/* A message becomes a half message: topic, queue and properties, in @a. */
void txn_divert(struct arena *a, struct tl_str uniq_key, struct tl_str *topic, int32_t *queue_id,
                struct tl_str *properties);

#endif
