#include "net/addr.h"

#include <netinet/in.h>

#include "t.h"

static const char *text(const struct addr *a)
{
    static char out[ADDR_TEXT_MAX];
    addr_text(a, out);
    return out;
}

static const char *parsed(const char *from)
{
    struct addr a;
    CHECK_OK(addr_parse_literal(tl_str_of(from), &a));
    return text(&a);
}

static void refused(const char *from, const char *why)
{
    struct addr a = {.port = 7};
    CHECK_INT(addr_parse_literal(tl_str_of(from), &a), TL_EINVAL);
    CHECK_HAS(t_error(), from);
    CHECK_HAS(t_error(), why);
    CHECK_INT(a.port, 7); /* untouched */
}

TEST(addresses_are_read_and_written_in_their_usual_form)
{
    CHECK_STR(parsed("1.2.3.4:5"), "1.2.3.4:5");
    CHECK_STR(parsed("0.0.0.0:0"), "0.0.0.0:0");
    CHECK_STR(parsed("255.255.255.255:65535"), "255.255.255.255:65535");
    CHECK_STR(parsed("[::1]:10911"), "[::1]:10911");
    CHECK_STR(parsed("[2001:DB8:0:0:0:0:0:1]:80"), "[2001:db8::1]:80");
    CHECK_STR(parsed("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
              "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
    CHECK_STR(parsed("::1:5"), "[::1]:5"); /* the port stands behind the last colon */
}

TEST(the_ip_stands_alone_without_brackets)
{
    struct addr a;
    char out[ADDR_TEXT_MAX];

    CHECK_OK(addr_parse_literal(TL_STR("[::1]:5"), &a));
    addr_ip_text(&a, out);
    CHECK_STR(out, "::1");
    CHECK_OK(addr_parse_literal(TL_STR("10.0.0.1:5"), &a));
    addr_ip_text(&a, out);
    CHECK_STR(out, "10.0.0.1");
}

TEST(mapped_ipv4_is_ipv4)
{
    struct addr a;

    CHECK_OK(addr_parse_literal(TL_STR("[::ffff:1.2.3.4]:5"), &a));
    CHECK(!a.v6);
    CHECK_STR(text(&a), "1.2.3.4:5");
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
    memcpy(&in6.sin6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\x01", 16);
    addr_from_sockaddr((struct sockaddr *)&in6, &a);
    CHECK(!a.v6);
    CHECK_STR(text(&a), "10.0.0.1:9");
}

TEST(what_is_no_address_is_refused_with_the_reason)
{
    refused("", "expected host:port");
    refused("1.2.3.4", "expected host:port");
    refused("1.2.3.4:", "the port is not 0..65535");
    refused("1.2.3.4:65536", "the port is not 0..65535");
    refused("1.2.3.4:-1", "the port is not 0..65535");
    refused("1.2.3.4:80x", "the port is not 0..65535");
    refused("[::1]", "the port is not 0..65535");
    refused(":80", "no host");
    refused("[]:80", "no host");
    refused("1.2.3:80", "no IP address");
    refused("1.2.3.4.5:80", "no IP address");
    refused("256.1.1.1:80", "no IP address");
    refused("[::g]:80", "no IP address");
    refused("localhost:80", "no IP address");
    refused("0123456789012345678901234567890123456789012345678901234567890123:80", "no host");
}

TEST(names_are_looked_up_and_literals_are_not)
{
    struct addr a;

    CHECK_OK(addr_parse(TL_STR("localhost:80"), &a));
    CHECK_INT(a.port, 80);
    CHECK_STR(text(&a), a.v6 ? "[::1]:80" : "127.0.0.1:80");
    CHECK_OK(addr_parse(TL_STR("[::1]:80"), &a));
    CHECK_STR(text(&a), "[::1]:80");
    a.port = 7;
    CHECK_INT(addr_parse(TL_STR("no..such..host:80"), &a), TL_EINVAL);
    CHECK_HAS(t_error(), "no..such..host:80");
    CHECK_INT(a.port, 7);
}

TEST(socket_addresses_go_both_ways)
{
    static const char *const all[] = {"1.2.3.4:5", "[::1]:10911", "[2001:db8::1]:80"};
    struct addr a, back;
    struct sockaddr_storage ss;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        CHECK_OK(addr_parse_literal(tl_str_of(all[i]), &a));
        socklen_t len = addr_to_sockaddr(&a, &ss);
        CHECK_INT(len, a.v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
        addr_from_sockaddr((struct sockaddr *)&ss, &back);
        CHECK_STR(text(&back), all[i]);
    }
}

TEST(this_host_has_an_address_others_may_use)
{
    struct addr a;

    addr_local(&a);
    CHECK_INT(a.port, 0);
    CHECK(strcmp(text(&a), "0.0.0.0:0") != 0);
}
