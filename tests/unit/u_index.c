#include "store/index.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/append.h"
#include "store/read.h"
#include "store/store.h"
#include "t.h"

enum { SLOTS = 100, ENTRIES = 400, FIRST_MS = 1000000 };

static struct record record(const char *topic, const char *properties, int64_t pos, int64_t ms)
{
    return (struct record){.topic = tl_str_of(topic),
                           .properties = tl_str_of(properties),
                           .log_pos = pos,
                           .store_timestamp = ms};
}

static void put(struct index *x, const char *properties, int64_t pos, int64_t ms)
{
    struct record r = record("TopicA", properties, pos, ms);
    bool rolled;
    CHECK_OK(index_put(x, &r, &rolled));
}

static int32_t find(struct index *x, const char *key, int32_t max, int64_t begin, int64_t end,
                    int64_t *out)
{
    struct index_hits hits;
    index_find(x, TL_STR("TopicA"), tl_str_of(key), max, begin, end, out, &hits);
    return hits.n;
}

static void open_at(struct index *x, const char *dir, int64_t trusted_ms, int64_t log_end)
{
    CHECK_OK(index_open(x, dir, SLOTS, ENTRIES, trusted_ms, log_end));
}

/* The path of the only file of a folder. */
static const char *only_file(const char *dir)
{
    DIR *d = opendir(dir);
    const char *found = NULL;

    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] != '.')
            found = t_path(dir, e->d_name);
    }
    closedir(d);
    CHECK(found);
    return found;
}

TEST(a_file_has_the_bytes_that_the_java_index_writes)
{
    const char *dir = t_path(t_tmpdir(), "index");
    struct index x;
    struct strbuf file = {0};

    open_at(&x, dir, INT64_MAX, INT64_MAX);
    put(&x, "KEYS\001k0 kk0\002TAGS\001TagA\002", 0, INT64_C(0x1a203e63c18));
    put(&x, "KEYS\001k1 kk1\002TAGS\001TagA\002", 125, INT64_C(0x1a203e63c67) + 1000);
    CHECK_OK(index_sync(&x));
    index_close(&x);
    CHECK_OK(fs_read(only_file(dir), 1 << 20, &file));
    CHECK_INT(file.len, 40 + SLOTS * 4 + ENTRIES * 20);
    CHECK_INT(get_be64(file.data), INT64_C(0x1a203e63c18));
    CHECK_INT(get_be64(file.data + 8), INT64_C(0x1a203e63c67) + 1000);
    CHECK_INT(get_be64(file.data + 16), 0);
    CHECK_INT(get_be64(file.data + 24), 125);
    CHECK_INT(get_be32(file.data + 32), 4); /* slots in use */
    CHECK_INT(get_be32(file.data + 36), 5); /* the next entry */
    CHECK_INT(get_be32(file.data + 40 + 50 * 4), 1);
    CHECK_INT(get_be32(file.data + 40 + 71 * 4), 2);
    const char *e = file.data + 40 + SLOTS * 4 + 20;
    CHECK_INT(get_be32(e), 1903240650);
    CHECK_INT(get_be64(e + 4), 0);
    CHECK_INT(get_be32(e + 12), 0);
    CHECK_INT(get_be32(e + 16), 0);
    CHECK_INT(get_be32(e + 20), 1129083871);
    CHECK_INT(get_be32(e + 40), 1903240649); /* |hash of TopicA#k1| */
    CHECK_INT(get_be64(e + 44), 125);
    CHECK_INT(get_be32(e + 52), 1); /* second */
    strbuf_release(&file);
}

TEST(keys_are_found_newest_first_and_within_their_time)
{
    struct index x;
    int64_t out[8];

    open_at(&x, t_path(t_tmpdir(), "index"), INT64_MAX, INT64_MAX);
    for (int i = 0; i < 6; i++)
        put(&x, i % 2 ? "KEYS\001odd\002" : "UNIQ_KEY\001even\002", 100 * i,
            FIRST_MS + 10000 * i);
    CHECK_INT(find(&x, "odd", 8, 0, INT64_MAX, out), 3);
    CHECK_INT(out[0], 500);
    CHECK_INT(out[2], 100);
    CHECK_INT(find(&x, "even", 2, 0, INT64_MAX, out), 2);
    CHECK_INT(out[0], 400);
    CHECK_INT(find(&x, "odd", 8, FIRST_MS + 20000, FIRST_MS + 40000, out), 1);
    CHECK_INT(out[0], 300);
    CHECK_INT(find(&x, "odd", 8, FIRST_MS + 60000, INT64_MAX, out), 0);
    CHECK_INT(find(&x, "odd", 0, 0, INT64_MAX, out), 0);
    CHECK_INT(find(&x, "none", 8, 0, INT64_MAX, out), 0);
    index_close(&x);
}

