/* What recovery makes of a store that a kill, a power cut or damage left behind. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/errinj.h"
#include "base/fs.h"
#include "base/mem.h"
#include "proto/record.h"
#include "store/append.h"
#include "store/checkpoint.h"
#include "store/read.h"
#include "store/store.h"
#include "t.h"

enum { LOG_FILE = 16384, QUEUE_FILE = 400, BODY = 900 };

struct child {
    const char *dir, *boot_id;
    bool sync, close;
    void (*work)(struct store *s);
};

static struct store_opts opts_of(const char *dir, const char *boot_id)
{
    return (struct store_opts){.root_dir = dir,
                               .log_file_bytes = LOG_FILE,
                               .queue_file_bytes = QUEUE_FILE,
                               .index_slots = 10,
                               .index_entries = 100,
                               .flush_interval_ms = 5,
                               .check_crc = true,
                               .boot_id = boot_id};
}

static struct store *open_in(const char *dir, const char *boot_id)
{
    struct store_opts opts = opts_of(dir, boot_id);
    struct store *s = NULL;

    CHECK_OK(store_open(&s, &opts));
    return s;
}

static int64_t put(struct store *s, const char *topic, int32_t queue_id, int n)
{
    uint8_t bytes[4096];
    char body[BODY + 1];
    struct append_entry e = {.wait_flush = true};

    snprintf(body, sizeof(body), "%0*d", BODY, n);
    struct record r = {.queue_id = queue_id,
                       .born_host = {.ip = {127, 0, 0, 1}, .port = 1},
                       .store_host = {.ip = {127, 0, 0, 1}, .port = 2},
                       .topic = tl_str_of(topic),
                       .body = tl_str_of(body),
                       .properties = TL_STR("TAGS\001TagA\002")};
    CHECK_OK(record_encode(&r, bytes));
    CHECK_OK(append_wait(s, bytes, record_size(&r), 1, &e));
    return e.log_pos;
}

/* In a process of its own, which is then gone without a word, unless it closes the store. */
static void in_child(const struct child *c)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        struct store_opts opts = opts_of(c->dir, c->boot_id);
        struct store *s;
        opts.flush_sync = c->sync;
        if (store_open(&s, &opts))
            _exit(1);
        c->work(s);
        if (c->close)
            store_close(s);
        _exit(0);
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Number of the message at @offset of a queue; -1: there is none. */
static int message_at(struct store *s, const char *topic, int32_t queue_id, int64_t offset)
{
    struct read_result r;
    struct read_query q = {.topic = tl_str_of(topic),
                           .queue_id = queue_id,
                           .offset = offset,
                           .max_nums = 1,
                           .max_bytes = 1 << 20,
                           .scan_entries = 1};
    struct record rec;
    int n = -1;

    CHECK_OK(read_messages(s, &q, &r));
    if (r.status == READ_FOUND) {
        CHECK_INT(record_decode(r.slices[0].data, r.slices[0].len, RECORD_CHECK_CRC, &rec),
                  RECORD_MESSAGE);
        n = (int)strtol(rec.body.data, NULL, 10);
    }
    read_release(&r);
    return n;
}

static int64_t end_of(struct store *s, const char *topic, int32_t queue_id)
{
    int64_t min, max;
    store_queue_bounds(s, tl_str_of(topic), queue_id, &min, &max);
    return max;
}

static void overwrite(const char *path, off_t at, const void *data, size_t len)
{
    int fd = open(path, O_WRONLY);

    CHECK(fd >= 0 && pwrite(fd, data, len, at) == (ssize_t)len);
    close(fd);
}

static void work_ten(struct store *s)
{
    for (int i = 0; i < 10; i++)
        put(s, "T", 0, i);
}

static void work_ten_flushed(struct store *s)
{
    work_ten(s);
    CHECK_OK(store_flush(s));
}

static const char first_log[] = "commitlog/00000000000000000000";

/* ---- tail or damage ------------------------------------------------------------------------ */

/* Ten messages of a process that was killed; the sixth's bytes did not make it. */
static const char *with_a_hole(void (*work)(struct store *s))
{
    const char *dir = t_tmpdir();
    static const char zeros[BODY];
    struct checkpoint c;

    in_child(&(struct child){.dir = dir, .boot_id = "first", .work = work});
    overwrite(t_path(dir, first_log), 5 * 1010 + 100, zeros, 400);
    CHECK_OK(checkpoint_read(t_path(dir, "checkpoint"), &c));
    CHECK(c.marked);
    c.flushed = 0; /* whether the flush thread was that quick or not */
    CHECK_OK(checkpoint_write(t_path(dir, "checkpoint"), &c));
    return dir;
}

