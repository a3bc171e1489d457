/*
 * errinj - named fault points
 *
 * if (ERRINJ(LOG_WRITE)) ...: true when a test has armed the point (errinj_arm) or the environment
 * says TL_ERRINJ=LOG_WRITE:after:times.  Compiled to `false` without TL_ERRINJ.
 */
#ifndef BASE_ERRINJ_H
#define BASE_ERRINJ_H

#include <stdbool.h>

enum errinj_point {
#define X(name, doc) ERRINJ_##name,
#include "base/errinj.def"
#undef X
    ERRINJ_COUNT
};

#ifdef TL_ERRINJ
bool errinj_fires(enum errinj_point point);
/* Skip @after passes, then fire @times times (-1 = always). */
void errinj_arm(enum errinj_point point, int after, int times);
#    define ERRINJ(name) errinj_fires(ERRINJ_##name)
#else
#    define ERRINJ(name) false
#endif

#endif
