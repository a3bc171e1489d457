/*
 * engine - deployed scripts, the vms, and how a version gets into all of them or none
 *
 * A change (deploy, rollback, delete) has the engine to itself: `busy`.  It works on the vms there are
 * when it begins; one that is made meanwhile waits for its end, one that is closed answers by itself.
 * The vms do their part on their own threads, by mail; a vm without a reactor does it at once.
 *
 *   1. compile and run the chunk in a scratch state, read what it declares
 *   2. every vm prepares it: all must say yes within ROLLOUT_TIMEOUT_MS
 *   3. every vm swaps; or, after a no or a silence, drops what it prepared.  Mails of one thread keep their
 *      order, so a late prepare is followed by its drop
 */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/lock.h"
#include "base/mailbox.h"
#include "base/mem.h"
#include "base/thread.h"
#include "net/reactor.h"
#include "script/bundle.h"

#undef LOG_MODULE
#define LOG_MODULE "script"

enum { ROLLOUT_TIMEOUT_MS = 5000 };

struct entry {
    struct script_bundle *current, *previous; /* previous may be NULL */
    UT_hash_handle hh;                        /* by current's name */
};

struct script_engine {
    struct lock lock;
    pthread_cond_t idle; /* busy ended */
    bool busy;
    struct entry *entries; /* sorted by name */
    struct script_vm *vms;
    int vm_count;
    _Atomic int32_t instructions, time_us;
    _Atomic int64_t memory_bytes;
};

/* ---- names and numbers -------------------------------------------------------------------- */

static const char *const hook_names[] = {
#define X(name, thread, may_wait, args, doc) #name,
#include "script/hooks.def"
#undef X
};

const char *script_hook_name(enum script_hook hook)
{
    return hook_names[hook];
}

const char *script_result_name(enum script_result r)
{
    static const char *const names[] = {"ok", "runtime", "budget", "time", "memory", "missing"};
    return names[r];
}

uint64_t script_binding_id(void)
{
    static _Atomic uint64_t last;
    return atomic_fetch_add(&last, 1) + 1;
}

/* ---- engine ------------------------------------------------------------------------------- */

int script_engine_new(struct script_engine **out, const struct script_limits *limits)
{
    struct script_engine *e = xzalloc(sizeof(*e));

    lock_init(&e->lock, RANK_SCRIPTS);
    pthread_cond_init(&e->idle, NULL);
    script_engine_set_limits(e, limits);
    *out = e;
    return 0;
}

static void entry_free(struct script_engine *e, struct entry *entry)
{
    HASH_DEL(e->entries, entry);
    script_bundle_unref(entry->current);
    if (entry->previous)
        script_bundle_unref(entry->previous);
    free(entry);
}

void script_engine_free(struct script_engine *e)
{
    struct entry *entry, *tmp;

    assert(!e->vms);
    HASH_ITER (hh, e->entries, entry, tmp)
        entry_free(e, entry);
    pthread_cond_destroy(&e->idle);
    lock_release(&e->lock);
    free(e);
}

void script_engine_set_limits(struct script_engine *e, const struct script_limits *limits)
{
    e->instructions = limits->instructions;
    e->time_us = limits->time_us;
    e->memory_bytes = limits->memory_bytes;
}

struct script_limits engine_limits(struct script_engine *e)
{
    return (struct script_limits){e->instructions, e->time_us, e->memory_bytes};
}

/* Wait until no change is under way; lock held. */
static void await_idle(struct script_engine *e)
{
    while (e->busy)
        pthread_cond_wait(&e->idle, &e->lock.m);
}

static struct entry *find_entry(struct script_engine *e, struct tl_str name)
{
    struct entry *entry;
    HASH_FIND(hh, e->entries, name.data, name.len, entry);
    return entry;
}

struct script_bundle *script_find(struct script_engine *e, struct tl_str name)
{
    lock_take(&e->lock);
    struct entry *entry = find_entry(e, name);
    struct script_bundle *b = entry ? script_bundle_ref(entry->current) : NULL;
    lock_drop(&e->lock);
    return b;
}

