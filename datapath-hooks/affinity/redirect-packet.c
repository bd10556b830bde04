/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Redirection in PMD threads: the answer to a miss, and the return. */

#include <config.h>

#include "datapath-hooks/affinity/redirect-impl.h"
#include "datapath-hooks/ext-ufid.h"

#include <errno.h>
#include <string.h>

#include "coverage.h"
#include "dp-packet.h"
#include "netlink.h"
#include "odp-netlink.h"
#include "openvswitch/ofpbuf.h"
#include "packets.h"

COVERAGE_DEFINE(redirect_outward_miss);
COVERAGE_DEFINE(redirect_return_miss);
COVERAGE_DEFINE(redirect_no_context);

/* The miss path.  It allocates and locks, as ofproto's translation does, which
 * runs at this place otherwise.
 *
 * Returns true for packets that may be redirected.  An outer tag of provider
 * bridging (802.1ad) makes no network of ours, and would look like the tag of
 * a context. */
static bool
is_eligible(const struct flow *flow)
{
    return (flow->vlans[0].tpid != htons(ETH_TYPE_VLAN_8021AD)
            && aff_host_flow_is_ip(flow));
}

/* Makes 'wc' of a direct flow narrow enough not to overlap with outward flows
 * and served ones. */
static void
narrow(struct flow_wildcards *wc, const struct flow *flow)
{
    wc->masks.skb_priority |= REDIRECT_MARK;
    wc->masks.vlans[0].tci |= htons(VLAN_VID_MASK | VLAN_CFI);
    if (eth_type_vlan(flow->vlans[0].tpid)) {
        WC_MASK_FIELD(wc, vlans[0].tpid);
    }
    if (is_eligible(flow)) {
        WC_MASK_FIELD(wc, dl_type);
        WC_MASK_FIELD(wc, nw_proto);
    }
    if (flow_tnl_dst_is_set(&flow->tunnel)) {
        WC_MASK_FIELD(wc, tunnel.tun_id);
    }
}

/* Fills in the key of the context of an outward flow, and its wildcards. */
static void
ctx_key_init(struct redirect_ctx_key *key, const struct flow *flow,
             odp_port_t accel, struct flow_wildcards *wc)
{
    memset(key, 0, sizeof *key);
    key->accel = accel;
    key->in_port = flow->in_port.odp_port;
    key->skb_priority = flow->skb_priority;
    key->pkt_mark = flow->pkt_mark;
    key->dl_type = flow->dl_type;
    key->vlan_tci = flow->vlans[0].tci & htons(VLAN_VID_MASK | VLAN_CFI);
    key->nw_proto = flow->nw_proto;

    memset(wc, 0, sizeof *wc);
    if (flow_tnl_dst_is_set(&flow->tunnel)) {
        /* All that a translation may depend on. */
        struct flow_wildcards all;

        flow_wildcards_init_for_packet(&all, flow);
        wc->masks.tunnel = all.masks.tunnel;
        wc->masks.tunnel.flags = FLOW_TNL_F_MASK;
        wc->masks.tunnel.tp_src = 0;
        wc->masks.tunnel.ip_ttl = 0;
        key->tunnel = flow->tunnel;
        key->tunnel.tp_src = 0;
        key->tunnel.ip_ttl = 0;
    }
    WC_MASK_FIELD(wc, in_port);
    WC_MASK_FIELD(wc, recirc_id);
    WC_MASK_FIELD(wc, packet_type);
    WC_MASK_FIELD(wc, skb_priority);
    WC_MASK_FIELD(wc, pkt_mark);
    WC_MASK_FIELD(wc, dl_type);
    WC_MASK_FIELD(wc, nw_proto);
    wc->masks.vlans[0].tci = htons(VLAN_VID_MASK | VLAN_CFI);
    if (eth_type_vlan(flow->vlans[0].tpid)) {
        WC_MASK_FIELD(wc, vlans[0].tpid);
    }
}

static void
put_arrival(struct ofpbuf *actions, const struct redirect_ctx *ctx, bool tag)
{
    size_t ofs = nl_msg_start_nested(actions, OVS_ACTION_ATTR_SET);

    nl_msg_put_u32(actions, OVS_KEY_ATTR_PRIORITY,
                   REDIRECT_MARK | REDIRECT_ARRIVED | ctx->id);
    nl_msg_end_nested(actions, ofs);
    if (tag) {
        nl_msg_put_flag(actions, OVS_ACTION_ATTR_POP_VLAN);
    }
    nl_msg_put_odp_port(actions, OVS_ACTION_ATTR_TUNNEL_POP,
                        ctx->key.in_port);
}

