/*
 * frame - 4-byte length framing of the remoting protocol
 *
 *      0          4                        8              8+H
 *      | total    | type << 24 | H         | header (H)   | body |
 *
 * total counts what follows it; type 0 = JSON header, 1 = ROCKETMQ binary header.  As NettyDecoder:
 * a frame over the limit, a header longer than its frame or an unknown type ends the connection.
 */
#ifndef PROTO_FRAME_H
#define PROTO_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum { FRAME_MAX_DEFAULT = 16777216, FRAME_PREFIX = 4, FRAME_HEAD = 8 };
enum serialize_type { SERIALIZE_JSON = 0, SERIALIZE_BINARY = 1 };

struct frame {
    enum serialize_type type;
    struct tl_str header, body; /* slices of the input; body absent when empty */
};

/*
 * Look at @len bytes.  Returns the frame's whole size (prefix included) when one is complete and
 * fills @out; 0 when more is needed (*need = the whole size if already known, else FRAME_PREFIX);
 * -1 with tl_fail(TL_EFORMAT or TL_ELIMIT) when the connection can't go on.
 */
int64_t frame_cut(const void *data, size_t len, size_t max, struct frame *out, size_t *need);

#endif
