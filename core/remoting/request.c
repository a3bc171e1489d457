#include "remoting/request.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "proto/code.h"
#include "remoting/server_io.h"

/* ---- life --------------------------------------------------------------------------------- */

struct request *request_new(struct server_io *io, struct server_conn *sc)
{
    struct request *rq = io->free_requests;

    if (rq) {
        io->free_requests = rq->next;
        io->nfree--;
    } else {
        rq = xzalloc(sizeof(*rq));
        arena_init(&rq->arena, 0);
    }
    rq->conn = conn_ref(sc->conn);
    rq->server = io->server;
    rq->vip = sc->vip;
    rq->route = NULL;
    rq->counters = NULL;
    rq->next = NULL;
    rq->user = NULL;
    rq->kept = rq->answered = false;
    sc->pending++;
    atomic_fetch_add_explicit(&io->server->pending, 1, memory_order_relaxed);
    return rq;
}

void request_free(struct request *rq)
{
    struct server_conn *sc = conn_owner(rq->conn);
    struct server_io *io = sc->io;

    if (--sc->pending == 0 && sc->leaving)
        conn_close(rq->conn);
    atomic_fetch_sub_explicit(&io->server->pending, 1, memory_order_relaxed);
    conn_unref(rq->conn);
    if (io->nfree == REQUESTS_KEPT) {
        arena_release(&rq->arena);
        free(rq);
        return;
    }
    arena_reset(&rq->arena);
    rq->next = io->free_requests;
    io->free_requests = rq;
    io->nfree++;
}

int request_decode_header(struct request *rq)
{
    if (!rq->route->header)
        return 0;
    return header_decode(rq->route->header, rq->cmd.ext, rq->cmd.ext_count,
                         rq->route->flags & ROUTE_ALIASES, rq->header);
}

void request_keep(struct request *rq)
{
    if (rq->kept)
        return;
    rq->kept = true;
    rq->frame.header = arena_copy(&rq->arena, rq->frame.header);
    if (rq->frame.body.data)
        rq->frame.body = arena_copy(&rq->arena, rq->frame.body);
    int rc = command_decode(&rq->frame, &rq->arena, &rq->cmd);
    if (!rc && rq->route)
        rc = request_decode_header(rq);
    assert(!rc); /* it decoded before */
    (void)rc;
}

/* ---- answering ---------------------------------------------------------------------------- */

static size_t body_length(const struct reply *reply)
{
    size_t n = 0;

    if (!reply->nslices)
        return reply->body.len;
    for (size_t i = 0; i < reply->nslices; i++)
        n += reply->slices[i].len;
    return n;
}

/* The frame but for a body in slices. */
static void encode(const struct request *rq, const struct reply *reply, struct strbuf *out)
{
    struct command_out c = {
        .code = reply->code,
        .version = rq->server->opts.version,
        .opaque = rq->cmd.opaque,
        .flag = COMMAND_RESPONSE,
        .remark = reply->remark,
        .ext_header = reply->header,
        .ext_struct = reply->ext,
        .extra = reply->extra,
        .extra_count = reply->extra_count,
        .has_ext = reply->has_ext,
        .body_len = body_length(reply),
    };

    command_encode(&c, SERIALIZE_JSON, out);
    if (!reply->nslices)
        strbuf_addstr(out, reply->body);
}

static void drop_slices(const struct body_slice *slices, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (slices[i].release)
            slices[i].release(slices[i].arg);
    }
}

static void write_slices(struct conn *c, const struct body_slice *slices, size_t n)
{
    for (size_t i = 0; i < n; i++)
        conn_write_ref(c, slices[i].data, slices[i].len, slices[i].release, slices[i].arg);
}

static bool goes_out(const struct request *rq)
{
    return !request_is_oneway(rq) && conn_is_open(rq->conn);
}

static void reply_at_home(struct mail *m)
{
    struct request *rq = (struct request *)m;

    if (goes_out(rq)) {
        conn_write(rq->conn, rq->posted.data, rq->posted.len);
        write_slices(rq->conn, rq->posted_slices, rq->posted_count);
    } else {
        drop_slices(rq->posted_slices, rq->posted_count);
    }
    strbuf_release(&rq->posted);
    request_free(rq);
}

static void post_home(struct request *rq, const struct reply *reply)
{
    strbuf_init(&rq->posted);
    rq->posted_slices = NULL;
    rq->posted_count = reply->nslices;
    if (!request_is_oneway(rq))
        encode(rq, reply, &rq->posted);
    if (reply->nslices) {
        rq->posted_slices = arena_alloc(&rq->arena, reply->nslices * sizeof(*reply->slices));
        memcpy(rq->posted_slices, reply->slices, reply->nslices * sizeof(*reply->slices));
    }
    rq->mail.run = reply_at_home;
    reactor_post(conn_reactor(rq->conn), &rq->mail);
}

/* Codes that say how a request was answered, not that it failed. */
static bool is_failure(int code)
{
    return code != RS_SUCCESS &&
           (code < RS_FLUSH_DISK_TIMEOUT || code > RS_FLUSH_SLAVE_TIMEOUT) &&
           (code < RS_PULL_NOT_FOUND || code > RS_QUERY_NOT_FOUND);
}

void request_reply(struct request *rq, const struct reply *reply)
{
    assert(!rq->answered);
    rq->answered = true;
    if (rq->counters && is_failure(reply->code))
        stats_add(&rq->counters->failures, 1);
    if (!reactor_is_own(conn_reactor(rq->conn))) {
        post_home(rq, reply);
        return;
    }
    if (goes_out(rq)) {
        struct server_conn *sc = conn_owner(rq->conn);
        struct strbuf *out = &sc->io->encode;
        strbuf_clear(out);
        encode(rq, reply, out);
        conn_write(rq->conn, out->data, out->len);
        write_slices(rq->conn, reply->slices, reply->nslices);
    } else {
        drop_slices(reply->slices, reply->nslices);
    }
    request_free(rq);
}

void request_fail(struct request *rq, int response_code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    struct tl_str remark = arena_vprintf(&rq->arena, fmt, ap);
    va_end(ap);
    request_reply(rq, &(struct reply){.code = response_code, .remark = remark});
}

void request_fail_error(struct request *rq, int rc)
{
    request_reply(rq, &(struct reply){.code = tl_code_response(rc),
                                      .remark = tl_str_of(tl_error_text())});
}

void request_ok(struct request *rq)
{
    request_reply(rq, &(struct reply){.code = RS_SUCCESS});
}

void request_ok_body(struct request *rq, struct tl_str body)
{
    request_reply(rq, &(struct reply){.code = RS_SUCCESS, .body = body});
}
