/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* The answer to a miss: an entry for packets to a service, and for all others
 * what ofproto says, made narrow.
 *
 * This is the miss path of threads that process packets.  It allocates and
 * locks, as ofproto's translation does, which runs at this place otherwise. */

#include <config.h>

#include "datapath-hooks/session/session-dp-impl.h"

#include <errno.h>
#include <string.h>

#include "coverage.h"
#include "datapath-hooks/ext-chain.h"
#include "dpif-provider.h"
#include "netlink.h"
#include "odp-netlink.h"
#include "ofproto/ofproto-dpif.h"
#include "ofproto/ofproto-dpif-xlate.h"
#include "openvswitch/ofpbuf.h"
#include "packets.h"
#include "util.h"

COVERAGE_DEFINE(session_entry_miss);
COVERAGE_DEFINE(session_target_miss);
COVERAGE_DEFINE(session_entry_full);
COVERAGE_DEFINE(session_entry_refused);

/* What a packet is to sessions. */
struct verdict {
    const struct sess_plan_service *s;
    odp_port_t local;
    unsigned int hop;
    uint8_t icmp_type;          /* Not 0: it is an error about a packet of
                                 * that service or another of its address. */
};

static void
flow_get_dst(const struct flow *flow, struct in6_addr *dst)
{
    if (flow->dl_type == htons(ETH_TYPE_IP)) {
        in6_addr_set_mapped_ipv4(dst, flow->nw_dst);
    } else {
        *dst = flow->ipv6_dst;
    }
}

static bool
flow_has_service_type(const struct flow *flow)
{
    return ((flow->dl_type == htons(ETH_TYPE_IP)
             || flow->dl_type == htons(ETH_TYPE_IPV6))
            && flow->packet_type == htonl(PT_ETH));
}

/* Whether sessions may take packets of 'flow' out of ofproto's way. */
static bool
is_eligible(const struct flow *flow)
{
    return (!flow->recirc_id && !flow->ct_state && !flow->skb_priority
            && flow_has_service_type(flow) && !flow->nw_frag
            && !flow->vlans[1].tci
            && (!flow->vlans[0].tci
                || flow->vlans[0].tpid == htons(ETH_TYPE_VLAN_8021Q)));
}

/* Where a packet comes in. */
struct arrival {
    struct ofproto_dpif *ofproto; /* Null: nowhere. */
    ofp_port_t in_port;
    unsigned int joined;        /* Number of the bridges that the port is in,
                                 * with those joined to it; 0 if none has a
                                 * service. */
};

static void
arrive(const struct session_topo *topo, const struct flow *flow,
       struct arrival *a)
{
    a->ofproto = xlate_lookup_ofproto(topo->backer, flow, &a->in_port, NULL);
    a->joined = (a->ofproto
                 ? simap_get(&topo->joined, a->ofproto->up.name)
                 : 0);
}

/* Whether 's', to whose address packets of 'flow' are, is in bridges 'joined'
 * and takes what comes from there.  Completes '*v' if so. */
static bool
takes(const struct session_topo *topo, const struct sess_plan_service *s,
      const struct flow *flow, unsigned int joined, struct verdict *v)
{
    const struct session_topo_service *t = session_topo_find(topo, s);
    unsigned int hop = 0;

    if (!t || t->joined != joined || t->local == ODPP_NONE) {
        return false;
    }
    if (flow_tnl_dst_is_set(&flow->tunnel)) {
        uint64_t vni = ntohll(flow->tunnel.tun_id);
        struct in6_addr src;

        /* Whatever the VNI is, another member has seen the packet: if members
         * do not agree on it, packets must not go around. */
        session_tunnel_src(&flow->tunnel, &src);
        if (!sess_plan_is_peer(s, &src)) {
            return false;
        }
        hop = vni & SESS_HOP2_VNI ? 2 : 1;
    }
    v->s = s;
    v->local = t->local;
    v->hop = hop;
    return true;
}

/* Finds the service that packets of 'flow', from a port of bridges 'joined',
 * are for, or one to whose address they are if they are ICMP errors. */
static bool
judge(const struct sess_plan *plan, const struct session_topo *topo,
      const struct flow *flow, unsigned int joined, struct verdict *v)
{
    const struct sess_plan_service *s;
    struct in6_addr dst;

    flow_get_dst(flow, &dst);
    v->s = NULL;
    v->icmp_type = session_icmp_type(flow);
    if (v->icmp_type) {
        for (size_t i = 0; i < topo->n_services; i++) {
            s = sess_plan_service(plan, i);
            if (s && ipv6_addr_equals(&s->addr, &dst)
                && takes(topo, s, flow, joined, v)) {
                return true;
            }
        }
        return false;
    }
    s = sess_plan_find(plan, &dst, flow->nw_proto, flow->tp_dst, NULL, -1);
    for (; s; s = sess_plan_find_next(s)) {
        if (!v->s || s->number < v->s->number) {
            takes(topo, s, flow, joined, v);
        }
    }
    return v->s != NULL;
}

