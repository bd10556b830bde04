/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/steering/steer-warm.h"

#include <errno.h>

#include "coverage.h"
#include "dpif-provider.h"
#include "dpif.h"
#include "flow.h"
#include "hash.h"
#include "odp-netlink.h"
#include "odp-util.h"
#include "openvswitch/hmap.h"
#include "openvswitch/ofpbuf.h"
#include "openvswitch/vlog.h"

VLOG_DEFINE_THIS_MODULE(steer_warm);

COVERAGE_DEFINE(steer_warm_put);

enum {
    STEER_WARM_MAX = 200000,    /* Flows in the map (OVS's flow-limit). */
    STEER_WARM_SWEEP = 32,      /* Flows checked a tick... */
    STEER_WARM_SWEEP_FULL = 512 /* ...while the map is more than half full. */
};

struct steer_flow {
    struct hmap_node node;      /* In 'flows', by ufid. */
    struct hmap_node by_hash;   /* In 'buckets', by port and hash. */
    ovs_u128 ufid;
    odp_port_t in_port;
    uint32_t hash;              /* RSS hash of one of its packets. */
    bool exact;                 /* Matches one 5-tuple. */
    uint64_t on;                /* Wildcarded: cores it was put on, % 64. */
};

/* Hashes are kept whole; buckets are their low bits, at most this many. */
#define STEER_HASH_MASK (STEER_MAX_BUCKETS - 1)

static struct hmap flows = HMAP_INITIALIZER(&flows);
static struct hmap buckets = HMAP_INITIALIZER(&buckets);
static struct steer_warm_stats stats;
static struct dpif *dpif OVS_GUARDED_BY(steer_mutex);

/* Where the sweep stands in 'flows'. */
static struct hmap_position sweep;

void
steer_warm_set_dpif(struct dpif *dpif_)
{
    ovs_mutex_lock(&steer_mutex);
    dpif = dpif_;
    ovs_mutex_unlock(&steer_mutex);
}

void
steer_warm_forget_dpif(const struct dpif *dpif_)
{
    ovs_mutex_lock(&steer_mutex);
    if (dpif == dpif_) {
        dpif = NULL;
    }
    ovs_mutex_unlock(&steer_mutex);
}

const struct steer_warm_stats *
steer_warm_stats(void)
{
    return &stats;
}

/* Wildcarded flows go under hash bucket STEER_MAX_BUCKETS of their port. */
static uint32_t
steer_flow_slot(odp_port_t in_port, uint32_t low_bits)
{
    return hash_2words(odp_to_u32(in_port), low_bits);
}

static struct steer_flow *
steer_flow_find(const ovs_u128 *ufid)
{
    struct steer_flow *flow;

    HMAP_FOR_EACH_WITH_HASH (flow, node, ufid->u32[0], &flows) {
        if (ovs_u128_equals(flow->ufid, *ufid)) {
            return flow;
        }
    }
    return NULL;
}

static void
steer_flow_add(const struct steer_miss *miss)
{
    struct steer_flow *flow = steer_flow_find(&miss->ufid);

    if (flow) {
        flow->on |= UINT64_C(1) << (miss->pmd_id % 64);
        return;
    }
    if (hmap_count(&flows) >= STEER_WARM_MAX) {
        stats.lost++;
        return;
    }
    flow = xmalloc(sizeof *flow);
    flow->ufid = miss->ufid;
    flow->in_port = miss->in_port;
    flow->hash = miss->hash;
    flow->exact = miss->exact;
    flow->on = UINT64_C(1) << (miss->pmd_id % 64);
    hmap_insert(&flows, &flow->node, flow->ufid.u32[0]);
    hmap_insert(&buckets, &flow->by_hash,
                steer_flow_slot(flow->in_port,
                                flow->exact ? flow->hash & STEER_HASH_MASK
                                : STEER_MAX_BUCKETS));
    stats.known++;
}

static void
steer_flow_remove(struct steer_flow *flow)
{
    hmap_remove(&flows, &flow->node);
    hmap_remove(&buckets, &flow->by_hash);
    free(flow);
}

