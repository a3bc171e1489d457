/*
 * record - the stored message: encode, decode, verify, patch
 *
 * The layout of MessageExtEncoder/MessageDecoder, sent verbatim in answers:
 *
 *   TOTALSIZE 4 | MAGIC 4 | BODYCRC 4 | QUEUEID 4 | FLAG 4 | QUEUEOFFSET 8 | PHYSICALOFFSET 8 |
 *   SYSFLAG 4 | BORNTIMESTAMP 8 | BORNHOST 8 or 20 | STORETIMESTAMP 8 | STOREHOST 8 or 20 |
 *   RECONSUMETIMES 4 | PREPAREDTRANSACTIONOFFSET 8 | BODYLEN 4 + BODY |
 *   TOPICLEN (V1: 1, V2: 2) + TOPIC | PROPLEN 2 + PROPERTIES
 *
 * V1 is written for topics up to 127 bytes, V2 (read always) for longer ones.
 */
#ifndef PROTO_RECORD_H
#define PROTO_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum {
    RECORD_MAGIC_V1 = (int)0xDAA320A7,
    RECORD_MAGIC_V2 = (int)0xDAA320AB,
    RECORD_MAGIC_BLANK = (int)0xCBD43194, /* rest of a log file */
    RECORD_BLANK_SIZE = 8,
    RECORD_PROPERTIES_MAX = 32767,
    RECORD_TOPIC_V1_MAX = 127,
};

/* Places of fixed fields; those behind BORNHOST move by 12 when it is IPv6. */
enum {
    RECORD_AT_QUEUE_OFFSET = 20,
    RECORD_AT_LOG_POS = 28,
    RECORD_AT_SYS_FLAG = 36,
    RECORD_AT_BORN_HOST = 48
};

struct record_host {
    uint8_t ip[16]; /* network order; 4 or 16 bytes used */
    bool v6;
    int32_t port;
};

struct record {
    uint32_t size;
    int32_t magic, body_crc, queue_id, flag, sys_flag, reconsume_times;
    int64_t queue_offset, log_pos, born_timestamp, store_timestamp, prepared_offset;
    struct record_host born_host, store_host;
    struct tl_str body, topic, properties; /* slices of the input / borrowed for encoding */
};

/* Bytes record_encode() will write for @r. */
size_t record_size(const struct record *r);
/*
 * Write @r at @out (record_size() bytes).  Sets size, magic by the topic's length, body CRC
 * (computed here) and the two IPv6 bits of SYSFLAG by the hosts.  TL_EILLEGAL when topic (>255) or
 * properties (>32767) do not fit.
 */
int record_encode(const struct record *r, uint8_t *out);
/* Fill the holes of an encoded record: queue offset, log position, store time. */
void record_patch(uint8_t *rec, int64_t queue_offset, int64_t log_pos, int64_t store_timestamp);

enum record_check { RECORD_CHECK_CRC = 1 };
enum record_kind { RECORD_MESSAGE = 1, RECORD_BLANK = 2 };
/*
 * Decode the record at @data (@len bytes readable).  Returns RECORD_MESSAGE and fills @out,
 * RECORD_BLANK (out->size = bytes to the end of the file), or -TL_EFORMAT / -TL_ECORRUPT (CRC)
 * with tl_fail() naming the field.  Lengths are all verified against size and @len.
 */
int record_decode(const void *data, size_t len, unsigned checks, struct record *out);

/* The store timestamp without decoding the rest. */
int64_t record_store_timestamp(const void *rec);

/* "1.2.3.4:5" / "[::1]:5" into @out (64 bytes). */
void record_host_text(const struct record_host *h, char out[64]);

#endif
