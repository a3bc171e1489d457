#include "namesrv/kv.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

#undef LOG_MODULE
#define LOG_MODULE "namesrv"

enum { KV_FILE_MAX = 64 << 20 };

struct kv {
    pthread_mutex_t writing; /* held by who changes and saves, outside of lock */
    pthread_mutex_t lock;    /* of the table; never held while the disk is waited for */
    char *path;
    json_t *table; /* namespace -> object of strings */
};

static bool good(struct tl_str text)
{
    json_t *v = json_parse(text);
    bool ok = json_is_object(v);

    json_decref(v);
    return ok;
}

int kv_open(struct kv **out, const char *path)
{
    struct strbuf text;
    bool from_bak = false;

    strbuf_init(&text);
    int rc = fs_read_or_bak(path, KV_FILE_MAX, good, &text, &from_bak);
    if (rc && rc != TL_ENOTFOUND) {
        strbuf_release(&text);
        return rc;
    }
    struct kv *kv = xzalloc(sizeof(*kv));
    json_t *root = rc ? NULL : json_parse(strbuf_str(&text));
    const json_t *table = json_get_object(root, "configTable");
    pthread_mutex_init(&kv->writing, NULL);
    pthread_mutex_init(&kv->lock, NULL);
    kv->path = xstrdup(path);
    kv->table = table ? json_deep_copy(table) : json_object();
    if (from_bak)
        log_warn("KV configuration read from the backup file=%s.bak", path);
    json_decref(root);
    strbuf_release(&text);
    *out = kv;
    return 0;
}

void kv_close(struct kv *kv)
{
    json_decref(kv->table);
    pthread_mutex_destroy(&kv->lock);
    pthread_mutex_destroy(&kv->writing);
    free(kv->path);
    free(kv);
}

/* Writing held, lock not. */
static int save(struct kv *kv)
{
    json_t *root = json_object();
    struct strbuf text;
    char *dir = xstrdup(kv->path), *slash = strrchr(dir, '/');

    strbuf_init(&text);
    pthread_mutex_lock(&kv->lock);
    json_object_set(root, "configTable", kv->table);
    json_write_pretty(root, &text);
    json_decref(root);
    pthread_mutex_unlock(&kv->lock);
    if (slash)
        *slash = '\0';
    int rc = slash && slash != dir ? fs_mkdirs(dir) : 0;
    if (!rc)
        rc = fs_replace(kv->path, strbuf_str(&text));
    free(dir);
    strbuf_release(&text);
    return rc;
}

static json_t *find_ns(const struct kv *kv, struct tl_str ns)
{
    return json_object_getn(kv->table, ns.data, ns.len);
}

int kv_put(struct kv *kv, struct tl_str ns, struct tl_str key, struct tl_str value)
{
    pthread_mutex_lock(&kv->writing);
    pthread_mutex_lock(&kv->lock);
    json_t *o = find_ns(kv, ns);
    if (!o) {
        o = json_object();
        json_object_setn_new(kv->table, ns.data, ns.len, o);
    }
    json_object_setn_new(o, key.data, key.len,
                         json_stringn(value.data ? value.data : "", value.len));
    pthread_mutex_unlock(&kv->lock);
    int rc = save(kv);
    pthread_mutex_unlock(&kv->writing);
    return rc;
}

int kv_delete(struct kv *kv, struct tl_str ns, struct tl_str key)
{
    pthread_mutex_lock(&kv->writing);
    pthread_mutex_lock(&kv->lock);
    json_t *o = find_ns(kv, ns);
    bool gone = o && json_object_deln(o, key.data, key.len) == 0;
    pthread_mutex_unlock(&kv->lock);
    int rc = gone ? save(kv) : 0;
    pthread_mutex_unlock(&kv->writing);
    return rc;
}

bool kv_get(struct kv *kv, struct tl_str ns, struct tl_str key, struct strbuf *out)
{
    pthread_mutex_lock(&kv->lock);
    const json_t *o = find_ns(kv, ns), *v = o ? json_object_getn(o, key.data, key.len) : NULL;
    bool found = json_is_string(v);
    if (found)
        strbuf_add(out, json_string_value(v), json_string_length(v));
    pthread_mutex_unlock(&kv->lock);
    return found;
}

json_t *kv_list(struct kv *kv, struct tl_str ns)
{
    json_t *root = NULL;

    pthread_mutex_lock(&kv->lock);
    const json_t *o = find_ns(kv, ns);
    if (o) {
        root = json_object();
        json_object_set_new(root, "table", json_deep_copy(o));
    }
    pthread_mutex_unlock(&kv->lock);
    return root;
}
