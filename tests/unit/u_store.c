#include "store/store.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/errinj.h"
#include "base/fs.h"
#include "base/mem.h"
#include "proto/record.h"
#include "store/append.h"
#include "store/read.h"
#include "t.h"

enum { LOG_FILE = 65536, QUEUE_FILE = 2000 };

static struct store *open_at(const char *dir, bool sync)
{
    struct store_opts opts = {
        .root_dir = dir,
        .log_file_bytes = LOG_FILE,
        .queue_file_bytes = QUEUE_FILE,
        .flush_sync = sync,
        .flush_interval_ms = 10,
        .check_crc = true,
    };
    struct store *s = NULL;
    CHECK_OK(store_open(&s, &opts));
    return s;
}

static size_t encode(uint8_t *out, const char *topic, int32_t queue_id, const char *body)
{
    struct record r = {
        .queue_id = queue_id,
        .born_host = {.ip = {127, 0, 0, 1}, .port = 1},
        .store_host = {.ip = {127, 0, 0, 1}, .port = 2},
        .topic = tl_str_of(topic),
        .body = tl_str_of(body),
        .properties = TL_STR("TAGS\001TagA\002"),
    };
    CHECK_OK(record_encode(&r, out));
    return record_size(&r);
}

static int put(struct store *s, const char *topic, int32_t queue_id, const char *body,
               struct append_entry *e)
{
    uint8_t bytes[4096];

    *e = (struct append_entry){.wait_flush = true};
    return append_wait(s, bytes, encode(bytes, topic, queue_id, body), 1, e);
}

static void put_many(struct store *s, int from, int to)
{
    char body[1200];

    for (int i = from; i < to; i++) {
        struct append_entry e;
        snprintf(body, sizeof(body), "message %0900d", i);
        CHECK_OK(put(s, "T", i % 2, body, &e));
        CHECK_INT(e.queue_offset, i / 2);
    }
}

/* Every message of both queues is there, in order, whole. */
static void check_all(struct store *s, int count)
{
    for (int q = 0; q < 2; q++) {
        int64_t at = 0;
        for (;;) {
            struct read_result r;
            struct read_query query = {.topic = TL_STR("T"),
                                       .queue_id = q,
                                       .offset = at,
                                       .max_nums = 32,
                                       .max_bytes = 1 << 20,
                                       .scan_entries = 1000};
            CHECK_OK(read_messages(s, &query, &r));
            if (r.status != READ_FOUND)
                break;
            for (int i = 0; i < r.nslices; i++) {
                const uint8_t *p = r.slices[i].data, *end = p + r.slices[i].len;
                while (p < end) {
                    struct record rec;
                    char body[1200];
                    CHECK_INT(record_decode(p, (size_t)(end - p), RECORD_CHECK_CRC, &rec),
                              RECORD_MESSAGE);
                    CHECK_INT(rec.queue_offset, at);
                    snprintf(body, sizeof(body), "message %0900d", (int)at * 2 + q);
                    CHECK_STR(rec.body, body);
                    p += rec.size;
                    at++;
                }
            }
            read_release(&r);
        }
        CHECK_INT(at, (count + 1 - q) / 2);
    }
}

TEST(messages_survive_a_clean_restart_over_many_files)
{
    const char *dir = t_tmpdir();
    struct store *s = open_at(dir, false);
    struct store_state state;

    put_many(s, 0, 500);
    check_all(s, 500);
    store_close(s);
    s = open_at(dir, false);
    store_state(s, &state);
    CHECK(state.clean_start);
    check_all(s, 500);
    put_many(s, 500, 600);
    check_all(s, 600);
    store_close(s);
}

