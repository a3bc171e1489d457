/*
 * routes - the request codes the broker serves: one line, one truth
 */
#ifndef BROKER_ROUTES_H
#define BROKER_ROUTES_H

#include <stddef.h>

#include "remoting/route.h"

extern const struct route broker_routes[];
extern const size_t broker_routes_count;

#endif
