#include "store/segq.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#undef LOG_MODULE
#define LOG_MODULE "store"

enum { NAME_DIGITS = 20 };

struct found {
    int64_t start, size;
};

static int compare(const void *x, const void *y)
{
    const struct found *a = x, *b = y;
    return (a->start > b->start) - (a->start < b->start);
}

/* Names and sizes of the files in the folder, sorted; *n of them.  @strict: TL_ECORRUPT for a name that is no number. */
static int list_files(const char *path, bool strict, struct found **out, size_t *n)
{
    DIR *dir = opendir(path);
    size_t cap = 0;

    *out = NULL;
    *n = 0;
    if (!dir)
        return errno == ENOENT ? 0 : tl_fail_errno(TL_EIO, errno, "reading folder %s", path);
    for (struct dirent *e; (e = readdir(dir));) {
        int64_t start;
        if (e->d_name[0] == '.' || e->d_type == DT_DIR)
            continue;
        if (!tl_str_i64(tl_str_of(e->d_name), &start) || start < 0 ||
            strlen(e->d_name) != NAME_DIGITS) {
            if (!strict) {
                log_warn("%s/%s is no queue file: left alone", path, e->d_name);
                continue;
            }
            closedir(dir);
            free(*out);
            *out = NULL;
            return tl_fail(TL_ECORRUPT, "%s/%s: not a file of RocketMQ's store; move it away",
                           path, e->d_name);
        }
        if (*n == cap)
            *out = xrealloc(*out, (cap = cap ? cap * 2 : 16) * sizeof(**out));
        char *file = xasprintf("%s/%s", path, e->d_name);
        (*out)[(*n)++] = (struct found){start, fs_size(file)};
        free(file);
    }
    closedir(dir);
    if (*n)
        qsort(*out, *n, sizeof(**out), compare);
    return 0;
}

static int remove_file(const char *dir, int64_t start)
{
    char *path = xasprintf("%s/%020" PRId64, dir, start);
    int rc = unlink(path) ? tl_fail_errno(TL_EIO, errno, "removing %s", path) : 0;

    if (!rc)
        log_warn("unfinished file removed file=%s", path);
    free(path);
    return rc ? rc : fs_sync_dir(dir);
}

/* Making it was interrupted: it has not got the size it should have, and nothing was written to it. */
static bool is_unfinished(const char *dir, const struct found *f, int64_t size)
{
    struct segment *s;
    bool zero = false;

    if (f->size <= 0 || f->size == size)
        return f->size == 0;
    if (segment_open(&s, dir, f->start, f->size, SEGMENT_READ) == 0) {
        zero = segment_is_zero(s, 0);
        segment_unref(s);
    }
    return zero;
}

/* Is there something wrong with file @i? */
static int judge_file(const struct segq *q, const struct found *files, size_t i)
{
    if (i > 0 && files[i].start != files[i - 1].start + q->size)
        return tl_fail(TL_ECORRUPT,
                       "%s: a file is missing between %020" PRId64 " and %020" PRId64, q->dir,
                       files[i - 1].start, files[i].start);
    if (files[i].size != q->size)
        return tl_fail(TL_ECORRUPT,
                       "%s/%020" PRId64 " has %" PRId64 " bytes, its neighbours have %" PRId64,
                       q->dir, files[i].start, files[i].size, q->size);
    return 0;
}

static int open_files(struct segq *q, const struct found *files, size_t n, int64_t unsafe_from)
{
    for (size_t i = 0; i < n; i++) {
        struct segment *s;
        int rc = judge_file(q, files, i);
        if (rc && files[i].start >= unsafe_from) {
            while (n > i && remove_file(q->dir, files[n - 1].start) == 0)
                n--;
            return n > i ? TL_EIO : 0;
        }
        if (rc || (rc = segment_open(&s, q->dir, files[i].start, q->size, q->mode)) != 0)
            return rc;
        segq_add(q, s);
    }
    return 0;
}

