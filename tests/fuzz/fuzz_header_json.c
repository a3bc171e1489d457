/* fuzz_header_json - headers of requests */
#include <stdint.h>

#include "proto/command.h"
#include "proto/hdr_produce.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frame f = {.type = SERIALIZE_JSON, .header = tl_str_n(data, size)};
    struct send_request h;
    struct command c;
    struct arena a;

    arena_init(&a, 0);
    if (command_decode(&f, &a, &c) == 0) {
        header_decode(&send_request_header, c.ext, c.ext_count, false, &h);
        header_decode(&send_request_header, c.ext, c.ext_count, true, &h);
    }
    arena_release(&a);
    return 0;
}
