/*
 * route - which handler serves which request code
 *
 * A server's table is an array of rows; it is checked when the server starts (known codes, no code
 * twice, header struct not larger than REQUEST_HEADER_MAX).  Counters per row.
 */
#ifndef REMOTING_ROUTE_H
#define REMOTING_ROUTE_H

#include <stddef.h>
#include <stdint.h>

#include "base/stats.h"
#include "base/str.h"
#include "proto/header.h"

struct request;

enum lane {
    LANE_IO,   /* on the connection's reactor; must not block */
    LANE_WORK, /* on the worker pool; may block */
};

enum route_flags {
    ROUTE_ALIASES = 1 << 0,   /* ext fields have the one-letter names (SEND_MESSAGE_V2) */
    ROUTE_MAIN_ONLY = 1 << 1, /* not on the VIP port (listenPort - 2): code 3 there */
    ROUTE_NEEDS_EXT = 1 << 2, /* a request without extFields is refused */
};

/*
 * Answers @rq by request_reply() or request_fail(), now or later, exactly once.  Strings of @rq
 * are valid until the handler returns, unless it calls request_keep().
 */
typedef void (*request_handler)(void *ctx, struct request *rq);

struct route {
    int code;
    const struct header *header; /* decoded before the handler; NULL = none */
    request_handler handler;
    enum lane lane;
    unsigned flags;
};

struct route_table; /* the checked index over an array of rows, with counters */

/* @rows stay the caller's (static).  TL_EINVAL names the row that is wrong. */
int route_table_new(struct route_table **out, const struct route *rows, size_t n);
void route_table_free(struct route_table *t);
const struct route *route_find(const struct route_table *t, int code); /* NULL if not served */

struct route_counters {
    stats_counter requests,
        failures; /* failures: replies with a code other than success-like ones */
};
struct route_counters *route_counters(struct route_table *t, const struct route *row);

/* "code  NAME  lane  header" lines of the table, appended to @out. */
void route_print(const struct route_table *t, struct strbuf *out);

#endif
