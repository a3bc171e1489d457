/*
 * engine - deployed scripts and their way onto every state
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/lock.h"
#include "base/mem.h"
#include "net/reactor.h"
#include "script/bundle.h"

enum { ANSWER_MS = 5000 };

struct deployed {
    char *name; /* key */
    struct script_bundle *now, *before;
    UT_hash_handle hh;
};

struct script_engine {
    pthread_mutex_t deploying; /* one deployment at a time; held while threads are waited for */
    struct lock lock;          /* the table and the list below; held for moments */
    struct deployed *table;
    struct script_vm *vms;
    struct script_limits limits;
};

int script_engine_new(struct script_engine **out, const struct script_limits *limits)
{
    struct script_engine *e = xzalloc(sizeof(*e));

    pthread_mutex_init(&e->deploying, NULL);
    lock_init(&e->lock, RANK_SCRIPTS);
    e->limits = *limits;
    *out = e;
    return 0;
}

void script_engine_free(struct script_engine *e)
{
    struct deployed *d, *tmp;

    HASH_ITER (hh, e->table, d, tmp) {
        HASH_DEL(e->table, d);
        script_bundle_unref(d->now);
        if (d->before)
            script_bundle_unref(d->before);
        free(d->name);
        free(d);
    }
    lock_release(&e->lock);
    pthread_mutex_destroy(&e->deploying);
    free(e);
}

void script_engine_set_limits(struct script_engine *e, const struct script_limits *limits)
{
    lock_take(&e->lock);
    e->limits = *limits;
    lock_drop(&e->lock);
}

/* ---- the table ---------------------------------------------------------------------------- */

static struct deployed *find(const struct script_engine *e, struct tl_str name)
{
    struct deployed *d;

    HASH_FIND(hh, e->table, name.data, name.len, d);
    return d;
}

struct script_bundle *script_find(struct script_engine *e, struct tl_str name)
{
    lock_take(&e->lock);
    struct deployed *d = name.len ? find(e, name) : NULL;
    struct script_bundle *b = d ? script_bundle_ref(d->now) : NULL;
    lock_drop(&e->lock);
    return b;
}

static int compare_names(const void *x, const void *y)
{
    struct script_bundle *const *a = x, *const *b = y;
    return strcmp((*a)->name, (*b)->name);
}

void script_each(struct script_engine *e, void (*cb)(void *arg, struct script_bundle *b),
                 void *arg)
{
    struct deployed *d, *tmp;
    size_t n = 0;

    lock_take(&e->lock);
    struct script_bundle **list = xcalloc(HASH_COUNT(e->table) + 1, sizeof(*list));
    HASH_ITER (hh, e->table, d, tmp) {
        list[n++] = script_bundle_ref(d->now);
    }
    lock_drop(&e->lock);
    if (n)
        qsort(list, n, sizeof(*list), compare_names);
    for (size_t i = 0; i < n; i++) {
        cb(arg, list[i]);
        script_bundle_unref(list[i]);
    }
    free(list);
}

/* ---- one state ---------------------------------------------------------------------------- */

/* Put @p in force on @vm in place of what has its name; NULL only removes. */
static void install(struct script_vm *vm, struct tl_str name, struct prepared *p)
{
    struct prepared *old;

    HASH_FIND(hh, vm->prepared, name.data, name.len, old);
    if (old) {
        HASH_DEL(vm->prepared, old);
        bundle_unprepare(vm, old);
    }
    if (p)
        HASH_ADD_KEYPTR(hh, vm->prepared, p->bundle->name, strlen(p->bundle->name), p);
    vm->epoch++;
}

static int prepare_all(struct script_vm *vm)
{
    struct script_engine *e = vm->engine;
    struct deployed *d, *tmp;
    int rc = 0;

    HASH_ITER (hh, e->table, d, tmp) {
        struct prepared *p;
        if (!rc && (rc = bundle_prepare(vm, d->now, false, &p)) == 0)
            install(vm, tl_str_of(d->name), p);
    }
    return rc;
}

int script_vm_new(struct script_vm **out, struct script_engine *e, struct reactor *r)
{
    struct script_vm *vm = xzalloc(sizeof(*vm));

    vm->engine = e;
    vm->reactor = r;
    pthread_mutex_lock(&e->deploying);
    vm->limits = e->limits;
    int rc = vm_open(vm);
    if (!rc)
        rc = prepare_all(vm);
    if (!rc) {
        lock_take(&e->lock);
        vm->next = e->vms;
        e->vms = vm;
        lock_drop(&e->lock);
    }
    pthread_mutex_unlock(&e->deploying);
    if (rc) {
        script_vm_free(vm);
        return rc;
    }
    *out = vm;
    return 0;
}

void script_vm_forget(struct script_vm *vm, uint64_t binding_id)
{
    struct vm_binding *b;

    HASH_FIND(hh, vm->bindings, &binding_id, sizeof(binding_id), b);
    if (!b)
        return;
    HASH_DEL(vm->bindings, b);
    luaL_unref(vm->L, LUA_REGISTRYINDEX, b->args_ref);
    free(b);
}

