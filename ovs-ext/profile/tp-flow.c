/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/profile/tp-flow.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip6.h>
#include <stdio.h>
#include <string.h>

#include "openvswitch/dynamic-string.h"
#include "ovs-ext/core/ext-headers.h"
#include "packets.h"
#include "util.h"

BUILD_ASSERT_DECL(sizeof(struct tp_flow) == TP_FLOW_WORDS * sizeof(uint64_t));

/* PMD-THREAD CODE */

static uint16_t
tp_get16(const uint8_t *p)
{
    return p[0] << 8 | p[1];
}

/* Returns true if 'h' are the outer headers of a tunnel of Ethernet frames.
 * Stores where the inner frame begins, which is within the packet, in
 * '*offset' (from 'h->l4') and the network identifier in '*vni'. */
static bool
tp_tunnel_parse(const struct ext_headers *h, size_t *offset, uint32_t *vni)
{
    enum { UDP = UDP_HEADER_LEN, TUNNEL = 8 };
    const uint8_t *p = h->l4;

    if (h->nw_proto != IPPROTO_UDP || !ext_headers_have_ports(h)
        || h->l4_len < UDP + TUNNEL) {
        return false;
    }
    *offset = UDP + TUNNEL;
    *vni = p[UDP + 4] << 16 | p[UDP + 5] << 8 | p[UDP + 6];
    switch (tp_get16(p + 2)) {
    case TP_PORT_VXLAN:
        return (p[UDP] & 0x08) != 0;        /* The VNI is valid. */
    case TP_PORT_GENEVE:
        *offset += (p[UDP] & 0x3f) * 4;     /* Options. */
        return (!(p[UDP] & 0xc0)            /* Version 0. */
                && tp_get16(p + UDP + 2) == ETH_TYPE_TEB
                && *offset <= h->l4_len);
    default:
        return false;
    }
}

/* Finds which flow the 'len' bytes of 'frame', whatever they are, are
 * of. */
void
tp_flow_parse(const void *frame, size_t len, struct tp_flow *flow)
{
    const uint8_t *p = frame;
    struct ext_headers h;
    uint32_t vni;
    size_t offset;

    memset(flow, 0, sizeof *flow);
    ext_headers_parse(p, len, &h);
    if (tp_tunnel_parse(&h, &offset, &vni)) {
        flow->net_kind = TP_NET_VNI;
        flow->net_id = vni;
        p = h.l4 + offset;
        len = h.l4_len - offset;
        ext_headers_parse(p, len, &h);
    } else if (h.vlan) {
        flow->net_kind = TP_NET_VLAN;
        flow->net_id = h.vlan;
    }

    if (h.ip4) {
        flow->family = TP_IPV4;
        memcpy(flow->src, &h.ip4->ip_src, 4);
        memcpy(flow->dst, &h.ip4->ip_dst, 4);
    } else if (h.ip6) {
        flow->family = TP_IPV6;
        memcpy(flow->src, &h.ip6->ip6_src, 16);
        memcpy(flow->dst, &h.ip6->ip6_dst, 16);
    } else {
        flow->family = TP_ETHERNET;
        if (len >= ETH_HEADER_LEN) {
            memcpy(flow->dst, p, ETH_ADDR_LEN);
            memcpy(flow->src, p + ETH_ADDR_LEN, ETH_ADDR_LEN);
        }
    }
    flow->nw_proto = h.nw_proto;
    if (ext_headers_have_ports(&h)) {
        memcpy(&flow->tp_src, h.l4, 2);
        memcpy(&flow->tp_dst, h.l4 + 2, 2);
    }
}

/* END PMD-THREAD CODE */

/* Writes the name of the network, as it is in the database. */
void
tp_network_format(const struct tp_network *network,
                  char name[TP_NETWORK_LEN])
{
    switch (network->kind) {
    case TP_NET_VLAN:
        snprintf(name, TP_NETWORK_LEN, "vlan:%"PRIu32, network->id);
        break;
    case TP_NET_VNI:
        snprintf(name, TP_NETWORK_LEN, "vni:%"PRIu32, network->id);
        break;
    case TP_NET_OTHER:
        ovs_strlcpy(name, TP_NETWORK_OTHER, TP_NETWORK_LEN);
        break;
    case TP_NET_UNTAGGED:
    default:
        ovs_strlcpy(name, "untagged", TP_NETWORK_LEN);
        break;
    }
}

/* Writes an address as text. */
void
tp_address_format(enum tp_family family, const uint8_t address[16],
                  char name[TP_ADDRESS_LEN])
{
    switch (family) {
    case TP_IPV4:
        inet_ntop(AF_INET, address, name, TP_ADDRESS_LEN);
        break;
    case TP_IPV6:
        inet_ntop(AF_INET6, address, name, TP_ADDRESS_LEN);
        break;
    case TP_ETHERNET:
    default:
        snprintf(name, TP_ADDRESS_LEN, "%02x:%02x:%02x:%02x:%02x:%02x",
                 address[0], address[1], address[2], address[3], address[4],
                 address[5]);
        break;
    }
}

/* Appends 'flow' in one line, without its network. */
void
tp_flow_format(const struct tp_flow *flow, struct ds *ds)
{
    char src[TP_ADDRESS_LEN], dst[TP_ADDRESS_LEN];

    tp_address_format(flow->family, flow->src, src);
    tp_address_format(flow->family, flow->dst, dst);
    ds_put_cstr(ds, tp_class_to_string(tp_flow_class(flow)));
    if (flow->tp_src || flow->tp_dst) {
        bool brackets = flow->family == TP_IPV6;

        ds_put_format(ds, brackets ? " [%s]:%u > [%s]:%u" : " %s:%u > %s:%u",
                      src, ntohs(flow->tp_src), dst, ntohs(flow->tp_dst));
    } else {
        ds_put_format(ds, " %s > %s", src, dst);
    }
}
