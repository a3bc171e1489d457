/*
 * commands - the functions behind the lines of commands.def; cmd_<theme>.c has them
 *
 * Each prints its result on stdout and returns 0, or an error code with this thread's text set.
 */
#ifndef ADMIN_COMMANDS_H
#define ADMIN_COMMANDS_H

#include "admin/admin.h"

#define X(name, options, run, help) int run(struct admin *a, const struct admin_values *v);
#include "admin/commands.def"
#undef X

#endif
