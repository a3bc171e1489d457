/*
 * mqadmin - administration by command line
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "admin/admin.h"
#include "base/err.h"
#include "base/log.h"
#include "main/cli.h"

static const char *namesrv, *broker, *cluster;
static bool json;

static const struct cli_option common[] = {
    {'n', "namesrvAddr", "ADDRS", "name servers, 'host:port;host:port' (or NAMESRV_ADDR)",
     CLI_TEXT, &namesrv},
    {'b', "brokerAddr", "ADDR", "this broker", CLI_TEXT, &broker},
    {'c', "clusterName", "NAME", "each master of this cluster", CLI_TEXT, &cluster},
    {0, "json", NULL, "print JSON, an object a line", CLI_FLAG, &json},
};
enum { COMMON = sizeof(common) / sizeof(common[0]) };

static int list_commands(void)
{
    printf("The most commonly used mqadmin commands are:\n");
    for (size_t i = 0; i < admin_commands_count; i++)
        printf("   %-35s %s\n", admin_commands[i].name, admin_commands[i].help);
    printf("\nSee 'mqadmin help <command>' for more information on a specific command.\n");
    return 0;
}

static const struct admin_command *find(const char *name)
{
    for (size_t i = 0; i < admin_commands_count; i++) {
        if (strcasecmp(admin_commands[i].name, name) == 0)
            return &admin_commands[i];
    }
    fprintf(stderr, "mqadmin: The sub command %s not exist.\n", name);
    exit(1);
}

/* A server's remark may have several lines; a failure is told in one. */
static void print_failure(const char *title, const char *text)
{
    fprintf(stderr, "%s: ", title);
    for (; *text; text++)
        fputc(*text == '\n' || *text == '\r' ? ' ' : *text, stderr);
    fputc('\n', stderr);
}

/* Does the command use this letter itself?  Then the common option goes by its long name only. */
static char free_letter(const struct admin_command *c, char letter)
{
    for (int i = 0; c->options[i].name; i++) {
        if (c->options[i].letter == letter)
            return 0;
    }
    return letter;
}

static int run(const struct admin_command *c, int argc, char **argv, bool help)
{
    struct cli_option options[ADMIN_OPTIONS_MAX + COMMON];
    struct admin_values values = {.options = c->options};
    struct cli_list repeated = {0};
    char title[64];
    size_t n = 0;

    for (; c->options[n].name; n++) {
        const struct admin_option *o = &c->options[n];
        bool many = strcmp(o->name, "property") == 0;
        options[n] = (struct cli_option){o->letter,
                                         o->name,
                                         o->argument,
                                         o->help,
                                         many ? CLI_LIST : CLI_TEXT,
                                         many ? (void *)&repeated : (void *)&values.values[n]};
    }
    for (int i = 0; i < COMMON; i++) {
        options[n + (size_t)i] = common[i];
        options[n + (size_t)i].letter = free_letter(c, common[i].letter);
    }
    snprintf(title, sizeof(title), "mqadmin %s", c->name);
    struct cli_program program = {title, c->help, options, n + COMMON};
    if (help) {
        cli_usage(&program);
        return 0;
    }
    cli_parse(&program, argc, argv);
    for (size_t i = 0; i < n; i++) {
        if (c->options[i].required && !values.values[i]) {
            fprintf(stderr, "%s: option --%s is required (see mqadmin help %s)\n", title,
                    c->options[i].name, c->name);
            return 1;
        }
    }
    if (repeated.n > ADMIN_REPEAT_MAX) {
        fprintf(stderr, "%s: option --property is given more than %d times\n", title,
                ADMIN_REPEAT_MAX);
        cli_list_release(&repeated);
        return 1;
    }
    for (size_t i = 0; i < repeated.n; i++)
        values.repeated[values.nrepeated++] = repeated.items[i];
    struct admin admin = {.broker = broker, .cluster = cluster, .json = json};
    int rc = client_open(&admin.client, namesrv ? namesrv : getenv("NAMESRV_ADDR"), NULL);
    if (rc) {
        print_failure(title, tl_error_text());
    } else {
        rc = c->run(&admin, &values);
        if (rc)
            print_failure(title, tl_error_text());
        client_close(admin.client);
    }
    cli_list_release(&repeated);
    return rc ? 1 : 0;
}

int main(int argc, char **argv)
{
    log_set_level(LOG_ERROR);
    if (argc < 2 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0)
        return list_commands();
    if (strcmp(argv[1], "--version") == 0) {
        printf("mqadmin %s\n", TL_VERSION);
        return 0;
    }
    if (strcmp(argv[1], "help") == 0)
        return argc > 2 ? run(find(argv[2]), 0, NULL, true) : list_commands();
    return run(find(argv[1]), argc - 1, argv + 1, false);
}
