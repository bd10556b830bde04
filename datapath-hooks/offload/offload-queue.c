/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/offload/offload-queue.h"

#include <string.h>

#include "coverage.h"
#include "datapath-hooks/offload/offload-flow.h"
#include "datapath-hooks/offload/offload.h"
#include "datapath-hooks/steering/steer.h"
#include "flow.h"
#include "hash.h"
#include "ofproto/ofproto-dpif.h"
#include "ofproto/ofproto-dpif-upcall.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/shash.h"
#include "openvswitch/vlog.h"
#include "seq.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(offload_queue);

COVERAGE_DEFINE(offload_stale_rules);

static struct ovs_mutex queue_mutex = OVS_MUTEX_INITIALIZER;
static struct offload_queue queues[OFFLOAD_MAX_QUEUES]
    OVS_GUARDED_BY(queue_mutex);
static size_t n_queues OVS_GUARDED_BY(queue_mutex);
static struct seq *queue_seq;   /* Changes with them. */

/* Stale rules are looked for no more often than this, since all flows pay for
 * it; ms.  Main thread. */
enum { STALE_INTERVAL = 1000 };
static long long int next_look;
static uint64_t seen_seq;       /* As of the last look. */

void
offload_set_queues(const struct offload_queue *new, size_t n)
{
    ovs_mutex_lock(&queue_mutex);
    n_queues = MIN(n, OFFLOAD_MAX_QUEUES);
    memcpy(queues, new, n_queues * sizeof *queues);
    ovs_mutex_unlock(&queue_mutex);
    seq_change(queue_seq);
}

int
offload_queue_of(const char *netdev_name, const struct flow *flow,
                 const struct flow_wildcards *wc)
{
    int target = OFFLOAD_TO_RSS;
    struct aff_host_key key;
    bool single;

    ovs_mutex_lock(&queue_mutex);
    single = n_queues && aff_host_key_of_match(&key, flow, wc);
    for (size_t i = 0; i < n_queues && target == OFFLOAD_TO_RSS; i++) {
        const struct offload_queue *q = &queues[i];

        if (strcmp(q->netdev, netdev_name)) {
            continue;
        } else if (!single) {
            target = OFFLOAD_TO_NOBODY;
        } else if (aff_host_key_equal(&q->key, &key)) {
            target = q->queue;
        }
    }
    ovs_mutex_unlock(&queue_mutex);
    return target;
}

uint32_t
offload_queue_edition(const char *netdev_name)
{
    uint32_t hash = 0;

    ovs_mutex_lock(&queue_mutex);
    for (size_t i = 0; i < n_queues; i++) {
        const struct offload_queue *q = &queues[i];

        if (!strcmp(q->netdev, netdev_name)) {
            hash = hash_2words(hash_add(hash, aff_host_key_hash(&q->key)),
                               q->queue) | 1;
        }
    }
    ovs_mutex_unlock(&queue_mutex);
    return hash;
}

/* Returns true if rules that stock's way made for 'port' (off, shadow) have
 * a target that is not theirs any more. */
static bool
is_stale(struct offload_port *port)
{
    uint32_t edition;
    bool partial, rss;

    atomic_read_relaxed(&port->stock_partial, &partial);
    if (!partial) {
        return false;
    }
    atomic_read_relaxed(&port->stock_rss, &rss);
    atomic_read_relaxed(&port->stock_edition, &edition);
    return ((rss && steer_moves_reta(port->netdev))
            || edition != offload_queue_edition(port->name));
}

void
offload_queue_release(void)
{
    struct offload_port *port;

    CMAP_FOR_EACH (port, node, &offload_ports) {
        uint32_t installed;

        atomic_read_relaxed(&port->installed, &installed);
        if (port->is_dpdk && installed) {
            atomic_store_relaxed(&port->stock_rss,
                                 !steer_moves_reta(port->netdev));
            atomic_store_relaxed(&port->stock_edition,
                                 offload_queue_edition(port->name));
            atomic_store_relaxed(&port->stock_partial, true);
        }
    }
}

/* Nobody knows those rules one by one: they go with their flows, which come
 * back with the next packets. */
void
offload_queue_run(void)
{
    uint64_t seq = seq_read(queue_seq);
    struct offload_port *port;
    bool stale = false;

    if (time_msec() < next_look) {
        return;
    }
    seen_seq = seq;
    CMAP_FOR_EACH (port, node, &offload_ports) {
        if (is_stale(port)) {
            VLOG_INFO("%s: rules have to be made again, since who decides on "
                      "its queues has changed", port->name);
            atomic_store_relaxed(&port->stock_partial, false);
            atomic_store_relaxed(&port->stock_rss, false);
            stale = true;
        }
    }
    if (stale) {
        struct shash_node *node;

        COVERAGE_INC(offload_stale_rules);
        next_look = time_msec() + STALE_INTERVAL;
        SHASH_FOR_EACH (node, &all_dpif_backers) {
            const struct dpif_backer *backer = node->data;

            if (!strcmp(backer->type, "netdev")) {
                udpif_flush(backer->udpif);
            }
        }
    }
}

void
offload_queue_wait(void)
{
    if (seq_read(queue_seq) != seen_seq) {
        poll_timer_wait_until(next_look);
    } else {
        seq_wait(queue_seq, seen_seq);
    }
}

void
offload_queue_init(void)
{
    queue_seq = seq_create();
}