TEST(a_hole_in_what_no_sync_had_promised_is_the_tail_after_a_power_cut)
{
    const char *dir = with_a_hole(work_ten);
    struct store *s = open_in(dir, "second");
    CHECK(end_of(s, "T", 0) >= 4 && end_of(s, "T", 0) <= 6);
    CHECK_INT(message_at(s, "T", 0, 3), 3);
    int64_t end = end_of(s, "T", 0);
    put(s, "T", 0, 77);
    CHECK_INT(message_at(s, "T", 0, end), 77);
    store_close(s);
    s = open_in(dir, "second");
    CHECK_INT(end_of(s, "T", 0), end + 1); /* what lay behind the hole does not come back */
    store_close(s);
}

TEST(the_same_hole_is_damage_when_the_machine_did_not_go_down)
{
    const char *dir = with_a_hole(work_ten);
    struct store_opts opts = opts_of(dir, "first");
    struct store *s;

    CHECK_INT(store_open(&s, &opts), TL_ECORRUPT);
    CHECK_HAS(t_error(), t_path(dir, first_log));
    CHECK_HAS(t_error(), "valid records go on");
}

TEST(a_hole_before_the_flushed_mark_is_damage_whatever_follows)
{
    const char *dir = t_tmpdir();
    static const char zeros[LOG_FILE];
    struct store_opts opts = opts_of(dir, "second");
    struct store *s;

    in_child(&(struct child){.dir = dir, .boot_id = "first", .close = true, .work = work_ten});
    overwrite(t_path(dir, first_log), 5000, zeros, LOG_FILE - 5000);
    CHECK_INT(store_open(&s, &opts), TL_ECORRUPT);
    CHECK_HAS(t_error(), t_path(dir, first_log));
    opts.cut_damage = true;
    CHECK_OK(store_open(&s, &opts));
    CHECK_INT(message_at(s, "T", 0, 3), 3);
    CHECK_INT(message_at(s, "T", 0, 5), -1);
    put(s, "T", 0, 1);
    store_close(s);
    s = open_in(dir, "third");
    store_close(s);
}

TEST(log_files_that_are_gone_are_missed_and_the_queues_kept)
{
    const char *dir = t_tmpdir();
    struct store_opts opts = opts_of(dir, "first");
    struct store *s;

    in_child(&(struct child){
        .dir = dir, .boot_id = "first", .close = true, .work = work_ten_flushed});
    CHECK_INT(rename(t_path(dir, "commitlog"), t_path(dir, "aside")), 0);
    CHECK_INT(store_open(&s, &opts), TL_ECORRUPT);
    CHECK_HAS(t_error(), t_path(dir, "commitlog"));
    rmdir(t_path(dir, "commitlog"));
    CHECK_INT(rename(t_path(dir, "aside"), t_path(dir, "commitlog")), 0);
    CHECK_OK(store_open(&s, &opts));
    CHECK_INT(message_at(s, "T", 0, 9), 9);
    store_close(s);
}

TEST(a_record_whose_properties_were_torn_off_is_not_served)
{
    const char *dir = t_tmpdir();
    struct checkpoint c;
    struct stat st;

    in_child(&(struct child){.dir = dir, .boot_id = "first", .work = work_ten});
    CHECK_OK(checkpoint_read(t_path(dir, "checkpoint"), &c));
    c.flushed = 0;
    CHECK_OK(checkpoint_write(t_path(dir, "checkpoint"), &c));
    CHECK_INT(stat(t_path(dir, first_log), &st), 0);
    struct store *s = open_in(dir, "first"); /* where does the last one end? */
    struct store_state state;
    store_state(s, &state);
    store_close(s);
    CHECK_OK(checkpoint_write(t_path(dir, "checkpoint"), &c));
    CHECK_OK(fs_replace(t_path(dir, "abort"), TL_STR("1")));
    overwrite(t_path(dir, first_log), state.log_end - 6, "\0\0\0\0\0\0", 6);
    s = open_in(dir, "second");
    CHECK_INT(end_of(s, "T", 0), 9);
    store_close(s);
}

/* ---- queues -------------------------------------------------------------------------------- */

static const char queue_file[] = "consumequeue/T/0/00000000000000000000";

TEST(an_entry_torn_across_two_sectors_is_put_right)
{
    const char *dir = t_tmpdir();

    in_child(&(struct child){.dir = dir, .boot_id = "first", .work = work_ten});
    overwrite(t_path(dir, queue_file), 3 * 20, "\0\0\0\0\0\0\0\0", 8);      /* no position */
    overwrite(t_path(dir, queue_file), 6 * 20 + 12, "\0\0\0\0\0\0\0\0", 8); /* no tag */
    struct store *s = open_in(dir, "second");
    for (int i = 0; i < 10; i++) {
        struct cq_entry e;
        CHECK_INT(message_at(s, "T", 0, i), i);
        CHECK_INT(read_queue(s, TL_STR("T"), 0, i, &e, 1), 1);
        CHECK(e.tag_hash != 0);
    }
    CHECK_INT(end_of(s, "T", 0), 10);
    store_close(s);
}

