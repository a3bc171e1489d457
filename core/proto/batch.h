/*
 * batch - the body of a batch send: inner messages one behind the other
 *
 *   TOTALSIZE 4 | MAGIC 4 (ignored) | BODYCRC 4 (ignored) | FLAG 4 | BODYLEN 4 + BODY | PROPLEN 2 + PROPERTIES
 */
#ifndef PROTO_BATCH_H
#define PROTO_BATCH_H

#include "base/bytes.h"
#include "base/str.h"

struct batch_item {
    int32_t flag;
    struct tl_str body, properties;
};

/* 1 and the next item; 0 at the end; -TL_EFORMAT when a length lies.  @r over the whole body. */
int batch_next(struct reader *r, struct batch_item *out);
/* Append one item to @out. */
void batch_add(struct strbuf *out, const struct batch_item *item);

#endif
