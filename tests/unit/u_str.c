#include <stdlib.h>

#include "t.h"

TEST(cut_walks_the_pieces)
{
    struct tl_str s = TL_STR("a;;b");
    CHECK_STR(tl_str_cut(&s, ';'), "a");
    CHECK_STR(tl_str_cut(&s, ';'), "");
    CHECK_STR(tl_str_cut(&s, ';'), "b");
    CHECK(!s.data);
}

TEST(cut_of_a_trailing_separator_gives_an_empty_last_piece)
{
    struct tl_str s = TL_STR("a;");
    CHECK_STR(tl_str_cut(&s, ';'), "a");
    CHECK(s.data);
    CHECK_STR(tl_str_cut(&s, ';'), "");
    CHECK(!s.data);
}

TEST(absent_and_empty_differ_but_compare_equal)
{
    CHECK(tl_str_eq(TL_STR_NONE, TL_STR("")));
    CHECK(!TL_STR_NONE.data);
    CHECK(TL_STR("").data);
}

TEST(comparison_is_bytewise)
{
    CHECK(tl_str_cmp(TL_STR("a"), TL_STR("b")) < 0);
    CHECK(tl_str_cmp(TL_STR("ab"), TL_STR("a")) > 0);
    CHECK(tl_str_cmp(TL_STR("\xc3"), TL_STR("z")) > 0);
    CHECK_INT(tl_str_cmp(TL_STR("a"), TL_STR("a")), 0);
    CHECK(tl_str_eq_nocase(TL_STR("TrUe"), TL_STR("true")));
    CHECK(!tl_str_eq_nocase(TL_STR("[a"), TL_STR("{a")));
    CHECK(tl_str_starts(TL_STR("%RETRY%g"), TL_STR("%RETRY%")));
    CHECK(!tl_str_starts(TL_STR("%R"), TL_STR("%RETRY%")));
}

TEST(trim_takes_blanks_at_both_ends)
{
    CHECK_STR(tl_str_trim(TL_STR(" \t a b\r\n")), "a b");
    CHECK_STR(tl_str_trim(TL_STR(" \n ")), "");
}

static bool i64_of(const char *text, int64_t *out)
{
    return tl_str_i64(tl_str_of(text), out);
}

TEST(integers_are_read_to_their_limits_and_no_further)
{
    int64_t n = 0;
    CHECK(i64_of("9223372036854775807", &n) && n == INT64_MAX);
    CHECK(i64_of("-9223372036854775808", &n) && n == INT64_MIN);
    CHECK(!i64_of("9223372036854775808", &n));
    CHECK(!i64_of("-9223372036854775809", &n));
    CHECK(i64_of("+12", &n) && n == 12);
    CHECK(i64_of("007", &n) && n == 7);
    CHECK(!i64_of("", &n));
    CHECK(!i64_of("-", &n));
    CHECK(!i64_of("1 ", &n));
    CHECK(!i64_of("0x1", &n));
    int32_t m = 0;
    CHECK(tl_str_i32(TL_STR("-2147483648"), &m) && m == INT32_MIN);
    CHECK(!tl_str_i32(TL_STR("2147483648"), &m));
}

TEST(decimal_fractions_are_read)
{
    double d = 0;
    CHECK(tl_str_f64(TL_STR("0.75"), &d) && d == 0.75);
    CHECK(tl_str_f64(TL_STR("-1e3"), &d) && d == -1000);
    CHECK(!tl_str_f64(TL_STR("inf"), &d));
    CHECK(!tl_str_f64(TL_STR("1.5x"), &d));
    CHECK(!tl_str_f64(TL_STR("1e999"), &d));
    CHECK(!tl_str_f64(TL_STR(""), &d));
}

TEST(integers_are_written_as_printf_does)
{
    char out[20];
    CHECK_STR(tl_str_n(out, tl_i64_text(0, out)), "0");
    CHECK_STR(tl_str_n(out, tl_i64_text(-15, out)), "-15");
    CHECK_STR(tl_str_n(out, tl_i64_text(INT64_MIN, out)), "-9223372036854775808");
    CHECK_STR(tl_str_n(out, tl_i64_text(INT64_MAX, out)), "9223372036854775807");
}

TEST(a_buffer_grows_and_stays_terminated)
{
    struct strbuf b;
    strbuf_init(&b);
    for (int i = 0; i < 1000; i++)
        strbuf_printf(&b, "%d,", i);
    CHECK_INT(b.len, 10 * 2 + 90 * 3 + 900 * 4);
    CHECK_INT(b.data[b.len], 0);
    CHECK_INT(strlen(b.data), b.len);
    strbuf_clear(&b);
    strbuf_addz(&b, "a");
    strbuf_addc(&b, '=');
    strbuf_addi(&b, -7);
    strbuf_addstr(&b, TL_STR_NONE);
    CHECK_STR(strbuf_str(&b), "a=-7");
    strbuf_release(&b);
}

TEST(long_printed_text_is_whole)
{
    struct strbuf b = {0};
    strbuf_addc(&b, 'x');
    strbuf_printf(&b, "%0300d", 5);
    CHECK_INT(b.len, 301);
    CHECK_INT(b.data[300], '5');
    strbuf_release(&b);
}

TEST(detach_gives_the_bytes_away_even_when_empty)
{
    struct strbuf b = {0};
    size_t len = 9;
    char *p = strbuf_detach(&b, &len);
    CHECK_STR(p, "");
    CHECK_INT(len, 0);
    free(p);
    strbuf_addz(&b, "abc");
    p = strbuf_detach(&b, &len);
    CHECK_STR(p, "abc");
    CHECK(!b.data);
    CHECK_STR(strbuf_str(&b), "");
    free(p);
}

static size_t decode(const char *text, uint32_t *cp)
{
    return tl_utf8_decode(text, strlen(text), cp);
}

TEST(utf8_is_decoded_strictly)
{
    uint32_t cp = 0;
    CHECK(decode("a", &cp) == 1 && cp == 'a');
    CHECK(decode("\xc3\xa9", &cp) == 2 && cp == 0xe9);
    CHECK(decode("\xe4\xb8\xad", &cp) == 3 && cp == 0x4e2d);
    CHECK(decode("\xf0\x9f\x98\x80", &cp) == 4 && cp == 0x1f600);
    CHECK_INT(decode("\x80", &cp), 0);             /* continuation alone */
    CHECK_INT(decode("\xc3", &cp), 0);             /* cut short */
    CHECK_INT(decode("\xc0\xaf", &cp), 0);         /* overlong */
    CHECK_INT(decode("\xed\xa0\x80", &cp), 0);     /* surrogate */
    CHECK_INT(decode("\xf4\x90\x80\x80", &cp), 0); /* beyond Unicode */
    CHECK_INT(decode("\xff", &cp), 0);
}

TEST(utf8_is_written_as_it_is_read)
{
    struct strbuf b = {0};
    static const uint32_t points[] = {0x41, 0x7ff, 0x800, 0xffff, 0x10000, 0x10ffff};
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        uint32_t cp = 0;
        strbuf_clear(&b);
        strbuf_add_utf8(&b, points[i]);
        CHECK_INT(tl_utf8_decode(b.data, b.len, &cp), b.len);
        CHECK_INT(cp, points[i]);
    }
    strbuf_release(&b);
}
