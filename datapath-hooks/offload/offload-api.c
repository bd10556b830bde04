/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Decoration of Open vSwitch's flow API providers: the only file that knows
 * 'struct netdev_flow_api' as something to be implemented.  (Open vSwitch 3.7
 * has another interface in its place.)
 *
 * Functions run in dpif-netdev's offload threads, with its 'port_rwlock' held
 * for reading, but for flow_get (any thread) and the two about the API of a
 * netdev itself (main thread). */

#include <config.h>

#include "datapath-hooks/offload/offload.h"

#include <errno.h>
#include <string.h>

#include "datapath-hooks/ext-hooks.h"
#include "datapath-hooks/offload/offload-flow.h"
#include "datapath-hooks/offload/offload-queue.h"
#include "datapath-hooks/offload/offload-rte.h"
#include "datapath-hooks/steering/steer.h"
#include "netdev-offload-provider.h"
#include "netdev-provider.h"
#include "openvswitch/match.h"
#include "ovs-rcu.h"
#include "util.h"

enum { DPDK, DUMMY, N_APIS };

static const struct netdev_flow_api *originals[N_APIS];
static struct netdev_flow_api decorated[N_APIS];

static const struct netdev_flow_api *
original(const struct netdev *netdev)
{
    const struct netdev_flow_api *api
        = ovsrcu_get(const struct netdev_flow_api *, &netdev->flow_api);

    return api == &decorated[DPDK] ? originals[DPDK] : originals[DUMMY];
}

/* Remembers in shadow mode what stock did with a flow. */
static void
note_shadow(struct offload_port *port, struct offload_flow *flow,
            const struct match *match, const struct nlattr *actions,
            size_t actions_len, const ovs_u128 *ufid,
            const struct offload_info *info, int error,
            const struct offload_rte_put *put)
{
    uint32_t n;

    if (!flow) {
        flow = offload_flow_add(port, ufid);
    }
    offload_flow_set(flow, match, actions, actions_len, info);
    flow->untracked = error != 0;
    ovs_mutex_lock(&flow->device);
    ovs_mutex_lock(&flow->mutex);
    if (!error != flow->installed) {
        atomic_add_relaxed(&port->installed, error ? (uint32_t) -1 : 1, &n);
    }
    if (error && put->error == ENOSPC) {
        atomic_read_relaxed(&port->installed, &n);
        atomic_store_relaxed(&port->full_at, n);
    }
    flow->installed = !error;
    flow->partial = put->partial || !port->is_dpdk;
    flow->target = put->target;
    ovs_mutex_unlock(&flow->mutex);
    ovs_mutex_unlock(&flow->device);
}

/* Remembers of stock's rules what offload_queue_run() has to know.  The rule's
 * target is not older than 'edition'. */
static void
note_stock(struct offload_port *port, const struct offload_rte_put *put,
           uint32_t edition)
{
    bool partial;

    if (offload_mode() == OFFLOAD_OFF) {
        atomic_store_relaxed(&port->had_stock, true);
    }
    if (put->partial) {
        if (put->target == OFFLOAD_TO_RSS) {
            atomic_store_relaxed(&port->stock_rss, true);
        }
        atomic_read_relaxed(&port->stock_partial, &partial);
        if (!partial || edition != offload_queue_edition(port->name)) {
            atomic_store_relaxed(&port->stock_edition, edition);
            atomic_store_relaxed(&port->stock_partial, true);
        }
    }
}

/* What stock does, for modes off and shadow. */
static int
stock_put(struct netdev *netdev, struct offload_port *port,
          struct offload_flow *flow, struct match *match,
          struct nlattr *actions, size_t actions_len, const ovs_u128 *ufid,
          struct offload_info *info, struct dpif_flow_stats *stats)
{
    const struct netdev_flow_api *api = original(netdev);
    struct offload_rte_put put;
    uint32_t edition;
    struct match copy;
    int error, target;