/* Answers for a packet of a redirected profile.  Returns false if there is no
 * context for it, or with '*stale' true if there is another rule by now. */
static bool
answer_outward(const struct dp_packet *packet, const struct flow *flow,
               const struct redirect_rule *rule, ovs_u128 *ufid,
               unsigned int pmd_id, struct ofpbuf *actions,
               struct flow_wildcards *wc, bool *stale)
{
    struct flow_wildcards outward;
    struct redirect_ctx_key key;
    struct redirect_ctx *ctx;

    ctx_key_init(&key, flow, rule->port, &outward);
    ctx = redirect_ctx_obtain(&key, rule, &packet->md.tunnel, pmd_id, stale);
    if (!ctx) {
        if (!*stale) {
            COVERAGE_INC(redirect_no_context);
        }
        return false;
    }
    COVERAGE_INC(redirect_outward_miss);
    *wc = outward;
    redirect_ufid_ours(ctx, true, ufid);
    if (rule->bypass) {
        put_arrival(actions, ctx, false);
    } else {
        struct ovs_action_push_vlan vlan = {
            .vlan_tpid = htons(ETH_TYPE_VLAN_8021AD),
            .vlan_tci = htons(ctx->id | VLAN_CFI),
        };

        nl_msg_put_unspec(actions, OVS_ACTION_ATTR_PUSH_VLAN, &vlan,
                          sizeof vlan);
        nl_msg_put_odp_port(actions, OVS_ACTION_ATTR_OUTPUT, rule->port);
    }
    return true;
}

/* Answers for a packet from an accelerator.  Returns false if it is none of
 * those that were sent there. */
static bool
answer_return(const struct dp_packet *packet, const struct flow *flow,
              ovs_u128 *ufid, struct ofpbuf *actions,
              struct flow_wildcards *wc, int *error)
{
    unsigned int id = vlan_tci_to_vid(flow->vlans[0].tci);
    const struct redirect_ctx *ctx = redirect_ctx_get(id);

    if (flow->vlans[0].tpid != htons(ETH_TYPE_VLAN_8021AD)
        || (id < REDIRECT_CLOCK_ID
            && (!ctx || ctx->key.accel != flow->in_port.odp_port))) {
        return false;
    }
    memset(wc, 0, sizeof *wc);
    if (id == REDIRECT_CLOCK_ID) {
        redirect_clock_stop(flow->in_port.odp_port, packet);
        *error = ENOSPC;        /* No flow for it. */
        return true;
    }
    COVERAGE_INC(redirect_return_miss);
    WC_MASK_FIELD(wc, in_port);
    WC_MASK_FIELD(wc, recirc_id);
    WC_MASK_FIELD(wc, packet_type);
    WC_MASK_FIELD(wc, vlans[0].tpid);
    wc->masks.skb_priority = REDIRECT_MARK;
    wc->masks.vlans[0].tci = htons(VLAN_VID_MASK | VLAN_CFI);
    if (id == REDIRECT_PROBE_ID) {
        redirect_ufid_probe(flow->in_port.odp_port, ufid);
    } else {
        redirect_ufid_ours(ctx, false, ufid);
        put_arrival(actions, ctx, true);
    }
    return true;
}

/* Answers a first miss by itself, if it is for redirection to do so.  Else
 * stores the profile's hash in '*hash', if a rule for the profile is reason to
 * delete the flow later on.  '*error' is what to return in the first case. */
static bool
answer(const struct redirect_table *table, const struct dp_packet *packet,
       const struct flow *flow, ovs_u128 *ufid, unsigned int pmd_id,
       struct ofpbuf *actions, struct flow_wildcards *wc, uint32_t *hash,
       int *error)
{
    const struct redirect_rule *rule;
    struct aff_host_key key;
    bool stale;

    *hash = 0;
    if (redirect_is_accelerator(table, flow->in_port.odp_port)) {
        return answer_return(packet, flow, ufid, actions, wc, error);
    } else if (!is_eligible(flow)) {
        return false;
    }
    aff_host_key_of_flow(&key, flow);
    while ((rule = redirect_rule_find(table, &key)) != NULL) {
        bool answered = answer_outward(packet, flow, rule, ufid, pmd_id,
                                       actions, wc, &stale);

        if (!stale) {
            return answered;
        }
        table = redirect_table_get();
    }
    *hash = aff_host_key_hash(&key);
    return false;
}

