#include "net/addr.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

/* ::ffff:a.b.c.d becomes a.b.c.d. */
static void set_v6(struct addr *out, const uint8_t ip[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    memset(out->ip, 0, sizeof(out->ip));
    out->v6 = memcmp(ip, mapped, sizeof(mapped)) != 0;
    if (out->v6)
        memcpy(out->ip, ip, 16);
    else
        memcpy(out->ip, ip + 12, 4);
}

/* "host:port" cut in two; the brackets of an IPv6 literal removed. */
static int split(struct tl_str text, char *host, size_t host_max, uint16_t *port)
{
    const char *colon = text.len ? memrchr(text.data, ':', text.len) : NULL;
    int32_t n;

    if (!colon)
        return tl_fail(TL_EINVAL, "address \"%.*s\": expected host:port", TL_STR_ARG(text));
    struct tl_str h = tl_str_n(text.data, (size_t)(colon - text.data));
    if (!tl_str_i32(tl_str_n(colon + 1, text.len - h.len - 1), &n) || n < 0 || n > 65535)
        return tl_fail(TL_EINVAL, "address \"%.*s\": the port is not 0..65535",
                       TL_STR_ARG(text));
    if (h.len >= 2 && h.data[0] == '[' && h.data[h.len - 1] == ']')
        h = tl_str_n(h.data + 1, h.len - 2);
    if (!h.len || h.len >= host_max)
        return tl_fail(TL_EINVAL, "address \"%.*s\": no host, or one over %zu characters",
                       TL_STR_ARG(text), host_max - 1);
    memcpy(host, h.data, h.len);
    host[h.len] = '\0';
    *port = (uint16_t)n;
    return 0;
}

static bool literal(const char *host, struct addr *out)
{
    uint8_t ip[16];

    if (inet_pton(AF_INET, host, ip) == 1) {
        memset(out->ip, 0, sizeof(out->ip));
        memcpy(out->ip, ip, 4);
        out->v6 = false;
        return true;
    }
    if (inet_pton(AF_INET6, host, ip) != 1)
        return false;
    set_v6(out, ip);
    return true;
}

int addr_parse_literal(struct tl_str text, struct addr *out)
{
    char host[INET6_ADDRSTRLEN + 1];
    uint16_t port;
    int rc = split(text, host, sizeof(host), &port);

    if (rc)
        return rc;
    if (!literal(host, out))
        return tl_fail(TL_EINVAL, "address \"%.*s\": no IP address", TL_STR_ARG(text));
    out->port = port;
    return 0;
}

int addr_parse(struct tl_str text, struct addr *out)
{
    char host[256];
    uint16_t port;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *found;
    int rc = split(text, host, sizeof(host), &port);

    if (rc)
        return rc;
    if (literal(host, out)) {
        out->port = port;
        return 0;
    }
    int err = getaddrinfo(host, NULL, &hints, &found);
    if (err)
        return tl_fail(TL_EINVAL, "address \"%.*s\": %s", TL_STR_ARG(text), gai_strerror(err));
    addr_from_sockaddr(found->ai_addr, out);
    out->port = port;
    freeaddrinfo(found);
    return 0;
}

void addr_from_sockaddr(const struct sockaddr *sa, struct addr *out)
{
    memset(out, 0, sizeof(*out));
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof(in));
        memcpy(out->ip, &in.sin_addr, 4);
        out->port = ntohs(in.sin_port);
    } else if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof(in6));
        set_v6(out, in6.sin6_addr.s6_addr);
        out->port = ntohs(in6.sin6_port);
    }
}

socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    if (a->v6) {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
        memcpy(&in6.sin6_addr, a->ip, 16);
        memcpy(out, &in6, sizeof(in6));
        return sizeof(in6);
    }
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a->port)};
    memcpy(&in.sin_addr, a->ip, 4);
    memcpy(out, &in, sizeof(in));
    return sizeof(in);
}

void addr_ip_text(const struct addr *a, char out[ADDR_TEXT_MAX])
{
    inet_ntop(a->v6 ? AF_INET6 : AF_INET, a->ip, out, ADDR_TEXT_MAX);
}

void addr_text(const struct addr *a, char out[ADDR_TEXT_MAX])
{
    char ip[ADDR_TEXT_MAX];

    addr_ip_text(a, ip);
    snprintf(out, ADDR_TEXT_MAX, a->v6 ? "[%.48s]:%u" : "%.48s:%u", ip, a->port);
}

/* Bridges and tunnels that containers and virtual machines make: nobody outside reaches them. */
static bool is_inner_interface(const char *name)
{
    static const char *const prefixes[] = {"docker", "br-",     "veth", "virbr",
                                           "cni",    "flannel", "tun",  "tap"};

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    }
    return false;
}

/* 3 = IPv4, 2 = IPv6, 1 = of an inner interface, 0 = not usable */
static int rank(const struct ifaddrs *i, struct addr *a)
{
    if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) || (i->ifa_flags & IFF_LOOPBACK))
        return 0;
    if (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6)
        return 0;
    addr_from_sockaddr(i->ifa_addr, a);
    if (a->v6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80)
        return 0; /* link-local */
    if (is_inner_interface(i->ifa_name))
        return 1;
    return a->v6 ? 2 : 3;
}

void addr_local(struct addr *out)
{
    struct ifaddrs *list = NULL;
    int best = 0;

    *out = (struct addr){.ip = {127, 0, 0, 1}};
    if (getifaddrs(&list))
        return;
    for (struct ifaddrs *i = list; i; i = i->ifa_next) {
        struct addr a;
        int r = rank(i, &a);
        if (r > best) {
            best = r;
            *out = a;
        }
    }
    out->port = 0;
    freeifaddrs(list);
}
