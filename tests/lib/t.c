#include "t.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"

enum { TESTS_MAX = 512, SECONDS_MAX = 300 };

static struct CMUnitTest tests[TESTS_MAX];
static int n_tests;
static pthread_t test_thread;

/* What the harness handed out, freed at the end. */
struct owned {
    struct owned *next;
    bool is_dir;
    char path[];
};

static struct owned *all_owned;

void t_register(const char *name, void (*fn)(void))
{
    if (n_tests == TESTS_MAX)
        abort();
    tests[n_tests].name = name;
    tests[n_tests].initial_state = (void *)fn;
    n_tests++;
}

static void run_one(void **state)
{
    void (*fn)(void) = (void (*)(void)) * state;
    fn();
}

void t_check_failed(const char *file, int line, const char *text)
{
    if (!pthread_equal(pthread_self(), test_thread)) {
        fprintf(stderr, "%s:%d: %s (on another thread)\n", file, line, text);
        abort();
    }
    print_error("failed: %s\n", text);
    _fail(file, line);
    abort(); /* _fail does not return */
}

static void __attribute__((format(printf, 3, 4), noreturn))
failed(const char *file, int line, const char *fmt, ...)
{
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    t_check_failed(file, line, text);
}

void t_check_int(const char *file, int line, const char *text, int64_t got, int64_t want)
{
    if (got != want)
        failed(file, line, "%s is %" PRId64 ", expected %" PRId64, text, got, want);
}

void t_check_str(const char *file, int line, const char *text, struct tl_str got,
                 const char *want)
{
    if (!got.data || !tl_str_is(got, want))
        failed(file, line, "%s is \"%.*s\"%s, expected \"%s\"", text, TL_STR_ARG(got),
               got.data ? "" : " (absent)", want);
}

void t_check_has(const char *file, int line, const char *text, struct tl_str got,
                 const char *part)
{
    if (!got.data || !memmem(got.data, got.len, part, strlen(part)))
        failed(file, line, "%s is \"%.*s\", expected \"%s\" in it", text, TL_STR_ARG(got),
               part);
}

void t_check_ok(const char *file, int line, const char *text, int rc)
{
    if (rc)
        failed(file, line, "%s is %s: %s", text, tl_code_name(rc), tl_error_text());
}

static const char *own(char *path, bool is_dir)
{
    size_t n = strlen(path) + 1;
    struct owned *o = xmalloc(sizeof(*o) + n);
    memcpy(o->path, path, n);
    free(path);
    o->is_dir = is_dir;
    o->next = all_owned;
    all_owned = o;
    return o->path;
}

const char *t_tmpdir(void)
{
    const char *base = getenv("TMPDIR");
    char *path = xasprintf("%s/tl-%s-XXXXXX", base && *base ? base : "/tmp",
                           program_invocation_short_name);
    if (!mkdtemp(path)) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        abort();
    }
    return own(path, true);
}

const char *t_path(const char *dir, const char *name)
{
    return own(xasprintf("%s/%s", dir, name), false);
}

const char *t_error(void)
{
    return tl_error_text();
}

static void drop_owned(bool remove_dirs)
{
    while (all_owned) {
        struct owned *o = all_owned;
        all_owned = o->next;
        if (o->is_dir && remove_dirs)
            fs_remove_tree(o->path);
        free(o);
    }
}

int main(int argc, char **argv)
{
    test_thread = pthread_self();
    for (int i = 0; i < n_tests; i++)
        tests[i].test_func = run_one;
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    alarm(SECONDS_MAX);
    int failures = _cmocka_run_group_tests(program_invocation_short_name, tests,
                                           (size_t)n_tests, NULL, NULL);
    drop_owned(failures == 0);
    return failures;
}
