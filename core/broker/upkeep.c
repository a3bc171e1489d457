#include "broker/upkeep.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "broker/broker.h"
#include "broker/clients.h"
#include "broker/groups.h"
#include "broker/offsets.h"
#include "broker/topics.h"
#include "broker/traffic.h"
#include "net/timer.h"
#include "store/retain.h"
#include "store/store.h"

enum {
    SAVE_MS = 1000,    /* topics and groups that changed without a client waiting */
    EXPIRE_MS = 10000, /* look for silent clients */
    OVERDUE_MS = 100,  /* SYNC_FLUSH: look for sends that wait for too long */
};

struct upkeep {
    struct mail cleaned; /* first: comes home from the workers */
    struct mail clean_job;
    struct broker *b;
    struct timer save, offsets, expire, clean, overdue;
    bool cleaning, stopping;
    pthread_mutex_t lock;
    pthread_cond_t idle; /* no round under way */
};

#define OWNER(member, p) ((struct upkeep *)((char *)(p)-offsetof(struct upkeep, member)))

static void save_fire(struct timer *t)
{
    struct upkeep *u = OWNER(save, t);

    topics_persist(u->b->topics);
    groups_persist(u->b->groups);
    traffic_sample(u->b->traffic, clock_now_ms());
    timer_set(u->b->svc, t, SAVE_MS);
}

static void offsets_fire(struct timer *t)
{
    struct upkeep *u = OWNER(offsets, t);

    offsets_persist(u->b->offsets);
    timer_set(u->b->svc, t, u->b->conf->flush_consumer_offset_interval);
}

static void expire_fire(struct timer *t)
{
    struct upkeep *u = OWNER(expire, t);

    clients_expire(u->b->clients, u->b->conf->channel_expired_timeout);
    timer_set(u->b->svc, t, EXPIRE_MS);
}

static void overdue_fire(struct timer *t)
{
    struct upkeep *u = OWNER(overdue, t);

    store_flush_overdue(u->b->store, u->b->conf->sync_flush_timeout);
    timer_set(u->b->svc, t, OVERDUE_MS);
}

/* ---- cleaning ----------------------------------------------------------------------------- */

static void clean_run(struct mail *m)
{
    struct upkeep *u = OWNER(clean_job, m);

    store_retain(u->b->store);
    pthread_mutex_lock(&u->lock);
    u->cleaning = false;
    if (!u->stopping)
        reactor_post(u->b->svc, &u->cleaned);
    pthread_cond_signal(&u->idle);
    pthread_mutex_unlock(&u->lock);
}

static void clean_done(struct mail *m)
{
    struct upkeep *u = (struct upkeep *)m;

    if (!u->stopping) /* written on this reactor */
        timer_set(u->b->svc, &u->clean, u->b->conf->clean_resource_interval);
}

static void clean_fire(struct timer *t)
{
    struct upkeep *u = OWNER(clean, t);

    pthread_mutex_lock(&u->lock);
    u->cleaning = true;
    pthread_mutex_unlock(&u->lock);
    workers_run(u->b->workers, &u->clean_job);
}

/* ---- life --------------------------------------------------------------------------------- */

static void begin(void *arg)
{
    struct upkeep *u = arg;

    timer_set(u->b->svc, &u->save, SAVE_MS);
    timer_set(u->b->svc, &u->offsets, u->b->conf->flush_consumer_offset_interval);
    timer_set(u->b->svc, &u->expire, EXPIRE_MS);
    if (tl_str_eq_nocase(u->b->conf->flush_disk_type, TL_STR("SYNC_FLUSH")))
        timer_set(u->b->svc, &u->overdue, OVERDUE_MS);
    timer_set(u->b->svc, &u->clean,
              0); /* a disk that is full already is known before the first send */
}

static void end(void *arg)
{
    struct upkeep *u = arg;

    pthread_mutex_lock(&u->lock);
    u->stopping = true;
    pthread_mutex_unlock(&u->lock);
    timer_clear(u->b->svc, &u->save);
    timer_clear(u->b->svc, &u->offsets);
    timer_clear(u->b->svc, &u->expire);
    timer_clear(u->b->svc, &u->clean);
    timer_clear(u->b->svc, &u->overdue);
}

struct upkeep *upkeep_start(struct broker *b)
{
    struct upkeep *u = xzalloc(sizeof(*u));

    u->b = b;
    u->cleaned.run = clean_done;
    u->clean_job.run = clean_run;
    pthread_mutex_init(&u->lock, NULL);
    pthread_cond_init(&u->idle, NULL);
    timer_init(&u->save, save_fire);
    timer_init(&u->offsets, offsets_fire);
    timer_init(&u->expire, expire_fire);
    timer_init(&u->clean, clean_fire);
    timer_init(&u->overdue, overdue_fire);
    reactor_call(b->svc, begin, u);
    return u;
}

static void nothing(void *arg)
{
    (void)arg;
}

void upkeep_stop(struct upkeep *u)
{
    reactor_call(u->b->svc, end, u);
    pthread_mutex_lock(&u->lock);
    while (u->cleaning)
        pthread_cond_wait(&u->idle, &u->lock);
    pthread_mutex_unlock(&u->lock);
    reactor_call(u->b->svc, nothing,
                 NULL); /* a round's mail home, posted before, has been run */
    pthread_cond_destroy(&u->idle);
    pthread_mutex_destroy(&u->lock);
    free(u);
}
