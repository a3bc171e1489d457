/*
 * conf - table-driven configuration: load, set, print, document
 *
 * A program's keys are the lines of its config.def; they give the struct member, the key, its
 * default, bounds, flags and documentation.  Everything that walks configuration (file, command
 * line, -p, -m, GET/UPDATE_BROKER_CONFIG, REFERENCE.md) walks that table.
 *
 * Files are java.util.Properties: '#' and '!' comments, '=', ':' or blanks as separator, '\'
 * continuation and escapes.  An unknown key is a warning that names key, file and line; a bad
 * value is an error of the same form.  Values are trimmed.  Both spellings maped/mapped of
 * RocketMQ's keys are taken.
 *
 * Strings are owned by the conf struct (conf_release).  Own thread; changing a live conf is its
 * owner's business (see broker/config.h).
 */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/str.h"

enum conf_type { CONF_STR, CONF_BOOL, CONF_I32, CONF_I64, CONF_F64 };

enum conf_flags {
    CONF_IMPORTANT = 1 << 0, /* shown by -m */
    CONF_DYNAMIC = 1 << 1,   /* may change at run time */
    CONF_SECRET = 1 << 2,    /* printed as ****** */
    CONF_INERT = 1 << 3,     /* taken for compatibility, has no effect here; the doc says why */
    CONF_OURS = 1 << 4,      /* not a key of Apache RocketMQ */
};

typedef struct tl_str conf_STR;
typedef bool conf_BOOL;
typedef int32_t conf_I32;
typedef int64_t conf_I64;
typedef double conf_F64;

struct conf_key {
    const char *key;
    enum conf_type type;
    size_t offset;
    const char *def;
    int64_t min, max; /* of numbers; F64 too, as whole numbers; both 0 = unbounded */
    unsigned flags;
    const char *doc;
};

struct conf_table {
    const struct conf_key *keys;
    size_t n;
};

/* Expands to the initializer of one conf_key of struct S; use inside X(). */
#define CONF_KEY(S, type, member, key, def, min, max, flags, doc) \
    {key, CONF_##type, offsetof(struct S, member), def, min, max, flags, doc},

void conf_defaults(const struct conf_table *t, void *conf);
void conf_release(const struct conf_table *t, void *conf);
/* Deep copy of @src into the uninitialised @dst. */
void conf_copy(const struct conf_table *t, void *dst, const void *src);

const struct conf_key *conf_find(const struct conf_table *t, struct tl_str key); /* NULL if none */
/* 0; TL_ENOTFOUND for an unknown key; TL_EINVAL "listenPort=99999: expected 1..65535". */
int conf_set(const struct conf_table *t, void *conf, struct tl_str key, struct tl_str value);
/* The key's value as text, appended to @out. */
void conf_text(const struct conf_key *k, const void *conf, struct strbuf *out);

/* Called for each key = value of a properties text, both unescaped and trimmed. */
typedef int (*conf_property_cb)(void *arg, struct tl_str key, struct tl_str value, int line);
/* Walk java.util.Properties text.  Stops at the first non-zero answer and returns it. */
int conf_properties(struct tl_str text, conf_property_cb cb, void *arg);

/*
 * Load @path over @conf.  Unknown keys: @warn(arg, "FILE:LINE: unknown key NAME") and go on.
 * 0; TL_EIO when unreadable; TL_EINVAL "FILE:LINE: KEY=VALUE: expected ..." at the first bad one.
 */
int conf_load(const struct conf_table *t, void *conf, const char *path,
              void (*warn)(void *arg, const char *text), void *arg);

/* key=value lines in table order, only keys with a flag of @only (0 = all); secrets masked. */
void conf_print(const struct conf_table *t, const void *conf, unsigned only, struct strbuf *out);
/* The table as Markdown: key, default, bounds, flags, documentation. */
void conf_reference(const struct conf_table *t, const char *title, struct strbuf *out);

#endif
