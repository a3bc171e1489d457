/* Whatever json_parse() takes, each of our forms writes, and json_parse() takes again. */
#include <stdlib.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const json_t *v, void (*write)(const json_t *, struct strbuf *))
{
    struct strbuf out = {0};
    write(v, &out);
    json_t *second = json_parse(strbuf_str(&out));
    if (!second)
        abort();
    json_decref(second);
    strbuf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *v = json_parse(tl_str_n(data, size));
    if (v) {
        again(v, json_write);
        again(v, json_write_fastjson);
        again(v, json_write_pretty);
        json_decref(v);
    }
    return 0;
}
