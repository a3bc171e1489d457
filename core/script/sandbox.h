/*
 * sandbox - what a script's environment has, and nothing else
 *
 * An allow-list over Lua's own libraries with bounded replacements for what has unbounded cost.
 * Each script gets fresh tables, so changing one of them changes nothing for others.
 */
#ifndef SCRIPT_SANDBOX_H
#define SCRIPT_SANDBOX_H

#include <lua.h>

/* In a new state: build the templates and take everything else away.  Raises on failure. */
void sandbox_open(lua_State *L);
/* Push a fresh environment. */
void sandbox_push_env(lua_State *L);

/* Libraries that sandbox_open() puts in: each pushes its table. */
void library_mq_push(lua_State *L);
void library_push_string(
    lua_State *L); /* find match gmatch gsub rep upper lower reverse format */
void library_push_table(
    lua_State *L); /* insert remove concat sort; the state's own libraries are open */

/* The message view: push its userdata, once per state. */
void view_push(lua_State *L);

#endif
