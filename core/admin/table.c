#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "base/mem.h"

struct table {
    const char *const *headings;
    int columns;
    char **cells; /* row by row */
    size_t rows;
};

struct table *table_new(const char *const *headings, int columns)
{
    struct table *t = xzalloc(sizeof(*t));

    t->headings = headings;
    t->columns = columns;
    return t;
}

void table_add(struct table *t, const char *const *cells)
{
    size_t n = (size_t)t->columns;

    t->cells = xrealloc(t->cells, (t->rows + 1) * n * sizeof(*t->cells));
    for (size_t i = 0; i < n; i++)
        t->cells[t->rows * n + i] = xstrdup(cells[i] ? cells[i] : "");
    t->rows++;
}

void table_free(struct table *t)
{
    for (size_t i = 0; i < t->rows * (size_t)t->columns; i++)
        free(t->cells[i]);
    free(t->cells);
    free(t);
}

static void print_json(const struct table *t)
{
    for (size_t r = 0; r < t->rows; r++) {
        json_t *o = json_object();
        for (int c = 0; c < t->columns; c++)
            json_object_set_new(o, t->headings[c],
                                json_string(t->cells[r * (size_t)t->columns + (size_t)c]));
        char *text = json_dumps(o, JSON_COMPACT);
        printf("%s\n", text);
        free(text);
        json_decref(o);
    }
}

void table_print(const struct table *t, bool json)
{
    if (json) {
        print_json(t);
        return;
    }
    size_t *width = xcalloc((size_t)t->columns, sizeof(*width));
    for (int c = 0; c < t->columns; c++) {
        width[c] = strlen(t->headings[c]) + 1;
        for (size_t r = 0; r < t->rows; r++) {
            size_t n = strlen(t->cells[r * (size_t)t->columns + (size_t)c]);
            width[c] = n > width[c] ? n : width[c];
        }
    }
    for (int c = 0; c < t->columns; c++)
        printf("#%-*s  ", (int)width[c] - 1, t->headings[c]);
    printf("\n");
    for (size_t r = 0; r < t->rows; r++) {
        for (int c = 0; c < t->columns; c++)
            printf("%-*s  ", (int)width[c], t->cells[r * (size_t)t->columns + (size_t)c]);
        printf("\n");
    }
    free(width);
}
