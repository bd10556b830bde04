/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* What a bridge makes of packets where they come in.
 *
 * Sessions take packets from ofproto before it has seen them, so they have to
 * ask whether it would have any: a bridge drops what comes in at the standby
 * member of a bond, at a port that spanning tree has blocked, that is not to
 * receive or is kept for a mirror, and frames of VLANs that are not the
 * port's.  Another port may have the same packet.  ofproto is asked as for any
 * packet, with the action NORMAL in the place of OpenFlow rules.
 *
 * And a bridge learns where addresses are.  If it does not see those of
 * clients or their gateway any more, it forgets them, and floods all that
 * backends answer.  So it is told, with each miss, if OpenFlow rules would have
 * had it learn; and there are misses again and again, as often as need be. */

#include <config.h>

#include "datapath-hooks/session/session-dp-impl.h"

#include <string.h>

#include "hash.h"
#include "mac-learning.h"
#include "netlink.h"
#include "odp-netlink.h"
#include "ofproto/ofproto-dpif.h"
#include "ofproto/ofproto-dpif-xlate.h"
#include "ofproto/ofproto-dpif-xlate-cache.h"
#include "openvswitch/ofp-actions.h"
#include "openvswitch/ofpbuf.h"
#include "packets.h"
#include "util.h"

/* Has 'ofproto' translate 'flow' from 'in_port', with its own rules if
 * 'ofpacts' is null, and without effect but for '*cache', where it notes what
 * effect there would be. */
static bool
translate(struct ofproto_dpif *ofproto, ofp_port_t in_port,
          const struct flow *flow, const struct ofpbuf *ofpacts,
          struct ofpbuf *acts, struct xlate_cache *cache)
{
    struct flow_wildcards wc;
    enum xlate_error error;
    struct xlate_out xout;
    struct xlate_in xin;

    xlate_in_init(&xin, ofproto, ofproto_dpif_get_tables_version(ofproto),
                  flow, in_port, NULL, 0, NULL, &wc, acts);
    if (ofpacts) {
        xin.ofpacts = ofpacts->data;
        xin.ofpacts_len = ofpacts->size;
    }
    xin.xcache = cache;
    error = xlate_actions(&xin, &xout);
    xlate_out_uninit(&xout);
    return !error;
}

/* Whether a bridge would forward a packet by its addresses, which it does
 * after all that it asks of its port.  If 'learn', has all bridges that would
 * learn from it where it comes from. */
static bool
has_normal(const struct xlate_cache *cache, bool learn)
{
    struct ofpbuf entries = cache->entries;
    struct xc_entry *entry;
    bool found = false;

    XC_ENTRY_FOR_EACH (entry, &entries) {
        if (entry->type == XC_NORMAL) {
            found = true;
            if (learn) {
                xlate_mac_learning_update(entry->normal.ofproto,
                                          entry->normal.in_port,
                                          entry->normal.dl_src,
                                          entry->normal.vlan, false);
            }
        }
    }
    return found;
}

/* Whether packets like 'flow' from 'in_port' of 'ofproto' are let in.  That is
 * a matter of the port and of the VLAN tag, not of the packet. */
bool
session_admits(struct ofproto_dpif *ofproto, ofp_port_t in_port,
               const struct flow *flow)
{
    uint64_t acts_stub[1024 / 8], ofpacts_stub[128 / 8];
    struct ofpact_conntrack *ct;
    struct xlate_cache cache;
    struct ofpbuf acts, ofpacts;
    struct flow any = *flow;
    bool admitted;

    /* An address that has not moved, so it does not seem to have come around,
     * and one that is likely to be known, so there is no flood. */
    any.dl_dst = flow->dl_src;
    any.dl_src = eth_addr_zero;
    any.nw_tos = 0;
    any.tunnel.ip_tos = 0;

    /* From a port that is to learn but not to forward yet, ofproto translates
     * everything and then drops the actions: so have one that is there
     * whatever the others are. */
    ofpbuf_use_stub(&acts, acts_stub, sizeof acts_stub);
    ofpbuf_use_stub(&ofpacts, ofpacts_stub, sizeof ofpacts_stub);
    ct = ofpact_put_CT(&ofpacts);
    ct->recirc_table = NX_CT_RECIRC_NONE;
    ofpact_finish_CT(&ofpacts, &ct);
    ofpact_put_OUTPUT(&ofpacts)->port = OFPP_NORMAL;

    xlate_cache_init(&cache);
    admitted = (translate(ofproto, in_port, &any, &ofpacts, &acts, &cache)
                && nl_attr_find__(acts.data, acts.size, OVS_ACTION_ATTR_CT)
                && has_normal(&cache, false));
    xlate_cache_uninit(&cache);
    ofpbuf_uninit(&ofpacts);
    ofpbuf_uninit(&acts);
    return admitted;
}

/* The same, from 'memo' if the question was asked before. */
bool
session_admits_memo(struct session_admit_memo *memo,
                    struct ofproto_dpif *ofproto, ofp_port_t in_port,
                    const struct flow *flow)
{
    ovs_be16 tci = flow->vlans[0].tci & htons(VLAN_VID_MASK | VLAN_CFI);
    uint32_t hash = hash_2words((OVS_FORCE uint32_t) in_port,
                                (OVS_FORCE uint32_t) tci);
    struct session_admitted *a
        = &memo->slots[hash_pointer(ofproto, hash) % ARRAY_SIZE(memo->slots)];

    if (a->ofproto != ofproto || a->in_port != in_port || a->tci != tci) {
        a->admitted = session_admits(ofproto, in_port, flow);
        a->ofproto = ofproto;
        a->in_port = in_port;
        a->tci = tci;
    }
    return a->admitted;
}

/* Whether OpenFlow rules have 'ofproto' learn from packets of 'flow' from
 * 'in_port'; has it do so now, if 'learn'.  Not from a tunnel: members pass on
 * what others have sent to them, and who sent it is not behind the tunnel. */
bool
session_learn(struct ofproto_dpif *ofproto, ofp_port_t in_port,
              const struct flow *flow, bool learn)
{
    struct xlate_cache cache;
    bool learns = false;

    if (!flow_tnl_dst_is_set(&flow->tunnel)) {
        xlate_cache_init(&cache);
        learns = (translate(ofproto, in_port, flow, NULL, NULL, &cache)
                  && has_normal(&cache, learn));
        xlate_cache_uninit(&cache);
    }
    return learns;
}

/* How often 'ofproto' should learn from packets of 'flow', ms; 0 if never.
 * Main thread. */
long long int
session_learn_interval(const struct ofproto_dpif *ofproto,
                       const struct flow *flow)
{
    return (flow_tnl_dst_is_set(&flow->tunnel)
            ? 0 : ofproto->ml->idle_time * 1000LL / 3);
}
