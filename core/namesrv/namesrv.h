/*
 * namesrv (ns_) - the name server: brokers register here, clients ask for routes (NamesrvController)
 *
 * Runs in a process of its own or inside a broker's.  State is in memory but for the KV
 * configuration; brokers bring theirs every 30 s.
 */
#ifndef NAMESRV_NAMESRV_H
#define NAMESRV_NAMESRV_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/workers.h"
#include "namesrv/config.h"
#include "net/timer.h"
#include "remoting/server.h"

struct kv;
struct topology;

struct namesrv {
    struct namesrv_conf conf; /* own copy; dynamic keys change under conf_lock */
    pthread_mutex_t conf_lock;
    struct reactor *io;
    struct workers *workers;
    struct route_table *routes;
    struct server *server;
    struct topology *topology;
    struct kv *kv;
    struct timer scan;
};

/* Listen and serve.  @conf is copied.  0, TL_EIO (port in use), TL_ECORRUPT (KV file).  Blocks. */
int namesrv_start(struct namesrv **out, const struct namesrv_conf *conf);
void namesrv_stop(struct namesrv *n); /* blocks */
uint16_t namesrv_port(const struct namesrv *n);

/* The value of a dynamic key of n->conf.  Any thread. */
bool ns_is(struct namesrv *n, const bool *key);

/* Every handler, by file; ctx is struct namesrv. */
/* on_register.c: 103, 104, 322, 904 */
void ns_register_broker(void *ctx, struct request *rq);
void ns_unregister_broker(void *ctx, struct request *rq);
void ns_query_data_version(void *ctx, struct request *rq);
void ns_broker_heartbeat(void *ctx, struct request *rq);
/* on_route.c: 105, 106, 901 */
void ns_route(void *ctx, struct request *rq);
void ns_cluster_info(void *ctx, struct request *rq);
void ns_member_group(void *ctx, struct request *rq);
/* on_admin.c: KV, lists, permissions, configuration */
void ns_put_kv(void *ctx, struct request *rq);
void ns_get_kv(void *ctx, struct request *rq);
void ns_delete_kv(void *ctx, struct request *rq);
void ns_list_kv(void *ctx, struct request *rq);
void ns_wipe_write_perm(void *ctx, struct request *rq);
void ns_add_write_perm(void *ctx, struct request *rq);
void ns_all_topics(void *ctx, struct request *rq);
void ns_delete_topic(void *ctx, struct request *rq);
void ns_register_topic(void *ctx, struct request *rq);
void ns_topics_by_cluster(void *ctx, struct request *rq);
void ns_system_topics(void *ctx, struct request *rq);
void ns_unit_topics(void *ctx, struct request *rq);
void ns_update_config(void *ctx, struct request *rq);
void ns_get_config(void *ctx, struct request *rq);

#endif
