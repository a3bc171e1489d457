/*
 * map - uthash with our hash function
 *
 * uthash's own falls through switch labels, which clang reports at every use.
 */
#ifndef BROKER_MAP_H
#define BROKER_MAP_H

#include "base/hash.h"

#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = (unsigned)hash_bytes(keyptr, keylen))

#include <uthash.h>

#endif
