#include "broker/nametable.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"

void nametable_entry_init(struct nametable_entry *e, struct tl_str name,
                          void (*free_fn)(struct nametable_entry *e))
{
    atomic_init(&e->refs, 1);
    e->name = name;
    e->free_fn = free_fn;
}

static struct nametable_entry *share(struct nametable_entry *e)
{
    atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
    return e;
}

static void unref(struct nametable_entry *e)
{
    if (atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) == 1)
        e->free_fn(e);
}

static struct nametable *sized(size_t n)
{
    struct nametable *t = xzalloc(sizeof(*t) + n * sizeof(t->at[0]));
    t->n = n;
    return t;
}

void nametable_free(struct snapshot *s)
{
    struct nametable *t = (struct nametable *)s;

    for (size_t i = 0; i < t->n; i++)
        unref(t->at[i]);
    free(t);
}

/* Where @name stands, or would; *found says which. */
static size_t index_of(const struct nametable *t, struct tl_str name, bool *found)
{
    size_t lo = 0, hi = t->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = tl_str_cmp(t->at[mid]->name, name);
        if (c == 0) {
            *found = true;
            return mid;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *found = false;
    return lo;
}

static int by_name(const void *a, const void *b)
{
    const struct nametable_entry *const *x = a, *const *y = b;
    return tl_str_cmp((*x)->name, (*y)->name);
}

struct nametable *nametable_new(struct nametable_entry *const *entries, size_t n)
{
    struct nametable *t = sized(n);
    size_t to = 0;

    for (size_t i = 0; i < n; i++)
        t->at[i] = entries[i];
    qsort(t->at, n, sizeof(t->at[0]), by_name);
    for (size_t i = 0; i < n; i++) {
        if (to && tl_str_eq(t->at[to - 1]->name, t->at[i]->name))
            unref(t->at[i]);
        else
            t->at[to++] = t->at[i];
    }
    t->n = to;
    return t;
}

struct nametable_entry *nametable_find(const struct nametable *t, struct tl_str name)
{
    bool found;
    size_t i = index_of(t, name, &found);

    return found ? t->at[i] : NULL;
}

/* @old with @e (or nothing) from place @i on, @skip entries of which are left out. */
static struct nametable *spliced(const struct nametable *old, size_t i, size_t skip,
                                 struct nametable_entry *e)
{
    struct nametable *t = sized(old->n - skip + (e ? 1 : 0));
    size_t to = 0;

    for (size_t from = 0; from < i; from++)
        t->at[to++] = share(old->at[from]);
    if (e)
        t->at[to++] = e;
    for (size_t from = i + skip; from < old->n; from++)
        t->at[to++] = share(old->at[from]);
    return t;
}

struct nametable *nametable_with(const struct nametable *old, struct nametable_entry *e)
{
    bool found;
    size_t i = index_of(old, e->name, &found);

    return spliced(old, i, found ? 1 : 0, e);
}

struct nametable *nametable_without(const struct nametable *old, struct tl_str name)
{
    bool found;
    size_t i = index_of(old, name, &found);

    return spliced(old, i, found ? 1 : 0, NULL);
}
