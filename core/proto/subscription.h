/*
 * subscription - tag expressions ("TagA || TagB") and SubscriptionData (FilterAPI)
 *
 * "*" and the empty expression take everything.  Tags are compared by Java hash: over-delivery is
 * safe, clients filter again by text.
 */
#ifndef PROTO_SUBSCRIPTION_H
#define PROTO_SUBSCRIPTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum { SUBSCRIPTION_TAGS_MAX = 1024 };

struct subscription {
    char *topic, *expression; /* owned */
    char *type;               /* "TAG", "SQL92", ...; owned */
    int64_t version;
    bool all;        /* takes every tag */
    char **tags;     /* owned, tag_count of them, in order of appearance, no repeats */
    int32_t *hashes; /* Java hash of each tag; not sorted */
    uint32_t tag_count;
    bool class_filter_mode;
};

/*
 * Build from an expression.  @type absent or empty = TAG.  TL_EFORMAT when a TAG expression has no
 * tag between its bars ("||" alone, as FilterAPI "subString split error"); TL_ELIMIT for more than
 * SUBSCRIPTION_TAGS_MAX.  A type other than TAG keeps the text and takes all.
 */
int subscription_init(struct subscription *s, struct tl_str topic, struct tl_str expression,
                      struct tl_str type, int64_t version);
void subscription_release(struct subscription *s);
void subscription_copy(struct subscription *dst, const struct subscription *src);
/* The tag test of one consume-queue entry. */
bool subscription_takes(const struct subscription *s, int64_t tag_hash);

#endif
