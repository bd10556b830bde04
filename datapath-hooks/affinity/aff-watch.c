/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Accelerator ports: counters, and probes for those that are dead. */

#include <config.h>

#include "datapath-hooks/affinity/aff-agent.h"

#include <stdio.h>
#include <string.h>

#include "datapath-hooks/affinity/redirect.h"
#include "netdev-provider.h"
#include "netdev.h"
#include "openvswitch/shash.h"
#include "openvswitch/vlog.h"
#include "ovs-ext/affinity/aff-host-watch.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(aff_watch);

struct watched {
    odp_port_t port;
    struct aff_host_watch watch;
};

static struct ovs_mutex watch_mutex = OVS_MUTEX_INITIALIZER;
static struct shash watched OVS_GUARDED_BY(watch_mutex)
    = SHASH_INITIALIZER(&watched);

void
aff_watch_port(const char *name, odp_port_t port, bool wanted)
{
    struct watched *w;

    ovs_mutex_lock(&watch_mutex);
    w = shash_find_data(&watched, name);
    if (wanted && !w) {
        w = xzalloc(sizeof *w);
        aff_host_watch_init(&w->watch, time_msec());
        shash_add(&watched, name, w);
    } else if (!wanted && w) {
        shash_find_and_delete(&watched, name);
        free(w);
        w = NULL;
    }
    if (w) {
        w->port = port;
    }
    ovs_mutex_unlock(&watch_mutex);
}

/* Takes a sample of 'name'.  A device that cannot be read has no link; one
 * that is not there at all will be a new one when it comes. */
static unsigned int
watch_sample(const char *name, struct watched *w, long long int now)
{
    struct netdev_stats stats;
    struct netdev *netdev;
    bool link;

    memset(&stats, 0, sizeof stats);
    netdev = netdev_from_name(name);
    if (!netdev) {
        aff_host_watch_init(&w->watch, now);
        return 0;
    }
    link = netdev_get_carrier(netdev) && !netdev_get_stats(netdev, &stats);
    netdev_close(netdev);
    return aff_host_watch_sample(&w->watch, now, link, stats.tx_packets,
                                 stats.rx_packets);
}

bool
aff_watch_run(long long int now)
{
    struct shash_node *node;
    bool changed = false;

    ovs_mutex_lock(&watch_mutex);
    SHASH_FOR_EACH (node, &watched) {
        struct watched *w = node->data;
        bool alive = w->watch.alive;
        bool lossy = now < w->watch.lossy_until;
        unsigned int n = watch_sample(node->name, w, now);

        if (n) {
            redirect_probe(w->port, n);
        }
        changed |= !lossy && now < w->watch.lossy_until;
        if (alive != w->watch.alive) {
            changed = true;
            VLOG_INFO("%s: accelerator %s%s", node->name,
                      alive ? "is dead, " : "is alive again",
                      alive ? w->watch.reason : "");
        }
    }
    ovs_mutex_unlock(&watch_mutex);
    return changed;
}

bool
aff_watch_is_needed(void)
{
    bool needed;

    ovs_mutex_lock(&watch_mutex);
    needed = !shash_is_empty(&watched);
    ovs_mutex_unlock(&watch_mutex);
    return needed;
}

bool
aff_watch_is_alive(const char *name, const char **reason)
{
    const struct watched *w;
    bool alive;

    ovs_mutex_lock(&watch_mutex);
    w = shash_find_data(&watched, name);
    alive = w && w->watch.alive;
    *reason = w ? w->watch.reason : "it is not configured";
    ovs_mutex_unlock(&watch_mutex);
    return alive;
}

bool
aff_watch_get(const char *name, double *loss, double *pps)
{
    const struct watched *w;

    ovs_mutex_lock(&watch_mutex);
    w = shash_find_data(&watched, name);
    if (w) {
        *loss = w->watch.loss;
        *pps = w->watch.pps;
    }
    ovs_mutex_unlock(&watch_mutex);
    return w != NULL;
}

void
aff_watch_correct(struct hrm_resource *resources, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct hrm_resource *r = &resources[i];
        const struct watched *w;

        if (r->kind != HRM_PORT || strncmp(r->name, "port/", 5)) {
            continue;
        }
        ovs_mutex_lock(&watch_mutex);
        w = shash_find_data(&watched, r->name + 5);
        if (w && !w->watch.alive) {
            r->state = HRM_UNAVAILABLE;
            r->since = w->watch.since;
            ovs_strlcpy(r->reason, w->watch.reason, sizeof r->reason);
        } else if (w && r->state == HRM_UNAVAILABLE) {
            /* It lives: probes and packets come back. */
            r->state = HRM_AVAILABLE;
            r->reason[0] = '\0';
            r->since = w->watch.since;
        }
        if (w && w->watch.alive && r->state == HRM_AVAILABLE
            && time_msec() < w->watch.lossy_until) {
            r->state = HRM_DEGRADED;
            r->m.error_rate = MAX(r->m.error_rate, w->watch.loss);
            snprintf(r->reason, sizeof r->reason, "it loses packets");
        }
        ovs_mutex_unlock(&watch_mutex);
    }
}
