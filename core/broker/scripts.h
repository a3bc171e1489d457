/*
 * scripts - deployed scripts and what they are bound to: scripts of scriptDir, config/scripts.json
 *
 * A binding names a consumer group, maybe a topic, a script, its arguments and a policy for failing
 * calls.  Readers on reactors use their snapshot cache; changes are made on workers under one lock,
 * saved atomically, then published.  The file:
 *
 *   {"bindings":[{"group":"g","topic":"T","script":"eu_orders","args":"region=eu,min=100","policy":"closed"}]}
 */
#ifndef BROKER_SCRIPTS_H
#define BROKER_SCRIPTS_H

#include "base/snapshot.h"
#include "base/str.h"
#include "script/script.h"

struct broker;
struct scripts;

enum script_policy {
    SCRIPT_CLOSED, /* a message whose call fails is not delivered to the group (default) */
    SCRIPT_OPEN,   /* it is delivered */
};

/* One binding in force; counted, immutable but for its counters. */
struct script_use {
    _Atomic int32_t refs;
    struct script_binding binding;
    enum script_policy policy;
    char *group, *topic, *args; /* owned; topic NULL = all topics */
};

/*
 * Deploy scriptDir's files and load the bindings.  A script that does not compile is logged and left
 * out; its bindings fail by their policy.  TL_ECORRUPT when scripts.json and its .bak are both
 * unreadable. Blocks; before the reactors serve.
 */
int scripts_open(struct scripts **out, struct broker *b, const char *config_dir);
void scripts_close(struct scripts *s);
/* Read scriptDir again (SIGHUP).  Blocks. */
void scripts_reload(struct scripts *s);

/* The binding for a group's pull of @topic: the one with the topic, else the one for all.  A reference
 * (script_use_unref) or NULL.  Cache's thread. */
struct script_use *scripts_find(struct scripts *s, struct snapshot_cache *cache,
                                struct tl_str group, struct tl_str topic);
void script_use_unref(struct script_use *u);

#endif
