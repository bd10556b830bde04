/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/core/ext-headers.h"

#include <netinet/in.h>
#include <netinet/ip6.h>
#include <string.h>

#include "hash.h"
#include "packets.h"
#include "unaligned.h"

enum { EXT_MAX_IP6_HEADERS = 8 };   /* Extension headers looked past. */

/* PMD-THREAD CODE */

static ovs_be16
ext_get_be16(const uint8_t *p)
{
    return get_unaligned_be16(ALIGNED_CAST(const ovs_be16 *, p));
}

static void
ext_headers_l4(struct ext_headers *h, const uint8_t *p, size_t len)
{
    if (len >= 8) {
        h->l4 = p;
        h->l4_len = len;
    }
}

static void
ext_headers_ip4(struct ext_headers *h, const uint8_t *p, size_t len)
{
    const struct ip_header *ip = (const void *) p;
    size_t ip_len;

    if (len < IP_HEADER_LEN) {
        return;
    }
    ip_len = IP_IHL(ip->ip_ihl_ver) * 4;
    if (ip_len < IP_HEADER_LEN) {
        return;
    }
    h->ip4 = ip;
    h->nw_proto = ip->ip_proto;
    h->nw_tos = ip->ip_tos;
    h->fragment = IP_IS_FRAGMENT(ip->ip_frag_off);
    if (len >= ip_len) {
        ext_headers_l4(h, p + ip_len, len - ip_len);
    }
}

static void
ext_headers_ip6(struct ext_headers *h, const uint8_t *p, size_t len)
{
    const struct ovs_16aligned_ip6_hdr *ip6 = (const void *) p;

    if (len < IPV6_HEADER_LEN) {
        return;
    }
    h->ip6 = ip6;
    h->nw_proto = ip6->ip6_nxt;
    h->nw_tos = ntohl(get_16aligned_be32(&ip6->ip6_flow)) >> 20;
    p += IPV6_HEADER_LEN;
    len -= IPV6_HEADER_LEN;
    for (int i = 0; i < EXT_MAX_IP6_HEADERS && len >= 8; i++) {
        size_t ext_len;

        switch (h->nw_proto) {
        case IPPROTO_HOPOPTS:
        case IPPROTO_ROUTING:
        case IPPROTO_DSTOPTS:
            ext_len = (p[1] + 1) * 8;
            break;
        case IPPROTO_AH:
            ext_len = (p[1] + 2) * 4;
            break;
        case IPPROTO_FRAGMENT:
            h->fragment = true;
            ext_len = 8;
            break;
        default:
            ext_headers_l4(h, p, len);
            return;
        }
        if (len < ext_len) {
            return;
        }
        h->nw_proto = p[0];
        p += ext_len;
        len -= ext_len;
    }
}

/* Finds the outermost headers of the 'len' bytes of 'frame'. */
void
ext_headers_parse(const void *frame, size_t len, struct ext_headers *h)
{
    const uint8_t *p = frame;

    memset(h, 0, sizeof *h);
    if (len < ETH_HEADER_LEN) {
        return;
    }
    h->eth_type = ext_get_be16(p + 12);
    p += ETH_HEADER_LEN;
    len -= ETH_HEADER_LEN;
    for (int i = 0; i < 2 && eth_type_vlan(h->eth_type); i++) {
        if (len < VLAN_HEADER_LEN) {
            return;
        }
        if (!i) {
            h->vlan = vlan_tci_to_vid(ext_get_be16(p));
        }
        h->eth_type = ext_get_be16(p + 2);
        p += VLAN_HEADER_LEN;
        len -= VLAN_HEADER_LEN;
    }

    if (h->eth_type == htons(ETH_TYPE_IP)) {
        ext_headers_ip4(h, p, len);
    } else if (h->eth_type == htons(ETH_TYPE_IPV6)) {
        ext_headers_ip6(h, p, len);
    }
}

/* Returns true if 'h->l4' begins with two ports. */
bool
ext_headers_have_ports(const struct ext_headers *h)
{
    return h->l4 && !h->fragment && (h->nw_proto == IPPROTO_TCP
                                     || h->nw_proto == IPPROTO_UDP
                                     || h->nw_proto == IPPROTO_SCTP);
}

static uint32_t
ext_hash_words(uint32_t hash, const void *p_, size_t n)
{
    const ovs_16aligned_be32 *p = p_;

    for (size_t i = 0; i < n; i++) {
        hash = hash_add(hash, (OVS_FORCE uint32_t) get_16aligned_be32(&p[i]));
    }
    return hash;
}

/* Returns a hash over addresses, protocol and ports of the frame that 'h' was
 * parsed from (over addresses and protocol for every fragment, so that
 * fragments stay with each other; over Ethernet addresses and type for what is
 * not IP): what stands in for RSS where the device computes none. */
uint32_t
ext_headers_hash(const struct ext_headers *h, const void *frame, size_t len)
{
    uint32_t hash = 0;

    if (h->ip4) {
        hash = ext_hash_words(h->nw_proto, &h->ip4->ip_src, 2);
    } else if (h->ip6) {
        hash = ext_hash_words(h->nw_proto, &h->ip6->ip6_src, 8);
    } else if (len >= ETH_HEADER_LEN) {
        hash = ext_hash_words((OVS_FORCE uint32_t) h->eth_type, frame, 3);
    }
    if (ext_headers_have_ports(h)) {
        hash = ext_hash_words(hash, h->l4, 1);
    }
    return hash_finish(hash, 36);
}

/* END PMD-THREAD CODE */
