#include "base/clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

static _Atomic bool faked;
static _Atomic int64_t fake_wall_ms;
static _Atomic int64_t fake_mono_ms;

int64_t clock_now_ms(void)
{
    if (faked)
        return fake_wall_ms;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_mono_ns(void)
{
    if (faked)
        return fake_mono_ms * 1000000;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t clock_mono_ms(void)
{
    return clock_mono_ns() / 1000000;
}

void clock_fake(int64_t wall_ms)
{
    fake_wall_ms = wall_ms;
    fake_mono_ms = 0;
    faked = true;
}

void clock_advance_ms(int64_t ms)
{
    fake_wall_ms += ms;
    fake_mono_ms += ms;
}

void clock_real(void)
{
    faked = false;
}

void clock_text(int64_t wall_ms, char out[24])
{
    int64_t ms = wall_ms % 1000;
    if (ms < 0)
        ms += 1000;
    time_t seconds = (time_t)((wall_ms - ms) / 1000);
    struct tm t;
    char text[20];
    if (!localtime_r(&seconds, &t) || t.tm_year + 1900 > 9999 || t.tm_year + 1900 < 0 ||
        !strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &t))
        snprintf(text, sizeof(text), "0000-00-00 00:00:00");
    snprintf(out, 24, "%s.%03d", text, (int)ms);
}
