#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/err.h"
#include "base/errinj.h"
#include "base/mem.h"

static int failed(const char *doing, const char *path)
{
    int err = errno;
    return tl_fail_errno(err == ENOSPC ? TL_ENOSPC : TL_EIO, err, "%s %s", doing, path);
}

static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return xstrdup(".");
    return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

int fs_sync_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return failed("opening folder", path);
    int rc =
        (ERRINJ(DIR_SYNC) ? (errno = EIO) : fsync(fd)) ? failed("syncing folder", path) : 0;
    close(fd);
    return rc;
}

/* Make one folder; when @synced its name is on the disk afterwards.  One that is there is left as it is. */
static int make_folder(const char *path, bool synced)
{
    if (mkdir(path, 0755))
        return errno == EEXIST ? 0 : failed("making folder", path);
    if (!synced)
        return 0;
    char *parent = parent_of(path);
    int rc = fs_sync_dir(parent);
    free(parent);
    return rc;
}

static int make_folders(const char *path, bool synced)
{
    char *part = xstrdup(path);
    int rc = 0;
    for (char *p = part + 1;; p++) {
        char c = *p;
        if (c && c != '/')
            continue;
        *p = '\0';
        if (*part && (rc = make_folder(part, synced)) != 0)
            break;
        *p = c;
        if (!c)
            break;
    }
    struct stat st;
    if (!rc && (stat(path, &st) || !S_ISDIR(st.st_mode))) {
        errno = ENOTDIR;
        rc = failed("making folder", path);
    }
    free(part);
    return rc;
}

int fs_mkdirs(const char *path)
{
    return make_folders(path, false);
}

int fs_mkdirs_synced(const char *path)
{
    return make_folders(path, true);
}

bool fs_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

int64_t fs_size(const char *path)
{
    struct stat st;
    return stat(path, &st) ? -1 : (int64_t)st.st_size;
}

static int read_all(int fd, const char *path, int64_t max, struct strbuf *out)
{
    int64_t total = 0;
    for (;;) {
        char *to = strbuf_reserve(out, 65536);
        ssize_t n = read(fd, to, 65536);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed("reading", path);
        if (n == 0)
            return 0;
        total += n;
        if (total > max)
            return tl_fail(TL_ELIMIT, "reading %s: larger than %" PRId64 " bytes", path, max);
        strbuf_commit(out, (size_t)n);
    }
}

int fs_read(const char *path, int64_t max, struct strbuf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return tl_fail_errno(TL_ENOTFOUND, ENOENT, "opening %s", path);
    if (fd < 0)
        return failed("opening", path);
    size_t before = out->len;
    int rc = read_all(fd, path, max, out);
    if (rc && out->data) {
        out->len = before;
        out->data[before] = '\0';
    }
    close(fd);
    return rc;
}

static int write_all(int fd, const char *path, struct tl_str text)
{
    while (text.len) {
        bool torn = false;
        if (ERRINJ(CONFIG_WRITE)) {
            errno = EIO;
            return failed("writing", path);
        }
        ssize_t n = write(fd, text.data, ERRINJ_PART(CONFIG_WRITE, text.len, &torn));
        ERRINJ_WROTE(torn);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed("writing", path);
        text.data += n;
        text.len -= (size_t)n;
    }
    return 0;
}

/* A new file with @text, on the disk when this returns 0. */
static int write_synced(const char *path, struct tl_str text)
{
    unlink(path); /* left over; never to be written through, it may have another name by now */
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return failed("creating", path);
    int rc = write_all(fd, path, text);
    if (!rc && (ERRINJ(CONFIG_SYNC) ? (errno = EIO) : fsync(fd)))
        rc = failed("syncing", path);
    if (close(fd) && !rc)
        rc = failed("closing", path);
    return rc;
}

/* As link(), by copying, where the file system has no hard links. */
static int copy_file(const char *from, const char *to)
{
    struct strbuf text = {0};
    int rc = fs_read(from, INT64_MAX, &text);
    if (!rc)
        rc = write_synced(to, strbuf_str(&text));
    strbuf_release(&text);
    return rc;
}

/*
 * Make @path.bak another name of the file @path has now.  link() does not replace, so the link is
 * made aside and renamed; its name is removed afterwards because rename() does nothing when both
 * are the same file already (a crash between this step and the next leaves that).
 */
