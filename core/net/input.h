/*
 * input (reactor_) - what a connection needs of its reactor beyond reactor.h; private to net/
 */
#ifndef NET_INPUT_H
#define NET_INPUT_H

#include <stdint.h>

#include "net/bufpool.h"
#include "net/reactor.h"

enum { REACTOR_SCRATCH = 256 * 1024 };

/* The buffer all connections of @r read into, REACTOR_SCRATCH bytes; free between callbacks. */
uint8_t *reactor_scratch(struct reactor *r);
/* The buffers of its connections. */
struct bufpool *reactor_buffers(struct reactor *r);
/* Run @h in the next turn, which then does not wait: input that was cut short by its budget. */
void reactor_next_turn(struct reactor *r, struct turn_hook *h);

#endif
