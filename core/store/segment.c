#include "store/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/errinj.h"
#include "base/mem.h"

enum { PAGE = 4096 };

static int failed(const struct segment *s, int err, const char *doing)
{
    return tl_fail_errno(err == ENOSPC || err == EDQUOT ? TL_ENOSPC : TL_EIO, err, "%s %s",
                         doing, s->path);
}

static struct segment *make(const char *path, int64_t start, int64_t size)
{
    struct segment *s = xzalloc(sizeof(*s));

    atomic_init(&s->refs, 1);
    s->fd = -1;
    s->start = start;
    s->size = size;
    s->path = xstrdup(path);
    return s;
}

static int map(struct segment *s, enum segment_mode mode)
{
    int prot = mode == SEGMENT_WRITE ? PROT_READ | PROT_WRITE : PROT_READ;
    void *p = mmap(NULL, (size_t)s->size, prot, MAP_SHARED, s->fd, 0);

    if (p == MAP_FAILED)
        return failed(s, errno, "mapping");
    s->map = p;
    return 0;
}

static int allocate(struct segment *s, enum segment_mode mode)
{
    if (ERRINJ(SEGMENT_ALLOC))
        return failed(s, ENOSPC, "allocating");
    if (mode == SEGMENT_WRITE)
        return ftruncate(s->fd, s->size) ? failed(s, errno, "allocating") : 0;
    int err = posix_fallocate(s->fd, 0, s->size);
    return err ? failed(s, err, "allocating") : 0;
}

int segment_create_at(struct segment **out, const char *path, int64_t start, int64_t size,
                      enum segment_mode mode)
{
    struct segment *s = make(path, start, size);
    int rc;

    s->fd = ERRINJ(SEGMENT_CREATE) ? (errno = EIO, -1)
                                   : open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (s->fd < 0) {
        rc = failed(s, errno, "creating");
        segment_unref(s);
        return rc;
    }
    rc = allocate(s, mode);
    if (!rc)
        rc = map(s, mode);
    if (rc) {
        unlink(s->path);
        segment_unref(s);
        return rc;
    }
    *out = s;
    return 0;
}

int segment_open_at(struct segment **out, const char *path, int64_t start, int64_t size,
                    enum segment_mode mode)
{
    struct segment *s = make(path, start, size);
    struct stat st;
    int rc = 0;

    s->fd = open(s->path, O_RDWR | O_CLOEXEC);
    if (s->fd < 0 || fstat(s->fd, &st))
        rc = failed(s, errno, "opening");
    else if (st.st_size != size)
        rc = tl_fail(TL_ECORRUPT, "%s has %" PRId64 " bytes, its neighbours have %" PRId64,
                     s->path, (int64_t)st.st_size, size);
    else
        rc = map(s, mode);
    if (rc) {
        segment_unref(s);
        return rc;
    }
    *out = s;
    return 0;
}

int segment_create(struct segment **out, const char *dir, int64_t start, int64_t size,
                   enum segment_mode mode)
{
    char *path = xasprintf("%s/%020" PRId64, dir, start);
    int rc = segment_create_at(out, path, start, size, mode);

    free(path);
    return rc;
}

int segment_open(struct segment **out, const char *dir, int64_t start, int64_t size,
                 enum segment_mode mode)
{
    char *path = xasprintf("%s/%020" PRId64, dir, start);
    int rc = segment_open_at(out, path, start, size, mode);

    free(path);
    return rc;
}

