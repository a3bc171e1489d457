/*
 * banned - functions nobody here calls
 *
 * Included through the compiler's -include for every file of core/.
 */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Unbounded, stateful, or deaf to errors. */
#pragma GCC poison strcpy strcat vsprintf strtok gets localtime gmtime atoi atol atoll
/* sprintf is named by luaconf.h in a macro nobody uses: the lint looks for it instead. */

#endif