TEST(what_a_killed_process_acknowledged_is_there)
{
    char *dir = xstrdup(t_tmpdir());
    int pipes[2];

    CHECK(pipe(pipes) == 0);
    pid_t child = fork();
    if (child == 0) {
        struct store *s = open_at(dir, false);
        put_many(s, 0, 300);
        CHECK(write(pipes[1], "x", 1) == 1);
        pause();
        _exit(0);
    }
    char byte;
    CHECK(read(pipes[0], &byte, 1) == 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    struct store *s = open_at(dir, false);
    struct store_state state;
    store_state(s, &state);
    CHECK(!state.clean_start);
    check_all(s, 300);
    store_close(s);
    free(dir);
}

static char *log_file(const char *dir, int64_t start)
{
    return xasprintf("%s/commitlog/%020lld", dir, (long long)start);
}

static void overwrite(const char *path, off_t at, const void *data, size_t len)
{
    int fd = open(path, O_WRONLY);

    CHECK(fd >= 0 && pwrite(fd, data, len, at) == (ssize_t)len);
    close(fd);
}

TEST(a_torn_tail_is_cut_and_the_queues_with_it)
{
    const char *dir = t_tmpdir();
    struct store *s = open_at(dir, false);
    struct append_entry last;
    struct store_state state;

    put_many(s, 0, 10);
    CHECK_OK(put(s, "T", 0, "torn", &last));
    store_close(s);
    char *path = log_file(dir, 0);
    overwrite(path, last.log_pos + 60, "garbage garbage garbage garbage", 31);
    free(path);
    CHECK_INT(unlink(t_path(dir, "checkpoint")),
              0); /* or it would tell that it was on the disk */
    char *abort_path = xasprintf("%s/abort", dir);
    CHECK_OK(fs_replace(abort_path, TL_STR("1")));
    free(abort_path);
    s = open_at(dir, false);
    store_state(s, &state);
    CHECK_INT(state.log_end, last.log_pos);
    check_all(s, 10);
    put_many(s, 10, 20);
    check_all(s, 20);
    store_close(s);
}

TEST(damage_before_the_tail_is_reported_and_nothing_is_cut)
{
    const char *dir = t_tmpdir();
    struct store *s = open_at(dir, false);
    struct append_entry e;

    put_many(s, 0, 10);
    CHECK_OK(put(s, "T", 0, "to be damaged", &e));
    put_many(s, 11, 12);
    store_close(s);
    char *path = log_file(dir, 0), *abort_path = xasprintf("%s/abort", dir);
    overwrite(path, e.log_pos + 4, "XXXX", 4);
    CHECK_OK(fs_replace(abort_path, TL_STR("1")));
    struct store_opts opts = {.root_dir = dir,
                              .log_file_bytes = LOG_FILE,
                              .queue_file_bytes = QUEUE_FILE,
                              .flush_interval_ms = 10,
                              .check_crc = true};
    CHECK_INT(store_open(&s, &opts), TL_ECORRUPT);
    CHECK_HAS(tl_error_text(), path);
    uint8_t magic[4] = {0xDA, 0xA3, 0x20, 0xA7};
    overwrite(path, e.log_pos + 4, magic, 4);
    s = open_at(dir, false);
    store_close(s);
    free(path);
    free(abort_path);
}

TEST(a_lost_consume_queue_folder_is_rebuilt_from_the_log)
{
    const char *dir = t_tmpdir();
    struct store *s = open_at(dir, false);
    char *queues = xasprintf("%s/consumequeue", dir), *one = xasprintf("%s/T/0", queues);

    put_many(s, 0, 200);
    store_close(s);
    CHECK_OK(fs_remove_tree(one));
    s = open_at(dir, false);
    put_many(s, 200, 202);
    check_all(s, 202);
    store_close(s);
    CHECK_OK(fs_remove_tree(queues));
    s = open_at(dir, false);
    check_all(s, 202);
    store_close(s);
    free(one);
    free(queues);
}

TEST(a_second_opener_is_refused_while_the_first_lives)
{
    char *dir = xstrdup(t_tmpdir());
    struct store *s = open_at(dir, false);
    pid_t child = fork(); /* record locks are a process's own */

    if (child == 0) {
        struct store *other;
        struct store_opts opts = {.root_dir = dir,
                                  .log_file_bytes = LOG_FILE,
                                  .queue_file_bytes = QUEUE_FILE,
                                  .flush_interval_ms = 10};
        _exit(store_open(&other, &opts) == TL_ELOCKED ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    store_close(s);
    free(dir);
}

TEST(sync_flush_answers_only_what_is_on_the_disk)
{
    struct store *s = open_at(t_tmpdir(), true);
    struct append_entry e;
    struct store_state state;

    for (int i = 0; i < 20; i++) {
        CHECK_OK(put(s, "T", 0, "x", &e));
        store_state(s, &state);
        CHECK(state.log_flushed > e.log_pos);
    }
    store_close(s);
}

static void *append_thread(void *arg)
{
    struct append_entry e;
    int32_t queue_id = (int32_t)(intptr_t)((void **)arg)[1];

    for (int i = 0; i < 200; i++)
        CHECK_OK(put(((void **)arg)[0], "Threads", queue_id, "body", &e));
    return NULL;
}

/* ---- SYNC_FLUSH and readers ---------------------------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    int64_t end;
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER, .arrived = PTHREAD_COND_INITIALIZER};

static void note_arrival(void *arg, struct consumequeue *q, int64_t end)
{
    (void)arg;
    (void)q;
    pthread_mutex_lock(&seen.lock);
    seen.end = end;
    pthread_cond_broadcast(&seen.arrived);
    pthread_mutex_unlock(&seen.lock);
}

static void await_arrival(int64_t end)
{
    pthread_mutex_lock(&seen.lock);
    while (seen.end < end)
        pthread_cond_wait(&seen.arrived, &seen.lock);
    pthread_mutex_unlock(&seen.lock);
}

static int64_t queue_end(struct store *s)
{
    int64_t min, max;
    store_queue_bounds(s, TL_STR("T"), 0, &min, &max);
    return max;
}

static struct store *open_sync(const char *dir)
{
    struct store_opts opts = {.root_dir = dir,
                              .log_file_bytes = LOG_FILE,
                              .queue_file_bytes = QUEUE_FILE,
                              .flush_sync = true,
                              .flush_interval_ms = 500,
                              .check_crc = true,
                              .on_arrival = note_arrival};
    struct store *s = NULL;

    seen.end = 0;
    CHECK_OK(store_open(&s, &opts));
    return s;
}

TEST(sync_flush_shows_consumers_nothing_that_a_crash_could_take_back)
{
    const char *dir = t_tmpdir();
    struct store *s = open_sync(dir);
    struct read_slice slice;
    struct append_entry e = {0}; /* waits for no flush */
    uint8_t bytes[4096];

    errinj_arm(ERRINJ_LOG_SYNC_STALL, 0, -1);
    CHECK_OK(append_wait(s, bytes, encode(bytes, "T", 0, "unsafe"), 1, &e));
    CHECK_INT(queue_end(s), 0);
    CHECK_INT(read_at(s, e.log_pos, &slice), TL_ENOTFOUND);
    errinj_arm(ERRINJ_LOG_SYNC_STALL, 0, 0);
    await_arrival(1);
    CHECK_INT(queue_end(s), 1);
    CHECK_OK(read_at(s, e.log_pos, &slice));
    read_release_slice(slice.pin);
    store_close(s);
}

static void *send_one(void *arg)
{
    uint8_t bytes[4096];
    struct append_entry e = {.wait_flush = true};
    int rc = append_wait(arg, bytes, encode(bytes, "T", 0, "late"), 1, &e);
    CHECK_INT(rc, TL_ETIMEOUT);
    CHECK_INT(e.queue_offset, 0); /* it is stored */
    return NULL;
}

TEST(a_flush_that_takes_too_long_is_told_and_the_message_kept)
{
    const char *dir = t_tmpdir();
    struct store *s = open_sync(dir);
    pthread_t sender;
    bool ended = false;

    errinj_arm(ERRINJ_LOG_SYNC_STALL, 0, -1);
    CHECK_INT(pthread_create(&sender, NULL, send_one, s), 0);
    while (!ended) { /* until the send is there and overdue */
        store_flush_overdue(s, 0);
        ended = pthread_tryjoin_np(sender, NULL) == 0;
    }
    CHECK_INT(queue_end(s), 0);
    errinj_arm(ERRINJ_LOG_SYNC_STALL, 0, 0);
    await_arrival(1);
    store_close(s);
    s = open_sync(dir);
    CHECK_INT(queue_end(s), 1);
    store_close(s);
}

TEST(threads_append_together_and_no_queue_has_a_gap)
{
    struct store *s = open_at(t_tmpdir(), false);
    pthread_t threads[4];
    void *args[4][2];

    for (int i = 0; i < 4; i++) {
        args[i][0] = s;
        args[i][1] = (void *)(intptr_t)(i % 2);
        CHECK(pthread_create(&threads[i], NULL, append_thread, args[i]) == 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int q = 0; q < 2; q++) {
        int64_t min, max;
        store_queue_bounds(s, TL_STR("Threads"), q, &min, &max);
        CHECK_INT(min, 0);
        CHECK_INT(max, 400);
    }
    store_close(s);
}

#ifdef TL_ERRINJ
static void note_fatal(void *arg, const char *text)
{
    (void)text;
    *(int *)arg += 1;
}

TEST(a_write_error_is_fatal_and_nothing_is_acknowledged_after_it)
{
    int fatal = 0;
    struct store_opts opts = {.root_dir = t_tmpdir(),
                              .log_file_bytes = LOG_FILE,
                              .queue_file_bytes = QUEUE_FILE,
                              .flush_interval_ms = 10,
                              .on_fatal = note_fatal,
                              .arg = &fatal};
    struct store *s;
    struct append_entry e;

    CHECK_OK(store_open(&s, &opts));
    CHECK_OK(put(s, "T", 0, "good", &e));
    errinj_arm(ERRINJ_LOG_WRITE, 0, 1);
    CHECK(put(s, "T", 0, "bad", &e) != 0);
    CHECK_INT(fatal, 1);
    CHECK(put(s, "T", 0, "after", &e) != 0);
    CHECK(store_writable(s) != 0);
    store_close(s);
}

TEST(a_full_disk_refuses_and_goes_on_when_there_is_room_again)
{
    struct store *s = open_at(t_tmpdir(), false);
    struct append_entry e;

    errinj_arm(ERRINJ_SEGMENT_ALLOC, 0, -1);
    CHECK_INT(put(s, "Full", 0, "x", &e), TL_ENOSPC);
    errinj_arm(ERRINJ_SEGMENT_ALLOC, 0, 0);
    CHECK_OK(put(s, "Full", 0, "x", &e));
    CHECK_INT(e.queue_offset, 0);
    store_close(s);
}
#endif
