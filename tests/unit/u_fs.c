#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/errinj.h"
#include "base/fs.h"
#include "t.h"

static struct tl_str text_of(const char *path)
{
    static struct strbuf b;
    strbuf_clear(&b);
    CHECK_OK(fs_read(path, 1 << 20, &b));
    return strbuf_str(&b);
}

TEST(folders_are_made_with_their_parents)
{
    const char *dir = t_path(t_tmpdir(), "a/b//c");
    CHECK_OK(fs_mkdirs(dir));
    CHECK_OK(fs_mkdirs(dir));
    CHECK(fs_exists(dir));
}

TEST(a_file_in_the_way_of_a_folder_is_an_error)
{
    const char *dir = t_tmpdir();
    CHECK_OK(fs_replace(t_path(dir, "f"), TL_STR("x")));
    CHECK_INT(fs_mkdirs(t_path(dir, "f/g")), TL_EIO);
    CHECK_INT(fs_mkdirs(t_path(dir, "f")), TL_EIO);
    CHECK_HAS(t_error(), "/f: Not a directory");
}

TEST(reading_says_what_is_wrong)
{
    struct strbuf b = {0};
    const char *dir = t_tmpdir();
    const char *path = t_path(dir, "f");
    CHECK_INT(fs_read(path, 10, &b), TL_ENOTFOUND);
    CHECK_HAS(t_error(), path);
    CHECK_OK(fs_replace(path, TL_STR("0123456789")));
    CHECK_INT(fs_size(path), 10);
    CHECK_INT(fs_size(t_path(dir, "none")), -1);
    strbuf_addz(&b, "x");
    CHECK_OK(fs_read(path, 10, &b));
    CHECK_STR(strbuf_str(&b), "x0123456789");
    CHECK_INT(fs_read(path, 9, &b), TL_ELIMIT);
    CHECK_INT(b.len, 11);
    CHECK_INT(fs_read(dir, 10, &b), TL_EIO);
    strbuf_release(&b);
}

TEST(replacing_keeps_the_previous_text)
{
    const char *dir = t_tmpdir();
    const char *path = t_path(dir, "topics.json");
    const char *bak = t_path(dir, "topics.json.bak");
    CHECK_OK(fs_replace(path, TL_STR("one")));
    CHECK(!fs_exists(bak));
    CHECK_OK(fs_replace(path, TL_STR("two")));
    CHECK_OK(fs_replace(path, TL_STR("three")));
    CHECK_STR(text_of(path), "three");
    CHECK_STR(text_of(bak), "two");
    CHECK(!fs_exists(t_path(dir, "topics.json.tmp")));
    CHECK(!fs_exists(t_path(dir, "topics.json.bak.tmp")));
}

#ifdef TL_ERRINJ
TEST(a_replacement_that_fails_leaves_the_old_text_and_the_next_one_works)
{
    const char *dir = t_tmpdir();
    const char *path = t_path(dir, "f");
    const char *bak = t_path(dir, "f.bak");
    CHECK_OK(fs_replace(path, TL_STR("one")));
    errinj_arm(ERRINJ_CONFIG_REPLACE, 0, 1);
    CHECK_INT(fs_replace(path, TL_STR("two")), TL_EIO);
    CHECK_STR(text_of(path), "one");
    CHECK_STR(text_of(bak), "one"); /* the same file as path now */
    CHECK_OK(fs_replace(path, TL_STR("three")));
    CHECK_STR(text_of(path), "three");
    CHECK_STR(text_of(bak), "one");
}
#endif

static bool starts_with_brace(struct tl_str text)
{
    return tl_str_starts(text, TL_STR("{"));
}

TEST(the_backup_serves_when_the_file_is_bad_or_gone)
{
    struct strbuf b = {0};
    bool from_bak = true;
    const char *path = t_path(t_tmpdir(), "f");
    CHECK_INT(fs_read_or_bak(path, 100, starts_with_brace, &b, &from_bak), TL_ENOTFOUND);
    CHECK(!from_bak);
    CHECK_OK(fs_replace(path, TL_STR("{1")));
    CHECK_OK(fs_read_or_bak(path, 100, starts_with_brace, &b, &from_bak));
    CHECK_STR(strbuf_str(&b), "{1");
    CHECK(!from_bak);
    CHECK_OK(fs_replace(path, TL_STR("bad")));
    strbuf_clear(&b);
    CHECK_OK(fs_read_or_bak(path, 100, starts_with_brace, &b, &from_bak));
    CHECK_STR(strbuf_str(&b), "{1");
    CHECK(from_bak);
    unlink(path);
    strbuf_clear(&b);
    CHECK_OK(fs_read_or_bak(path, 100, starts_with_brace, &b, &from_bak));
    CHECK_STR(strbuf_str(&b), "{1");
    CHECK(from_bak);
    strbuf_release(&b);
}

TEST(damage_without_a_good_backup_is_told)
{
    struct strbuf b = {0};
    bool from_bak = true;
    const char *path = t_path(t_tmpdir(), "f");
    CHECK_OK(fs_replace(path, TL_STR("bad")));
    CHECK_INT(fs_read_or_bak(path, 100, starts_with_brace, &b, &from_bak), TL_ECORRUPT);
    CHECK_OK(fs_replace(path, TL_STR("bad too")));
    CHECK_INT(fs_read_or_bak(path, 100, starts_with_brace, &b, &from_bak), TL_ECORRUPT);
    CHECK(!from_bak);
    CHECK_INT(b.len, 0);
    strbuf_release(&b);
}

TEST(a_tree_is_removed_without_following_links)
{
    const char *dir = t_tmpdir();
    const char *outside = t_path(dir, "outside");
    CHECK_OK(fs_mkdirs(t_path(dir, "tree/sub")));
    CHECK_OK(fs_mkdirs(outside));
    CHECK_OK(fs_replace(t_path(dir, "outside/keep"), TL_STR("k")));
    CHECK_OK(fs_replace(t_path(dir, "tree/sub/f"), TL_STR("x")));
    CHECK_INT(symlink(outside, t_path(dir, "tree/link")), 0);
    CHECK_OK(fs_remove_tree(t_path(dir, "tree")));
    CHECK(!fs_exists(t_path(dir, "tree")));
    CHECK(fs_exists(t_path(dir, "outside/keep")));
    CHECK_OK(fs_remove_tree(t_path(dir, "tree")));
}

/* In a child process: TL_ELOCKED naming our pid? */
static int lock_in_child(const char *path)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        int fd;
        char who[40];
        snprintf(who, sizeof(who), "locked by process %d", (int)parent);
        int rc = fs_lock(path, TL_STR("child"), &fd);
        _exit(rc == TL_ELOCKED ? (strstr(tl_error_text(), who) ? 10 : 11) : rc);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(a_lock_keeps_other_processes_out)
{
    int fd = -1;
    const char *path = t_path(t_tmpdir(), "lock");
    CHECK_OK(fs_lock(path, TL_STR("lock"), &fd));
    CHECK_INT(lock_in_child(path), 10);
    close(fd);
    CHECK_INT(lock_in_child(path), 0);
}

TEST(the_disk_has_a_size)
{
    struct fs_usage u;
    const char *dir = t_tmpdir();
    CHECK_OK(fs_usage(dir, &u));
    CHECK(u.total_bytes > 0 && u.free_bytes >= 0 && u.free_bytes <= u.total_bytes);
    CHECK_INT(fs_usage(t_path(dir, "none"), &u), TL_EIO);
    CHECK_OK(fs_sync_dir(dir));
    CHECK_INT(fs_sync_dir(t_path(dir, "none")), TL_EIO);
}
