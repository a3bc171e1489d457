/*
 * The message view: one userdata per state, pointed at the vm's message for the length of a call.
 * Its __index finds the name in a table (upvalue 1): a number is a field made here, a function a method.
 */
#include "base/compress.h"
#include "proto/flags.h"
#include "proto/msgid.h"
#include "proto/properties.h"
#include "script/jsonlua.h"
#include "script/sandbox.h"
#include "script/vm.h"

enum {
    COPIED_PER_INSTRUCTION =
        256, /* bytes copied into a string for the price of an instruction */
    EXPANDED_PER_INSTRUCTION = 32, /* bytes decompressed */
    PROPERTY_COST = 8,             /* instructions per property of props() */
};

enum field {
    FIELD_TOPIC = 1,
    FIELD_TAGS,
    FIELD_KEYS,
    FIELD_MSG_ID,
    FIELD_QUEUE_ID,
    FIELD_OFFSET,
    FIELD_BORN_MS,
    FIELD_STORE_MS,
    FIELD_BORN_HOST,
    FIELD_SIZE,
    FIELD_RECONSUME_TIMES,
    FIELD_FLAG
};

static const struct {
    const char *name;
    enum field field;
} fields[] = {
    {"topic", FIELD_TOPIC},
    {"tags", FIELD_TAGS},
    {"keys", FIELD_KEYS},
    {"msg_id", FIELD_MSG_ID},
    {"queue_id", FIELD_QUEUE_ID},
    {"offset", FIELD_OFFSET},
    {"born_ms", FIELD_BORN_MS},
    {"store_ms", FIELD_STORE_MS},
    {"born_host", FIELD_BORN_HOST},
    {"size", FIELD_SIZE},
    {"reconsume_times", FIELD_RECONSUME_TIMES},
    {"flag", FIELD_FLAG},
};

/* The vm's message, decoded; raises when there is no call or the record is damaged. */
static struct vm_message *message_of(lua_State *L)
{
    struct vm_message *m = &vm_of(L)->message;

    if (!m->m.record)
        luaL_error(L, "message used after its call");
    if (!m->decoded) {
        if (record_decode(m->m.record, m->m.len, 0, &m->record) != RECORD_MESSAGE)
            luaL_error(L, "message can't be decoded: %s", tl_error_text());
        m->decoded = true;
    }
    return m;
}

/* As message_of() for methods, whose first argument may be anything. */
static struct vm_message *self_of(lua_State *L)
{
    if (lua_touserdata(L, 1) != lua_touserdata(L, lua_upvalueindex(1)))
        luaL_error(L, "call methods of a message with a colon: msg:prop(...)");
    return message_of(L);
}

static int push_str(lua_State *L, struct tl_str s)
{
    if (s.data)
        lua_pushlstring(L, s.data, s.len);
    else
        lua_pushnil(L);
    return 1;
}

/* As clients see it: the sender's unique key, else the id made of store host and log position. */
static int push_msg_id(lua_State *L, const struct record *r)
{
    struct tl_str unique = properties_get(r->properties, PROP_UNIQ_KEY);
    char text[MSGID_MAX];

    if (unique.data)
        return push_str(L, unique);
    return push_str(L, tl_str_n(text, msgid_offset_text(&r->store_host, r->log_pos, text)));
}

static int push_host(lua_State *L, const struct record_host *host)
{
    char text[64];

    record_host_text(host, text);
    lua_pushstring(L, text);
    return 1;
}

static int push_number(lua_State *L, int64_t n)
{
    lua_pushnumber(L, (lua_Number)n);
    return 1;
}

static int push_field(lua_State *L, const struct vm_message *m, enum field field)
{
    const struct record *r = &m->record;

    switch (field) {
    case FIELD_TOPIC: return push_str(L, r->topic);
    case FIELD_TAGS: return push_str(L, properties_get(r->properties, PROP_TAGS));
    case FIELD_KEYS: return push_str(L, properties_get(r->properties, PROP_KEYS));
    case FIELD_MSG_ID: return push_msg_id(L, r);
    case FIELD_QUEUE_ID: return push_number(L, r->queue_id);
    case FIELD_OFFSET: return push_number(L, m->m.queue_offset);
    case FIELD_BORN_MS: return push_number(L, r->born_timestamp);
    case FIELD_STORE_MS: return push_number(L, r->store_timestamp);
    case FIELD_BORN_HOST: return push_host(L, &r->born_host);
    case FIELD_SIZE: return push_number(L, r->size);
    case FIELD_RECONSUME_TIMES: return push_number(L, r->reconsume_times);
    case FIELD_FLAG: return push_number(L, r->flag);
    }
    return 0;
}

