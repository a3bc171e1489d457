/*
 * log - levelled log lines, written by one background thread
 *
 * A line is formatted by the caller into a per-thread ring and written out by the log thread, so
 * that a reactor never blocks on a slow disk.  A line that finds its ring full is dropped and
 * counted; the count is reported.  Form: "2026-01-01 00:00:00.000 INFO  store - event key=value".
 *
 * Before log_start() and after log_stop() lines go to stderr directly.  Any thread.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_opts {
    const char *path;        /* file; NULL = stderr */
    enum log_level level;    /* lines below it are not formatted */
    int64_t rotate_bytes;    /* 0 = never; else PATH is renamed to PATH.1, .1 to .2 ... */
    int keep;                /* how many rotated files stay */
};

/* Start the writer thread.  0 or TL_EIO when the file can't be opened. */
int log_start(const struct log_opts *opts);
/* Write what is pending, close the file, end the thread. */
void log_stop(void);
/* Wait until everything logged before by any thread is written. */
void log_flush(void);
void log_set_level(enum log_level level);
/* "debug" | "info" | "warn" | "error", any case; false when it is none of them. */
bool log_level_parse(const char *text, enum log_level *out);

extern _Atomic int log_level_now;

void log_write(enum log_level level, const char *module, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* State of one rate-limited call site. */
struct log_rate {
    _Atomic int64_t last_ms;
    _Atomic uint64_t held_back;
};
/* True when @ms have passed since the site's last line; counts the lines held back. */
bool log_rate_ok(struct log_rate *rate, int64_t ms, uint64_t *held_back);

#ifndef LOG_MODULE
#define LOG_MODULE "tl"
#endif

/* clang-format off */
#define LOG_AT(level, ...) \
    do { if ((level) >= log_level_now) log_write(level, LOG_MODULE, __VA_ARGS__); } while (0)
#define log_debug(...) LOG_AT(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  LOG_AT(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  LOG_AT(LOG_WARN, __VA_ARGS__)
#define log_error(...) LOG_AT(LOG_ERROR, __VA_ARGS__)
/* For paths a peer can drive: at most one line per @ms and call site. */
#define log_warn_every(ms, ...)                                                    \
    do {                                                                           \
        static struct log_rate log_rate_here_;                                     \
        uint64_t log_held_;                                                        \
        if (LOG_WARN >= log_level_now && log_rate_ok(&log_rate_here_, ms, &log_held_)) { \
            log_write(LOG_WARN, LOG_MODULE, __VA_ARGS__);                          \
            if (log_held_)                                                         \
                log_write(LOG_WARN, LOG_MODULE, "lines held back n=%llu", (unsigned long long)log_held_); \
        }                                                                          \
    } while (0)
/* clang-format on */

#endif
