#include "broker/offsets.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fs.h"
#include "base/thread.h"
#include "t.h"

#define G TL_STR("g1")
#define T TL_STR("TopicA")

static struct offsets *open_in(const char *dir)
{
    struct offsets *o;

    CHECK_OK(offsets_open(&o, dir));
    return o;
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    CHECK(f != NULL);
    CHECK(fputs(text, f) >= 0);
    CHECK(fclose(f) == 0);
}

TEST(an_unknown_offset_is_minus_one)
{
    struct offsets *o = open_in(t_tmpdir());

    CHECK_INT(offsets_query(o, G, T, 0), -1);
    offsets_commit(o, G, T, 0, 5);
    CHECK_INT(offsets_query(o, G, T, 1), -1);
    CHECK_INT(offsets_query(o, TL_STR("g2"), T, 0), -1);
    CHECK_INT(offsets_query(o, G, TL_STR("TopicB"), 0), -1);
    offsets_close(o);
}

TEST(the_last_commit_counts_also_when_it_is_smaller)
{
    struct offsets *o = open_in(t_tmpdir());

    offsets_commit(o, G, T, 0, 5);
    CHECK_INT(offsets_query(o, G, T, 0), 5);
    offsets_commit(o, G, T, 0, 2);
    CHECK_INT(offsets_query(o, G, T, 0), 2);
    offsets_commit(o, G, T, 0, -1);
    CHECK_INT(offsets_query(o, G, T, 0), -1);
    offsets_close(o);
}

TEST(queues_come_in_any_order)
{
    struct offsets *o = open_in(t_tmpdir());

    for (int i = 99; i >= 0; i -= 3)
        offsets_commit(o, G, T, i, i * 10);
    for (int i = 0; i < 100; i += 3)
        CHECK_INT(offsets_query(o, G, T, i), i * 10);
    CHECK_INT(offsets_query(o, G, T, 1), -1);
    offsets_close(o);
}

TEST(offsets_are_there_again_after_a_restart_and_pull_offsets_are_not)
{
    const char *dir = t_tmpdir();
    struct offsets *o = open_in(dir);

    offsets_commit(o, G, T, 0, 100);
    offsets_commit(o, G, T, 1, 101);
    offsets_pulled(o, G, T, 0, 110);
    CHECK_INT(offsets_query_pulled(o, G, T, 0), 110);
    CHECK_INT(offsets_query_pulled(o, G, T, 1), -1);
    offsets_close(o);
    o = open_in(dir);
    CHECK_INT(offsets_query(o, G, T, 0), 100);
    CHECK_INT(offsets_query(o, G, T, 1), 101);
    CHECK_INT(offsets_query_pulled(o, G, T, 0), -1);
    offsets_close(o);
}

TEST(the_file_has_bare_queue_numbers_as_the_java_broker_writes_them)
{
    const char *dir = t_tmpdir();
    struct strbuf text = {0};
    struct offsets *o = open_in(dir);

    offsets_commit(o, G, T, 3, 100);
    offsets_persist(o);
    CHECK_OK(fs_read(t_path(dir, "consumerOffset.json"), 1 << 20, &text));
    CHECK_HAS(strbuf_str(&text), "\"TopicA@g1\":{");
    CHECK_HAS(strbuf_str(&text), "3:100");
    CHECK_HAS(strbuf_str(&text), "\"counter\":1");
    strbuf_release(&text);
    offsets_close(o);
}

TEST(a_file_of_the_java_broker_is_read)
{
    const char *dir = t_tmpdir();

    write_file(
        t_path(dir, "consumerOffset.json"),
        "{\n\t\"dataVersion\":{\n\t\t\"counter\":2,\n\t\t\"stateVersion\":0,\n\t\t\"timestamp\":1700000000000\n\t},\n"
        "\t\"groupTopicMap\":{\n\t\t\"g1\":[\n\t\t\t\"TopicA\"\n\t\t]\n\t},\n\t\"offsetTable\":{\n\t\t\"TopicA@g1\":{0:100,1:101\n"
        "\t\t},\n\t\t\"%RETRY%g1@g1\":{0:7\n\t\t},\n\t\t\"TopicA@g1@broadcast\":{2:9}\n\t}\n}");
    struct offsets *o = open_in(dir);
    CHECK_INT(offsets_query(o, G, T, 0), 100);
    CHECK_INT(offsets_query(o, G, T, 1), 101);
    CHECK_INT(offsets_query(o, G, TL_STR("%RETRY%g1"), 0), 7);
    CHECK_INT(offsets_query(o, TL_STR("g1@broadcast"), T, 2), 9);
    offsets_close(o);
}

