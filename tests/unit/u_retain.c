#include "store/retain.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "proto/record.h"
#include "store/append.h"
#include "store/read.h"
#include "store/store.h"
#include "t.h"

enum { LOG_FILE = 65536, QUEUE_FILE = 400 }; /* some 68 messages; 20 entries */
enum { HOUR_MS = 3600 * 1000 };

/* A disk that is as full as the test says. */
static struct {
    int percent;
    int64_t free_bytes;
} disk;

static int usage(void *arg, const char *path, struct fs_usage *out)
{
    (void)arg;
    (void)path;
    *out = (struct fs_usage){.total_bytes = 1000000};
    out->unused_bytes = out->free_bytes = 1000000 - disk.percent * 10000;
    if (disk.free_bytes) /* of a small disk, nearly all of it */
        *out = (struct fs_usage){disk.free_bytes * 10 / 9, disk.free_bytes, disk.free_bytes};
    return 0;
}

static struct store *open_with(const char *dir, struct retain_opts retain)
{
    struct store *s = NULL;

    retain.usage = usage;
    if (!retain.batch_max)
        retain.batch_max = 10;
    struct store_opts opts = {.root_dir = dir,
                              .log_file_bytes = LOG_FILE,
                              .queue_file_bytes = QUEUE_FILE,
                              .index_slots = 100,
                              .index_entries = 100,
                              .flush_interval_ms = 10,
                              .check_crc = true,
                              .retain = retain};
    disk.percent = 10;
    disk.free_bytes = 0;
    CHECK_OK(store_open(&s, &opts));
    return s;
}

static const struct retain_opts usual = {.reserved_ms = 72 * HOUR_MS,
                                         .max_ratio = 75,
                                         .forced_ratio = 85,
                                         .warning_ratio = 90,
                                         .forcibly = true};

static int put(struct store *s, int i)
{
    char body[1024], props[64];
    uint8_t bytes[4096];
    struct append_entry e = {0};

    snprintf(body, sizeof(body), "%0850d", i);
    snprintf(props, sizeof(props), "KEYS\001k%d\002", i);
    struct record r = {.topic = TL_STR("T"),
                       .queue_id = i % 2,
                       .body = tl_str_of(body),
                       .properties = tl_str_of(props),
                       .born_host = {.ip = {127, 0, 0, 1}, .port = 1},
                       .store_host = {.ip = {127, 0, 0, 1}, .port = 2}};
    CHECK_OK(record_encode(&r, bytes));
    return append_wait(s, bytes, record_size(&r), 1, &e);
}

static void fill(struct store *s, int n)
{
    for (int i = 0; i < n; i++)
        CHECK_OK(put(s, i));
    CHECK_OK(store_flush(s));
}

