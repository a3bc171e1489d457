/*
 * cmd_script (cmd_) - putScript, getScript, listScripts, scriptStatus, rollbackScript, deleteScript, bindScript, unbindScript
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/commands.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "proto/code.h"
#include "proto/hdr_group.h"

/* One request about a script, sent to each broker. */
struct script_call {
    int code;
    struct script_request ext;
    struct script_bind_request bind;
    bool is_bind;
    struct tl_str body;
    const char *done;
};

static int send_one(struct admin *a, const char *addr, void *arg)
{
    const struct script_call *s = arg;
    struct client_reply r;
    int rc = client_call(
        a->client, addr,
        &(struct channel_call){
            .code = s->code,
            .header = s->is_bind ? &script_bind_request_header : &script_request_header,
            .ext = s->is_bind ? (const void *)&s->bind : (const void *)&s->ext,
            .body = s->body,
        },
        NULL, &r);

    if (!rc)
        printf("%s on %s%s%.*s\n", s->done, addr, r.cmd.remark.len ? ": version " : "",
               TL_STR_ARG(r.cmd.remark));
    client_reply_release(&r);
    return rc;
}

static struct tl_str actor(void)
{
    return tl_str_of(getenv("USER"));
}

/* filters/eu_orders.lua -> eu_orders */
static struct tl_str name_of_file(const char *file)
{
    const char *slash = strrchr(file, '/'), *base = slash ? slash + 1 : file,
               *dot = strrchr(base, '.');
    return tl_str_n(base, dot ? (size_t)(dot - base) : strlen(base));
}

int cmd_put_script(struct admin *a, const struct admin_values *v)
{
    const char *file = admin_value(v, "file", NULL), *name = admin_value(v, "script", NULL);
    struct strbuf source;

    strbuf_init(&source);
    int rc = fs_read(file, 1 << 20, &source);
    if (!rc) {
        struct script_call s = {
            .code = RQ_PUT_SCRIPT,
            .ext = {.name = name ? tl_str_of(name) : name_of_file(file), .actor = actor()},
            .body = strbuf_str(&source),
            .done = "script deployed",
        };
        rc = admin_each_broker(a, send_one, &s);
    }
    strbuf_release(&source);
    return rc;
}

static int by_name(struct admin *a, const struct admin_values *v, int code, const char *done)
{
    struct script_call s = {
        .code = code,
        .ext = {.name = tl_str_of(admin_value(v, "script", "")), .actor = actor()},
        .done = done};
    return admin_each_broker(a, send_one, &s);
}

int cmd_rollback_script(struct admin *a, const struct admin_values *v)
{
    return by_name(a, v, RQ_ROLLBACK_SCRIPT, "script rolled back");
}

int cmd_delete_script(struct admin *a, const struct admin_values *v)
{
    return by_name(a, v, RQ_DELETE_SCRIPT, "script deleted");
}

static int bind_or_not(struct admin *a, const struct admin_values *v, int code,
                       const char *done)
{
    struct script_call s = {
        .code = code,
        .is_bind = true,
        .bind =
            {
                .group = tl_str_of(admin_value(v, "consumerGroup", NULL)),
                .topic = tl_str_of(admin_value(v, "topic", NULL)),
                .script = tl_str_of(admin_value(v, "script", NULL)),
                .args = tl_str_of(admin_value(v, "args", NULL)),
                .policy = tl_str_of(admin_value(v, "policy", NULL)),
                .actor = actor(),
            },
        .done = done,
    };
    return admin_each_broker(a, send_one, &s);
}

int cmd_bind_script(struct admin *a, const struct admin_values *v)
{
    return bind_or_not(a, v, RQ_BIND_SCRIPT, "script bound");
}

int cmd_unbind_script(struct admin *a, const struct admin_values *v)
{
    return bind_or_not(a, v, RQ_UNBIND_SCRIPT, "script unbound");
}

static int print_source(struct admin *a, const char *addr, void *arg)
{
    struct script_request ext = {.name = tl_str_of(arg)};
    struct client_reply r;
    int rc =
        client_call(a->client, addr,
                    &(struct channel_call){
                        .code = RQ_GET_SCRIPT, .header = &script_request_header, .ext = &ext},
                    NULL, &r);

    if (!rc)
        fwrite(r.cmd.body.data, 1, r.cmd.body.len, stdout);
    client_reply_release(&r);
    return rc;
}

int cmd_get_script(struct admin *a, const struct admin_values *v)
{
    /* The callback only reads it. */
    return admin_each_broker(a, print_source, (void *)(uintptr_t)admin_value(v, "script", ""));
}

static const char *const status_headings[] = {"Broker",   "Script", "Version",   "Group",
                                              "Topic",    "Args",   "Calls",     "Accepted",
                                              "Rejected", "Errors", "AvgMicros", "Breaker"};
enum { STATUS_COLUMNS = sizeof(status_headings) / sizeof(status_headings[0]) };

