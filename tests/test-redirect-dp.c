/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* The datapath: flows, packets, accelerators. */

#include <config.h>

#include "tests/test-redirect-dp.h"

#include <errno.h>

#include "dp-packet.h"
#include "dpif-provider.h"
#include "hash.h"
#include "netlink.h"
#include "openvswitch/ofpbuf.h"
#include "packets.h"
#include "tests/test-util.h"

enum {
    N_SLOTS = 64,               /* Packets that accelerators have. */
    MAX_ACTIONS = 64
};

struct dp_flow {
    struct hmap_node node;      /* By tuple. */
    struct dp_tuple tuple;
    ovs_u128 ufid;
    size_t actions_len;
    uint8_t actions[MAX_ACTIONS];
    uint64_t n_packets;
};

static struct dp_pmd {
    struct ovs_mutex mutex;
    struct hmap flows OVS_GUARDED;
} pmds[DP_PMDS];

/* dpif-netdev holds this while the main thread polls ports, and for packets
 * that others have it execute. */
static struct ovs_mutex non_pmd_mutex = OVS_MUTEX_INITIALIZER;

/* Words of packets: a valid bit and fields, by position. */
static ATOMIC(uint64_t) slots[N_SLOTS];
static ATOMIC(unsigned int) next_slot;
#define WORD_VALID (UINT64_C(1) << 63)
enum { W_ID = 0, W_PORT = 12, W_MARK = 16, W_PRIORITY = 20, W_VID = 24,
       W_PROTO = 28, W_ACCEL = 36, W_NUMBER = 40 };

static unsigned int
word_get(uint64_t word, int at, unsigned int mask)
{
    return word >> at & mask;
}

/* What the redirection calls. */

struct ext_hooks ext_hooks;

void
ext_real_pop_header(struct netdev *netdev OVS_UNUSED,
                    struct dp_packet_batch *batch OVS_UNUSED)
{
    OVS_NOT_REACHED();          /* There are no tunnels. */
}

/* Flows. */

static struct dp_flow *
flow_find(struct dp_pmd *pmd, const ovs_u128 *ufid)
    OVS_REQUIRES(pmd->mutex)
{
    struct dp_flow *flow;

    HMAP_FOR_EACH (flow, node, &pmd->flows) {
        if (ovs_u128_equals(flow->ufid, *ufid)) {
            return flow;
        }
    }
    return NULL;
}

static void
flow_delete(unsigned int i, const ovs_u128 *ufid,
            struct dpif_flow_stats *stats)
{
    struct dp_pmd *pmd = &pmds[i];
    struct dp_flow *flow;

    ovs_mutex_lock(&pmd->mutex);
    flow = flow_find(pmd, ufid);
    if (flow) {
        hmap_remove(&pmd->flows, &flow->node);
        if (stats) {
            stats->n_packets += flow->n_packets;
        }
        free(flow);
    }
    ovs_mutex_unlock(&pmd->mutex);
}

static bool
flow_get(unsigned int i, const ovs_u128 *ufid, struct dpif_flow_stats *stats)
{
    struct dp_pmd *pmd = &pmds[i];
    struct dp_flow *flow;

    ovs_mutex_lock(&pmd->mutex);
    flow = flow_find(pmd, ufid);
    if (flow && stats) {
        memset(stats, 0, sizeof *stats);
        stats->n_packets = flow->n_packets;
    }
    ovs_mutex_unlock(&pmd->mutex);
    return flow != NULL;
}

/* Copies the actions of the flow of 'tuple'.  Returns false on a miss. */
static bool
flow_lookup(struct dp_pmd *pmd, const struct dp_tuple *tuple,
            struct ofpbuf *actions)
{
    uint32_t hash = hash_bytes(tuple, sizeof *tuple, 0);
    struct dp_flow *flow;
    bool found = false;

    ovs_mutex_lock(&pmd->mutex);
    HMAP_FOR_EACH_WITH_HASH (flow, node, hash, &pmd->flows) {
        if (!memcmp(&flow->tuple, tuple, sizeof *tuple)) {
            flow->n_packets++;
            ofpbuf_put(actions, flow->actions, flow->actions_len);
            found = true;
            break;
        }
    }
    ovs_mutex_unlock(&pmd->mutex);
    return found;
}