static void work_deleted_and_anew(struct store *s)
{
    for (int i = 0; i < 30; i++)
        put(s, "T", 0, i);
    CHECK_OK(store_drop_topic(s, TL_STR("T")));
    for (int i = 100; i < 103; i++)
        put(s, "T", 0, i);
    put(s, "Gone", 1, 1);
    CHECK_OK(store_drop_topic(s, TL_STR("Gone")));
}

static void check_anew(const char *dir, const char *boot_id)
{
    struct store *s = open_in(dir, boot_id);

    CHECK_INT(end_of(s, "T", 0), 3);
    for (int i = 0; i < 3; i++)
        CHECK_INT(message_at(s, "T", 0, i), 100 + i);
    CHECK(!store_queue(s, TL_STR("Gone"), 1, false) || end_of(s, "Gone", 1) == 0);
    store_close(s);
}

TEST(a_deleted_topic_stays_deleted_and_one_made_anew_keeps_its_messages)
{
    const char *dir = t_tmpdir();

    in_child(&(struct child){.dir = dir, .boot_id = "first", .work = work_deleted_and_anew});
    check_anew(dir, "first");
    CHECK_OK(fs_remove_tree(t_path(dir, "consumequeue")));
    check_anew(dir, "first");
}

TEST(without_our_list_the_messages_of_the_topic_made_anew_win)
{
    const char *dir = t_tmpdir();

    in_child(&(struct child){.dir = dir, .boot_id = "first", .work = work_deleted_and_anew});
    CHECK_INT(unlink(t_path(dir, "deletedTopics")), 0); /* as if RocketMQ had written it all */
    CHECK_INT(unlink(t_path(dir, "checkpoint")), 0);
    CHECK_OK(fs_remove_tree(t_path(dir, "consumequeue")));
    struct store *s = open_in(dir, "first");
    CHECK_INT(end_of(s, "T", 0), 3);
    CHECK_INT(message_at(s, "T", 0, 1), 101);
    store_close(s);
}

#ifdef TL_ERRINJ
TEST(a_topic_whose_deletion_was_interrupted_is_gone_at_the_next_start)
{
    const char *dir = t_tmpdir();
    struct store *s = open_in(dir, "first");

    for (int i = 0; i < 70; i++) /* four files */
        put(s, "T", 0, i);
    errinj_arm(ERRINJ_REMOVE_TREE, 4, 1);
    CHECK(store_drop_topic(s, TL_STR("T")) != 0);
    errinj_arm(ERRINJ_REMOVE_TREE, 0, 0);
    store_close(s);
    s = open_in(dir, "first");
    CHECK_INT(end_of(s, "T", 0), 0);
    put(s, "T", 0, 5);
    CHECK_INT(message_at(s, "T", 0, 0), 5);
    store_close(s);
}
#endif

static void work_two_queues(struct store *s)
{
    for (int i = 0; i < 50; i++)
        put(s, "T", 0, i);
    for (int i = 0; i < 60; i++)
        put(s, "U", 0, i);
}

static void check_two_queues(const char *dir)
{
    struct store *s = open_in(dir, "first");

    for (int i = 0; i < 50; i++)
        CHECK_INT(message_at(s, "T", 0, i), i);
    CHECK_INT(end_of(s, "T", 0), 50);
    CHECK_INT(end_of(s, "U", 0), 60);
    store_close(s);
}

/* None of the last log files has a record of this queue. */
TEST(a_queue_that_is_gone_is_missed_even_when_only_old_records_tell_of_it)
{
    const char *dir = t_tmpdir();

    in_child(&(struct child){
        .dir = dir, .boot_id = "first", .close = true, .work = work_two_queues});
    CHECK_OK(fs_remove_tree(t_path(dir, "consumequeue/T")));
    check_two_queues(dir);
    CHECK_INT(unlink(t_path(dir, "consumequeue/T/0/00000000000000000000")), 0);
    check_two_queues(dir); /* its first file */
}

TEST(damaged_queue_files_are_made_again_from_the_log)
{
    const char *dir = t_tmpdir();

    in_child(&(struct child){
        .dir = dir, .boot_id = "first", .close = true, .work = work_two_queues});
    CHECK_INT(unlink(t_path(dir, "consumequeue/T/0/00000000000000000400")), 0); /* a gap */
    check_two_queues(dir);
    CHECK_INT(truncate(t_path(dir, queue_file), 333), 0);
    check_two_queues(dir);
    overwrite(t_path(dir, queue_file), 0, "\377", 1); /* an impossible position */
    check_two_queues(dir);
    close(open(t_path(dir, "consumequeue/T/0/notes.txt"), O_CREAT | O_WRONLY, 0644));
    check_two_queues(dir);
}

