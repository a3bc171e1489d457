/*
 * drops - topics that were deleted, and where in the log that was
 *
 * The records of a deleted topic stay in the log until their file goes.  A replay must not make its queues again, and if the
 * topic was created anew, must not mix the two.  <root>/deletedTopics has a line "POSITION TOPIC" for each topic whose
 * records before POSITION count as deleted; it is on the disk before the first file of a queue goes.  RocketMQ, which brings
 * a deleted topic's queues back after a crash, does not look at it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <uthash.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/format.h"
#include "store/store_private.h"

#undef LOG_MODULE
#define LOG_MODULE "store"

enum { FILE_MAX = 64 << 20 };

struct drop {
    UT_hash_handle hh;
    int64_t pos;
    char topic[];
};

static struct drop *lookup(struct store *s, struct tl_str topic)
{
    struct drop *d;

    HASH_FIND(hh, s->drops, topic.data, topic.len, d);
    return d;
}

static void put(struct store *s, struct tl_str topic, int64_t pos)
{
    struct drop *d = lookup(s, topic);

    if (!d) {
        d = xzalloc(sizeof(*d) + topic.len + 1);
        memcpy(d->topic, topic.data, topic.len);
        HASH_ADD_KEYPTR(hh, s->drops, d->topic, topic.len, d);
    }
    if (pos > d->pos)
        d->pos = pos;
}

int64_t drops_find(struct store *s, struct tl_str topic)
{
    const struct drop *d = s->drops ? lookup(s, topic) : NULL;
    return d ? d->pos : -1;
}

/* Every line ends: a torn one is none, and its topic's files were not touched yet. */
int drops_load(struct store *s)
{
    char *path = xasprintf("%s/" FORMAT_DROPS, s->root);
    struct strbuf text = {0};
    int rc = fs_read(path, FILE_MAX, &text);
    struct tl_str rest = strbuf_str(&text);

    free(path);
    while (!rc && rest.len && memchr(rest.data, '\n', rest.len)) {
        struct tl_str topic = tl_str_cut(&rest, '\n'), number = tl_str_cut(&topic, ' ');
        int64_t pos;
        if (topic.data && topic.len && tl_str_i64(number, &pos))
            put(s, topic, pos);
        else
            log_warn("line of " FORMAT_DROPS " is left out text=\"%.*s\"", TL_STR_ARG(number));
    }
    strbuf_release(&text);
    return rc == TL_ENOTFOUND ? 0 : rc;
}

static int save(struct store *s)
{
    char *path = xasprintf("%s/" FORMAT_DROPS, s->root);
    int64_t begin = segq_first(&s->log);
    struct strbuf text = {0};
    struct drop *d, *next;

    HASH_ITER (hh, s->drops, d, next) {
        if (d->pos > begin) {
            strbuf_printf(&text, "%" PRId64 " %s\n", d->pos, d->topic);
            continue;
        }
        HASH_DEL(s->drops, d); /* no record of those days is left */
        free(d);
    }
    int rc = fs_replace(path, strbuf_str(&text));
    strbuf_release(&text);
    free(path);
    return rc;
}

int drops_add(struct store *s, struct tl_str topic, int64_t pos)
{
    put(s, topic, pos);
    return save(s);
}

int drops_clamp(struct store *s, int64_t end)
{
    bool any = false;
    struct drop *d, *next;

    HASH_ITER (hh, s->drops, d, next) {
        if (d->pos > end) {
            d->pos = end;
            any = true;
        }
    }
    return any ? save(s) : 0;
}

void drops_free(struct store *s)
{
    struct drop *d, *next;

    HASH_ITER (hh, s->drops, d, next) {
        HASH_DEL(s->drops, d);
        free(d);
    }
}
