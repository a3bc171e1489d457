/*
 * message - a stored message as a script sees it
 *
 * One userdata per state, pointed at the message of each call; it holds nothing.  A script that keeps it
 * past the call gets an error.  Fields are decoded from the stored bytes when they are asked for.
 */
#include <stdlib.h>

#include "base/compress.h"
#include "base/err.h"
#include "base/json.h"
#include "proto/flags.h"
#include "proto/msgid.h"
#include "proto/properties.h"
#include "script/vm.h"

enum { BODY_MAX = 4 << 20, JSON_BODY_MAX = 65536, PATH_MAX_PARTS = 32 };

static const char message_type[] = "message";

/* The record of the call under way; an error outside of one. */
static struct script_vm *check(lua_State *L)
{
    struct script_vm *vm = vm_of(L);

    if (!lua_isuserdata(L, 1))
        luaL_error(L, "a message expected: call it as msg:name()");
    if (!vm->message)
        luaL_error(L, "message used after its call");
    if (!vm->decoded) {
        if (record_decode(vm->message->record, vm->message->len, 0, &vm->record) !=
            RECORD_MESSAGE)
            luaL_error(L, "the stored message does not decode");
        vm->decoded = true;
    }
    return vm;
}

static void push_str(lua_State *L, struct tl_str s)
{
    if (s.data)
        lua_pushlstring(L, s.data, s.len);
    else
        lua_pushnil(L);
}

static struct tl_str property(lua_State *L, const struct script_vm *vm, struct tl_str name)
{
    vm_charge(L, 1 + vm->record.properties.len / VM_BYTES_PER_STEP);
    return properties_get(vm->record.properties, name);
}

/* ---- methods ------------------------------------------------------------------------------ */

static int message_prop(lua_State *L)
{
    const struct script_vm *vm = check(L);
    size_t len;
    const char *name = luaL_checklstring(L, 2, &len);

    push_str(L, property(L, vm, tl_str_n(name, len)));
    return 1;
}

static int message_num(lua_State *L)
{
    const struct script_vm *vm = check(L);
    size_t len;
    const char *name = luaL_checklstring(L, 2, &len);
    double d;

    if (tl_str_f64(tl_str_trim(property(L, vm, tl_str_n(name, len))), &d))
        lua_pushnumber(L, d);
    else
        lua_pushnil(L);
    return 1;
}

static int message_props(lua_State *L)
{
    const struct script_vm *vm = check(L);
    struct tl_str name, value;

    lua_newtable(L);
    for (size_t at = 0; properties_next(vm->record.properties, &at, &name, &value);) {
        vm_charge(L, 2);
        lua_pushlstring(L, name.data, name.len);
        lua_pushlstring(L, value.data, value.len);
        lua_rawset(L, -3);
    }
    return 1;
}

/* 0 in the sysFlag means zlib: what old clients use. */
static enum compress_kind compression(int32_t sys_flag)
{
    int kind = (sys_flag & SYS_COMPRESSION_MASK) >> SYS_COMPRESSION_SHIFT;
    return kind ? (enum compress_kind)kind : COMPRESS_ZLIB;
}

/* The plain body; expanded once per call. */
static struct tl_str body(lua_State *L, struct script_vm *vm)
{
    const struct record *r = &vm->record;

    if (!(r->sys_flag & SYS_COMPRESSED))
        return r->body;
    if (!vm->expanded) {
        strbuf_clear(&vm->body);
        if (compress_expand(compression(r->sys_flag), r->body.data, r->body.len, BODY_MAX,
                            &vm->body))
            luaL_error(L, "%s", tl_error_text());
        vm->expanded = true;
        vm_charge(L, vm->body.len / VM_BYTES_PER_STEP);
    }
    return strbuf_str(&vm->body);
}

static int message_body(lua_State *L)
{
    struct script_vm *vm = check(L);
    struct tl_str text = body(L, vm);
    int64_t n = (int64_t)text.len, from = (int64_t)luaL_optnumber(L, 2, 1),
            to = (int64_t)luaL_optnumber(L, 3, -1);

    from = from < 0 ? from + n + 1 : from;
    to = to < 0 ? to + n + 1 : to;
    from = from < 1 ? 1 : from;
    to = to > n ? n : to;
    if (to < from) {
        lua_pushliteral(L, "");
        return 1;
    }
    vm_charge(L, (size_t)(to - from + 1) / VM_BYTES_PER_STEP);
    lua_pushlstring(L, text.data + from - 1, (size_t)(to - from + 1));
    return 1;
}

/* "a.b[0].c": one step down; NULL when there is nothing there. */
static const json_t *step(const json_t *v, struct tl_str part)
{
    int64_t i;

    if (json_is_array(v))
        return tl_str_i64(part, &i) && i >= 0 ? json_array_get(v, (size_t)i) : NULL;
    return json_is_object(v) ? json_object_getn(v, part.data, part.len) : NULL;
}

static const json_t *walk(const json_t *v, struct tl_str path)
{
    const char *at = path.data, *end = path.data + path.len;

    for (int n = 0; v && at < end && n < PATH_MAX_PARTS; n++) {
        const char *from = at;
        while (at < end && *at != '.' && *at != '[' && *at != ']')
            at++;
        if (at > from)
            v = step(v, tl_str_n(from, (size_t)(at - from)));
        if (at < end)
            at++;
    }
    return v;
}

