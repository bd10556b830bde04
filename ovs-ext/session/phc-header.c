/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/session/phc-header.h"

#include <string.h>

#include "csum.h"
#include "util.h"

enum {
    TUNNEL_LEN = 8,             /* VXLAN, or Geneve without options. */
    VXLAN_VNI_FLAG = 0x08
};

static size_t
put_l2(const struct phc_tunnel *t, bool ip6, uint8_t *p)
{
    size_t ofs = 12;

    memcpy(p, &t->eth_dst, 6);
    memcpy(p + 6, &t->eth_src, 6);
    if (t->vlan) {
        phc_put16__(p + ofs, ETH_TYPE_VLAN_8021Q);
        phc_put16__(p + ofs + 2, t->vlan & VLAN_VID_MASK);
        ofs += VLAN_HEADER_LEN;
    }
    phc_put16__(p + ofs, ip6 ? ETH_TYPE_IPV6 : ETH_TYPE_IP);
    return ofs + 2;
}

static size_t
put_l3(const struct phc_tunnel *t, bool ip6, uint8_t *p)
{
    if (ip6) {
        p[0] = 0x60 | t->tos >> 4;
        p[1] = t->tos << 4;
        p[6] = IPPROTO_UDP;
        p[7] = t->ttl;
        memcpy(p + 8, &t->src, 16);
        memcpy(p + 24, &t->dst, 16);
        return IPV6_HEADER_LEN;
    }
    p[0] = 0x45;
    p[1] = t->tos;
    p[6] = t->df ? 0x40 : 0;
    p[8] = t->ttl;
    p[9] = IPPROTO_UDP;
    memcpy(p + 12, &t->src.s6_addr[12], 4);
    memcpy(p + 16, &t->dst.s6_addr[12], 4);

    ovs_be16 sum = csum(p, IP_HEADER_LEN);
    memcpy(p + 10, &sum, sizeof sum);
    return IP_HEADER_LEN;
}

/* Makes a template and its shape.  Returns its length, or 0 if 't' is not
 * possible: mixed address families, options for VXLAN or of a wrong length, a
 * VNI over 24 bits. */
size_t
phc_header_build(const struct phc_tunnel *t, uint8_t header[PHC_MAX_HEADER],
                 struct phc_shape *shape)
{
    bool ip6 = !IN6_IS_ADDR_V4MAPPED(&t->src);
    size_t ofs;

    if (ip6 != !IN6_IS_ADDR_V4MAPPED(&t->dst) || t->vni >> 24
        || t->n_options % 4 || t->n_options > PHC_MAX_OPTIONS
        || (t->encap == PHC_VXLAN && t->n_options)) {
        return 0;
    }
    memset(header, 0, PHC_MAX_HEADER);
    shape->l3_ofs = ofs = put_l2(t, ip6, header);
    shape->ip6 = ip6;
    shape->csum = t->csum;
    ofs += put_l3(t, ip6, header + ofs);
    memcpy(header + ofs + 2, &t->dport, sizeof t->dport);
    ofs += UDP_HEADER_LEN;

    uint8_t *p = header + ofs;
    if (t->encap == PHC_VXLAN) {
        p[0] = VXLAN_VNI_FLAG;
    } else {
        p[0] = t->n_options / 4;
        phc_put16__(p + 2, ETH_TYPE_TEB);
        memcpy(p + TUNNEL_LEN, t->options, t->n_options);
    }
    p[4] = t->vni >> 16;
    phc_put16__(p + 5, t->vni);
    shape->len = ofs + TUNNEL_LEN + t->n_options;
    return shape->len;
}

static uint16_t
get16(const uint8_t *p)
{
    return p[0] << 8 | p[1];
}

/* Takes the 'len' bytes at 'from', an outer header from elsewhere, as a
 * template.  Fields to patch may be anything; UDP checksums are wanted if its
 * checksum is not zero.  Stores the template, its shape and the address that
 * it leads to in 'dst'.  Returns false if it is not, to the byte, a header as
 * phc_header_build() makes them. */
bool
phc_header_take(const uint8_t *from, size_t len,
                uint8_t header[PHC_MAX_HEADER], struct phc_shape *shape,
                struct in6_addr *dst)
{
    struct phc_tunnel t = { .encap = PHC_VXLAN };
    size_t ofs = 12, l4;
    uint16_t type;

