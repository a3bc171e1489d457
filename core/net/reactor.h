/*
 * reactor - one thread, one event loop, one mailbox, one timer wheel
 *
 * A turn: wait for events; run mails and due timers; let connections read within their budget;
 * run the end-of-turn hooks (staged appends are submitted there, then output is flushed).  Nothing
 * that runs on a reactor may block.  "own reactor" in a comment means: on this thread.
 */
#ifndef NET_REACTOR_H
#define NET_REACTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mailbox.h"
#include "base/thread.h"

struct reactor;
struct event_base;

/* Start the thread.  0, TL_ENOMEM or TL_EIO.  Owned by the caller until reactor_free(). */
int reactor_start(struct reactor **out, const char *name, enum thread_role role);
/* Make a reactor that the calling thread will run itself with reactor_run(). */
int reactor_new(struct reactor **out, const char *name);
void reactor_run(struct reactor *r); /* until reactor_stop(); the caller's thread is its own */
/* Any thread.  The loop ends after the mails pushed before. */
void reactor_stop(struct reactor *r);
void reactor_join(struct reactor *r); /* of a started one */
void reactor_free(struct reactor *r); /* after the loop ended; runs mails left over */

/* Any thread.  Takes @m; m->run(m) is called on the reactor. */
void reactor_post(struct reactor *r, struct mail *m);
/* Any thread.  fn(arg) on the reactor; returns when it has run (deadlocks on its own reactor: asserts). */
void reactor_call(struct reactor *r, void (*fn)(void *arg), void *arg);
bool reactor_is_own(const struct reactor *r);
struct reactor *reactor_current(void);           /* NULL when the thread runs none */
int64_t reactor_now_ms(const struct reactor *r); /* monotonic, cached per turn; own reactor */
struct event_base *reactor_base(struct reactor *r); /* for net/ only */
uint64_t
reactor_turns(const struct reactor *r); /* any thread: loop turns so far, for the watchdog */

/* Something to do once at the end of the current turn, after all input was handled.  Embedded by
 * its owner; scheduling it twice in a turn runs it once.  Own reactor.  Hooks with a lower order
 * run first. */
enum turn_order { TURN_WAKE, TURN_APPEND, TURN_REPLY, TURN_FLUSH, TURN_FREE, TURN_ORDERS };
struct turn_hook {
    struct turn_hook *next;
    bool scheduled;
    void (*run)(struct turn_hook *h);
};
/* A hook scheduled by a hook of the same or a later order still runs in this turn. */
void reactor_at_turn_end(struct reactor *r, enum turn_order order, struct turn_hook *h);

/* A slot per reactor for the layer above (broker's per-reactor state). */
void reactor_set_local(struct reactor *r, void *local);
void *reactor_local(const struct reactor *r);

#endif
