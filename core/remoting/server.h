/*
 * server - listeners + route table + requests, and what the server sends to its clients
 *
 * Unknown code: response 3 " request type N not supported".  Frames that don't decode close the
 * connection.  While draining, new requests get GO_AWAY (1500) when the peer's version is above 475;
 * otherwise they are dropped and the connection is closed once it has all answers due.  Requests
 * wait in no queue: they run as they are read.
 */
#ifndef REMOTING_SERVER_H
#define REMOTING_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/workers.h"
#include "net/listener.h"
#include "remoting/request.h"
#include "remoting/route.h"

struct server;

struct server_opts {
    const char *name; /* for the log */
    struct addr bind;
    struct addr vip_bind; /* port 0 = no second listener */
    struct reactor **reactors;
    int nreactors;
    struct workers *workers; /* for LANE_WORK */
    struct route_table *routes;
    void *ctx; /* handed to handlers */
    struct conn_limits limits;
    size_t frame_max;
    int64_t max_connections;
    int32_t version; /* put into every header */
    int32_t
        pending_max; /* requests of one connection being worked on or held; more: SYSTEM_BUSY */
    /* A connection was closed; on its reactor.  May be NULL. */
    void (*on_disconnect)(void *ctx, struct conn *c);
};

int server_start(struct server **out, const struct server_opts *opts);
uint16_t server_port(const struct server *s);
/* Stop accepting; answer further requests with GO_AWAY or close.  Any thread but the reactors. */
void server_drain(struct server *s);
/* Wait until no request is being worked on (held ones count until answered) and all answers have left;
 * false on time-out.  Any thread but the reactors. */
bool server_wait_idle(struct server *s, int32_t timeout_ms);
/* Close all connections and free.  Reactors must still run. */
void server_stop(struct server *s);
int64_t server_connections(const struct server *s); /* any thread */

/*
 * Send a request to the client on @c (a connection of a server).  Any thread; one-way ones need no callback.
 * @cb(arg, rc, reply): rc 0 and the decoded answer (valid during the call), or TL_ETIMEOUT /
 * TL_ECLOSED; on the connection's reactor, exactly once.
 */
struct server_push {
    int32_t code;
    const struct header *header;
    const void *ext;
    const struct kv *extra;
    uint32_t extra_count;
    struct tl_str body; /* copied */
};
typedef void (*server_answer)(void *arg, int rc, const struct command *reply);
void server_push_oneway(struct conn *c, const struct server_push *p);
void server_push_call(struct conn *c, const struct server_push *p, int32_t timeout_ms,
                      server_answer cb, void *arg);

/* A slot per connection for the layer above; own reactor. */
void *server_conn_user(const struct conn *c);
void server_conn_set_user(struct conn *c, void *user);

#endif
