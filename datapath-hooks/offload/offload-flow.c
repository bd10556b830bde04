/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/offload/offload-flow.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

/* An update that takes longer means that the device does not answer. */
#define HANG_MSEC 1000

/* So long statistics wait for a rule's removal, after which they are exact. */
#define READ_WAIT_MSEC 100

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

bool
offload_flow_begin(const struct offload_flow *flow, struct offload_turn *turn)
{
    struct netdev *netdev = netdev_from_name(flow->port->name);
    bool dead;

    /* Not under the lock: Open vSwitch frees a netdev with a lock held that
     * offload threads take inside theirs. */
    if (netdev != flow->port->netdev) {
        netdev_close(netdev);
        return false;
    }
    turn->netdev = netdev;
    turn->tid = offload_enter(&flow->ufid);
    atomic_read(&flow->dead, &dead);
    if (dead) {
        offload_flow_end(turn);
    }
    return !dead;
}

void
offload_flow_end(struct offload_turn *turn)
{
    offload_leave(turn->tid);
    netdev_close(turn->netdev);
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
    atomic_init(&port->capacity, OFFLOAD_UNKNOWN);
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

bool
offload_port_hangs(const struct offload_port *port)
{
    long long int since;

    atomic_read_relaxed(&port->busy_since, &since);
    return since && time_msec() - since > HANG_MSEC;
}

static void drop_flow(struct offload_flow *);

/* 'netdev' is about to lose its flow API and to be freed, under a lock that
 * offload threads take inside theirs.  Who changes rules has a reference to
 * the netdev, so nobody does.  With DPDK each rule has one too, so there is
 * none. */
void
offload_port_destroy(struct netdev *netdev)
{
    struct offload_port *port = offload_port_find(netdev);
    struct offload_flow *flow;

    if (!port) {
        return;
    }
    CMAP_FOR_EACH (flow, node, &port->flows) {
        if (!port->is_dpdk && offload_flow_installed(flow, NULL)) {
            offload_flow_uninstall(flow);
        }
        drop_flow(flow);
    }
    atomic_store(&port->dead, true);

    ovs_mutex_lock(&ports_mutex);
    cmap_remove(&offload_ports, &port->node, hash_pointer(netdev, 0));
    ovs_mutex_unlock(&ports_mutex);
    offload_port_unref(port);
}

/* Flows. */

static void
add_stats(struct dpif_flow_stats *sum, const struct dpif_flow_stats *s)
{
    sum->n_packets += s->n_packets;
    sum->n_bytes += s->n_bytes;
    sum->used = MAX(sum->used, s->used);
    sum->tcp_flags |= s->tcp_flags;
}

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
    ovs_mutex_init(&flow->device);
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
    ovs_mutex_destroy(&flow->device);
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
    ovs_mutex_lock(&flow->mutex);
    flow_clear(flow);
    flow->flow = miniflow_create(&match->flow);
    flow->mask = minimask_create(&match->wc);
    flow->tun_md = (match->tun_md.valid
                    ? xmemdup(&match->tun_md, sizeof match->tun_md) : NULL);
    flow->actions = actions_len ? xmemdup(actions, actions_len) : NULL;
    flow->actions_len = actions_len;
    flow->mark = info->flow_mark;
    flow->orig_in_port = info->orig_in_port;
    ovs_mutex_unlock(&flow->mutex);
}

/* Stores what 'flow' matches. */
void
offload_flow_match(struct offload_flow *flow, struct flow *f,
                   struct flow_wildcards *wc)
{
    ovs_mutex_lock(&flow->mutex);
    miniflow_expand(flow->flow, f);
    minimask_expand(flow->mask, wc);
    ovs_mutex_unlock(&flow->mutex);
}

static void
drop_flow(struct offload_flow *flow)
{
    struct offload_port *port = flow->port;

    ovs_mutex_lock(&port->mutex);
    cmap_remove(&port->flows, &flow->node, ufid_hash(&flow->ufid));
    ovs_mutex_unlock(&port->mutex);
    atomic_store(&flow->dead, true);
    offload_flow_unref(flow);
}

/* The rule of 'flow' is in the table, against our will, and no business of
 * ours any more. */
static void
give_up_rule(struct offload_flow *flow)
{
    struct offload_counter *counter;

    ovs_mutex_lock(&flow->device);
    ovs_mutex_lock(&flow->mutex);
    counter = flow->counter;
    flow->counter = NULL;
    add_stats(&flow->base, &flow->live);
    memset(&flow->live, 0, sizeof flow->live);
    if (flow->installed) {
        flow->installed = flow->partial = false;
        COUNT(&flow->port->installed, (uint32_t) -1);
    }
    ovs_mutex_unlock(&flow->mutex);
    if (counter) {
        offload_counter_destroy(counter);
    }
    ovs_mutex_unlock(&flow->device);
}

/* Takes 'flow' from the table; its rule has to be out or stuck. */
void
offload_flow_remove(struct offload_flow *flow)
{
    if (offload_flow_is_stuck(flow)) {
        give_up_rule(flow);
        atomic_store(&flow->dead, true);
    } else {
        drop_flow(flow);
    }
}

