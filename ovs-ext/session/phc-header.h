/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef PHC_HEADER_H
#define PHC_HEADER_H 1

/* Outer headers
 * =============
 *
 * A template is a whole outer header, Ethernet to VXLAN or Geneve, with the
 * fields that differ from packet to packet zero:
 *
 *     IPv4 total length, identification, header checksum
 *     IPv6 payload length
 *     UDP source port (from the hash of the inner flow), length, checksum
 *
 * phc_header_build() makes one from what routing says, phc_header_check()
 * takes one from elsewhere (a file, OVS's tnl_push data) and refuses what is
 * not exactly such a header.  phc_header_patch() completes a copy.
 *
 * The UDP checksum is 0 unless the template says otherwise (RFC 7348, 8926;
 * for IPv6 RFC 6935).  Where it says so, patching reads the whole packet.
 *
 * Pure; anything here may be called in any thread. */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "openvswitch/types.h"
#include "packets.h"

enum {
    PHC_MAX_HEADER = 114,       /* Bytes: IPv6 with 44 of Geneve options. */
    PHC_MAX_OPTIONS = 40,       /* Bytes of Geneve options. */
    PHC_PORT_MIN = 32768,       /* UDP source ports, those of OVS. */
    PHC_PORT_MAX = 61000
};

enum phc_encap {
    PHC_VXLAN,
    PHC_GENEVE
};

/* What a template says, for phc_header_build(). */
struct phc_tunnel {
    enum phc_encap encap;
    struct eth_addr eth_src, eth_dst;
    uint16_t vlan;              /* VID of an 802.1Q tag, 0: none. */
    struct in6_addr src, dst;   /* Both IPv4-mapped, or both not. */
    uint8_t tos, ttl;
    bool df;                    /* IPv4: may not be fragmented. */
    bool csum;                  /* UDP checksum. */
    ovs_be16 dport;
    uint32_t vni;               /* 24 bits. */
    size_t n_options;           /* Bytes of Geneve options, multiple of 4. */
    uint8_t options[PHC_MAX_OPTIONS];
};

/* What patching needs to know of a template: 'ofs' is that of the IP header.
 * One byte each, as they are kept beside it. */
struct phc_shape {
    uint8_t len;                /* Of the whole header. */
    uint8_t l3_ofs;             /* 14 or 18. */
    bool ip6;
    bool csum;
};

/* What differs from packet to packet. */
struct phc_patch {
    uint32_t flow_hash;         /* Of the inner flow: the UDP source port. */
    uint16_t ip_id;             /* Where fragmentation is allowed. */
};

size_t phc_header_build(const struct phc_tunnel *,
                        uint8_t header[PHC_MAX_HEADER], struct phc_shape *);
bool phc_header_take(const uint8_t *from, size_t len,
                     uint8_t header[PHC_MAX_HEADER], struct phc_shape *,
                     struct in6_addr *dst);
void phc_header_finish(uint8_t *header, const struct phc_shape *);
void phc_header_udp_csum(uint8_t *header, const struct phc_shape *,
                         size_t payload_len);

/* PMD-THREAD CODE */

static inline void
phc_put16__(uint8_t *p, uint16_t x)
{
    p[0] = x >> 8;
    p[1] = x;
}

/* The UDP source port for a flow. */
static inline uint16_t
phc_header_sport(uint32_t flow_hash)
{
    return (((uint64_t) flow_hash * (PHC_PORT_MAX - PHC_PORT_MIN)) >> 32)
           + PHC_PORT_MIN;
}

/* Completes 'header', a copy of a template of shape 'shape' in front of
 * 'payload_len' bytes.  The copy's IPv4 checksum is that of a header with
 * length and identification 0. */
static inline void
phc_header_patch(uint8_t *header, const struct phc_shape *shape,
                 size_t payload_len, const struct phc_patch *patch)
{
    uint8_t *l3 = header + shape->l3_ofs;
    uint8_t *l4 = l3 + (shape->ip6 ? IPV6_HEADER_LEN : IP_HEADER_LEN);
    uint16_t udp_len = shape->len - (l4 - header) + payload_len;

    if (!shape->ip6) {
        uint16_t tot_len = udp_len + IP_HEADER_LEN;
        uint16_t base = ~(l3[10] << 8 | l3[11]);
        uint32_t sum = (uint32_t) base + tot_len + patch->ip_id;

        sum = (sum & 0xffff) + (sum >> 16);
        sum = ~((sum & 0xffff) + (sum >> 16));
        phc_put16__(l3 + 2, tot_len);
        phc_put16__(l3 + 4, patch->ip_id);
        phc_put16__(l3 + 10, sum);
    } else {
        phc_put16__(l3 + 4, udp_len);
    }
    phc_put16__(l4, phc_header_sport(patch->flow_hash));
    phc_put16__(l4 + 4, udp_len);
    if (OVS_UNLIKELY(shape->csum)) {
        phc_header_udp_csum(header, shape, payload_len);
    }
}

/* END PMD-THREAD CODE */

#endif /* phc-header.h */
