/*
 * handle - small things the on_*.c handlers share
 */
#ifndef BROKER_HANDLE_H
#define BROKER_HANDLE_H

#include <jansson.h>

#include "base/json.h"
#include "remoting/request.h"

/* Code 0 and @body as compact JSON; takes @body. */
static inline void handle_reply_json(struct request *rq, json_t *body)
{
    struct strbuf text = {0};

    json_write(body, &text);
    json_decref(body);
    request_ok_body(rq, strbuf_str(&text));
    strbuf_release(&text);
}

/* Code 0 and the fields of a response header. */
static inline void handle_reply_ext(struct request *rq, const struct header *header,
                                    const void *ext)
{
    request_reply(rq, &(struct reply){.header = header, .ext = ext, .has_ext = true});
}

/* Java's answer to a request that lacks a field marked @CFNotNull. */
static inline void handle_missing(struct request *rq, const char *field)
{
    request_fail(rq, 1, "the custom field <%s> is null", field);
}

#endif
