/*
 * t - unit tests on cmocka
 *
 * TEST(a_sentence) { ... } registers itself; main() in t.c runs all of them as one group.  A
 * program takes an optional pattern ("*offset*") that picks tests by name.  CHECK and its kin end
 * the test at the first failure; from another thread than the test's they end the process.
 */
#ifndef T_H
#define T_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"

/* clang-format off */
#define TEST(name)                                                          \
    static void t_test_##name(void);                                        \
    __attribute__((constructor)) static void t_register_##name(void)        \
    {                                                                       \
        t_register(#name, t_test_##name);                                   \
    }                                                                       \
    static void t_test_##name(void)
/* clang-format on */

#define CHECK(cond) ((cond) ? (void)0 : t_check_failed(__FILE__, __LINE__, #cond))
/* Both integers; shows them when they differ. */
#define CHECK_INT(got, want) \
    t_check_int(__FILE__, __LINE__, #got, (int64_t)(got), (int64_t)(want))
/* A slice, or text ending in NUL, against text ending in NUL. */
#define CHECK_STR(got, want) t_check_str(__FILE__, __LINE__, #got, T_STR(got), want)
/* Text that stands somewhere in a slice or in text ending in NUL. */
#define CHECK_HAS(got, part) t_check_has(__FILE__, __LINE__, #got, T_STR(got), part)
/* A call that must return 0; shows code and error text when it does not. */
#define CHECK_OK(call)       t_check_ok(__FILE__, __LINE__, #call, (call))

#define T_STR(s) _Generic((s), struct tl_str : t_str_self, default : t_str_of)(s)

static inline struct tl_str t_str_self(struct tl_str s)
{
    return s;
}

static inline struct tl_str t_str_of(const char *s)
{
    return tl_str_of(s);
}

/* A fresh folder; removed at exit when every test passed.  Owned by the harness. */
const char *t_tmpdir(void);
/* @dir/@name; owned by the harness. */
const char *t_path(const char *dir, const char *name);
/* The text of this thread's last failure. */
const char *t_error(void);

void t_register(const char *name, void (*fn)(void));
void t_check_failed(const char *file, int line, const char *text) __attribute__((noreturn));
void t_check_int(const char *file, int line, const char *text, int64_t got, int64_t want);
void t_check_str(const char *file, int line, const char *text, struct tl_str got,
                 const char *want);
void t_check_has(const char *file, int line, const char *text, struct tl_str got,
                 const char *part);
void t_check_ok(const char *file, int line, const char *text, int rc);

#endif
