/*
 * fs - files and folders: create, replace atomically, lock
 *
 * Errors carry the path and errno in their text.  Blocking: never on a reactor.
 */
#ifndef BASE_FS_H
#define BASE_FS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

int fs_mkdirs(const char *path);        /* mkdir -p, mode 0755 */
int fs_mkdirs_synced(const char *path); /* and the new names are on the disk afterwards */
bool fs_exists(const char *path);
int64_t fs_size(const char *path); /* -1 when absent */

/* Whole file into @out (appended), at most @max bytes: TL_ENOTFOUND, TL_EIO, TL_ELIMIT. */
int fs_read(const char *path, int64_t max, struct strbuf *out);

/*
 * Replace @path atomically: write @path.tmp, fsync it, keep the old file as @path.bak (hard
 * link), rename, fsync the folder.  A crash leaves the old or the new text, never half of one.
 */
int fs_replace(const char *path, struct tl_str text);
/* Read @path, or @path.bak when it is missing or @ok says its text is not good.  *from_bak says
 * which it was.  TL_ENOTFOUND when there is neither; TL_ECORRUPT when none is good. */
int fs_read_or_bak(const char *path, int64_t max, bool (*ok)(struct tl_str text),
                   struct strbuf *out, bool *from_bak);

int fs_sync_dir(const char *path);
int fs_remove_tree(const char *path);

/* POSIX record lock on byte 0 (what Java's FileChannel.tryLock takes); creates the file and
 * writes @text into it.  *fd holds the lock until closed.  TL_ELOCKED names the holder's pid. */
int fs_lock(const char *path, struct tl_str text, int *fd);

struct fs_usage {
    int64_t total_bytes, unused_bytes,
        free_bytes; /* unused; of that, free to unprivileged users */
};
int fs_usage(const char *path, struct fs_usage *out);

#endif
