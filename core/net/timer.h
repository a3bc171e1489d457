/*
 * timer - one-shot timers of a reactor (hashed wheel, 10 ms ticks)
 *
 * Embedded by its owner.  Setting a set timer moves it.  Own reactor only.
 */
#ifndef NET_TIMER_H
#define NET_TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct reactor;

struct timer {
    struct timer *next, **prev; /* of the wheel's slot; prev NULL = not set */
    int64_t due_ms;
    void (*fire)(struct timer *t);
};

void timer_init(struct timer *t, void (*fire)(struct timer *t));
void timer_set(struct reactor *r, struct timer *t, int64_t delay_ms);
void timer_clear(struct reactor *r, struct timer *t);
static inline bool timer_is_set(const struct timer *t)
{
    return t->prev != 0;
}

#endif
