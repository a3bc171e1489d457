/*
 * errinj - named fault points
 *
 * if (ERRINJ(LOG_WRITE)) ...: true when a test has armed the point (errinj_arm) or the environment
 * says TL_ERRINJ=LOG_WRITE:after:times:how.  How: `error` (the default) fails the call; `short`, at points that write
 * (ERRINJ_PART), lets the call write only a half of what it should, which is no error; `torn` is short, and then the
 * process ends as if killed; `stop` ends it before the call.  Compiled to `false` without TL_ERRINJ.
 */
#ifndef BASE_ERRINJ_H
#define BASE_ERRINJ_H

#include <stdbool.h>
#include <stddef.h>

enum { ERRINJ_STOPPED = 57 }; /* exit code of `torn` and `stop` */

enum errinj_point {
#define X(name, doc) ERRINJ_##name,
#include "base/errinj.def"
#undef X
    ERRINJ_COUNT
};

#ifdef TL_ERRINJ
bool errinj_fires(enum errinj_point point);
/* How many of @len bytes to write now; fires for `short` and `torn` only.  errinj_wrote() ends a torn one. */
size_t errinj_part(enum errinj_point point, size_t len, bool *torn);
void errinj_wrote(bool torn);
/* Skip @after passes, then fire @times times (-1 = always) as an error. */
void errinj_arm(enum errinj_point point, int after, int times);
#    define ERRINJ(name)                 errinj_fires(ERRINJ_##name)
#    define ERRINJ_PART(name, len, torn) errinj_part(ERRINJ_##name, len, torn)
#    define ERRINJ_WROTE(torn)           errinj_wrote(torn)
#else
#    define ERRINJ(name)                 false
#    define ERRINJ_PART(name, len, torn) (len)
#    define ERRINJ_WROTE(torn)           ((void)(torn))
#endif

#endif
