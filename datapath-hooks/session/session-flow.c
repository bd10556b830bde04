/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Sessions and the flows of the datapath: our own, and what revalidators see
 * and do.
 *
 * When services come, flows of ofproto may cover packets for them.  During
 * the next dumps of all flows each flow that does is reported as long idle,
 * so that revalidators delete it, statistics and all; what comes later is
 * narrow.  Until then revalidators must not change such a flow, for the
 * datapath finds it by the key of a packet, and may find an entry instead. */

#include <config.h>

#include "datapath-hooks/session/session-dp-impl.h"

#include <string.h>

#include "coverage.h"
#include "datapath-hooks/ext-chain.h"
#include "datapath-hooks/ext-flows.h"
#include "datapath-hooks/ext-ufid.h"
#include "dpif-provider.h"
#include "hash.h"
#include "odp-util.h"
#include "openvswitch/ofpbuf.h"
#include "ovs-ext/session/sess-icmp.h"
#include "packets.h"
#include "timeval.h"
#include "util.h"

COVERAGE_DEFINE(session_flow_expired);
COVERAGE_DEFINE(session_flow_kept);

static struct ovs_mutex dpif_mutex = OVS_MUTEX_INITIALIZER;
static struct dpif *flow_dpif OVS_GUARDED_BY(dpif_mutex);

/* Whether flows that are dumped are compared with entries.  Main thread
 * writes. */
static atomic_bool judging = false;

void
session_ufid_make(enum session_flow_kind kind, uint32_t unique, uint32_t hash,
                  ovs_u128 *ufid)
{
    ext_ufid_make(ufid, EXT_UFID_SESSION, hash, unique, kind);
}

/* The ufid of the flow of 'target', which says so. */
void
session_target_ufid(uint16_t target, ovs_be16 dl_type, ovs_u128 *ufid)
{
    uint32_t unique = ((OVS_FORCE uint32_t) dl_type) << 16 | target;

    session_ufid_make(SESSION_FLOW_TARGET, unique, hash_int(unique, 0x5e55),
                      ufid);
}

/* What the flow of 'target' matches. */
void
session_target_match(uint16_t target, const struct session_actions *a,
                     struct flow *flow, struct flow_wildcards *wc)
{
    memset(flow, 0, sizeof *flow);
    flow->in_port.odp_port = a->in_port;
    flow->skb_priority = SESSION_STEERED | target;
    flow->packet_type = htonl(PT_ETH);
    flow->dl_type = a->dl_type;

    memset(wc, 0, sizeof *wc);
    WC_MASK_FIELD(wc, in_port);
    WC_MASK_FIELD(wc, skb_priority);
    WC_MASK_FIELD(wc, packet_type);
    WC_MASK_FIELD(wc, dl_type);
    WC_MASK_FIELD(wc, recirc_id);
    wc->masks.vlans[0].tci = htons(VLAN_VID_MASK | VLAN_CFI);
}

void
session_flow_set_dpif(struct dpif *dpif)
{
    ovs_mutex_lock(&dpif_mutex);
    flow_dpif = dpif;
    ovs_mutex_unlock(&dpif_mutex);
}

/* Returns true if it was 'dpif' that was in use. */
bool
session_flow_forget_dpif(const struct dpif *dpif)
{
    bool forgotten;

    ovs_mutex_lock(&dpif_mutex);
    forgotten = flow_dpif == dpif;
    if (forgotten) {
        flow_dpif = NULL;
    }
    ovs_mutex_unlock(&dpif_mutex);
    return forgotten;
}

struct dpif *
session_flow_dpif(void)
{
    struct dpif *dpif;

    ovs_mutex_lock(&dpif_mutex);
    dpif = flow_dpif;
    ovs_mutex_unlock(&dpif_mutex);
    return dpif;
}

/* Not by dpif_operate(), which logs a warning where a flow is not there. */
static void
operate_one(struct dpif_op *op)
    OVS_REQUIRES(dpif_mutex)
{
    struct dpif_op *ops[1] = { op };

    flow_dpif->dpif_class->operate(flow_dpif, ops, 1, DPIF_OFFLOAD_NEVER);
}

/* Puts the flow of 'target' on all PMD threads.
 *
 * The datapath looks for a flow to modify with the whole key, not by its ufid,
 * and may find a wide one of the local port that is ofproto's, made before
 * there was a service.  Each of ofproto's tells fragments from other packets
 * and a later fragment is what next to none is for, so the key is one. */
