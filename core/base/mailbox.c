#include "base/mailbox.h"

bool mailbox_push(struct mailbox *b, struct mail *m)
{
    struct mail *old = atomic_load_explicit(&b->head, memory_order_relaxed);
    do
        m->next = old;
    while (!atomic_compare_exchange_weak_explicit(&b->head, &old, m, memory_order_acq_rel,
                                                  memory_order_relaxed));
    return !old;
}

struct mail *mailbox_take(struct mailbox *b)
{
    struct mail *m = atomic_exchange_explicit(&b->head, NULL, memory_order_acq_rel);
    struct mail *list = NULL;
    while (m) { /* newest first: turn it round */
        struct mail *next = m->next;
        m->next = list;
        list = m;
        m = next;
    }
    return list;
}

bool mailbox_empty(const struct mailbox *b)
{
    return !atomic_load_explicit(&b->head, memory_order_relaxed);
}

void mail_run_all(struct mail *list)
{
    while (list) {
        struct mail *m = list;
        list = m->next;
        m->run(m);
    }
}
