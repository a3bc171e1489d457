/* fuzz_record - stored records */
#include <stdint.h>

#include "proto/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record r;

    if (record_decode(data, size, RECORD_CHECK_CRC, &r) == RECORD_MESSAGE &&
        (r.size > size || record_size(&r) > size + 1))
        __builtin_trap();
    record_decode(data, size, 0, &r);
    return 0;
}
