#include "script/bundle.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"

struct script_bundle {
    _Atomic int32_t refs;
    char *name, *source;
    size_t source_len;
    char version[VM_VERSION_MAX + 16]; /* declared @ hash */
    struct vm_manifest manifest;
};

struct script_bundle *bundle_new(struct tl_str name, struct tl_str source)
{
    struct script_bundle *b = xzalloc(sizeof(*b));

    atomic_init(&b->refs, 1);
    b->name = xstrndup(name.data, name.len);
    b->source = xmalloc(source.len + 1);
    memcpy(b->source, source.data ? source.data : "", source.len);
    b->source[source.len] = '\0';
    b->source_len = source.len;
    return b;
}

void bundle_set_manifest(struct script_bundle *b, const struct vm_manifest *manifest)
{
    uint64_t hash = hash_bytes(b->source, b->source_len);

    b->manifest = *manifest;
    snprintf(b->version, sizeof(b->version), "%s@%08x", manifest->version,
             (unsigned)(hash ^ hash >> 32));
}

struct script_bundle *script_bundle_ref(struct script_bundle *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void script_bundle_unref(struct script_bundle *b)
{
    if (atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
        return;
    free(b->name);
    free(b->source);
    free(b);
}

struct tl_str script_bundle_name(const struct script_bundle *b)
{
    return tl_str_of(b->name);
}

struct tl_str script_bundle_version(const struct script_bundle *b)
{
    return tl_str_of(b->version);
}

struct tl_str script_bundle_source(const struct script_bundle *b)
{
    return tl_str_n(b->source, b->source_len);
}

bool script_bundle_has(const struct script_bundle *b, enum script_hook hook)
{
    return b->manifest.hook[hook];
}

/* ---- arguments ---------------------------------------------------------------------------- */

static const char *const type_names[] = {"string", "number", "boolean"};

static int find_arg(const struct script_bundle *b, struct tl_str name)
{
    for (int i = 0; i < b->manifest.args_count; i++)
        if (tl_str_is(name, b->manifest.args[i].name))
            return i;
    return -1;
}

/* "region, min" for the text of an error. */
static void declared_names(const struct script_bundle *b, char *out, size_t size)
{
    size_t at = 0;

    snprintf(out, size, "none");
    for (int i = 0; i < b->manifest.args_count && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%s", i ? ", " : "",
                               b->manifest.args[i].name);
}

static int set_arg(const struct script_bundle *b, json_t *out, struct tl_str name,
                   struct tl_str value)
{
    int i = find_arg(b, name);
    double number;

    if (i < 0) {
        char known[256];
        declared_names(b, known, sizeof(known));
        return tl_fail(TL_EINVAL, "script %s has no argument %.*s; it declares: %s", b->name,
                       TL_STR_ARG(name), known);
    }
    const char *key = b->manifest.args[i].name;
    enum vm_arg_type type = b->manifest.args[i].type;
    if (json_object_get(out, key))
        return tl_fail(TL_EINVAL, "script %s: argument %s is given twice", b->name, key);
    if (type == ARG_STRING) {
        json_t *v = json_stringn(value.data, value.len);
        if (!v)
            return tl_fail(TL_EINVAL, "script %s: argument %s is not UTF-8", b->name, key);
        json_object_set_new(out, key, v);
    } else if (type == ARG_NUMBER && tl_str_f64(value, &number)) {
        json_set_f64(out, key, number);
    } else if (type == ARG_BOOLEAN && (tl_str_is(value, "true") || tl_str_is(value, "false"))) {
        json_set_bool(out, key, tl_str_is(value, "true"));
    } else {
        return tl_fail(TL_EINVAL, "script %s: argument %s=%.*s: expected a %s", b->name, key,
                       TL_STR_ARG(value), type_names[type]);
    }
    return 0;
}

/* Cut the next "name=value" off @text: a value in '...' or "..." may hold commas. */
static int next_pair(const struct script_bundle *b, struct tl_str *text, struct tl_str *name,
                     struct tl_str *value)
{
    const char *equals = memchr(text->data, '=', text->len);
    const char *comma = memchr(text->data, ',', text->len);

    if (!equals || (comma && comma < equals))
        return tl_fail(TL_EINVAL, "arguments of script %s: expected name=value, found %.*s",
                       b->name, TL_STR_ARG(*text));
    *name = tl_str_trim(tl_str_cut(text, '='));
    struct tl_str rest = tl_str_trim(*text);
    if (!rest.len || (rest.data[0] != '\'' && rest.data[0] != '"')) {
        *value = tl_str_trim(tl_str_cut(text, ','));
        return 0;
    }
    const char *close = memchr(rest.data + 1, rest.data[0], rest.len - 1);
    if (!close)
        return tl_fail(TL_EINVAL, "script %s: argument %.*s has a quote without its end",
                       b->name, TL_STR_ARG(*name));
    *value = tl_str_n(rest.data + 1, (size_t)(close - rest.data) - 1);
    *text = tl_str_n(close + 1, (size_t)(rest.data + rest.len - close) - 1);
    if (tl_str_trim(tl_str_cut(text, ',')).len)
        return tl_fail(TL_EINVAL,
                       "script %s: something stands behind the quotes of argument %.*s",
                       b->name, TL_STR_ARG(*name));
    return 0;
}

int script_args_parse(const struct script_bundle *b, struct tl_str text, json_t **out)
{
    json_t *args = json_object();
    struct tl_str name = TL_STR_NONE, value = TL_STR_NONE;
    int rc = 0;

    text = tl_str_trim(text);
    while (!rc && text.data && text.len) {
        rc = next_pair(b, &text, &name, &value);
        if (!rc)
            rc = set_arg(b, args, name, value);
    }
    for (int i = 0; i < b->manifest.args_count && !rc; i++)
        if (!json_object_get(args, b->manifest.args[i].name))
            rc = tl_fail(TL_EINVAL, "script %s needs the argument %s (a %s)", b->name,
                         b->manifest.args[i].name, type_names[b->manifest.args[i].type]);
    if (rc) {
        json_decref(args);
        return rc;
    }
    *out = args;
    return 0;
}