/* Whether packets of 'flow' are to go by an entry. */
bool
session_flow_is_steered(const struct sess_plan *plan,
                        const struct session_topo *topo,
                        const struct flow *flow)
{
    struct arrival a;
    struct verdict v;

    if (!plan || !topo || !is_eligible(flow)) {
        return false;
    }
    arrive(topo, flow, &a);
    return (a.joined && judge(plan, topo, flow, a.joined, &v)
            && session_admits(a.ofproto, a.in_port, flow));
}

static void
set_wildcards(const struct flow *flow, struct flow_wildcards *wc)
{
    memset(wc, 0, sizeof *wc);
    WC_MASK_FIELD(wc, in_port);
    WC_MASK_FIELD(wc, recirc_id);
    WC_MASK_FIELD(wc, packet_type);
    WC_MASK_FIELD(wc, skb_priority);
    WC_MASK_FIELD(wc, dl_type);
    WC_MASK_FIELD(wc, nw_proto);
    WC_MASK_FIELD(wc, nw_frag);
    if (session_icmp_type(flow)) {
        WC_MASK_FIELD(wc, tp_src);
    } else {
        WC_MASK_FIELD(wc, tp_dst);
    }
    if (flow->dl_type == htons(ETH_TYPE_IP)) {
        WC_MASK_FIELD(wc, nw_dst);
    } else {
        WC_MASK_FIELD(wc, ipv6_dst);
    }
    wc->masks.vlans[0].tci = htons(VLAN_VID_MASK | VLAN_CFI);
    if (flow->vlans[0].tci) {
        WC_MASK_FIELD(wc, vlans[0].tpid);
        wc->masks.vlans[1].tci = htons(VLAN_VID_MASK | VLAN_CFI);
    }
    if (flow_tnl_dst_is_set(&flow->tunnel)) {
        WC_MASK_FIELD(wc, tunnel.tun_id);
        if (flow->tunnel.ip_dst) {
            WC_MASK_FIELD(wc, tunnel.ip_src);
            WC_MASK_FIELD(wc, tunnel.ip_dst);
        } else {
            WC_MASK_FIELD(wc, tunnel.ipv6_src);
            WC_MASK_FIELD(wc, tunnel.ipv6_dst);
        }
    }
}

static void
put_actions_of(const struct session_entry_key *key, struct ofpbuf *actions)
{
    size_t ofs;

    if (key->icmp_type) {
        session_icmp_put_actions(key->arrived, key->local, actions);
        return;
    }
    if (key->vlan_tci) {
        nl_msg_put_flag(actions, OVS_ACTION_ATTR_POP_VLAN);
    }
    ofs = nl_msg_start_nested(actions, OVS_ACTION_ATTR_SET);
    nl_msg_put_u32(actions, OVS_KEY_ATTR_PRIORITY, key->arrived);
    nl_msg_end_nested(actions, ofs);
    nl_msg_put_odp_port(actions, OVS_ACTION_ATTR_TUNNEL_POP, key->local);
}

/* Fills in the key of the place that packets of 'flow' come from, whatever
 * service they are for. */
static void
key_init_place(struct session_entry_key *key, const struct flow *flow)
{
    memset(key, 0, sizeof *key);
    if (flow_tnl_dst_is_set(&flow->tunnel)) {
        session_tunnel_src(&flow->tunnel, &key->tun_src);
        key->tun_id = flow->tunnel.tun_id;
    }
    key->in_port = flow->in_port.odp_port;
    key->local = ODPP_NONE;
    key->vlan_tci = flow->vlans[0].tci & htons(VLAN_VID_MASK | VLAN_CFI);
}

/* Fills in the key of the entry for 'flow', whose priority was 'priority'
 * before anybody changed it. */
static void
key_init(struct session_entry_key *key, const struct flow *flow,
         uint32_t priority, const struct verdict *v)
{
    key_init_place(key, flow);
    key->service = v->s->id;
    key->skb_priority = priority;
    key->arrived = (SESSION_ARRIVED | v->hop << SESSION_HOP_SHIFT
                    | v->s->number);
    key->local = v->local;
    key->icmp_type = v->icmp_type;
}

/* Makes 'wc' of a flow that is ofproto's, from bridges 'joined', narrow enough
 * not to cover packets for a service there, nor, at a local port, any that are
 * on their way to a target. */
