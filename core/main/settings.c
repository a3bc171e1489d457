#include "main/settings.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

enum { LOG_KEEP = 10 };
static const int64_t log_rotate_bytes = 128 << 20;

void settings_die(const char *program, const char *what)
{
    log_stop();
    fprintf(stderr, "%s: %s%s%s\n", program, what, *what ? ": " : "", tl_error_text());
    exit(1);
}

static void warn(void *arg, const char *text)
{
    fprintf(stderr, "%s: %s: ignored\n", (const char *)arg, text);
}

void settings_load(const char *program, const struct conf_table *t, void *conf,
                   const char *file, const struct cli_list *sets)
{
    conf_defaults(t, conf);
    /* The callback's argument is only read. */
    if (file && conf_load(t, conf, file, warn, (void *)(uintptr_t)program))
        settings_die(program, "");
    for (size_t i = 0; i < sets->n; i++) {
        struct tl_str value = tl_str_of(sets->items[i]), key = tl_str_cut(&value, '=');
        if (!value.data) {
            tl_fail(TL_EINVAL, "%s: expected key=value", sets->items[i]);
            settings_die(program, "--set");
        }
        int rc = conf_set(t, conf, key, value);
        if (rc == TL_ENOTFOUND)
            tl_fail(rc, "unknown key %.*s", TL_STR_ARG(key));
        if (rc)
            settings_die(program, "--set");
    }
}

void settings_print(const struct conf_table *t, const void *conf, unsigned only)
{
    struct strbuf text;

    strbuf_init(&text);
    conf_print(t, conf, only, &text);
    fwrite(text.data, 1, text.len, stdout);
    strbuf_release(&text);
    exit(0);
}

void settings_reference(const struct conf_table *t, const char *title)
{
    struct strbuf text;

    strbuf_init(&text);
    conf_reference(t, title, &text);
    fwrite(text.data, 1, text.len, stdout);
    strbuf_release(&text);
    exit(0);
}

void settings_log(const char *program, struct tl_str file, struct tl_str level)
{
    struct log_opts opts = {.rotate_bytes = log_rotate_bytes, .keep = LOG_KEEP};
    char *path = file.len ? xstrndup(file.data, file.len) : NULL,
         *text = xstrndup(level.data, level.len);

    opts.path = path;
    if (!log_level_parse(text, &opts.level)) {
        tl_fail(TL_EINVAL, "logLevel=%s: expected debug, info, warn or error", text);
        settings_die(program, "");
    }
    if (log_start(&opts))
        settings_die(program, "logFile");
    free(path);
    free(text);
}
