/*
 * divert - a message that waits in another queue than the one it is meant for: a delayed one, a half one
 *
 * Where it is meant for stands in its properties meanwhile: REAL_TOPIC and REAL_QID.
 */
#ifndef BROKER_DIVERT_H
#define BROKER_DIVERT_H

#include <stdint.h>

#include "base/str.h"
#include "proto/record.h"

enum { DIVERT_ROOM = 64 }; /* bytes divert_put() needs besides the topic's */

/* Write the two properties at @p; returns the place behind. */
char *divert_put(char *p, struct tl_str topic, int32_t queue_id);
/* Topic and queue of @r become those its properties tell; a topic of length 0 when they do not. */
void divert_restore(struct record *r);

#endif
