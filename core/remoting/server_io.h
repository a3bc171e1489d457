/*
 * server_io - what server.c and request.c share; private to remoting/
 *
 * A server_conn hangs on each connection, a server_io on each reactor (requests to reuse, the
 * list of connections, the buffer replies are encoded in).
 */
#ifndef REMOTING_SERVER_IO_H
#define REMOTING_SERVER_IO_H

#include <stdatomic.h>

#include "remoting/server.h"

enum { REQUESTS_KEPT = 4096 };

struct server_io {
    struct server *server;
    struct reactor *reactor;
    struct server_conn *conns;
    struct request *free_requests;
    int nfree;
    struct strbuf encode;
};

struct push_call; /* a call to the client that waits for its answer */

struct server_conn {
    struct server_conn *next, *prev;
    struct server_io *io;
    struct conn *conn;
    struct listener *listener;
    bool vip, leaving; /* leaving: closed when nothing is pending */
    int32_t pending;
    void *user;
    struct push_call *calls; /* hash by opaque */
};

struct server {
    struct server_opts opts;
    struct listener *listener, *vip_listener;
    struct server_io *ios; /* one per reactor */
    _Atomic bool draining;
    _Atomic int64_t pending, connections;
};

/* Own reactor. */
struct request *request_new(struct server_io *io, struct server_conn *sc);
void request_free(struct request *rq);
/* Decode rq->frame: command, then its row's header.  0, or a code to close (< 0) or answer (> 0) with. */
int request_decode_header(struct request *rq);

#endif
