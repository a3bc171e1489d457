/*
 * request - one inbound request, answered exactly once
 *
 * Lives on its connection's reactor.  A handler may answer at once, keep it and answer later on
 * the same reactor (long polling, appends), or answer from another thread: request_reply() posts
 * the reply home.  When the connection is gone the reply is dropped and all is freed; handlers have no
 * special case for it.  One-way requests are never answered on the wire, but the handler
 * calls request_reply() all the same: it is what frees the request.
 *
 * Requests and their arenas are reused: a warm server does not allocate per request.
 */
#ifndef REMOTING_REQUEST_H
#define REMOTING_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/mailbox.h"
#include "base/str.h"
#include "net/conn.h"
#include "proto/command.h"
#include "proto/frame.h"
#include "remoting/route.h"

enum { REQUEST_HEADER_MAX = 320 };

struct body_slice;

struct request {
    struct mail mail;   /* for posting home or to workers */
    struct conn *conn;  /* a reference; peer address: conn_peer(rq->conn) */
    struct command cmd; /* code, opaque, flag, language, version, ext pairs, body */
    const struct route *route;
    struct route_counters *counters;
    struct arena arena;   /* freed with the request */
    struct request *next; /* for whoever holds it (parked lists) */
    void *user;           /* for whoever holds it */
    struct server *server;
    struct frame frame; /* as received; its slices follow the rules above */
    bool kept, vip;     /* vip: came by the listenPort - 2 listener */
    bool answered;
    /* an answer from another thread on its way home: the frame up to the slices, the slices */
    struct strbuf posted;
    struct body_slice *posted_slices;
    size_t posted_count;
    _Alignas(16) unsigned char header[REQUEST_HEADER_MAX]; /* the decoded header struct */
};

/* A piece of a body that is sent without copying; release is called once it left or was dropped. */
struct body_slice {
    const void *data;
    size_t len;
    void (*release)(void *arg);
    void *arg;
};

struct reply {
    int32_t code;
    struct tl_str remark;        /* absent = none */
    const struct header *header; /* response header table, or NULL */
    const void *ext;             /* its struct */
    const struct kv *extra;      /* further ext pairs (relayed answers) */
    uint32_t extra_count;
    bool has_ext;       /* write "extFields":{} even when there is none */
    struct tl_str body; /* copied; used when nslices == 0 */
    struct body_slice
        *slices; /* sent by reference; the array itself is only read during the call */
    size_t nslices;
};

/* The struct the route's header table describes. */
static inline const void *request_header(const struct request *rq)
{
    return rq->header;
}

/*
 * Answer @rq with @reply and give @rq up.  Any thread: off its reactor everything is copied or
 * (slices) moved and posted home.
 */
void request_reply(struct request *rq, const struct reply *reply);
/* A reply of code and text (formatted), without ext fields. */
void request_fail(struct request *rq, int response_code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Answer with this thread's last error: tl_code_response(rc) and tl_error_text(). */
void request_fail_error(struct request *rq, int rc);
/* Code 0 and nothing else. */
void request_ok(struct request *rq);
/* Code 0 and @body (copied); "extFields" absent. */
void request_ok_body(struct request *rq, struct tl_str body);

static inline bool request_is_oneway(const struct request *rq)
{
    return rq->cmd.flag & COMMAND_ONEWAY;
}

/* Make every slice of @rq (header struct, ext, body) outlive the handler: copies the frame into the
 * arena and decodes again.  Own reactor, before the handler returns; idempotent. */
void request_keep(struct request *rq);

/* ext field by name (pairs as received). */
static inline struct tl_str request_ext(const struct request *rq, const char *name)
{
    return command_ext(&rq->cmd, name);
}

#endif
