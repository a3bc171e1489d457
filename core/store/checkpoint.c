#include "store/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/errinj.h"
#include "base/fs.h"
#include "base/hash.h"
#include "store/format.h"

enum {
    FIELDS = 5,
    AT_MARK = 64,
    MARK_FIELDS = 6,
    AT_BOOT_ID = AT_MARK + 8 + MARK_FIELDS * 8,
    AT_CRC = AT_BOOT_ID + CHECKPOINT_BOOT_ID,
    MARK_END = AT_CRC + 4,
};

static const char mark_magic[8] = {'T', 'L', 'M', 'A', 'R', 'K', '0', '1'};

static void read_mark(const uint8_t *page, struct checkpoint *c)
{
    int64_t v[MARK_FIELDS];

    for (int i = 0; i < MARK_FIELDS; i++)
        v[i] = (int64_t)get_be64(page + AT_MARK + 8 + i * 8);
    if (memcmp(page + AT_MARK, mark_magic, sizeof(mark_magic)) != 0 ||
        get_be32(page + AT_CRC) != hash_crc32(page + AT_MARK, AT_CRC - AT_MARK) ||
        v[0] != c->physic_ms)
        return;
    c->marked = true;
    c->flushed = v[1];
    c->log_begin = v[2];
    c->queue_entries = v[3];
    c->queue_synced = v[4];
    c->log_end = v[5];
    memcpy(c->boot_id, page + AT_BOOT_ID, CHECKPOINT_BOOT_ID);
    c->boot_id[CHECKPOINT_BOOT_ID - 1] = '\0';
}

int checkpoint_read(const char *path, struct checkpoint *out)
{
    struct strbuf text;
    int64_t v[FIELDS] = {0};

    strbuf_init(&text);
    int rc = fs_read(path, FORMAT_CHECKPOINT_SIZE, &text);
    for (int i = 0; i < FIELDS && !rc && text.len >= (size_t)(i + 1) * 8; i++)
        v[i] = (int64_t)get_be64(text.data + (size_t)i * 8);
    if (!rc || rc == TL_ENOTFOUND)
        *out = (struct checkpoint){
            v[0], v[1], v[2], v[3], v[4], .queue_entries = -1, .queue_synced = -1};
    if (!rc && text.len >= MARK_END)
        read_mark((const uint8_t *)text.data, out);
    strbuf_release(&text);
    return rc == TL_ENOTFOUND ? 0 : rc;
}

static void write_mark(uint8_t *page, const struct checkpoint *c)
{
    const int64_t v[MARK_FIELDS] = {c->physic_ms,     c->flushed,      c->log_begin,
                                    c->queue_entries, c->queue_synced, c->log_end};

    memcpy(page + AT_MARK, mark_magic, sizeof(mark_magic));
    for (int i = 0; i < MARK_FIELDS; i++)
        put_be64(page + AT_MARK + 8 + i * 8, (uint64_t)v[i]);
    memcpy(page + AT_BOOT_ID, c->boot_id, CHECKPOINT_BOOT_ID);
    put_be32(page + AT_CRC, hash_crc32(page + AT_MARK, AT_CRC - AT_MARK));
}

int checkpoint_write(const char *path, const struct checkpoint *c)
{
    uint8_t page[FORMAT_CHECKPOINT_SIZE] = {0};
    const int64_t v[FIELDS] = {c->physic_ms, c->logics_ms, c->index_ms, c->master_flushed,
                               c->confirm_pos};
    bool torn;

    for (int i = 0; i < FIELDS; i++)
        put_be64(page + i * 8, (uint64_t)v[i]);
    write_mark(page, c);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return tl_fail_errno(TL_EIO, errno, "opening %s", path);
    size_t part = ERRINJ_PART(CHECKPOINT_WRITE, sizeof(page), &torn);
    ssize_t n = ERRINJ(CHECKPOINT_WRITE) ? (errno = EIO, -1) : pwrite(fd, page, part, 0);
    ERRINJ_WROTE(torn);
    if (n >= 0 && (size_t)n < sizeof(page)) /* a short one: once more decides */
        n = pwrite(fd, page, sizeof(page), 0);
    /* One page in place: old or new, and both are true. */
    int rc = 0;
    if (n != (ssize_t)sizeof(page) || (ERRINJ(CHECKPOINT_SYNC) ? (errno = EIO) : fdatasync(fd)))
        rc = tl_fail_errno(n >= 0 && n < (ssize_t)sizeof(page) ? TL_ENOSPC : TL_EIO, errno,
                           "writing %s", path);
    close(fd);
    return rc;
}

void checkpoint_boot_id(char out[CHECKPOINT_BOOT_ID])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, out, CHECKPOINT_BOOT_ID - 1) : 0;

    if (fd >= 0)
        close(fd);
    n = n < 0 ? 0 : n;
    while (n > 0 && (uint8_t)out[n - 1] <= ' ')
        n--;
    memset(out + n, 0, (size_t)(CHECKPOINT_BOOT_ID - n));
}
