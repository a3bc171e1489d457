/*
 * library_mq - the table mq of scripts
 */
#include <arpa/inet.h>
#include <lauxlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "script/jsonlua.h"
#include "script/pattern.h"
#include "script/sandbox.h"
#include "script/vm.h"

#undef LOG_MODULE
#define LOG_MODULE "script"

enum {
    LOG_LINES_PER_SECOND = 10, /* of one script on one thread */
    LOG_TEXT_MAX = 512,
    LOG_COST = 50, /* instructions */
    HASHED_PER_INSTRUCTION = 8,
    WILDCARD_STEPS_PER_INSTRUCTION = 4,
    PATTERN_MAX = 256,
};

static struct tl_str check_str(lua_State *L, int index)
{
    size_t len;
    const char *text = luaL_checklstring(L, index, &len);
    return tl_str_n(text, len);
}

static int mq_now(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)clock_now_ms());
    return 1;
}

static int mq_hash(lua_State *L)
{
    struct tl_str text = check_str(L, 1);

    vm_charge(L, (int64_t)(text.len / HASHED_PER_INSTRUCTION));
    lua_pushinteger(L, hash_java_string(text));
    return 1;
}

/* ---- log ---------------------------------------------------------------------------------- */

/* May @s write a line in this second?  Tells of those it held back when a new one begins. */
static bool log_allowed(struct vm_script *s)
{
    int64_t second = clock_mono_ms() / 1000;

    if (second != s->log_window_ms || !s->log_lines) {
        s->log_window_ms = second;
        s->log_lines = 0;
        if (s->log_held_back)
            log_warn("%.*s: lines held back n=%llu", TL_STR_ARG(script_bundle_name(s->bundle)),
                     (unsigned long long)s->log_held_back);
        s->log_held_back = 0;
    }
    if (s->log_lines >= LOG_LINES_PER_SECOND) {
        s->log_held_back++;
        return false;
    }
    s->log_lines++;
    return true;
}

static int mq_log(lua_State *L)
{
    struct vm_script *s = vm_of(L)->running;
    const char *level_text = luaL_checkstring(L, 1);
    struct tl_str text = check_str(L, 2);
    char line[LOG_TEXT_MAX + 1];
    enum log_level level;
    size_t n = text.len < LOG_TEXT_MAX ? text.len : LOG_TEXT_MAX;

    if (!log_level_parse(level_text, &level))
        return luaL_error(L, "mq.log: level %s: expected debug, info, warn or error",
                          level_text);
    vm_charge(L, LOG_COST);
    if (!s || level < (enum log_level)log_level_now || !log_allowed(s))
        return 0;
    for (size_t i = 0; i < n; i++) /* one call is one line */
        line[i] =
            (unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f ? ' ' : text.data[i];
    log_write(level, LOG_MODULE, "%.*s: %.*s", TL_STR_ARG(script_bundle_name(s->bundle)),
              (int)n, line);
    return 0;
}

/* ---- addresses and wildcards -------------------------------------------------------------- */

/* "1.2.3.4", "::1", either with a port as msg.born_host has it; returns the bytes, 0 = not an address. */
static int parse_ip(struct tl_str text, uint8_t out[16])
{
    char ip[64];
    const char *colon;

    if (text.len && text.data[0] == '[') {
        const char *close = memchr(text.data, ']', text.len);
        if (!close)
            return 0;
        text = tl_str_n(text.data + 1, (size_t)(close - text.data) - 1);
    } else if (text.len && (colon = memchr(text.data, ':', text.len)) &&
               !memchr(colon + 1, ':', text.len - (size_t)(colon - text.data) - 1)) {
        text.len = (size_t)(colon - text.data);
    }
    if (!text.len || text.len >= sizeof(ip))
        return 0;
    memcpy(ip, text.data, text.len);
    ip[text.len] = '\0';
    if (inet_pton(AF_INET, ip, out) == 1)
        return 4;
    return inet_pton(AF_INET6, ip, out) == 1 ? 16 : 0;
}

static int mq_cidr(lua_State *L)
{
    struct tl_str text = check_str(L, 1), net = check_str(L, 2), bits_text = net;
    struct tl_str net_text = tl_str_cut(&bits_text, '/');
    uint8_t ip[16], base[16];
    int ip_len = parse_ip(text, ip), net_len = parse_ip(net_text, base);
    int32_t bits = net_len * 8;

    if (!net_len ||
        (bits_text.data && (!tl_str_i32(bits_text, &bits) || bits < 0 || bits > net_len * 8)))
        return luaL_error(L, "mq.cidr: %s is not a network like 10.0.0.0/8", net.data);
    bool in = ip_len == net_len;
    for (int i = 0; in && i < bits; i++)
        in = ((ip[i / 8] ^ base[i / 8]) >> (7 - i % 8) & 1) == 0;
    lua_pushboolean(L, in);
    return 1;
}

static int mq_match(lua_State *L)
{
    struct tl_str text = check_str(L, 1), pattern = check_str(L, 2);
    int64_t had = (vm_left(vm_of(L)) + 1) * WILDCARD_STEPS_PER_INSTRUCTION, left = had;

    if (pattern.len > PATTERN_MAX)
        return luaL_error(L, "mq.match: pattern of %d characters, the limit is %d",
                          (int)pattern.len, PATTERN_MAX);
    enum pattern_result r = pattern_wildcard(pattern, text, &left);
    vm_charge(L, (had - left) / WILDCARD_STEPS_PER_INSTRUCTION);
    lua_pushboolean(L, r == PATTERN_HIT);
    return 1;
}

/* ---- JSON --------------------------------------------------------------------------------- */

static int json_decode(lua_State *L)
{
    struct tl_str text = check_str(L, 1);

    lua_settop(L, 1);
    if (jsonlua_push(L, text))
        return 1;
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

static int json_encode(lua_State *L)
{
    struct strbuf *out = &vm_of(L)->scratch;

    luaL_checkany(L, 1);
    lua_settop(L, 1);
    strbuf_clear(out);
    jsonlua_write(L, 1, out);
    lua_pushlstring(L, out->data ? out->data : "", out->len);
    return 1;
}

static const luaL_Reg functions[] = {
    {"cidr", mq_cidr}, {"hash", mq_hash}, {"log", mq_log}, {"match", mq_match}, {"now", mq_now},
};

void library_mq_push(lua_State *L)
{
    lua_newtable(L);
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        lua_pushcfunction(L, functions[i].func);
        lua_setfield(L, -2, functions[i].name);
    }
    lua_newtable(L);
    lua_pushcfunction(L, json_decode);
    lua_setfield(L, -2, "decode");
    lua_pushcfunction(L, json_encode);
    lua_setfield(L, -2, "encode");
    jsonlua_push_null(L);
    lua_setfield(L, -2, "null");
    lua_setfield(L, -2, "json");
}