/* Statistics. */

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
    OVS_REQUIRES(flow->device)
{
    struct dpif_flow_stats stats;
    int error;

    if (flow->partial) {
        return;                 /* Its packets are counted in software. */
    }
    memset(&stats, 0, sizeof stats);
    error = (flow->counter ? offload_counter_read(flow->counter, &stats)
             : original_get(flow, &stats));
    if (error) {
        return;
    }
    ovs_mutex_lock(&flow->mutex);
    if (flow->counter) {
        stats.used = (stats.n_packets != flow->live.n_packets
                      ? time_msec() : flow->live.used);
    }
    flow->live = stats;
    ovs_mutex_unlock(&flow->mutex);
}

/* Takes 'device' of 'flow', but does not wait for a device that hangs. */
static bool
try_device(struct offload_flow *flow)
    OVS_NO_THREAD_SAFETY_ANALYSIS
{
    struct timespec until;

    if (offload_port_hangs(flow->port)) {
        return false;
    } else if (!ovs_mutex_trylock(&flow->device)) {
        return true;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += READ_WAIT_MSEC * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return !pthread_mutex_clocklock(&flow->device.lock, CLOCK_MONOTONIC,
                                    &until);
}

/* Stores the statistics of 'flow', of the last time they were read if the
 * device does not answer. */
void
offload_flow_get(struct offload_flow *flow, struct dpif_flow_stats *stats,
                 struct dpif_flow_attrs *attrs)
    OVS_NO_THREAD_SAFETY_ANALYSIS
{
    if (try_device(flow)) {
        if (flow->installed) {
            flow_read(flow);
        }
        ovs_mutex_unlock(&flow->device);
    }
    ovs_mutex_lock(&flow->mutex);
    *stats = flow->base;
    add_stats(stats, &flow->live);
    attrs->offloaded = flow->installed;
    attrs->dp_layer = flow->installed && !flow->partial ? "dpdk" : "ovs";
    attrs->dp_extra_info = NULL;
    ovs_mutex_unlock(&flow->mutex);
}

bool
offload_flow_is_stuck(struct offload_flow *flow)
{
    bool stuck;

    ovs_mutex_lock(&flow->mutex);
    stuck = flow->stuck;
    ovs_mutex_unlock(&flow->mutex);
    return stuck;
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
    return offload_queue_target(offload_queue_of(flow->port->name, &f, &wc),
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

    if (offload_flow_is_stuck(flow)) {
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

    ovs_mutex_lock(&flow->device);
    ovs_mutex_lock(&flow->mutex);
    flow->installed = true;
    flow->partial = put.partial || !port->is_dpdk;
    flow->target = put.target;
    flow->counter = put.counter;
    memset(&flow->live, 0, sizeof flow->live);
    ovs_mutex_unlock(&flow->mutex);
    ovs_mutex_unlock(&flow->device);
    return OFFLOAD_DONE;
}

/* The rule of 'flow' is out of the table.  Returns the counter to destroy, or
 * null. */
static struct offload_counter *
note_removed(struct offload_flow *flow)
    OVS_REQUIRES(flow->device)
{
    struct offload_port *port = flow->port;
    struct offload_counter *counter;

    ovs_mutex_lock(&flow->mutex);
    counter = flow->counter;
    flow->counter = NULL;
    COUNT(&port->hw_packets, flow->live.n_packets);
    add_stats(&flow->base, &flow->live);
    memset(&flow->live, 0, sizeof flow->live);
    flow->installed = flow->partial = false;
    ovs_mutex_unlock(&flow->mutex);
    COUNT(&port->installed, (uint32_t) -1);
    COUNT(&port->n_removed, UINT64_C(1));
    return counter;
}

/* Takes the rule of 'flow', which is in the table, out of it. */
enum offload_result
offload_flow_uninstall(struct offload_flow *flow)
{
    struct offload_port *port = flow->port;
    struct offload_counter *counter;
    int error;

    if (offload_flow_is_stuck(flow)) {
        return OFFLOAD_FAILED;
    }
    atomic_store_relaxed(&port->busy_since, time_msec());
    ovs_mutex_lock(&flow->device);
    if (!flow->counter) {
        flow_read(flow);        /* The last occasion. */
    }
    error = port->api->flow_del(port->netdev, &flow->ufid, NULL);
    if (error) {
        ovs_mutex_lock(&flow->mutex);
        flow->stuck = true;
        ovs_mutex_unlock(&flow->mutex);
    } else {
        if (flow->counter) {
            flow_read(flow);
        }
        counter = note_removed(flow);
        if (counter) {
            offload_counter_destroy(counter);
        }
    }
    ovs_mutex_unlock(&flow->device);
    atomic_store_relaxed(&port->busy_since, 0);
    return error ? OFFLOAD_FAILED : OFFLOAD_DONE;
}

/* If there is a rule for 'flow', a new candidate, from when Open vSwitch was
 * in charge, replaces it: it may have other actions.  Returns 0 or a positive
 * errno if that one is stuck. */
int
offload_flow_adopt(struct offload_flow *flow)
{
    struct offload_port *port = flow->port;
    struct dpif_flow_stats stats;
    bool had_stock;

    atomic_read_relaxed(&port->had_stock, &had_stock);
    if (!had_stock) {
        return 0;
    }
    if (port->api->flow_get) {
        memset(&stats, 0, sizeof stats);
        if (original_get(flow, &stats)) {
            return 0;           /* There is none. */
        }
        ovs_mutex_lock(&flow->mutex);
        flow->installed = true;
        ovs_mutex_unlock(&flow->mutex);
        COUNT(&port->installed, UINT32_C(1));
        if (offload_flow_uninstall(flow) != OFFLOAD_DONE) {
            return EIO;
        }
    }
    offload_flow_install(flow);
    return 0;
}
