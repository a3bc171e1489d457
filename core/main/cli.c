#include "main/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void cli_list_release(struct cli_list *l)
{
    free(l->items);
    *l = (struct cli_list){0};
}

enum { LEFT_MAX = 80 };

/* "  -c, --configFile FILE"; its length. */
static int left_column(const struct cli_option *o, char left[LEFT_MAX])
{
    int n = o->letter ? snprintf(left, LEFT_MAX, "  -%c, --%s", o->letter, o->name)
                      : snprintf(left, LEFT_MAX, "      --%s", o->name);

    if (o->argument && n < LEFT_MAX)
        n += snprintf(left + n, (size_t)(LEFT_MAX - n),
                      o->kind == CLI_OPTIONAL ? "[=%s]" : " %s", o->argument);
    return n < LEFT_MAX ? n : LEFT_MAX - 1;
}

void cli_usage(const struct cli_program *p)
{
    static const struct cli_option all[] = {
        {'h', "help", NULL, "show this", CLI_FLAG, NULL},
        {0, "version", NULL, "show the version", CLI_FLAG, NULL},
    };
    char left[LEFT_MAX];
    int width = left_column(&all[1], left);

    for (size_t i = 0; i < p->n; i++) {
        int n = left_column(&p->options[i], left);
        width = n > width ? n : width;
    }
    printf("%s - %s\n\nusage: %s [options]\n\n", p->name, p->purpose, p->name);
    for (size_t i = 0; i < p->n + 2; i++) {
        const struct cli_option *o = i < p->n ? &p->options[i] : &all[i - p->n];
        left_column(o, left);
        printf("%-*s  %s\n", width, left, o->help);
    }
}

static _Noreturn void mistake(const struct cli_program *p, const char *what, const char *option)
{
    fprintf(stderr, "%s: %s %s (see %s --help)\n", p->name, what, option, p->name);
    exit(1);
}

static const struct cli_option *find(const struct cli_program *p, const char *arg, size_t len)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct cli_option *o = &p->options[i];
        if (arg[1] == '-'
                ? strlen(o->name) == len - 2 && strncmp(o->name, arg + 2, len - 2) == 0
                : len == 2 && o->letter == arg[1])
            return o;
    }
    return NULL;
}

static void set(const struct cli_option *o, const char *value)
{
    switch (o->kind) {
    case CLI_FLAG: *(bool *)o->to = true; break;
    case CLI_TEXT:
    case CLI_OPTIONAL: *(const char **)o->to = value; break;
    case CLI_LIST: {
        struct cli_list *l = o->to;
        l->items = xrealloc(l->items, (l->n + 1) * sizeof(*l->items));
        l->items[l->n++] = value;
        break;
    }
    }
}

void cli_parse(const struct cli_program *p, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i], *equals = strchr(arg, '=');
        size_t len =
            equals && arg[0] == '-' && arg[1] == '-' ? (size_t)(equals - arg) : strlen(arg);
        if (arg[0] != '-' || len < 2)
            mistake(p, "unexpected argument", arg);
        if (strcmp(arg, "-h") == 0 || strcmp(arg, "--help") == 0) {
            cli_usage(p);
            exit(0);
        }
        if (strcmp(arg, "--version") == 0) {
            printf("%s %s\n", p->name, TL_VERSION);
            exit(0);
        }
        const struct cli_option *o = find(p, arg, len);
        if (!o)
            mistake(p, "unknown option", arg);
        const char *value = arg[1] == '-' && equals ? equals + 1 : NULL;
        if (o->kind == CLI_FLAG && value)
            mistake(p, "no argument belongs to", arg);
        if (o->kind == CLI_OPTIONAL && !value)
            value = "";
        if ((o->kind == CLI_TEXT || o->kind == CLI_LIST) && !value) {
            if (i + 1 == argc)
                mistake(p, "argument missing behind", arg);
            value = argv[++i];
        }
        set(o, value);
    }
}
