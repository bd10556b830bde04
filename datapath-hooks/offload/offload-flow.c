/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/offload/offload-flow.h"

#include <stdlib.h>
#include <string.h>

#include "datapath-hooks/offload/offload-queue.h"
#include "datapath-hooks/offload/offload-rte.h"
#include "datapath-hooks/steering/steer.h"
#include "flow.h"
#include "hash.h"
#include "netdev-offload-provider.h"
#include "netdev-provider.h"
#include "openvswitch/match.h"
#include "openvswitch/vlog.h"
#include "ovs-rcu.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(offload_flow);

/* As many offload threads as Open vSwitch allows. */
#define MAX_THREADS 10

struct cmap offload_ports = CMAP_INITIALIZER;
static struct ovs_mutex ports_mutex = OVS_MUTEX_INITIALIZER;

/* Of each offload thread. */
static struct ovs_mutex thread_mutex[MAX_THREADS] = {
    OVS_MUTEX_INITIALIZER, OVS_MUTEX_INITIALIZER, OVS_MUTEX_INITIALIZER,
    OVS_MUTEX_INITIALIZER, OVS_MUTEX_INITIALIZER, OVS_MUTEX_INITIALIZER,
    OVS_MUTEX_INITIALIZER, OVS_MUTEX_INITIALIZER, OVS_MUTEX_INITIALIZER,
    OVS_MUTEX_INITIALIZER,
};

static __thread struct offload_seen seen;

struct offload_seen *
offload_seen(void)
{
    return &seen;
}

#define COUNT(MEMBER, N)                                                \
    do {                                                                \
        OVS_UNUSED __typeof__(N) n_;                                    \
        atomic_add_relaxed(MEMBER, N, &n_);                             \
    } while (0)

/* Threads. */

unsigned int
offload_enter(const ovs_u128 *ufid)
    OVS_NO_THREAD_SAFETY_ANALYSIS
{
    unsigned int tid = netdev_offload_ufid_to_thread_id(*ufid);

    ovs_mutex_lock(&thread_mutex[tid]);
    *netdev_offload_thread_id_get() = tid;
    return tid;
}

void
offload_leave(unsigned int tid)
    OVS_NO_THREAD_SAFETY_ANALYSIS
{
    ovs_mutex_unlock(&thread_mutex[tid]);
}

void
offload_enter_all(void)
    OVS_NO_THREAD_SAFETY_ANALYSIS
{
    for (int i = 0; i < MAX_THREADS; i++) {
        ovs_mutex_lock(&thread_mutex[i]);
    }
}

void
offload_leave_all(void)
    OVS_NO_THREAD_SAFETY_ANALYSIS
{
    for (int i = 0; i < MAX_THREADS; i++) {
        ovs_mutex_unlock(&thread_mutex[i]);
    }
}

/* Ports. */

struct offload_port *
offload_port_find(const struct netdev *netdev)
{
    struct offload_port *port;

    CMAP_FOR_EACH_WITH_HASH (port, node, hash_pointer(netdev, 0),
                             &offload_ports) {
        if (port->netdev == netdev) {
            return port;
        }
    }
    return NULL;
}

/* 'netdev' got flow API 'api'. */
void
offload_port_create(struct netdev *netdev, const struct netdev_flow_api *api)
{
    struct offload_port *port = xzalloc(sizeof *port);

    port->netdev = netdev;
    port->api = api;
    port->name = xstrdup(netdev_get_name(netdev));
    port->is_dpdk = !strcmp(api->type, "dpdk_flow_api");
    ovs_refcount_init(&port->refs);
    atomic_init(&port->dead, false);
    atomic_init(&port->had_stock, false);
    atomic_init(&port->stock_partial, false);
    cmap_init(&port->flows);
    ovs_mutex_init(&port->mutex);
    atomic_init(&port->full_at, UINT32_MAX);
    port->plan_port = -1;

    ovs_mutex_lock(&ports_mutex);
    cmap_insert(&offload_ports, &port->node, hash_pointer(netdev, 0));
    ovs_mutex_unlock(&ports_mutex);
}

