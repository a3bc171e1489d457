/*
 * record - a preloaded library that writes down what a process does to the files below CRASH_ROOT
 *
 * Into the file CRASH_RECORD, in order: writes with their data, changes of size, syncs (their begin and their end),
 * names made, moved and removed, and what was written to the ledger CRASH_LEDGER meanwhile.  Stores through writable shared
 * maps are found by comparing with a copy whenever something else happens, and written down in front of it.
 *
 * An entry: type, len1, len2, data_len (4 bytes each), inode, offset, length (8 each), two paths, data; host byte order.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { SECTOR = 512, FDS = 4096, MAPS = 1024, SYNC_NS = 300000 };

enum type {
    CREATE = 1, /* path, inode */
    WRITE,      /* inode, offset, data */
    SIZE,       /* inode, length: exactly */
    GROW,       /* inode, length: at least */
    ZERO,       /* inode, offset, length */
    SYNC_BEGIN, /* inode */
    SYNC_END,
    DIR_BEGIN, /* path */
    DIR_END,
    RENAME, /* two paths */
    LINK,   /* two paths, inode */
    UNLINK, /* path */
    MKDIR,
    RMDIR,
    LEDGER, /* data */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX], ledger[PATH_MAX];
static size_t root_len;
static int out = -1;

static struct {
    uint64_t inode; /* 0: none of ours */
    bool is_ledger;
    char *dir; /* of a folder: its path */
} fds[FDS];

static struct {
    uint8_t *at, *copy;
    size_t len;
    int64_t offset;
    uint64_t inode;
} maps[MAPS];

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

static void put(const void *data, size_t len)
{
    while (len) {
        ssize_t n = syscall(SYS_write, out, data, len);
        if (n < 0)
            abort();
        data = (const char *)data + n;
        len -= (size_t)n;
    }
}

static void entry(enum type type, uint64_t inode, int64_t offset, int64_t length,
                  const char *path, const char *path2, const struct iovec *iov, int n)
{
    struct {
        uint32_t type, len1, len2, data_len;
        uint64_t inode;
        int64_t offset, length;
    } head = {type,
              path ? (uint32_t)strlen(path) : 0,
              path2 ? (uint32_t)strlen(path2) : 0,
              0,
              inode,
              offset,
              length};

    for (int i = 0; i < n; i++)
        head.data_len += (uint32_t)iov[i].iov_len;
    put(&head, sizeof(head));
    put(path, head.len1);
    put(path2, head.len2);
    for (int i = 0; i < n; i++)
        put(iov[i].iov_base, iov[i].iov_len);
}

static void find_stores(void)
{
    for (int m = 0; m < MAPS; m++) {
        for (size_t at = 0; at < maps[m].len; at += SECTOR) {
            size_t n = maps[m].len - at < SECTOR ? maps[m].len - at : SECTOR;
            if (memcmp(maps[m].at + at, maps[m].copy + at, n) == 0)
                continue;
            memcpy(maps[m].copy + at, maps[m].at + at, n);
            struct iovec iov = {maps[m].copy + at, n};
            entry(WRITE, maps[m].inode, maps[m].offset + (int64_t)at, 0, NULL, NULL, &iov, 1);
        }
    }
}

static void __attribute__((constructor)) begin(void)
{
    const char *file = getenv("CRASH_RECORD");

    if (!file || !realpath(getenv("CRASH_ROOT"), root) ||
        !realpath(getenv("CRASH_LEDGER"), ledger))
        return;
    root_len = strlen(root);
    out = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
                       0644);
    unsetenv("LD_PRELOAD");
}

/* The path below the root, made from folder and name; NULL when it lies elsewhere. */
static const char *inside(int dir, const char *name, char buf[PATH_MAX])
{
    size_t n = 0;

    if (out < 0)
        return NULL;
    if (name[0] != '/' && dir == AT_FDCWD) {
        if (!getcwd(buf, PATH_MAX))
            return NULL;
        n = strlen(buf);
    } else if (name[0] != '/') {
        char link[64];
        snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
        ssize_t got = readlink(link, buf, PATH_MAX - 1);
        n = got > 0 ? (size_t)got : 0;
    }
    snprintf(buf + n, PATH_MAX - n, "%s%s", n ? "/" : "", name);
    if (strncmp(buf, root, root_len) != 0 || (buf[root_len] && buf[root_len] != '/'))
        return NULL;
    return buf[root_len] ? buf + root_len + 1 : "";
}

static void forget(int fd)
{
    if (fd >= 0 && fd < FDS) {
        free(fds[fd].dir);
        memset(&fds[fd], 0, sizeof(fds[fd]));
    }
}