static void
narrow(const struct sess_plan *plan, const struct session_topo *topo,
       const struct flow *flow, unsigned int joined,
       struct flow_wildcards *wc)
{
    bool ip4 = flow->dl_type == htons(ETH_TYPE_IP);
    struct in6_addr dst, mask = in6addr_any;
    bool is_address = false;
    size_t bits = 0;

    flow_get_dst(flow, &dst);
    for (size_t i = 0; i < topo->n_services; i++) {
        const struct sess_plan_service *s = sess_plan_service(plan, i);
        const struct session_topo_service *t;

        t = s ? session_topo_find(topo, s) : NULL;
        if (!t || t->joined != joined
            || IN6_IS_ADDR_V4MAPPED(&s->addr) != ip4) {
            continue;
        }
        if (flow->in_port.odp_port == t->local) {
            WC_MASK_FIELD(wc, skb_priority);
        }
        if (ipv6_addr_equals(&s->addr, &dst)) {
            is_address = true;
            bits = 128;
        } else {
            size_t same = 0;

            while (!((s->addr.s6_addr[same / 8] ^ dst.s6_addr[same / 8])
                     & 0x80 >> same % 8)) {
                same++;
            }
            bits = MAX(bits, same + 1);
        }
    }
    if (!bits) {
        return;
    }
    mask = ipv6_create_mask(bits);
    if (ip4) {
        ovs_be32 mask4;

        memcpy(&mask4, &mask.s6_addr[12], sizeof mask4);
        wc->masks.nw_dst |= mask4;
    } else {
        for (int i = 0; i < 16; i++) {
            wc->masks.ipv6_dst.s6_addr[i] |= mask.s6_addr[i];
        }
    }
    if (is_address) {
        /* Of what is left, tell all that an entry tells. */
        WC_MASK_FIELD(wc, nw_proto);
        WC_MASK_FIELD(wc, skb_priority);
        wc->masks.vlans[0].tci |= htons(VLAN_VID_MASK | VLAN_CFI);
        if (eth_type_vlan(flow->vlans[0].tpid)) {
            WC_MASK_FIELD(wc, vlans[0].tpid);
            wc->masks.vlans[1].tci |= htons(VLAN_VID_MASK | VLAN_CFI);
        }
        if ((flow->nw_proto == IPPROTO_TCP || flow->nw_proto == IPPROTO_UDP)
            && !(flow->nw_frag & FLOW_NW_FRAG_LATER)) {
            WC_MASK_FIELD(wc, tp_dst);
        } else if ((is_icmpv4(flow, NULL) || is_icmpv6(flow, NULL))
                   && !(flow->nw_frag & FLOW_NW_FRAG_LATER)) {
            WC_MASK_FIELD(wc, tp_src);
        }
    }
}

/* Whether packets of 'flow', which are for a service, are let in.  If not, has
 * the place noted, for the flow of ofproto's that is made for them must go if
 * they are later. */
static bool
is_admitted(const struct arrival *a, const struct flow *flow)
{
    struct session_entry_key key;

    if (session_admits(a->ofproto, a->in_port, flow)) {
        return true;
    }
    COVERAGE_INC(session_entry_refused);
    key_init_place(&key, flow);
    session_entry_refuse(&key, flow);
    return false;
}

/* A translation under way. */
struct translation {
    uint32_t priority;          /* The packet's own. */
    bool *noted;
    upcall_callback *next;
    void *next_aux;
};

/* Stands right in front of ofproto. */
static int
translate_inner(const struct dp_packet *packet, const struct flow *flow,
                ovs_u128 *ufid, unsigned int pmd_id,
                enum dpif_upcall_type type, const struct nlattr *userdata,
                struct ofpbuf *actions, struct flow_wildcards *wc,
                struct ofpbuf *put_actions, void *translation_)
{
    const struct translation *t = translation_;
    const struct session_topo *topo = session_topo_get();
    const struct sess_plan *plan = session_plan_get();
    struct arrival a = { .joined = 0 };
    struct verdict v;
    int error;

    if (topo && plan && wc && type == DPIF_UC_MISS && !flow->recirc_id
        && flow_has_service_type(flow)) {
        arrive(topo, flow, &a);
    }
    if (a.joined && is_eligible(flow)
        && judge(plan, topo, flow, a.joined, &v) && is_admitted(&a, flow)) {
        struct session_entry_key key;

        COVERAGE_INC(session_entry_miss);
        session_learn(a.ofproto, a.in_port, flow, true);
        key_init(&key, flow, t->priority, &v);
        set_wildcards(flow, wc);
        put_actions_of(&key, actions);
        *t->noted = false;
        if (!session_entry_obtain(&key, flow, ufid)) {
            COVERAGE_INC(session_entry_full);
            session_ufid_make(SESSION_FLOW_ENTRY, 0, 0, ufid);
            return ENOSPC;      /* Without a flow. */
        }
        return 0;
    }
    error = t->next(packet, flow, ufid, pmd_id, type, userdata, actions, wc,
                    put_actions, t->next_aux);
    if (a.joined) {
        narrow(plan, topo, flow, a.joined, wc);
    }
    return error;
}

