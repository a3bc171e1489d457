#include "wire.h"

#include "base/bytes.h"
#include "peer.h"
#include "t.h"

void wire_add(struct strbuf *out, struct command_out c, struct tl_str body)
{
    c.body_len = body.len;
    command_encode(&c, SERIALIZE_JSON, out);
    strbuf_addstr(out, body);
}

void wire_send(int fd, struct command_out c, struct tl_str body)
{
    struct strbuf b;

    strbuf_init(&b);
    wire_add(&b, c, body);
    peer_send(fd, b.data, b.len);
    strbuf_release(&b);
}

void wire_recv(int fd, struct arena *a, struct command *out)
{
    uint8_t prefix[FRAME_PREFIX];
    struct frame f;
    size_t need;

    peer_recv(fd, prefix, sizeof(prefix));
    size_t len = get_be32(prefix);
    char *frame = arena_alloc(a, FRAME_PREFIX + len);
    memcpy(frame, prefix, FRAME_PREFIX);
    peer_recv(fd, frame + FRAME_PREFIX, len);
    CHECK_INT(frame_cut(frame, FRAME_PREFIX + len, INT32_MAX, &f, &need), FRAME_PREFIX + len);
    CHECK_OK(command_decode(&f, a, out));
}
