#include <stddef.h>
#include <stdio.h>

#include "base/conf.h"
#include "base/fs.h"
#include "t.h"

struct sample {
    struct tl_str name, password;
    bool enable;
    int32_t listenPort;
    int64_t mapped_size;
    double ratio;
};

/* clang-format off */
static const struct conf_key keys[] = {
    CONF_KEY(sample, STR,  name,        "brokerName", "broker-a", 0, 0, CONF_IMPORTANT, "its name | really")
    CONF_KEY(sample, STR,  password,    "secretKey", "", 0, 0, CONF_SECRET, "a secret")
    CONF_KEY(sample, BOOL, enable,      "longPollingEnable", "true", 0, 0, CONF_DYNAMIC, "hold pulls")
    CONF_KEY(sample, I32,  listenPort,  "listenPort", "10911", 1, 65535, CONF_IMPORTANT, "the port")
    CONF_KEY(sample, I64,  mapped_size, "mappedFileSizeCommitLog", "1073741824", 0, 0, 0, "bytes")
    CONF_KEY(sample, F64,  ratio,       "ratio", "0.75", 0, 1, CONF_OURS, "a share")
};
/* clang-format on */
static const struct conf_table table = {keys, sizeof(keys) / sizeof(keys[0])};

static int set(struct sample *c, const char *key, const char *value)
{
    return conf_set(&table, c, tl_str_of(key), tl_str_of(value));
}

TEST(defaults_come_from_the_table)
{
    struct sample c;
    conf_defaults(&table, &c);
    CHECK_STR(c.name, "broker-a");
    CHECK_STR(c.password, "");
    CHECK(c.enable);
    CHECK_INT(c.listenPort, 10911);
    CHECK_INT(c.mapped_size, 1073741824);
    CHECK(c.ratio == 0.75);
    conf_release(&table, &c);
}

TEST(values_are_set_within_bounds)
{
    struct sample c;
    conf_defaults(&table, &c);
    CHECK_OK(set(&c, "listenPort", " 65535 "));
    CHECK_INT(c.listenPort, 65535);
    CHECK_INT(set(&c, "listenPort", "99999"), TL_EINVAL);
    CHECK_STR(t_error(), "listenPort=99999: expected 1..65535");
    CHECK_INT(set(&c, "listenPort", "12x"), TL_EINVAL);
    CHECK_INT(c.listenPort, 65535);
    CHECK_INT(set(&c, "longPollingEnable", "maybe"), TL_EINVAL);
    CHECK_STR(t_error(), "longPollingEnable=maybe: expected true or false");
    CHECK_OK(set(&c, "longPollingEnable", "FALSE"));
    CHECK(!c.enable);
    CHECK_INT(set(&c, "ratio", "1.5"), TL_EINVAL);
    CHECK_OK(set(&c, "ratio", "0.5"));
    CHECK_INT(set(&c, "nonsense", "1"), TL_ENOTFOUND);
    CHECK_STR(t_error(), "unknown key nonsense");
    conf_release(&table, &c);
}

TEST(both_spellings_of_mapped_are_taken)
{
    struct sample c;
    conf_defaults(&table, &c);
    CHECK_OK(set(&c, "mapedFileSizeCommitLog", "4096"));
    CHECK_INT(c.mapped_size, 4096);
    CHECK(conf_find(&table, TL_STR("mapedFileSizeCommitLog")) == &keys[4]);
    CHECK(!conf_find(&table, TL_STR("maped")));
    conf_release(&table, &c);
}

TEST(a_copy_is_deep)
{
    struct sample a;
    struct sample b;
    conf_defaults(&table, &a);
    conf_copy(&table, &b, &a);
    CHECK_OK(set(&a, "brokerName", "other"));
    CHECK_STR(b.name, "broker-a");
    CHECK_INT(b.listenPort, 10911);
    conf_release(&table, &a);
    conf_release(&table, &b);
}

static int collect(void *arg, struct tl_str key, struct tl_str value, int line)
{
    strbuf_printf(arg, "%d[%.*s|%.*s]", line, TL_STR_ARG(key), TL_STR_ARG(value));
    return tl_str_is(key, "stop") ? 77 : 0;
}

