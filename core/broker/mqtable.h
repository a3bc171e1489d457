/*
 * mqtable - JSON maps keyed by MessageQueue, in the form and order of the Java broker
 *
 *   {{"brokerName":"b","queueId":0,"topic":"T"}:VALUE,...}
 *
 * Java fills a ConcurrentHashMap and fastjson walks it by bucket; the same order here keeps
 * answers byte for byte comparable.  Own thread.
 */
#ifndef BROKER_MQTABLE_H
#define BROKER_MQTABLE_H

#include <stdint.h>

#include "base/str.h"

struct mqtable_entry {
    char *topic; /* owned */
    int32_t queue_id;
    uint32_t hash;
    char *value; /* JSON text; owned */
};

struct mqtable {
    struct tl_str broker_name; /* borrowed for the table's life */
    struct mqtable_entry *entries;
    size_t n, cap;
};

void mqtable_init(struct mqtable *t, struct tl_str broker_name);
void mqtable_release(struct mqtable *t);
/* Add the value (formatted JSON text) of a queue not added before. */
void mqtable_add(struct mqtable *t, struct tl_str topic, int32_t queue_id, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The map with its braces, appended to @out. */
void mqtable_write(struct mqtable *t, struct strbuf *out);

#endif
