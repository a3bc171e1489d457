/*
 * Each thread that logs owns a ring: it alone moves `head`, the log thread alone moves `tail`.
 * The log thread sleeps on an eventfd; a producer writes to it only when `awake` was false, so a
 * burst costs one system call.  Lines of one thread stay in order; lines of several threads that
 * come within one round of the log thread are ordered by ring.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"

enum { RING_BYTES = 128 * 1024, LINE_MAX_BYTES = 2048 };

struct ring {
    struct ring *next;        /* under rings_lock */
    _Atomic size_t head;      /* bytes ever put in */
    _Atomic size_t tail;      /* bytes ever taken out */
    _Atomic uint64_t dropped; /* lines that found it full */
    _Atomic bool orphan;      /* its thread has ended */
    char data[RING_BYTES];
};

_Atomic int log_level_now = LOG_INFO;

static pthread_mutex_t rings_lock = PTHREAD_MUTEX_INITIALIZER;
static struct ring *rings;
static _Thread_local struct ring *my_ring;
static pthread_key_t ring_key;
static pthread_once_t ring_key_once = PTHREAD_ONCE_INIT;

/* The running writer. */
static struct {
    _Atomic bool running;
    _Atomic bool awake;
    _Atomic bool stopping;
    int wake_fd;
    pthread_t thread;
    int fd; /* where lines go */
    char *path;
    int64_t size, rotate_bytes;
    int keep;
    pthread_mutex_t lock; /* guards the two below */
    pthread_cond_t flushed;
    uint64_t flush_wanted, flush_done;
} writer = {.lock = PTHREAD_MUTEX_INITIALIZER, .flushed = PTHREAD_COND_INITIALIZER};

/* ---- rings --------------------------------------------------------------------------------- */

static void ring_abandon(void *p)
{
    struct ring *r = p;
    my_ring = NULL;
    atomic_store_explicit(&r->orphan, true, memory_order_release);
}

static void make_ring_key(void)
{
    pthread_key_create(&ring_key, ring_abandon);
}

static struct ring *ring_of_this_thread(void)
{
    if (my_ring)
        return my_ring;
    pthread_once(&ring_key_once, make_ring_key);
    struct ring *r = xzalloc(sizeof(*r));
    pthread_setspecific(ring_key, r);
    pthread_mutex_lock(&rings_lock);
    r->next = rings;
    rings = r;
    pthread_mutex_unlock(&rings_lock);
    my_ring = r;
    return r;
}

static bool ring_put(struct ring *r, const char *line, size_t len)
{
    size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    size_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
    if (RING_BYTES - (head - tail) < len) {
        atomic_fetch_add_explicit(&r->dropped, 1, memory_order_relaxed);
        return false;
    }
    size_t at = head % RING_BYTES;
    size_t first = len < RING_BYTES - at ? len : RING_BYTES - at;
    memcpy(r->data + at, line, first);
    memcpy(r->data, line + first, len - first);
    atomic_store_explicit(&r->head, head + len, memory_order_release);
    return true;
}

/* ---- the file ------------------------------------------------------------------------------ */

static int open_file(const char *path)
{
    struct stat st;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0)
        return tl_fail_errno(TL_EIO, errno, "opening log file %s", path);
    writer.fd = fd;
    writer.size = fstat(fd, &st) ? 0 : (int64_t)st.st_size;
    return 0;
}

/* PATH.keep falls out, PATH.n becomes PATH.n+1, PATH becomes PATH.1. */
static void rotate(void)
{
    for (int i = writer.keep; i >= 1; i--) {
        char *from = i > 1 ? xasprintf("%s.%d", writer.path, i - 1) : xstrdup(writer.path);
        char *to = xasprintf("%s.%d", writer.path, i);
        rename(from, to);
        free(from);
        free(to);
    }
    if (writer.keep < 1)
        unlink(writer.path);
    int old = writer.fd;
    if (open_file(writer.path)) {
        writer.size = 0; /* keep the old one; try again after as many bytes */
        return;
    }
    close(old);
}

