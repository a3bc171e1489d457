/*
 * json - jansson with the habits of RocketMQ's fastjson
 *
 * Reading (json_parse) accepts what fastjson writes and takes beyond strict JSON: unquoted integer
 * keys ({0:5}), keys that are bare JSON objects ({{"brokerName":"b",...}:5}: the key becomes the
 * object's compact text), trailing commas, single-quoted strings, unquoted names.  Nesting is
 * limited to JSON_DEPTH_MAX.  Getters tolerate numbers as strings, strings as numbers, missing and
 * null members.  Writing sorts keys and leaves no blanks, as Java's RemotingSerializable does.
 * Any thread; values are jansson's (reference counted, one thread at a time).
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum { JSON_DEPTH_MAX = 64 };

/* Owned value, or NULL with tl_fail(TL_EFORMAT) naming the byte position. */
json_t *json_parse(struct tl_str text);

/* Members of object @o; the default when absent, null or of a type that can't be converted. */
int64_t json_get_i64(const json_t *o, const char *key, int64_t def);
int32_t json_get_i32(const json_t *o, const char *key, int32_t def);
bool json_get_bool(const json_t *o, const char *key, bool def);
double json_get_f64(const json_t *o, const char *key, double def);
/* Borrowed; absent slice when missing.  A number's text is not made: use json_get_i64. */
struct tl_str json_get_str(const json_t *o, const char *key);
/* Enum by name or ordinal (as number or quoted): index into @names, or @def. */
int json_get_enum(const json_t *o, const char *key, const char *const *names, int n, int def);
const json_t *json_get_object(const json_t *o, const char *key); /* NULL unless an object */
const json_t *json_get_array(const json_t *o, const char *key);  /* NULL unless an array */
int64_t json_as_i64(const json_t *v, int64_t def);

/* Add members; TL_STR_NONE adds nothing. */
void json_set_str(json_t *o, const char *key, struct tl_str s);
void json_set_i64(json_t *o, const char *key, int64_t n);
void json_set_bool(json_t *o, const char *key, bool b);
void json_set_f64(json_t *o, const char *key, double d);

/* Compact text, keys sorted, appended to @out.  Integer keys stay quoted. */
void json_write(const json_t *v, struct strbuf *out);
/* As json_write, but keys that are decimal integers or JSON objects are written without quotes,
 * the form Java's fastjson writes and Go's parsers of such bodies need. */
void json_write_fastjson(const json_t *v, struct strbuf *out);
/* Indented with tabs, keys sorted, "key":value, integer keys bare: the form of the files of config/. */
void json_write_pretty(const json_t *v, struct strbuf *out);

/* One string with its quotes, escaped as JSON, appended to @out (invalid UTF-8 becomes U+FFFD). */
void json_write_string(struct strbuf *out, struct tl_str s);

#endif
