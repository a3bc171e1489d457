#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char error_text[TL_ERROR_TEXT_MAX];

static const struct {
    const char *name, *text;
    int response;
} codes[TL_ECOUNT] = {
    [TL_OK] = {"TL_OK", "ok", 0},
#define X(code, text, response) [code] = {#code, text, response},
#include "base/err.def"
#undef X
};

/* Arguments may point into error_text itself, so format aside and copy. */
static size_t __attribute__((format(printf, 2, 0)))
format(char out[TL_ERROR_TEXT_MAX], const char *fmt, va_list ap)
{
    int n = vsnprintf(out, TL_ERROR_TEXT_MAX, fmt, ap);
    if (n < 0) {
        out[0] = '\0';
        return 0;
    }
    return n < TL_ERROR_TEXT_MAX ? (size_t)n : TL_ERROR_TEXT_MAX - 1;
}

/* Put @tail behind the @len bytes of @text and make that the recorded text. */
static void record(char text[TL_ERROR_TEXT_MAX], size_t len, const char *tail)
{
    size_t n = strlen(tail);
    if (n > TL_ERROR_TEXT_MAX - 1 - len)
        n = TL_ERROR_TEXT_MAX - 1 - len;
    memcpy(text + len, tail, n);
    text[len + n] = '\0';
    memcpy(error_text, text, len + n + 1);
}

int tl_fail(int code, const char *fmt, ...)
{
    char text[TL_ERROR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    size_t n = format(text, fmt, ap);
    va_end(ap);
    record(text, n, "");
    return code;
}

int tl_fail_errno(int code, int err, const char *fmt, ...)
{
    char text[TL_ERROR_TEXT_MAX];
    char why[128];
    char tail[sizeof(why) + 2];
    va_list ap;
    va_start(ap, fmt);
    size_t n = format(text, fmt, ap);
    va_end(ap);
    snprintf(tail, sizeof(tail), ": %s", strerror_r(err, why, sizeof(why)));
    record(text, n, tail);
    return code;
}

int tl_wrap(int code, const char *fmt, ...)
{
    char text[TL_ERROR_TEXT_MAX];
    char inner[TL_ERROR_TEXT_MAX + 2] = ": ";
    memcpy(inner + 2, error_text, sizeof(error_text));
    va_list ap;
    va_start(ap, fmt);
    size_t n = format(text, fmt, ap);
    va_end(ap);
    record(text, n, inner);
    return code;
}

const char *tl_error_text(void)
{
    return error_text;
}

void tl_error_save(struct tl_error *out, int code)
{
    out->code = code;
    memcpy(out->text, error_text, sizeof(out->text));
}

int tl_error_raise(const struct tl_error *e)
{
    memcpy(error_text, e->text, sizeof(error_text));
    return e->code;
}

static int known(int code)
{
    return code >= 0 && code < TL_ECOUNT;
}

const char *tl_code_name(int code)
{
    return known(code) ? codes[code].name : "TL_E?";
}

const char *tl_code_text(int code)
{
    return known(code) ? codes[code].text : "unknown error";
}

int tl_code_response(int code)
{
    return known(code) ? codes[code].response : 1;
}
