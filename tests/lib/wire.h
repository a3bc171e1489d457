/*
 * wire - remoting frames over a peer's socket, one at a time
 */
#ifndef WIRE_H
#define WIRE_H

#include "base/arena.h"
#include "proto/command.h"
#include "proto/flags.h"

/* Append a frame of @c with @body behind it (@c->body_len is set from it). */
void wire_add(struct strbuf *out, struct command_out c, struct tl_str body);
void wire_send(int fd, struct command_out c, struct tl_str body);
/* The next frame; *out's slices are in @a. */
void wire_recv(int fd, struct arena *a, struct command *out);

#endif
