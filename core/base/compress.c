#include "base/compress.h"

#include <libdeflate.h>
#include <lz4frame.h>
#include <zstd.h>

#include "base/err.h"
#include "base/mem.h"

enum { STEP = 64 * 1024, ZLIB_LEVEL = 5, ZSTD_LEVEL = 3 };

static int too_large(size_t max)
{
    return tl_fail(TL_ELIMIT, "compressed body expands to more than %zu bytes", max);
}

static int damaged(const char *kind, const char *why)
{
    return tl_fail(TL_EFORMAT, "damaged %s body: %s", kind, why);
}

/* libdeflate works on whole buffers, and zlib streams do not carry their plain size. */
static int expand_zlib(const void *data, size_t len, size_t max, struct strbuf *out)
{
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    if (!d)
        return tl_fail(TL_ENOMEM, "expanding a zlib body");
    size_t room = len < max / 4 ? len * 4 : max;
    if (room < 4096)
        room = max < 4096 ? max : 4096;
    int rc;
    for (;;) {
        size_t n = 0;
        char *to = strbuf_reserve(out, room);
        enum libdeflate_result r = libdeflate_zlib_decompress(d, data, len, to, room, &n);
        if (r == LIBDEFLATE_SUCCESS) {
            strbuf_commit(out, n);
            rc = 0;
            break;
        }
        if (r != LIBDEFLATE_INSUFFICIENT_SPACE) {
            rc = damaged("zlib", "not a whole zlib stream");
            break;
        }
        if (room == max) {
            rc = too_large(max);
            break;
        }
        room = room < max / 2 ? room * 2 : max;
    }
    libdeflate_free_decompressor(d);
    return rc;
}

/* Room for the next piece of output, at most what @max leaves, plus 1 to see it exceeded. */
static size_t next_room(size_t done, size_t max)
{
    size_t left = max - done;
    return left < STEP ? left + 1 : STEP;
}

static int expand_lz4(const void *data, size_t len, size_t max, struct strbuf *out)
{
    LZ4F_dctx *ctx;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&ctx, LZ4F_VERSION)))
        return tl_fail(TL_ENOMEM, "expanding an LZ4 body");
    const char *at = data;
    size_t left = len;
    size_t start = out->len;
    int rc = 0;
    for (size_t hint = 1;;) {
        size_t room = next_room(out->len - start, max);
        size_t taken = left;
        char *to = strbuf_reserve(out, room);
        hint = LZ4F_decompress(ctx, to, &room, at, &taken, NULL);
        if (LZ4F_isError(hint)) {
            rc = damaged("LZ4", LZ4F_getErrorName(hint));
            break;
        }
        strbuf_commit(out, room);
        at += taken;
        left -= taken;
        if (out->len - start > max) {
            rc = too_large(max);
            break;
        }
        if (!left && !room) {
            rc = hint ? damaged("LZ4", "cut short") : 0;
            break;
        }
        if (!left && !hint)
            break;
    }
    LZ4F_freeDecompressionContext(ctx);
    return rc;
}

static int expand_zstd(const void *data, size_t len, size_t max, struct strbuf *out)
{
    ZSTD_DStream *stream = ZSTD_createDStream();
    if (!stream)
        return tl_fail(TL_ENOMEM, "expanding a Zstandard body");
    ZSTD_inBuffer in = {data, len, 0};
    size_t start = out->len;
    int rc = 0;
    for (;;) {
        size_t room = next_room(out->len - start, max);
        ZSTD_outBuffer to = {strbuf_reserve(out, room), room, 0};
        size_t hint = ZSTD_decompressStream(stream, &to, &in);
        if (ZSTD_isError(hint)) {
            rc = damaged("Zstandard", ZSTD_getErrorName(hint));
            break;
        }
        strbuf_commit(out, to.pos);
        if (out->len - start > max) {
            rc = too_large(max);
            break;
        }
        if (in.pos == in.size && (!hint || !to.pos)) {
            rc = hint ? damaged("Zstandard", "cut short") : 0;
            break;
        }
    }
    ZSTD_freeDStream(stream);
    return rc;
}

int compress_expand(enum compress_kind kind, const void *data, size_t len, size_t max,
                    struct strbuf *out)
{
    size_t before = out->len;
    int rc;
    if (!len)
        return damaged("compressed", "no bytes");
    switch (kind) {
    case COMPRESS_LZ4: rc = expand_lz4(data, len, max, out); break;
    case COMPRESS_ZSTD: rc = expand_zstd(data, len, max, out); break;
    case COMPRESS_ZLIB: rc = expand_zlib(data, len, max, out); break;
    default: return tl_fail(TL_ENOTSUP, "no compression of kind %d", (int)kind);
    }
    if (rc && out->data) {
        out->len = before;
        out->data[before] = '\0';
    }
    return rc;
}

static int pack_zlib(const void *data, size_t len, struct strbuf *out)
{
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(ZLIB_LEVEL);
    if (!c)
        return tl_fail(TL_ENOMEM, "compressing by zlib");
    size_t room = libdeflate_zlib_compress_bound(c, len);
    char *to = strbuf_reserve(out, room);
    strbuf_commit(out, libdeflate_zlib_compress(c, data, len, to, room));
    libdeflate_free_compressor(c);
    return 0;
}

static int pack_lz4(const void *data, size_t len, struct strbuf *out)
{
    size_t room = LZ4F_compressFrameBound(len, NULL);
    size_t n = LZ4F_compressFrame(strbuf_reserve(out, room), room, data, len, NULL);
    if (LZ4F_isError(n))
        return tl_fail(TL_ENOMEM, "compressing by LZ4: %s", LZ4F_getErrorName(n));
    strbuf_commit(out, n);
    return 0;
}

static int pack_zstd(const void *data, size_t len, struct strbuf *out)
{
    size_t room = ZSTD_compressBound(len);
    size_t n = ZSTD_compress(strbuf_reserve(out, room), room, data, len, ZSTD_LEVEL);
    if (ZSTD_isError(n))
        return tl_fail(TL_ENOMEM, "compressing by Zstandard: %s", ZSTD_getErrorName(n));
    strbuf_commit(out, n);
    return 0;
}

int compress_pack(enum compress_kind kind, const void *data, size_t len, struct strbuf *out)
{
    switch (kind) {
    case COMPRESS_LZ4: return pack_lz4(data, len, out);
    case COMPRESS_ZSTD: return pack_zstd(data, len, out);
    case COMPRESS_ZLIB: return pack_zlib(data, len, out);
    }
    return tl_fail(TL_ENOTSUP, "no compression of kind %d", (int)kind);
}