void
session_flow_put_target(uint16_t target, const struct session_actions *a)
{
    uint64_t key_stub[512 / 8], mask_stub[512 / 8];
    struct flow_wildcards wc;
    struct flow flow;
    struct odp_flow_key_parms parms = {
        .flow = &flow, .mask = &wc.masks,
        .support = { .max_vlan_headers = 1, .recirc = true },
    };
    struct ofpbuf key, mask;
    ovs_u128 ufid;

    session_target_match(target, a, &flow, &wc);
    flow.nw_frag = FLOW_NW_FRAG_MASK;
    session_target_ufid(target, a->dl_type, &ufid);
    ofpbuf_use_stub(&key, key_stub, sizeof key_stub);
    ofpbuf_use_stub(&mask, mask_stub, sizeof mask_stub);
    odp_flow_key_from_flow(&parms, &key);
    odp_flow_key_from_mask(&parms, &mask);

    struct dpif_op op = {
        .type = DPIF_OP_FLOW_PUT,
        .flow_put = {
            .flags = DPIF_FP_CREATE | DPIF_FP_MODIFY,
            .key = key.data, .key_len = key.size,
            .mask = mask.data, .mask_len = mask.size,
            .actions = ALIGNED_CAST(const struct nlattr *, a->data),
            .actions_len = a->size,
            .ufid = &ufid, .pmd_id = PMD_ID_NULL,
        },
    };
    /* If there is no PMD thread yet, their misses will be answered. */
    ovs_mutex_lock(&dpif_mutex);
    if (flow_dpif) {
        uint64_t before = ext_flows_count(flow_dpif);
        uint64_t after;

        operate_one(&op);
        after = ext_flows_count(flow_dpif);
        ext_flows_added(after > before ? after - before : 0);
    }
    ovs_mutex_unlock(&dpif_mutex);
    ofpbuf_uninit(&key);
    ofpbuf_uninit(&mask);
}

/* Deletes a flow from all PMD threads. */
void
session_flow_del(const ovs_u128 *ufid)
{
    struct dpif_op op = {
        .type = DPIF_OP_FLOW_DEL,
        .flow_del = { .ufid = ufid, .pmd_id = PMD_ID_NULL },
    };

    ovs_mutex_lock(&dpif_mutex);
    if (flow_dpif) {
        operate_one(&op);
    }
    ovs_mutex_unlock(&dpif_mutex);
}

/* Revalidators. */

static bool
is_userspace(const struct dpif *dpif)
{
    const char *type = dpif->dpif_class->type;

    return !strcmp(type, "netdev") || !strcmp(type, "dummy");
}

/* Says whether flows that cover packets for a service are to go.  Main
 * thread. */
void
session_flow_judge(bool wanted)
{
    atomic_store(&judging, wanted);
}

/* Whether a flow of 'flow' and 'mask' covers packets to 's' that an entry
 * would take: its own, or ICMP errors of 'icmp_type' if that is not 0. */
static bool
covers(const struct flow *flow, const struct flow *mask,
       const struct sess_plan_service *s, uint8_t icmp_type,
       struct flow *packet)
{
    bool ip4 = IN6_IS_ADDR_V4MAPPED(&s->addr);

    *packet = *flow;
    packet->dl_type = ip4 ? htons(ETH_TYPE_IP) : htons(ETH_TYPE_IPV6);
    packet->nw_frag = 0;
    if (icmp_type) {
        packet->nw_proto = ip4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
        packet->tp_src = htons(icmp_type);
    } else {
        packet->nw_proto = s->proto;
        packet->tp_dst = s->port;
    }
    packet->skb_priority &= mask->skb_priority;
    if (ip4) {
        packet->nw_dst = in6_addr_get_mapped_ipv4(&s->addr);
    } else {
        packet->ipv6_dst = s->addr;
    }
    /* Does the flow match that packet? */
    if ((packet->dl_type ^ flow->dl_type) & mask->dl_type
        || (packet->nw_frag ^ flow->nw_frag) & mask->nw_frag
        || (packet->nw_proto ^ flow->nw_proto) & mask->nw_proto
        || (packet->tp_src ^ flow->tp_src) & mask->tp_src
        || (packet->tp_dst ^ flow->tp_dst) & mask->tp_dst) {
        return false;
    }
    if (ip4) {
        return !((packet->nw_dst ^ flow->nw_dst) & mask->nw_dst);
    }
    for (int i = 0; i < 16; i++) {
        if ((packet->ipv6_dst.s6_addr[i] ^ flow->ipv6_dst.s6_addr[i])
            & mask->ipv6_dst.s6_addr[i]) {
            return false;
        }
    }
    return true;
}

/* Whether a flow of 'flow' and 'mask' covers packets that an entry would take
 * because of 's'. */
static bool
covers_steered(const struct sess_plan *plan, const struct session_topo *topo,
               const struct flow *flow, const struct flow *mask,
               const struct sess_plan_service *s)
{
    const uint8_t *type = sess_icmp_types(!IN6_IS_ADDR_V4MAPPED(&s->addr));
    struct flow packet;

    if (covers(flow, mask, s, 0, &packet)
        && session_flow_is_steered(plan, topo, &packet)) {
        return true;
    }
    for (; *type; type++) {
        if (covers(flow, mask, s, *type, &packet)
            && session_flow_is_steered(plan, topo, &packet)) {
            return true;
        }
    }
    return false;
}

