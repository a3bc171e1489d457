/* fuzz_properties - property strings */
#include <stdint.h>

#include "proto/properties.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tl_str text = tl_str_n(data, size), name, value;

    for (size_t at = 0; properties_next(text, &at, &name, &value);) {
        if (!name.len || !value.len)
            __builtin_trap();
    }
    properties_get(text, PROP_TAGS);
    return 0;
}
