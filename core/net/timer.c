#include "net/timer.h"

#include <assert.h>
#include <stddef.h>

#include "net/reactor.h"
#include "net/wheel.h"

void timer_wheel_init(struct timer_wheel *w, int64_t now_ms)
{
    *w = (struct timer_wheel){.tick = now_ms / WHEEL_TICK_MS};
}

void timer_init(struct timer *t, void (*fire)(struct timer *t))
{
    *t = (struct timer){.fire = fire};
}

static void link_in(struct timer **head, struct timer *t)
{
    t->next = *head;
    t->prev = head;
    if (t->next)
        t->next->prev = &t->next;
    *head = t;
}

static void unlink_timer(struct timer *t)
{
    *t->prev = t->next;
    if (t->next)
        t->next->prev = t->prev;
    t->prev = NULL;
}

static void put(struct timer_wheel *w, struct timer *t)
{
    int64_t tick = (t->due_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;

    if (tick <= w->tick)
        tick = w->tick + 1;
    unsigned i = (unsigned)(tick % WHEEL_SLOTS);
    link_in(&w->slot[i], t);
    w->used[i / 64] |= UINT64_C(1) << (i % 64);
}

void timer_set(struct reactor *r, struct timer *t, int64_t delay_ms)
{
    struct timer_wheel *w = reactor_wheel(r);

    assert(reactor_is_own(r));
    if (t->prev)
        unlink_timer(t);
    else
        w->count++;
    t->due_ms = reactor_now_ms(r) + (delay_ms > 0 ? delay_ms : 0);
    put(w, t);
}

void timer_clear(struct reactor *r, struct timer *t)
{
    if (!t->prev)
        return;
    assert(reactor_is_own(r));
    unlink_timer(t); /* the slot's bit goes when the wheel comes by */
    reactor_wheel(r)->count--;
}

/* All of a slot: fire what is due, put the later rounds back. */
static void run_slot(struct timer_wheel *w, unsigned i, int64_t now_ms)
{
    struct timer *list = w->slot[i];

    w->slot[i] = NULL;
    w->used[i / 64] &= ~(UINT64_C(1) << (i % 64));
    if (list)
        list->prev = &list;
    while (list) { /* a callback may clear or set any timer of it */
        struct timer *t = list;
        unlink_timer(t);
        if (t->due_ms > now_ms) {
            put(w, t);
            continue;
        }
        w->count--;
        t->fire(t);
    }
}

void timer_wheel_run(struct timer_wheel *w, int64_t now_ms)
{
    int64_t now = now_ms / WHEEL_TICK_MS, from = w->tick;

    if (now - from > WHEEL_SLOTS)
        from = now - WHEEL_SLOTS;
    for (int64_t tick = from + 1; tick <= now; tick++) {
        unsigned i = (unsigned)(tick % WHEEL_SLOTS);
        w->tick = tick;
        if (w->used[i / 64] & (UINT64_C(1) << (i % 64)))
            run_slot(w, i, now_ms);
    }
}

int64_t timer_wheel_next(const struct timer_wheel *w, int64_t now_ms)
{
    if (w->count == 0)
        return -1;
    for (unsigned n = 1; n <= WHEEL_SLOTS;) {
        unsigned i = (unsigned)((w->tick + n) % WHEEL_SLOTS);
        uint64_t bits = w->used[i / 64] >> (i % 64);
        if (!bits) {
            n += 64 - i % 64;
            continue;
        }
        n += (unsigned)__builtin_ctzll(bits);
        int64_t ms = (w->tick + n) * WHEEL_TICK_MS - now_ms;
        return ms > 0 ? ms : 0;
    }
    return WHEEL_SLOTS * WHEEL_TICK_MS;
}