/* Whether a flow of 'flow' and 'mask' covers packets to 's' that are on their
 * way to a target, from local port 'local'. */
static bool
covers_targets(const struct flow *flow, const struct flow *mask,
               const struct sess_plan_service *s, odp_port_t local)
{
    ovs_be16 dl_type = (IN6_IS_ADDR_V4MAPPED(&s->addr) ? htons(ETH_TYPE_IP)
                        : htons(ETH_TYPE_IPV6));

    return (flow->in_port.odp_port == local
            && !((flow->dl_type ^ dl_type) & mask->dl_type)
            && !((flow->skb_priority ^ SESSION_STEERED) & mask->skb_priority
                 & SESSION_KIND_MASK));
}

/* Whether dumped flow 'f' overlaps with what an entry matches, or the flow of
 * a target. */
static bool
is_overlapping(struct dpif *dpif, const struct dpif_flow *f)
{
    const struct session_topo *topo = session_topo_get();
    const struct sess_plan *plan = session_plan_get();
    uint64_t stub[DPIF_FLOW_BUFSIZE / 8];
    struct dpif_flow full;
    struct flow_wildcards wc;
    struct flow flow;
    struct ofpbuf buf;
    bool overlaps = false;

    if (!topo || !plan) {
        return false;
    }
    ofpbuf_use_stub(&buf, stub, sizeof stub);
    if (!dpif_flow_get(dpif, f->key, f->key_len, &f->ufid, f->pmd_id, &buf,
                       &full)
        && odp_flow_key_to_flow(full.key, full.key_len, &flow, NULL)
           != ODP_FIT_ERROR
        && odp_flow_key_to_mask(full.mask, full.mask_len, &wc, &flow, NULL)
           != ODP_FIT_ERROR
        && !flow.recirc_id) {
        for (size_t i = 0; i < topo->n_services && !overlaps; i++) {
            const struct sess_plan_service *s = sess_plan_service(plan, i);

            overlaps = (s && (covers_targets(&flow, &wc.masks, s,
                                             topo->services[i].local)
                              || covers_steered(plan, topo, &flow, &wc.masks,
                                                s)));
        }
    }
    ofpbuf_uninit(&buf);
    return overlaps;
}

int
session_flow_dump(struct dpif_flow_dump_thread *thread,
                  struct dpif_flow *flows, int max)
{
    const struct ext_chain_link *inner = ext_chain_get_inner();
    bool judge;
    int n, kept;

    if (!is_userspace(thread->dpif) || !ext_in_revalidator()) {
        return (inner ? inner->flow_dump : ext_real_flow_dump)(thread, flows,
                                                               max);
    }
    atomic_read(&judging, &judge);
    do {
        n = (inner ? inner->flow_dump : ext_real_flow_dump)(thread, flows,
                                                            max);
        kept = 0;
        for (int i = 0; i < n; i++) {
            struct dpif_flow *f = &flows[i];

            if (f->ufid_present && ext_ufid_is(&f->ufid, EXT_UFID_SESSION)) {
                continue;
            }
            if (judge && f->ufid_present
                && is_overlapping(thread->dpif, f)) {
                COVERAGE_INC(session_flow_expired);
                f->stats.used = LLONG_MIN / 2;
            }
            flows[kept++] = *f;
        }
    } while (n > 0 && !kept);
    return kept;
}

/* Returns true if 'op' would change a flow that is about to be deleted because
 * its packets are to go by an entry. */
static bool
is_put_to_expired(const struct dpif_op *op, const struct sess_plan *plan,
                  const struct session_topo *topo)
{
    struct flow flow;

    return (op->type == DPIF_OP_FLOW_PUT
            && op->flow_put.flags & DPIF_FP_MODIFY
            && odp_flow_key_to_flow(op->flow_put.key, op->flow_put.key_len,
                                    &flow, NULL) != ODP_FIT_ERROR
            && session_flow_is_steered(plan, topo, &flow));
}

void
session_operate(struct dpif *dpif, struct dpif_op **ops, size_t n,
                enum dpif_offload_type offload)
{
    const struct ext_chain_link *inner = ext_chain_get_inner();
    ext_dpif_operate_func *next = (inner ? inner->dpif_operate
                                   : ext_real_dpif_operate);
    const struct session_topo *topo = session_topo_get();
    const struct sess_plan *plan = session_plan_get();
    struct dpif_op **todo;
    size_t n_todo = 0;

    if (!plan || !topo || !is_userspace(dpif) || !ext_in_revalidator()) {
        next(dpif, ops, n, offload);
        return;
    }
    todo = xmalloc(n * sizeof *todo);
    for (size_t i = 0; i < n; i++) {
        if (is_put_to_expired(ops[i], plan, topo)) {
            COVERAGE_INC(session_flow_kept);
            ops[i]->error = 0;
        } else {
            todo[n_todo++] = ops[i];
        }
    }
    if (n_todo) {
        next(dpif, todo, n_todo, offload);
    }
    free(todo);
}