static int64_t errors_of(const json_t *binding)
{
    const char *key;
    json_t *v;
    int64_t n = 0;

    /* jansson's iterators want a non-const object but do not change it. */
    json_object_foreach((json_t *)(uintptr_t)json_get_object(binding, "errors"), key, v)
    {
        n += json_as_i64(v, 0);
    }
    return n;
}

static void add_row(struct table *t, const char *addr, const json_t *script,
                    const json_t *binding)
{
    char version[128], numbers[5][32];
    struct tl_str declared = json_get_str(script, "version"),
                  hash = json_get_str(script, "hash");
    struct tl_str name = json_get_str(script, "name"), group = json_get_str(binding, "group");
    struct tl_str topic = json_get_str(binding, "topic"), args = json_get_str(binding, "args"),
                  breaker = json_get_str(binding, "breaker");

    snprintf(version, sizeof(version), "%.*s@%.*s", TL_STR_ARG(declared), TL_STR_ARG(hash));
    snprintf(numbers[0], 32, "%lld", (long long)json_get_i64(binding, "calls", 0));
    snprintf(numbers[1], 32, "%lld", (long long)json_get_i64(binding, "accepted", 0));
    snprintf(numbers[2], 32, "%lld", (long long)json_get_i64(binding, "rejected", 0));
    snprintf(numbers[3], 32, "%lld", (long long)errors_of(binding));
    snprintf(numbers[4], 32, "%.1f", json_get_f64(binding, "avgMicros", 0));
    table_add(t, (const char *const[]){addr, name.data, version, group.data,
                                       topic.data ? topic.data : (binding ? "*" : ""),
                                       args.data, numbers[0], numbers[1], numbers[2],
                                       numbers[3], numbers[4], breaker.data});
}

/* The body of LIST_SCRIPTS, owned. */
static int list_scripts(struct admin *a, const char *addr, json_t **out)
{
    struct script_request ext = {.name = TL_STR_NONE};
    struct client_reply r;
    int rc =
        client_call(a->client, addr,
                    &(struct channel_call){
                        .code = RQ_LIST_SCRIPTS, .header = &script_request_header, .ext = &ext},
                    NULL, &r);

    if (!rc && !(*out = json_parse(r.cmd.body)))
        rc = TL_EFORMAT;
    client_reply_release(&r);
    return rc;
}

static int add_status(struct admin *a, const char *addr, void *arg)
{
    json_t *root, *script, *binding;
    size_t i, j;
    int rc = list_scripts(a, addr, &root);

    if (rc)
        return rc;
    json_array_foreach(json_object_get(root, "scripts"), i, script)
    {
        const json_t *bindings = json_get_array(script, "bindings");
        if (json_array_size(bindings) == 0)
            add_row(arg, addr, script, NULL);
        json_array_foreach(bindings, j, binding) add_row(arg, addr, script, binding);
    }
    json_decref(root);
    return 0;
}

int cmd_script_status(struct admin *a, const struct admin_values *v)
{
    struct table *t = table_new(status_headings, STATUS_COLUMNS);
    int rc = admin_each_broker(a, add_status, t);

    (void)v;
    if (!rc)
        table_print(t, a->json);
    table_free(t);
    return rc;
}

static const char *const list_headings[] = {"Broker",   "Script", "Version", "Hash",
                                            "Previous", "Hooks",  "Bindings"};
enum { LIST_COLUMNS = sizeof(list_headings) / sizeof(list_headings[0]) };

static int add_scripts(struct admin *a, const char *addr, void *arg)
{
    json_t *root, *script, *hook;
    size_t i, j;
    int rc = list_scripts(a, addr, &root);

    if (rc)
        return rc;
    json_array_foreach(json_object_get(root, "scripts"), i, script)
    {
        struct strbuf hooks;
        char bindings[24];
        strbuf_init(&hooks);
        json_array_foreach(json_object_get(script, "hooks"), j, hook)
        {
            strbuf_addz(&hooks, j ? "," : "");
            strbuf_addz(&hooks, json_string_value(hook) ? json_string_value(hook) : "?");
        }
        snprintf(bindings, sizeof(bindings), "%zu",
                 json_array_size(json_object_get(script, "bindings")));
        table_add(arg, (const char *const[]){addr, json_get_str(script, "name").data,
                                             json_get_str(script, "version").data,
                                             json_get_str(script, "hash").data,
                                             json_get_str(script, "previous").data, hooks.data,
                                             bindings});
        strbuf_release(&hooks);
    }
    json_decref(root);
    return 0;
}

int cmd_list_scripts(struct admin *a, const struct admin_values *v)
{
    struct table *t = table_new(list_headings, LIST_COLUMNS);
    int rc = admin_each_broker(a, add_scripts, t);

    (void)v;
    if (!rc)
        table_print(t, a->json);
    table_free(t);
    return rc;
}
