/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* The rule of a candidate: it comes, goes, and counts packets. */

#include <config.h>

#include "datapath-hooks/offload/offload-flow.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "datapath-hooks/offload/offload-queue.h"
#include "datapath-hooks/offload/offload-rte.h"
#include "datapath-hooks/steering/steer.h"
#include "flow.h"
#include "netdev-offload-provider.h"
#include "openvswitch/match.h"
#include "openvswitch/ofpbuf.h"
#include "timeval.h"
#include "util.h"

/* So long statistics wait for a rule's removal, after which they are exact. */
#define READ_WAIT_MSEC 100

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

/* An insert has come to 'result' and taken 'us'.  That a table is full is no
 * failure of it: the planner finds out so how much it holds.  Nor is it one
 * that we do not want the rule. */
static void
note_insert(struct offload_port *port, enum offload_result result,
            long long int us)
{
    uint32_t old;

    if (result != OFFLOAD_DONE) {
        if (result == OFFLOAD_FAILED) {
            COUNT(&port->n_failed, UINT64_C(1));
        }
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

/* What original_put(), which returned 'error', has come to. */
static enum offload_result
put_result(int error, const struct offload_rte_put *put)
{
    return (!error ? OFFLOAD_DONE
            : put->error == ENOSPC ? OFFLOAD_NO_SPACE
            : put->refused ? OFFLOAD_REFUSED
            : OFFLOAD_FAILED);
}

/* Inserts the rule of 'flow', which is not in the table. */
enum offload_result
offload_flow_install(struct offload_flow *flow)
{
    struct offload_port *port = flow->port;
    enum offload_result result;
    struct offload_rte_put put;
    long long int start;

    if (offload_flow_is_stuck(flow)) {
        return OFFLOAD_FAILED;
    }
    start = time_usec();
    atomic_store_relaxed(&port->busy_since, time_msec());
    offload_rte_begin(&put, offload_mode() == OFFLOAD_ON,
                      flow_target(flow));
    result = put_result(original_put(flow), &put);
    offload_rte_end();
    atomic_store_relaxed(&port->busy_since, 0);
    note_insert(port, result, time_usec() - start);
    if (result != OFFLOAD_DONE) {
        return result;
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

/* The rule of 'flow' is in the table, against our will, and no business of
 * ours any more. */
void
offload_flow_give_up(struct offload_flow *flow)
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
