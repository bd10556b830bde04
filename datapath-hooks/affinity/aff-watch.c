/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Accelerator ports: counters, probes for those that are dead, and timed ones
 * for those that are busy. */

#include <config.h>

#include "datapath-hooks/affinity/aff-agent.h"

#include <stdio.h>
#include <string.h>

#include "datapath-hooks/affinity/redirect.h"
#include "datapath-hooks/monitor/monitor.h"
#include "netdev.h"
#include "openvswitch/shash.h"
#include "openvswitch/vlog.h"
#include "ovs-ext/affinity/aff-host-watch.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(aff_watch);

/* A thread of ours that was not scheduled adds to a round trip what is not the
 * accelerator's, so the shortest of so many counts.  A queue that builds up
 * there adds to all of them. */
enum { N_TRIPS = 5 };

struct watched {
    odp_port_t port;
    struct aff_host_watch watch;
    bool has_latency;           /* Reported one. */
    double trips[N_TRIPS];      /* Last ones timed, in us... */
    unsigned int n_trips;       /* ...of so many. */
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

/* Takes a sample of 'name'.  Returns the number of probes to send. */
static unsigned int
watch_sample(const char *name, struct watched *w, long long int now)
{
    struct netdev_stats stats;
    bool link;

    if (!monitor_port_read(name, &link, &stats)) {
        aff_host_watch_absent(&w->watch, now);
        return 0;
    }
    return aff_host_watch_sample(&w->watch, now, link, stats.tx_packets,
                                 stats.rx_packets);
}

/* Measures how long the way through 'name' takes.  Nothing is known of that of
 * an accelerator that has little to do. */
static void
watch_latency(const char *name, struct watched *w, long long int now)
{
    double us;

    if (redirect_clock_read(w->port, &us)) {
        w->trips[w->n_trips++ % N_TRIPS] = us;
        if (w->n_trips >= N_TRIPS) {
            for (size_t i = 0; i < N_TRIPS; i++) {
                us = MIN(us, w->trips[i]);
            }
            monitor_report_latency(name, us);
            w->has_latency = true;
        }
    } else if (w->has_latency && !w->watch.busy) {
        monitor_report_latency(name, 0);
        w->has_latency = false;
        w->n_trips = 0;
    }
    if (aff_host_watch_clock(&w->watch, now)) {
        redirect_clock_start(w->port);
    }
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
        watch_latency(node->name, w, now);
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
        } else if (w && !w->watch.gone_since && r->state == HRM_UNAVAILABLE) {
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