TEST(properties_are_read_as_java_does)
{
    struct strbuf b = {0};
    CHECK_INT(conf_properties(TL_STR("# comment\n"
                                     "! another\\\n"
                                     "a=1\r\n"
                                     "  b : two words  \n"
                                     "\n"
                                     "c d\n"
                                     "long=one,\\\n"
                                     "     two\n"
                                     "esc\\=\\ key=\\u00e9\\t\\\\x\\q\n"
                                     "alone\n"
                                     "path=a=b:c\r"
                                     "emoji=\\ud83d\\ude00\n"
                                     "last=end\\"),
                              collect, &b),
              0);
    CHECK_STR(strbuf_str(&b),
              "3[a|1]4[b|two words]6[c|d]7[long|one,two]9[esc= key|\xc3\xa9\t\\xq]"
              "10[alone|]11[path|a=b:c]12[emoji|\xf0\x9f\x98\x80]13[last|end]");
    strbuf_release(&b);
}

TEST(the_walk_stops_at_the_first_answer)
{
    struct strbuf b = {0};
    CHECK_INT(conf_properties(TL_STR("a=1\nstop=\nb=2\n"), collect, &b), 77);
    CHECK_STR(strbuf_str(&b), "1[a|1]2[stop|]");
    strbuf_release(&b);
}

static void note(void *arg, const char *text)
{
    strbuf_printf(arg, "%s\n", text);
}

TEST(a_file_is_loaded_with_warnings_for_unknown_keys)
{
    struct sample c;
    struct strbuf warnings = {0};
    const char *path = t_path(t_tmpdir(), "broker.conf");
    CHECK_OK(fs_replace(path, TL_STR("brokerName=b\n#x\nbrokerNmae=typo\nlistenPort=20911\n")));
    conf_defaults(&table, &c);
    CHECK_OK(conf_load(&table, &c, path, note, &warnings));
    CHECK_STR(c.name, "b");
    CHECK_INT(c.listenPort, 20911);
    CHECK_HAS(strbuf_str(&warnings), "broker.conf:3: unknown key brokerNmae\n");
    strbuf_release(&warnings);
    conf_release(&table, &c);
}

TEST(a_bad_value_in_a_file_names_its_line)
{
    struct sample c;
    const char *path = t_path(t_tmpdir(), "broker.conf");
    CHECK_OK(fs_replace(path, TL_STR("\nlistenPort=0\n")));
    conf_defaults(&table, &c);
    CHECK_INT(conf_load(&table, &c, path, NULL, NULL), TL_EINVAL);
    CHECK_HAS(t_error(), "broker.conf:2: listenPort=0: expected 1..65535");
    CHECK_INT(conf_load(&table, &c, t_path(t_tmpdir(), "none"), NULL, NULL), TL_EIO);
    CHECK_HAS(t_error(), "none: No such file");
    conf_release(&table, &c);
}

TEST(printing_masks_secrets_and_selects_by_flag)
{
    struct sample c;
    struct strbuf b = {0};
    conf_defaults(&table, &c);
    CHECK_OK(set(&c, "secretKey", "hush"));
    conf_print(&table, &c, 0, &b);
    CHECK_STR(
        strbuf_str(&b),
        "brokerName=broker-a\nsecretKey=******\nlongPollingEnable=true\nlistenPort=10911\n"
        "mappedFileSizeCommitLog=1073741824\nratio=0.75\n");
    strbuf_clear(&b);
    conf_print(&table, &c, CONF_IMPORTANT, &b);
    CHECK_STR(strbuf_str(&b), "brokerName=broker-a\nlistenPort=10911\n");
    strbuf_release(&b);
    conf_release(&table, &c);
}

TEST(the_reference_has_a_line_per_key)
{
    struct strbuf b = {0};
    conf_reference(&table, "Sample", &b);
    CHECK_HAS(strbuf_str(&b), "## Sample\n");
    CHECK_HAS(strbuf_str(&b), "| `listenPort` | `10911` | 1..65535 |  | the port |\n");
    CHECK_HAS(strbuf_str(&b), "| `ratio` | `0.75` | 0..1 | ours | a share |\n");
    CHECK_HAS(strbuf_str(&b), "its name \\| really");
    strbuf_release(&b);
}
