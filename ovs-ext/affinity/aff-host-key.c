/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/affinity/aff-host-key.h"

#include <stdio.h>
#include <string.h>

#include "flow.h"
#include "hash.h"
#include "packets.h"
#include "util.h"

static bool
parse_id(const char *name, const char *prefix, unsigned int max, uint32_t *id)
{
    size_t len = strlen(prefix);
    unsigned int value;

    if (strncmp(name, prefix, len) || !str_to_uint(name + len, 10, &value)
        || value > max) {
        return false;
    }
    *id = value;
    return true;
}

bool
aff_host_key_make(struct aff_host_key *key, const char *network,
                  enum tp_class class)
{
    memset(key, 0, sizeof *key);
    key->class = class;
    if (!strcmp(network, "untagged")) {
        key->net = AFF_NET_UNTAGGED;
        return true;
    } else if (parse_id(network, "vlan:", 4094, &key->id)) {
        key->net = AFF_NET_VLAN;
        return true;
    } else if (parse_id(network, "vni:", 0xffffff, &key->id)) {
        key->net = AFF_NET_VNI;
        return true;
    }
    return false;
}

bool
aff_host_flow_is_ip(const struct flow *flow)
{
    return (flow->packet_type == htonl(PT_ETH)
            && (flow->dl_type == htons(ETH_TYPE_IP)
                || flow->dl_type == htons(ETH_TYPE_IPV6)));
}

void
aff_host_key_of_flow(struct aff_host_key *key, const struct flow *flow)
{
    memset(key, 0, sizeof *key);
    key->class = (aff_host_flow_is_ip(flow)
                  ? tp_class_from_nw_proto(flow->nw_proto) : TP_OTHER);
    if (flow_tnl_dst_is_set(&flow->tunnel)) {
        key->net = AFF_NET_VNI;
        key->id = ntohll(flow->tunnel.tun_id) & 0xffffff;
    } else if (vlan_tci_to_vid(flow->vlans[0].tci)) {
        key->net = AFF_NET_VLAN;
        key->id = vlan_tci_to_vid(flow->vlans[0].tci);
    }
}

bool
aff_host_key_of_match(struct aff_host_key *key, const struct flow *flow,
                      const struct flow_wildcards *wc)
{
    const ovs_be16 vid = htons(VLAN_VID_MASK);

    aff_host_key_of_flow(key, flow);
    if (key->net == AFF_NET_VNI) {
        if (~ntohll(wc->masks.tunnel.tun_id) & 0xffffff) {
            return false;
        }
    } else if ((wc->masks.vlans[0].tci & vid) != vid) {
        return false;
    }
    return (wc->masks.dl_type == OVS_BE16_MAX
            && (wc->masks.nw_proto == UINT8_MAX
                || !aff_host_flow_is_ip(flow)));
}

void
aff_host_key_network(const struct aff_host_key *key,
                     char name[TP_NETWORK_LEN])
{
    if (key->net == AFF_NET_UNTAGGED) {
        snprintf(name, TP_NETWORK_LEN, "untagged");
    } else {
        snprintf(name, TP_NETWORK_LEN, "%s:%u",
                 key->net == AFF_NET_VLAN ? "vlan" : "vni",
                 (unsigned int) key->id);
    }
}

uint32_t
aff_host_key_hash(const struct aff_host_key *key)
{
    uint32_t hash = hash_3words(key->net, key->class, key->id);

    return hash ? hash : 1;
}

bool
aff_host_key_equal(const struct aff_host_key *a, const struct aff_host_key *b)
{
    return a->net == b->net && a->class == b->class && a->id == b->id;
}
