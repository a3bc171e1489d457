/*
 * properties (PROP_) - name 0x01 value 0x02 ... over slices
 *
 * As MessageDecoder.string2messageProperties: a missing last 0x02 is fine; entries without 0x01,
 * with an empty name or an empty value are skipped; only the first 0x01 splits.
 * properties.def: X(SYMBOL, "WIRE NAME", "doc") gives PROP_SYMBOL as a struct tl_str constant.
 */
#ifndef PROTO_PROPERTIES_H
#define PROTO_PROPERTIES_H

#include <stdbool.h>

#include "base/str.h"

/* clang-format off */
#define X(symbol, wire, doc) extern const struct tl_str PROP_##symbol;
#include "proto/properties.def"
#undef X
/* clang-format on */

/* Walk: returns false at the end.  Start with *at = 0. */
bool properties_next(struct tl_str text, size_t *at, struct tl_str *name, struct tl_str *value);
/* The value of @name, or the absent slice.  The last of several wins, as in Java's map. */
struct tl_str properties_get(struct tl_str text, struct tl_str name);
/* Write "name 0x01 value 0x02" at @p; returns the place behind. */
char *properties_put(char *p, struct tl_str name, struct tl_str value);
/* Copy @text to @p, at most a byte longer, but for the @n names in @but; returns the place behind. */
char *properties_put_but(char *p, struct tl_str text, const struct tl_str *const *but, size_t n);
void properties_add(struct strbuf *out, struct tl_str name, struct tl_str value);

#endif
