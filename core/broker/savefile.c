#include "broker/savefile.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

#undef LOG_MODULE
#define LOG_MODULE "config"

enum { FILE_MAX_BYTES = 512 << 20 };

static bool readable(struct tl_str text)
{
    json_t *o = json_parse(text);
    bool ok = json_is_object(o);

    json_decref(o);
    return ok;
}

static void set_aside(const char *path)
{
    char *aside = xasprintf("%s.damaged", path);

    if (fs_exists(path)) {
        if (rename(path, aside) == 0)
            log_error("file is damaged, its .bak is used file=%s kept_as=%s", path, aside);
        else
            log_error("file is damaged, its .bak is used file=%s", path);
    } else {
        log_warn("file is missing, its .bak is used file=%s", path);
    }
    free(aside);
}

/* An empty file is what a crash of the Java broker leaves: no damage. */
static bool nothing_there(const char *path)
{
    char *bak = xasprintf("%s.bak", path);
    bool nothing = fs_size(path) <= 0 && fs_size(bak) <= 0;

    free(bak);
    return nothing;
}

int savefile_load(const char *path, json_t **out)
{
    struct strbuf text = {0};
    bool from_bak = false;
    int rc = 0;

    if (nothing_there(path)) {
        *out = json_object();
        return 0;
    }
    rc = fs_read_or_bak(path, FILE_MAX_BYTES, readable, &text, &from_bak);
    if (rc == 0) {
        *out = json_parse(strbuf_str(&text));
        if (from_bak)
            set_aside(path);
    }
    strbuf_release(&text);
    if (rc == TL_ECORRUPT)
        return tl_wrap(
            rc, "put a good copy of %s there, or remove it and its .bak to start without",
            path);
    return rc;
}

int savefile_store(const char *path, const json_t *root)
{
    struct strbuf text = {0};

    json_write_pretty(root, &text);
    int rc = fs_replace(path, strbuf_str(&text));
    strbuf_release(&text);
    return rc;
}
