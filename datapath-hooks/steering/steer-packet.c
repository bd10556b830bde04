/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* What steering reads of a packet before it is classified. */

#include <config.h>

#include "datapath-hooks/steering/steer-dp.h"

#include "flow.h"
#include "hash.h"
#include "packets.h"
#include "unaligned.h"

/* PMD-THREAD CODE */

/* Outermost headers of a packet. */
struct steer_headers {
    ovs_be16 eth_type;
    uint16_t vlan;              /* VID, 0 if untagged. */
    const struct ip_header *ip4;
    const struct ovs_16aligned_ip6_hdr *ip6;
    uint8_t nw_proto;
    uint8_t nw_tos;
    bool later_frag;            /* No transport header of its own. */
    const uint8_t *l4;          /* At least 8 bytes, or null. */
    size_t l4_len;
};

/* Finds the outermost headers of 'packet' within its bounds. */
static void
steer_packet_parse(const struct dp_packet *packet, struct steer_headers *h)
{
    const uint8_t *p = dp_packet_data(packet);
    size_t len = dp_packet_size(packet);

    memset(h, 0, sizeof *h);
    if (len < ETH_HEADER_LEN) {
        return;
    }
    h->eth_type = get_unaligned_be16(ALIGNED_CAST(const ovs_be16 *, p + 12));
    p += ETH_HEADER_LEN;
    len -= ETH_HEADER_LEN;
    for (int i = 0; i < 2 && eth_type_vlan(h->eth_type); i++) {
        if (len < VLAN_HEADER_LEN) {
            return;
        }
        if (!i) {
            h->vlan = vlan_tci_to_vid(
                get_unaligned_be16(ALIGNED_CAST(const ovs_be16 *, p)));
        }
        h->eth_type = get_unaligned_be16(
            ALIGNED_CAST(const ovs_be16 *, p + 2));
        p += VLAN_HEADER_LEN;
        len -= VLAN_HEADER_LEN;
    }

    if (h->eth_type == htons(ETH_TYPE_IP) && len >= IP_HEADER_LEN) {
        const struct ip_header *ip = (const void *) p;
        size_t ip_len = IP_IHL(ip->ip_ihl_ver) * 4;

        if (ip_len < IP_HEADER_LEN) {
            return;
        }
        h->ip4 = ip;
        h->nw_proto = ip->ip_proto;
        h->nw_tos = ip->ip_tos;
        h->later_frag = IP_IS_FRAGMENT(ip->ip_frag_off);
        if (len >= ip_len + 8) {
            h->l4 = p + ip_len;
            h->l4_len = len - ip_len;
        }
    } else if (h->eth_type == htons(ETH_TYPE_IPV6) && len >= IPV6_HEADER_LEN) {
        const struct ovs_16aligned_ip6_hdr *ip6 = (const void *) p;

        h->ip6 = ip6;
        h->nw_proto = ip6->ip6_nxt;
        h->nw_tos = ntohl(get_16aligned_be32(&ip6->ip6_flow)) >> 20;
        if (len >= IPV6_HEADER_LEN + 8) {
            h->l4 = p + IPV6_HEADER_LEN;
            h->l4_len = len - IPV6_HEADER_LEN;
        }
    }
}

static bool
steer_headers_have_ports(const struct steer_headers *h)
{
    return h->l4 && !h->later_frag && (h->nw_proto == IPPROTO_TCP
                                       || h->nw_proto == IPPROTO_UDP
                                       || h->nw_proto == IPPROTO_SCTP);
}

static uint32_t
steer_hash_words(uint32_t hash, const void *p_, size_t n)
{
    const ovs_16aligned_be32 *p = p_;

    for (size_t i = 0; i < n; i++) {
        hash = hash_add(hash, (OVS_FORCE uint32_t) get_16aligned_be32(&p[i]));
    }
    return hash;
}

/* Returns the RSS hash of 'packet'.  If the device gave none, computes one
 * over addresses, protocol and ports (over addresses and protocol for every
 * fragment, so that fragments stay with each other) and stores it into the
 * packet, where OVS would otherwise have to compute its own. */
uint32_t
steer_packet_hash(struct dp_packet *packet)
{
    struct steer_headers h;
    uint32_t hash = 0;

    if (dp_packet_rss_valid(packet)) {
        return dp_packet_get_rss_hash(packet);
    }
    steer_packet_parse(packet, &h);
    if (h.ip4) {
        hash = steer_hash_words(h.nw_proto, &h.ip4->ip_src, 2);
    } else if (h.ip6) {
        hash = steer_hash_words(h.nw_proto, &h.ip6->ip6_src, 8);
    } else if (dp_packet_size(packet) >= ETH_HEADER_LEN) {
        hash = steer_hash_words((OVS_FORCE uint32_t) h.eth_type,
                                dp_packet_data(packet), 3);
    }
    if (steer_headers_have_ports(&h)) {
        hash = steer_hash_words(hash, h.l4, 1);
    }
    hash = hash_finish(hash, 36);
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
    struct steer_headers h;

    steer_packet_parse(packet, &h);
    steer_ctr64_add(&f->samples, 1);
    if (h.vlan) {
        steer_ctr64_add(&f->vlan, 1);
        atomic_store_relaxed(&f->last_vlan, (uint32_t) h.vlan);
    }
    if (h.ip4 || h.ip6) {
        steer_ctr64_add(&f->dscp[h.nw_tos >> 5], 1);
    }
    if (!steer_headers_have_ports(&h)) {
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