static int files_in(const char *dir)
{
    DIR *d = opendir(dir);
    int n = 0;

    CHECK(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* Make the first @n log files @hours old. */
static void age(const char *dir, int n, int hours)
{
    int64_t ms = clock_now_ms() - (int64_t)hours * HOUR_MS;
    struct timespec times[2] = {{ms / 1000, 0}, {ms / 1000, 0}};

    for (int i = 0; i < n; i++) {
        char name[64];
        snprintf(name, sizeof(name), "commitlog/%020d", i * LOG_FILE);
        CHECK_INT(utimensat(AT_FDCWD, t_path(dir, name), times, 0), 0);
    }
}

static int64_t log_begin(struct store *s)
{
    struct store_state state;
    store_state(s, &state);
    return state.log_begin;
}

static enum read_status pull(struct store *s, int64_t offset, int64_t *next)
{
    struct read_result r;
    struct read_query q = {.topic = TL_STR("T"),
                           .offset = offset,
                           .max_nums = 1,
                           .max_bytes = 1 << 20,
                           .scan_entries = 100};

    CHECK_OK(read_messages(s, &q, &r));
    enum read_status status = r.status;
    *next = r.next_offset;
    read_release(&r);
    return status;
}

TEST(hours_are_read_and_mistakes_named)
{
    uint32_t hours;

    CHECK_OK(retain_hours("04", &hours));
    CHECK_INT(hours, 1 << 4);
    CHECK_OK(retain_hours("00; 23;7;", &hours));
    CHECK_INT(hours, 1 | 1 << 23 | 1 << 7);
    CHECK_OK(retain_hours("", &hours));
    CHECK_INT(hours, 0);
    CHECK_INT(retain_hours("04;24", &hours), TL_EINVAL);
    CHECK_HAS(t_error(), "24");
    CHECK_INT(retain_hours("four", &hours), TL_EINVAL);
}

TEST(usage_is_rounded_up_and_leaves_reserved_blocks_out)
{
    struct fs_usage u = {.total_bytes = 1000, .unused_bytes = 500, .free_bytes = 450};
    CHECK_INT(retain_used(&u) * 100, 53); /* 500 of 950 */
    CHECK_INT(retain_used(&(struct fs_usage){0}) * 100, 0);
}

TEST(expired_files_go_in_their_hour_and_queues_and_index_follow)
{
    const char *dir = t_tmpdir();
    struct retain_opts o = usual;
    struct store *s;
    int64_t next, min, max;

    o.hours = (1 << 24) - 1;
    s = open_with(dir, o);
    fill(s, 300); /* 5 files */
    store_retain(s);
    CHECK_INT(log_begin(s), 0); /* nothing is old */
    age(dir, 3, 73);
    store_retain(s);
    CHECK_INT(log_begin(s), 3 * LOG_FILE);
    store_queue_bounds(s, TL_STR("T"), 0, &min, &max);
    CHECK_INT(max, 150);
    CHECK(min > 90 && min < 110);
    CHECK_INT(files_in(t_path(dir, "consumequeue/T/0")), 8 - (int)min / 20);
    CHECK_INT(pull(s, 0, &next), READ_OFFSET_TOO_SMALL);
    CHECK_INT(next, min);
    CHECK_INT(pull(s, min, &next), READ_FOUND);
    CHECK_INT(pull(s, 149, &next), READ_FOUND);
    store_close(s);
    CHECK(files_in(t_path(dir, "index")) <= 2); /* of three */
    int64_t was = min;
    s = open_with(dir, o);
    store_queue_bounds(s, TL_STR("T"), 0, &min, &max);
    CHECK_INT(min, was);
    CHECK_INT(max, 150);
    CHECK_OK(put(s, 300));
    store_close(s);
}

TEST(outside_the_hour_only_a_fuller_disk_or_a_wish_deletes)
{
    const char *dir = t_tmpdir();
    struct retain_opts o = usual;
    struct store *s = open_with(dir, o); /* no hour at all */

    fill(s, 300);
    age(dir, 3, 73);
    store_retain(s);
    CHECK_INT(log_begin(s), 0);
    disk.percent = 76;
    store_retain(s);
    CHECK_INT(log_begin(s), 3 * LOG_FILE); /* the young ones stay */
    disk.percent = 10;
    age(dir, 0, 0);
    store_retain_soon(s);
    store_retain(s);
    CHECK_INT(log_begin(s), 3 * LOG_FILE);
    store_close(s);
}

TEST(the_last_file_stays_even_when_it_is_old_and_the_disk_full)
{
    const char *dir = t_tmpdir();
    struct store *s = open_with(dir, usual);
    int64_t next;

    fill(s, 300);
    age(dir, 5, 1000);
    disk.percent = 86;
    store_retain(s);
    CHECK_INT(log_begin(s), 4 * LOG_FILE);
    CHECK_INT(pull(s, 149, &next), READ_FOUND);
    CHECK_OK(put(s, 300));
    store_close(s);
}

TEST(a_very_full_disk_costs_young_files_unless_that_is_forbidden)
{
    struct retain_opts o = usual;
    struct store *s;

    o.batch_max = 2;
    s = open_with(t_tmpdir(), o);
    fill(s, 300);
    disk.percent = 86;
    store_retain(s);
    CHECK_INT(log_begin(s), 2 * LOG_FILE); /* two a round */
    store_close(s);
    o.forcibly = false;
    s = open_with(t_tmpdir(), o);
    fill(s, 300);
    disk.percent = 86;
    store_retain(s);
    CHECK_INT(log_begin(s), 0);
    store_close(s);
}

TEST(sends_are_refused_on_a_full_disk_and_taken_again_with_room)
{
    struct retain_opts o = usual;
    struct store *s;
    int64_t next;

    o.forcibly = false;
    s = open_with(t_tmpdir(), o);
    fill(s, 10);
    disk.percent = 91;
    store_retain(s);
    CHECK_INT(store_writable(s), TL_ENOSPC);
    CHECK_HAS(t_error(), "0.91");
    CHECK_HAS(t_error(), "diskSpaceWarningLevelRatio");
    CHECK_INT(pull(s, 0, &next), READ_FOUND); /* all else goes on */
    disk.percent = 88;
    store_retain(s);
    CHECK_INT(store_writable(s), TL_ENOSPC); /* between the levels nothing changes */
    disk.percent = 85;
    store_retain(s);
    CHECK_OK(store_writable(s));
    store_close(s);
}

TEST(the_reserved_bytes_work_like_both_levels)
{
    struct retain_opts o = usual;
    struct store *s;

    o.reserved_bytes = 5000;
    s = open_with(t_tmpdir(), o);
    fill(s, 300);
    disk.free_bytes = 4999;
    store_retain(s);
    CHECK_INT(log_begin(s), 4 * LOG_FILE);
    CHECK_INT(store_writable(s), TL_ENOSPC);
    CHECK_HAS(t_error(), "diskReservedBytes");
    disk.free_bytes = 5000;
    store_retain(s);
    CHECK_OK(store_writable(s));
    store_close(s);
}

static void *keep_sending(void *arg)
{
    for (int i = 300; i < 1500; i++)
        CHECK_OK(put(arg, i));
    return NULL;
}

TEST(files_go_while_others_send_and_read)
{
    const char *dir = t_tmpdir();
    struct retain_opts o = usual;
    pthread_t sender;
    int64_t at = 0, next, seen = 0;

    o.batch_max = 1;
    struct store *s = open_with(dir, o);
    fill(s, 300);
    disk.percent = 86;
    CHECK_INT(pthread_create(&sender, NULL, keep_sending, s), 0);
    for (int i = 0; i < 400; i++) {
        enum read_status status = pull(s, at, &next);
        CHECK(status == READ_FOUND || status == READ_OFFSET_TOO_SMALL ||
              status == READ_MESSAGE_WAS_REMOVING || status == READ_OFFSET_OVERFLOW_ONE);
        seen += status == READ_FOUND;
        at = next;
        if (i % 20 == 0)
            store_retain(s);
    }
    pthread_join(sender, NULL);
    CHECK(seen > 0);
    store_retain(s);
    int64_t min, max;
    store_queue_bounds(s, TL_STR("T"), 1, &min, &max);
    CHECK_INT(max, 750);
    CHECK_INT(pull(s, 749, &next), READ_FOUND);
    store_close(s);
    s = open_with(dir, o);
    CHECK_INT(pull(s, 749, &next), READ_FOUND);
    store_close(s);
}
