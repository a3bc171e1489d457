#include <errno.h>
#include <pthread.h>

#include "t.h"

TEST(fail_returns_the_code_and_keeps_the_text)
{
    CHECK_INT(tl_fail(TL_EFORMAT, "segment %s: size %d", "a", 7), TL_EFORMAT);
    CHECK_STR(tl_error_text(), "segment a: size 7");
}

TEST(fail_errno_adds_the_reason)
{
    CHECK_INT(tl_fail_errno(TL_EIO, ENOENT, "opening %s", "x"), TL_EIO);
    CHECK_STR(tl_error_text(), "opening x: No such file or directory");
}

TEST(wrap_puts_a_frame_in_front)
{
    tl_fail(TL_EIO, "inner");
    CHECK_INT(tl_wrap(TL_EIO, "queue %s-%d", "T", 3), TL_EIO);
    CHECK_STR(tl_error_text(), "queue T-3: inner");
}

TEST(arguments_may_point_into_the_recorded_text)
{
    tl_fail(TL_EIO, "inner");
    tl_fail(TL_EIO, "outer of %s", tl_error_text());
    CHECK_STR(tl_error_text(), "outer of inner");
}

TEST(long_text_is_cut_not_overrun)
{
    char big[2000];
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    tl_fail(TL_EIO, "%s", big);
    CHECK_INT(strlen(tl_error_text()), TL_ERROR_TEXT_MAX - 1);
    tl_wrap(TL_EIO, "frame");
    CHECK_INT(strlen(tl_error_text()), TL_ERROR_TEXT_MAX - 1);
    CHECK(strncmp(tl_error_text(), "frame: xxx", 10) == 0);
}

static void *fail_elsewhere(void *arg)
{
    struct tl_error *e = arg;
    tl_error_save(e, tl_fail(TL_ENOTOPIC, "theirs"));
    return NULL;
}

TEST(each_thread_has_its_text_and_errors_cross_by_value)
{
    struct tl_error e;
    pthread_t t;
    tl_fail(TL_EIO, "mine");
    pthread_create(&t, NULL, fail_elsewhere, &e);
    pthread_join(t, NULL);
    CHECK_STR(tl_error_text(), "mine");
    CHECK_INT(tl_error_raise(&e), TL_ENOTOPIC);
    CHECK_STR(tl_error_text(), "theirs");
}

TEST(codes_have_names_texts_and_responses)
{
    CHECK_STR(tl_code_name(TL_EIO), "TL_EIO");
    CHECK_STR(tl_code_text(TL_ENOTOPIC), "no such topic");
    CHECK_INT(tl_code_response(TL_ENOTOPIC), 17);
    CHECK_INT(tl_code_response(TL_OK), 0);
    CHECK_INT(tl_code_response(9999), 1);
    CHECK_STR(tl_code_text(-4), "unknown error");
}
