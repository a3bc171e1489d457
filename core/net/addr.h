/*
 * addr - host:port, IPv6, the address others reach us by
 *
 * IPv4-mapped IPv6 addresses (::ffff:a.b.c.d) are turned into IPv4: old clients can't read the
 * long form in stored records.
 */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/str.h"

enum { ADDR_TEXT_MAX = 64 };

struct addr {
    uint8_t ip[16]; /* network order; 4 bytes used unless v6 */
    bool v6;
    uint16_t port;
};

/* "1.2.3.4:5", "[::1]:5", "host:5" (host is looked up: blocking, never on a reactor). TL_EINVAL. */
int addr_parse(struct tl_str text, struct addr *out);
/* Literal addresses only; never blocks. */
int addr_parse_literal(struct tl_str text, struct addr *out);
void addr_from_sockaddr(const struct sockaddr *sa, struct addr *out);
socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out);
void addr_text(const struct addr *a, char out[ADDR_TEXT_MAX]);    /* "1.2.3.4:5" */
void addr_ip_text(const struct addr *a, char out[ADDR_TEXT_MAX]); /* "1.2.3.4" */

/* The address other hosts most likely reach us by: first up, non-loopback, non-container IPv4,
 * else IPv6, else 127.0.0.1 (RemotingUtil.getLocalAddress). */
void addr_local(struct addr *out);

#endif