static void
offload_port_free(struct offload_port *port)
{
    cmap_destroy(&port->flows);
    ovs_mutex_destroy(&port->mutex);
    free(port->name);
    free(port);
}

void
offload_port_unref(struct offload_port *port)
{
    if (ovs_refcount_unref(&port->refs) == 1) {
        ovsrcu_postpone(offload_port_free, port);
    }
}

/* 'netdev' is about to lose its flow API.  Its rules are gone already. */
void
offload_port_destroy(struct netdev *netdev)
{
    struct offload_port *port = offload_port_find(netdev);
    struct offload_flow *flow;

    if (!port) {
        return;
    }
    offload_enter_all();
    CMAP_FOR_EACH (flow, node, &port->flows) {
        offload_flow_remove(flow);
    }
    atomic_store(&port->dead, true);
    offload_leave_all();

    ovs_mutex_lock(&ports_mutex);
    cmap_remove(&offload_ports, &port->node, hash_pointer(netdev, 0));
    ovs_mutex_unlock(&ports_mutex);
    offload_port_unref(port);
}

/* Flows. */

static uint32_t
ufid_hash(const ovs_u128 *ufid)
{
    return ufid->u32[0];
}

struct offload_flow *
offload_flow_find(const struct offload_port *port, const ovs_u128 *ufid)
{
    struct offload_flow *flow;

    CMAP_FOR_EACH_WITH_HASH (flow, node, ufid_hash(ufid), &port->flows) {
        if (ovs_u128_equals(flow->ufid, *ufid)) {
            return flow;
        }
    }
    return NULL;
}

/* Adds a candidate with 'ufid', which is not among those of 'port'.  It has
 * to be given what to insert by offload_flow_set(), in the same go. */
struct offload_flow *
offload_flow_add(struct offload_port *port, const ovs_u128 *ufid)
{
    struct offload_flow *flow = xzalloc(sizeof *flow);

    flow->ufid = *ufid;
    flow->port = port;
    ovs_refcount_ref(&port->refs);
    ovs_refcount_init(&flow->refs);
    atomic_init(&flow->dead, false);
    ovs_mutex_init(&flow->mutex);
    ovs_mutex_lock(&port->mutex);
    cmap_insert(&port->flows, &flow->node, ufid_hash(ufid));
    ovs_mutex_unlock(&port->mutex);
    return flow;
}

static void
flow_clear(struct offload_flow *flow)
{
    free(flow->flow);
    free(flow->mask);
    free(flow->tun_md);
    free(flow->actions);
}

static void
flow_free(struct offload_flow *flow)
{
    flow_clear(flow);
    ovs_mutex_destroy(&flow->mutex);
    offload_port_unref(flow->port);
    free(flow);
}

/* Takes a reference to a flow that was found without one, in the present RCU
 * period.  Returns false if it is about to be freed. */
bool
offload_flow_try_ref(struct offload_flow *flow)
{
    return ovs_refcount_try_ref_rcu(&flow->refs);
}

void
offload_flow_unref(struct offload_flow *flow)
{
    if (ovs_refcount_unref(&flow->refs) == 1) {
        ovsrcu_postpone(flow_free, flow);
    }
}

/* Takes a copy of what OVS wants offloaded. */
void
offload_flow_set(struct offload_flow *flow, const struct match *match,
                 const struct nlattr *actions, size_t actions_len,
                 const struct offload_info *info)
{
    flow_clear(flow);
    flow->flow = miniflow_create(&match->flow);
    flow->mask = minimask_create(&match->wc);
    flow->tun_md = (match->tun_md.valid
                    ? xmemdup(&match->tun_md, sizeof match->tun_md) : NULL);
    flow->actions = actions_len ? xmemdup(actions, actions_len) : NULL;
    flow->actions_len = actions_len;
    flow->mark = info->flow_mark;
    flow->orig_in_port = info->orig_in_port;
}

