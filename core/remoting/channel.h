/*
 * channel - outbound connection to one address: calls with answers, one-way sends
 *
 * Lives on one reactor.  Connects on first use; after a failure the next call tries again, at most
 * once per CHANNEL_RETRY_MS (calls in between fail at once with TL_ECLOSED).  Any number of calls may be under way.
 */
#ifndef REMOTING_CHANNEL_H
#define REMOTING_CHANNEL_H

#include <stdint.h>

#include "net/reactor.h"
#include "proto/command.h"

enum { CHANNEL_RETRY_MS = 1000, CHANNEL_CONNECT_MS = 3000 };

struct channel;

/* @addr literal "ip:port" or "host:port" (looked up here: blocking, so not on a data reactor).
 * TL_EINVAL.  Own reactor or before it runs. */
int channel_new(struct channel **out, struct reactor *r, const char *addr, size_t frame_max);
/* Calls under way end with TL_ECLOSED; their callbacks must not call again.  Own reactor. */
void channel_free(struct channel *ch);
const char *channel_addr(const struct channel *ch);
/* What the peer asks of us (server -> client requests) on this connection; the answer, if any, by
 * channel_answer().  Own reactor. */
void channel_on_request(struct channel *ch,
                        void (*cb)(void *arg, struct channel *ch, const struct command *rq),
                        void *arg);
void channel_answer(struct channel *ch, const struct command *rq, int32_t code,
                    struct tl_str remark, struct tl_str body);

struct channel_call {
    int32_t code;
    int32_t version; /* 0 = VERSION_OURS */
    const struct header *header;
    const void *ext; /* struct of header; may be NULL with it */
    const struct kv *extra;
    uint32_t extra_count;
    struct tl_str body; /* copied */
};
/* rc 0: @reply is valid during the call.  Else TL_ETIMEOUT, TL_ECLOSED. */
typedef void (*channel_cb)(void *arg, int rc, const struct command *reply);
/* Own reactor.  @cb exactly once, never before this returns. */
void channel_send(struct channel *ch, const struct channel_call *call, int32_t timeout_ms,
                  channel_cb cb, void *arg);
void channel_send_oneway(struct channel *ch, const struct channel_call *call);

/*
 * From any thread but the channel's reactor: send and wait.  On success *@reply_arena holds the
 * answer: @reply's slices point into it.  Returns 0, TL_ETIMEOUT, TL_ECLOSED (the answer's own code is reply->code).
 */
int channel_call_wait(struct channel *ch, const struct channel_call *call, int32_t timeout_ms,
                      struct arena *reply_arena, struct command *reply);

#endif
