/*
 * nametable - a snapshot table of counted, named, immutable entries: topics, groups
 *
 * An array in name order.  A change makes a new table that shares all entries but the
 * changed one. Reading needs no lock; making tables is the writer's business
 * (base/snapshot.h).
 */
#ifndef BROKER_NAMETABLE_H
#define BROKER_NAMETABLE_H

#include <stddef.h>

#include "base/snapshot.h"
#include "base/str.h"

/* Embedded first by what is kept; the maker sets name (a part of itself) and free_fn. */
struct nametable_entry {
    _Atomic int32_t refs;
    struct tl_str name;
    void (*free_fn)(struct nametable_entry *e);
};

struct nametable {
    struct snapshot snapshot;
    size_t n;
    struct nametable_entry *at[];
};

/* One reference, the table's to be. */
void nametable_entry_init(struct nametable_entry *e, struct tl_str name,
                          void (*free_fn)(struct nametable_entry *e));
/* A table of @n entries in any order (taken); of several with one name the first stays. */
struct nametable *nametable_new(struct nametable_entry *const *entries, size_t n);
/* The snapshot's free function. */
void nametable_free(struct snapshot *s);

/* NULL when there is none of that name. */
struct nametable_entry *nametable_find(const struct nametable *t, struct tl_str name);
/* @old with @e (taken) added, or in the place of the one with its name. */
struct nametable *nametable_with(const struct nametable *old, struct nametable_entry *e);
/* @old without @name. */
struct nametable *nametable_without(const struct nametable *old, struct tl_str name);

#endif
