/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Redirection and the flows of the datapath: ufids, what revalidators see and
 * do, and the deletion of our own. */

#include <config.h>

#include "datapath-hooks/affinity/redirect-impl.h"

#include <string.h>

#include "coverage.h"
#include "csum.h"
#include "dp-packet.h"
#include "dpif-provider.h"
#include "hash.h"
#include "netlink.h"
#include "odp-netlink.h"
#include "openvswitch/ofpbuf.h"
#include "packets.h"
#include "timeval.h"
#include "util.h"

COVERAGE_DEFINE(redirect_flow_expired);
COVERAGE_DEFINE(redirect_flow_put_marked);

/* The ends of ufids.  Those of Open vSwitch's own are hashes, so that one
 * looks like ours once in 2**32 flows, or 2**48 for UFID_OURS, where it would
 * matter. */
#define UFID_OURS UINT32_C(0xaff1a001)
#define UFID_SERVED UINT32_C(0xaff1a5ed)
#define UFID_DIRECT UINT32_C(0xaff1ad1c)
#define UFID_OURS_TAG UINT32_C(0x0a550000)

static struct dpif *flow_dpif OVS_GUARDED_BY(redirect_mutex);

/* Revalidators write, agent reads: when one last saw a flow that we have not
 * marked, in ms, and how often one saw the end of a dump. */
static ATOMIC(long long int) last_unknown;
static ATOMIC(unsigned int) n_dumps;

long long int
redirect_last_unknown(void)
{
    long long int when;

    atomic_read_relaxed(&last_unknown, &when);
    return when;
}

unsigned int
redirect_n_dumps(void)
{
    unsigned int n;

    atomic_read_relaxed(&n_dumps, &n);
    return n;
}