    if (len > PHC_MAX_HEADER || len < ETH_HEADER_LEN) {
        return false;
    }
    memcpy(&t.eth_dst, from, 6);
    memcpy(&t.eth_src, from + 6, 6);
    if (get16(from + ofs) == ETH_TYPE_VLAN_8021Q
        && len >= ETH_HEADER_LEN + VLAN_HEADER_LEN) {
        t.vlan = get16(from + ofs + 2);
        ofs += VLAN_HEADER_LEN;
    }
    type = get16(from + ofs);
    ofs += 2;
    const uint8_t *ip = from + ofs;
    l4 = ofs + (type == ETH_TYPE_IPV6 ? IPV6_HEADER_LEN : IP_HEADER_LEN);
    if (len < l4 + UDP_HEADER_LEN + TUNNEL_LEN) {
        return false;
    }
    if (type == ETH_TYPE_IPV6) {
        t.tos = ip[0] << 4 | ip[1] >> 4;
        t.ttl = ip[7];
        memcpy(&t.src, ip + 8, 16);
        memcpy(&t.dst, ip + 24, 16);
    } else {
        ovs_be32 addr;

        t.tos = ip[1];
        t.ttl = ip[8];
        t.df = ip[6] == 0x40;
        memcpy(&addr, ip + 12, sizeof addr);
        in6_addr_set_mapped_ipv4(&t.src, addr);
        memcpy(&addr, ip + 16, sizeof addr);
        in6_addr_set_mapped_ipv4(&t.dst, addr);
    }
    const uint8_t *udp = from + l4, *tunnel = udp + UDP_HEADER_LEN;
    memcpy(&t.dport, udp + 2, sizeof t.dport);
    t.csum = get16(udp + 6) != 0;
    t.vni = tunnel[4] << 16 | get16(tunnel + 5);
    t.n_options = len - (l4 + UDP_HEADER_LEN + TUNNEL_LEN);
    if (tunnel[0] != VXLAN_VNI_FLAG || get16(tunnel + 2)) {
        t.encap = PHC_GENEVE;
    }
    if (t.n_options > PHC_MAX_OPTIONS) {
        return false;
    }
    memcpy(t.options, tunnel + TUNNEL_LEN, t.n_options);

    /* What was understood must say all there is. */
    if (phc_header_build(&t, header, shape) != len) {
        return false;
    }
    uint8_t copy[PHC_MAX_HEADER];
    memcpy(copy, from, len);
    if (!shape->ip6) {
        memcpy(copy + ofs + 2, header + ofs + 2, 4);
        memcpy(copy + ofs + 10, header + ofs + 10, 2);
    } else {
        memcpy(copy + ofs + 4, header + ofs + 4, 2);
    }
    memcpy(copy + l4, header + l4, 2);
    memcpy(copy + l4 + 4, header + l4 + 4, 4);
    *dst = t.dst;
    return !memcmp(copy, header, len);
}

/* Makes a template a header as phc_header_take() takes it, and OVS's tnl_push:
 * with a checksum that is not zero if there is to be one. */
void
phc_header_finish(uint8_t *header, const struct phc_shape *shape)
{
    uint8_t *l4 = (header + shape->l3_ofs
                   + (shape->ip6 ? IPV6_HEADER_LEN : IP_HEADER_LEN));

    phc_put16__(l4 + 6, shape->csum ? UINT16_MAX : 0);
}

/* PMD-THREAD CODE */

/* Sets the UDP checksum of 'header', otherwise complete, which is followed by
 * 'payload_len' bytes of payload. */
void
phc_header_udp_csum(uint8_t *header, const struct phc_shape *shape,
                    size_t payload_len)
{
    uint8_t *l3 = header + shape->l3_ofs;
    uint8_t *l4 = l3 + (shape->ip6 ? IPV6_HEADER_LEN : IP_HEADER_LEN);
    size_t len = shape->len - (l4 - header) + payload_len;
    uint8_t *addresses = l3 + (shape->ip6 ? 8 : 12);
    size_t n = shape->ip6 ? 32 : 8;
    uint32_t partial;
    ovs_be16 sum;

    phc_put16__(l4 + 6, 0);
    partial = csum_continue(0, addresses, n);
    partial = csum_add16(partial, htons(IPPROTO_UDP));
    partial = csum_add16(partial, htons(len));
    partial = csum_continue(partial, l4, len);
    sum = csum_finish(partial);
    if (!sum) {
        sum = OVS_BE16_MAX;
    }
    memcpy(l4 + 6, &sum, sizeof sum);
}

/* END PMD-THREAD CODE */
