#include "namesrv/namesrv.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "namesrv/kv.h"
#include "namesrv/routes.h"
#include "namesrv/topology.h"
#include "proto/code.h"

enum { WORKERS = 2, PENDING_MAX = 1024 };

bool ns_is(struct namesrv *n, const bool *key)
{
    pthread_mutex_lock(&n->conf_lock);
    bool value = *key;
    pthread_mutex_unlock(&n->conf_lock);
    return value;
}

static void scan_fire(struct timer *t)
{
    struct namesrv *n = (struct namesrv *)((char *)t - offsetof(struct namesrv, scan));

    topology_expire(n->topology, clock_now_ms());
    timer_set(n->io, t, n->conf.scan_not_active_broker_interval);
}

static void scan_begin(void *arg)
{
    struct namesrv *n = arg;

    timer_init(&n->scan, scan_fire);
    timer_set(n->io, &n->scan, n->conf.scan_not_active_broker_interval);
}

static void scan_end(void *arg)
{
    struct namesrv *n = arg;
    timer_clear(n->io, &n->scan);
}

static void on_disconnect(void *ctx, struct conn *c)
{
    struct namesrv *n = ctx;
    topology_disconnect(n->topology, conn_id(c));
}

static int serve(struct namesrv *n)
{
    struct addr bind;
    char *text = xasprintf("%.*s:%d", TL_STR_ARG(n->conf.bind_address), n->conf.listen_port);
    int rc = addr_parse(tl_str_of(text), &bind);

    free(text);
    if (rc)
        return tl_wrap(rc, "bindAddress");
    struct server_opts opts = {
        .name = "namesrv",
        .bind = bind,
        .reactors = &n->io,
        .nreactors = 1,
        .workers = n->workers,
        .routes = n->routes,
        .ctx = n,
        .limits = conn_limits_default,
        .frame_max = FRAME_MAX_DEFAULT,
        .max_connections = n->conf.max_connections,
        .version = VERSION_OURS,
        .pending_max = PENDING_MAX,
        .on_disconnect = on_disconnect,
    };
    opts.limits.idle_ms = n->conf.server_channel_max_idle_time_seconds * 1000;
    return server_start(&n->server, &opts);
}

static int begin(struct namesrv *n)
{
    char *path = xstrndup(n->conf.kv_config_path.data, n->conf.kv_config_path.len);
    int rc = kv_open(&n->kv, path);

    free(path);
    if (rc || (rc = route_table_new(&n->routes, routes_namesrv, routes_namesrv_count)) ||
        (rc = workers_start(&n->workers, "ns-work", WORKERS)) ||
        (rc = reactor_start(&n->io, "ns-io", ROLE_IO)))
        return rc;
    if ((rc = serve(n)) != 0)
        return rc;
    reactor_call(n->io, scan_begin, n);
    return 0;
}

int namesrv_start(struct namesrv **out, const struct namesrv_conf *conf)
{
    struct namesrv *n = xzalloc(sizeof(*n));

    conf_copy(&namesrv_conf_table, &n->conf, conf);
    pthread_mutex_init(&n->conf_lock, NULL);
    n->topology = topology_new();
    int rc = begin(n);
    if (rc) {
        struct tl_error why;
        tl_error_save(&why, rc);
        namesrv_stop(n);
        return tl_error_raise(&why);
    }
    *out = n;
    return 0;
}

void namesrv_stop(struct namesrv *n)
{
    if (n->server) {
        server_drain(n->server);
        reactor_call(n->io, scan_end, n);
    }
    if (n->workers)
        workers_stop(n->workers);
    if (n->server)
        server_stop(n->server);
    if (n->io) {
        reactor_stop(n->io);
        reactor_join(n->io);
        reactor_free(n->io);
    }
    if (n->routes)
        route_table_free(n->routes);
    if (n->kv)
        kv_close(n->kv);
    topology_free(n->topology);
    conf_release(&namesrv_conf_table, &n->conf);
    pthread_mutex_destroy(&n->conf_lock);
    free(n);
}

uint16_t namesrv_port(const struct namesrv *n)
{
    return server_port(n->server);
}
