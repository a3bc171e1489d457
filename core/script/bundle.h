/*
 * bundle - one version of one script: immutable, counted
 *
 * Private to script/; what others may do with one stands in script.h.
 */
#ifndef SCRIPT_BUNDLE_H
#define SCRIPT_BUNDLE_H

#include "script/vm.h"

/* Copies @name and @source; nothing is checked.  One reference, the caller's. */
struct script_bundle *bundle_new(struct tl_str name, struct tl_str source);
/* Fill in what the script says about itself; before anyone else sees the bundle. */
void bundle_set_manifest(struct script_bundle *b, const struct vm_manifest *manifest);

#endif
