/*
 * registrar - registers the broker at every name server: at start, every 30 s, on change
 * (BrokerOuterAPI)
 *
 * One channel per address, on the service reactor.  A change of topics is sent at once,
 * changes within one turn together.
 */
#ifndef BROKER_REGISTRAR_H
#define BROKER_REGISTRAR_H

#include <stdint.h>

struct registrar;
struct broker;

/* How long an answer is held for name servers to learn of a topic. */
enum { REGISTRAR_WAIT_MS = 1000 };

/* On any thread but the service reactor; makes the channels of conf->namesrvAddr. TL_EINVAL. */
int registrar_start(struct registrar **out, struct broker *b);
/*
 * Tell the name servers that this broker goes (bounded wait 3 s) and register no more;
 * touch and sync may still be called and do nothing.  Not on a reactor; idempotent.
 */
void registrar_unregister(struct registrar *r);
/*
 * Unregister unless done, free.  Nobody may call in any more; the service reactor still
 * runs.
 */
void registrar_stop(struct registrar *r);
/* Topics changed.  Any thread; does not block. */
void registrar_touch(struct registrar *r);
/*
 * Wait until every name server that is reachable has what was touched before (also the
 * registration at the start); at most @timeout_ms.  Any thread but reactors.
 */
void registrar_sync(struct registrar *r, int32_t timeout_ms);

#endif
