/* fuzz_batch - batch bodies */
#include <stdint.h>

#include "proto/batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r = reader_of(data, size);
    struct batch_item item;

    while (batch_next(&r, &item) > 0)
        ;
    return 0;
}