void script_vm_free(struct script_vm *vm)
{
    struct script_engine *e = vm->engine;
    struct prepared *p, *tmp;
    struct vm_binding *b, *btmp;

    lock_take(&e->lock);
    for (struct script_vm **at = &e->vms; *at; at = &(*at)->next) {
        if (*at == vm) {
            *at = vm->next;
            break;
        }
    }
    lock_drop(&e->lock);
    HASH_ITER (hh, vm->bindings, b, btmp) {
        script_vm_forget(vm, b->id);
    }
    HASH_ITER (hh, vm->prepared, p, tmp) {
        HASH_DEL(vm->prepared, p);
        bundle_unprepare(vm, p);
    }
    vm_shut(vm);
    free(vm);
}

/* ---- two phases --------------------------------------------------------------------------- */

/* What one state is asked to do; counted by the asker and the state, since the asker may give up waiting. */
struct job {
    struct mail mail;
    struct script_vm *vm;
    struct script_bundle *bundle; /* counted; NULL: remove */
    char *name;
    struct prepared *made;
    struct round *round;
};

/* One phase over all states. */
struct round {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    int waiting, refs;
    bool abandoned;
    struct tl_error error;
};

static struct round *round_new(int n)
{
    struct round *r = xzalloc(sizeof(*r));
    pthread_condattr_t mono;

    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->cond, &mono);
    pthread_condattr_destroy(&mono);
    r->waiting = n;
    r->refs = n + 1;
    return r;
}