TEST(keys_with_the_same_hash_are_both_answered)
{
    struct index x;
    int64_t out[8];

    open_at(&x, t_path(t_tmpdir(), "index"), INT64_MAX, INT64_MAX);
    put(&x, "KEYS\001Aa\002", 1, FIRST_MS);
    put(&x, "KEYS\001BB\002", 2, FIRST_MS);
    CHECK_INT(find(&x, "Aa", 8, 0, INT64_MAX, out), 2);
    index_close(&x);
}

TEST(a_full_file_is_followed_by_a_new_one_and_both_are_searched)
{
    const char *dir = t_path(t_tmpdir(), "index");
    struct index x;
    int64_t out[64];
    int rolls = 0;

    open_at(&x, dir, INT64_MAX, INT64_MAX);
    for (int i = 0; i < 1000; i++) {
        char text[64];
        bool rolled;
        snprintf(text, sizeof(text), "KEYS\001k%d\002", i % 20);
        struct record r = record("TopicA", text, i * 10, FIRST_MS + i);
        CHECK_OK(index_put(&x, &r, &rolled));
        rolls += rolled;
    }
    CHECK_INT(rolls, 2);
    CHECK_INT(x.n, 3);
    CHECK_INT(x.full_end_ms, FIRST_MS + 2 * (ENTRIES - 1) - 1);
    CHECK_INT(find(&x, "k7", 64, 0, INT64_MAX, out), 50);
    CHECK_INT(out[0], 9870);
    CHECK_INT(out[49], 70);
    index_trim(&x, 5000); /* the first file's records lie before it */
    CHECK_INT(x.n, 2);
    CHECK_INT(find(&x, "k7", 64, 0, INT64_MAX, out), 30);
    index_trim(&x, 1000000);
    CHECK_INT(x.n, 1);
    index_close(&x);
}

TEST(after_a_crash_only_what_was_surely_written_is_kept)
{
    const char *dir = t_path(t_tmpdir(), "index");
    struct index x;
    int64_t out[8];

    open_at(&x, dir, INT64_MAX, INT64_MAX);
    for (int i = 0; i < ENTRIES + 5; i++)
        put(&x, "KEYS\001k\002", i * 10, FIRST_MS + i);
    int64_t full_ms = x.full_end_ms;
    index_close(&x);
    open_at(&x, dir, INT64_MAX, 100000); /* an orderly stop */
    CHECK_INT(index_last_pos(&x), (ENTRIES + 4) * 10);
    index_close(&x);
    open_at(&x, dir, full_ms, 100000); /* a crash */
    CHECK_INT(index_last_pos(&x), (ENTRIES - 2) * 10);
    CHECK_INT(find(&x, "k", 2, 0, INT64_MAX, out), 2);
    CHECK_INT(out[0], (ENTRIES - 2) * 10);
    index_close(&x);
    open_at(&x, dir, INT64_MAX, 100); /* the log ends before */
    CHECK_INT(index_last_pos(&x), -1);
    index_close(&x);
}

TEST(files_that_make_no_sense_are_removed)
{
    const char *dir = t_path(t_tmpdir(), "index");
    struct index x;

    open_at(&x, dir, INT64_MAX, INT64_MAX);
    put(&x, "KEYS\001k\002", 10, FIRST_MS);
    index_close(&x);
    const char *file = only_file(dir);
    FILE *f = fopen(file, "r+");
    CHECK(f && fseek(f, 36, SEEK_SET) == 0 && fwrite("\x7f\0\0\0", 4, 1, f) == 1);
    fclose(f);
    open_at(&x, dir, INT64_MAX, INT64_MAX);
    CHECK_INT(x.n, 0);
    put(&x, "KEYS\001k\002", 10, FIRST_MS);
    index_close(&x);
    file = only_file(dir);
    CHECK(truncate(file, 1000) == 0);
    open_at(&x, dir, INT64_MAX, INT64_MAX);
    CHECK_INT(x.n, 0);
    index_close(&x);
}