static void
flow_install(struct dp_pmd *pmd, const struct dp_tuple *tuple,
             const ovs_u128 *ufid, const struct ofpbuf *actions)
{
    struct dp_flow *flow = xzalloc(sizeof *flow);

    CHECK(actions->size <= sizeof flow->actions);
    flow->tuple = *tuple;
    flow->ufid = *ufid;
    flow->actions_len = actions->size;
    if (actions->size) {
        memcpy(flow->actions, actions->data, actions->size);
    }
    ovs_mutex_lock(&pmd->mutex);
    CHECK(!flow_find(pmd, ufid));
    hmap_insert(&pmd->flows, &flow->node,
                hash_bytes(tuple, sizeof *tuple, 0));
    ovs_mutex_unlock(&pmd->mutex);
}

bool
dp_has_flow(unsigned int pmd, const ovs_u128 *ufid)
{
    return flow_get(pmd, ufid, NULL);
}

unsigned int
dp_count_ours(void)
{
    unsigned int n = 0;

    for (size_t i = 0; i < DP_PMDS; i++) {
        struct dp_flow *flow;

        ovs_mutex_lock(&pmds[i].mutex);
        HMAP_FOR_EACH (flow, node, &pmds[i].flows) {
            n += redirect_ufid_kind(&flow->ufid) == REDIRECT_OURS;
        }
        ovs_mutex_unlock(&pmds[i].mutex);
    }
    return n;
}

/* Packets. */

static void
tuple_to_flow(const struct dp_tuple *tuple, struct flow *flow)
{
    memset(flow, 0, sizeof *flow);
    flow->packet_type = htonl(PT_ETH);
    flow->in_port.odp_port = u32_to_odp(tuple->port);
    flow->skb_priority = tuple->priority;
    flow->pkt_mark = tuple->mark;
    flow->dl_type = htons(ETH_TYPE_IP);
    flow->nw_proto = tuple->proto;
    if (tuple->vid) {
        flow->vlans[0].tpid = htons(tuple->outer ? ETH_TYPE_VLAN_8021AD
                                    : ETH_TYPE_VLAN);
        flow->vlans[0].tci = htons(tuple->vid | VLAN_CFI);
    }
}

static int
miss(unsigned int pmd_id, const struct dp_packet *packet,
     const struct dp_tuple *tuple, ovs_u128 *ufid, struct ofpbuf *actions)
{
    ext_translate_func *hook;
    struct flow_wildcards wc;
    struct flow flow;
    bool noted = true;

    memset(&wc, 0, sizeof wc);
    tuple_to_flow(tuple, &flow);
    hash_bytes128(&flow, sizeof flow, 0, ufid);
    atomic_read_relaxed(&ext_hooks.translate, &hook);
    return (hook
            ? hook(packet, &flow, ufid, pmd_id, DPIF_UC_MISS, NULL, actions,
                   &wc, NULL, dp_translate, NULL, &noted)
            : dp_translate(packet, &flow, ufid, pmd_id, DPIF_UC_MISS, NULL,
                           actions, &wc, NULL, NULL));
}

/* Puts a packet into an accelerator.  Returns false if another one is lost:
 * there are too many. */
static bool
wire_put(uint64_t word)
{
    unsigned int i;

    atomic_add_relaxed(&next_slot, 1, &i);
    return !atomic_exchange_explicit(&slots[i % N_SLOTS], word | WORD_VALID,
                                     memory_order_relaxed);
}

/* The end: everything must be as it was before. */
static void
finish(const struct dp_tuple *tuple, const struct dp_tuple *orig,
       struct dp_counts *counts)
{
    CHECK(orig);
    CHECK_EQ(tuple->port, orig->port);
    CHECK_EQ(tuple->mark, orig->mark);
    CHECK_EQ(tuple->vid, orig->vid);
    CHECK_EQ(tuple->proto, orig->proto);
    CHECK_EQ(tuple->priority & ~REDIRECT_MARK, orig->priority);
    CHECK(!tuple->outer);
    if (tuple->priority & REDIRECT_MARK) {
        counts->served++;
    } else {
        counts->direct++;
    }
}

