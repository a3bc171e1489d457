#include "broker/broker.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/clients.h"
#include "broker/groups.h"
#include "broker/hold.h"
#include "broker/offsets.h"
#include "broker/pull.h"
#include "broker/registrar.h"
#include "broker/routes.h"
#include "broker/schedule.h"
#include "broker/scripts.h"
#include "broker/send.h"
#include "broker/topics.h"
#include "broker/traffic.h"
#include "broker/txn.h"
#include "broker/upkeep.h"
#include "proto/code.h"
#include "proto/flags.h"
#include "proto/names.h"
#include "store/store.h"

#undef LOG_MODULE
#define LOG_MODULE "broker"

enum {
    DRAIN_MS = 3000,         /* at stop, for requests under way */
    REGISTER_WAIT_MS = 1000, /* at start, for the first registration */
    ADOPTED_QUEUES = 4,         /* what an automatically created topic has */
    IDLE_MS = 1000,          /* scripts' garbage collection */
};

struct io_service {
    struct broker_io *io;
    struct timer idle;
};

struct broker_private {
    struct broker pub; /* first */
    struct upkeep *upkeep;
    struct schedule_replay replay;
    struct io_service io_service[BROKER_IO_MAX];
    char *config_dir;
    char ip[64];
};

static struct broker_private *private_of(struct broker *b)
{
    return (struct broker_private *)b;
}

const char *broker_ip(const struct broker *b)
{
    return ((const struct broker_private *)b)->ip;
}

/* ---- reactors ----------------------------------------------------------------------------- */

static void idle_fire(struct timer *t)
{
    struct io_service *s = (struct io_service *)((char *)t - offsetof(struct io_service, idle));

    script_vm_idle(s->io->vm);
    timer_set(s->io->reactor, t, IDLE_MS);
}

struct io_begin {
    struct broker_io *io;
    int rc;
    struct tl_error why;
};

/* On the reactor itself: its Lua state, its stage, its parked pulls. */
static void io_begin(void *arg)
{
    struct io_begin *a = arg;
    struct broker_io *io = a->io;
    struct broker *b = io->broker;
    uint8_t ip[4];

    memcpy(ip, b->host.ip, sizeof(ip)); /* of an IPv6 host the first four bytes */
    reactor_set_local(io->reactor, io);
    a->rc = script_vm_new(&io->vm, b->engine, io->reactor);
    if (a->rc) {
        tl_error_save(&a->why, a->rc);
        return;
    }
    io->send = send_stage_new(io);
    io->hold = hold_new(io, pull_resume);
    msgid_maker_init(&io->ids, ip, (uint32_t)clock_mono_ns() + (uint32_t)io->index);
}

static void io_end(void *arg)
{
    struct broker_io *io = arg;

    if (!io->vm)
        return;
    hold_free(io->hold);
    send_stage_free(io->send);
    script_vm_free(io->vm);
    snapshot_cache_release(&io->topics);
    snapshot_cache_release(&io->groups);
    snapshot_cache_release(&io->bindings);
    io->vm = NULL;
}

static void io_leave(void *arg)
{
    struct broker_io *io = arg;

    io->leaving = true;
    hold_expire_all(io->hold);
}

static int io_start(struct broker *b, int index)
{
    char name[16];
    struct broker_io *io = &b->io_state[index];
    int rc;

    snprintf(name, sizeof(name), "io-%d", index);
    if ((rc = reactor_start(&b->io[index], name, ROLE_IO)) != 0)
        return rc;
    b->io_count = index + 1;
    *io = (struct broker_io){.broker = b, .reactor = b->io[index], .index = index};
    struct io_begin begin = {.io = io};
    reactor_call(io->reactor, io_begin, &begin);
    return begin.rc ? tl_error_raise(&begin.why) : 0;
}

/* serverSelectorThreads; 0 = one on up to two processors, else half of them. */
static int io_wanted(const struct broker_conf *conf)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    int n = conf->server_selector_threads;

    if (n == 0)
        n = cpus <= 2 ? 1 : (int)(cpus / 2);
    return n > BROKER_IO_MAX ? BROKER_IO_MAX : n;
}

/* ---- parts -------------------------------------------------------------------------------- */

static void on_disconnect(void *ctx, struct conn *c)
{
    struct broker *b = ctx;

    hold_drop_conn(broker_io(b)->hold, c);
    clients_disconnect(b->clients, c);
}

static void on_arrival(void *arg, struct consumequeue *q, int64_t end)
{
    hold_arrived(arg, q, end);
}

static void on_replay(void *arg, const struct record *r)
{
    schedule_replayed(&private_of(arg)->replay, r);
}

static void on_fatal(void *arg, const char *text)
{
    struct broker *b = arg;
    b->on_fatal(b->fatal_arg, text);
}

