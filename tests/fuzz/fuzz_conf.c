/* Properties files: any text is walked to its end, keys and values are trimmed. */
#include <stdlib.h>

#include "base/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int look(void *arg, struct tl_str key, struct tl_str value, int line)
{
    int *last = arg;
    if (line <= *last || tl_str_trim(key).len != key.len || tl_str_trim(value).len != value.len)
        abort();
    *last = line;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int last = 0;
    if (conf_properties(tl_str_n(data, size), look, &last) != 0)
        abort();
    return 0;
}