/* Answers for a packet on its way to 'target', whose flow is not there (any
 * more): it was flushed, or this PMD thread is new. */
static int
answer_target(uint16_t target, const struct flow *flow, ovs_u128 *ufid,
              struct ofpbuf *actions, struct flow_wildcards *wc)
{
    const struct session_actions *a = session_actions_get(target);
    struct flow match;

    COVERAGE_INC(session_target_miss);
    memset(wc, 0, sizeof *wc);
    if (!a || a->in_port != flow->in_port.odp_port
        || a->dl_type != flow->dl_type) {
        return ENOSPC;          /* Drop, without a flow. */
    }
    session_target_match(target, a, &match, wc);
    session_target_ufid(target, a->dl_type, ufid);
    ofpbuf_put(actions, a->data, a->size);
    return 0;
}

int
session_translate(const struct dp_packet *packet, const struct flow *flow,
                  ovs_u128 *ufid, unsigned int pmd_id,
                  enum dpif_upcall_type type, const struct nlattr *userdata,
                  struct ofpbuf *actions, struct flow_wildcards *wc,
                  struct ofpbuf *put_actions, upcall_callback *next,
                  void *next_aux, bool *noted)
{
    const struct ext_chain_link *inner = ext_chain_get_inner();
    struct translation t = {
        .priority = flow->skb_priority, .noted = noted,
        .next = next, .next_aux = next_aux,
    };

    if (wc && type == DPIF_UC_MISS && !flow->recirc_id
        && session_is_steered(flow->skb_priority)) {
        *noted = false;
        return answer_target(flow->skb_priority & SESSION_TARGET_MASK, flow,
                             ufid, actions, wc);
    }
    return (inner
            ? inner->translate(packet, flow, ufid, pmd_id, type, userdata,
                               actions, wc, put_actions, translate_inner, &t,
                               noted)
            : translate_inner(packet, flow, ufid, pmd_id, type, userdata,
                              actions, wc, put_actions, &t));
}

/* Whether the port that packets of 'flow' came in is there.  Asked where
 * ofproto would log that a tunnel's is not. */
static bool
in_port_exists(const struct session_topo *topo, const struct flow *flow)
{
    const struct dpif *dpif = topo->backer->dpif;

    return (!flow_tnl_dst_is_set(&flow->tunnel)
            || !dpif->dpif_class->port_query_by_number(
                   dpif, flow->in_port.odp_port, NULL));
}

/* Whether bridges would learn from packets of 'flow', for which there is an
 * entry.  Main thread. */
bool
session_entry_learns(const struct session_topo *topo, const struct flow *flow)
{
    struct arrival a;

    arrive(topo, flow, &a);
    return a.joined && session_learn(a.ofproto, a.in_port, flow, false);
}

/* Whether an entry of 'key', made for 'flow', would be made as it is.  Then
 * stores in '*interval' how often there should be a miss for the bridge to
 * learn from, ms; 0 if never.  Main thread. */
bool
session_entry_stands(const struct sess_plan *plan,
                     const struct session_topo *topo, const struct flow *flow,
                     const struct session_entry_key *key,
                     struct session_admit_memo *memo, long long int *interval)
{
    struct session_entry_key new;
    struct arrival a;
    struct verdict v;

    if (!plan || !topo || !in_port_exists(topo, flow)) {
        return false;
    }
    arrive(topo, flow, &a);
    if (!a.joined || !judge(plan, topo, flow, a.joined, &v)
        || !session_admits_memo(memo, a.ofproto, a.in_port, flow)) {
        return false;
    }
    *interval = session_learn_interval(a.ofproto, flow);
    key_init(&new, flow, key->skb_priority, &v);
    return !memcmp(&new, key, sizeof new);
}

/* Whether packets for services would still be refused where 'flow' was.  Main
 * thread. */
bool
session_place_stands(const struct sess_plan *plan,
                     const struct session_topo *topo, const struct flow *flow,
                     struct session_admit_memo *memo)
{
    struct arrival a;

    if (!plan || !topo || !in_port_exists(topo, flow)) {
        return false;
    }
    arrive(topo, flow, &a);
    return (a.joined
            && !session_admits_memo(memo, a.ofproto, a.in_port, flow));
}