void
steer_warm_clear(void)
{
    struct steer_flow *flow;

    HMAP_FOR_EACH_SAFE (flow, node, &flows) {
        steer_flow_remove(flow);
    }
}

/* Carries out 'op'.  Not by dpif_operate(), which logs a warning when a flow
 * is not there: here that is an answer like any other. */
static int
steer_warm_operate(struct dpif_op *op)
{
    struct dpif_op *ops[1] = { op };

    dpif->dpif_class->operate(dpif, ops, 1, DPIF_OFFLOAD_NEVER);
    return op->error;
}

/* Returns true if 'flow' is on core 'pmd_id', or with PMD_ID_NULL on any. */
static bool
steer_flow_get(const struct steer_flow *flow, unsigned int pmd_id,
               struct ofpbuf *buf, struct dpif_flow *df)
{
    struct dpif_op op = {
        .type = DPIF_OP_FLOW_GET,
        .flow_get = {
            .ufid = &flow->ufid,
            .pmd_id = pmd_id,
            .buffer = buf,
            .flow = df,
        },
    };

    ofpbuf_clear(buf);
    return !steer_warm_operate(&op);
}

/* Checks some flows of the map and drops those that the datapath has not got
 * any more. */
static void
steer_warm_sweep(void)
{
    size_t n = (hmap_count(&flows) > STEER_WARM_MAX / 2
                ? STEER_WARM_SWEEP_FULL : STEER_WARM_SWEEP);
    uint64_t stub[1024 / 8];
    struct ofpbuf buf;

    if (!dpif || hmap_is_empty(&flows)) {
        return;
    }
    ofpbuf_use_stub(&buf, stub, sizeof stub);
    while (n-- > 0) {
        struct hmap_node *node = hmap_at_position(&flows, &sweep);
        struct steer_flow *flow;
        struct dpif_flow df;

        if (!node) {
            memset(&sweep, 0, sizeof sweep);
            break;
        }
        flow = CONTAINER_OF(node, struct steer_flow, node);
        if (!steer_flow_get(flow, PMD_ID_NULL, &buf, &df)) {
            steer_flow_remove(flow);
        }
    }
    ofpbuf_uninit(&buf);
}

void
steer_warm_run(void)
{
    for (size_t i = 0; i < STEER_MAX_PMDS; i++) {
        struct steer_pmd *pmd = &steer_pmds[i];
        uint32_t tail = steer_ctr32_get(&pmd->miss_tail);
        uint32_t head;

        atomic_read_explicit(&pmd->miss_head, &head, memory_order_acquire);
        for (; tail != head; tail++) {
            steer_flow_add(&pmd->misses[tail % STEER_MISS_RING]);
        }
        atomic_store_explicit(&pmd->miss_tail, tail, memory_order_release);
    }
    steer_warm_sweep();
    stats.flows = hmap_count(&flows);
}

/* Computes the RSS hash that the device of 'key''s port gives its packets.
 * Returns false if that is not known. */
static bool
steer_warm_hash(const struct flow *key, uint32_t *hash)
    OVS_REQUIRES(steer_mutex)
{
    struct steer_port *port;

    LIST_FOR_EACH (port, node, &steer_ports) {
        if (port->port_no == key->in_port.odp_port) {
            return (port->mech == STEER_MECH_RETA
                    && steer_dev_rss_hash(port->dpdk_port, key, hash));
        }
    }
    return false;
}

void
steer_warm_seed(void)
{
    struct dpif_flow_dump_thread *thread;
    struct dpif_flow_dump *dump;
    struct dpif_flow df[32];
    int n;

    if (!dpif) {
        return;
    }
    dump = dpif_flow_dump_create(dpif, false, NULL);
    thread = dpif_flow_dump_thread_create(dump);
    while ((n = dpif_flow_dump_next(thread, df, ARRAY_SIZE(df))) > 0) {
        for (int i = 0; i < n; i++) {
            struct flow_wildcards wc;
            struct steer_miss miss;
            struct flow key;

            if (!df[i].ufid_present || df[i].pmd_id == NON_PMD_CORE_ID
                || odp_flow_key_to_flow(df[i].key, df[i].key_len, &key, NULL)
                   == ODP_FIT_ERROR
                || odp_flow_key_to_mask(df[i].mask, df[i].mask_len, &wc,
                                        &key, NULL) == ODP_FIT_ERROR) {
                continue;
            }
            miss.ufid = df[i].ufid;
            miss.in_port = key.in_port.odp_port;
            miss.pmd_id = df[i].pmd_id;
            miss.hash = 0;
            miss.exact = (steer_flow_is_exact(&key, &wc.masks)
                          && steer_warm_hash(&key, &miss.hash));
            steer_flow_add(&miss);
        }
    }
    dpif_flow_dump_thread_destroy(thread);
    dpif_flow_dump_destroy(dump);
}

