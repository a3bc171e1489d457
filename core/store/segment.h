/*
 * segment - one file of a fixed size: allocate, map, count, remove
 *
 * Counted: the queue it belongs to has a reference, each pinned slice another.  A dropped segment's
 * file is unlinked at once and unmapped with its last reference.  Any thread may ref and unref.
 */
#ifndef STORE_SEGMENT_H
#define STORE_SEGMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct segment {
    _Atomic int32_t refs;
    int fd;
    int64_t start; /* position of its first byte in the queue's stream */
    int64_t size;
    uint8_t *map; /* read-only unless it was opened writable */
    char *path;
};

enum segment_mode {
    SEGMENT_READ,  /* mapped read-only; written by segment_pwritev() */
    SEGMENT_WRITE, /* mapped read-write; blocks are allocated by segment_reserve() */
};

/* A new file @dir/<start, 20 digits>.  SEGMENT_READ: all its blocks are allocated now.  0, TL_ENOSPC, TL_EIO. */
int segment_create(struct segment **out, const char *dir, int64_t start, int64_t size,
                   enum segment_mode mode);
/* An existing file, which must have @size bytes. */
int segment_open(struct segment **out, const char *dir, int64_t start, int64_t size,
                 enum segment_mode mode);
/* The same for a file whose name is not made from its start. */
int segment_create_at(struct segment **out, const char *path, int64_t start, int64_t size,
                      enum segment_mode mode);
int segment_open_at(struct segment **out, const char *path, int64_t start, int64_t size,
                    enum segment_mode mode);
struct segment *segment_ref(struct segment *s);
void segment_unref(struct segment *s);
/* Unlink the file; the bytes stay readable for those who hold it. */
int segment_remove(struct segment *s);

/* All of @iov (changed by it) at @at (offset in the file).  0 or TL_EIO with file and errno. */
int segment_pwritev(struct segment *s, struct iovec *iov, int n, int64_t at);
/* Make sure the blocks of [at, at+len) exist, so that writing through the map can't fail. */
int segment_reserve(struct segment *s, int64_t at, int64_t len);
/* Have writing of [at, at+len) begun; a hint, waits for nothing, failures show in segment_sync(). */
void segment_write_back(struct segment *s, int64_t at, int64_t len);
/* Are all pages of [at, at+len) in memory?  Does not block. */
bool segment_in_memory(const struct segment *s, int64_t at, int64_t len);
/* Read [at, at+len) in, and have the next @ahead bytes read.  Blocks. */
void segment_warm(const struct segment *s, int64_t at, int64_t len, int64_t ahead);
int segment_sync(struct segment *s); /* fdatasync: 0 or TL_EIO */
/* Zeros from @at to the end of the file. */
int segment_zero(struct segment *s, int64_t at);
/* Is there nothing but zeros from @at on? */
bool segment_is_zero(const struct segment *s, int64_t at);
/* Zeros from @at on, through the map of a SEGMENT_WRITE one; what is zero is not touched. */
void segment_erase(struct segment *s, int64_t at);
/* First offset >= @at whose block was ever written; size when there is none. */
int64_t segment_next_data(const struct segment *s, int64_t at);

#endif