struct save_topics {
    struct mail mail;
    struct broker *b;
};

static void save_topics_run(struct mail *m)
{
    struct save_topics *s = (struct save_topics *)m;

    topics_persist(s->b->topics);
    free(s);
}

/* A topic somebody just sent to is saved at once, not with the next round. */
static void on_topics_change(void *arg, const char *topic)
{
    struct broker *b = arg;
    struct save_topics *s = xmalloc(sizeof(*s));

    (void)topic;
    *s = (struct save_topics){.mail.run = save_topics_run, .b = b};
    reactor_post(b->svc, &s->mail);
    if (b->registrar)
        registrar_touch(b->registrar);
}

/* Queues by topic, of topics that have messages. */
static void count_queues(void *arg, struct consumequeue *q)
{
    json_t *found = arg;
    struct tl_str topic = store_queue_topic(q);
    json_int_t n = json_integer_value(json_object_getn(found, topic.data, topic.len));

    if (store_queue_id(q) >= n)
        json_object_setn_new(found, topic.data, topic.len, json_integer(store_queue_id(q) + 1));
}

/* A topic whose messages outlived its settings (a crash right after the first send) gets default ones. */
static void adopt_topics(struct broker *b)
{
    json_t *found = json_object(), *n;
    const char *name;

    store_each_queue(b->store, count_queues, found);
    json_object_foreach(found, name, n)
    {
        struct tl_str topic = tl_str_of(name);
        struct topic_config known;
        if (topics_copy(b->topics, topic, &known)) {
            topic_config_release(&known);
            continue;
        }
        bool inner = names_is_retry(topic) || names_is_dlq(topic);
        int32_t queues = (int32_t)json_integer_value(n), least = inner ? 1 : ADOPTED_QUEUES;
        log_warn("topic has messages but no settings: taken up topic=%s queues=%d", name, queues > least ? queues : least);
        topics_ensure(b->topics, topic, queues > least ? queues : least, PERM_READ | PERM_WRITE, false, 0);
    }
    json_decref(found);
}

static void on_progress(void *arg, const char *what, int64_t done, int64_t total)
{
    (void)arg;
    log_info("%s done_mb=%lld total_mb=%lld percent=%d", what, (long long)(done >> 20),
             (long long)(total >> 20), total > 0 ? (int)(done * 100 / total) : 100);
}

static int32_t clamped(int32_t n, int32_t min, int32_t max)
{
    return n < min ? min : n > max ? max : n;
}

/* With the bounds RocketMQ puts on the ratios. */
static struct retain_opts retention(const struct broker_conf *conf)
{
    struct retain_opts r = {
        .reserved_ms = (int64_t)conf->file_reserved_time * 3600 * 1000,
        .max_ratio = clamped(conf->disk_max_used_space_ratio, 10, 95),
        .forced_ratio = clamped(conf->disk_space_clean_forcibly_ratio, 30, 85),
        .warning_ratio = clamped(conf->disk_space_warning_level_ratio, 35, 90),
        .forcibly = conf->clean_file_forcibly_enable,
        .reserved_bytes = conf->disk_reserved_bytes,
        .batch_max = conf->delete_file_batch_max,
        .pause_ms = conf->delete_commit_log_files_interval,
    };
    retain_hours(conf->delete_when.data ? conf->delete_when.data : "", &r.hours); /* checked */
    return r;
}

static int store_begin(struct broker *b)
{
    const struct broker_conf *conf = b->conf;
    struct store_opts opts = {
        .root_dir = conf->store_path_root_dir.data,
        .log_dir = conf->store_path_commit_log.len ? conf->store_path_commit_log.data : NULL,
        .log_file_bytes = conf->mapped_file_size_commit_log,
        .queue_file_bytes = conf->mapped_file_size_consume_queue,
        .index_slots = conf->max_hash_slot_num,
        .index_entries = conf->message_index_enable ? conf->max_index_num : 0,
        .flush_sync = tl_str_eq_nocase(conf->flush_disk_type, TL_STR("SYNC_FLUSH")),
        .flush_interval_ms = conf->flush_interval_commit_log,
        .queue_flush_interval_ms = conf->flush_interval_consume_queue,
        .check_crc = conf->check_crc_on_recover,
        .cut_damage = conf->truncate_damaged_log,
        .retain = retention(conf),
        .on_arrival = on_arrival,
        .on_replay = on_replay,
        .on_fatal = on_fatal,
        .on_progress = on_progress,
        .arg = b,
    };
    int levels = broker_conf_delay_levels(conf, opts.delay_level_ms, STORE_DELAY_LEVELS_MAX);

    if (levels < 0)
        return -levels;
    opts.delay_levels = b->delay_levels = levels;
    return store_open(&b->store, &opts);
}