enum redirect_kind
redirect_ufid_kind(const ovs_u128 *ufid)
{
    switch (ufid->u32[3]) {
    case UFID_OURS:
        return ((ufid->u32[2] & 0xffff0000) == UFID_OURS_TAG
                ? REDIRECT_OURS : REDIRECT_UNKNOWN);
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

/* Makes the ufid of one of the two flows of 'ctx'. */
void
redirect_ufid_ours(const struct redirect_ctx *ctx, bool outward,
                   ovs_u128 *ufid)
{
    ufid->u32[0] = hash_3words(ctx->id, ctx->generation, outward);
    ufid->u32[1] = ctx->generation;
    ufid->u32[2] = UFID_OURS_TAG | ctx->id << 1 | outward;
    ufid->u32[3] = UFID_OURS;
}

/* Makes the ufid of the flow that drops probes that come back from 'port'. */
void
redirect_ufid_probe(odp_port_t port, ovs_u128 *ufid)
{
    ufid->u32[0] = hash_2words(odp_to_u32(port), REDIRECT_PROBE_ID);
    ufid->u32[1] = odp_to_u32(port);
    ufid->u32[2] = UFID_OURS_TAG;
    ufid->u32[3] = UFID_OURS;
}

void
redirect_set_dpif(struct dpif *dpif)
{
    ovs_mutex_lock(&redirect_mutex);
    flow_dpif = dpif;
    ovs_mutex_unlock(&redirect_mutex);
}

void
redirect_forget_dpif(const struct dpif *dpif)
{
    ovs_mutex_lock(&redirect_mutex);
    if (flow_dpif == dpif) {
        flow_dpif = NULL;
    }
    ovs_mutex_unlock(&redirect_mutex);
}

bool
redirect_flow_have_dpif(void)
{
    return flow_dpif != NULL;
}

/* Not by dpif_operate(), which logs a warning where a flow is not there. */
static void
operate_one(struct dpif_op *op)
    OVS_REQUIRES(redirect_mutex)
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

/* The same for the flow that drops probes. */
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
    ovs_mutex_lock(&redirect_mutex);
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
    ovs_mutex_unlock(&redirect_mutex);
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

/* Returns the number of packets that the outward flow of 'ctx' has matched. */
uint64_t
redirect_flow_packets(const struct redirect_ctx *ctx)
{
    uint64_t stub[DPIF_FLOW_BUFSIZE / 8];
    uint64_t total = 0;
    struct ofpbuf buf;
    ovs_u128 ufid;

    if (!flow_dpif) {
        return ctx->live;
    }
    redirect_ufid_ours(ctx, true, &ufid);
    ofpbuf_use_stub(&buf, stub, sizeof stub);
    for (size_t i = 0; i < ctx->n_pmds; i++) {
        struct dpif_flow flow;
        struct dpif_op op = {
            .type = DPIF_OP_FLOW_GET,
            .flow_get = {
                .ufid = &ufid, .pmd_id = ctx->pmds[i],
                .buffer = &buf, .flow = &flow,
            },
        };

        ofpbuf_clear(&buf);
        operate_one(&op);
        if (!op.error) {
            total += flow.stats.n_packets;
        }
    }
    ofpbuf_uninit(&buf);
    return total;
}

/* Revalidators. */

static bool
is_userspace(const struct dpif *dpif)
{
    const char *type = dpif->dpif_class->type;

    return !strcmp(type, "netdev") || !strcmp(type, "dummy");
}

static bool
in_revalidator(void)
{
    return !strncmp(get_subprogram_name(), "revalidator", 11);
}

/* Sets or clears the mark in the priority of 'key', which is 'len' bytes
 * long. */
static void
patch_priority(struct nlattr *key, size_t len, bool set)
{
    const struct nlattr *a = nl_attr_find__(key, len, OVS_KEY_ATTR_PRIORITY);

    if (a) {
        uint32_t value = nl_attr_get_u32(a);

        value = set ? value | REDIRECT_MARK : value & ~REDIRECT_MARK;
        memcpy(CONST_CAST(struct nlattr *, a) + 1, &value, sizeof value);
    }
}

/* Decides what a revalidator is to think of a flow that it has dumped.
 * Returns false if it is to see nothing of it. */
static bool
judge_flow(struct dpif_flow *f, const struct redirect_table *table)
{
    bool armed = table->n_accels > 0;
    bool expired = false;

    if (!f->ufid_present) {
        return true;
    }
    switch (redirect_ufid_kind(&f->ufid)) {
    case REDIRECT_OURS:
        return false;
    case REDIRECT_SERVED:
        patch_priority(CONST_CAST(struct nlattr *, f->key), f->key_len,
                       false);
        patch_priority(CONST_CAST(struct nlattr *, f->mask), f->mask_len,
                       false);
        break;
    case REDIRECT_DIRECT:
        expired = !armed || redirect_rule_has_hash(table, f->ufid.u32[2]);
        break;
    case REDIRECT_UNKNOWN:
        expired = armed;
        atomic_store_relaxed(&last_unknown, time_msec());
        break;
    }
    if (expired) {
        COVERAGE_INC(redirect_flow_expired);
        f->stats.used = LLONG_MIN / 2;
    }
    return true;
}

int
redirect_flow_dump(struct dpif_flow_dump_thread *thread,
                   struct dpif_flow *flows, int max)
{
    int n, kept;

    if (!is_userspace(thread->dpif) || !in_revalidator()) {
        return ext_real_flow_dump(thread, flows, max);
    }
    do {
        const struct redirect_table *table = redirect_table_get();

        n = ext_real_flow_dump(thread, flows, max);
        kept = 0;
        for (int i = 0; i < n; i++) {
            if (judge_flow(&flows[i], table)) {
                flows[kept++] = flows[i];
            }
        }
    } while (n > 0 && !kept);
    if (!n) {
        unsigned int count;

        atomic_add_relaxed(&n_dumps, 1, &count);
    }
    return kept;
}

void
redirect_flow_get(struct dpif_flow *f)
{
    if (f->ufid_present && redirect_ufid_kind(&f->ufid) == REDIRECT_SERVED
        && in_revalidator()) {
        patch_priority(CONST_CAST(struct nlattr *, f->key), f->key_len,
                       false);
        patch_priority(CONST_CAST(struct nlattr *, f->mask), f->mask_len,
                       false);
    }
}

/* Makes '*copy' do what 'put', a change to a served flow, is for: the same
 * with the mark in key and mask.  'buf' keeps the memory. */
static void
mark_put(struct dpif_op *copy, const struct dpif_op *op, struct ofpbuf *buf)
{
    const struct dpif_flow_put *put = &op->flow_put;
    struct nlattr *key, *mask;

    ofpbuf_init(buf, put->key_len + put->mask_len);
    key = ofpbuf_put(buf, put->key, put->key_len);
    mask = ofpbuf_put(buf, put->mask, put->mask_len);
    patch_priority(key, put->key_len, true);
    patch_priority(mask, put->mask_len, true);

    *copy = *op;
    copy->flow_put.key = key;
    if (put->mask) {
        copy->flow_put.mask = mask;
    }
    COVERAGE_INC(redirect_flow_put_marked);
}

/* Returns true if 'op' would change a direct flow of a profile that is
 * redirected now.  It must not: the flow is about to be deleted, and until
 * then the datapath may take the outward flow for it, which overlaps. */
static bool
is_put_to_expired(const struct dpif_op *op, const struct redirect_table *table)
{
    const ovs_u128 *ufid = op->flow_put.ufid;

    return (redirect_ufid_kind(ufid) == REDIRECT_DIRECT
            && redirect_rule_has_hash(table, ufid->u32[2]));
}

void
redirect_operate(struct dpif *dpif, struct dpif_op **ops, size_t n,
                 enum dpif_offload_type offload)
{
    const struct redirect_table *table = redirect_table_get();
    struct dpif_op **todo, *copies;
    struct ofpbuf *bufs;
    size_t n_todo = 0;

    if (!is_userspace(dpif)) {
        ext_real_dpif_operate(dpif, ops, n, offload);
        return;
    }
    todo = xmalloc(n * sizeof *todo);
    copies = xmalloc(n * sizeof *copies);
    bufs = xzalloc(n * sizeof *bufs);
    for (size_t i = 0; i < n; i++) {
        struct dpif_op *op = ops[i];

        if (op->type == DPIF_OP_FLOW_PUT && op->flow_put.ufid) {
            if (is_put_to_expired(op, table)) {
                op->error = 0;
                continue;
            } else if (redirect_ufid_kind(op->flow_put.ufid)
                       == REDIRECT_SERVED) {
                mark_put(&copies[i], op, &bufs[i]);
                op = &copies[i];
            }
        }
        todo[n_todo++] = op;
    }
    ext_real_dpif_operate(dpif, todo, n_todo, offload);
    for (size_t i = 0; i < n; i++) {
        if (bufs[i].base) {
            ops[i]->error = copies[i].error;
            ofpbuf_uninit(&bufs[i]);
        }
    }
    free(bufs);
    free(copies);
    free(todo);
}
