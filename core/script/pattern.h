/*
 * pattern - Lua patterns and wildcards with a step limit
 *
 * The pattern language of Lua 5.1 (classes, sets, * + - ?, captures, back references, %b, %f,
 * anchors), by an own backtracking matcher that counts its steps and gives up at a limit, which
 * Lua's own does not.  Pure functions; any thread.
 */
#ifndef SCRIPT_PATTERN_H
#define SCRIPT_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum { PATTERN_ITEMS_MAX = 128, PATTERN_CAPTURES_MAX = 32 };

enum pattern_kind {
    PATTERN_SET,      /* one byte of a set, with a quantifier */
    PATTERN_OPEN,     /* ( */
    PATTERN_CLOSE,    /* ) */
    PATTERN_POSITION, /* () */
    PATTERN_BACK,     /* %1 */
    PATTERN_BALANCE,  /* %bxy */
    PATTERN_FRONTIER, /* %f[set] */
    PATTERN_FINISH,   /* $ at the end */
};

struct pattern_item {
    uint8_t kind, quantifier; /* one of 0 * + - ? */
    uint8_t a, b;             /* capture of CLOSE and BACK; the two bytes of BALANCE */
    uint64_t set[4];
};

struct pattern {
    bool anchored;
    int items_count, captures_count;
    struct pattern_item items[PATTERN_ITEMS_MAX];
};

/* 0, or TL_EFORMAT with what is wrong. */
int pattern_compile(struct tl_str text, struct pattern *out);

struct pattern_match {
    size_t from, to; /* of the whole match in the subject */
    int captures_count;
    struct {
        size_t from;
        ptrdiff_t len; /* -1 = a position capture */
    } captures[PATTERN_CAPTURES_MAX];
};

enum pattern_result { PATTERN_MISS, PATTERN_HIT, PATTERN_OVER /* out of steps */ };

/* The first match at or behind @from; *steps is what may be spent and what is left. */
enum pattern_result pattern_find(const struct pattern *p, struct tl_str subject, size_t from,
                                 int64_t *steps, struct pattern_match *out);

/*
 * Does all of @text match the wildcards of @pattern: * any bytes, ? one byte, [a-z] [!a-z] a set, \x that
 * byte.  At most len(text) * len(pattern) steps, each counted in *steps.
 */
enum pattern_result pattern_wildcard(struct tl_str pattern, struct tl_str text, int64_t *steps);

#endif