/* A packet on its way through 'pmd_id'. */
struct walk {
    unsigned int pmd_id;
    struct dp_packet *packet;   /* Null when gone. */
    struct dp_tuple tuple;
    const struct dp_tuple *orig;        /* Null if never sent. */
    struct dp_counts *counts;
};

static uint64_t
walk_to_word(const struct walk *w, unsigned int id, unsigned int accel)
{
    const struct dp_tuple *t = w->orig;
    const struct redirect_ctx *ctx = redirect_ctx_get(id);
    uint64_t generation = ctx ? ctx->generation & 0xffff : 0;

    return ((uint64_t) id << W_ID | (uint64_t) t->port << W_PORT
            | (uint64_t) t->mark << W_MARK
            | (uint64_t) t->priority << W_PRIORITY
            | (uint64_t) t->vid << W_VID | (uint64_t) t->proto << W_PROTO
            | (uint64_t) (accel - DP_ACCEL) << W_ACCEL
            | generation << W_NUMBER);
}

/* Hands the packet to the hook 'pop'. */
static void
walk_pop(struct walk *w, odp_port_t port)
{
    struct dp_packet_batch batch;

    dp_packet_batch_init_packet(&batch, w->packet);
    redirect_pop(NULL, &batch);
    if (dp_packet_batch_is_empty(&batch)) {
        w->packet = NULL;
        w->counts->lost++;
        return;
    }
    w->tuple.port = odp_to_u32(port);
    w->tuple.priority = w->packet->md.skb_priority;
    w->tuple.mark = w->packet->md.pkt_mark;
}

/* Carries out 'actions'.  Returns true if the packet comes in again. */
static bool
walk_actions(struct walk *w, const struct ofpbuf *actions)
{
    unsigned int left, port, id = 0;
    const struct nlattr *a;

    NL_ATTR_FOR_EACH (a, left, actions->data, actions->size) {
        switch (nl_attr_type(a)) {
        case OVS_ACTION_ATTR_PUSH_VLAN: {
            const struct ovs_action_push_vlan *vlan = nl_attr_get(a);

            id = ntohs(vlan->vlan_tci) & VLAN_VID_MASK;
            break;
        }
        case OVS_ACTION_ATTR_SET:
            w->packet->md.skb_priority = nl_attr_get_u32(nl_attr_get(a));
            break;
        case OVS_ACTION_ATTR_POP_VLAN:
            w->tuple.outer = false;
            w->tuple.vid = w->orig ? w->orig->vid : 0;
            w->tuple.proto = w->orig ? w->orig->proto : 0;
            break;
        case OVS_ACTION_ATTR_TUNNEL_POP:
            walk_pop(w, nl_attr_get_odp_port(a));
            return w->packet != NULL;
        case OVS_ACTION_ATTR_OUTPUT:
            port = nl_attr_get_u32(a);
            if (port != DP_END) {
                w->counts->sent++;
                w->counts->lost += !wire_put(walk_to_word(w, id, port));
            } else if (w->orig) {
                finish(&w->tuple, w->orig, w->counts);
            }
            return false;
        default:
            OVS_NOT_REACHED();
        }
    }
    w->counts->lost++;          /* Dropped. */
    return false;
}

static void
walk__(struct walk *w)
{
    struct dp_pmd *pmd = &pmds[w->pmd_id];
    uint64_t stub[MAX_ACTIONS / 8];
    struct ofpbuf actions;
    bool again;

    do {
        struct dp_tuple tuple = w->tuple;
        ovs_u128 ufid;
        int error = 0;
        bool hit;

        ofpbuf_use_stub(&actions, stub, sizeof stub);
        hit = flow_lookup(pmd, &tuple, &actions);
        if (!hit) {
            error = miss(w->pmd_id, w->packet, &tuple, &ufid, &actions);
        }
        again = walk_actions(w, &actions);
        if (!hit && !error) {
            flow_install(pmd, &tuple, &ufid, &actions);
        }
        ofpbuf_uninit(&actions);
    } while (again);
    dp_packet_delete(w->packet);
}

