/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* What steering reads of a packet before it is classified. */

#include <config.h>

#include "datapath-hooks/steering/steer-dp.h"

#include "flow.h"
#include "ovs-ext/core/ext-headers.h"
#include "packets.h"

/* PMD-THREAD CODE */

/* Returns the RSS hash of 'packet'.  If the device gave none, computes one
 * over addresses, protocol and ports (over addresses and protocol for every
 * fragment, so that fragments stay with each other) and stores it into the
 * packet, where OVS would otherwise have to compute its own. */
uint32_t
steer_packet_hash(struct dp_packet *packet)
{
    struct ext_headers h;
    uint32_t hash;

    if (dp_packet_rss_valid(packet)) {
        return dp_packet_get_rss_hash(packet);
    }
    ext_headers_parse(dp_packet_data(packet), dp_packet_size(packet), &h);
    hash = ext_headers_hash(&h, dp_packet_data(packet),
                            dp_packet_size(packet));
    if (h.ip4 || h.ip6) {
        dp_packet_set_rss_hash(packet, hash);
    }
    return hash;
}

/* Returns true if a datapath flow for 'flow' with 'mask' matches one 5-tuple
 * only. */
bool
steer_flow_is_exact(const struct flow *flow, const struct flow *mask)
{
    if (mask->tp_src != OVS_BE16_MAX || mask->tp_dst != OVS_BE16_MAX) {
        return false;
    }
    return (flow->dl_type == htons(ETH_TYPE_IP)
            ? (mask->nw_src == OVS_BE32_MAX && mask->nw_dst == OVS_BE32_MAX)
            : (ipv6_mask_is_exact(&mask->ipv6_src)
               && ipv6_mask_is_exact(&mask->ipv6_dst)));
}

/* Adds the features of 'packet' to 'f'. */
void
steer_packet_sample(struct steer_features *f, const struct dp_packet *packet)
{
    struct ext_headers h;

    ext_headers_parse(dp_packet_data(packet), dp_packet_size(packet), &h);
    steer_ctr64_add(&f->samples, 1);
    if (h.vlan) {
        steer_ctr64_add(&f->vlan, 1);
        atomic_store_relaxed(&f->last_vlan, (uint32_t) h.vlan);
    }
    if (h.ip4 || h.ip6) {
        steer_ctr64_add(&f->dscp[h.nw_tos >> 5], 1);
    }
    if (!ext_headers_have_ports(&h)) {
        return;
    }
    if (h.nw_proto == IPPROTO_TCP && h.l4_len >= TCP_HEADER_LEN) {
        uint8_t flags = h.l4[13];

        steer_ctr64_add(&f->tcp_syn, (flags & TCP_SYN) != 0);
        steer_ctr64_add(&f->tcp_fin_rst, (flags & (TCP_FIN | TCP_RST)) != 0);
    } else if (h.nw_proto == IPPROTO_UDP && h.l4_len >= 16) {
        uint16_t dst = h.l4[2] << 8 | h.l4[3];

        if (dst == 4789 || dst == 6081) {   /* VXLAN, Geneve: VNI at 4. */
            steer_ctr64_add(&f->tunnel, 1);
            atomic_store_relaxed(&f->last_vni,
                                 (uint32_t) (h.l4[12] << 16 | h.l4[13] << 8
                                             | h.l4[14]));
        }
    }
}

/* END PMD-THREAD CODE */
