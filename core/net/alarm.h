/*
 * alarm - a one-shot timer finer than the wheel's 10 ms: a timerfd
 *
 * For pacing a load, not for time-outs: each firing is a system call.  Own reactor only.
 */
#ifndef NET_ALARM_H
#define NET_ALARM_H

#include <stdint.h>

struct alarm;
struct reactor;

/* Returns owned, not set; fire(arg) runs on @r.  NULL with tl_fail() when the system has no timer left. */
struct alarm *alarm_new(struct reactor *r, void (*fire)(void *arg), void *arg);
void alarm_free(struct alarm *a); /* NULL is fine */
/* Fire at @mono_ns (clock_mono_ns()), at once when that is past; moves a set alarm. */
void alarm_set(struct alarm *a, int64_t mono_ns);

#endif
