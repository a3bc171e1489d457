/*
 * broker - the composition: who owns what, start and stop order
 *
 * struct broker is made once; its parts know only what they are handed.  Handlers get it as ctx and
 * reach the parts through it.  Per-reactor state is struct broker_io, found by broker_io().
 */
#ifndef BROKER_BROKER_H
#define BROKER_BROKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/snapshot.h"
#include "base/workers.h"
#include "broker/config.h"
#include "net/reactor.h"
#include "proto/msgid.h"
#include "proto/record.h"
#include "remoting/server.h"

enum { BROKER_IO_MAX = 63 }; /* bits of a queue's waiters word; the last one is the schedule's */

struct broker;
struct send_stage;
struct hold;

/* What one reactor of the broker has for itself; own reactor only. */
struct broker_io {
    struct broker *broker;
    struct reactor *reactor;
    int index;    /* bit in a queue's waiters word */
    bool leaving; /* the workers end: nothing new for them */
    struct snapshot_cache topics, groups, bindings;
    struct send_stage *send;
    struct hold *hold;
    struct script_vm *vm;
    struct msgid_maker ids;
};

struct broker {
    const struct broker_conf *conf;
    char addr[64];           /* "ip:port" others reach us by: brokerIP1:listenPort */
    struct record_host host; /* the same, as it stands in records */
    int64_t boot_ms;
    struct reactor *io[BROKER_IO_MAX];
    struct broker_io io_state[BROKER_IO_MAX];
    int io_count;
    struct reactor *svc; /* timers, persistence, registration */
    struct workers *workers;
    struct server *server;
    struct route_table *routes;
    struct store *store;
    struct topics *topics;
    struct groups *groups;
    struct offsets *offsets;
    struct clients *clients;
    struct registrar *registrar;
    struct script_engine *engine;
    struct scripts *scripts;
    struct traffic *traffic;
    struct schedule *schedule;
    struct txn *txn;
    int32_t delay_levels; /* messageDelayLevel has so many */
    void (*on_fatal)(void *arg, const char *text);
    void *fatal_arg;
};

/* The state of the reactor this thread runs; asserts that it is one of the broker's. */
static inline struct broker_io *broker_io(struct broker *b)
{
    (void)b;
    return reactor_local(reactor_current());
}

struct broker_opts {
    const struct broker_conf *conf; /* checked; stays the caller's and unchanged */
    /* The store failed for good (any thread): the caller ends the process with the text. */
    void (*on_fatal)(void *arg, const char *text);
    void *arg;
};

/* Open everything, listen, register.  On failure all is undone and tl_fail() says what. Blocks. */
int broker_start(struct broker **out, const struct broker_opts *opts);
/* Stop accepting, answer held pulls, unregister, drain, persist, close the store. Blocks. */
void broker_stop(struct broker *b);

/* "the broker[ip]" of several remarks: brokerIP1. */
const char *broker_ip(const struct broker *b);

#endif
