#include "store/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/fs.h"
#include "store/format.h"

enum { FIELDS = 5 };

int checkpoint_read(const char *path, struct checkpoint *out)
{
    struct strbuf text;
    int64_t v[FIELDS] = {0};

    strbuf_init(&text);
    int rc = fs_read(path, FORMAT_CHECKPOINT_SIZE, &text);
    for (int i = 0; i < FIELDS && !rc && text.len >= (size_t)(i + 1) * 8; i++)
        v[i] = (int64_t)get_be64(text.data + (size_t)i * 8);
    strbuf_release(&text);
    if (rc && rc != TL_ENOTFOUND)
        return rc;
    *out = (struct checkpoint){v[0], v[1], v[2], v[3], v[4]};
    return 0;
}

int checkpoint_write(const char *path, const struct checkpoint *c)
{
    uint8_t page[FORMAT_CHECKPOINT_SIZE] = {0};
    const int64_t v[FIELDS] = {c->physic_ms, c->logics_ms, c->index_ms, c->master_flushed,
                               c->confirm_pos};

    for (int i = 0; i < FIELDS; i++)
        put_be64(page + i * 8, (uint64_t)v[i]);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return tl_fail_errno(TL_EIO, errno, "opening %s", path);
    /* One page in place: old or new, and both are true. */
    int rc = 0;
    if (pwrite(fd, page, sizeof(page), 0) != (ssize_t)sizeof(page) || fdatasync(fd))
        rc = tl_fail_errno(TL_EIO, errno, "writing %s", path);
    close(fd);
    return rc;
}