/* One reference less; @lock held, dropped here. */
static void round_leave(struct round *r)
{
    bool last = --r->refs == 0;

    pthread_mutex_unlock(&r->lock);
    if (!last)
        return;
    pthread_cond_destroy(&r->cond);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static void job_free(struct job *j)
{
    if (j->bundle)
        script_bundle_unref(j->bundle);
    free(j->name);
    free(j);
}

static void prepare_run(struct mail *m)
{
    struct job *j = (struct job *)m;
    struct round *r = j->round;
    int rc = bundle_prepare(j->vm, j->bundle, false, &j->made);

    pthread_mutex_lock(&r->lock);
    if (rc && !r->error.code)
        tl_error_save(&r->error, rc);
    bool late = r->abandoned;
    r->waiting--;
    pthread_cond_signal(&r->cond);
    round_leave(r);
    if (late) { /* nobody will ask for it any more */
        if (j->made)
            bundle_unprepare(j->vm, j->made);
        job_free(j);
    }
}

static void swap_run(struct mail *m)
{
    struct job *j = (struct job *)m;

    install(j->vm, tl_str_of(j->name), j->made);
    job_free(j);
}

static void drop_run(struct mail *m)
{
    struct job *j = (struct job *)m;

    if (j->made)
        bundle_unprepare(j->vm, j->made);
    job_free(j);
}

static void post(struct job *j, void (*run)(struct mail *m))
{
    j->mail.run = run;
    if (j->vm->reactor && !reactor_is_own(j->vm->reactor))
        reactor_post(j->vm->reactor, &j->mail);
    else
        run(&j->mail);
}

static int round_wait(struct round *r)
{
    struct timespec until;
    int rc = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ANSWER_MS / 1000;
    pthread_mutex_lock(&r->lock);
    while (r->waiting > 0 && rc == 0)
        rc = pthread_cond_timedwait(&r->cond, &r->lock, &until);
    if (r->waiting > 0) {
        r->abandoned = true;
        rc =
            tl_fail(TL_ETIMEOUT, "a thread did not prepare the script within %d ms", ANSWER_MS);
    } else {
        rc = r->error.code ? tl_error_raise(&r->error) : 0;
    }
    round_leave(r);
    return rc;
}

static int list_vms(struct script_engine *e, struct script_vm **out)
{
    int n = 0;

    lock_take(&e->lock);
    for (struct script_vm *vm = e->vms; vm && n < SCRIPT_VMS_MAX; vm = vm->next)
        out[n++] = vm;
    lock_drop(&e->lock);
    return n;
}

static struct job *job_new(struct script_vm *vm, struct script_bundle *b, struct tl_str name)
{
    struct job *j = xzalloc(sizeof(*j));

    j->vm = vm;
    j->bundle = b ? script_bundle_ref(b) : NULL;
    j->name = xstrndup(name.data, name.len);
    return j;
}

/* Prepare @b on every state; when all could, put it in force on all, else on none. */
static int spread(struct script_engine *e, struct script_bundle *b)
{
    struct script_vm *vms[SCRIPT_VMS_MAX];
    struct job *jobs[SCRIPT_VMS_MAX];
    int n = list_vms(e, vms);
    struct round *r = round_new(n);

    for (int i = 0; i < n; i++) {
        jobs[i] = job_new(vms[i], b, tl_str_of(b->name));
        jobs[i]->round = r;
    }
    for (int i = 0; i < n; i++)
        post(jobs[i], prepare_run);
    int rc = round_wait(r);
    if (rc == TL_ETIMEOUT)
        return rc; /* each state drops its own when it comes to it */
    struct tl_error why;
    tl_error_save(&why, rc);
    for (int i = 0; i < n; i++)
        post(jobs[i], rc ? drop_run : swap_run);
    return rc ? tl_error_raise(&why) : 0;
}

static void withdraw(struct script_engine *e, struct tl_str name)
{
    struct script_vm *vms[SCRIPT_VMS_MAX];
    int n = list_vms(e, vms);

    for (int i = 0; i < n; i++)
        post(job_new(vms[i], NULL, name), swap_run);
}

/* ---- deployment --------------------------------------------------------------------------- */

static int check_name(struct tl_str name)
{
    bool ok = name.len > 0 && name.len <= SCRIPT_NAME_MAX;

    for (size_t i = 0; ok && i < name.len; i++) {
        unsigned char c = (unsigned char)name.data[i];
        ok = ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    }
    return ok ? 0
              : tl_fail(TL_EINVAL,
                        "script name \"%.*s\": expected 1 to %d letters, digits, '_' or '-'",
                        TL_STR_ARG(name), SCRIPT_NAME_MAX);
}

/* Compile and look at it in a state that is thrown away. */
static int try_out(const struct script_engine *e, struct script_bundle *b)
{
    struct script_vm scratch = {.limits = e->limits};
    struct prepared *p;
    int rc = vm_open(&scratch);

    if (rc)
        return rc;
    rc = bundle_prepare(&scratch, b, true, &p);
    if (!rc)
        bundle_unprepare(&scratch, p);
    vm_shut(&scratch);
    return rc;
}

/* The table's entry gets @b (taken) as current; the former current one is kept as the one before. */
static void record(struct script_engine *e, struct script_bundle *b)
{
    struct tl_str name = tl_str_of(b->name);

    lock_take(&e->lock);
    struct deployed *d = find(e, name);
    if (!d) {
        d = xzalloc(sizeof(*d));
        d->name = xstrndup(name.data, name.len);
        HASH_ADD_KEYPTR(hh, e->table, d->name, name.len, d);
    }
    if (d->before)
        script_bundle_unref(d->before);
    d->before = d->now;
    d->now = b;
    lock_drop(&e->lock);
}

static int deploy(struct script_engine *e, struct script_bundle *b)
{
    struct script_bundle *now = script_find(e, tl_str_of(b->name));
    bool same = now && now->hash == b->hash && now->source_len == b->source_len;
    int rc = same ? 0 : try_out(e, b);

    if (now)
        script_bundle_unref(now);
    if (!rc && !same)
        rc = spread(e, b);
    if (!rc && !same)
        record(e, script_bundle_ref(b));
    return rc;
}

int script_deploy(struct script_engine *e, struct tl_str name, struct tl_str source)
{
    int rc = check_name(name);

    if (!rc && source.len > SCRIPT_SOURCE_MAX)
        rc = tl_fail(TL_ELIMIT, "script %.*s: %zu bytes, at most %d", TL_STR_ARG(name),
                     source.len, SCRIPT_SOURCE_MAX);
    if (!rc && source.len && source.data[0] == '\033')
        rc = tl_fail(TL_ESCRIPT, "script %.*s: bytecode is not taken, only source",
                     TL_STR_ARG(name));
    if (rc)
        return rc;
    struct script_bundle *b = bundle_new(name, source);
    pthread_mutex_lock(&e->deploying);
    rc = deploy(e, b);
    pthread_mutex_unlock(&e->deploying);
    script_bundle_unref(b);
    return rc;
}

int script_rollback(struct script_engine *e, struct tl_str name)
{
    pthread_mutex_lock(&e->deploying);
    lock_take(&e->lock);
    struct deployed *d = find(e, name);
    struct script_bundle *before = d && d->before ? script_bundle_ref(d->before) : NULL;
    lock_drop(&e->lock);
    int rc = before
                 ? spread(e, before)
                 : tl_fail(TL_ENOTFOUND, "script %.*s has no version before", TL_STR_ARG(name));
    if (!rc)
        record(e, script_bundle_ref(before));
    pthread_mutex_unlock(&e->deploying);
    if (before)
        script_bundle_unref(before);
    return rc;
}

int script_delete(struct script_engine *e, struct tl_str name)
{
    pthread_mutex_lock(&e->deploying);
    lock_take(&e->lock);
    struct deployed *d = find(e, name);
    if (d)
        HASH_DEL(e->table, d);
    lock_drop(&e->lock);
    if (d)
        withdraw(e, name);
    pthread_mutex_unlock(&e->deploying);
    if (!d)
        return tl_fail(TL_ENOTFOUND, "no script named %.*s is deployed", TL_STR_ARG(name));
    script_bundle_unref(d->now);
    if (d->before)
        script_bundle_unref(d->before);
    free(d->name);
    free(d);
    return 0;
}
