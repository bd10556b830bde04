/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* How busy this host is, and what its backends do: measured once a second, and
 * said to others when it changes. */

#include <config.h>

#include "datapath-hooks/session/session-agent.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath-hooks/monitor/monitor.h"
#include "datapath-hooks/session/session-proc.h"
#include "hash.h"
#include "util.h"

enum {
    LOAD_MS = 10000,            /* The load is said at least so often, and */
    LOAD_TTL = 3 * LOAD_MS      /* counts for so long: two may get lost. */
};
#define LOAD_STEP 0.05          /* It is said when it has changed by this. */

struct hmap session_groups = HMAP_INITIALIZER(&session_groups);

static struct gossip_load_value said, told;
static long long int told_at, last_run;
static struct session_cpu_times *cpu_times;

struct session_group *
session_group_find(uint64_t id)
{
    struct session_group *g;

    HMAP_FOR_EACH_WITH_HASH (g, node, hash_uint64(id), &session_groups) {
        if (g->id == id) {
            return g;
        }
    }
    return NULL;
}

/* The utilization of PMD thread on 'core', NaN if there is none. */
static double
pmd_utilization(const struct hrm_resource *r, size_t n, int core)
{
    char name[32];

    snprintf(name, sizeof name, "pmd/%d", core);
    for (size_t i = 0; i < n; i++) {
        if (r[i].kind == HRM_PMD_CORE && !strcmp(r[i].name, name)) {
            return r[i].m.utilization;
        }
    }
    return NAN;
}

/* How busy the CPUs are, 0...1; a CPU that polls is as busy as its work makes
 * it. */
static double
measure_cpu(const struct hrm_resource *r, size_t n)
{
    double sum = 0;
    int cpus = 0;

    for (int cpu = 0; cpu < SESSION_MAX_CPUS; cpu++) {
        double busy = session_cpu_times_busy(cpu_times, cpu);

        if (busy >= 0) {
            double pmd = pmd_utilization(r, n, cpu);

            sum += isnan(pmd) ? busy : pmd;
            cpus++;
        }
    }
    return cpus ? sum / cpus : NAN;
}

/* The busiest PMD thread's share: of what the datapath could pass on, how much
 * it does. */
static double
measure_bandwidth(const struct hrm_resource *r, size_t n)
{
    double max = NAN;

    for (size_t i = 0; i < n; i++) {
        if (r[i].kind == HRM_PMD_CORE && r[i].state != HRM_UNAVAILABLE) {
            max = fmax(max, r[i].m.utilization);
        }
    }
    return max;
}

/* Updates what the backends here do; returns packets a second of all and their
 * mean round trip, NaN if not known. */
static double
measure_groups(double seconds, double *rtt_us)
{
    struct session_place *p;
    struct session_group *g, *next;
    double pps = 0, rtt = 0;

    HMAP_FOR_EACH (g, node, &session_groups) {
        g->seen = false;
    }
    HMAP_FOR_EACH (p, node, &session_ag.places) {
        struct session_own_totals t;
        uint64_t packets;

        if (p->host != session_ag.self || !session_own_totals(p->id, &t)) {
            continue;
        }
        g = session_group_find(p->id);
        if (!g) {
            g = xzalloc(sizeof *g);
            g->id = p->id;
            g->packets = t.packets;
            g->bytes = t.bytes;
            hmap_insert(&session_groups, &g->node, hash_uint64(g->id));
        }
        packets = t.packets > g->packets ? t.packets - g->packets : 0;
        g->pps = packets / seconds;
        g->packet_size = (packets && t.bytes > g->bytes
                          ? (t.bytes - g->bytes) / (double) packets : NAN);
        g->packets = t.packets;
        g->bytes = t.bytes;
        g->rtt_us = t.rtt_us ? t.rtt_us : NAN;
        g->n = t.n;
        g->seen = true;
        pps += g->pps;
        rtt += t.rtt_us * g->pps;
    }
    HMAP_FOR_EACH_SAFE (g, next, node, &session_groups) {
        if (!g->seen) {
            session_hint_group_gone(g->id);
            hmap_remove(&session_groups, &g->node);
            free(g);
        }
    }
    *rtt_us = rtt > 0 && pps > 0 ? rtt / pps : NAN;
    return pps;
}

static bool
has_moved(double a, double b)
{
    return fabs(a - b) >= LOAD_STEP;
}

/* Tells others how this host does, if that has changed or is long ago. */
static void
tell_load(long long int now)
{
    struct gossip *g = session_gossip();

    if (g && (now - told_at >= LOAD_MS
              || has_moved(said.cpu, told.cpu)
              || has_moved(said.memory, told.memory)
              || has_moved(said.bandwidth, told.bandwidth))) {
        gossip_load(g, &said, LOAD_TTL);
        told = said;
        told_at = now;
    }
}

static double
known(double x)
{
    return isnan(x) ? 0 : MIN(MAX(x, 0), 1);
}

void
session_load_start(long long int now)
{
    cpu_times = session_cpu_times_create();
    session_cpu_times_read(cpu_times);
    last_run = now;
    told_at = now - LOAD_MS;
}

void
session_load_stop(void)
{
    struct session_group *g;

    HMAP_FOR_EACH_POP (g, node, &session_groups) {
        free(g);
    }
    session_cpu_times_destroy(cpu_times);
    cpu_times = NULL;
}

/* Measures what there was since the last call, and tells others. */
void
session_load_run(long long int now, struct session_load *load)
{
    double seconds = MAX(now - last_run, 1) / 1000.0;
    struct hrm_resource *resources = NULL;
    struct session_group *g;
    size_t n = 0;

    last_run = now;
    session_cpu_times_read(cpu_times);
    if (!monitor_snapshot(&resources, &n)) {
        n = 0;
    }
    load->cpu = measure_cpu(resources, n);
    load->bandwidth = measure_bandwidth(resources, n);
    free(resources);
    load->memory = session_memory_used();
    load->pps = measure_groups(seconds, &load->rtt_us);
    said = (struct gossip_load_value) {
        .cpu = known(load->cpu),
        .memory = known(load->memory),
        .bandwidth = known(load->bandwidth),
    };
    HMAP_FOR_EACH (g, node, &session_groups) {
        said.sessions += g->n;
    }
    tell_load(now);
}

/* What others are told. */
const struct gossip_load_value *
session_load_said(void)
{
    return &said;
}