static void list_offset(void *arg, struct tl_str topic, struct tl_str group, int32_t queue_id,
                        int64_t offset)
{
    json_array_append_new(arg, json_pack("{s:s%,s:s%,s:i,s:I}", "topic", topic.data, topic.len,
                                         "group", group.data, group.len, "queue", queue_id,
                                         "offset", (json_int_t)offset));
}

/*
 * A power cut with ASYNC_FLUSH may take messages that were consumed already.  Their offsets are given again, and a group must
 * not believe that it has had those.
 */
static void pull_back_offsets(struct broker *b)
{
    struct store_state state;
    json_t *list = json_array(), *o;
    size_t i;

    store_state(b->store, &state);
    if (!state.clean_start)
        offsets_each(b->offsets, list_offset, list);
    json_array_foreach(list, i, o)
    {
        struct tl_str topic = json_get_str(o, "topic"), group = json_get_str(o, "group");
        int32_t queue_id = json_get_i32(o, "queue", 0);
        int64_t offset = json_get_i64(o, "offset", 0), min, max;
        store_queue_bounds(b->store, topic, queue_id, &min, &max);
        if (offset <= max)
            continue;
        log_warn("consumer offset was behind the end group=%.*s topic=%.*s queue=%d from=%lld to=%lld",
                 TL_STR_ARG(group), TL_STR_ARG(topic), queue_id, (long long)offset,
                 (long long)max);
        offsets_commit(b->offsets, group, topic, queue_id, max);
    }
    json_decref(list);
}

static int tables_begin(struct broker *b)
{
    const char *dir = private_of(b)->config_dir;
    int rc;

    if ((rc = fs_mkdirs(dir)) || (rc = topics_open(&b->topics, b->conf, dir)) ||
        (rc = groups_open(&b->groups, b->conf, dir)) || (rc = offsets_open(&b->offsets, dir)))
        return rc;
    adopt_topics(b);
    pull_back_offsets(b);
    b->clients = clients_new();
    b->traffic = traffic_new();
    return 0;
}

static int scripts_begin(struct broker *b)
{
    struct script_limits limits = {
        .instructions = b->conf->script_instruction_limit,
        .time_us = b->conf->script_time_limit_micros,
        .memory_bytes = b->conf->script_memory_limit,
    };
    int rc = script_engine_new(&b->engine, &limits);
    return rc ? rc : scripts_open(&b->scripts, b, private_of(b)->config_dir);
}

static int threads_begin(struct broker *b)
{
    int rc, n = io_wanted(b->conf);

    if ((rc = workers_start(&b->workers, "work", b->conf->admin_broker_thread_pool_nums)) ||
        (rc = reactor_start(&b->svc, "svc", ROLE_SVC)))
        return rc;
    for (int i = 0; i < n; i++) {
        if ((rc = io_start(b, i)) != 0)
            return rc;
    }
    return 0;
}

static void idle_begin(void *arg)
{
    struct io_service *s = arg;

    timer_init(&s->idle, idle_fire);
    timer_set(s->io->reactor, &s->idle, IDLE_MS);
}

static void idle_end(void *arg)
{
    struct io_service *s = arg;
    timer_clear(s->io->reactor, &s->idle);
}

static int server_begin(struct broker *b)
{
    const struct broker_conf *conf = b->conf;
    struct addr bind = {0}, vip;
    int rc;

    if ((rc = route_table_new(&b->routes, broker_routes, broker_routes_count)) != 0)
        return rc;
    struct tl_str address = conf->bind_address.len ? conf->bind_address : TL_STR("0.0.0.0");
    char *text = xasprintf(memchr(address.data, ':', address.len) ? "[%.*s]:%d" : "%.*s:%d",
                           TL_STR_ARG(address), conf->listen_port);
    rc = addr_parse(tl_str_of(text), &bind);
    free(text);
    if (rc)
        return tl_wrap(rc, "bindAddress");
    vip = bind;
    vip.port = bind.port > 2 ? (uint16_t)(bind.port - 2) : 0;

    struct server_opts opts = {
        .name = "broker",
        .bind = bind,
        .vip_bind = vip,
        .reactors = b->io,
        .nreactors = b->io_count,
        .workers = b->workers,
        .routes = b->routes,
        .ctx = b,
        .limits = conn_limits_default,
        .frame_max = (size_t)conf->frame_max_bytes,
        .max_connections = conf->max_connections,
        .version = VERSION_OURS,
        .pending_max = conf->connection_pending_max,
        .on_disconnect = on_disconnect,
    };
    opts.limits.input_max = (size_t)conf->frame_max_bytes + FRAME_PREFIX;
    opts.limits.high_water = (size_t)conf->connection_output_limit;
    opts.limits.idle_ms = conf->server_channel_max_idle_time_seconds * 1000;
    return server_start(&b->server, &opts);
}

