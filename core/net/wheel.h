/*
 * wheel (timer_wheel_) - the slots behind timer.h; one per reactor, private to net/
 */
#ifndef NET_WHEEL_H
#define NET_WHEEL_H

#include <stdint.h>

#include "net/timer.h"

enum { WHEEL_SLOTS = 4096, WHEEL_TICK_MS = 10 };

struct timer_wheel {
    struct timer *slot[WHEEL_SLOTS];
    uint64_t used[WHEEL_SLOTS / 64]; /* a bit per slot that is not empty */
    int64_t tick;                    /* the last one that was run */
    int count;
};

void timer_wheel_init(struct timer_wheel *w, int64_t now_ms);
/* Fire what is due. */
void timer_wheel_run(struct timer_wheel *w, int64_t now_ms);
/* Milliseconds until the next slot that is not empty (a timer there may be of a later round); -1 without timers. */
int64_t timer_wheel_next(const struct timer_wheel *w, int64_t now_ms);
struct timer_wheel *reactor_wheel(struct reactor *r);

#endif
