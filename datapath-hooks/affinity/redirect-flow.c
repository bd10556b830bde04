/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Redirection and the flows of the datapath: ufids, counting and deleting our
 * own, probes. */

#include <config.h>

#include "datapath-hooks/affinity/redirect-impl.h"

#include <string.h>

#include "coverage.h"
#include "csum.h"
#include "datapath-hooks/ext-ufid.h"
#include "dp-packet.h"
#include "dpif-provider.h"
#include "hash.h"
#include "netlink.h"
#include "odp-netlink.h"
#include "openvswitch/ofpbuf.h"
#include "packets.h"
#include "util.h"

COVERAGE_DEFINE(redirect_flow_orphan);

/* The ends of ufids of flows that are ofproto's but for a mark.  Those of Open
 * vSwitch's own are hashes, so that one looks like ours once in 2**32
 * flows. */
#define UFID_SERVED UINT32_C(0xaff1a5ed)
#define UFID_DIRECT UINT32_C(0xaff1ad1c)

/* Keeps 'flow_dpif' open while a packet is executed.  That takes the lock of
 * the datapath under which the main thread polls ports, and with a miss waits
 * for 'redirect_mutex', which must therefore not be held.
 *
 * Comes before 'redirect_mutex'. */
static struct ovs_mutex exec_mutex OVS_ACQ_BEFORE(redirect_mutex)
    = OVS_MUTEX_INITIALIZER;

/* Written under both mutexes, read under either. */
static struct dpif *flow_dpif;

enum redirect_kind
redirect_ufid_kind(const ovs_u128 *ufid)
{
    if (ext_ufid_is(ufid, EXT_UFID_REDIRECT)) {
        return REDIRECT_OURS;
    } else if (ext_ufid_is(ufid, EXT_UFID_SESSION)) {
        return REDIRECT_OTHERS;
    }
    switch (ufid->u32[3]) {
    case UFID_SERVED:
        return REDIRECT_SERVED;
    case UFID_DIRECT:
        return REDIRECT_DIRECT;
    }
    return REDIRECT_UNKNOWN;
}

/* Makes '*ufid', a hash of the flow's key, one of 'kind', served or direct. */
void
redirect_ufid_mark(ovs_u128 *ufid, enum redirect_kind kind, uint32_t hash)
{
    if (kind == REDIRECT_SERVED) {
        ufid->u32[3] = UFID_SERVED;
    } else {
        ufid->u32[2] = hash;
        ufid->u32[3] = UFID_DIRECT;
    }
}

/* Sets or clears the mark in the priority of 'key', which is 'len' bytes
 * long. */
void
redirect_patch_priority(struct nlattr *key, size_t len, bool set)
{
    const struct nlattr *a = nl_attr_find__(key, len, OVS_KEY_ATTR_PRIORITY);

    if (a) {
        uint32_t value = nl_attr_get_u32(a);

        value = set ? value | REDIRECT_MARK : value & ~REDIRECT_MARK;
        memcpy(CONST_CAST(struct nlattr *, a) + 1, &value, sizeof value);
    }
}

/* Actions of OpenFlow such as set_queue set all of the priority.  Without the
 * mark the packet would be redirected once more after a tunnel. */
void
redirect_mark_actions(struct nlattr *actions, size_t len)
{
    struct nlattr *a;
    size_t left;

    NL_ATTR_FOR_EACH (a, left, actions, len) {
        if (nl_attr_type(a) == OVS_ACTION_ATTR_CLONE) {
            redirect_mark_actions(CONST_CAST(struct nlattr *, nl_attr_get(a)),
                                  nl_attr_get_size(a));
        } else if (nl_attr_type(a) == OVS_ACTION_ATTR_SET) {
            redirect_patch_priority(CONST_CAST(struct nlattr *,
                                               nl_attr_get(a)),
                                    nl_attr_get_size(a), true);
        }
    }
}

/* Makes the ufid of one of the two flows of 'ctx'. */
void
redirect_ufid_ours(const struct redirect_ctx *ctx, bool outward,
                   ovs_u128 *ufid)
{
    ext_ufid_make(ufid, EXT_UFID_REDIRECT,
                  hash_3words(ctx->id, ctx->generation, outward),
                  ctx->generation, ctx->id << 1 | outward);
}

/* Returns the number of the context of a flow of ours, 0 if it is that for
 * probes. */
unsigned int
redirect_ufid_id(const ovs_u128 *ufid, bool *outward)
{
    *outward = ufid->u32[2] & 1;
    return (ufid->u32[2] & 0xffff) >> 1;
}

/* Makes the ufid of the flow that drops probes that come back from 'port'. */
void
redirect_ufid_probe(odp_port_t port, ovs_u128 *ufid)
{
    ext_ufid_make(ufid, EXT_UFID_REDIRECT,
                  hash_2words(odp_to_u32(port), REDIRECT_PROBE_ID),
                  odp_to_u32(port), 0);
}

void
redirect_set_dpif(struct dpif *dpif)
{
    ovs_mutex_lock(&exec_mutex);
    ovs_mutex_lock(&redirect_mutex);
    flow_dpif = dpif;
    ovs_mutex_unlock(&redirect_mutex);
    ovs_mutex_unlock(&exec_mutex);
}

void
redirect_forget_dpif(const struct dpif *dpif)
{
    ovs_mutex_lock(&exec_mutex);
    ovs_mutex_lock(&redirect_mutex);
    if (flow_dpif == dpif) {
        flow_dpif = NULL;
    }
    ovs_mutex_unlock(&redirect_mutex);
    ovs_mutex_unlock(&exec_mutex);
}

