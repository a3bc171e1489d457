/*
 * mailbox - intrusive multi-producer, single-consumer list on C11 atomics
 *
 * Pushing hands the message over: the sender must not touch it afterwards.  mailbox_push() tells
 * whether the list was empty, i.e. whether the consumer may be asleep and wants a wake-up; so a
 * burst costs one wake-up.  ThreadSanitizer understands it (plain atomics).
 */
#ifndef BASE_MAILBOX_H
#define BASE_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Embed as the first member of what is sent. */
struct mail {
    struct mail *next;
    void (*run)(struct mail *m); /* called on the receiving thread; owns @m */
};

struct mailbox {
    _Atomic(struct mail *) head;
};

static inline void mailbox_init(struct mailbox *b)
{
    atomic_init(&b->head, NULL);
}

/* Any thread.  True when the mailbox was empty before. */
bool mailbox_push(struct mailbox *b, struct mail *m);

/* Consumer only.  All that is there, in the order of pushing, linked by next; or NULL. */
struct mail *mailbox_take(struct mailbox *b);

bool mailbox_empty(const struct mailbox *b); /* any thread; a hint */

/* Run every message of a taken list; each may free itself. */
void mail_run_all(struct mail *list);

#endif
