/*
 * conn - a socket with its input and output, on one reactor
 *
 * Input: big reads into a buffer shared by the reactor's connections; what is left of an
 * incomplete frame moves to a buffer that is the connection's until the frame is complete, as there
 * is one for output until it has left (bufpool.h): an idle connection costs a few hundred bytes.
 * The layer above cuts frames in on_input().  A budget per turn keeps one busy connection from
 * starving the others.
 *
 * Output: small pieces are copied, large ones (log bytes) are queued by reference with a release
 * callback; everything queued during a turn leaves in one writev at its end.  Above the high-water
 * mark the connection stops reading until the peer has taken half of it.  When the peer takes no
 * output any more, output is dropped, and what the peer sent before is read to its end.
 *
 * Counted: conn_ref() keeps the struct alive after the socket is closed; all calls are then no-ops.
 * Own reactor unless said otherwise.
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/addr.h"
#include "net/reactor.h"

struct conn;

struct conn_limits {
    size_t input_max;     /* largest on_input() request for more, bytes: a frame */
    size_t high_water;    /* queued output, bytes */
    int32_t idle_ms;      /* no input and no output for so long closes it; 0 = never */
    uint32_t turn_bytes;  /* read per turn, bytes; at most 256 KiB */
    uint32_t turn_frames; /* on_input() counts frames by conn_spend() */
};
extern const struct conn_limits conn_limits_default; /* 16 MiB + 8, 8 MiB, 120 s, 64 KiB, 64 */

struct conn_ops {
    /*
     * @len bytes are there.  Return how many were consumed (whole frames only); set *need to the
     * size of the incomplete rest's frame when known (0 = unknown).  Return -1 to close (the
     * reason was logged).  The bytes are valid during the call only.
     */
    int64_t (*on_input)(struct conn *c, const uint8_t *data, size_t len, size_t *need);
    /* The socket is gone; called exactly once, also after conn_close().  Drop what hangs on it. */
    void (*on_close)(struct conn *c);
};

/* Wrap the connected @fd (taken).  The creator's reference is dropped by the close. */
struct conn *conn_new(struct reactor *r, int fd, const struct addr *peer,
                      const struct conn_ops *ops, const struct conn_limits *limits,
                      void *owner);
/*
 * Connect without blocking; on_connected(c, 0 or TL_E...) tells how it went, on_close follows a
 * failure.  NULL with tl_fail() only when no socket can be made.
 */
struct conn *conn_connect(struct reactor *r, const struct addr *peer, int32_t timeout_ms,
                          const struct conn_ops *ops, const struct conn_limits *limits,
                          void *owner, void (*on_connected)(struct conn *c, int rc));

struct conn *conn_ref(struct conn *c); /* any thread */
void conn_unref(struct conn *c);       /* any thread; the last one frees on its reactor */

/* Close after this turn's output was tried; input stops at once.  conn_abort(): at once.  One that
 * is still connecting just closes: on_connected() is not called any more. */
void conn_close(struct conn *c);
void conn_abort(struct conn *c);
bool conn_is_open(const struct conn *c); /* any thread: a hint; own reactor: exact */

/*
 * Count one frame against this turn's budget; false when it is spent or the output is above its
 * mark: return what was consumed so far, and on_input() is called again with the rest.
 */
bool conn_spend(struct conn *c);

void conn_write(struct conn *c, const void *data, size_t len); /* copies */
/* Where to put up to @n bytes that will be sent; then conn_write_commit(). */
char *conn_write_reserve(struct conn *c, size_t n);
void conn_write_commit(struct conn *c, size_t n);
/* Queue @data without copying; release(arg) once the kernel has it or the connection died. */
void conn_write_ref(struct conn *c, const void *data, size_t len, void (*release)(void *arg),
                    void *arg);
size_t conn_queued(const struct conn *c);

struct reactor *conn_reactor(const struct conn *c); /* any thread */
const struct addr *conn_peer(const struct conn *c); /* any thread */
const char *conn_peer_text(const struct conn *c);   /* "1.2.3.4:5"; any thread */
const struct addr *conn_local(const struct conn *c);
void *conn_owner(const struct conn *c);
void conn_set_owner(struct conn *c, void *owner);
/* release(arg) when the last reference is gone and the struct goes. */
void conn_set_release(struct conn *c, void (*release)(void *arg), void *arg);
uint64_t conn_id(const struct conn *c); /* unique in the process; any thread */

#endif
