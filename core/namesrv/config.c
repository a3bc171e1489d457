#include "namesrv/config.h"

#include <stdlib.h>

#include "base/mem.h"

static const struct conf_key keys[] = {
#define X(type, member, key, def, min, max, flags, doc) \
    CONF_KEY(namesrv_conf, type, member, key, def, min, max, flags, doc)
#include "namesrv/config.def"
#undef X
};
const struct conf_table namesrv_conf_table = {keys, sizeof(keys) / sizeof(keys[0])};

void namesrv_conf_finish(struct namesrv_conf *conf)
{
    const char *home = getenv("HOME");

    if (conf->kv_config_path.len)
        return;
    char *path = xasprintf("%s/namesrv/kvConfig.json", home ? home : ".");
    conf_set(&namesrv_conf_table, conf, TL_STR("kvConfigPath"), tl_str_of(path));
    free(path);
}
