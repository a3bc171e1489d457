/*
 * savefile - the JSON files of config/: read with their .bak, written atomically
 * (ConfigManager)
 *
 * Text is fastjson's pretty form: tabs, "key":value, integer keys without quotes.  Blocking.
 */
#ifndef BROKER_SAVEFILE_H
#define BROKER_SAVEFILE_H

#include <jansson.h>

/*
 * The object in @path, else the one in @path.bak; neither there (or both empty) = an empty
 * object.  A damaged @path whose .bak is good is set aside as @path.damaged and logged, so
 * that the next save keeps the good .bak.  Owned.  TL_ECORRUPT when there is something but
 * nothing good; TL_EIO.
 */
int savefile_load(const char *path, json_t **out);
/* Replace @path by @root (borrowed); the former text stays as @path.bak.  TL_EIO. */
int savefile_store(const char *path, const json_t *root);

#endif
