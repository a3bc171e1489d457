/*
 * str - struct tl_str, a borrowed slice of bytes, and struct strbuf, an owned growing buffer
 *
 * A slice does not end in NUL and is not owned; who owns the bytes is said where it is handed
 * out.  {NULL, 0} is "absent"; a slice with data and length 0 is the empty string.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct tl_str {
    const char *data;
    size_t len;
};

/* printf: "%.*s" with TL_STR_ARG(s) */
#define TL_STR_ARG(s)   (int)(s).len, (s).data ? (s).data : ""
#define TL_STR(literal) ((struct tl_str){"" literal, sizeof(literal) - 1})
#define TL_STR_NONE     ((struct tl_str){NULL, 0})

static inline struct tl_str tl_str_of(const char *cstr)
{
    return (struct tl_str){cstr, cstr ? strlen(cstr) : 0};
}

static inline struct tl_str tl_str_n(const void *data, size_t len)
{
    return (struct tl_str){(const char *)data, len};
}

static inline bool tl_str_eq(struct tl_str a, struct tl_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool tl_str_is(struct tl_str a, const char *cstr)
{
    return tl_str_eq(a, tl_str_of(cstr));
}

static inline bool tl_str_starts(struct tl_str s, struct tl_str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.data, prefix.data, prefix.len) == 0);
}

bool tl_str_eq_nocase(struct tl_str a, struct tl_str b); /* ASCII */
int tl_str_cmp(struct tl_str a, struct tl_str b);        /* bytewise, as strcmp */
struct tl_str tl_str_trim(struct tl_str s);              /* blanks, tabs, CR, LF at both ends */

/*
 * Cut @s at the first @sep: returns what stands before it and moves @s behind it.  When there is
 * no @sep, returns all and makes @s absent, so that `while (s.data)` walks the pieces.
 */
struct tl_str tl_str_cut(struct tl_str *s, char sep);

/* Decimal, optional sign, nothing else around it; false on anything else or out of range. */
bool tl_str_i64(struct tl_str s, int64_t *out);
bool tl_str_i32(struct tl_str s, int32_t *out);
bool tl_str_f64(struct tl_str s, double *out);

/* ---- owned buffer ------------------------------------------------------------------------ */

struct strbuf {
    char *data; /* NUL behind len when not NULL */
    size_t len, cap;
};

void strbuf_init(struct strbuf *b);
void strbuf_release(struct strbuf *b);
static inline void strbuf_clear(struct strbuf *b)
{
    b->len = 0;
}
/* Room for @n more bytes behind len; returns where they go.  strbuf_commit() adds them. */
char *strbuf_reserve(struct strbuf *b, size_t n);
void strbuf_commit(struct strbuf *b, size_t n);
void strbuf_add(struct strbuf *b, const void *data, size_t len);
void strbuf_addstr(struct strbuf *b, struct tl_str s);
void strbuf_addz(struct strbuf *b, const char *cstr);
void strbuf_addc(struct strbuf *b, char c);
void strbuf_addi(struct strbuf *b, int64_t n); /* decimal */
void strbuf_printf(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Give the bytes away (malloc'ed, NUL behind them; never NULL) and become empty. */
char *strbuf_detach(struct strbuf *b, size_t *len);
static inline struct tl_str strbuf_str(const struct strbuf *b)
{
    return tl_str_n(b->data ? b->data : "", b->len);
}

/*
 * The code point of the well-formed UTF-8 sequence that @data starts with into *cp; returns its
 * length, 0 when it is not well-formed (surrogates and overlong forms are not).  @left >= 1.
 */
size_t tl_utf8_decode(const void *data, size_t left, uint32_t *cp);
/* Append @cp, which is at most 0x10ffff, as UTF-8. */
void strbuf_add_utf8(struct strbuf *b, uint32_t cp);

/* Decimal digits of @n into @out (no NUL); returns how many, at most 20. */
size_t tl_i64_text(int64_t n, char out[20]);

#endif