static void
walk(struct walk *w)
    OVS_NO_THREAD_SAFETY_ANALYSIS
{
    if (w->pmd_id == DP_NON_PMD) {
        ovs_mutex_lock(&non_pmd_mutex);
    }
    walk__(w);
    if (w->pmd_id == DP_NON_PMD) {
        ovs_mutex_unlock(&non_pmd_mutex);
    }
}

void
dp_receive(unsigned int pmd, const struct dp_tuple *tuple,
           struct dp_counts *counts)
{
    struct walk w = { pmd, dp_packet_new(64), *tuple, tuple, counts };

    pkt_metadata_init(&w.packet->md, u32_to_odp(tuple->port));
    w.packet->md.skb_priority = tuple->priority;
    w.packet->md.pkt_mark = tuple->mark;
    walk(&w);
}

/* A timed probe is told from others by its Identification field. */
static void
put_ip_id(struct dp_packet *packet, uint16_t number)
{
    struct ip_header *ip;

    dp_packet_put_zeros(packet, ETH_HEADER_LEN + IP_HEADER_LEN);
    dp_packet_reset_offsets(packet);
    dp_packet_set_l3(packet, (char *) dp_packet_data(packet)
                     + ETH_HEADER_LEN);
    ip = dp_packet_l3(packet);
    ip->ip_id = htons(number);
}

void
dp_return(unsigned int pmd, unsigned int slot, struct dp_counts *counts)
{
    uint64_t word = atomic_exchange_explicit(&slots[slot % N_SLOTS], 0,
                                             memory_order_relaxed);
    unsigned int id = word_get(word, W_ID, 0xfff);
    unsigned int number = word_get(word, W_NUMBER, 0xffff);
    const struct redirect_ctx *ctx = redirect_ctx_get(id);
    struct dp_tuple orig = {
        .port = word_get(word, W_PORT, 15),
        .mark = word_get(word, W_MARK, 15),
        .priority = word_get(word, W_PRIORITY, 15),
        .vid = word_get(word, W_VID, 15),
        .proto = word_get(word, W_PROTO, 255),
    };
    struct walk w = { .pmd_id = pmd, .counts = counts };

    if (!word) {
        return;
    } else if (ctx && (ctx->generation & 0xffff) != number) {
        counts->lost++;         /* Longer on its way than IDs last. */
        return;
    }
    counts->returned++;
    w.orig = orig.port ? &orig : NULL;
    w.tuple.port = DP_ACCEL + word_get(word, W_ACCEL, 15);
    w.tuple.vid = id;           /* All that return flows match. */
    w.tuple.outer = true;
    w.packet = dp_packet_new(64);
    pkt_metadata_init(&w.packet->md, u32_to_odp(w.tuple.port));
    put_ip_id(w.packet, number);
    walk(&w);
}

void
dp_return_garbage(unsigned int pmd, unsigned int vid,
                  struct dp_counts *counts)
{
    struct walk w = {
        .pmd_id = pmd, .packet = dp_packet_new(64), .counts = counts,
        .tuple = { .port = DP_ACCEL, .vid = vid, .outer = vid != 0 },
    };

    pkt_metadata_init(&w.packet->md, u32_to_odp(DP_ACCEL));
    walk(&w);
}

/* The datapath interface. */

static void
operate_put(struct dpif_op *op)
{
    const struct dpif_flow_put *put = &op->flow_put;
    const struct nlattr *a = nl_attr_find__(put->key, put->key_len,
                                            OVS_KEY_ATTR_PRIORITY);
    bool served = redirect_ufid_kind(put->ufid) == REDIRECT_SERVED;

    CHECK_EQ((nl_attr_get_u32(a) & REDIRECT_MARK) != 0, served);
    CHECK(put->flags == DPIF_FP_MODIFY);
    op->error = flow_get(put->pmd_id, put->ufid, NULL) ? 0 : ENOENT;
}

