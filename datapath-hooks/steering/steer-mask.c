/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* One mask for one flow, wherever it is put.
 *
 * A miss installs a flow with the mask that translation made.  The same flow
 * put through the dpif interface has gone through Netlink attributes, which
 * cannot express every mask: bits of a VLAN tag that is not there, or of a
 * fragment type, come back others.  The two mean the same, but a classifier
 * makes them two subtables, and every packet may have to look in both.  So
 * while steering is on, a miss gets the mask that Netlink would give it, and
 * flows that move with their bucket share the subtables of those that do not. */

#include <config.h>

#include "datapath-hooks/steering/steer-dp.h"

#include "flow.h"
#include "odp-util.h"
#include "openvswitch/ofpbuf.h"

/* PMD-THREAD CODE */

/* Replaces the masks of 'wc', for 'flow', by what they are after a way through
 * Netlink attributes and back, as dpif-netdev goes it for a flow that is put.
 * Part of a miss, which costs some 20 us besides. */
void
steer_mask_canonicalize(const struct flow *flow, struct flow_wildcards *wc)
{
    struct odp_flow_key_parms parms = {
        .flow = flow,
        .mask = &wc->masks,
        .support = {
            .max_vlan_headers = SIZE_MAX,
            .max_mpls_depth = SIZE_MAX,
            .recirc = true,
            .ct_state = true,
            .ct_zone = true,
            .ct_mark = true,
            .ct_label = true,
            .ct_state_nat = true,
            .ct_orig_tuple = true,
            .ct_orig_tuple6 = true,
        },
    };
    uint64_t key_stub[1024 / 8], mask_stub[1024 / 8];
    struct ofpbuf key, mask;
    struct flow_wildcards put;

    ofpbuf_use_stub(&key, key_stub, sizeof key_stub);
    ofpbuf_use_stub(&mask, mask_stub, sizeof mask_stub);
    odp_flow_key_from_flow(&parms, &key);
    parms.key_buf = &key;
    odp_flow_key_from_mask(&parms, &mask);
    if (!odp_flow_key_to_mask(mask.data, mask.size, &put, flow, NULL)
        && put.masks.in_port.odp_port == ODPP_NONE) {
        if (!put.masks.vlans[0].tci) {
            /* No tag is matched on exactly, as dpif-netdev does. */
            put.masks.vlans[0].tci = htons(VLAN_VID_MASK | VLAN_CFI);
        }
        *wc = put;
    }
    ofpbuf_uninit(&key);
    ofpbuf_uninit(&mask);
}

/* END PMD-THREAD CODE */