    if (!port) {
        return api->flow_put(netdev, match, actions, actions_len, ufid, info,
                             stats);
    }
    edition = offload_queue_edition(port->name);
    target = (port->is_dpdk
              ? offload_queue_target(offload_queue_of(port->name, &match->flow,
                                                      &match->wc),
                                     steer_moves_reta(netdev))
              : OFFLOAD_TO_RSS);
    copy = *match;              /* The provider takes it apart. */
    offload_rte_begin(&put, false, target);
    error = api->flow_put(netdev, match, actions, actions_len, ufid, info,
                          stats);
    offload_rte_end();
    if (!error) {
        note_stock(port, &put, edition);
    }
    if (offload_mode() == OFFLOAD_SHADOW) {
        note_shadow(port, flow, &copy, actions, actions_len, ufid, info,
                    error, &put);
    }
    return error;
}

/* What comes from the wire has no priority (of the metadata), so nothing is
 * lost with a mask that asks for none, which the providers cannot match.
 * Redirection and sessions have flows ask for that, lest they overlap with
 * those of packets that come back from a detour.  Returns 0, or EOPNOTSUPP if
 * 'match' is of no packet from the wire. */
static int
match_wire(struct match *match)
{
    ext_translate_func *translate;

    atomic_read_relaxed(&ext_hooks.translate, &translate);
    if (!translate) {
        return 0;               /* Stock. */
    } else if (match->flow.skb_priority & match->wc.masks.skb_priority) {
        return EOPNOTSUPP;
    }
    match->flow.skb_priority = 0;
    match->wc.masks.skb_priority = 0;
    return 0;
}

/* A flow that is a candidate already gets other actions. */
static int
modify(struct offload_flow *flow, const struct match *match,
       const struct nlattr *actions, size_t actions_len,
       const struct offload_info *info)
{
    bool was_in = offload_flow_installed(flow, NULL);

    if (was_in && offload_flow_uninstall(flow)) {
        return EIO;
    }
    offload_flow_set(flow, match, actions, actions_len, info);
    flow->untracked = false;
    if (was_in || offload_mode() == OFFLOAD_OFF) {
        enum offload_result result = offload_flow_install(flow);

        if (result != OFFLOAD_DONE && offload_mode() == OFFLOAD_OFF) {
            return EIO;
        }
    }
    return 0;
}

static int
api_flow_put(struct netdev *netdev, struct match *match,
             struct nlattr *actions, size_t actions_len,
             const ovs_u128 *ufid, struct offload_info *info,
             struct dpif_flow_stats *stats)
{
    struct offload_port *port = offload_port_find(netdev);
    struct offload_flow *flow;
    unsigned int tid;
    int error = 0;

    if (stats) {
        memset(stats, 0, sizeof *stats);
    }
    if (port && port->is_dpdk) {
        error = match_wire(match);
        if (error) {
            return error;
        }
    }
    tid = offload_enter(ufid);
    flow = port ? offload_flow_find(port, ufid) : NULL;
    if (flow && offload_flow_is_stuck(flow)) {
        error = EIO;
    } else if (!port || (!flow && offload_mode() != OFFLOAD_ON)
        || (flow && offload_mode() == OFFLOAD_SHADOW && !flow->counter)) {
        error = stock_put(netdev, port, flow, match, actions, actions_len,
                          ufid, info, stats);
    } else if (flow) {
        error = modify(flow, match, actions, actions_len, info);
    } else {
        flow = offload_flow_add(port, ufid);
        offload_flow_set(flow, match, actions, actions_len, info);
        error = offload_flow_adopt(flow);
        if (error) {
            offload_flow_remove(flow);
        }
    }
    offload_leave(tid);
    return error;
}

/* Returns 0 or a positive errno. */
static int
del_flow(struct offload_flow *flow, struct dpif_flow_stats *stats)
{
    struct dpif_flow_attrs attrs;
    int error = 0;
    bool dead;

    atomic_read(&flow->dead, &dead);
    if (dead) {
        return ENOENT;
    }
    if (offload_flow_installed(flow, NULL) && offload_flow_uninstall(flow)) {
        error = EIO;
    }
    if (stats) {
        offload_flow_get(flow, stats, &attrs);
    }
    offload_flow_remove(flow);
    return error;
}