/* json(path): the value in a JSON body; nil when the body is none or has nothing there. */
static int message_json(lua_State *L)
{
    struct script_vm *vm = check(L);
    size_t len;
    const char *path = luaL_optlstring(L, 2, "", &len);

    if (!vm->json) {
        struct tl_str text = body(L, vm);
        if (text.len > JSON_BODY_MAX)
            return luaL_error(L, "msg:json: a body of %d bytes, at most %d", (int)text.len,
                              JSON_BODY_MAX);
        vm_charge(L, text.len / 8);
        vm->json = json_parse(text);
    }
    if (vm->json)
        lib_push_json(L, walk(vm->json, tl_str_n(path, lua_isnoneornil(L, 2) ? 0 : len)));
    else
        lua_pushnil(L);
    return 1;
}

/* ---- fields ------------------------------------------------------------------------------- */

static void get_topic(lua_State *L, const struct script_vm *vm)
{
    push_str(L, vm->record.topic);
}
static void get_tags(lua_State *L, const struct script_vm *vm)
{
    push_str(L, property(L, vm, PROP_TAGS));
}
static void get_keys(lua_State *L, const struct script_vm *vm)
{
    push_str(L, property(L, vm, PROP_KEYS));
}
static void get_msg_id(lua_State *L, const struct script_vm *vm)
{
    push_str(L, property(L, vm, PROP_UNIQ_KEY));
}
static void get_queue_id(lua_State *L, const struct script_vm *vm)
{
    lua_pushinteger(L, vm->record.queue_id);
}
static void get_offset(lua_State *L, const struct script_vm *vm)
{
    lua_pushnumber(L, (lua_Number)vm->message->queue_offset);
}
static void get_born_ms(lua_State *L, const struct script_vm *vm)
{
    lua_pushnumber(L, (lua_Number)vm->record.born_timestamp);
}
static void get_store_ms(lua_State *L, const struct script_vm *vm)
{
    lua_pushnumber(L, (lua_Number)vm->record.store_timestamp);
}
static void get_born_host(lua_State *L, const struct script_vm *vm)
{
    char text[64];
    record_host_text(&vm->record.born_host, text);
    lua_pushstring(L, text);
}
static void get_size(lua_State *L, const struct script_vm *vm)
{
    lua_pushnumber(L, (lua_Number)vm->record.body.len);
}
static void get_reconsume_times(lua_State *L, const struct script_vm *vm)
{
    lua_pushinteger(L, vm->record.reconsume_times);
}
static void get_flag(lua_State *L, const struct script_vm *vm)
{
    lua_pushinteger(L, vm->record.flag);
}

static const struct field_of_message {
    const char *name;
    void (*get)(lua_State *L, const struct script_vm *vm);
    lua_CFunction method;
} members[] = {
    {"topic", get_topic, NULL},
    {"tags", get_tags, NULL},
    {"keys", get_keys, NULL},
    {"msg_id", get_msg_id, NULL},
    {"queue_id", get_queue_id, NULL},
    {"offset", get_offset, NULL},
    {"born_ms", get_born_ms, NULL},
    {"store_ms", get_store_ms, NULL},
    {"born_host", get_born_host, NULL},
    {"size", get_size, NULL},
    {"reconsume_times", get_reconsume_times, NULL},
    {"flag", get_flag, NULL},
    {"prop", NULL, message_prop},
    {"num", NULL, message_num},
    {"props", NULL, message_props},
    {"body", NULL, message_body},
    {"json", NULL, message_json},
};
enum { MEMBERS = sizeof(members) / sizeof(members[0]) };

/* Upvalue 1: name -> method, or -> index of a field. */
static int message_index(lua_State *L)
{
    const struct script_vm *vm = check(L);

    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    if (lua_isnumber(L, -1))
        members[lua_tointeger(L, -1)].get(L, vm);
    else if (lua_isnil(L, -1))
        return luaL_error(L, "a message has no '%s'",
                          lua_tostring(L, 2) ? lua_tostring(L, 2) : "?");
    return 1;
}

static int message_newindex(lua_State *L)
{
    return luaL_error(L, "a message is read-only");
}

static int message_tostring(lua_State *L)
{
    lua_pushstring(L, message_type);
    return 1;
}

void message_open(struct script_vm *vm)
{
    lua_State *L = vm->L;

    lua_newuserdata(L, 1);
    lua_newtable(L);
    lua_newtable(L);
    for (int i = 0; i < MEMBERS; i++) {
        if (members[i].method)
            lua_pushcfunction(L, members[i].method);
        else
            lua_pushinteger(L, i);
        lua_setfield(L, -2, members[i].name);
    }
    lua_pushcclosure(L, message_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, message_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushcfunction(L, message_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushliteral(L, "locked");
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    vm->message_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

void message_begin(struct script_vm *vm, const struct script_message *m)
{
    vm->message = m;
    vm->decoded = false;
}

void message_end(struct script_vm *vm)
{
    vm->message = NULL;
    vm->expanded = false;
    if (vm->json) {
        json_decref(vm->json);
        vm->json = NULL;
    }
    if (vm->body.cap > JSON_BODY_MAX)
        strbuf_release(&vm->body);
}
