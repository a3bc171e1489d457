/*
 * clock (clock_) - wall and monotonic time, replaceable in tests
 *
 * clock_now_ms() is the wall clock (System.currentTimeMillis of the Java side), clock_mono_ns()
 * never steps.  A test may freeze both with clock_fake() and move them by clock_advance_ms().
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

int64_t clock_now_ms(void);
int64_t clock_mono_ns(void);
int64_t clock_mono_ms(void);

void clock_fake(int64_t wall_ms); /* freeze; monotonic starts at 0 */
void clock_advance_ms(int64_t ms);
void clock_real(void);

/* "2026-01-31 23:59:59.123" in local time into @out (24 bytes with NUL). */
void clock_text(int64_t wall_ms, char out[24]);

#endif