static void remember(int fd, const char *path, const char *whole, bool existed, int flags)
{
    struct stat st;

    if (fd < 0 || fd >= FDS)
        return;
    forget(fd);
    fds[fd].is_ledger = strcmp(whole, ledger) == 0;
    if (!path || fstat(fd, &st))
        return;
    if (S_ISDIR(st.st_mode)) {
        fds[fd].dir = strdup(path);
        return;
    }
    fds[fd].inode = st.st_ino;
    if (!existed)
        entry(CREATE, st.st_ino, 0, 0, path, NULL, NULL, 0);
    else if (flags & O_TRUNC)
        entry(SIZE, st.st_ino, 0, 0, NULL, NULL, NULL, 0);
}

static int open_any(int dir, const char *name, int flags, mode_t mode)
{
    char buf[PATH_MAX] = "";

    pthread_mutex_lock(&lock);
    const char *path = inside(dir, name, buf);
    if (path)
        find_stores();
    bool existed = faccessat(dir, name, F_OK, 0) == 0;
    int fd = (int)syscall(SYS_openat, dir, name, flags, mode);
    int err = errno;
    if (out >= 0)
        remember(fd, path, buf, existed, flags);
    pthread_mutex_unlock(&lock);
    errno = err;
    return fd;
}

int open(const char *name, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    return open_any(AT_FDCWD, name, flags, mode);
}

int openat(int dir, const char *name, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    return open_any(dir, name, flags, mode);
}

FILE *fopen(const char *name, const char *how)
{
    char buf[PATH_MAX] = "";

    pthread_mutex_lock(&lock);
    const char *path = inside(AT_FDCWD, name, buf);
    if (path)
        find_stores();
    bool existed = access(name, F_OK) == 0;
    FILE *f = REAL(fopen)(name, how);
    if (f && path)
        remember(fileno(f), path, buf, existed, how[0] == 'w' ? O_TRUNC : 0);
    pthread_mutex_unlock(&lock);
    return f;
}

int close(int fd)
{
    pthread_mutex_lock(&lock);
    forget(fd);
    pthread_mutex_unlock(&lock);
    return (int)syscall(SYS_close, fd);
}

static uint64_t inode_of(int fd)
{
    return out >= 0 && fd >= 0 && fd < FDS ? fds[fd].inode : 0;
}

/* The first @done bytes of @iov. */
static void wrote(int fd, const struct iovec *iov, int n, int64_t at, ssize_t done)
{
    uint64_t inode = inode_of(fd);

    for (int i = 0; inode && i < n && done > 0; i++) {
        struct iovec one = iov[i];
        if ((size_t)done < one.iov_len)
            one.iov_len = (size_t)done;
        entry(WRITE, inode, at, 0, NULL, NULL, &one, 1);
        at += (int64_t)one.iov_len;
        done -= (ssize_t)one.iov_len;
    }
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
    pthread_mutex_lock(&lock);
    if (inode_of(fd))
        find_stores();
    ssize_t done = syscall(SYS_pwritev, fd, iov, n, at, 0);
    int err = errno;
    wrote(fd, iov, n, at, done);
    pthread_mutex_unlock(&lock);
    errno = err;
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    struct iovec iov = {(void *)(uintptr_t)data, len};
    return pwritev(fd, &iov, 1, at);
}

ssize_t write(int fd, const void *data, size_t len)
{
    struct iovec iov = {(void *)(uintptr_t)data, len};

    pthread_mutex_lock(&lock);
    int64_t at = inode_of(fd) ? lseek(fd, 0, SEEK_CUR) : 0;
    if (inode_of(fd) || (fd >= 0 && fd < FDS && fds[fd].is_ledger))
        find_stores();
    ssize_t done = syscall(SYS_write, fd, data, len);
    int err = errno;
    wrote(fd, &iov, 1, at, done);
    if (out >= 0 && fd >= 0 && fd < FDS && fds[fd].is_ledger)
        entry(LEDGER, 0, 0, 0, NULL, NULL, &iov, 1);
    pthread_mutex_unlock(&lock);
    errno = err;
    return done;
}

static void note(int fd, enum type type, int64_t at, int64_t len)
{
    if (inode_of(fd))
        entry(type, inode_of(fd), at, len, NULL, NULL, NULL, 0);
}

int ftruncate(int fd, off_t len)
{
    pthread_mutex_lock(&lock);
    if (inode_of(fd))
        find_stores();
    int rc = (int)syscall(SYS_ftruncate, fd, len);
    if (rc == 0)
        note(fd, SIZE, 0, len);
    pthread_mutex_unlock(&lock);
    return rc;
}

