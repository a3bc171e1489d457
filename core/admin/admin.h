/*
 * admin - the commands of mqadmin: one line in commands.def each, one function each
 *
 * A command parses its own options, prints its result on stdout and returns 0; on failure it returns an error
 * code and mqadmin prints this thread's text.
 */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include <jansson.h>
#include <stdbool.h>

#include "client/client.h"

/* What every command is given: the options all of them have. */
struct admin {
    struct client *client;
    const char *broker, *cluster; /* -b, -c; NULL when not given */
    bool json;
};

/* An option's value, by letter ('t') or, for those without one, by name; NULL when it was not given. */
struct admin_option {
    char letter;
    const char *name, *argument, *help;
    bool required;
};
enum { ADMIN_OPTIONS_MAX = 12, ADMIN_REPEAT_MAX = 64 };

struct admin_values {
    const struct admin_option *options;
    const char *values[ADMIN_OPTIONS_MAX];
    const char *repeated[ADMIN_REPEAT_MAX]; /* of the option "property" */
    int nrepeated;
};
const char *admin_value(const struct admin_values *v, const char *name, const char *def);

struct admin_command {
    const char *name, *help;
    const struct admin_option *options; /* ends with name NULL */
    int (*run)(struct admin *a, const struct admin_values *v);
};

/* Options all commands take: -n, -b, -c, --json are read by mqadmin itself. */
extern const struct admin_command admin_commands[];
extern const size_t admin_commands_count;

/* Call fn for the broker of -b, or each master of -c; reports each; the first failure is the answer. */
int admin_each_broker(struct admin *a, int (*fn)(struct admin *a, const char *addr, void *arg),
                      void *arg);

/* table.c: rows of text as aligned columns, or as JSON objects with the headings as keys. */
struct table;
struct table *table_new(const char *const *headings, int columns);
void table_add(struct table *t, const char *const *cells);
void table_print(const struct table *t, bool json);
void table_free(struct table *t);

#endif