bool
redirect_flow_have_dpif(void)
{
    return flow_dpif != NULL;
}

/* Not by dpif_operate(), which logs a warning where a flow is not there.  The
 * caller holds one of the mutexes. */
static void
operate_one(struct dpif_op *op)
{
    struct dpif_op *ops[1] = { op };

    flow_dpif->dpif_class->operate(flow_dpif, ops, 1, DPIF_OFFLOAD_AUTO);
}

/* Deletes a flow from all PMD threads.  Returns the number of packets that it
 * had matched. */
static uint64_t
flow_del(const ovs_u128 *ufid)
    OVS_REQUIRES(redirect_mutex)
{
    struct dpif_flow_stats stats;
    struct dpif_op op = {
        .type = DPIF_OP_FLOW_DEL,
        .flow_del = { .ufid = ufid, .pmd_id = PMD_ID_NULL, .stats = &stats },
    };

    if (!flow_dpif) {
        return 0;
    }
    memset(&stats, 0, sizeof stats);
    operate_one(&op);
    return stats.n_packets;
}

/* The same for a flow of 'ctx'. */
uint64_t
redirect_flow_del(const struct redirect_ctx *ctx, bool outward)
{
    ovs_u128 ufid;

    redirect_ufid_ours(ctx, outward, &ufid);
    return flow_del(&ufid);
}

/* Deletes a flow of ours that a revalidator has seen if nothing wants it: one
 * that a PMD thread installed long after it asked for the actions. */
void
redirect_flow_check(const ovs_u128 *ufid)
{
    bool outward;

    ovs_mutex_lock(&redirect_mutex);
    if (redirect_ufid_id(ufid, &outward)
        ? !redirect_ctx_owns(ufid)
        : !redirect_is_accelerator(redirect_table_get(),
                                   u32_to_odp(ufid->u32[1]))) {
        COVERAGE_INC(redirect_flow_orphan);
        flow_del(ufid);
    }
    ovs_mutex_unlock(&redirect_mutex);
}

/* The same as redirect_flow_del() for the flow that drops probes. */
void
redirect_flow_del_probe(odp_port_t port)
{
    ovs_u128 ufid;

    redirect_ufid_probe(port, &ufid);
    flow_del(&ufid);
}

/* Makes a packet to send to an accelerator: to UDP port 9 (discard) of an
 * address that is for documentation. */
static struct dp_packet *
probe_packet(struct flow *flow, uint16_t number)
{
    const struct eth_addr mac = ETH_ADDR_C(02,00,00,00,af,f1);
    struct dp_packet *packet = dp_packet_new(0);
    struct ip_header *ip;

    memset(flow, 0, sizeof *flow);
    flow->packet_type = htonl(PT_ETH);
    flow->dl_type = htons(ETH_TYPE_IP);
    flow->dl_src = flow->dl_dst = mac;
    flow->nw_src = flow->nw_dst = htonl(0xc0000201);
    flow->nw_proto = IPPROTO_UDP;
    flow->nw_ttl = 1;
    flow->tp_src = flow->tp_dst = htons(9);
    flow_compose(packet, flow, NULL, 18);
    ip = dp_packet_l3(packet);
    ip->ip_csum = recalc_csum16(ip->ip_csum, ip->ip_id, htons(number));
    ip->ip_id = htons(number);
    return packet;
}

bool
redirect_flow_send_probe(odp_port_t port, unsigned int id, uint16_t number)
{
    struct ovs_action_push_vlan vlan = {
        .vlan_tpid = htons(ETH_TYPE_VLAN_8021AD),
        .vlan_tci = htons(id | VLAN_CFI),
    };
    struct ofpbuf actions;
    bool sent = false;

    ofpbuf_init(&actions, 64);
    nl_msg_put_unspec(&actions, OVS_ACTION_ATTR_PUSH_VLAN, &vlan, sizeof vlan);
    nl_msg_put_odp_port(&actions, OVS_ACTION_ATTR_OUTPUT, port);
    ovs_mutex_lock(&exec_mutex);
    if (flow_dpif) {
        struct flow flow;
        struct dp_packet *packet = probe_packet(&flow, number);
        struct dpif_op op = {
            .type = DPIF_OP_EXECUTE,
            .execute = {
                .actions = actions.data, .actions_len = actions.size,
                .packet = packet, .flow = &flow,
            },
        };

        operate_one(&op);
        dp_packet_delete(packet);
        sent = true;
    }
    ovs_mutex_unlock(&exec_mutex);
    ofpbuf_uninit(&actions);
    return sent;
}

void
redirect_probe(odp_port_t port, unsigned int n)
{
    while (n-- > 0 && redirect_flow_send_probe(port, REDIRECT_PROBE_ID, 0)) {
        continue;
    }
}

/* Returns the number of packets that the outward flow of 'ctx' has matched on
 * 'pmd_id', 0 if that has none.  There must be a datapath. */
uint64_t
redirect_flow_packets(const struct redirect_ctx *ctx, unsigned int pmd_id)
{
    uint64_t stub[DPIF_FLOW_BUFSIZE / 8];
    struct dpif_flow flow;
    struct ofpbuf buf;
    ovs_u128 ufid;
    struct dpif_op op = {
        .type = DPIF_OP_FLOW_GET,
        .flow_get = {
            .ufid = &ufid, .pmd_id = pmd_id, .buffer = &buf, .flow = &flow,
        },
    };

    redirect_ufid_ours(ctx, true, &ufid);
    ofpbuf_use_stub(&buf, stub, sizeof stub);
    operate_one(&op);
    ofpbuf_uninit(&buf);
    return op.error ? 0 : flow.stats.n_packets;
}