/* Puts 'flow' on core 'to', from core 'from' or any other that has it. */
static bool
steer_flow_put(struct steer_flow *flow, unsigned int from, unsigned int to,
               struct ofpbuf *buf)
{
    struct dpif_flow df;
    struct dpif_op op;
    int error;

    if (steer_flow_get(flow, to, buf, &df)
        || (!steer_flow_get(flow, from, buf, &df)
            && !steer_flow_get(flow, PMD_ID_NULL, buf, &df))) {
        return false;
    }
    op = (struct dpif_op) {
        .type = DPIF_OP_FLOW_PUT,
        .flow_put = {
            .flags = DPIF_FP_CREATE,
            .key = df.key, .key_len = df.key_len,
            .mask = df.mask, .mask_len = df.mask_len,
            .actions = df.actions, .actions_len = df.actions_len,
            .ufid = &flow->ufid,
            .pmd_id = to,
        },
    };
    error = steer_warm_operate(&op);
    if (error) {
        stats.failed += error != EEXIST;
        return false;
    }
    COVERAGE_INC(steer_warm_put);
    stats.put++;
    return true;
}

/* Iterates over the flows of a port whose hash ends in 'low_bits' out of
 * 'mask', and puts them. */
static int
steer_warm_slot(const struct steer_port *port, uint32_t low_bits,
                unsigned int from, unsigned int to, int budget)
{
    uint64_t to_bit = UINT64_C(1) << (to % 64);
    uint64_t stub[2048 / 8];
    struct steer_flow *flow;
    struct ofpbuf buf;
    int n = 0;

    ofpbuf_use_stub(&buf, stub, sizeof stub);
    HMAP_FOR_EACH_WITH_HASH (flow, by_hash,
                             steer_flow_slot(port->port_no, low_bits),
                             &buckets) {
        if (flow->in_port != port->port_no
            || (flow->exact && (flow->hash & STEER_HASH_MASK) != low_bits)
            || (!flow->exact && flow->on & to_bit)) {
            continue;
        }
        if (n >= budget) {
            n = -1;
            break;
        }
        n += steer_flow_put(flow, from, to, &buf);
        flow->on |= to_bit;
    }
    ofpbuf_uninit(&buf);
    return n;
}

int
steer_warm_bucket(const struct steer_port *port, uint32_t bucket,
                  unsigned int from, unsigned int to, int budget)
{
    uint32_t mask = port->rxqs[0]->bucket_mask;
    int total;

    if (port->port_no == ODPP_NONE || !dpif) {
        return 0;
    }
    total = steer_warm_slot(port, STEER_MAX_BUCKETS, from, to, budget);
    for (uint32_t low = bucket & mask; total >= 0 && low < STEER_MAX_BUCKETS;
         low += mask + 1) {
        int n = steer_warm_slot(port, low, from, to, budget - total);

        total = n < 0 ? -1 : total + n;
    }
    return total;
}

uint32_t
steer_warm_count(const struct steer_port *port, uint32_t bucket)
{
    uint32_t mask = port->rxqs[0]->bucket_mask;
    uint32_t n = 0;

    for (uint32_t low = bucket & mask; low < STEER_MAX_BUCKETS;
         low += mask + 1) {
        struct steer_flow *flow;

        HMAP_FOR_EACH_WITH_HASH (flow, by_hash,
                                 steer_flow_slot(port->port_no, low),
                                 &buckets) {
            n += flow->in_port == port->port_no;
        }
    }
    return n;
}
