/*
 * jsonlua - JSON text to Lua values and back, bounded
 *
 * Strict RFC 8259 over a byte slice: one pass, no tree in between, nesting limited to
 * JSONLUA_DEPTH_MAX, every byte looked at billed to the running call.  null inside a table is
 * mq.json.null (a light userdata).  All of it raises Lua errors for limits; malformed text is
 * reported by the return value.
 */
#ifndef SCRIPT_JSONLUA_H
#define SCRIPT_JSONLUA_H

#include <lua.h>
#include <stdbool.h>

#include "base/str.h"

enum { JSONLUA_DEPTH_MAX = 32 };

/* Push the value of @text; false with a text pushed instead when it is malformed. */
bool jsonlua_push(lua_State *L, struct tl_str text);
/*
 * Push the value that @path ("a.b[0].c", absent = the whole) names, nil when there is none; the text is read up
 * to there and not checked behind.  False with a text pushed instead when it is malformed.  Raises
 * for a malformed path.
 */
bool jsonlua_push_path(lua_State *L, struct tl_str text, struct tl_str path);
/* Append the JSON of the value at @index; raises for what has no JSON. */
void jsonlua_write(lua_State *L, int index, struct strbuf *out);
void jsonlua_push_null(lua_State *L);

#endif
