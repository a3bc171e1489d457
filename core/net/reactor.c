#include "net/reactor.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "net/input.h"
#include "net/wheel.h"

struct reactor {
    char name[32];
    pthread_t thread;
    struct event_base *base;
    struct event *wake, *limit; /* the eventfd; the end of a wait */
    int wake_fd;
    struct mailbox mail;
    _Atomic bool stopping;
    struct timer_wheel wheel;
    int64_t now_ms;
    _Atomic uint64_t turns;
    struct turn_hook *hooks[TURN_ORDERS];
    struct turn_hook *next_turn; /* input that is to go on */
    void *local;
    uint8_t *scratch;
    struct bufpool buffers;
};

static _Thread_local struct reactor *current;

/* Ending the wait is all they are for: the turn looks at the mailbox and the timers anyway. */
static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    uint64_t n;

    (void)what;
    (void)arg;
    while (read(fd, &n, sizeof(n)) < 0 && errno == EINTR)
        ;
}

static void on_limit(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

static int make_events(struct reactor *r)
{
    struct event_config *config = event_config_new();

    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    r->base = event_base_new_with_config(config);
    event_config_free(config);
    if (!r->base)
        return tl_fail(TL_ENOMEM, "reactor %s: no event base", r->name);
    r->wake = event_new(r->base, r->wake_fd, EV_READ | EV_PERSIST, on_wake, r);
    r->limit = evtimer_new(r->base, on_limit, r);
    if (!r->wake || !r->limit || event_add(r->wake, NULL))
        return tl_fail(TL_ENOMEM, "reactor %s: no event", r->name);
    return 0;
}

int reactor_new(struct reactor **out, const char *name)
{
    struct reactor *r = xzalloc(sizeof(*r));

    snprintf(r->name, sizeof(r->name), "%s", name);
    mailbox_init(&r->mail);
    r->now_ms = clock_mono_ms();
    timer_wheel_init(&r->wheel, r->now_ms);
    r->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int rc = r->wake_fd < 0 ? tl_fail_errno(TL_EIO, errno, "reactor %s: eventfd", name)
                            : make_events(r);
    if (rc) {
        reactor_free(r);
        return rc;
    }
    *out = r;
    return 0;
}

static void *thread_main(void *arg)
{
    reactor_run(arg);
    return NULL;
}

int reactor_start(struct reactor **out, const char *name, enum thread_role role)
{
    int rc = reactor_new(out, name);

    if (rc)
        return rc;
    rc = thread_start(&(*out)->thread, name, role, thread_main, *out);
    if (rc)
        reactor_free(*out);
    return rc;
}

/* The first scheduled hook of the lowest order, until there is none. */
static void run_hooks(struct reactor *r)
{
    for (int order = 0; order < TURN_ORDERS;) {
        struct turn_hook *h = r->hooks[order];
        if (!h) {
            order++;
            continue;
        }
        r->hooks[order] = h->next;
        h->scheduled = false;
        h->run(h);
        order = 0; /* it may have scheduled one of a lower order */
    }
}

static void run_next_turn(struct reactor *r)
{
    struct turn_hook *list = r->next_turn, *h;

    r->next_turn = NULL;
    while ((h = list) != NULL) {
        list = h->next;
        h->scheduled = false;
        h->run(h);
    }
}

static void wait_for_events(struct reactor *r)
{
    int64_t ms = timer_wheel_next(&r->wheel, clock_mono_ms());

    if (r->next_turn || !mailbox_empty(&r->mail) || ms == 0) {
        /* NONBLOCK alone goes round until nothing is active, which a readable socket whose turn is over never lets happen. */
        event_base_loop(r->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        return;
    }
    if (ms > 0) {
        struct timeval limit = {ms / 1000, ms % 1000 * 1000};
        event_add(r->limit, &limit);
    }
    event_base_loop(r->base, EVLOOP_ONCE);
}

static void turn(struct reactor *r)
{
    wait_for_events(r);
    r->now_ms = clock_mono_ms();
    mail_run_all(mailbox_take(&r->mail));
    run_next_turn(r);
    timer_wheel_run(&r->wheel, r->now_ms);
    run_hooks(r);
    atomic_fetch_add_explicit(&r->turns, 1, memory_order_relaxed);
}

void reactor_run(struct reactor *r)
{
    current = r;
    while (!atomic_load_explicit(&r->stopping, memory_order_acquire) ||
           !mailbox_empty(&r->mail))
        turn(r);
    current = NULL;
}

static void wake_up(struct reactor *r)
{
    uint64_t one = 1;

    while (write(r->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

void reactor_stop(struct reactor *r)
{
    atomic_store_explicit(&r->stopping, true, memory_order_release);
    wake_up(r);
}

void reactor_join(struct reactor *r)
{
    pthread_join(r->thread, NULL);
}

void reactor_free(struct reactor *r)
{
    struct reactor *before = current;

    current = r; /* what is left over believes to be at home */
    do {
        mail_run_all(mailbox_take(&r->mail));
        run_next_turn(r);
        run_hooks(r);
    } while (!mailbox_empty(&r->mail));
    current = before;
    if (r->wake)
        event_free(r->wake);
    if (r->limit)
        event_free(r->limit);
    if (r->base)
        event_base_free(r->base);
    if (r->wake_fd >= 0)
        close(r->wake_fd);
    bufpool_release(&r->buffers);
    free(r->scratch);
    free(r);
}

void reactor_post(struct reactor *r, struct mail *m)
{
    if (mailbox_push(&r->mail, m) && current != r)
        wake_up(r);
}

/* ---- reactor_call ------------------------------------------------------------------------- */

struct call {
    struct mail mail;
    void (*fn)(void *arg);
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t done_cond;
    bool done;
};

static void call_run(struct mail *m)
{
    struct call *c = (struct call *)m;

    c->fn(c->arg);
    pthread_mutex_lock(&c->lock);
    c->done = true;
    pthread_cond_signal(&c->done_cond);
    pthread_mutex_unlock(&c->lock);
}

void reactor_call(struct reactor *r, void (*fn)(void *arg), void *arg)
{
    struct call c = {.mail.run = call_run, .fn = fn, .arg = arg};

    assert(current != r);
    pthread_mutex_init(&c.lock, NULL);
    pthread_cond_init(&c.done_cond, NULL);
    reactor_post(r, &c.mail);
    pthread_mutex_lock(&c.lock);
    while (!c.done)
        pthread_cond_wait(&c.done_cond, &c.lock);
    pthread_mutex_unlock(&c.lock);
    pthread_cond_destroy(&c.done_cond);
    pthread_mutex_destroy(&c.lock);
}

/* ---- small ones --------------------------------------------------------------------------- */

bool reactor_is_own(const struct reactor *r)
{
    return current == r;
}

struct reactor *reactor_current(void)
{
    return current;
}

int64_t reactor_now_ms(const struct reactor *r)
{
    return r->now_ms;
}

struct event_base *reactor_base(struct reactor *r)
{
    return r->base;
}

uint64_t reactor_turns(const struct reactor *r)
{
    return atomic_load_explicit(&r->turns, memory_order_relaxed);
}

void reactor_at_turn_end(struct reactor *r, enum turn_order order, struct turn_hook *h)
{
    assert(current == r);
    if (h->scheduled)
        return;
    h->scheduled = true;
    h->next = NULL;
    struct turn_hook **end = &r->hooks[order];
    while (*end)
        end = &(*end)->next;
    *end = h;
}

void reactor_next_turn(struct reactor *r, struct turn_hook *h)
{
    assert(current == r);
    if (h->scheduled)
        return;
    h->scheduled = true;
    h->next = r->next_turn;
    r->next_turn = h;
}

void reactor_set_local(struct reactor *r, void *local)
{
    r->local = local;
}

void *reactor_local(const struct reactor *r)
{
    return r->local;
}

struct timer_wheel *reactor_wheel(struct reactor *r)
{
    return &r->wheel;
}

uint8_t *reactor_scratch(struct reactor *r)
{
    if (!r->scratch)
        r->scratch = xmalloc(REACTOR_SCRATCH);
    return r->scratch;
}

struct bufpool *reactor_buffers(struct reactor *r)
{
    return &r->buffers;
}
