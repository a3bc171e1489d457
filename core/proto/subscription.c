#include "proto/subscription.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"

/* The next tag of an expression cut at "||"; blanks around it do not count.  False at the end. */
static bool next_tag(struct tl_str *rest, struct tl_str *tag)
{
    while (rest->data) {
        struct tl_str piece = *rest;
        const char *bar = rest->len ? memmem(rest->data, rest->len, "||", 2) : NULL;
        if (bar) {
            piece.len = (size_t)(bar - rest->data);
            *rest = tl_str_n(bar + 2, rest->len - piece.len - 2);
        } else {
            *rest = TL_STR_NONE;
        }
        *tag = tl_str_trim(piece);
        if (tag->len)
            return true;
    }
    return false;
}

static bool has_tag(const struct subscription *s, struct tl_str tag)
{
    for (uint32_t i = 0; i < s->tag_count; i++) {
        if (tl_str_is(tag, s->tags[i]))
            return true;
    }
    return false;
}

static void add_tag(struct subscription *s, struct tl_str tag)
{
    if (!(s->tag_count & (s->tag_count - 1))) { /* at each power of two */
        size_t cap = s->tag_count ? (size_t)s->tag_count * 2 : 1;
        s->tags = xrealloc(s->tags, cap * sizeof(*s->tags));
        s->hashes = xrealloc(s->hashes, cap * sizeof(*s->hashes));
    }
    s->tags[s->tag_count] = xstrndup(tag.data, tag.len);
    s->hashes[s->tag_count] = hash_java_string(tag);
    s->tag_count++;
}

int subscription_init(struct subscription *s, struct tl_str topic, struct tl_str expression,
                      struct tl_str type, int64_t version)
{
    struct tl_str rest = expression, tag;
    bool by_tag = !type.len || tl_str_is(type, "TAG");
    int rc = 0;

    *s = (struct subscription){.version = version};
    s->topic = xstrndup(topic.data ? topic.data : "", topic.len);
    s->type = by_tag ? xstrdup("TAG") : xstrndup(type.data, type.len);
    s->all = !by_tag || !expression.len || tl_str_is(expression, "*");
    s->expression = by_tag && s->all
                        ? xstrdup("*")
                        : xstrndup(expression.data ? expression.data : "", expression.len);
    while (!s->all && next_tag(&rest, &tag)) {
        if (has_tag(s, tag))
            continue;
        if (s->tag_count == SUBSCRIPTION_TAGS_MAX) {
            rc = tl_fail(TL_ELIMIT, "subscription to %.*s: more than %d tags",
                         TL_STR_ARG(topic), SUBSCRIPTION_TAGS_MAX);
            break;
        }
        add_tag(s, tag);
    }
    if (!rc && !s->all && !s->tag_count)
        rc = tl_fail(TL_EFORMAT, "subscription to %.*s: no tag in \"%.*s\"", TL_STR_ARG(topic),
                     TL_STR_ARG(expression));
    if (rc)
        subscription_release(s);
    return rc;
}

void subscription_release(struct subscription *s)
{
    for (uint32_t i = 0; i < s->tag_count; i++)
        free(s->tags[i]);
    free(s->tags);
    free(s->hashes);
    free(s->topic);
    free(s->expression);
    free(s->type);
    *s = (struct subscription){0};
}

void subscription_copy(struct subscription *dst, const struct subscription *src)
{
    *dst = (struct subscription){
        .version = src->version, .all = src->all, .class_filter_mode = src->class_filter_mode};
    dst->topic = xstrdup(src->topic);
    dst->expression = xstrdup(src->expression);
    dst->type = xstrdup(src->type);
    for (uint32_t i = 0; i < src->tag_count; i++)
        add_tag(dst, tl_str_of(src->tags[i]));
}

bool subscription_takes(const struct subscription *s, int64_t tag_hash)
{
    if (s->all)
        return true;
    for (uint32_t i = 0; i < s->tag_count; i++) {
        if (s->hashes[i] == tag_hash)
            return true;
    }
    return false;
}