TEST(nothing_is_written_when_nothing_changed)
{
    const char *dir = t_tmpdir();
    struct offsets *o = open_in(dir);
    struct data_version before, after;

    offsets_persist(o);
    CHECK(!fs_exists(t_path(dir, "consumerOffset.json")));
    offsets_commit(o, G, T, 0, 1);
    offsets_persist(o);
    CHECK(fs_exists(t_path(dir, "consumerOffset.json")));
    offsets_version(o, &before);
    offsets_commit(o, G, T, 0, 1);
    offsets_pulled(o, G, T, 0, 9);
    offsets_persist(o);
    offsets_version(o, &after);
    CHECK(data_version_eq(&before, &after));
    offsets_close(o);
}

TEST(dropping_a_topic_or_a_group_takes_its_offsets_only)
{
    struct offsets *o = open_in(t_tmpdir());

    offsets_commit(o, G, T, 0, 1);
    offsets_commit(o, TL_STR("g2"), T, 0, 2);
    offsets_commit(o, G, TL_STR("TopicB"), 0, 3);
    offsets_commit(o, TL_STR("g2"), TL_STR("TopicB"), 0, 4);
    offsets_drop_topic(o, T);
    CHECK_INT(offsets_query(o, G, T, 0), -1);
    CHECK_INT(offsets_query(o, TL_STR("g2"), T, 0), -1);
    CHECK_INT(offsets_query(o, G, TL_STR("TopicB"), 0), 3);
    offsets_drop_group(o, TL_STR("g2"));
    CHECK_INT(offsets_query(o, TL_STR("g2"), TL_STR("TopicB"), 0), -1);
    CHECK_INT(offsets_query(o, G, TL_STR("TopicB"), 0), 3);
    offsets_close(o);
}

static void sum(void *arg, struct tl_str topic, struct tl_str group, int32_t queue_id,
                int64_t offset)
{
    (void)topic;
    (void)group;
    (void)queue_id;
    *(int64_t *)arg += offset;
}

TEST(walking_sees_every_commit_once)
{
    struct offsets *o = open_in(t_tmpdir());
    int64_t total = 0, want = 0;
    char group[16];

    for (int i = 0; i < 200; i++) {
        snprintf(group, sizeof(group), "g%d", i);
        offsets_commit(o, tl_str_of(group), T, i % 8, i);
        offsets_pulled(o, tl_str_of(group), TL_STR("other"), 0, 1000000);
        want += i;
    }
    offsets_each(o, sum, &total);
    CHECK_INT(total, want);
    offsets_close(o);
}

TEST(names_longer_than_anybodys_are_ignored)
{
    struct offsets *o = open_in(t_tmpdir());
    char name[2000];

    memset(name, 'x', sizeof(name));
    offsets_commit(o, tl_str_n(name, sizeof(name)), T, 0, 5);
    CHECK_INT(offsets_query(o, tl_str_n(name, sizeof(name)), T, 0), -1);
    offsets_close(o);
}

static void *commit_many(void *arg)
{
    char group[16];

    for (int i = 0; i < 2000; i++) {
        snprintf(group, sizeof(group), "g%d", i % 50);
        offsets_commit(arg, tl_str_of(group), T, i % 4, i);
        offsets_query(arg, tl_str_of(group), T, 0);
        if (i % 500 == 0)
            offsets_persist(arg);
    }
    return NULL;
}

TEST(commits_and_saves_of_several_threads_do_not_disturb_each_other)
{
    struct offsets *o = open_in(t_tmpdir());
    pthread_t threads[3];

    for (int i = 0; i < 3; i++)
        CHECK_OK(thread_start(&threads[i], "commit", ROLE_ANY, commit_many, o));
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    CHECK_INT(offsets_query(o, TL_STR("g49"), T, 3), 1999);
    offsets_close(o);
}

TEST(two_damaged_files_are_an_error_that_names_the_file)
{
    const char *dir = t_tmpdir();
    struct offsets *o;

    write_file(t_path(dir, "consumerOffset.json"), "{\"offsetTable\":{");
    write_file(t_path(dir, "consumerOffset.json.bak"), "[1]");
    CHECK_INT(offsets_open(&o, dir), TL_ECORRUPT);
    CHECK_HAS(t_error(), "consumerOffset.json");
}
