#include "broker/scripts.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/broker.h"
#include "broker/handlers.h"
#include "proto/code.h"
#include "proto/hdr_group.h"
#include "proto/names.h"

#undef LOG_MODULE
#define LOG_MODULE "scripts"

enum { SCRIPTS_JSON_MAX = 16 << 20, SCRIPT_BINDINGS_MAX = 10000 };

/* The published table: sorted by (group, topic), topic NULL behind the named ones of its group. */
struct use_table {
    struct snapshot snapshot;
    size_t n;
    struct script_use *uses[];
};

struct scripts {
    struct broker *b;
    struct lock lock; /* serialises changes; held over file writes, never on a reactor */
    struct snapshot_slot slot;
    char *path, *dir;
};

/* ---- uses --------------------------------------------------------------------------------- */

static struct script_use *use_new(struct tl_str group, struct tl_str topic,
                                  struct tl_str script, struct tl_str args,
                                  enum script_policy policy, json_t *parsed)
{
    struct script_use *u = xzalloc(sizeof(*u));

    atomic_init(&u->refs, 1);
    u->binding.id = script_binding_id();
    u->binding.script = xstrndup(script.data, script.len);
    u->binding.args = parsed;
    u->policy = policy;
    u->group = xstrndup(group.data, group.len);
    u->topic = topic.len ? xstrndup(topic.data, topic.len) : NULL;
    u->args = xstrndup(args.data ? args.data : "", args.len);
    return u;
}

static struct script_use *use_ref(struct script_use *u)
{
    atomic_fetch_add_explicit(&u->refs, 1, memory_order_relaxed);
    return u;
}

void script_use_unref(struct script_use *u)
{
    if (atomic_fetch_sub_explicit(&u->refs, 1, memory_order_acq_rel) != 1)
        return;
    json_decref(u->binding.args);
    free(u->binding.script);
    free(u->group);
    free(u->topic);
    free(u->args);
    free(u);
}

static int use_compare(const struct script_use *u, struct tl_str group, struct tl_str topic)
{
    int c = tl_str_cmp(tl_str_of(u->group), group);
    if (c)
        return c;
    if (!u->topic || !topic.len)
        return (u->topic ? 0 : 1) - (topic.len ? 0 : 1);
    return tl_str_cmp(tl_str_of(u->topic), topic);
}

