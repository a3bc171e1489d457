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
    s->hash_count = ++s->tag_count;
}

/* Java's split: pieces that are empty at the end do not count. */
static bool bars_alone(struct tl_str s)
{
    while (s.len >= 2 && s.data[0] == '|' && s.data[1] == '|')
        s = tl_str_n(s.data + 2, s.len - 2);
    return !s.len;
}

int subscription_init(struct subscription *s, struct tl_str topic, struct tl_str expression,
                      struct tl_str type, int64_t version)
{
    struct tl_str rest = expression, tag;
    bool by_tag = !type.len || tl_str_is(type, "TAG");
    bool untyped = type.data && !type.len; /* by tag, but Java takes no tag from its text */
    int rc = 0;

    *s = (struct subscription){.version = version};
    s->topic = xstrndup(topic.data ? topic.data : "", topic.len);
    s->type = by_tag ? xstrdup("TAG") : xstrndup(type.data, type.len);
    s->all = !by_tag || !expression.len || tl_str_is(expression, "*");
    s->expression = by_tag && s->all
                        ? xstrdup("*")
                        : xstrndup(expression.data ? expression.data : "", expression.len);
    if (untyped && !expression.len)
        rc = tl_fail(TL_EFORMAT, "subscription to %.*s: no expression", TL_STR_ARG(topic));
    while (!s->all && !untyped && next_tag(&rest, &tag)) {
        if (has_tag(s, tag))
            continue;
        if (s->tag_count == SUBSCRIPTION_TAGS_MAX) {
            rc = tl_fail(TL_ELIMIT, "subscription to %.*s: more than %d tags",
                         TL_STR_ARG(topic), SUBSCRIPTION_TAGS_MAX);
            break;
        }
        add_tag(s, tag);
    }
    if (!rc && !s->all && !untyped && bars_alone(expression))
        rc = tl_fail(TL_EFORMAT, "subscription to %.*s: no tag in \"%.*s\"", TL_STR_ARG(topic),
                     TL_STR_ARG(expression));
    if (rc)
        subscription_release(s);
    return rc;
}

/* Replaces the hashes of the tags. */
static void set_hashes(struct subscription *s, const int32_t *hashes, uint32_t n)
{
    free(s->hashes);
    s->hashes = n ? xcalloc(n, sizeof(*s->hashes)) : NULL;
    if (n)
        memcpy(s->hashes, hashes, n * sizeof(*s->hashes));
    s->hash_count = n;
}

static int use_codes(struct subscription *s, const json_t *codes)
{
    size_t n = json_array_size(codes);

    if (n > SUBSCRIPTION_TAGS_MAX)
        return tl_fail(TL_ELIMIT, "subscription to %s: more than %d codes", s->topic,
                       SUBSCRIPTION_TAGS_MAX);
    int32_t hashes[SUBSCRIPTION_TAGS_MAX];
    for (size_t i = 0; i < n; i++)
        hashes[i] = (int32_t)json_as_i64(json_array_get(codes, i), 0);
    set_hashes(s, hashes, (uint32_t)n);
    return 0;
}

/* The members that Java reads of a SubscriptionData, and its defaults. */
static json_t *as_shown(const struct subscription *s, const json_t *o)
{
    static const char *const texts[] = {"expressionType", "subString", "topic"};
    json_t *shown = json_object();

    for (size_t i = 0; i < 3; i++) {
        const json_t *v = json_object_get(o, texts[i]);
        if (!v && i == 0)
            json_set_str(shown, texts[i], TL_STR("TAG"));
        else if (json_is_string(v))
            json_object_set_new(shown, texts[i], json_copy((json_t *)(uintptr_t)v));
    }
    json_set_bool(shown, "classFilterMode", json_get_bool(o, "classFilterMode", false));
    json_set_i64(shown, "subVersion", s->version);
    static const char *const sets[] = {"codeSet", "tagsSet"};
    for (size_t i = 0; i < 2; i++) {
        const json_t *v = json_object_get(o, sets[i]);
        if (!v || json_is_array(v))
            json_object_set_new(shown, sets[i], v ? json_deep_copy(v) : json_array());
    }
    return shown;
}

int subscription_from_json(struct subscription *s, const json_t *o)
{
    struct tl_str topic = json_get_str(o, "topic"), text = json_get_str(o, "subString"),
                  type = json_get_str(o, "expressionType");
    int64_t version = json_get_i64(o, "subVersion", 0);
    const json_t *codes = json_get_array(o, "codeSet");

    if (!topic.len)
        return tl_fail(TL_EFORMAT, "subscription without topic");
    int rc = subscription_init(s, topic, text, type, version);
    if (rc && !codes)
        return rc;
    if (rc)
        rc = subscription_init(s, topic, TL_STR("*"), type, version);
    if (!rc && codes && tl_str_is(tl_str_of(s->type), "TAG")) {
        s->all = tl_str_is(text, "*");
        rc = use_codes(s, codes);
    }
    if (rc)
        subscription_release(s);
    else
        s->shown = as_shown(s, o);
    return rc;
}

json_t *subscription_to_json(const struct subscription *s)
{
    if (s->shown)
        return json_deep_copy(s->shown);

    json_t *o = json_object(), *codes = json_array(), *tags = json_array();
    for (uint32_t i = 0; i < s->tag_count; i++) {
        json_array_append_new(codes, json_integer(s->hashes[i]));
        json_array_append_new(tags, json_string(s->tags[i]));
    }
    json_set_bool(o, "classFilterMode", false);
    json_object_set_new(o, "codeSet", codes);
    json_set_str(o, "expressionType", tl_str_of(s->type));
    json_set_str(o, "subString", tl_str_of(s->expression));
    json_set_i64(o, "subVersion", s->version);
    json_object_set_new(o, "tagsSet", tags);
    json_set_str(o, "topic", tl_str_of(s->topic));
    return o;
}

void subscription_release(struct subscription *s)
{
    for (uint32_t i = 0; i < s->tag_count; i++)
        free(s->tags[i]);
    free(s->tags);
    free(s->hashes);
    json_decref(s->shown);
    free(s->topic);
    free(s->expression);
    free(s->type);
    *s = (struct subscription){0};
}

void subscription_copy(struct subscription *dst, const struct subscription *src)
{
    *dst = (struct subscription){.version = src->version, .all = src->all};
    dst->topic = xstrdup(src->topic);
    dst->expression = xstrdup(src->expression);
    dst->type = xstrdup(src->type);
    for (uint32_t i = 0; i < src->tag_count; i++)
        add_tag(dst, tl_str_of(src->tags[i]));
    set_hashes(dst, src->hashes, src->hash_count);
    dst->shown = json_deep_copy(src->shown);
}

bool subscription_takes(const struct subscription *s, int64_t tag_hash)
{
    if (s->all)
        return true;
    for (uint32_t i = 0; i < s->hash_count; i++) {
        if (s->hashes[i] == tag_hash)
            return true;
    }
    return false;
}
