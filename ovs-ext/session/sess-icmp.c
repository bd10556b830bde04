/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/session/sess-icmp.h"

#include <netinet/icmp6.h>
#include <netinet/ip6.h>
#include <string.h>

#include "ovs-ext/session/sess-key.h"
#include "packets.h"
#include "unaligned.h"

/* Not those that ask hosts to change how they send to others (source quench,
 * redirect): backends are not the ones to ask. */
const uint8_t sess_icmp_errors[] = {
    ICMP4_DST_UNREACH, ICMP4_TIME_EXCEEDED, ICMP4_PARAM_PROB, 0
};
const uint8_t sess_icmp6_errors[] = {
    ICMP6_PACKET_TOO_BIG, ICMP6_DST_UNREACH, ICMP6_TIME_EXCEEDED,
    ICMP6_PARAM_PROB, 0
};

enum {
    QUOTE_OFS = 8,              /* Of either protocol's errors. */
    QUOTE_L4 = 8                /* What every error has of the packet's
                                 * payload (RFC 792). */
};

bool
sess_icmp_is_error(bool ip6, uint8_t type)
{
    for (const uint8_t *t = sess_icmp_types(ip6); *t; t++) {
        if (*t == type) {
            return true;
        }
    }
    return false;
}

/* PMD-THREAD CODE */

static bool
has_ports(uint8_t proto)
{
    return proto == IPPROTO_TCP || proto == IPPROTO_UDP;
}

static bool
take_ip4(struct sess_key *key, const uint8_t *quote, size_t len)
{
    struct ip_header ip;
    ovs_be16 ports[2];
    size_t header;

    if (len < sizeof ip) {
        return false;
    }
    memcpy(&ip, quote, sizeof ip);
    header = IP_IHL(ip.ip_ihl_ver) * 4;
    if (IP_VER(ip.ip_ihl_ver) != 4 || header < sizeof ip
        || len < header + QUOTE_L4 || ntohs(ip.ip_tot_len) < header + QUOTE_L4
        || ip.ip_frag_off & htons(IP_FRAG_OFF_MASK)
        || !has_ports(ip.ip_proto)) {
        return false;
    }
    memcpy(ports, quote + header, sizeof ports);
    sess_key_init_ip4(key, get_16aligned_be32(&ip.ip_dst),
                      get_16aligned_be32(&ip.ip_src), ports[1], ports[0],
                      ip.ip_proto, 0);
    return true;
}

static bool
take_ip6(struct sess_key *key, const uint8_t *quote, size_t len)
{
    struct ovs_16aligned_ip6_hdr ip6;
    struct in6_addr src, dst;
    ovs_be16 ports[2];
    uint8_t proto;

    if (len < sizeof ip6 + QUOTE_L4) {
        return false;
    }
    memcpy(&ip6, quote, sizeof ip6);
    proto = ip6.ip6_nxt;
    if (quote[0] >> 4 != 6 || ntohs(ip6.ip6_plen) < QUOTE_L4
        || !has_ports(proto)) {
        return false;
    }
    memcpy(&src, &ip6.ip6_src, sizeof src);
    memcpy(&dst, &ip6.ip6_dst, sizeof dst);
    memcpy(ports, quote + sizeof ip6, sizeof ports);
    sess_key_init_ip6(key, &dst, &src, ports[1], ports[0], proto, 0);
    return true;
}

bool
sess_icmp_key(struct sess_key *key, const void *icmp, size_t len, bool ip6)
{
    const uint8_t *quote = (const uint8_t *) icmp + QUOTE_OFS;

    return (len >= QUOTE_OFS
            && (ip6 ? take_ip6 : take_ip4)(key, quote, len - QUOTE_OFS));
}

/* END PMD-THREAD CODE */