static void write_out(const char *data, size_t len)
{
    while (len) {
        ssize_t n = write(writer.fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* the disk is full or gone: nobody left to tell */
        data += n;
        len -= (size_t)n;
        writer.size += n;
    }
}

/* ---- the log thread ------------------------------------------------------------------------ */

/* Line head: time, level, module; returns its length. */
static size_t put_head(char *out, size_t room, enum log_level level, const char *module)
{
    static const char *const names[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};
    char when[24];
    clock_text(clock_now_ms(), when);
    int n = snprintf(out, room, "%s %s %s - ", when, names[level], module);
    return n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}

static void report_dropped(struct ring *r)
{
    uint64_t n = atomic_exchange_explicit(&r->dropped, 0, memory_order_relaxed);
    char line[160];
    if (!n)
        return;
    size_t len = put_head(line, sizeof(line), LOG_WARN, "log");
    int more = snprintf(line + len, sizeof(line) - len, "lines dropped, ring full n=%llu\n",
                        (unsigned long long)n);
    write_out(line, len + (size_t)more);
}

/* Write what the ring holds; true when it held something. */
static bool drain(struct ring *r)
{
    size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    size_t head = atomic_load_explicit(&r->head, memory_order_acquire);
    size_t len = head - tail;
    size_t at = tail % RING_BYTES;
    size_t first = len < RING_BYTES - at ? len : RING_BYTES - at;
    if (len && writer.path && writer.rotate_bytes && writer.size >= writer.rotate_bytes)
        rotate();
    write_out(r->data + at, first);
    write_out(r->data, len - first);
    atomic_store_explicit(&r->tail, head, memory_order_release);
    report_dropped(r);
    return len > 0;
}

/* Unlink and free @r when its thread is gone and it is empty. */
static void reap(struct ring *r)
{
    if (!atomic_load_explicit(&r->orphan, memory_order_acquire) ||
        atomic_load_explicit(&r->head, memory_order_acquire) !=
            atomic_load_explicit(&r->tail, memory_order_relaxed))
        return;
    pthread_mutex_lock(&rings_lock);
    struct ring **p = &rings;
    while (*p != r)
        p = &(*p)->next;
    *p = r->next;
    pthread_mutex_unlock(&rings_lock);
    free(r);
}

static bool drain_all(void)
{
    bool any = false;
    pthread_mutex_lock(&rings_lock);
    struct ring *r = rings;
    pthread_mutex_unlock(&rings_lock);
    while (r) { /* only this thread removes, others add in front: next stays good */
        struct ring *next = r->next;
        any = drain(r) || any;
        reap(r);
        r = next;
    }
    return any;
}

static uint64_t flush_wanted(void)
{
    pthread_mutex_lock(&writer.lock);
    uint64_t n = writer.flush_wanted;
    pthread_mutex_unlock(&writer.lock);
    return n;
}

static void flush_done(uint64_t n)
{
    pthread_mutex_lock(&writer.lock);
    writer.flush_done = n;
    pthread_cond_broadcast(&writer.flushed);
    pthread_mutex_unlock(&writer.lock);
}

static void *write_lines(void *arg)
{
    (void)arg;
    for (;;) {
        uint64_t n;
        atomic_store(&writer.awake, false);
        bool last = writer.stopping;
        uint64_t wanted = flush_wanted();
        bool any = drain_all();
        flush_done(wanted);
        if (last)
            return NULL;
        if (!any && read(writer.wake_fd, &n, sizeof(n)) < 0 && errno != EINTR)
            return NULL;
    }
}

static void wake(void)
{
    uint64_t one = 1;
    if (!atomic_exchange(&writer.awake, true) && write(writer.wake_fd, &one, sizeof(one)) < 0)
        return; /* its counter is full: the thread is awake */
}

static void close_files(void)
{
    close(writer.wake_fd);
    if (writer.path) {
        close(writer.fd);
        free(writer.path);
        writer.path = NULL;
    }
}

int log_start(const struct log_opts *opts)
{
    if (writer.running)
        return tl_fail(TL_EEXIST, "the log is started already");
    writer.fd = STDERR_FILENO;
    writer.size = 0;
    writer.path = NULL;
    if (opts->path) {
        int rc = open_file(opts->path);
        if (rc)
            return rc;
        writer.path = xstrdup(opts->path);
    }
    writer.rotate_bytes = opts->rotate_bytes;
    writer.keep = opts->keep;
    writer.stopping = false;
    writer.awake = false;
    writer.wake_fd = eventfd(0, EFD_CLOEXEC);
    log_set_level(opts->level);
    int rc = thread_start(&writer.thread, "log", ROLE_LOG, write_lines, NULL);
    if (rc)
        close_files();
    writer.running = rc == 0;
    return rc;
}

void log_stop(void)
{
    if (!writer.running)
        return;
    writer.running = false; /* lines from here on go to stderr */
    writer.stopping = true;
    wake();
    pthread_join(writer.thread, NULL);
    drain_all();
    close_files();
}

void log_flush(void)
{
    if (!writer.running)
        return;
    pthread_mutex_lock(&writer.lock);
    uint64_t mine = ++writer.flush_wanted;
    pthread_mutex_unlock(&writer.lock);
    wake();
    pthread_mutex_lock(&writer.lock);
    while (writer.flush_done < mine)
        pthread_cond_wait(&writer.flushed, &writer.lock);
    pthread_mutex_unlock(&writer.lock);
}

void log_set_level(enum log_level level)
{
    log_level_now = (int)level;
}

bool log_level_parse(const char *text, enum log_level *out)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    for (int i = 0; i < 4; i++) {
        if (strcasecmp(text, names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* One line, whatever its arguments hold: a peer must not be able to forge another. */
static void flatten(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = ' ';
}

void log_write(enum log_level level, const char *module, const char *fmt, ...)
{
    char line[LINE_MAX_BYTES];
    size_t n = put_head(line, sizeof(line) - 1, level, module);
    va_list ap;
    va_start(ap, fmt);
    int m = vsnprintf(line + n, sizeof(line) - 1 - n, fmt, ap);
    va_end(ap);
    if (m > 0)
        n += (size_t)m < sizeof(line) - 1 - n ? (size_t)m : sizeof(line) - 2 - n;
    flatten(line, n);
    line[n++] = '\n';
    if (!writer.running) {
        fwrite(line, 1, n, stderr);
        return;
    }
    ring_put(ring_of_this_thread(), line, n);
    wake();
}

bool log_rate_ok(struct log_rate *rate, int64_t ms, uint64_t *held_back)
{
    int64_t now = clock_mono_ms() + 1; /* 0 means never */
    int64_t last = atomic_load(&rate->last_ms);
    if ((last && now - last < ms) ||
        !atomic_compare_exchange_strong(&rate->last_ms, &last, now)) {
        atomic_fetch_add_explicit(&rate->held_back, 1, memory_order_relaxed);
        return false;
    }
    *held_back = atomic_exchange_explicit(&rate->held_back, 0, memory_order_relaxed);
    return true;
}
