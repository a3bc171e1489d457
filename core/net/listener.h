/*
 * listener - accepts on one address, spread over reactors
 *
 * One SO_REUSEPORT socket per reactor when there are several; a port that another process has is
 * refused (the first bind is made without SO_REUSEPORT, as a probe).  Accepting stops at the
 * connection limit (the socket is accepted, logged and closed) and pauses when descriptors are out.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <stdint.h>

#include "net/addr.h"
#include "net/reactor.h"

struct listener;

struct listener_opts {
    struct addr bind;
    struct reactor **reactors;
    int nreactors;
    int backlog;
    int64_t max_connections; /* over all reactors; 0 = no limit */
    /* On the reactor that accepted; takes @fd. */
    void (*on_accept)(void *arg, struct reactor *r, int fd, const struct addr *peer);
    void *arg;
};

/* 0, or TL_EIO "listen on 0.0.0.0:10911: Address already in use". */
int listener_open(struct listener **out, const struct listener_opts *opts);
uint16_t listener_port(const struct listener *l); /* the port got when 0 was asked */
/* Stop accepting and give the port back; any thread but the reactors. */
void listener_stop(struct listener *l);
/* The same if need be, then free: its connections must be gone. */
void listener_close(struct listener *l);
/* The server calls it when a connection it got from on_accept() is gone; any thread. */
void listener_gone(struct listener *l);

#endif