void script_each(struct script_engine *e, void (*cb)(void *arg, struct script_bundle *b),
                 void *arg)
{
    struct entry *entry, *tmp;
    size_t n = 0;

    lock_take(&e->lock);
    struct script_bundle **all =
        xcalloc(HASH_COUNT(e->entries) + 1, sizeof(struct script_bundle *));
    HASH_ITER (hh, e->entries, entry, tmp)
        all[n++] = script_bundle_ref(entry->current);
    lock_drop(&e->lock);
    for (size_t i = 0; i < n; i++) {
        cb(arg, all[i]);
        script_bundle_unref(all[i]);
    }
    free(all);
}

/* ---- vms ---------------------------------------------------------------------------------- */

int script_vm_new(struct script_vm **out, struct script_engine *e, struct reactor *r)
{
    struct script_vm *vm = vm_create(e, r);
    struct entry *entry, *tmp;
    struct vm_script *s;
    int rc = 0;

    if (!vm)
        return TL_ENOMEM;
    lock_take(&e->lock);
    await_idle(e);
    if (e->vm_count == SCRIPT_VMS_MAX)
        rc = tl_fail(TL_ELIMIT, "more than %d Lua states", SCRIPT_VMS_MAX);
    HASH_ITER (hh, e->entries, entry, tmp) {
        if (!rc && (rc = vm_prepare(vm, entry->current, &s, NULL)) == 0)
            vm_install(vm, s);
    }
    if (!rc) {
        vm->next = e->vms;
        e->vms = vm;
        e->vm_count++;
    }
    lock_drop(&e->lock);
    if (rc) {
        vm_close(vm);
        vm_unref(vm);
        return rc;
    }
    *out = vm;
    return 0;
}

void script_vm_free(struct script_vm *vm)
{
    struct script_engine *e = vm->engine;

    lock_take(&e->lock);
    for (struct script_vm **at = &e->vms; *at; at = &(*at)->next) {
        if (*at == vm) {
            *at = vm->next;
            e->vm_count--;
            break;
        }
    }
    vm->closed = true; /* no mail is posted behind this */
    lock_drop(&e->lock);
    vm_close(vm);
    vm_unref(vm);
}

/* ---- rollout ------------------------------------------------------------------------------ */

/* One vm's share of a change. */
struct part {
    struct mail prepare, finish;
    struct rollout *rollout;
    struct script_vm *vm;
    struct vm_script *prepared;
};

struct rollout {
    _Atomic int32_t refs; /* the changing thread, each mail under way */
    struct script_engine *engine;
    char name[SCRIPT_NAME_MAX + 1];
    struct script_bundle *bundle; /* NULL: the script goes away */
    bool swap;                    /* what finish does; set before it is posted */
    struct lock lock;
    pthread_cond_t changed;
    int answers;
    struct tl_error failure; /* the first no */
    int n;
    struct part parts[];
};

static void rollout_unref(struct rollout *r)
{
    if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (int i = 0; i < r->n; i++)
        vm_unref(r->parts[i].vm);
    if (r->bundle)
        script_bundle_unref(r->bundle);
    pthread_cond_destroy(&r->changed);
    lock_release(&r->lock);
    free(r);
}

static struct rollout *rollout_new(struct script_engine *e, struct tl_str name,
                                   struct script_bundle *b)
{

    lock_take(&e->lock);
    struct rollout *r = xzalloc(sizeof(*r) + (size_t)e->vm_count * sizeof(r->parts[0]));
    for (struct script_vm *vm = e->vms; vm; vm = vm->next) {
        atomic_fetch_add_explicit(&vm->refs, 1, memory_order_relaxed);
        r->parts[r->n++] = (struct part){.rollout = r, .vm = vm};
    }
    lock_drop(&e->lock);
    atomic_init(&r->refs, 1);
    r->engine = e;
    snprintf(r->name, sizeof(r->name), "%.*s", TL_STR_ARG(name));
    r->bundle = b ? script_bundle_ref(b) : NULL;
    lock_init(&r->lock, RANK_SCRIPTS);
    thread_cond_init(&r->changed);
    return r;
}