int
redirect_translate(const struct dp_packet *packet, const struct flow *flow,
                   ovs_u128 *ufid, unsigned int pmd_id,
                   enum dpif_upcall_type type, const struct nlattr *userdata,
                   struct ofpbuf *actions, struct flow_wildcards *wc,
                   struct ofpbuf *put_actions, upcall_callback *next,
                   void *next_aux, bool *noted)
{
    const struct redirect_table *table = redirect_table_get();
    bool served = (flow->skb_priority & REDIRECT_MARK) != 0;
    bool armed = table->n_accels > 0;
    bool first = type == DPIF_UC_MISS && !flow->recirc_id;
    struct flow unmarked;
    uint32_t hash = 0;
    int error = 0;

    if (first && armed && !served
        && answer(table, packet, flow, ufid, pmd_id, actions, wc, &hash,
                  &error)) {
        *noted = false;
        return error;
    }
    if (type == DPIF_UC_MISS) {
        if (first && served) {
            redirect_ufid_mark(ufid, REDIRECT_SERVED, 0);
            *noted = false;
        } else if (armed) {
            redirect_ufid_mark(ufid, REDIRECT_DIRECT, hash);
        }
    }
    if (served) {
        unmarked = *flow;
        unmarked.skb_priority &= ~REDIRECT_MARK;
    }
    error = next(packet, served ? &unmarked : flow, ufid, pmd_id, type,
                 userdata, actions, wc, put_actions, next_aux);
    if (first && wc) {
        if (served) {
            wc->masks.skb_priority |= REDIRECT_MARK;
            if (!ext_ufid_is(ufid, EXT_UFID_SESSION)) {
                redirect_mark_actions(actions->data, actions->size);
            }
        } else if (armed) {
            narrow(wc, flow);
        }
    }
    return error;
}

/* PMD-THREAD CODE */

/* Makes of packets that have arrived what they were before they left.  The
 * caller sets their in_port. */
static void
restore(struct dp_packet_batch *batch)
{
    size_t size = dp_packet_batch_size(batch);
    struct dp_packet *packet;
    size_t i;

    DP_PACKET_BATCH_REFILL_FOR_EACH (i, size, packet, batch) {
        struct pkt_metadata *md = &packet->md;
        struct redirect_ctx *ctx;
        bool seen;

        ctx = redirect_ctx_get(md->skb_priority & REDIRECT_ID_MASK);
        if (OVS_UNLIKELY(!ctx)) {
            dp_packet_delete(packet);
            continue;
        }
        md->skb_priority = ctx->key.skb_priority | REDIRECT_MARK;
        md->pkt_mark = ctx->key.pkt_mark;
        md->orig_in_port = ctx->key.in_port;
        if (ctx->has_tunnel) {
            flow_tnl_copy__(&md->tunnel, &ctx->tunnel);
        }
        atomic_read_relaxed(&ctx->seen, &seen);
        if (OVS_UNLIKELY(!seen)) {
            atomic_store_relaxed(&ctx->seen, true);
        }
        dp_packet_batch_refill(batch, packet, i);
    }
}

/* Decapsulates packets of a tunnel, which clears their metadata, and puts the
 * mark back if they had it: all of them, if 'marked', or none. */
static void
pop_tunnel(struct netdev *netdev, struct dp_packet_batch *batch, bool marked)
{
    ext_real_pop_header(netdev, batch);
    if (marked) {
        struct dp_packet *packet;

        DP_PACKET_BATCH_FOR_EACH (i, packet, batch) {
            packet->md.skb_priority |= REDIRECT_MARK;
        }
    }
}

void
redirect_pop(struct netdev *netdev, struct dp_packet_batch *batch)
{
    const uint32_t both = REDIRECT_MARK | REDIRECT_ARRIVED;
    struct dp_packet_batch marked;
    struct dp_packet *packet;
    size_t size, i;

    if (dp_packet_batch_is_empty(batch)) {
        return;
    }
    if ((batch->packets[0]->md.skb_priority & both) == both) {
        /* All packets come from one flow, hence one action. */
        restore(batch);
        return;
    }

    dp_packet_batch_init(&marked);
    size = dp_packet_batch_size(batch);
    DP_PACKET_BATCH_REFILL_FOR_EACH (i, size, packet, batch) {
        dp_packet_batch_add((packet->md.skb_priority & REDIRECT_MARK
                             ? &marked : batch), packet);
    }
    if (!dp_packet_batch_is_empty(batch)) {
        pop_tunnel(netdev, batch, false);
    }
    if (!dp_packet_batch_is_empty(&marked)) {
        pop_tunnel(netdev, &marked, true);
        DP_PACKET_BATCH_FOR_EACH (j, packet, &marked) {
            dp_packet_batch_add(batch, packet);
        }
    }
}

/* END PMD-THREAD CODE */