static int keep_as_bak(const char *path)
{
    int rc = 0;
    char *bak = xasprintf("%s.bak", path);
    char *aside = xasprintf("%s.bak.tmp", path);
    unlink(aside);
    if (ERRINJ(CONFIG_BAK)) {
        errno = EIO;
        rc = failed("renaming", aside);
        goto out;
    }
    if (link(path, aside)) {
        if (errno == ENOENT)
            goto out; /* the first text: nothing to keep */
        rc = copy_file(path, aside);
    }
    if (!rc && rename(aside, bak))
        rc = failed("renaming", aside);
    unlink(aside);
out:
    free(aside);
    free(bak);
    return rc;
}

int fs_replace(const char *path, struct tl_str text)
{
    char *tmp = xasprintf("%s.tmp", path);
    char *dir = parent_of(path);
    int rc = write_synced(tmp, text);
    if (!rc)
        rc = keep_as_bak(path);
    if (!rc && ERRINJ(CONFIG_REPLACE)) {
        errno = EIO;
        rc = failed("renaming", tmp);
    }
    if (!rc && rename(tmp, path))
        rc = failed("renaming", tmp);
    if (!rc)
        rc = fs_sync_dir(dir);
    free(dir);
    free(tmp);
    return rc;
}

/* @path's text into the emptied @out when it is there and good. */
static int read_good(const char *path, int64_t max, bool (*ok)(struct tl_str text),
                     struct strbuf *out)
{
    strbuf_clear(out);
    int rc = fs_read(path, max, out);
    if (!rc && ok && !ok(strbuf_str(out)))
        rc = tl_fail(TL_ECORRUPT, "%s: damaged", path);
    return rc;
}

int fs_read_or_bak(const char *path, int64_t max, bool (*ok)(struct tl_str text),
                   struct strbuf *out, bool *from_bak)
{
    struct strbuf text = {0};
    *from_bak = false;
    int first = read_good(path, max, ok, &text);
    int rc = first;
    if (first == TL_ENOTFOUND || first == TL_ECORRUPT) {
        char *bak = xasprintf("%s.bak", path);
        rc = read_good(bak, max, ok, &text);
        *from_bak = rc == 0;
        if (rc == TL_ENOTFOUND && first == TL_ECORRUPT)
            rc = tl_fail(TL_ECORRUPT, "%s: damaged, and there is no %s", path, bak);
        free(bak);
    }
    if (!rc)
        strbuf_addstr(out, strbuf_str(&text));
    strbuf_release(&text);
    return rc;
}

static int remove_entry(int dir_fd, const char *name, const char *path);

/* Everything inside the folder @fd (taken). */
static int remove_inside(int fd, const char *path)
{
    DIR *dir = fdopendir(fd);
    int rc = 0;
    if (!dir) {
        rc = failed("opening folder", path);
        close(fd);
        return rc;
    }
    for (struct dirent *e; !rc && (e = readdir(dir));) {
        if (ERRINJ(REMOVE_TREE)) {
            errno = EIO;
            rc = failed("removing", path);
        } else if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            rc = remove_entry(dirfd(dir), e->d_name, path);
        }
    }
    closedir(dir);
    return rc;
}

/* Folders are entered by descriptor, never through a symbolic link. */
static int remove_entry(int dir_fd, const char *name, const char *path)
{
    if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return failed("removing", path);
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return failed("removing", path);
    int rc = remove_inside(fd, path);
    if (!rc && unlinkat(dir_fd, name, AT_REMOVEDIR))
        rc = failed("removing", path);
    return rc;
}

int fs_remove_tree(const char *path)
{
    return remove_entry(AT_FDCWD, path, path);
}

int fs_lock(const char *path, struct tl_str text, int *fd_out)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    int rc;
    if (fd < 0)
        return failed("opening", path);
    if (fcntl(fd, F_SETLK, &lock)) {
        if (errno != EACCES && errno != EAGAIN) {
            rc = failed("locking", path);
            goto fail;
        }
        if (fcntl(fd, F_GETLK, &lock) || lock.l_type == F_UNLCK)
            lock.l_pid = -1;
        rc = tl_fail(TL_ELOCKED, "%s is locked by process %d", path, (int)lock.l_pid);
        goto fail;
    }
    if (ftruncate(fd, 0)) {
        rc = failed("truncating", path);
        goto fail;
    }
    rc = write_all(fd, path, text);
    if (rc)
        goto fail;
    *fd_out = fd;
    return 0;
fail:
    close(fd);
    return rc;
}

int fs_usage(const char *path, struct fs_usage *out)
{
    struct statvfs st;
    if (statvfs(path, &st))
        return failed("asking for the space of", path);
    out->total_bytes = (int64_t)st.f_blocks * (int64_t)st.f_frsize;
    out->unused_bytes = (int64_t)st.f_bfree * (int64_t)st.f_frsize;
    out->free_bytes = (int64_t)st.f_bavail * (int64_t)st.f_frsize;
    return 0;
}