/* Where (group, topic) stands or would stand; *found says which. */
static size_t table_place(const struct use_table *t, struct tl_str group, struct tl_str topic,
                          bool *found)
{
    size_t low = 0, high = t->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (use_compare(t->uses[mid], group, topic) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *found = low < t->n && use_compare(t->uses[low], group, topic) == 0;
    return low;
}

static void table_free(struct snapshot *s)
{
    struct use_table *t = (struct use_table *)s;

    for (size_t i = 0; i < t->n; i++)
        script_use_unref(t->uses[i]);
    free(t);
}

static struct use_table *table_new(size_t n)
{
    struct use_table *t = xzalloc(sizeof(*t) + n * sizeof(t->uses[0]));
    t->n = n;
    return t;
}

/* A copy of @old in which @at is replaced by, preceded by, or rid of @use. */
enum table_change { TABLE_REPLACE, TABLE_INSERT, TABLE_REMOVE };

static struct use_table *table_change(const struct use_table *old, enum table_change how,
                                      size_t at, struct script_use *use)
{
    struct use_table *t = table_new(old->n + (how == TABLE_INSERT) - (how == TABLE_REMOVE));
    size_t to = 0;

    for (size_t i = 0; i < old->n; i++) {
        if (i == at && how != TABLE_INSERT) {
            if (how == TABLE_REPLACE)
                t->uses[to++] = use;
            continue;
        }
        if (i == at)
            t->uses[to++] = use;
        t->uses[to++] = use_ref(old->uses[i]);
    }
    if (how == TABLE_INSERT && at == old->n)
        t->uses[to++] = use;
    return t;
}

struct script_use *scripts_find(struct scripts *s, struct snapshot_cache *cache,
                                struct tl_str group, struct tl_str topic)
{
    const struct use_table *t = (const struct use_table *)snapshot_get(&s->slot, cache);
    bool found;

    if (t->n == 0)
        return NULL;
    size_t at = table_place(t, group, topic, &found);
    if (!found)
        at = table_place(t, group, TL_STR_NONE, &found);
    return found ? use_ref(t->uses[at]) : NULL;
}

/* ---- the file ----------------------------------------------------------------------------- */

static const char *policy_name(enum script_policy policy)
{
    return policy == SCRIPT_OPEN ? "open" : "closed";
}

/* Absent = the default.  TL_EINVAL for anything else than open and closed. */
static int policy_parse(struct tl_str text, enum script_policy *out)
{
    if (!text.len || tl_str_is(text, "closed"))
        *out = SCRIPT_CLOSED;
    else if (tl_str_is(text, "open"))
        *out = SCRIPT_OPEN;
    else
        return tl_fail(TL_EINVAL, "policy %.*s: expected open or closed", TL_STR_ARG(text));
    return 0;
}

static json_t *use_to_json(const struct script_use *u)
{
    json_t *o = json_object();

    json_set_str(o, "group", tl_str_of(u->group));
    json_set_str(o, "topic", tl_str_of(u->topic));
    json_set_str(o, "script", tl_str_of(u->binding.script));
    json_set_str(o, "args", tl_str_of(u->args));
    json_set_str(o, "policy", tl_str_of(policy_name(u->policy)));
    return o;
}

static int save(struct scripts *s, const struct use_table *t)
{
    json_t *root = json_object(), *list = json_array();
    struct strbuf text;

    for (size_t i = 0; i < t->n; i++)
        json_array_append_new(list, use_to_json(t->uses[i]));
    json_object_set_new(root, "bindings", list);
    strbuf_init(&text);
    json_write_pretty(root, &text);
    int rc = fs_replace(s->path, strbuf_str(&text));
    strbuf_release(&text);
    json_decref(root);
    return rc;
}

/* Arguments by the script's declaration; of a script that is not there they stay what they are: text. */
static int parse_args(struct scripts *s, struct tl_str script, struct tl_str args, json_t **out)
{
    struct script_bundle *bundle = script_find(s->b->engine, script);

    if (!bundle)
        return tl_fail(TL_ENOTFOUND, "no script named %.*s is deployed", TL_STR_ARG(script));
    int rc = script_bundle_has(bundle, SCRIPT_HOOK_filter)
                 ? script_args_parse(bundle, args, out)
                 : tl_fail(TL_EINVAL, "script %.*s has no filter function", TL_STR_ARG(script));
    script_bundle_unref(bundle);
    return rc;
}

static struct use_table *load_bindings(struct scripts *s, const json_t *list)
{
    struct use_table *t = table_new(0);
    const json_t *o;
    size_t i;

    json_array_foreach(list, i, o)
    {
        struct tl_str group = json_get_str(o, "group"), topic = json_get_str(o, "topic");
        struct tl_str script = json_get_str(o, "script"), args = json_get_str(o, "args");
        enum script_policy policy;
        json_t *parsed = NULL;
        bool found;

        if (!group.len || !script.len || policy_parse(json_get_str(o, "policy"), &policy)) {
            log_error(
                "binding left out file=%s index=%zu: it needs group, script and a policy of open or closed",
                s->path, i);
            continue;
        }
        if (parse_args(s, script, args, &parsed)) {
            log_error("binding fails until its script is deployed group=%.*s: %s",
                      TL_STR_ARG(group), tl_error_text());
            parsed = json_object();
        }
        size_t at = table_place(t, group, topic, &found);
        struct script_use *use = use_new(group, topic, script, args, policy, parsed);
        struct use_table *next = table_change(t, found ? TABLE_REPLACE : TABLE_INSERT, at, use);
        table_free(&t->snapshot);
        t = next;
    }
    return t;
}

static bool is_json_object(struct tl_str text)
{
    json_t *v = json_parse(text);
    bool ok = json_is_object(v);
    json_decref(v);
    return ok;
}

static int load(struct scripts *s)
{
    struct strbuf text;
    bool from_bak = false;
    struct use_table *t;

    strbuf_init(&text);
    int rc = fs_read_or_bak(s->path, SCRIPTS_JSON_MAX, is_json_object, &text, &from_bak);
    if (rc && rc != TL_ENOTFOUND) {
        strbuf_release(&text);
        return rc;
    }
    if (from_bak)
        log_warn("bindings read from the backup file=%s.bak", s->path);
    json_t *root = rc ? json_object() : json_parse(strbuf_str(&text));
    t = load_bindings(s, json_get_array(root, "bindings"));
    json_decref(root);
    strbuf_release(&text);
    snapshot_slot_init(&s->slot, &t->snapshot, table_free);
    return 0;
}

/* ---- scriptDir ---------------------------------------------------------------------------- */

static bool script_file_name(const char *file, struct tl_str *name)
{
    struct tl_str f = tl_str_of(file), lua = TL_STR(".lua"), test = TL_STR("_test.lua");

    if (f.len <= lua.len || !tl_str_eq(tl_str_n(f.data + f.len - lua.len, lua.len), lua))
        return false;
    if (f.len >= test.len && tl_str_eq(tl_str_n(f.data + f.len - test.len, test.len), test))
        return false;
    *name = tl_str_n(f.data, f.len - lua.len);
    return true;
}

static void deploy_file(struct scripts *s, const char *file, struct tl_str name)
{
    char *path = xasprintf("%s/%s", s->dir, file);
    struct strbuf source;

    strbuf_init(&source);
    int rc = fs_read(path, SCRIPT_SOURCE_MAX, &source);
    if (!rc)
        rc = script_deploy(s->b->engine, name, strbuf_str(&source));
    if (rc)
        log_error("script not deployed file=%s: %s", path, tl_error_text());
    else
        log_info("script deployed file=%s", path);
    strbuf_release(&source);
    free(path);
}

static void deploy_dir(struct scripts *s)
{
    struct dirent **files;
    int n = scandir(s->dir, &files, NULL, alphasort);

    if (n < 0) {
        if (errno != ENOENT)
            log_error("script folder unreadable dir=%s error=%s", s->dir, strerror(errno));
        return;
    }
    for (int i = 0; i < n; i++) {
        struct tl_str name;
        if (script_file_name(files[i]->d_name, &name))
            deploy_file(s, files[i]->d_name, name);
        free(files[i]);
    }
    free(files);
}

int scripts_open(struct scripts **out, struct broker *b, const char *config_dir)
{
    struct scripts *s = xzalloc(sizeof(*s));

    s->b = b;
    lock_init(&s->lock, RANK_BINDINGS);
    s->path = xasprintf("%s/scripts.json", config_dir);
    s->dir = xstrndup(b->conf->script_dir.data, b->conf->script_dir.len);
    deploy_dir(s);
    int rc = load(s);
    if (rc) {
        lock_release(&s->lock);
        free(s->path);
        free(s->dir);
        free(s);
        return rc;
    }
    *out = s;
    return 0;
}

void scripts_close(struct scripts *s)
{
    snapshot_slot_release(&s->slot);
    lock_release(&s->lock);
    free(s->path);
    free(s->dir);
    free(s);
}

/* ---- changes ------------------------------------------------------------------------------ */

struct forget {
    struct mail mail;
    struct broker_io *io;
    uint64_t id;
};

static void forget_run(struct mail *m)
{
    struct forget *f = (struct forget *)m;

    script_vm_forget(f->io->vm, f->id);
    free(f);
}

/* Every reactor's state drops what it keeps for a binding that is out of force. */
static void forget_everywhere(struct broker *b, uint64_t id)
{
    for (int i = 0; i < b->io_count; i++) {
        struct forget *f = xmalloc(sizeof(*f));
        *f = (struct forget){.mail.run = forget_run, .io = &b->io_state[i], .id = id};
        reactor_post(b->io[i], &f->mail);
    }
}

/* Save @next and put it in force; on failure the old table stays.  Lock held; takes @next. */
static int publish(struct scripts *s, struct use_table *next)
{
    atomic_init(&next->snapshot.refs, 1);
    int rc = save(s, next);
    if (rc) {
        table_free(&next->snapshot);
        return tl_wrap(rc, "bindings unchanged");
    }
    snapshot_publish(&s->slot, &next->snapshot);
    return 0;
}

static int bind_script(struct scripts *s, const struct script_bind_request *h)
{
    enum script_policy policy;
    json_t *args = NULL;
    bool found;
    int rc;

    if ((rc = names_check_group(h->group)) ||
        (h->topic.len && (rc = names_check_topic(h->topic))))
        return rc;
    if ((rc = policy_parse(h->policy, &policy)) ||
        (rc = parse_args(s, h->script, h->args, &args)))
        return rc;
    lock_take(&s->lock);
    struct use_table *old = (struct use_table *)snapshot_ref(&s->slot);
    size_t at = table_place(old, h->group, h->topic, &found);
    uint64_t replaced = found ? old->uses[at]->binding.id : 0;
    if (!found && old->n >= SCRIPT_BINDINGS_MAX) {
        json_decref(args);
        rc = tl_fail(TL_ELIMIT, "more than %d bindings", SCRIPT_BINDINGS_MAX);
    } else {
        struct script_use *use = use_new(h->group, h->topic, h->script, h->args, policy, args);
        rc = publish(s, table_change(old, found ? TABLE_REPLACE : TABLE_INSERT, at, use));
    }
    snapshot_unref(&old->snapshot);
    lock_drop(&s->lock);
    if (!rc && replaced)
        forget_everywhere(s->b, replaced);
    return rc;
}

static int unbind_script(struct scripts *s, const struct script_bind_request *h)
{
    bool found;
    int rc;

    lock_take(&s->lock);
    struct use_table *old = (struct use_table *)snapshot_ref(&s->slot);
    size_t at = table_place(old, h->group, h->topic, &found);
    uint64_t id = found ? old->uses[at]->binding.id : 0;
    if (found)
        rc = publish(s, table_change(old, TABLE_REMOVE, at, NULL));
    else
        rc = tl_fail(TL_ENOTFOUND, "no script is bound to group %.*s%s%.*s",
                     TL_STR_ARG(h->group), h->topic.len ? " and topic " : "",
                     TL_STR_ARG(h->topic));
    snapshot_unref(&old->snapshot);
    lock_drop(&s->lock);
    if (!rc)
        forget_everywhere(s->b, id);
    return rc;
}

/* Bindings of @script get their arguments by its present declaration.  Lock held. */
static int rebind(struct scripts *s, struct tl_str script)
{
    struct use_table *old = (struct use_table *)snapshot_ref(&s->slot);
    struct use_table *next = table_new(old->n);
    int rc = 0;

    next->n = 0;
    for (size_t i = 0; i < old->n && !rc; i++) {
        struct script_use *u = old->uses[i];
        json_t *args = NULL;
        if (!tl_str_is(script, u->binding.script)) {
            next->uses[next->n++] = use_ref(u);
            continue;
        }
        rc = parse_args(s, script, tl_str_of(u->args), &args);
        if (rc)
            rc = tl_wrap(rc, "binding of group %s", u->group);
        else
            next->uses[next->n++] = use_new(tl_str_of(u->group), tl_str_of(u->topic), script,
                                            tl_str_of(u->args), u->policy, args);
    }
    atomic_init(&next->snapshot.refs, 1);
    if (rc)
        table_free(&next->snapshot);
    else
        snapshot_publish(&s->slot, &next->snapshot);
    for (size_t i = 0; i < old->n && !rc; i++) {
        if (tl_str_is(script, old->uses[i]->binding.script))
            forget_everywhere(s->b, old->uses[i]->binding.id);
    }
    snapshot_unref(&old->snapshot);
    return rc;
}

static int write_source(struct scripts *s, struct tl_str name, struct tl_str source)
{
    char *path = xasprintf("%s/%.*s.lua", s->dir, TL_STR_ARG(name));
    int rc = fs_mkdirs(s->dir);

    if (!rc)
        rc = fs_replace(path, source);
    free(path);
    return rc;
}

/*
 * Deploy, then see that the bindings in force fit the new version, then keep the source in scriptDir.  What
 * fails is undone: the version before stays in force.
 */
static int put_script(struct scripts *s, struct tl_str name, struct tl_str source)
{
    lock_take(&s->lock);
    struct script_bundle *before = script_find(s->b->engine, name);
    int rc = script_deploy(s->b->engine, name, source);
    if (!rc) {
        struct tl_error why = {0};
        if ((rc = rebind(s, name)) || (rc = write_source(s, name, source))) {
            tl_error_save(&why, rc);
            if (before)
                script_deploy(s->b->engine, name, script_bundle_source(before));
            else
                script_delete(s->b->engine, name);
            rebind(s, name);
            rc = tl_error_raise(&why);
        }
    }
    if (before)
        script_bundle_unref(before);
    lock_drop(&s->lock);
    return rc;
}

static int rollback_script(struct scripts *s, struct tl_str name)
{
    lock_take(&s->lock);
    int rc = script_rollback(s->b->engine, name);
    if (!rc && (rc = rebind(s, name)) != 0) {
        struct tl_error why;
        tl_error_save(&why, rc);
        script_rollback(s->b->engine, name); /* back to where we were */
        rebind(s, name);
        rc = tl_error_raise(&why);
    }
    if (!rc) {
        struct script_bundle *now = script_find(s->b->engine, name);
        if (now) {
            rc = write_source(s, name, script_bundle_source(now));
            script_bundle_unref(now);
        }
    }
    lock_drop(&s->lock);
    return rc;
}

/* True, with the text of TL_EBUSY, when some group uses it. */
static bool is_bound(struct scripts *s, struct tl_str name)
{
    struct use_table *t = (struct use_table *)snapshot_ref(&s->slot);
    bool bound = false;

    for (size_t i = 0; i < t->n && !bound; i++) {
        bound = tl_str_is(name, t->uses[i]->binding.script);
        if (bound)
            tl_fail(TL_EBUSY, "script %.*s is bound to group %s: unbind it first",
                    TL_STR_ARG(name), t->uses[i]->group);
    }
    snapshot_unref(&t->snapshot);
    return bound;
}

static int delete_script(struct scripts *s, struct tl_str name)
{
    int rc = TL_EBUSY;

    lock_take(&s->lock);
    if (!is_bound(s, name) && (rc = script_delete(s->b->engine, name)) == 0) {
        char *path = xasprintf("%s/%.*s.lua", s->dir, TL_STR_ARG(name));
        if (unlink(path) && errno != ENOENT)
            rc = tl_fail_errno(TL_EIO, errno, "removing %s", path);
        free(path);
    }
    lock_drop(&s->lock);
    return rc;
}

void scripts_reload(struct scripts *s)
{
    lock_take(&s->lock);
    deploy_dir(s);
    struct use_table *t = (struct use_table *)snapshot_ref(&s->slot);
    for (size_t i = 0; i < t->n; i++) {
        struct tl_str name = tl_str_of(t->uses[i]->binding.script);
        if ((i == 0 || !tl_str_is(name, t->uses[i - 1]->binding.script)) && rebind(s, name))
            log_error("bindings keep their former arguments script=%.*s: %s", TL_STR_ARG(name),
                      tl_error_text());
    }
    snapshot_unref(&t->snapshot);
    lock_drop(&s->lock);
}

/* ---- handlers (workers) ------------------------------------------------------------------- */

/* One line per change: who, what, which version. */
static void audit(const struct request *rq, const char *what, struct tl_str name,
                  struct tl_str actor)
{
    log_info("%s name=%.*s by=%.*s from=%s", what, TL_STR_ARG(name), TL_STR_ARG(actor),
             conn_peer_text(rq->conn));
}

void on_put_script(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct script_request *h = request_header(rq);
    int rc = put_script(b->scripts, h->name, rq->cmd.body);

    if (rc) {
        request_fail_error(rq, rc);
        return;
    }
    audit(rq, "script deployed", h->name, h->actor);
    struct script_bundle *bundle = script_find(b->engine, h->name);
    request_reply(
        rq,
        &(struct reply){.remark = bundle ? arena_copy(&rq->arena, script_bundle_version(bundle))
                                         : TL_STR_NONE});
    if (bundle)
        script_bundle_unref(bundle);
}

void on_get_script(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct script_request *h = request_header(rq);
    struct script_bundle *bundle = script_find(b->engine, h->name);

    if (!bundle) {
        request_fail(rq, RS_QUERY_NOT_FOUND, "no script named %.*s is deployed",
                     TL_STR_ARG(h->name));
        return;
    }
    request_ok_body(rq, script_bundle_source(bundle));
    script_bundle_unref(bundle);
}

void on_delete_script(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct script_request *h = request_header(rq);
    int rc = delete_script(b->scripts, h->name);

    if (rc) {
        request_fail_error(rq, rc);
        return;
    }
    audit(rq, "script deleted", h->name, h->actor);
    request_ok(rq);
}

void on_rollback_script(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct script_request *h = request_header(rq);
    int rc = rollback_script(b->scripts, h->name);

    if (rc) {
        request_fail_error(rq, rc);
        return;
    }
    audit(rq, "script rolled back", h->name, h->actor);
    request_ok(rq);
}

void on_bind_script(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct script_bind_request *h = request_header(rq);
    int rc = bind_script(b->scripts, h);

    if (rc) {
        request_fail_error(rq, rc);
        return;
    }
    audit(rq, "script bound", h->script, h->actor);
    request_ok(rq);
}

void on_unbind_script(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct script_bind_request *h = request_header(rq);
    int rc = unbind_script(b->scripts, h);

    if (rc) {
        request_fail_error(rq, rc);
        return;
    }
    audit(rq, "script unbound", h->group, h->actor);
    request_ok(rq);
}

/* ---- status ------------------------------------------------------------------------------- */

static json_t *use_status(const struct script_use *u)
{
    const struct script_counters *c = &u->binding.counters;
    uint64_t calls = stats_get(&c->calls);
    json_t *o = use_to_json(u), *errors = json_object();

    json_object_del(o, "script");
    json_set_i64(o, "calls", (int64_t)calls);
    json_set_i64(o, "accepted", (int64_t)stats_get(&c->accepted));
    json_set_i64(o, "rejected", (int64_t)stats_get(&c->rejected));
    for (int r = SCRIPT_OK + 1; r < SCRIPT_RESULTS; r++)
        json_set_i64(errors, script_result_name((enum script_result)r),
                     (int64_t)stats_get(&c->errors[r]));
    json_object_set_new(o, "errors", errors);
    json_set_f64(o, "avgMicros",
                 calls ? (double)stats_get(&c->time_ns) / 1000.0 / (double)calls : 0.0);
    json_set_f64(o, "maxMicros", (double)atomic_load(&c->max_ns) / 1000.0);
    json_set_f64(o, "avgInstructions",
                 calls ? (double)stats_get(&c->instructions) / (double)calls : 0.0);
    json_set_str(o, "breaker",
                 atomic_load(&u->binding.probe_at_ms) ? TL_STR("open") : TL_STR("closed"));
    if (atomic_load(&c->last_error_ms))
        json_set_i64(o, "lastErrorMillis", atomic_load(&c->last_error_ms));
    return o;
}

struct status_walk {
    json_t *list;
    const struct use_table *uses;
    struct tl_str only;
};

static void add_script(void *arg, struct script_bundle *bundle)
{
    struct status_walk *w = arg;
    struct tl_str name = script_bundle_name(bundle), version = script_bundle_version(bundle),
                  hash = version;

    if (w->only.len && !tl_str_eq(w->only, name))
        return;
    struct tl_str declared = tl_str_cut(&hash, '@');
    json_t *o = json_object(), *hooks = json_array(), *bindings = json_array();
    json_set_str(o, "name", name);
    json_set_str(o, "version", declared);
    json_set_str(o, "hash", hash);
    for (int h = 0; h < SCRIPT_HOOKS; h++) {
        if (script_bundle_has(bundle, (enum script_hook)h))
            json_array_append_new(hooks, json_string(script_hook_name((enum script_hook)h)));
    }
    for (size_t i = 0; i < w->uses->n; i++) {
        if (tl_str_is(name, w->uses->uses[i]->binding.script))
            json_array_append_new(bindings, use_status(w->uses->uses[i]));
    }
    json_object_set_new(o, "hooks", hooks);
    json_object_set_new(o, "bindings", bindings);
    json_array_append_new(w->list, o);
}

void on_list_scripts(void *ctx, struct request *rq)
{
    struct broker *b = ctx;
    const struct script_request *h = request_header(rq);
    json_t *root = json_object();
    struct use_table *uses = (struct use_table *)snapshot_ref(&b->scripts->slot);
    struct status_walk walk = {json_array(), uses, h->name};
    struct strbuf text;

    script_each(b->engine, add_script, &walk);
    json_object_set_new(root, "scripts", walk.list);
    snapshot_unref(&uses->snapshot);
    strbuf_init(&text);
    json_write(root, &text);
    json_decref(root);
    request_ok_body(rq, strbuf_str(&text));
    strbuf_release(&text);
}
