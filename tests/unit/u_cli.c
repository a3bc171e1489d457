#include "main/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t.h"

/* What the child process printed, and how it ended. */
static struct {
    char out[4096], err[4096];
    int code;
} ended;

static struct {
    const char *config, *standalone;
    bool print;
    struct cli_list sets;
} args;

static const struct cli_option options[] = {
    {'c', "configFile", "FILE", "read settings from FILE", CLI_TEXT, &args.config},
    {0, "standalone", "PORT", "with a name server", CLI_OPTIONAL, &args.standalone},
    {'p', "printConfigItem", NULL, "print all settings", CLI_FLAG, &args.print},
    {0, "set", "KEY=VALUE", "set one key", CLI_LIST, &args.sets},
};
static const struct cli_program program = {"prog", "a program", options, 4};

static void begin(void)
{
    memset(&args, 0, sizeof(args));
}

static void parse(int argc, const char *const *argv)
{
    cli_parse(&program, argc, (char **)(uintptr_t)argv);
}
#define PARSE(...)                                                                 \
    parse((int)(sizeof((const char *[]){"prog", ##__VA_ARGS__}) / sizeof(char *)), \
          (const char *[]){"prog", ##__VA_ARGS__})

static void read_all(const char *path, char out[4096])
{
    FILE *f = fopen(path, "r");
    CHECK(f);
    out[fread(out, 1, 4095, f)] = '\0';
    fclose(f);
}

/* In a process of its own, as parsing may end it. */
static void run(const char *arg1, const char *arg2)
{
    const char *out = t_path(t_tmpdir(), "out"), *err = t_path(t_tmpdir(), "err");
    int status;

    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        if (!freopen(out, "w", stdout) || !freopen(err, "w", stderr))
            _exit(99);
        begin();
        parse(arg2 ? 3 : 2, (const char *[]){"prog", arg1, arg2});
        fflush(NULL);
        _exit(77); /* parsing returned */
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status));
    ended.code = WEXITSTATUS(status);
    read_all(out, ended.out);
    read_all(err, ended.err);
}

static void refused(const char *arg1, const char *arg2, const char *why)
{
    run(arg1, arg2);
    CHECK_INT(ended.code, 1);
    CHECK_STR(ended.err, why);
    CHECK_STR(ended.out, "");
}

TEST(short_and_long_names_take_their_argument_behind_a_blank_or_an_equals_sign)
{
    begin();
    PARSE("-c", "a.conf");
    CHECK_STR(args.config, "a.conf");
    PARSE("--configFile", "b.conf");
    CHECK_STR(args.config, "b.conf");
    PARSE("--configFile=c.conf");
    CHECK_STR(args.config, "c.conf");
    PARSE("-c", "-1");
    CHECK_STR(args.config, "-1");
    CHECK(!args.print);
}

TEST(an_optional_argument_is_empty_text_when_it_is_left_out)
{
    begin();
    PARSE("-p");
    CHECK(args.print);
    CHECK(args.standalone == NULL);
    PARSE("--standalone");
    CHECK_STR(args.standalone, "");
    PARSE("--standalone=9876");
    CHECK_STR(args.standalone, "9876");
}

TEST(a_list_keeps_all_its_values_in_order)
{
    begin();
    PARSE("--set", "a=1", "-p", "--set=b=2=3");
    CHECK_INT(args.sets.n, 2);
    CHECK_STR(args.sets.items[0], "a=1");
    CHECK_STR(args.sets.items[1], "b=2=3");
    cli_list_release(&args.sets);
    CHECK_INT(args.sets.n, 0);
}

TEST(mistakes_name_the_option_in_one_line)
{
    refused("--nope", NULL, "prog: unknown option --nope (see prog --help)\n");
    refused("-x", NULL, "prog: unknown option -x (see prog --help)\n");
    refused("--set=a=1", "--nope=3", "prog: unknown option --nope=3 (see prog --help)\n");
    refused("-c", NULL, "prog: argument missing behind -c (see prog --help)\n");
    refused("-p", "--set", "prog: argument missing behind --set (see prog --help)\n");
    refused("--printConfigItem=1", NULL,
            "prog: no argument belongs to --printConfigItem=1 (see prog --help)\n");
    refused("word", NULL, "prog: unexpected argument word (see prog --help)\n");
    refused("-", NULL, "prog: unexpected argument - (see prog --help)\n");
}

TEST(help_shows_every_option_in_aligned_columns_and_ends_well)
{
    run("--help", NULL);
    CHECK_INT(ended.code, 0);
    CHECK_STR(ended.err, "");
    CHECK_STR(ended.out, "prog - a program\n"
                         "\n"
                         "usage: prog [options]\n"
                         "\n"
                         "  -c, --configFile FILE    read settings from FILE\n"
                         "      --standalone[=PORT]  with a name server\n"
                         "  -p, --printConfigItem    print all settings\n"
                         "      --set KEY=VALUE      set one key\n"
                         "  -h, --help               show this\n"
                         "      --version            show the version\n");
    run("-p", "-h");
    CHECK_INT(ended.code, 0);
    CHECK_HAS(ended.out, "usage: prog");
}

TEST(the_version_is_printed_with_the_programs_name)
{
    run("--version", NULL);
    CHECK_INT(ended.code, 0);
    CHECK_STR(ended.out, "prog " TL_VERSION "\n");
}
