/*
 * header_json, header_binary - the two serializations behind command.h; private to proto/
 */
#ifndef PROTO_HEADER_JSON_H
#define PROTO_HEADER_JSON_H

#include "proto/command.h"

enum { HEADER_JSON_DEPTH_MAX = 32 };

/* Fixed fields and ext pairs of @text into @out (zeroed by the caller).  0, TL_EFORMAT, TL_ELIMIT. */
int header_json_decode(struct tl_str text, struct arena *a, struct command *out);
int header_binary_decode(struct tl_str bytes, struct arena *a, struct command *out);
/* Append the header's bytes. */
void header_json_encode(const struct command_out *c, struct strbuf *out);
void header_binary_encode(const struct command_out *c, struct strbuf *out);

/* Put one more pair; TL_ELIMIT beyond COMMAND_EXT_MAX.  Grows in the arena. */
int command_add_ext(struct command *c, struct arena *a, struct tl_str key, struct tl_str value);

#endif