/* ---- with a store ------------------------------------------------------------------------- */

static struct store *open_store(const char *dir, int32_t entries)
{
    struct store_opts opts = {.root_dir = dir,
                              .log_file_bytes = 65536,
                              .queue_file_bytes = 2000,
                              .index_slots = SLOTS,
                              .index_entries = entries,
                              .flush_interval_ms = 10,
                              .check_crc = true};
    struct store *s = NULL;
    CHECK_OK(store_open(&s, &opts));
    return s;
}

static void send(struct store *s, int from, int to)
{
    for (int i = from; i < to; i++) {
        char props[64], body[1024];
        uint8_t bytes[4096];
        struct append_entry e = {0};
        snprintf(props, sizeof(props), "KEYS\001k%d all\002UNIQ_KEY\001U%d\002", i % 10, i);
        snprintf(body, sizeof(body), "%0900d", i);
        struct record r = {.topic = TL_STR("TopicA"),
                           .body = tl_str_of(body),
                           .properties = tl_str_of(props),
                           .born_host = {.ip = {127, 0, 0, 1}, .port = 1},
                           .store_host = {.ip = {127, 0, 0, 1}, .port = 2}};
        CHECK_OK(record_encode(&r, bytes));
        CHECK_OK(append_wait(s, bytes, record_size(&r), 1, &e));
    }
}

/* How many messages the key has; they are whole and in order. */
static int32_t query(struct store *s, const char *key)
{
    struct read_by_key q = {.topic = TL_STR("TopicA"),
                            .key = tl_str_of(key),
                            .max = READ_BY_KEY_MAX,
                            .end_ms = INT64_MAX};
    int64_t last = -1;

    read_by_key(s, &q);
    for (int32_t i = 0; i < q.n; i++) {
        struct record r;
        CHECK_INT(record_decode(q.slices[i].data, q.slices[i].len, RECORD_CHECK_CRC, &r),
                  RECORD_MESSAGE);
        CHECK(r.log_pos > last);
        last = r.log_pos;
    }
    int32_t n = q.n;
    read_by_key_release(&q);
    return n;
}

TEST(what_was_sent_is_found_by_key_at_once_and_after_a_restart)
{
    const char *dir = t_tmpdir();
    struct store *s = open_store(dir, ENTRIES);

    send(s, 0, 300); /* over several log and index files */
    CHECK_INT(query(s, "k3"), 30);
    CHECK_INT(query(s, "U299"), 1);
    CHECK_INT(query(s, "U300"), 0);
    CHECK_INT(query(s, "all"), READ_BY_KEY_MAX);
    store_close(s);
    s = open_store(dir, ENTRIES);
    send(s, 300, 310);
    CHECK_INT(query(s, "k3"), 31);
    CHECK_INT(query(s, "U5"), 1);
    CHECK_INT(query(s, "U299"), 1);
    store_close(s);
}

TEST(a_lost_index_is_made_again_from_the_log)
{
    const char *dir = t_tmpdir();
    struct store *s = open_store(dir, ENTRIES);

    send(s, 0, 100);
    CHECK_INT(query(s, "k3"), 10);
    store_close(s);
    CHECK_OK(fs_remove_tree(t_path(dir, "index")));
    s = open_store(dir, ENTRIES);
    CHECK_INT(query(s, "k3"), 10);
    store_close(s);
    fclose(fopen(t_path(dir, "abort"), "w")); /* as after a crash */
    s = open_store(dir, ENTRIES);
    CHECK_INT(query(s, "k3"), 10);
    CHECK_INT(query(s, "U99"), 1);
    store_close(s);
    s = open_store(dir, 0); /* without an index nothing is found, and sending goes on */
    send(s, 100, 110);
    CHECK_INT(query(s, "k3"), 0);
    store_close(s);
    s = open_store(dir, ENTRIES);
    CHECK_INT(query(s, "k3"), 11);
    store_close(s);
}