static void answer(struct rollout *r, int rc)
{
    lock_take(&r->lock);
    r->answers++;
    if (rc && !r->failure.code)
        tl_error_save(&r->failure, rc);
    pthread_cond_signal(&r->changed);
    lock_drop(&r->lock);
    rollout_unref(r);
}

static void run_prepare(struct mail *m)
{
    struct part *p = (struct part *)m;
    struct rollout *r = p->rollout;
    int rc = p->vm->closed ? 0 : vm_prepare(p->vm, r->bundle, &p->prepared, NULL);

    answer(r, rc);
}

static void run_finish(struct mail *m)
{
    struct part *p = (struct part *)((char *)m - offsetof(struct part, finish));
    struct rollout *r = p->rollout;

    if (p->vm->closed) {
        if (p->prepared) { /* its state is gone, and its references with it */
            script_bundle_unref(p->prepared->bundle);
            free(p->prepared);
        }
    } else if (r->swap && p->prepared) {
        vm_install(p->vm, p->prepared);
    } else if (r->swap) {
        vm_remove(p->vm, tl_str_of(r->name));
    } else if (p->prepared) {
        vm_discard(p->vm, p->prepared);
    }
    p->prepared = NULL;
    answer(r, 0);
}

/* To the vm's thread; the engine's lock keeps script_vm_free() from being overtaken. */
static void send(struct part *p, struct mail *m)
{
    struct script_vm *vm = p->vm;
    struct script_engine *e = p->rollout->engine;

    atomic_fetch_add_explicit(&p->rollout->refs, 1, memory_order_relaxed);
    lock_take(&e->lock);
    bool post = vm->reactor && !vm->closed && !reactor_is_own(vm->reactor);
    if (post)
        reactor_post(vm->reactor, m);
    lock_drop(&e->lock);
    if (!post)
        m->run(m);
}

/* Wait for @n answers in all; false when they do not come in time. */
static bool await_answers(struct rollout *r, int n)
{
    struct timespec until = thread_deadline(ROLLOUT_TIMEOUT_MS);
    bool all;

    lock_take(&r->lock);
    while (r->answers < n && pthread_cond_timedwait(&r->changed, &r->lock.m, &until) == 0)
        ;
    all = r->answers >= n;
    lock_drop(&r->lock);
    return all;
}

static int prepare_all(struct rollout *r)
{
    for (int i = 0; i < r->n; i++) {
        r->parts[i].prepare.run = run_prepare;
        send(&r->parts[i], &r->parts[i].prepare);
    }
    if (!await_answers(r, r->n))
        return tl_fail(TL_ETIMEOUT, "script %s: a thread did not answer in %d ms", r->name,
                       ROLLOUT_TIMEOUT_MS);
    return r->failure.code ? tl_error_raise(&r->failure) : 0;
}

/* Bring @b (NULL: nothing) into all vms under @name, or change nothing. */
static int roll_out(struct script_engine *e, struct tl_str name, struct script_bundle *b)
{
    struct rollout *r = rollout_new(e, name, b);
    struct tl_error why;
    int rc = b ? prepare_all(r) : 0;
    int before = b ? r->n : 0;

    tl_error_save(&why, rc);
    r->swap = rc == 0;
    for (int i = 0; i < r->n; i++) {
        r->parts[i].finish.run = run_finish;
        send(&r->parts[i], &r->parts[i].finish);
    }
    if (rc != TL_ETIMEOUT && !await_answers(r, before + r->n))
        log_warn("a thread is late to take over script=%s", r->name);
    rollout_unref(r);
    return rc ? tl_error_raise(&why) : 0;
}

/* ---- changes ------------------------------------------------------------------------------ */

