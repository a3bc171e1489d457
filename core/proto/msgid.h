/*
 * msgid - offset message ids and unique keys (MessageDecoder.createMessageId, MessageClientIDSetter)
 */
#ifndef PROTO_MSGID_H
#define PROTO_MSGID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "proto/record.h"

enum { MSGID_MAX = 56 };

/* Upper-case hex of store host and log position: 32 or 56 characters; returns the length. */
size_t msgid_offset_text(const struct record_host *host, int64_t log_pos, char out[MSGID_MAX]);
/* False unless 32 or 56 hex digits (either case). */
bool msgid_offset_parse(struct tl_str text, struct record_host *host, int64_t *log_pos);

/* State of a maker of unique keys; own thread. */
struct msgid_maker {
    uint8_t prefix[10]; /* ip 4, pid 2, instance hash 4 */
    int64_t month_start_ms, month_end_ms;
    uint16_t counter;
};
void msgid_maker_init(struct msgid_maker *m, const uint8_t ip[4], uint32_t instance);
/* A new UNIQ_KEY: 32 upper-case hex digits. */
void msgid_make(struct msgid_maker *m, int64_t now_ms, char out[32]);

#endif
