/* Old data that is not in memory: told before it is read, and brought in. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/record.h"
#include "store/append.h"
#include "store/read.h"
#include "store/store.h"
#include "t.h"

enum { LOG_FILE = 1 << 20, MESSAGES = 5000 };

static struct store *open_at(const char *dir)
{
    struct store_opts opts = {.root_dir = dir,
                              .log_file_bytes = LOG_FILE,
                              .queue_file_bytes = 6000000,
                              .flush_interval_ms = 10,
                              .recent_bytes = 1 << 20};
    struct store *s = NULL;
    CHECK_OK(store_open(&s, &opts));
    return s;
}

static void fill(struct store *s)
{
    char body[900];

    memset(body, 'x', sizeof(body));
    for (int i = 0; i < MESSAGES; i++) {
        uint8_t bytes[2048];
        struct append_entry e = {0};
        struct record r = {.topic = TL_STR("T"),
                           .body = tl_str_n(body, sizeof(body)),
                           .properties =
                               i % 2 ? TL_STR("TAGS\001B\002") : TL_STR("TAGS\001A\002"),
                           .born_host = {.ip = {127, 0, 0, 1}, .port = 1},
                           .store_host = {.ip = {127, 0, 0, 1}, .port = 2}};
        CHECK_OK(record_encode(&r, bytes));
        CHECK_OK(append_wait(s, bytes, record_size(&r), 1, &e));
    }
}

/* Drop a folder's files from memory.  They must be on the disk and not mapped. */
static void evict(const char *dir)
{
    DIR *d = opendir(dir);

    CHECK(d);
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        int fd = open(t_path(dir, e->d_name), O_RDONLY);
        CHECK(fd >= 0 && fsync(fd) == 0);
        CHECK_INT(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
        close(fd);
    }
    closedir(d);
}

static bool tag_b(void *arg, int64_t hash)
{
    (void)arg;
    return hash == 'B';
}

TEST(old_data_is_cold_until_it_was_warmed_and_young_data_never_is)
{
    setenv("TMPDIR", "/var/tmp", 1); /* a disk: what is in memory only can't be dropped from it */
    const char *dir = t_tmpdir();
    struct read_query q = {
        .topic = TL_STR("T"), .max_nums = 32, .max_bytes = 1 << 20, .scan_entries = 800};
    struct store *s = open_at(dir);
    struct read_cold cold;
    struct read_result r;

    fill(s);
    store_close(s);
    evict(t_path(dir, "commitlog"));
    s = open_at(dir);
    q.offset = 100;
    q.entry = tag_b;
    CHECK(read_is_cold(s, &q, &cold));
    CHECK_INT(cold.n, 32);
    CHECK(!cold.entries); /* loading the queue has read them */
    read_warm(s, q.topic, 0, q.offset, &cold);
    CHECK(!read_is_cold(s, &q, &cold));
    CHECK_OK(read_messages(s, &q, &r));
    CHECK_INT(r.messages, 32);
    read_release(&r);
    q.offset = MESSAGES - 100;
    CHECK(!read_is_cold(s, &q, &cold));
    q.offset = MESSAGES;
    CHECK(!read_is_cold(s, &q, &cold));
    q.topic = TL_STR("none");
    CHECK(!read_is_cold(s, &q, &cold));
    store_close(s);
}