TEST(the_record_of_a_damaged_entry_is_found_and_the_entry_made_again_at_the_next_start)
{
    const char *dir = t_tmpdir();
    struct store *s;

    in_child(&(struct child){
        .dir = dir, .boot_id = "first", .close = true, .work = work_two_queues});
    s = open_in(dir, "first");
    overwrite(t_path(dir, queue_file), 7, "\1", 1);
    CHECK_INT(message_at(s, "T", 0, 0), 0);
    CHECK_INT(read_log_pos(s, TL_STR("T"), 0, 0), 1);
    store_close(s);
    check_two_queues(dir);
    s = open_in(dir, "first");
    CHECK_INT(read_log_pos(s, TL_STR("T"), 0, 0), 0);
    store_close(s);
}

/* ---- files --------------------------------------------------------------------------------- */

TEST(a_log_file_whose_making_was_interrupted_is_made_again)
{
    const char *dir = t_tmpdir();

    CHECK_OK(fs_mkdirs(t_path(dir, "commitlog")));
    int fd = open(t_path(dir, first_log), O_CREAT | O_WRONLY, 0644);
    CHECK_INT(ftruncate(fd, 4096), 0);
    close(fd);
    struct store *s = open_in(dir, "first");
    for (int i = 0; i < 30; i++)
        put(s, "T", 0, i);
    store_close(s);
    CHECK_INT(fs_size(t_path(dir, first_log)), LOG_FILE);
    fd = open(t_path(dir, "commitlog/00000000000000032768"), O_CREAT | O_WRONLY, 0644);
    CHECK_INT(ftruncate(fd, 8192), 0);
    close(fd);
    s = open_in(dir, "first");
    CHECK_INT(message_at(s, "T", 0, 29), 29);
    store_close(s);
}

#ifdef TL_ERRINJ
static void note_fatal(void *arg, const char *text)
{
    snprintf(arg, TL_ERROR_TEXT_MAX, "%s", text);
}

static struct store *open_noting(const char *dir, char *text)
{
    struct store_opts opts = opts_of(dir, "first");
    struct store *s;

    *text = '\0';
    opts.on_fatal = note_fatal;
    opts.arg = text;
    CHECK_OK(store_open(&s, &opts));
    return s;
}

TEST(a_queue_that_could_not_be_synced_is_fatal_and_replayed)
{
    const char *dir = t_tmpdir();
    char text[TL_ERROR_TEXT_MAX];
    struct store *s = open_noting(dir, text);

    work_ten(s);
    errinj_arm(ERRINJ_QUEUE_SYNC, 0, 1);
    store_close(s);
    CHECK_HAS(text, "consumequeue/T/0");
    CHECK(fs_exists(t_path(dir, "abort"))); /* not a clean stop */
    s = open_in(dir, "first");
    CHECK_INT(message_at(s, "T", 0, 9), 9);
    store_close(s);
}

TEST(a_checkpoint_that_could_not_be_written_is_fatal)
{
    const char *dir = t_tmpdir();
    char text[TL_ERROR_TEXT_MAX];
    struct store *s = open_noting(dir, text);

    work_ten(s);
    errinj_arm(ERRINJ_CHECKPOINT_SYNC, 0, 1);
    store_close(s);
    CHECK_HAS(text, t_path(dir, "checkpoint"));
    CHECK_HAS(text, "Input/output error");
    s = open_in(dir, "first");
    CHECK_INT(message_at(s, "T", 0, 9), 9);
    store_close(s);
}

TEST(after_a_failed_sync_of_the_log_nothing_behind_the_mark_is_taken_for_granted)
{
    const char *dir = t_tmpdir();
    char text[TL_ERROR_TEXT_MAX];
    static const char zeros[400];
    struct store *s = open_noting(dir, text);

    work_ten_flushed(s);
    errinj_arm(ERRINJ_LOG_SYNC, 0, 1);
    for (int i = 10; i < 14; i++) {
        uint8_t bytes[64] = {0};
        struct append_entry e = {0};
        if (*text || append_wait(s, bytes, sizeof(bytes), 1, &e) == TL_ESTOPPED)
            break;
        put(s, "T", 0, i);
    }
    CHECK(store_flush(s) != 0);
    CHECK_HAS(text, first_log);
    store_close(s);
    overwrite(t_path(dir, first_log), 10 * 1010 + 100, zeros,
              sizeof(zeros));  /* the disk dropped it */
    s = open_in(dir, "first"); /* the same run of the machine */
    CHECK(end_of(s, "T", 0) >= 9);
    store_close(s);
}
#endif
