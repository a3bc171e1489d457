#include "script/pattern.h"

#include <stdio.h>

#include "t.h"

/* "from-to" of the first match, then "[capture]"s; "miss", "over" or the error's text. */
static const char *found(const char *subject, const char *pattern)
{
    static char out[256];
    struct pattern_match m;
    struct pattern p;
    int64_t steps = 100000;

    if (pattern_compile(tl_str_of(pattern), &p))
        return tl_error_text();
    enum pattern_result r = pattern_find(&p, tl_str_of(subject), 0, &steps, &m);
    if (r != PATTERN_HIT)
        return r == PATTERN_OVER ? "over" : "miss";
    int n = snprintf(out, sizeof(out), "%zu-%zu", m.from, m.to);
    for (int i = 0; i < m.captures_count; i++) {
        if (m.captures[i].len < 0)
            n += snprintf(out + n, sizeof(out) - (size_t)n, "[@%zu]", m.captures[i].from);
        else
            n += snprintf(out + n, sizeof(out) - (size_t)n, "[%.*s]", (int)m.captures[i].len,
                          subject + m.captures[i].from);
    }
    return out;
}

TEST(classes_sets_and_quantifiers_match_as_in_lua)
{
    CHECK_STR(found("order-0042!", "%d+"), "6-10");
    CHECK_STR(found("order-0042!", "[^%a-]+"), "6-11");
    CHECK_STR(found("aaab", "a-b"), "0-4");
    CHECK_STR(found("color colour", "colou?r"), "0-5");
    CHECK_STR(found("x", "^y*"), "0-0");
    CHECK_STR(found("a]b", "[]]"), "1-2");
    CHECK_STR(found("a-b", "[a%-]+b"), "0-3");
    CHECK_STR(found("abc", "c$"), "2-3");
    CHECK_STR(found("abcd", "c$"), "miss");
    CHECK_STR(found("a$c", "$c"), "1-3");
}

TEST(captures_balance_frontier_and_back_references_match_as_in_lua)
{
    CHECK_STR(found("key = value", "(%w+)%s*=%s*(%w+)"), "0-11[key][value]");
    CHECK_STR(found("hello", "()ll()"), "2-4[@2][@4]");
    CHECK_STR(found("f(a(b)c)d", "%b()"), "1-8");
    CHECK_STR(found("THE (quick) fox", "%f[%a]%a+%f[%A]"), "0-3");
    CHECK_STR(found("say 'it' now", "(['\"])(.-)%1"), "4-8['][it]");
    CHECK_STR(found("abcabc", "((a)(b))c"), "0-3[ab][a][b]");
}

TEST(a_malformed_pattern_is_refused_with_its_place)
{
    CHECK_HAS(found("x", "[a"), "[ without its ]");
    CHECK_HAS(found("x", "(a"), "( without its )");
    CHECK_HAS(found("x", "a)"), ") without its (");
    CHECK_HAS(found("x", "a%"), "% at the end");
    CHECK_HAS(found("x", "%1"), "not complete");
    CHECK_HAS(found("x", "(a%1)"), "not complete");
    CHECK_HAS(found("x", "%bx"), "%b needs two");
    CHECK_HAS(found("x", "%fa"), "%f needs a set");
}

TEST(a_pattern_that_explodes_gives_up_at_its_step_limit)
{
    CHECK_STR(found("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "a*a*a*a*a*a*a*a*a*a*a*b"),
              "over");
    CHECK_STR(found("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "a-a-a-a-a-a-a-a-a-a-a-b"),
              "over");
}

static bool matches(const char *text, const char *pattern)
{
    int64_t steps = 10000;
    return pattern_wildcard(tl_str_of(pattern), tl_str_of(text), &steps) == PATTERN_HIT;
}

TEST(wildcards_match_the_whole_text)
{
    CHECK(matches("", "") && matches("", "*") && !matches("", "?"));
    CHECK(matches("night-2", "night*") && !matches("a night", "night*"));
    CHECK(matches("abcbc", "a*bc") && matches("abc", "a?c") && !matches("abbc", "a?c"));
    CHECK(matches("v7", "v[0-9]") && !matches("vx", "v[0-9]") && matches("vx", "v[!0-9]"));
    CHECK(matches("a*b", "a\\*b") && !matches("axb", "a\\*b"));
    CHECK(matches("a[b", "a[b") && !matches("ab", "abc"));
}

TEST(wildcards_take_no_more_steps_than_text_times_pattern)
{
    char text[1001], pattern[101];
    int64_t steps = 1000 * 100 + 1000;

    memset(text, 'a', 1000);
    memset(pattern, 0, sizeof(pattern));
    text[1000] = '\0';
    for (int i = 0; i < 98; i += 2)
        memcpy(pattern + i, "*a", 2);
    pattern[98] = 'b';
    CHECK_INT(pattern_wildcard(tl_str_of(pattern), tl_str_of(text), &steps), PATTERN_MISS);
}
