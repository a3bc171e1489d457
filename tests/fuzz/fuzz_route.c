/* fuzz_route - route bodies */
#include <stdint.h>

#include "proto/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct topic_route r;

    if (topic_route_parse(tl_str_n(data, size), &r) == 0)
        topic_route_release(&r);
    return 0;
}