/* A probe, with a number in its Identification field. */
static void
operate_execute(struct dpif_op *op)
{
    const struct dpif_execute *execute = &op->execute;
    const struct ip_header *ip = dp_packet_l3(execute->packet);
    const struct ovs_action_push_vlan *vlan;
    const struct nlattr *a;
    uint64_t accel, id;

    a = nl_attr_find__(execute->actions, execute->actions_len,
                       OVS_ACTION_ATTR_PUSH_VLAN);
    vlan = nl_attr_get(a);
    id = ntohs(vlan->vlan_tci) & VLAN_VID_MASK;
    a = nl_attr_find__(execute->actions, execute->actions_len,
                       OVS_ACTION_ATTR_OUTPUT);
    accel = nl_attr_get_u32(a) - DP_ACCEL;
    ovs_mutex_lock(&non_pmd_mutex);
    wire_put(id << W_ID | accel << W_ACCEL
             | (uint64_t) ntohs(ip->ip_id) << W_NUMBER);
    ovs_mutex_unlock(&non_pmd_mutex);
}

static void
operate(struct dpif *dpif OVS_UNUSED, struct dpif_op **ops, size_t n,
        enum dpif_offload_type offload OVS_UNUSED)
{
    for (size_t i = 0; i < n; i++) {
        struct dpif_op *op = ops[i];

        op->error = 0;
        switch (op->type) {
        case DPIF_OP_FLOW_PUT:
            operate_put(op);
            break;
        case DPIF_OP_FLOW_DEL:
            for (unsigned int j = 0; j < DP_PMDS; j++) {
                if (op->flow_del.pmd_id == j
                    || op->flow_del.pmd_id == PMD_ID_NULL) {
                    flow_delete(j, op->flow_del.ufid, op->flow_del.stats);
                }
            }
            break;
        case DPIF_OP_FLOW_GET:
            op->error = (flow_get(op->flow_get.pmd_id, op->flow_get.ufid,
                                  &op->flow_get.flow->stats) ? 0 : ENOENT);
            break;
        case DPIF_OP_EXECUTE:
            operate_execute(op);
            break;
        }
    }
}

void
ext_real_dpif_operate(struct dpif *dpif, struct dpif_op **ops, size_t n,
                      enum dpif_offload_type offload)
{
    operate(dpif, ops, n, offload);
}

static const struct dpif_class dp_class = {
    .type = "netdev",
    .operate = operate,
};
struct dpif dp_dpif = { .dpif_class = &dp_class };

int
ext_real_flow_dump(struct dpif_flow_dump_thread *thread,
                   struct dpif_flow *flows, int max)
{
    struct dp_dump *dump = CONTAINER_OF(thread, struct dp_dump, up);
    int n = 0;

    for (; !n && dump->pmd < DP_PMDS; ) {
        struct dp_pmd *pmd = &pmds[dump->pmd];
        struct hmap_node *node;

        ovs_mutex_lock(&pmd->mutex);
        while (n < max
               && (node = hmap_at_position(&pmd->flows, &dump->pos))) {
            struct dp_flow *flow = CONTAINER_OF(node, struct dp_flow, node);
            struct ofpbuf key;

            ofpbuf_use_stack(&key, dump->keys[n], sizeof dump->keys[n]);
            nl_msg_put_u32(&key, OVS_KEY_ATTR_PRIORITY,
                           flow->tuple.priority);
            flows[n++] = (struct dpif_flow) {
                .key = key.data, .key_len = key.size,
                .mask = key.data, .mask_len = key.size,
                .ufid = flow->ufid, .ufid_present = true,
                .pmd_id = dump->pmd,
                .stats.n_packets = flow->n_packets,
            };
        }
        ovs_mutex_unlock(&pmd->mutex);
        if (n < max) {
            dump->pmd++;
            memset(&dump->pos, 0, sizeof dump->pos);
        }
    }
    return n;
}

void
dp_init(void)
{
    for (size_t i = 0; i < DP_PMDS; i++) {
        ovs_mutex_init(&pmds[i].mutex);
        hmap_init(&pmds[i].flows);
    }
}
