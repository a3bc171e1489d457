/*
 * peer - a plain blocking socket on loopback: the other side of what a test looks at
 *
 * Everything waits for at most 30 s; what goes wrong ends the test.
 */
#ifndef PEER_H
#define PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int peer_connect(uint16_t port);
bool peer_is_refused(uint16_t port);
/* A socket that listens on a free port. */
int peer_listen(int backlog, uint16_t *port);
int peer_accept(int listen_fd);

void peer_send(int fd, const void *data, size_t len);
/* All of @len bytes. */
void peer_recv(int fd, void *data, size_t len);
/* The other side closed or reset, possibly behind bytes nobody read: *unread, when asked for. */
void peer_await_close(int fd, size_t *unread);
void peer_end_output(int fd);
void peer_close(int fd);
void peer_reset(int fd); /* close at once, by RST */

#endif
