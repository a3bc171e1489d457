/* fuzz_registration - registration bodies, plain and compressed */
#include <stdint.h>

#include "proto/bodies.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct registration r;

    if (registration_parse(tl_str_n(data, size), false, &r) == 0)
        registration_release(&r);
    return 0;
}
