/*
 * err (tl_) - error codes and the text that goes with the last one
 *
 * A function that can fail returns 0 or one of the codes of err.def.  The place that knows the
 * details calls tl_fail(), which keeps the text in thread-local storage; callers pass the code
 * up unchanged or put a frame in front with tl_wrap().  One place consumes it: a reply's remark
 * or one log line.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum tl_code {
    TL_OK = 0,
#define X(code, text, response) code,
#include "base/err.def"
#undef X
    TL_ECOUNT
};

enum { TL_ERROR_TEXT_MAX = 512 };

/* A failure that crosses threads is carried by value. */
struct tl_error {
    int code;
    char text[TL_ERROR_TEXT_MAX];
};

/* Record the formatted text (cut at TL_ERROR_TEXT_MAX) for this thread and return @code. */
int tl_fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* As tl_fail(), with ": " and strerror(@err) behind the text. */
int tl_fail_errno(int code, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Put "text: " in front of this thread's recorded text; returns @code. */
int tl_wrap(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The text recorded last on this thread; valid until the next tl_fail()/tl_wrap() here. */
const char *tl_error_text(void);

/* Copy this thread's last failure into @out; tl_error_raise() makes it this thread's again. */
void tl_error_save(struct tl_error *out, int code);
int tl_error_raise(const struct tl_error *e);

const char *tl_code_name(int code);     /* "TL_EIO" */
const char *tl_code_text(int code);     /* "input/output error" */
int tl_code_response(int code);         /* the remoting response code a client sees; 0 for TL_OK */

#endif
