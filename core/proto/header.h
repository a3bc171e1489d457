/*
 * header - declarative codec of the ext fields of a command
 *
 * A request or response header is a plain struct plus a table of its fields.  The engine decodes
 * the pairs of either serialization into the struct (strings stay slices of the frame), encodes
 * it back, checks REQUIRED and prints it for the log.  No request parses its own fields.
 *
 * Conversions as RemotingCommand.decodeCommandCustomHeader: booleans are true when the text is
 * "true" in any case, else false.  A number that does not parse counts as absent, but for fields
 * marked NUMBER: those of headers that Java reads with its fast codec (pull, and send in its V2
 * form: by alias).
 *
 * Absence: every optional number has a default given in the table (FIELD_DEF), 0 otherwise; a
 * string is the absent slice; to know whether an optional field came, mark a `uint64_t present`
 * member with HEADER_PRESENT: bit i is set when field i came.
 */
#ifndef PROTO_HEADER_H
#define PROTO_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum field_type { FIELD_STR, FIELD_BOOL, FIELD_I32, FIELD_I64 };
enum field_flags {
    REQUIRED = 1 << 0,  /* @CFNotNull: absence is an error */
    OMIT_ZERO = 1 << 1, /* encoding leaves a zero / false / absent value out */
    NUMBER = 1 << 2,    /* text that is no number is an error */
};

struct field {
    const char *name;  /* key on the wire */
    const char *alias; /* one-letter key of the V2 form, or NULL */
    enum field_type type;
    unsigned flags;
    size_t offset;
    int64_t def; /* value of an absent number or boolean */
};

struct header {
    const char *name; /* for logs and the generated reference */
    size_t size;
    const struct field *fields;
    size_t nfields;
    size_t present_offset; /* of a uint64_t member that takes the presence bits, or SIZE_MAX */
};

/* The C type of the member selects the wire type, so the two cannot disagree. */
/* clang-format off */
#define FIELD_TYPE(S, member)                                             \
    _Generic(((S *)0)->member,                                            \
             struct tl_str: FIELD_STR, bool: FIELD_BOOL,                  \
             int32_t: FIELD_I32, int64_t: FIELD_I64)
#define FIELD(S, member, wire, alias, flags)                              \
    {wire, alias, FIELD_TYPE(S, member), flags, offsetof(S, member), 0}
#define FIELD_DEF(S, member, wire, alias, flags, def)                     \
    {wire, alias, FIELD_TYPE(S, member), flags, offsetof(S, member), def}
#define HEADER(S, table) \
    {#S, sizeof(S), table, sizeof(table) / sizeof((table)[0]), SIZE_MAX}
#define HEADER_PRESENT(S, table) \
    {#S, sizeof(S), table, sizeof(table) / sizeof((table)[0]), offsetof(S, present)}
/* clang-format on */

struct kv {
    struct tl_str key, value;
};

/*
 * Fill @out (h->size bytes) from @n decoded pairs; @aliases: match the one-letter names instead of
 * the long ones.  Returns 0, or TL_EFORMAT "the custom field <NAME> is null" for a missing
 * REQUIRED field (the text Java's checkFields uses), or TL_EFORMAT for a NUMBER that is none.
 */
int header_decode(const struct header *h, const struct kv *kv, size_t n, bool aliases,
                  void *out);

/* For encoders: call @put for each field of @in that is to be written, in table order; numbers
 * are given as text.  Strings that are absent are skipped. */
void header_walk(const struct header *h, const void *in,
                 void (*put)(void *arg, struct tl_str key, struct tl_str value), void *arg);

/* "topic=T queueId=0 ..." for logs, appended to @out; properties and other long values cut. */
void header_print(const struct header *h, const void *in, struct strbuf *out);

#endif
