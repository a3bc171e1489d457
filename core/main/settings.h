/*
 * settings - what the server programs do with their configuration: file, --set, -p, -m, the log
 */
#ifndef MAIN_SETTINGS_H
#define MAIN_SETTINGS_H

#include <stdbool.h>

#include "base/conf.h"
#include "main/cli.h"

/*
 * Defaults, then @file (NULL = none), then each key=value of @sets.  Unknown keys of the file are warned about on
 * stderr; a mistake is printed and ends the program with 1.
 */
void settings_load(const char *program, const struct conf_table *t, void *conf,
                   const char *file, const struct cli_list *sets);
/* Print the keys with a flag of @only (0 = all) and end the program with 0. */
_Noreturn void settings_print(const struct conf_table *t, const void *conf, unsigned only);
/* "--reference": the table as Markdown; ends the program with 0. */
_Noreturn void settings_reference(const struct conf_table *t, const char *title);
/* Start the log thread: empty @file = stderr.  A bad level or file ends the program with 1. */
void settings_log(const char *program, struct tl_str file, struct tl_str level);
/* One line "PROGRAM: what: this thread's error" on stderr; ends the program with 1. */
_Noreturn void settings_die(const char *program, const char *what);

#endif
