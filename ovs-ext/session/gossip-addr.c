/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Addresses of gossip, also as text. */

#include <config.h>

#include "ovs-ext/session/gossip-wire.h"

#include <netinet/in.h>
#include <string.h>

#include "openvswitch/dynamic-string.h"
#include "packets.h"
#include "util.h"

bool
gossip_addr_equal(const struct gossip_addr *a, const struct gossip_addr *b)
{
    return a->port == b->port && !memcmp(a->ip, b->ip, sizeof a->ip);
}

/* Parses an IP address of 'len' characters; IPv6 in brackets. */
static bool
parse_ip(const char *s, size_t len, struct in6_addr *ip)
{
    char buf[INET6_ADDRSTRLEN];
    ovs_be32 ip4;
    bool ip6 = len >= 2 && s[0] == '[' && s[len - 1] == ']';

    if (ip6) {
        s++;
        len -= 2;
    }
    if (len >= sizeof buf) {
        return false;
    }
    memcpy(buf, s, len);
    buf[len] = '\0';
    if (ip6) {
        return ipv6_parse(buf, ip) && !IN6_IS_ADDR_V4MAPPED(ip);
    } else if (!ip_parse(buf, &ip4)) {
        return false;
    }
    in6_addr_set_mapped_ipv4(ip, ip4);
    return true;
}

/* Parses "ADDRESS:PORT", with an IPv6 address in brackets, a port from 1 to
 * 65535 and nothing around it. */
bool
gossip_addr_parse(const char *s, struct gossip_addr *addr)
{
    const char *colon = strrchr(s, ':');
    struct in6_addr ip;
    unsigned int port;

    if (!colon || !colon[1] || colon[1 + strspn(colon + 1, "0123456789")]
        || !str_to_uint(colon + 1, 10, &port) || !port || port > UINT16_MAX
        || !parse_ip(s, colon - s, &ip)) {
        return false;
    }
    memcpy(addr->ip, &ip, sizeof addr->ip);
    addr->port = port;
    return true;
}

/* As gossip_addr_parse() reads it; the caller frees it. */
char *
gossip_addr_to_string(const struct gossip_addr *addr)
{
    struct ds s = DS_EMPTY_INITIALIZER;
    struct in6_addr ip;
    bool ip6;

    memcpy(&ip, addr->ip, sizeof ip);
    ip6 = !IN6_IS_ADDR_V4MAPPED(&ip);
    ds_put_cstr(&s, ip6 ? "[" : "");
    ipv6_format_mapped(&ip, &s);
    ds_put_format(&s, "%s:%d", ip6 ? "]" : "", addr->port);
    return ds_steal_cstr(&s);
}
