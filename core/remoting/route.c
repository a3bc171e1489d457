#include "remoting/route.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "proto/code.h"
#include "remoting/request.h"

struct route_table {
    const struct route *rows;
    size_t n;
    const struct route **sorted;     /* by code */
    struct route_counters *counters; /* in the order of rows */
};

static int compare(const void *x, const void *y)
{
    const struct route *const *a = x, *const *b = y;
    return ((*a)->code > (*b)->code) - ((*a)->code < (*b)->code);
}

static int check_row(const struct route *row)
{
    if (request_code_name(row->code)[0] == '?')
        return tl_fail(TL_EINVAL, "route: code %d has no name", row->code);
    if (!row->handler)
        return tl_fail(TL_EINVAL, "route %s: no handler", request_code_name(row->code));
    if (row->header && row->header->size > REQUEST_HEADER_MAX)
        return tl_fail(TL_EINVAL, "route %s: header %s has %zu bytes, at most %d",
                       request_code_name(row->code), row->header->name, row->header->size,
                       REQUEST_HEADER_MAX);
    return 0;
}

int route_table_new(struct route_table **out, const struct route *rows, size_t n)
{
    struct route_table *t = xzalloc(sizeof(*t));
    int rc = 0;

    t->rows = rows;
    t->n = n;
    t->sorted = xcalloc(n + 1, sizeof(*t->sorted));
    t->counters = xcalloc(n + 1, sizeof(*t->counters));
    for (size_t i = 0; i < n && !rc; i++) {
        t->sorted[i] = &rows[i];
        rc = check_row(&rows[i]);
    }
    if (!rc)
        qsort(t->sorted, n, sizeof(*t->sorted), compare);
    for (size_t i = 1; i < n && !rc; i++) {
        if (t->sorted[i]->code == t->sorted[i - 1]->code)
            rc = tl_fail(TL_EINVAL, "route %s: twice in the table",
                         request_code_name(t->sorted[i]->code));
    }
    if (rc) {
        route_table_free(t);
        return rc;
    }
    *out = t;
    return 0;
}

void route_table_free(struct route_table *t)
{
    free(t->sorted);
    free(t->counters);
    free(t);
}

const struct route *route_find(const struct route_table *t, int code)
{
    size_t low = 0, high = t->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (t->sorted[mid]->code == code)
            return t->sorted[mid];
        if (t->sorted[mid]->code < code)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

struct route_counters *route_counters(struct route_table *t, const struct route *row)
{
    return &t->counters[row - t->rows];
}

void route_print(const struct route_table *t, struct strbuf *out)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct route *row = t->sorted[i];
        strbuf_printf(out, "%6d  %-42s %-4s  %s\n", row->code, request_code_name(row->code),
                      row->lane == LANE_IO ? "io" : "work",
                      row->header ? row->header->name : "-");
    }
}
