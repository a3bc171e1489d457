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

#include "base/json.h"
#include "base/str.h"

enum { SUBSCRIPTION_TAGS_MAX = 1024 };

struct subscription {
    char *topic, *expression; /* owned */
    char *type;               /* "TAG", "SQL92", ...; owned */
    int64_t version;
    bool all;        /* takes every tag */
    char **tags;     /* owned, tag_count of them, in order of appearance, no repeats */
    int32_t *hashes; /* Java hash of each tag, or what the client says it is; not sorted */
    uint32_t tag_count, hash_count;
    json_t *shown; /* SubscriptionData as the client sent it, for tools; NULL = ours; owned */
};

/*
 * Build from an expression.  @type absent = TAG; empty = by tag, too, but the text is not cut, so it
 * is "*" or no tag at all.  TL_EFORMAT when a TAG expression is made of bars alone (FilterAPI
 * "subString split error"; blanks between them are a subscription to no tag); TL_ELIMIT for more
 * than SUBSCRIPTION_TAGS_MAX.  A type other than TAG keeps the text and takes all.
 */
int subscription_init(struct subscription *s, struct tl_str topic, struct tl_str expression,
                      struct tl_str type, int64_t version);
/*
 * Build from the SubscriptionData of a heartbeat.  As in the Java broker its codeSet decides, not
 * its text; only where there is none, the text does.  Errors as above, and TL_EFORMAT without topic.
 */
int subscription_from_json(struct subscription *s, const json_t *o);
/* SubscriptionData as admin bodies show it; owned. */
json_t *subscription_to_json(const struct subscription *s);
void subscription_release(struct subscription *s);
void subscription_copy(struct subscription *dst, const struct subscription *src);
/* The tag test of one consume-queue entry. */
bool subscription_takes(const struct subscription *s, int64_t tag_hash);

#endif
