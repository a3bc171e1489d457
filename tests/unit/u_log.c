#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LOG_MODULE "test"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/thread.h"
#include "t.h"

static struct tl_str text_of(const char *path)
{
    static struct strbuf b;
    strbuf_clear(&b);
    CHECK_OK(fs_read(path, 64 << 20, &b));
    return strbuf_str(&b);
}

static int lines_of(struct tl_str text)
{
    int n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += text.data[i] == '\n';
    return n;
}

static void start(const char *path, int64_t rotate_bytes, int keep)
{
    struct log_opts o = {
        .path = path, .level = LOG_INFO, .rotate_bytes = rotate_bytes, .keep = keep};
    CHECK_OK(log_start(&o));
}

TEST(a_flushed_line_is_in_the_file)
{
    const char *path = t_path(t_tmpdir(), "log");
    setenv("TZ", "UTC", 1);
    clock_fake(1700000000123);
    start(path, 0, 0);
    log_info("recovered segments=%d", 3);
    log_debug("not this one");
    log_flush();
    CHECK_STR(text_of(path), "2023-11-14 22:13:20.123 INFO  test - recovered segments=3\n");
    log_set_level(LOG_ERROR);
    log_warn("nor this");
    log_error("bad");
    log_stop();
    clock_real();
    CHECK_HAS(text_of(path), " ERROR test - bad\n");
    CHECK_INT(lines_of(text_of(path)), 2);
}

TEST(arguments_cannot_forge_a_line)
{
    const char *path = t_path(t_tmpdir(), "log");
    start(path, 0, 0);
    log_info("topic=%s", "a\n2023 ERROR\r\x1b[31m");
    log_stop();
    CHECK_INT(lines_of(text_of(path)), 1);
    CHECK_HAS(text_of(path), "topic=a 2023 ERROR  [31m\n");
}

TEST(a_long_line_is_cut)
{
    static char big[10000];
    const char *path = t_path(t_tmpdir(), "log");
    memset(big, 'x', sizeof(big) - 1);
    start(path, 0, 0);
    log_info("%s", big);
    log_info("next");
    log_stop();
    CHECK_INT(lines_of(text_of(path)), 2);
    CHECK(text_of(path).len < 2200);
    CHECK_HAS(text_of(path), "next\n");
}

enum { THREADS = 4, EACH = 1000 };

static void *write_many(void *arg)
{
    for (int i = 0; i < EACH; i++) {
        log_info("line i=%d", i);
        if (i % 100 == 99)
            log_flush(); /* so that no ring fills up */
    }
    return arg;
}

TEST(lines_of_many_threads_arrive_whole)
{
    pthread_t t[THREADS];
    const char *path = t_path(t_tmpdir(), "log");
    start(path, 0, 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_OK(thread_start(&t[i], "writer", ROLE_ANY, write_many, NULL));
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    log_stop();
    struct tl_str text = text_of(path);
    CHECK_INT(lines_of(text), THREADS * EACH);
    while (text.len) {
        struct tl_str line = tl_str_cut(&text, '\n');
        CHECK(line.len > 40 && memcmp(line.data + 24, "INFO  test - line i=", 20) == 0);
    }
}

TEST(what_does_not_fit_is_counted)
{
    const char *path = t_path(t_tmpdir(), "fifo");
    /* Lines are made faster than the log thread can write only by chance: so look at the sum. */
    start(path, 0, 0);
    for (int i = 0; i < 20000; i++)
        log_info("a line of some length to fill the ring with, number %d", i);
    log_stop();
    struct tl_str text = text_of(path);
    int64_t written = 0;
    int64_t dropped = 0;
    while (text.len) {
        struct tl_str line = tl_str_cut(&text, '\n');
        const char *n =
            line.len ? memmem(line.data, line.len, "dropped, ring full n=", 21) : NULL;
        if (n)
            dropped += strtoll(n + 21, NULL, 10);
        else
            written++;
    }
    CHECK_INT(written + dropped, 20000);
}

TEST(a_full_file_is_rotated)
{
    const char *dir = t_tmpdir();
    const char *path = t_path(dir, "log");
    start(path, 1000, 2);
    for (int i = 0; i < 60; i++) {
        log_info("a line that is about seventy bytes long number=%d", i);
        log_flush();
    }
    log_stop();
    CHECK(fs_exists(t_path(dir, "log.1")));
    CHECK(fs_exists(t_path(dir, "log.2")));
    CHECK(!fs_exists(t_path(dir, "log.3")));
    CHECK(fs_size(t_path(dir, "log.1")) < 1200);
    CHECK_HAS(text_of(path), "number=59");
}

TEST(a_file_that_cannot_be_opened_is_an_error)
{
    struct log_opts o = {.path = t_path(t_tmpdir(), "no/such/folder")};
    CHECK_INT(log_start(&o), TL_EIO);
    CHECK_HAS(t_error(), "no/such/folder");
}

TEST(level_names_are_read)
{
    enum log_level l = LOG_INFO;
    CHECK(log_level_parse("WARN", &l) && l == LOG_WARN);
    CHECK(log_level_parse("debug", &l) && l == LOG_DEBUG);
    CHECK(!log_level_parse("verbose", &l));
}

TEST(a_call_site_speaks_once_in_its_time)
{
    struct log_rate rate = {0};
    uint64_t held = 9;
    clock_fake(0);
    CHECK(log_rate_ok(&rate, 1000, &held));
    CHECK_INT(held, 0);
    clock_advance_ms(999);
    CHECK(!log_rate_ok(&rate, 1000, &held));
    CHECK(!log_rate_ok(&rate, 1000, &held));
    clock_advance_ms(1);
    CHECK(log_rate_ok(&rate, 1000, &held));
    CHECK_INT(held, 2);
    clock_real();
}