static int
api_flow_del(struct netdev *netdev, const ovs_u128 *ufid,
             struct dpif_flow_stats *stats)
{
    struct offload_port *port = offload_port_find(netdev);
    struct offload_flow *flow;
    unsigned int tid;
    int error = 0;

    tid = offload_enter(ufid);
    flow = port ? offload_flow_find(port, ufid) : NULL;
    if (!flow) {
        error = original(netdev)->flow_del(netdev, ufid, stats);
    } else {
        error = del_flow(flow, stats);
    }
    offload_leave(tid);
    return error;
}

static int
api_flow_get(struct netdev *netdev, struct match *match,
             struct nlattr **actions, const ovs_u128 *ufid,
             struct dpif_flow_stats *stats, struct dpif_flow_attrs *attrs,
             struct ofpbuf *buf)
{
    const struct offload_port *port = offload_port_find(netdev);
    struct offload_flow *flow;

    flow = port ? offload_flow_find(port, ufid) : NULL;
    if (flow) {
        bool dead;

        atomic_read(&flow->dead, &dead);
        if (dead) {
            return ENOENT;
        }
        offload_flow_get(flow, stats, attrs);
        offload_seen()->flow = flow;
        offload_seen()->hw_packets = stats->n_packets;
        return 0;
    }
    return (original(netdev)->flow_get
            ? original(netdev)->flow_get(netdev, match, actions, ufid, stats,
                                         attrs, buf)
            : EOPNOTSUPP);
}

/* Each offload thread flushes what is its own. */
static int
api_flow_flush(struct netdev *netdev)
{
    const struct offload_port *port = offload_port_find(netdev);
    const struct netdev_flow_api *api = original(netdev);
    unsigned int self = netdev_offload_thread_id();
    struct offload_flow *flow;

    if (port) {
        CMAP_FOR_EACH (flow, node, &port->flows) {
            if (netdev_offload_ufid_to_thread_id(flow->ufid) == self) {
                unsigned int tid = offload_enter(&flow->ufid);

                del_flow(flow, NULL);
                offload_leave(tid);
            }
        }
    }
    return api->flow_flush ? api->flow_flush(netdev) : EOPNOTSUPP;
}

static int
init_api(struct netdev *netdev, const struct netdev_flow_api *api)
{
    int error = api->init_flow_api(netdev);

    if (!error) {
        offload_port_create(netdev, api);
    }
    return error;
}

static int
init_dpdk(struct netdev *netdev)
{
    return init_api(netdev, originals[DPDK]);
}

static int
init_dummy(struct netdev *netdev)
{
    return init_api(netdev, originals[DUMMY]);
}

static void
api_uninit(struct netdev *netdev)
{
    const struct netdev_flow_api *api = original(netdev);

    offload_port_destroy(netdev);
    if (api->uninit_flow_api) {
        api->uninit_flow_api(netdev);
    }
}

const struct netdev_flow_api *
offload_decorate(const struct netdev_flow_api *api)
{
    int i = (!strcmp(api->type, "dpdk_flow_api") ? DPDK
             : !strcmp(api->type, "dummy") ? DUMMY : -1);

    if (i < 0 || originals[i] || !api->flow_put || !api->flow_del
        || !api->init_flow_api) {
        return api;
    }
    originals[i] = api;
    decorated[i] = *api;
    decorated[i].flow_put = api_flow_put;
    decorated[i].flow_del = api_flow_del;
    decorated[i].flow_get = api_flow_get;
    decorated[i].flow_flush = api_flow_flush;
    decorated[i].init_flow_api = i == DPDK ? init_dpdk : init_dummy;
    decorated[i].uninit_flow_api = api_uninit;
    return &decorated[i];
}
