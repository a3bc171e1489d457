/*
 * compress - the three body compressions of RocketMQ, bounded
 *
 * zlib streams (libdeflate), LZ4 frames, Zstandard frames.  Output size is limited by the caller,
 * so a small body cannot grow into all memory.  Any thread.
 */
#ifndef BASE_COMPRESS_H
#define BASE_COMPRESS_H

#include <stddef.h>

#include "base/str.h"

enum compress_kind { COMPRESS_LZ4 = 1, COMPRESS_ZSTD = 2, COMPRESS_ZLIB = 3 }; /* CompressionType */

/* Append the plain bytes to @out.  TL_EFORMAT, or TL_ELIMIT when they exceed @max. */
int compress_expand(enum compress_kind kind, const void *data, size_t len, size_t max, struct strbuf *out);
/* Append the compressed bytes to @out. */
int compress_pack(enum compress_kind kind, const void *data, size_t len, struct strbuf *out);

#endif