struct segment *segment_ref(struct segment *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void segment_unref(struct segment *s)
{
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (s->map)
        munmap(s->map, (size_t)s->size);
    if (s->fd >= 0)
        close(s->fd);
    free(s->path);
    free(s);
}

int segment_remove(struct segment *s)
{
    if (ERRINJ(SEGMENT_REMOVE))
        return failed(s, EIO, "removing");
    return unlink(s->path) && errno != ENOENT ? failed(s, errno, "removing") : 0;
}

int segment_pwritev(struct segment *s, struct iovec *iov, int n, int64_t at)
{
    if (ERRINJ(LOG_WRITE))
        return tl_fail_errno(TL_EIO, EIO, "writing %s", s->path);
    while (n > 0) {
        bool torn = false;
        struct iovec first = {iov->iov_base, ERRINJ_PART(LOG_WRITE, iov->iov_len, &torn)};
        bool part = first.iov_len < iov->iov_len;
        ssize_t done = part ? pwritev(s->fd, &first, 1, at) : pwritev(s->fd, iov, n, at);
        ERRINJ_WROTE(torn);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return tl_fail_errno(TL_EIO, done ? errno : EIO, "writing %s", s->path);
        at += done;
        while (n > 0 && (size_t)done >= iov->iov_len) {
            done -= (ssize_t)iov->iov_len;
            iov++;
            n--;
        }
        if (n > 0) {
            iov->iov_base = (char *)iov->iov_base + done;
            iov->iov_len -= (size_t)done;
        }
    }
    return 0;
}

int segment_reserve(struct segment *s, int64_t at, int64_t len)
{
    if (at + len > s->size)
        len = s->size - at;
    if (ERRINJ(SEGMENT_ALLOC))
        return failed(s, ENOSPC, "allocating");
    int err = posix_fallocate(s->fd, at, len);
    return err ? failed(s, err, "allocating") : 0;
}

void segment_write_back(struct segment *s, int64_t at, int64_t len)
{
    sync_file_range(s->fd, at, len, SYNC_FILE_RANGE_WRITE);
}

bool segment_in_memory(const struct segment *s, int64_t at, int64_t len)
{
    unsigned char pages[256];
    int64_t from = at / PAGE * PAGE, to = at + len;

    while (from < to) {
        int64_t n = to - from < PAGE * (int64_t)sizeof(pages) ? to - from
                                                              : PAGE * (int64_t)sizeof(pages);
        if (mincore(s->map + from, (size_t)n, pages))
            return true; /* not to be known: then it is not worth waiting for */
        for (int64_t i = 0; i < (n + PAGE - 1) / PAGE; i++) {
            if (!(pages[i] & 1))
                return false;
        }
        from += n;
    }
    return true;
}

void segment_warm(const struct segment *s, int64_t at, int64_t len, int64_t ahead)
{
    const volatile uint8_t *map = s->map;

    posix_fadvise(s->fd, at, at + len + ahead > s->size ? s->size - at : len + ahead,
                  POSIX_FADV_WILLNEED);
    for (int64_t i = at / PAGE * PAGE; i < at + len; i += PAGE)
        (void)map[i];
}

int segment_sync(struct segment *s)
{
    return fdatasync(s->fd) ? tl_fail_errno(TL_EIO, errno, "syncing %s", s->path) : 0;
}

/* Where the file system can't zero a range by itself. */
static int write_zeros(struct segment *s, int64_t at)
{
    static const char zeros[65536];

    while ((at = segment_next_data(s, at)) < s->size) {
        int64_t n =
            s->size - at < (int64_t)sizeof(zeros) ? s->size - at : (int64_t)sizeof(zeros);
        ssize_t done = pwrite(s->fd, zeros, (size_t)n, at);
        if (done < 0 && errno != EINTR)
            return failed(s, errno, "zeroing");
        if (done > 0)
            at += done;
    }
    return 0;
}

int segment_zero(struct segment *s, int64_t at)
{
    if (at >= s->size)
        return 0;
    if (ERRINJ(LOG_ZERO))
        return failed(s, EIO, "zeroing");
    if (fallocate(s->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, at, s->size - at) == 0)
        return 0;
    return errno == EOPNOTSUPP ? write_zeros(s, at) : failed(s, errno, "zeroing");
}

bool segment_is_zero(const struct segment *s, int64_t at)
{
    while ((at = segment_next_data(s, at)) < s->size) {
        int64_t end = at / PAGE * PAGE + PAGE;
        if (end > s->size)
            end = s->size;
        for (; at < end; at++) {
            if (s->map[at])
                return false;
        }
    }
    return true;
}

void segment_erase(struct segment *s, int64_t at)
{
    while ((at = segment_next_data(s, at)) < s->size) {
        int64_t end = at / PAGE * PAGE + PAGE;
        if (end > s->size)
            end = s->size;
        for (; at < end; at++) {
            if (s->map[at])
                s->map[at] = 0;
        }
    }
}

int64_t segment_next_data(const struct segment *s, int64_t at)
{
    off_t to = at < s->size ? lseek(s->fd, at, SEEK_DATA) : -1;

    if (to < 0)
        return at < s->size && errno != ENXIO ? at : s->size;
    return to < s->size ? to : s->size;
}
