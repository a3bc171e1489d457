#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "t.h"

TEST(the_real_clocks_run)
{
    clock_real();
    int64_t wall = clock_now_ms();
    int64_t mono = clock_mono_ns();
    CHECK(wall > 1600000000000);
    while (clock_mono_ns() == mono)
        ;
    CHECK(clock_mono_ns() > mono);
    CHECK(clock_now_ms() / 1000 - (int64_t)time(NULL) <= 1);
}

TEST(a_faked_clock_moves_only_when_told)
{
    clock_fake(1000);
    CHECK_INT(clock_now_ms(), 1000);
    CHECK_INT(clock_mono_ns(), 0);
    clock_advance_ms(250);
    CHECK_INT(clock_now_ms(), 1250);
    CHECK_INT(clock_mono_ms(), 250);
    CHECK_INT(clock_mono_ns(), 250000000);
    clock_real();
    CHECK(clock_now_ms() > 1600000000000);
}

TEST(time_is_printed_to_the_millisecond)
{
    char out[24];
    setenv("TZ", "UTC", 1);
    tzset();
    clock_text(1700000000123, out);
    CHECK_STR(out, "2023-11-14 22:13:20.123");
    clock_text(0, out);
    CHECK_STR(out, "1970-01-01 00:00:00.000");
    clock_text(-1, out);
    CHECK_STR(out, "1969-12-31 23:59:59.999");
}

TEST(an_absurd_time_is_printed_too)
{
    char out[24];
    clock_text(INT64_MAX, out);
    CHECK_STR(out, "0000-00-00 00:00:00.807");
}