static int check_name(struct tl_str name)
{
    static const char ok[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    bool good = name.len >= 1 && name.len <= SCRIPT_NAME_MAX;

    for (size_t i = 0; i < name.len && good; i++)
        good = name.data[i] && strchr(ok, name.data[i]);
    return good ? 0
                : tl_fail(TL_EINVAL, "script name %.*s: expected 1 to %d of A-Z a-z 0-9 _ -",
                          name.len > 100 ? 100 : (int)name.len, name.data ? name.data : "",
                          SCRIPT_NAME_MAX);
}

static void begin_change(struct script_engine *e)
{
    lock_take(&e->lock);
    await_idle(e);
    e->busy = true;
    lock_drop(&e->lock);
}

static void end_change(struct script_engine *e)
{
    lock_take(&e->lock);
    e->busy = false;
    pthread_cond_broadcast(&e->idle);
    lock_drop(&e->lock);
}

/* Compile and run it in a state of its own, and learn what it declares. */
static int inspect(struct script_engine *e, struct script_bundle *b)
{
    struct vm_manifest manifest = {0};
    struct vm_script *s = NULL;
    struct script_vm *scratch = vm_create(e, NULL);

    if (!scratch)
        return TL_ENOMEM;
    int rc = vm_prepare(scratch, b, &s, &manifest);
    if (!rc) {
        vm_discard(scratch, s);
        bundle_set_manifest(b, &manifest);
    }
    vm_close(scratch);
    vm_unref(scratch);
    return rc;
}

static int by_name(const struct entry *a, const struct entry *b)
{
    return tl_str_cmp(script_bundle_name(a->current), script_bundle_name(b->current));
}

/* @b becomes the current version, what was current the previous one.  Takes @b. */
static void record_current(struct script_engine *e, struct script_bundle *b)
{
    struct tl_str name = script_bundle_name(b);
    struct entry *entry, *fresh = xzalloc(sizeof(*fresh));

    lock_take(&e->lock);
    entry = find_entry(e, name);
    if (entry) { /* its key lives in the bundle that may go away */
        fresh->previous = script_bundle_ref(entry->current);
        entry_free(e, entry);
    }
    fresh->current = b;
    HASH_ADD_KEYPTR_INORDER(hh, e->entries, name.data, name.len, fresh, by_name);
    lock_drop(&e->lock);
}

static bool is_deployed(struct script_engine *e, struct tl_str name, struct tl_str source)
{
    struct script_bundle *b = script_find(e, name);
    bool same = b && tl_str_eq(script_bundle_source(b), source);

    if (b)
        script_bundle_unref(b);
    return same;
}

int script_deploy(struct script_engine *e, struct tl_str name, struct tl_str source)
{
    int rc = check_name(name);

    if (rc)
        return rc;
    if (source.len > SCRIPT_SOURCE_MAX)
        return tl_fail(TL_ELIMIT, "script %.*s has %zu bytes, the limit is %d",
                       TL_STR_ARG(name), source.len, SCRIPT_SOURCE_MAX);
    begin_change(e);
    if (!is_deployed(e, name, source)) {
        struct script_bundle *b = bundle_new(name, source);
        rc = inspect(e, b);
        if (!rc)
            rc = roll_out(e, name, b);
        if (!rc)
            record_current(e, b);
        else
            script_bundle_unref(b);
    }
    end_change(e);
    return rc;
}

int script_rollback(struct script_engine *e, struct tl_str name)
{
    struct script_bundle *b = NULL;

    begin_change(e);
    lock_take(&e->lock);
    struct entry *entry = find_entry(e, name);
    if (entry && entry->previous)
        b = script_bundle_ref(entry->previous);
    lock_drop(&e->lock);
    int rc = b ? roll_out(e, name, b)
               : tl_fail(TL_ENOTFOUND, "script %.*s has no previous version", TL_STR_ARG(name));
    if (!rc)
        record_current(e, b);
    else if (b)
        script_bundle_unref(b);
    end_change(e);
    return rc;
}

int script_delete(struct script_engine *e, struct tl_str name)
{
    int rc;

    begin_change(e);
    lock_take(&e->lock);
    bool there = find_entry(e, name) != NULL;
    lock_drop(&e->lock);
    rc = there ? roll_out(e, name, NULL)
               : tl_fail(TL_ENOTFOUND, "no script named %.*s is deployed", TL_STR_ARG(name));
    if (!rc) {
        lock_take(&e->lock);
        entry_free(e, find_entry(e, name));
        lock_drop(&e->lock);
    }
    end_change(e);
    return rc;
}
