/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* ICMP errors about packets of sessions, see session-dp.h: which they are,
 * their entries' actions, and where they go.
 *
 * Nothing that an error says is believed but where to send it: whoever forges
 * one reaches a backend that he could send it to as well, once, and what
 * sessions there are stays as it is. */

#include <config.h>

#include "datapath-hooks/session/session-dp-impl.h"

#include "dp-packet.h"
#include "netlink.h"
#include "odp-netlink.h"
#include "odp-util.h"
#include "openvswitch/ofpbuf.h"
#include "ovs-ext/session/sess-icmp.h"
#include "packets.h"

/* The type of ICMP error that packets of 'flow' are; 0 if they are none. */
uint8_t
session_icmp_type(const struct flow *flow)
{
    bool ip6 = is_icmpv6(flow, NULL);

    return ((ip6 || is_icmpv4(flow, NULL))
            && sess_icmp_is_error(ip6, ntohs(flow->tp_src))
            ? ntohs(flow->tp_src) : 0);
}

/* Appends the actions of an entry for ICMP errors.  They may go back to
 * ofproto, so all of a packet stays as it is but the priority, and that keeps
 * its mark. */
void
session_icmp_put_actions(uint32_t arrived, odp_port_t local,
                         struct ofpbuf *actions)
{
    /* Who prints it expects the header of a tunnel. */
    struct ovs_action_push_tnl push = {
        .tnl_port = local, .out_port = local,
        .header_len = ETH_HEADER_LEN + IPV6_HEADER_LEN,
    };
    uint32_t *priority;
    size_t ofs;

    ofs = nl_msg_start_nested(actions, OVS_ACTION_ATTR_SET_MASKED);
    priority = nl_msg_put_unspec_uninit(actions, OVS_KEY_ATTR_PRIORITY,
                                        2 * sizeof *priority);
    priority[0] = arrived;
    priority[1] = ~SESSION_OTHER_MASK;
    nl_msg_end_nested(actions, ofs);
    odp_put_tnl_push_action(actions, &push);
    nl_msg_put_u32(actions, OVS_ACTION_ATTR_RECIRC, 0);
}

/* PMD-THREAD CODE */

/* The service whose session 'key', quoted by an ICMP error that came in by an
 * entry of 'entry', is of.  Null if it is none, or one whose packets 'packet',
 * out of a tunnel if 'hop', could not be among. */
static const struct sess_plan_service *
find_quoted(const struct sess_plan *plan, const struct sess_key *key,
            const struct sess_plan_service *entry, unsigned int hop,
            const struct dp_packet *packet)
{
    const struct session_topo *topo = session_topo_get();
    const struct session_topo_service *here
        = topo ? session_topo_find(topo, entry) : NULL;
    const struct sess_plan_service *s
        = (here
           ? sess_plan_find(plan, &key->dst, key->proto, key->dport, NULL, -1)
           : NULL);
    struct in6_addr src = in6addr_any;

    if (hop) {
        session_tunnel_src(&packet->md.tunnel, &src);
    }
    for (; s; s = sess_plan_find_next(s)) {
        const struct session_topo_service *t = session_topo_find(topo, s);

        if (t && t->joined == here->joined
            && (!hop || sess_plan_is_peer(s, &src))) {
            return s;
        }
    }
    return NULL;
}

/* Returns the target of ICMP error 'packet', to the address of 'entry', out of
 * a tunnel if 'hop'; or SESS_NONE, or SESS_PASS. */
uint16_t
session_icmp_decide(const struct sess_plan *plan,
                    const struct sess_plan_service *entry, unsigned int hop,
                    const struct dp_packet *packet, long long int now,
                    struct phc_stats *stats, uint64_t counts[SESS_N_COUNTS])
{
    const uint8_t *l4 = dp_packet_l4(packet);
    const struct sess_plan_service *s;
    struct sess_key key;

    if (!l4
        || !sess_icmp_key(&key, l4, dp_packet_l4_size(packet),
                          !IN6_IS_ADDR_V4MAPPED(&entry->addr))
        || !ipv6_addr_equals(&key.dst, &entry->addr)) {
        return SESS_PASS;
    }
    s = find_quoted(plan, &key, entry, hop, packet);
    if (!s) {
        return SESS_PASS;
    }
    key.zone = s->zone;
    return sess_decide_icmp(plan, session_dp_table(), session_dp_phc(), s, hop,
                            &key, now, stats, counts);
}

/* END PMD-THREAD CODE */
