/* fuzz_frame - frames that lie about their lengths */
#include <stdint.h>

#include "proto/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frame f;
    size_t need;

    if (frame_cut(data, size, FRAME_MAX_DEFAULT, &f, &need) > 0 &&
        f.body.len + f.header.len + FRAME_HEAD > size)
        __builtin_trap();
    return 0;
}