/* Takes 'flow' from the table; its rule has to be out. */
void
offload_flow_remove(struct offload_flow *flow)
{
    struct offload_port *port = flow->port;

    ovs_mutex_lock(&port->mutex);
    cmap_remove(&port->flows, &flow->node, ufid_hash(&flow->ufid));
    ovs_mutex_unlock(&port->mutex);
    atomic_store(&flow->dead, true);
    offload_flow_unref(flow);
}

/* Statistics. */

static void
add_stats(struct dpif_flow_stats *sum, const struct dpif_flow_stats *s)
{
    sum->n_packets += s->n_packets;
    sum->n_bytes += s->n_bytes;
    sum->used = MAX(sum->used, s->used);
    sum->tcp_flags |= s->tcp_flags;
}

/* Asks the original provider. */
static int
original_get(struct offload_flow *flow, struct dpif_flow_stats *stats)
{
    const struct netdev_flow_api *api = flow->port->api;
    struct dpif_flow_attrs attrs;
    uint64_t stub[1024 / 8];
    struct nlattr *actions;
    struct match match;
    struct ofpbuf buf;
    int error;

    if (!api->flow_get) {
        return EOPNOTSUPP;
    }
    memset(&attrs, 0, sizeof attrs);
    ofpbuf_use_stack(&buf, stub, sizeof stub);
    error = api->flow_get(flow->port->netdev, &match, &actions, &flow->ufid,
                          stats, &attrs, &buf);
    ofpbuf_uninit(&buf);
    return error;
}

/* Brings 'live' up to date, if the device says. */
static void
flow_read(struct offload_flow *flow)
    OVS_REQUIRES(flow->mutex)
{
    struct dpif_flow_stats stats;

    if (flow->partial) {
        return;                 /* Its packets are counted in software. */
    }
    memset(&stats, 0, sizeof stats);
    if (flow->counter) {
        if (!offload_counter_read(flow->counter, &stats)) {
            if (stats.n_packets != flow->live.n_packets) {
                flow->live.used = time_msec();
            }
            flow->live.n_packets = stats.n_packets;
            flow->live.n_bytes = stats.n_bytes;
        }
    } else if (!original_get(flow, &stats)) {
        flow->live = stats;
    }
}

void
offload_flow_get(struct offload_flow *flow, struct dpif_flow_stats *stats,
                 struct dpif_flow_attrs *attrs)
{
    ovs_mutex_lock(&flow->mutex);
    if (flow->installed) {
        flow_read(flow);
    }
    *stats = flow->base;
    add_stats(stats, &flow->live);
    attrs->offloaded = flow->installed;
    attrs->dp_layer = flow->installed && !flow->partial ? "dpdk" : "ovs";
    attrs->dp_extra_info = NULL;
    ovs_mutex_unlock(&flow->mutex);
}

bool
offload_flow_installed(struct offload_flow *flow, bool *partial)
{
    bool installed;

    ovs_mutex_lock(&flow->mutex);
    installed = flow->installed;
    if (partial) {
        *partial = flow->partial;
    }
    ovs_mutex_unlock(&flow->mutex);
    return installed;
}

/* Rules. */

static void
note_insert(struct offload_port *port, int error, long long int us)
{
    uint32_t old;

    if (error) {
        COUNT(&port->n_failed, UINT64_C(1));
        return;
    }
    COUNT(&port->n_inserted, UINT64_C(1));
    COUNT(&port->installed, UINT32_C(1));
    atomic_read_relaxed(&port->insert_us, &old);
    atomic_store_relaxed(&port->insert_us,
                         old ? old + ((int32_t) us - (int32_t) old) / 16
                         : MAX(us, 1));
}

/* Has the original provider insert the rule of 'flow'. */
static int
original_put(struct offload_flow *flow)
{
    struct offload_info info;
    struct match match;

    memset(&match, 0, sizeof match);
    miniflow_expand(flow->flow, &match.flow);
    minimask_expand(flow->mask, &match.wc);
    if (flow->tun_md) {
        match.tun_md = *flow->tun_md;
    }
    memset(&info, 0, sizeof info);
    info.flow_mark = flow->mark;
    info.orig_in_port = flow->orig_in_port;
    return flow->port->api->flow_put(flow->port->netdev, &match,
                                     flow->actions, flow->actions_len,
                                     &flow->ufid, &info, NULL);
}

