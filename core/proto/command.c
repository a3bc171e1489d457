#include "proto/command.h"

#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "proto/header_json.h"

enum { EXT_FIRST = 24 }; /* pairs made room for at once; a send has about fifteen */

int command_add_ext(struct command *c, struct arena *a, struct tl_str key, struct tl_str value)
{
    if (c->ext_count == COMMAND_EXT_MAX)
        return tl_fail(TL_ELIMIT, "header: more than %d ext fields", COMMAND_EXT_MAX);
    if (c->ext_count == 0) {
        c->ext = arena_alloc(a, EXT_FIRST * sizeof(*c->ext));
    } else if (c->ext_count == EXT_FIRST) {
        struct kv *more = arena_alloc(a, COMMAND_EXT_MAX * sizeof(*more));
        memcpy(more, c->ext, EXT_FIRST * sizeof(*more));
        c->ext = more;
    }
    c->ext[c->ext_count++] = (struct kv){key, value};
    return 0;
}

int command_decode(const struct frame *f, struct arena *a, struct command *out)
{
    *out = (struct command){.language = -1, .body = f->body, .type = f->type};
    return f->type == SERIALIZE_JSON ? header_json_decode(f->header, a, out)
                                     : header_binary_decode(f->header, a, out);
}

struct tl_str command_ext(const struct command *c, const char *name)
{
    for (uint32_t i = 0; i < c->ext_count; i++) {
        if (tl_str_is(c->ext[i].key, name))
            return c->ext[i].value;
    }
    return TL_STR_NONE;
}

void command_encode(const struct command_out *c, enum serialize_type type, struct strbuf *out)
{
    size_t start = out->len;

    strbuf_reserve(out, FRAME_HEAD);
    strbuf_commit(out, FRAME_HEAD);
    if (type == SERIALIZE_JSON)
        header_json_encode(c, out);
    else
        header_binary_encode(c, out);
    size_t header = out->len - start - FRAME_HEAD;
    put_be32(out->data + start, (uint32_t)(FRAME_HEAD - FRAME_PREFIX + header + c->body_len));
    put_be32(out->data + start + FRAME_PREFIX, (uint32_t)type << 24 | (uint32_t)header);
}
