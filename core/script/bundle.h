/*
 * bundle - one version of one script, and what a state keeps of it; private to script/
 */
#ifndef SCRIPT_BUNDLE_H
#define SCRIPT_BUNDLE_H

#include <uthash.h>

#include "script/script.h"
#include "script/vm.h"

enum script_arg_type { SCRIPT_ARG_STRING, SCRIPT_ARG_NUMBER, SCRIPT_ARG_BOOLEAN };

struct script_arg {
    char *name;
    enum script_arg_type type;
};

struct script_bundle {
    _Atomic int32_t refs;
    char *name, *version; /* version: "declared@hash" */
    char *source;
    size_t source_len;
    uint64_t hash;
    bool hooks[SCRIPT_HOOKS];
    struct script_arg *args;
    size_t nargs;
};

/* A bundle's functions on one state. */
struct prepared {
    struct script_bundle *bundle; /* counted */
    int hook_ref[SCRIPT_HOOKS];   /* LUA_NOREF when it has none */
    UT_hash_handle hh;            /* by bundle->name */
};

/*
 * Load @b's source on @vm, run it and keep its functions.  @inspect: fill the bundle's version, args and hooks from what
 * it returned (the first state does).  0 and *out, or TL_ESCRIPT with "name:line: reason".
 */
int bundle_prepare(struct script_vm *vm, struct script_bundle *b, bool inspect,
                   struct prepared **out);
void bundle_unprepare(struct script_vm *vm, struct prepared *p);
struct script_bundle *bundle_new(struct tl_str name, struct tl_str source);

/* A binding's arguments as a table on one state. */
struct vm_binding {
    uint64_t id; /* key */
    uint64_t epoch;
    struct prepared *prepared; /* NULL: no such script, or it has no filter */
    int args_ref;
    UT_hash_handle hh;
};

#endif
