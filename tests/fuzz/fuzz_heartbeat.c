/* fuzz_heartbeat - heartbeat bodies */
#include <stdint.h>

#include "proto/bodies.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct heartbeat h;

    if (heartbeat_parse(tl_str_n(data, size), &h) == 0)
        heartbeat_release(&h);
    return 0;
}
