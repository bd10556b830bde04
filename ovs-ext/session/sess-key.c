/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/session/sess-key.h"

#include <string.h>

#include "openvswitch/dynamic-string.h"
#include "ovs-ext/core/ext-headers.h"
#include "packets.h"
#include "unaligned.h"
#include "util.h"

BUILD_ASSERT_DECL(sizeof(struct sess_key)
                  == SESS_KEY_WORDS * sizeof(uint64_t));

/* PMD-THREAD CODE */

static void
sess_key_init_rest(struct sess_key *key, ovs_be16 sport, ovs_be16 dport,
                   uint8_t proto, uint16_t zone)
{
    key->sport = sport;
    key->dport = dport;
    key->zone = zone;
    key->proto = proto;
    key->zero = 0;
}

void
sess_key_init_ip4(struct sess_key *key, ovs_be32 src, ovs_be32 dst,
                  ovs_be16 sport, ovs_be16 dport, uint8_t proto,
                  uint16_t zone)
{
    in6_addr_set_mapped_ipv4(&key->src, src);
    in6_addr_set_mapped_ipv4(&key->dst, dst);
    sess_key_init_rest(key, sport, dport, proto, zone);
}

void
sess_key_init_ip6(struct sess_key *key, const struct in6_addr *src,
                  const struct in6_addr *dst, ovs_be16 sport, ovs_be16 dport,
                  uint8_t proto, uint16_t zone)
{
    memcpy(&key->src, src, sizeof key->src);
    memcpy(&key->dst, dst, sizeof key->dst);
    sess_key_init_rest(key, sport, dport, proto, zone);
}

/* The key of a packet that goes from client to service.  Returns false if it
 * has none: not IP, a fragment, or cut short. */
bool
sess_key_from_headers(struct sess_key *key, const struct ext_headers *h,
                      uint16_t zone)
{
    ovs_be16 ports[2] = { 0, 0 };

    if (h->fragment || (!h->ip4 && !h->ip6)) {
        return false;
    }
    if (h->nw_proto == IPPROTO_TCP || h->nw_proto == IPPROTO_UDP
        || h->nw_proto == IPPROTO_SCTP) {
        if (!h->l4) {
            return false;
        }
        memcpy(ports, h->l4, sizeof ports);
    }
    if (h->ip4) {
        sess_key_init_ip4(key, get_16aligned_be32(&h->ip4->ip_src),
                          get_16aligned_be32(&h->ip4->ip_dst), ports[0],
                          ports[1], h->nw_proto, zone);
    } else {
        memcpy(&key->src, &h->ip6->ip6_src, sizeof key->src);
        memcpy(&key->dst, &h->ip6->ip6_dst, sizeof key->dst);
        sess_key_init_rest(key, ports[0], ports[1], h->nw_proto, zone);
    }
    return true;
}

/* Of a packet the other way.  'to' may be 'from'. */
void
sess_key_reverse(struct sess_key *to, const struct sess_key *from)
{
    struct sess_key key = *from;

    to->src = key.dst;
    to->dst = key.src;
    sess_key_init_rest(to, key.dport, key.sport, key.proto, key.zone);
}

/* END PMD-THREAD CODE */

void
sess_key_format(struct ds *s, const struct sess_key *key)
{
    ds_put_format(s, "proto=%u,src=", key->proto);
    ipv6_format_mapped(&key->src, s);
    ds_put_cstr(s, ",dst=");
    ipv6_format_mapped(&key->dst, s);
    ds_put_format(s, ",sport=%u,dport=%u,zone=%u", ntohs(key->sport),
                  ntohs(key->dport), key->zone);
}