static int view_index(lua_State *L)
{
    lua_settop(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    switch (lua_type(L, -1)) {
    case LUA_TNUMBER: return push_field(L, message_of(L), (enum field)lua_tointeger(L, -1));
    case LUA_TFUNCTION: return 1;
    default: return luaL_error(L, "a message has no such field or method");
    }
}

static int view_newindex(lua_State *L)
{
    return luaL_error(L, "a message is read-only");
}

static int view_tostring(lua_State *L)
{
    lua_pushliteral(L, "message");
    return 1;
}

/* ---- methods ------------------------------------------------------------------------------ */

static int view_prop(lua_State *L)
{
    struct vm_message *m = self_of(L);
    size_t len;
    const char *name = luaL_checklstring(L, 2, &len);

    return push_str(L, properties_get(m->record.properties, tl_str_n(name, len)));
}

/* Plain digits are most of what there is. */
static bool small_integer(struct tl_str s, double *out)
{
    int64_t n = 0;

    if (!s.len || s.len > 15)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
        n = n * 10 + (s.data[i] - '0');
    }
    *out = (double)n;
    return true;
}

static int view_num(lua_State *L)
{
    struct vm_message *m = self_of(L);
    size_t len;
    const char *name = luaL_checklstring(L, 2, &len);
    struct tl_str value = properties_get(m->record.properties, tl_str_n(name, len));
    double n;

    if (small_integer(value, &n) || tl_str_f64(value, &n))
        lua_pushnumber(L, n);
    else
        lua_pushnil(L);
    return 1;
}

static int view_props(lua_State *L)
{
    struct vm_message *m = self_of(L);
    struct tl_str name, value;

    lua_newtable(L);
    for (size_t at = 0; properties_next(m->record.properties, &at, &name, &value);) {
        vm_charge(L, PROPERTY_COST);
        push_str(L, name);
        push_str(L, value);
        lua_rawset(L, -3);
    }
    return 1;
}

/* Expand a compressed body, no further than the call could pay for. */
static void expand(lua_State *L, struct vm_message *m)
{
    struct script_vm *vm = vm_of(L);
    int kind = (m->record.sys_flag & SYS_COMPRESSION_MASK) >> SYS_COMPRESSION_SHIFT;
    int64_t affordable = (vm_left(vm) + 1) * EXPANDED_PER_INSTRUCTION;
    size_t max = affordable < VM_BODY_MAX ? (size_t)affordable : VM_BODY_MAX;

    strbuf_clear(&m->plain);
    /* no kind in sysFlag: a producer older than the choice, which is zlib */
    int rc = compress_expand(kind ? (enum compress_kind)kind : COMPRESS_ZLIB,
                             m->record.body.data, m->record.body.len, max, &m->plain);
    if (rc == TL_ELIMIT && max < VM_BODY_MAX)
        vm_charge(L, vm_left(vm) + 1); /* stops the call */
    if (rc)
        luaL_error(L, "message body: %s", tl_error_text());
    m->expanded = true;
    vm_charge(L, (int64_t)m->plain.len / EXPANDED_PER_INSTRUCTION);
}

static struct tl_str body_of(lua_State *L, struct vm_message *m)
{
    if (!(m->record.sys_flag & SYS_COMPRESSED))
        return m->record.body;
    if (!m->expanded)
        expand(L, m);
    return strbuf_str(&m->plain);
}

/* Positions as of string.sub: from 1, negative ones from the end, both included. */
static int view_body(lua_State *L)
{
    struct vm_message *m = self_of(L);
    struct tl_str body = body_of(L, m);
    lua_Number len = (lua_Number)body.len;
    lua_Number first = luaL_optnumber(L, 2, 1), last = luaL_optnumber(L, 3, -1);

    if (first < 0)
        first = first + len + 1;
    if (last < 0)
        last = last + len + 1;
    if (!(first >= 1))
        first = 1;
    if (last > len)
        last = len;
    if (!(first <= last)) {
        lua_pushliteral(L, "");
        return 1;
    }
    size_t from = (size_t)first - 1, n = (size_t)last - from;
    if (n > VM_BODY_MAX)
        return luaL_error(L, "msg:body: %d bytes asked for, the limit is %d", (int)n,
                          VM_BODY_MAX);
    vm_charge(L, (int64_t)(n / COPIED_PER_INSTRUCTION));
    lua_pushlstring(L, body.data + from, n);
    return 1;
}

/* The value, or nil and why: a body that is not JSON is no mistake of the script. */
static int view_json(lua_State *L)
{
    struct vm_message *m = self_of(L);
    size_t len;
    const char *path = luaL_optlstring(L, 2, "", &len);

    lua_settop(L, 2);
    if (jsonlua_push_path(L, body_of(L, m), tl_str_n(path, len)))
        return 1;
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

/* ---- the userdata ------------------------------------------------------------------------- */

static const luaL_Reg methods[] = {
    {"prop", view_prop}, {"num", view_num},   {"props", view_props},
    {"body", view_body}, {"json", view_json},
};

void view_push(lua_State *L)
{
    lua_newuserdata(L, sizeof(void *));
    int view = lua_gettop(L);

    lua_newtable(L);
    lua_newtable(L);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        lua_pushinteger(L, fields[i].field);
        lua_setfield(L, -2, fields[i].name);
    }
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        lua_pushvalue(L, view);
        lua_pushcclosure(L, methods[i].func, 1);
        lua_setfield(L, -2, methods[i].name);
    }
    lua_pushcclosure(L, view_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, view_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushcfunction(L, view_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, view);
}
