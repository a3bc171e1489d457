/*
 * command - one request or response: fixed fields, ext fields, body
 *
 * Decoding is lazy about ext fields: they stay pairs of slices (struct kv) until header_decode()
 * puts them into a struct.  Strings are slices of the frame, except those with escapes, which are
 * unescaped into the arena.  Mirrors RemotingCommand, RemotingSerializable, RocketMQSerializable.
 */
#ifndef PROTO_COMMAND_H
#define PROTO_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "proto/frame.h"
#include "proto/header.h"

enum { COMMAND_RESPONSE = 1, COMMAND_ONEWAY = 2 };
enum { COMMAND_EXT_MAX = 256 }; /* ext fields of one header; more is TL_ELIMIT */

struct command {
    int32_t code;
    int32_t language; /* LanguageCode ordinal; -1 unknown */
    int32_t version;
    int32_t opaque;
    int32_t flag;
    struct tl_str remark; /* absent when none */
    struct kv *ext;       /* in the arena; ext_count of them */
    uint32_t ext_count;
    bool has_ext;       /* the header had an extFields object (maybe empty) */
    bool nothing;       /* the header was empty or no object: passed over, as in Java */
    struct tl_str body; /* slice of the frame; absent when empty */
    enum serialize_type type;
};

/* Decode @f into @out, allocating in @a.  TL_EFORMAT/TL_ELIMIT: the connection is to be closed. */
int command_decode(const struct frame *f, struct arena *a, struct command *out);

/* The ext field @name, or an absent slice. */
struct tl_str command_ext(const struct command *c, const char *name);

/*
 * What is to be written.  ext_header/ext_struct: the response (or request) header by its table;
 * extra: further pairs (e.g. relayed ext fields).  has_ext: write "extFields":{} even when empty.
 */
struct command_out {
    int32_t code, language, version, opaque, flag;
    struct tl_str remark;
    const struct header *ext_header; /* may be NULL */
    const void *ext_struct;
    const struct kv *extra;
    uint32_t extra_count;
    bool has_ext;
    size_t body_len; /* only counted in the length; the body follows the returned bytes */
};

/*
 * Append prefix + header (not the body) of a frame to @out.  Ext values are always JSON strings.
 * @type SERIALIZE_JSON or SERIALIZE_BINARY.  Never fails; no allocation beyond growing @out.
 */
void command_encode(const struct command_out *c, enum serialize_type type, struct strbuf *out);

#endif
