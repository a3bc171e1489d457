/*
 * kv - namespaces of key-value pairs, kept in kvConfig.json (KVConfigManager)
 *
 *   {"configTable":{"ORDER_TOPIC_CONFIG":{"T":"broker-a:4"}}}
 *
 * One table under one lock; changes are saved before they return (they block: workers only).
 */
#ifndef NAMESRV_KV_H
#define NAMESRV_KV_H

#include <jansson.h>

#include "base/str.h"

struct kv;

#define KV_ORDER_TOPIC_CONFIG "ORDER_TOPIC_CONFIG"

/* A missing file is an empty table; a damaged one falls back to its .bak; both damaged: TL_ECORRUPT. */
int kv_open(struct kv **out, const char *path);
void kv_close(struct kv *kv);
/* 0 or TL_EIO (the value is in force, but not saved). */
int kv_put(struct kv *kv, struct tl_str ns, struct tl_str key, struct tl_str value);
int kv_delete(struct kv *kv, struct tl_str ns, struct tl_str key);
/* Append the value to @out; false when there is none.  Any thread. */
bool kv_get(struct kv *kv, struct tl_str ns, struct tl_str key, struct strbuf *out);
/* {"table":{...}} of a namespace, owned; NULL when it has none.  Any thread. */
json_t *kv_list(struct kv *kv, struct tl_str ns);

#endif
