/*
 * routes - the request codes the name server serves: one line, one truth
 */
#ifndef NAMESRV_ROUTES_H
#define NAMESRV_ROUTES_H

#include <stddef.h>

#include "remoting/route.h"

extern const struct route routes_namesrv[];
extern const size_t routes_namesrv_count;

#endif
