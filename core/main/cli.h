/*
 * cli - option tables: one array gives the parser, the usage text and the error messages
 *
 *   static const struct cli_option options[] = {
 *       {'c', "configFile", "FILE", "read settings from FILE", CLI_TEXT, &args.config},
 *       ...
 *   };
 */
#ifndef MAIN_CLI_H
#define MAIN_CLI_H

#include <stdbool.h>
#include <stddef.h>

enum cli_kind {
    CLI_FLAG,     /* bool *: no argument */
    CLI_TEXT,     /* const char **: argument required */
    CLI_OPTIONAL, /* const char **: "--name" gives "", "--name=VALUE" gives VALUE */
    CLI_LIST,     /* struct cli_list *: may be given several times */
};

struct cli_list {
    const char **items; /* owned: cli_list_release() */
    size_t n;
};
void cli_list_release(struct cli_list *l);

struct cli_option {
    char letter;          /* 0 = none */
    const char *name;     /* without the dashes */
    const char *argument; /* as shown in the usage; NULL for flags */
    const char *help;
    enum cli_kind kind;
    void *to;
};

struct cli_program {
    const char *name, *purpose;
    const struct cli_option *options;
    size_t n;
};

/*
 * Parse @argv.  --help prints the usage and --version the version, both end the program with 0; a mistake prints one
 * line that names the option and ends it with 1.
 */
void cli_parse(const struct cli_program *p, int argc, char **argv);
void cli_usage(const struct cli_program *p);

#endif