int segq_open(struct segq *q, const char *dir, int64_t *size, enum segment_mode mode,
              int64_t unsafe_from)
{
    struct found *files;
    size_t n;
    int rc = list_files(dir, mode == SEGMENT_READ, &files, &n);

    if (rc)
        return rc;
    *q = (struct segq){.dir = xstrdup(dir), .mode = mode};
    rwlock_init(&q->lock, RANK_SEGQ);
    /* The first file decides on the size, unless it is unfinished itself. */
    if (files && n > 0 && !is_unfinished(dir, &files[0], *size))
        *size = files[0].size;
    while (files && n > 0 && !rc && is_unfinished(dir, &files[n - 1], *size))
        rc = remove_file(dir, files[--n].start);
    q->size = *size;
    if (!rc)
        rc = open_files(q, files, n, unsafe_from);
    free(files);
    if (rc)
        segq_close(q);
    return rc;
}

void segq_close(struct segq *q)
{
    for (size_t i = 0; i < q->n; i++)
        segment_unref(q->list[i]);
    free(q->list);
    free(q->dir);
    rwlock_release(&q->lock);
    *q = (struct segq){0};
}

struct segment *segq_find(const struct segq *q, int64_t pos)
{
    int64_t begin = segq_begin(q);

    if (!q->n || pos < begin)
        return NULL;
    size_t i = (size_t)((pos - begin) / q->size);
    return i < q->n ? q->list[i] : NULL;
}

int64_t segq_first(struct segq *q)
{
    rwlock_read(&q->lock);
    int64_t pos = segq_begin(q);
    rwlock_drop(&q->lock);
    return pos;
}

int64_t segq_limit(struct segq *q)
{
    rwlock_read(&q->lock);
    int64_t pos = segq_end(q);
    rwlock_drop(&q->lock);
    return pos;
}

void segq_add(struct segq *q, struct segment *s)
{
    assert(!q->n || s->start == segq_end(q));
    rwlock_write(&q->lock);
    if (q->n == q->cap) {
        q->cap = q->cap ? q->cap * 2 : 4;
        q->list = xrealloc(q->list, q->cap * sizeof(*q->list));
    }
    q->list[q->n++] = s;
    rwlock_drop(&q->lock);
}

int segq_grow(struct segq *q, int64_t start, struct segment **out)
{
    int rc = fs_mkdirs(q->dir);

    if (!rc)
        rc = segment_create(out, q->dir, start, q->size, q->mode);
    if (!rc)
        segq_add(q, *out);
    return rc;
}

int segq_drop_from(struct segq *q, int64_t pos)
{
    while (q->n && q->list[q->n - 1]->start >= pos) {
        int rc = segment_remove(q->list[q->n - 1]);
        if (!rc)
            rc = fs_sync_dir(
                q->dir); /* or a file in the middle could be gone and the last one back */
        if (rc)
            return rc;
        rwlock_write(&q->lock);
        struct segment *s = q->list[--q->n];
        rwlock_drop(&q->lock);
        segment_unref(s);
    }
    return 0;
}

struct segment *segq_ref_first(struct segq *q)
{
    rwlock_read(&q->lock);
    struct segment *s = q->n ? segment_ref(q->list[0]) : NULL;
    rwlock_drop(&q->lock);
    return s;
}

void segq_forget_first(struct segq *q, struct segment *s)
{
    assert(q->n && q->list[0] == s);
    rwlock_write(&q->lock);
    q->n--;
    memmove(&q->list[0], &q->list[1], q->n * sizeof(*q->list));
    rwlock_drop(&q->lock);
    segment_unref(s);
}

bool segq_pin(struct segq *q, int64_t pos, struct seg_view *out)
{
    rwlock_read(&q->lock);
    struct segment *s = segq_find(q, pos);
    if (s)
        segment_ref(s);
    rwlock_drop(&q->lock);
    if (!s)
        return false;
    *out = (struct seg_view){s->map + (pos - s->start), s->start + s->size - pos, s};
    return true;
}