/* Where its packets go if the rule can do no more than mark them. */
static int
flow_target(const struct offload_flow *flow)
{
    struct netdev *netdev = flow->port->netdev;
    struct flow_wildcards wc;
    struct flow f;

    if (!flow->port->is_dpdk) {
        return OFFLOAD_TO_RSS;
    }
    miniflow_expand(flow->flow, &f);
    minimask_expand(flow->mask, &wc);
    return offload_queue_target(offload_queue_of(netdev, &f, &wc),
                                steer_moves_reta(netdev));
}

/* Inserts the rule of 'flow', which is not in the table. */
enum offload_result
offload_flow_install(struct offload_flow *flow)
{
    struct offload_port *port = flow->port;
    struct offload_rte_put put;
    long long int start;
    int error;

    if (flow->stuck) {
        return OFFLOAD_FAILED;
    }
    start = time_usec();
    atomic_store_relaxed(&port->busy_since, time_msec());
    offload_rte_begin(&put, offload_mode() == OFFLOAD_ON,
                      flow_target(flow));
    error = original_put(flow);
    offload_rte_end();
    atomic_store_relaxed(&port->busy_since, 0);
    note_insert(port, error, time_usec() - start);
    if (error) {
        return put.error == ENOSPC ? OFFLOAD_NO_SPACE : OFFLOAD_FAILED;
    }

    ovs_mutex_lock(&flow->mutex);
    flow->installed = true;
    flow->partial = put.partial || !port->is_dpdk;
    flow->target = put.target;
    flow->counter = put.counter;
    memset(&flow->live, 0, sizeof flow->live);
    ovs_mutex_unlock(&flow->mutex);
    return OFFLOAD_DONE;
}

/* Takes the rule of 'flow', which is in the table, out of it. */
enum offload_result
offload_flow_uninstall(struct offload_flow *flow)
{
    struct offload_port *port = flow->port;
    int error;

    if (flow->stuck) {
        return OFFLOAD_FAILED;
    }
    atomic_store_relaxed(&port->busy_since, time_msec());
    ovs_mutex_lock(&flow->mutex);
    if (!flow->counter) {
        flow_read(flow);        /* The last occasion. */
    }
    error = port->api->flow_del(port->netdev, &flow->ufid, NULL);
    if (error) {
        flow->stuck = true;
    } else {
        if (flow->counter) {
            flow_read(flow);
            offload_counter_destroy(flow->counter);
            flow->counter = NULL;
        }
        COUNT(&port->hw_packets, flow->live.n_packets);
        add_stats(&flow->base, &flow->live);
        memset(&flow->live, 0, sizeof flow->live);
        flow->installed = flow->partial = false;
        COUNT(&port->installed, (uint32_t) -1);
        COUNT(&port->n_removed, UINT64_C(1));
    }
    ovs_mutex_unlock(&flow->mutex);
    atomic_store_relaxed(&port->busy_since, 0);
    return error ? OFFLOAD_FAILED : OFFLOAD_DONE;
}

/* If there is a rule for 'flow', a new candidate, from when Open vSwitch was
 * in charge, replaces it: it may have other actions. */
void
offload_flow_adopt(struct offload_flow *flow)
{
    struct offload_port *port = flow->port;
    struct dpif_flow_stats stats;
    bool had_stock;

    atomic_read_relaxed(&port->had_stock, &had_stock);
    if (!had_stock) {
        return;
    }
    memset(&stats, 0, sizeof stats);
    if (port->api->flow_get) {
        if (original_get(flow, &stats)) {
            return;
        }
        ovs_mutex_lock(&flow->mutex);
        flow->base = stats;
        ovs_mutex_unlock(&flow->mutex);
    }
    offload_flow_install(flow);
}
