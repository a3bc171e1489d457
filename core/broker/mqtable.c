#include "broker/mqtable.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "proto/bodies.h"

void mqtable_init(struct mqtable *t, struct tl_str broker_name)
{
    *t = (struct mqtable){.broker_name = broker_name};
}

void mqtable_release(struct mqtable *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->entries[i].topic);
        free(t->entries[i].value);
    }
    free(t->entries);
    *t = (struct mqtable){0};
}

/* MessageQueue.hashCode, spread as ConcurrentHashMap does. */
static uint32_t java_hash(struct tl_str topic, struct tl_str broker_name, int32_t queue_id)
{
    uint32_t h = 1;

    h = 31 * h + (uint32_t)hash_java_string(broker_name);
    h = 31 * h + (uint32_t)queue_id;
    h = 31 * h + (uint32_t)hash_java_string(topic);
    return (h ^ (h >> 16)) & 0x7fffffff;
}

void mqtable_add(struct mqtable *t, struct tl_str topic, int32_t queue_id, const char *fmt, ...)
{
    char value[256];
    va_list args;

    va_start(args, fmt);
    vsnprintf(value, sizeof(value), fmt, args);
    va_end(args);
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 16;
        t->entries = xrealloc(t->entries, t->cap * sizeof(t->entries[0]));
    }
    t->entries[t->n++] =
        (struct mqtable_entry){.topic = xstrndup(topic.data, topic.len),
                               .queue_id = queue_id,
                               .hash = java_hash(topic, t->broker_name, queue_id),
                               .value = xstrdup(value)};
}

/* Buckets of a map that took @n entries one by one: 16, doubled at three quarters. */
static uint32_t buckets(size_t n)
{
    uint32_t size = 16;

    while (n >= (size_t)size / 4 * 3)
        size *= 2;
    return size;
}

void mqtable_write(struct mqtable *t, struct strbuf *out)
{
    uint32_t mask = buckets(t->n) - 1;
    size_t *head = xcalloc(mask + 1, sizeof(*head)), *next = xcalloc(t->n + 1, sizeof(*next));
    bool first = true;

    /* Chains by bucket in the order of insertion, by 1-based index. */
    for (size_t i = t->n; i > 0; i--) {
        size_t *h = &head[t->entries[i - 1].hash & mask];
        next[i] = *h;
        *h = i;
    }
    strbuf_addc(out, '{');
    for (uint32_t b = 0; b <= mask; b++) {
        for (size_t i = head[b]; i; i = next[i]) {
            const struct mqtable_entry *e = &t->entries[i - 1];
            if (!first)
                strbuf_addc(out, ',');
            first = false;
            message_queue_write(out, tl_str_of(e->topic), t->broker_name, e->queue_id);
            strbuf_addc(out, ':');
            strbuf_addz(out, e->value);
        }
    }
    strbuf_addc(out, '}');
    free(head);
    free(next);
}