static int identity_begin(struct broker *b)
{
    const struct broker_conf *conf = b->conf;
    struct addr host;
    bool v6 = memchr(conf->broker_ip1.data, ':', conf->broker_ip1.len) != NULL;

    snprintf(private_of(b)->ip, sizeof(private_of(b)->ip), "%.*s",
             TL_STR_ARG(conf->broker_ip1));
    snprintf(b->addr, sizeof(b->addr), v6 ? "[%.*s]:%d" : "%.*s:%d",
             TL_STR_ARG(conf->broker_ip1), conf->listen_port);
    int rc = addr_parse(tl_str_of(b->addr), &host);
    if (rc)
        return tl_wrap(rc, "brokerIP1");
    memcpy(b->host.ip, host.ip, sizeof(b->host.ip));
    b->host.v6 = host.v6;
    b->host.port = host.port;
    return 0;
}

/* ---- life --------------------------------------------------------------------------------- */

static int parts_begin(struct broker *b)
{
    int rc;

    if ((rc = identity_begin(b)) || (rc = fs_mkdirs(b->conf->store_path_root_dir.data)))
        return rc;
    if ((rc = store_begin(b)) || (rc = tables_begin(b)) || (rc = scripts_begin(b)) ||
        (rc = threads_begin(b)))
        return rc;
    topics_on_change(b->topics, on_topics_change, b);
    rc = schedule_start(&b->schedule, b, private_of(b)->config_dir, &private_of(b)->replay);
    if (rc || (rc = txn_start(&b->txn, b)) != 0 || (rc = server_begin(b)) != 0)
        return rc;
    private_of(b)->upkeep = upkeep_start(b);
    for (int i = 0; i < b->io_count; i++) {
        private_of(b)->io_service[i].io = &b->io_state[i];
        reactor_call(b->io[i], idle_begin, &private_of(b)->io_service[i]);
    }
    return registrar_start(&b->registrar, b);
}

int broker_start(struct broker **out, const struct broker_opts *opts)
{
    struct broker_private *p = xzalloc(sizeof(*p));
    struct broker *b = &p->pub;

    b->conf = opts->conf;
    b->on_fatal = opts->on_fatal;
    b->fatal_arg = opts->arg;
    b->boot_ms = clock_now_ms();
    p->config_dir = xasprintf("%.*s/config", TL_STR_ARG(b->conf->store_path_root_dir));
    int rc = parts_begin(b);
    if (rc) {
        struct tl_error why;
        tl_error_save(&why, rc);
        broker_stop(b);
        return tl_error_raise(&why);
    }
    registrar_sync(b->registrar, REGISTER_WAIT_MS);
    *out = b;
    return 0;
}

/* Nobody calls in any more: take the threads down, their states first. */
static void threads_end(struct broker *b)
{
    for (int i = 0; i < b->io_count; i++) {
        if (private_of(b)->io_service[i].io)
            reactor_call(b->io[i], idle_end, &private_of(b)->io_service[i]);
    }
    if (b->server) {
        server_drain(b->server);
        for (int i = 0; i < b->io_count; i++)
            reactor_call(b->io[i], io_leave, &b->io_state[i]);
        if (!server_wait_idle(b->server, DRAIN_MS))
            log_warn("requests under way and answers not taken are dropped after_ms=%d",
                     DRAIN_MS);
    }
    if (private_of(b)->upkeep)
        upkeep_stop(private_of(b)->upkeep);
    if (b->workers)
        workers_stop(b->workers);
    if (b->server)
        server_stop(b->server);
    if (b->registrar) /* nobody asks it any more */
        registrar_stop(b->registrar);
    if (b->txn)
        txn_stop(b->txn);
    if (b->schedule)
        schedule_stop(b->schedule);
    for (int i = 0; i < b->io_count; i++) {
        reactor_call(b->io[i], io_end, &b->io_state[i]);
        reactor_stop(b->io[i]);
        reactor_join(b->io[i]);
        reactor_free(b->io[i]);
    }
    if (b->svc) {
        reactor_stop(b->svc);
        reactor_join(b->svc);
        reactor_free(b->svc);
    }
}

void broker_stop(struct broker *b)
{
    if (b->topics)
        topics_on_change(b->topics, NULL, NULL);
    if (b->registrar)
        registrar_unregister(b->registrar);
    threads_end(b);
    if (b->scripts)
        scripts_close(b->scripts);
    if (b->engine)
        script_engine_free(b->engine);
    if (b->store)
        store_close(b->store);
    if (b->clients)
        clients_free(b->clients);
    if (b->offsets)
        offsets_close(b->offsets);
    if (b->groups)
        groups_close(b->groups);
    if (b->topics)
        topics_close(b->topics);
    if (b->traffic)
        traffic_free(b->traffic);
    if (b->routes)
        route_table_free(b->routes);
    free(private_of(b)->config_dir);
    free(b);
}
