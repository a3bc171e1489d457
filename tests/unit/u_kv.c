#include "namesrv/kv.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/json.h"
#include "t.h"

static const char *fresh(const char *name)
{
    return t_path(t_tmpdir(), name);
}

static void put(struct kv *kv, const char *ns, const char *key, const char *value)
{
    CHECK_OK(kv_put(kv, tl_str_of(ns), tl_str_of(key), tl_str_of(value)));
}

static void expect(struct kv *kv, const char *ns, const char *key, const char *want)
{
    struct strbuf value;

    strbuf_init(&value);
    CHECK_INT(kv_get(kv, tl_str_of(ns), tl_str_of(key), &value), want != NULL);
    if (want)
        CHECK_STR(strbuf_str(&value), want);
    strbuf_release(&value);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    CHECK(f);
    fputs(text, f);
    fclose(f);
}

TEST(values_are_kept_by_namespace)
{
    struct kv *kv;

    CHECK_OK(kv_open(&kv, fresh("spaces.json")));
    put(kv, "A", "k", "1");
    put(kv, "B", "k", "2");
    expect(kv, "A", "k", "1");
    expect(kv, "B", "k", "2");
    put(kv, "A", "k", "3");
    expect(kv, "A", "k", "3");
    expect(kv, "A", "other", NULL);
    expect(kv, "C", "k", NULL);
    kv_close(kv);
}

TEST(values_outlive_a_restart)
{
    const char *path = fresh("restart.json");
    struct kv *kv;

    CHECK_OK(kv_open(&kv, path));
    put(kv, "ORDER_TOPIC_CONFIG", "T", "broker-a:4;broker-b:4");
    put(kv, "ORDER_TOPIC_CONFIG", "U", "");
    put(kv, "ORDER_TOPIC_CONFIG", "gone", "x");
    CHECK_OK(kv_delete(kv, TL_STR("ORDER_TOPIC_CONFIG"), TL_STR("gone")));
    kv_close(kv);
    CHECK_OK(kv_open(&kv, path));
    expect(kv, "ORDER_TOPIC_CONFIG", "T", "broker-a:4;broker-b:4");
    expect(kv, "ORDER_TOPIC_CONFIG", "U", "");
    expect(kv, "ORDER_TOPIC_CONFIG", "gone", NULL);
    kv_close(kv);
}

TEST(the_file_has_the_form_of_the_java_server)
{
    const char *path = fresh("form.json");
    struct strbuf text;
    struct kv *kv;

    CHECK_OK(kv_open(&kv, path));
    put(kv, "ns", "k", "v");
    kv_close(kv);
    strbuf_init(&text);
    CHECK_OK(fs_read(path, 1 << 16, &text));
    json_t *root = json_parse(strbuf_str(&text));
    CHECK_STR(json_get_str(json_get_object(json_get_object(root, "configTable"), "ns"), "k"),
              "v");
    json_decref(root);
    strbuf_release(&text);
}

TEST(a_list_is_the_table_of_one_namespace)
{
    struct strbuf text;
    struct kv *kv;

    CHECK_OK(kv_open(&kv, fresh("list.json")));
    put(kv, "ns", "b", "2");
    put(kv, "ns", "a", "1");
    put(kv, "other", "c", "3");
    json_t *list = kv_list(kv, TL_STR("ns"));
    CHECK(list);
    strbuf_init(&text);
    json_write(list, &text);
    CHECK_STR(strbuf_str(&text), "{\"table\":{\"a\":\"1\",\"b\":\"2\"}}");
    strbuf_release(&text);
    json_decref(list);
    CHECK(kv_list(kv, TL_STR("nowhere")) == NULL);
    kv_close(kv);
}

TEST(deleting_what_is_not_there_is_no_error_and_writes_nothing)
{
    const char *path = fresh("nothing.json");
    struct kv *kv;
    struct stat st;

    CHECK_OK(kv_open(&kv, path));
    CHECK_OK(kv_delete(kv, TL_STR("ns"), TL_STR("k")));
    CHECK(stat(path, &st) != 0);
    kv_close(kv);
}

TEST(a_damaged_file_gives_way_to_its_backup)
{
    const char *path = fresh("damaged.json");
    struct kv *kv;

    CHECK_OK(kv_open(&kv, path));
    put(kv, "ns", "k", "old");
    put(kv, "ns", "k", "new"); /* the one before becomes .bak */
    kv_close(kv);
    write_file(path, "{\"configTable\":{\"ns\"");
    CHECK_OK(kv_open(&kv, path));
    expect(kv, "ns", "k", "old");
    kv_close(kv);
}

TEST(two_damaged_files_are_an_error_that_names_the_file)
{
    const char *path = fresh("both.json");
    struct kv *kv = NULL;

    write_file(path, "nonsense");
    write_file(t_path(t_tmpdir(), "both.json.bak"), "[1,");
    CHECK_INT(kv_open(&kv, path), TL_ECORRUPT);
    CHECK_HAS(t_error(), "both.json");
    CHECK(kv == NULL);
}

TEST(a_value_that_cannot_be_saved_is_reported_and_in_force)
{
    const char *dir = fresh("in_the_way");
    struct kv *kv;

    CHECK_OK(kv_open(&kv, t_path(dir, "kv.json"))); /* the folder comes with the first value */
    write_file(dir, "");
    CHECK_INT(kv_put(kv, TL_STR("ns"), TL_STR("k"), TL_STR("v")), TL_EIO);
    expect(kv, "ns", "k", "v");
    kv_close(kv);
}