int posix_fallocate(int fd, off_t at, off_t len)
{
    pthread_mutex_lock(&lock);
    if (inode_of(fd))
        find_stores();
    int rc = syscall(SYS_fallocate, fd, 0, at, len) ? errno : 0;
    if (rc == 0)
        note(fd, GROW, 0, at + len);
    pthread_mutex_unlock(&lock);
    return rc;
}

int fallocate(int fd, int mode, off_t at, off_t len)
{
    pthread_mutex_lock(&lock);
    if (inode_of(fd))
        find_stores();
    int rc = (int)syscall(SYS_fallocate, fd, mode, at, len);
    int err = errno;
    if (rc == 0 && mode)
        note(fd, ZERO, at, len);
    else if (rc == 0)
        note(fd, GROW, 0, at + len);
    pthread_mutex_unlock(&lock);
    errno = err;
    return rc;
}

static int sync_any(int fd, long call)
{
    struct timespec pause = {0, SYNC_NS};
    uint64_t inode;
    char *dir = NULL;

    pthread_mutex_lock(&lock);
    inode = inode_of(fd);
    if (out >= 0 && fd >= 0 && fd < FDS && fds[fd].dir)
        dir = strdup(fds[fd].dir);
    if (inode || dir) {
        find_stores();
        entry(dir ? DIR_BEGIN : SYNC_BEGIN, inode, 0, 0, dir, NULL, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    if (inode || dir)
        nanosleep(&pause, NULL);
    int rc = (int)syscall(call, fd);
    int err = errno;
    pthread_mutex_lock(&lock);
    if (rc == 0 && (inode || dir))
        entry(dir ? DIR_END : SYNC_END, inode, 0, 0, dir, NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
    free(dir);
    errno = err;
    return rc;
}

int fsync(int fd)
{
    return sync_any(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return sync_any(fd, SYS_fdatasync);
}

static int named(enum type type, const char *path, int rc, uint64_t inode, const char *path2)
{
    int err = errno;

    if (rc == 0 && path)
        entry(type, inode, 0, 0, path, path2, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = err;
    return rc;
}

int rename(const char *from, const char *to)
{
    char a[PATH_MAX], b[PATH_MAX];

    pthread_mutex_lock(&lock);
    find_stores();
    const char *path = inside(AT_FDCWD, from, a), *path2 = inside(AT_FDCWD, to, b);
    return named(RENAME, path, (int)syscall(SYS_rename, from, to), 0, path2);
}

int link(const char *from, const char *to)
{
    char a[PATH_MAX], b[PATH_MAX];
    struct stat st = {0};

    pthread_mutex_lock(&lock);
    find_stores();
    const char *path = inside(AT_FDCWD, from, a), *path2 = inside(AT_FDCWD, to, b);
    if (stat(from, &st))
        path = NULL;
    return named(LINK, path, (int)syscall(SYS_link, from, to), st.st_ino, path2);
}

int unlinkat(int dir, const char *name, int flags)
{
    char a[PATH_MAX];

    pthread_mutex_lock(&lock);
    find_stores();
    const char *path = inside(dir, name, a);
    return named(flags & AT_REMOVEDIR ? RMDIR : UNLINK, path,
                 (int)syscall(SYS_unlinkat, dir, name, flags), 0, NULL);
}

int unlink(const char *name)
{
    return unlinkat(AT_FDCWD, name, 0);
}

int mkdir(const char *name, mode_t mode)
{
    char a[PATH_MAX];

    pthread_mutex_lock(&lock);
    find_stores();
    const char *path = inside(AT_FDCWD, name, a);
    return named(MKDIR, path, (int)syscall(SYS_mkdir, name, mode), 0, NULL);
}

void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
    void *p = (void *)syscall(SYS_mmap, at, len, prot, flags, fd, offset);

    if (p == MAP_FAILED || !(prot & PROT_WRITE) || !(flags & MAP_SHARED) || !inode_of(fd))
        return p;
    pthread_mutex_lock(&lock);
    for (int m = 0; m < MAPS; m++) {
        if (maps[m].at)
            continue;
        maps[m].at = p;
        maps[m].copy = malloc(len);
        memcpy(maps[m].copy, p, len);
        maps[m].len = len;
        maps[m].offset = offset;
        maps[m].inode = fds[fd].inode;
        break;
    }
    pthread_mutex_unlock(&lock);
    return p;
}

int munmap(void *at, size_t len)
{
    pthread_mutex_lock(&lock);
    for (int m = 0; m < MAPS; m++) {
        if (maps[m].at != at || !at)
            continue;
        find_stores();
        free(maps[m].copy);
        memset(&maps[m], 0, sizeof(maps[m]));
    }
    pthread_mutex_unlock(&lock);
    return (int)syscall(SYS_munmap, at, len);
}
