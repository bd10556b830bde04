/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/steering/steer-observe.h"

#include <math.h>

enum {
    STEER_MISSED_TICKS = 10,    /* Ticks between looks at a device's counters
                                 * while no ring is filling. */
    STEER_DISTURBED_MAX = 50,   /* Ticks in a row without predictions. */
    STEER_BLIND_MAX = 2         /* The same under pressure. */
};

#define STEER_FIT_DECAY 0.99    /* Of the sums behind costs, in a tick. */
#define STEER_GAP_MAX 0.1       /* Share of a tick. */
#define STEER_GAP_BLIND 0.25    /* Share of a tick that nothing outweighs. */
#define STEER_COST_NOISE 0.15   /* Difference of cores that may be chance. */

void
steer_observer_init(struct steer_observer *o)
{
    memset(o, 0, sizeof *o);
    o->state.cores = xcalloc(STEER_MAX_PMDS, sizeof *o->state.cores);
    o->fresh = true;
}

void
steer_observer_destroy(struct steer_observer *o)
{
    free(o->state.cores);
    free(o->state.buckets);
    free(o->state.groups);
    free(o->ports);
    free(o->holt);
}

/* Returns the increase of '*old' to 'new', which becomes '*old'. */
static uint64_t
steer_delta(uint64_t *old, uint64_t new)
{
    uint64_t delta = new - *old;

    *old = new;
    return delta;
}

/* Fits cycles = a + b * packets to the bursts of all cores, recent ones more.
 * Small batches cost several times more a packet than full ones, so the share
 * of cycles in which a core is busy says little about what it can still take;
 * its packets by what it could do at full batches does. */
static void
steer_observe_cost(struct steer_observer *o)
{
    double det = o->f_b * o->f_nn - o->f_n * o->f_n;

    if (o->f_n < 1) {
        return;
    }
    o->cycles_batch = 0;
    o->cycles_packet = o->f_c / o->f_n;
    if (det > 0.01 * o->f_b * o->f_nn) {
        double slope = (o->f_b * o->f_nc - o->f_n * o->f_c) / det;
        double base = (o->f_c - slope * o->f_n) / o->f_b;

        if (slope > 0 && base >= 0) {
            o->cycles_batch = base;
            o->cycles_packet = slope;
        }
    }
}

/* Returns what core 'c' can do at full batches, in packets/s.  Cores count as
 * equal until they clearly differ: what each measures of itself is noisy, and
 * steering by noise would make balanced loads uneven. */
static double
steer_core_capacity(const struct steer_observer *o, struct steer_core_obs *c)
{
    double fit = o->cycles_batch * c->f_b + o->cycles_packet * c->f_n;
    double full = o->cycles_packet + o->cycles_batch / NETDEV_MAX_BURST;
    double excess;

    c->cost = fit > 0 ? c->f_c / fit : 1;
    excess = c->cost - 1;
    if (fabs(excess) < STEER_COST_NOISE) {
        excess = 0;
    } else {
        excess -= copysign(STEER_COST_NOISE, excess);
    }
    return full > 0 ? o->tsc_hz / (full * (1 + excess)) : 0;
}

static void
steer_observe_core(struct steer_observer *o, size_t i, double s)
{
    struct steer_core_obs *c = &o->cores[i];
    struct steer_core *core = &o->state.cores[i];
    const struct steer_pmd_counters *n = &c->pmd->n;
    double packets = steer_delta(&c->packets, steer_ctr64_get(&n->packets));
    double bursts = steer_delta(&c->bursts, steer_ctr64_get(&n->bursts));
    double cycles = steer_delta(&c->busy_cycles, steer_ctr64_get(&n->busy));
    double fitted = steer_delta(&c->fit_packets,
                                steer_ctr64_get(&n->fit_packets));
    double absent = steer_delta(&c->gaps, steer_ctr64_get(&n->gaps));
    double samples = steer_delta(&c->lat_samples,
                                 steer_ctr64_get(&n->lat_samples));
    double latency = steer_delta(&c->lat_cycles,
                                 steer_ctr64_get(&n->lat_cycles));

    c->upcalls_ps = steer_delta(&c->upcalls, steer_ctr64_get(&n->upcalls)) / s;
    c->preempted_ps = steer_delta(&c->preempted,
                                  steer_ctr64_get(&n->preempted)) / s;
    o->max_gap = MAX(o->max_gap, absent / (o->tsc_hz * s + 1));
    c->f_b = c->f_b * STEER_FIT_DECAY + bursts;
    c->f_n = c->f_n * STEER_FIT_DECAY + fitted;
    c->f_c = c->f_c * STEER_FIT_DECAY + cycles;
    o->f_b += bursts;
    o->f_n += fitted;
    o->f_c += cycles;
    o->f_nn += steer_delta(&c->sum_nn, steer_ctr64_get(&n->sum_nn));
    o->f_nc += steer_delta(&c->sum_nc, steer_ctr64_get(&n->sum_nc));
    c->busy = o->tsc_hz ? cycles / (o->tsc_hz * s) : 0;
    c->batch = bursts ? fitted / bursts : 0;

    core->pps = packets / s;
    core->latency_ns = samples && o->tsc_hz
                        ? latency / samples / o->tsc_hz * 1e9 : 0;
    core->numa = c->pmd->numa_id;
    core->isolated = false;
    core->qfill = 0;
    core->drops_pps = 0;
}

/* Adds what the queues of 'port' say about the cores that poll them. */
static void
steer_observe_queues(struct steer_observer *o, size_t group)
{
    struct steer_port *port = o->ports[group].port;
    struct steer_group *g = &o->state.groups[group];
    size_t fullest = SIZE_MAX;
    double max_fill = 0;

    g->cores = 0;
    g->numa = port->numa_id;
    for (int q = 0; q < port->n_real + port->n_virtual; q++) {
        uint16_t slot, depth;

        if (!port->rxqs[q]) {
            continue;
        }
        atomic_read_relaxed(&port->rxqs[q]->pmd, &slot);
        atomic_read_relaxed(&port->rxqs[q]->depth, &depth);
        for (size_t i = 0; i < o->state.n_cores; i++) {
            struct steer_core *core = &o->state.cores[i];
            double fill = (double) depth / port->ring_size;

            if (steer_pmd_slot(o->cores[i].pmd) != slot) {
                continue;
            }
            g->cores |= UINT64_C(1) << i;
            core->qfill = MIN(1, MAX(core->qfill, fill));
            if (fullest == SIZE_MAX || fill > max_fill) {
                fullest = i;
                max_fill = fill;
            }
        }
    }

    if (port->mech == STEER_MECH_RETA
        && (max_fill > 0.5 || o->ports[group].drops_pps
            || !(o->state.tick % STEER_MISSED_TICKS))) {
        double s = (o->last_usec - port->missed_usec) / 1e6;
        uint64_t missed;

        if (steer_dev_missed(port->dpdk_port, &missed)) {
            /* Less than before: somebody has reset the counters. */
            o->ports[group].drops_pps
                = (port->missed_usec && missed > port->missed
                   ? (missed - port->missed) / s : 0);
            port->missed = missed;
            port->missed_usec = o->last_usec;
        }
    }
    if (fullest != SIZE_MAX) {
        o->state.cores[fullest].drops_pps += o->ports[group].drops_pps;
    }
}

static size_t
steer_core_of_queue(const struct steer_observer *o,
                    const struct steer_rxq *q)
{
    uint16_t slot;

    if (q) {
        atomic_read_relaxed(&CONST_CAST(struct steer_rxq *, q)->pmd, &slot);
        for (size_t i = 0; i < o->state.n_cores; i++) {
            if (steer_pmd_slot(o->cores[i].pmd) == slot) {
                return i;
            }
        }
    }
    return STEER_NO_CORE;
}

static void
steer_observe_buckets(struct steer_observer *o, size_t group, double s)
{
    struct steer_port *port = o->ports[group].port;

    for (uint32_t b = 0; b < port->n_buckets; b++) {
        struct steer_bucket *bucket
            = &o->state.buckets[o->ports[group].base + b];
        struct ext_holt *holt = &o->holt[o->ports[group].base + b];
        uint64_t sum = 0, delta;

        for (int q = 0; q < port->n_real; q++) {
            const struct steer_rxq *rxq = port->rxqs[q];

            if (rxq && b - rxq->bucket_base <= rxq->bucket_mask) {
                sum += steer_ctr64_get(
                    &rxq->buckets[b - rxq->bucket_base].both);
            }
        }
        delta = sum - port->prev[b];
        port->prev[b] = sum;
        bucket->pps = (delta >> STEER_COUNT_SHIFT) / s;
        bucket->bytes_ps = (delta & ((UINT64_C(1) << STEER_COUNT_SHIFT) - 1))
                           / s;
        if (!o->fresh && !o->n_disturbed) {
            bucket->pred_pps = ext_holt_update(holt, bucket->pps, 1 / s);
        }
        bucket->core = steer_core_of_queue(o, port->rxqs[port->owner[b]]);
        bucket->group = group;
        /* Packets that the device does not hash, it sends by entry 0 or
         * always to one queue, and nothing in them says which: leave that
         * entry alone, or they would be out of order. */
        bucket->movable = (!port->moving[b]
                           && (b || port->mech != STEER_MECH_RETA)
                           && bucket->core != STEER_NO_CORE
                           && !steer_bucket_is_stuck(port, b));
        if (bucket->ticks_since_move < UINT32_MAX) {
            bucket->ticks_since_move++;
        }
    }
}

/* Returns true if a ring of a steered port is filling up. */
static bool
steer_observe_pressed(const struct steer_observer *o)
{
    for (size_t g = 0; g < o->state.n_groups; g++) {
        const struct steer_port *port = o->ports[g].port;

        if (o->ports[g].drops_pps > 0) {
            return true;
        }
        for (int q = 0; q < port->n_real + port->n_virtual; q++) {
            uint16_t depth = 0;

            if (port->rxqs[q]) {
                atomic_read_relaxed(&port->rxqs[q]->depth, &depth);
            }
            if (depth > port->ring_size / 4) {
                return true;
            }
        }
    }
    return false;
}

/* Makes the lists of cores, ports and buckets.  Returns true if they are as
 * they were; else everything is forgotten and 'o->fresh' set. */
static bool
steer_observe_topology(struct steer_observer *o) OVS_REQUIRES(steer_mutex)
{
    struct steer_state *s = &o->state;
    size_t n_cores = 0, n_ports = 0, n_buckets = 0;
    struct steer_port *port;
    bool same = true;

    for (size_t i = 0; i < STEER_MAX_PMDS; i++) {
        struct steer_pmd *pmd = &steer_pmds[i];
        bool used;

        atomic_read_explicit(&pmd->used, &used, memory_order_acquire);
        if (used) {
            if (o->cores[n_cores].pmd != pmd) {
                memset(&o->cores[n_cores], 0, sizeof o->cores[n_cores]);
                o->cores[n_cores].pmd = pmd;
                same = false;
            }
            n_cores++;
        }
    }
    LIST_FOR_EACH (port, node, &steer_ports) {
        if (!port->ready && steer_port_ready(port)) {
            same = false;
        }
        if (port->ready) {
            if (n_ports >= o->allocated_ports) {
                o->ports = x2nrealloc(o->ports, &o->allocated_ports,
                                      sizeof *o->ports);
                s->groups = xrealloc(s->groups, o->allocated_ports
                                                * sizeof *s->groups);
            }
            if (n_ports >= s->n_groups || o->ports[n_ports].port != port
                || o->ports[n_ports].base != n_buckets) {
                o->ports[n_ports].port = port;
                o->ports[n_ports].base = n_buckets;
                o->ports[n_ports].drops_pps = 0;
                same = false;
            }
            n_buckets += port->n_buckets;
            n_ports++;
        }
    }
    same = (same && n_cores == s->n_cores && n_ports == s->n_groups
            && n_buckets == s->n_buckets);
    if (!same) {
        s->buckets = xrealloc(s->buckets,
                              MAX(n_buckets, 1) * sizeof *s->buckets);
        o->holt = xrealloc(o->holt, MAX(n_buckets, 1) * sizeof *o->holt);
        memset(s->buckets, 0, n_buckets * sizeof *s->buckets);
        memset(o->holt, 0, n_buckets * sizeof *o->holt);
        for (size_t i = 0; i < n_buckets; i++) {
            s->buckets[i].ticks_since_move = UINT32_MAX;
        }
        s->n_cores = n_cores;
        s->n_groups = n_ports;
        s->n_buckets = n_buckets;
        o->fresh = true;
    }
    return same;
}

bool
steer_observe(struct steer_observer *o, long long int now, uint64_t tsc)
{
    bool same = steer_observe_topology(o);
    bool fresh = o->fresh || !o->last_usec;
    double s = (now - o->last_usec) / 1e6;

    if (s <= 0) {
        s = 1e-6;
    }
    if (o->last_usec) {
        double hz = (tsc - o->last_tsc) / s;

        o->tsc_hz = o->tsc_hz ? o->tsc_hz + 0.05 * (hz - o->tsc_hz) : hz;
    }
    o->last_usec = now;
    o->last_tsc = tsc;
    o->state.tick++;
    o->state.tick_s = s;
    o->fresh = fresh;

    o->f_b *= STEER_FIT_DECAY;
    o->f_n *= STEER_FIT_DECAY;
    o->f_c *= STEER_FIT_DECAY;
    o->f_nn *= STEER_FIT_DECAY;
    o->f_nc *= STEER_FIT_DECAY;
    o->max_gap = 0;
    for (size_t i = 0; i < o->state.n_cores; i++) {
        steer_observe_core(o, i, s);
    }
    /* What a thread received in a tick says little if the operating system
     * ran something else for much of it, nor does the tick after, in which it
     * catches up.  But that must not go on for ever. */
    o->pressed = steer_observe_pressed(o);
    if (o->pressed && (o->max_gap <= STEER_GAP_BLIND
                       || o->n_disturbed >= STEER_BLIND_MAX)) {
        /* Overload cannot wait, and shows as well.  But a core that was away
         * for much of a tick, as when the agent itself installed flows in its
         * place, looks as if it had nothing to do. */
        o->n_disturbed = 0;
        o->settling = false;
    } else if (o->max_gap > STEER_GAP_MAX) {
        o->n_disturbed = (o->n_disturbed < STEER_DISTURBED_MAX
                          ? o->n_disturbed + 1 : 0);
        o->settling = true;
    } else if (o->settling && o->n_disturbed < STEER_DISTURBED_MAX) {
        o->n_disturbed++;
        o->settling = false;
    } else {
        o->n_disturbed = 0;
    }
    steer_observe_cost(o);
    for (size_t i = 0; i < o->state.n_cores; i++) {
        o->state.cores[i].cap_pps = steer_core_capacity(o, &o->cores[i]);
    }
    for (size_t g = 0; g < o->state.n_groups; g++) {
        steer_observe_queues(o, g);
        steer_observe_buckets(o, g, s);
    }
    for (size_t i = 0; i < o->state.n_cores; i++) {
        struct steer_core *core = &o->state.cores[i];

        core->load = (core->cap_pps
                      ? (core->pps + core->drops_pps) / core->cap_pps : 0);
    }
    o->fresh = false;
    return same && !fresh;
}

uint16_t
steer_observer_queue(const struct steer_observer *o,
                     const struct steer_port *port, uint32_t bucket,
                     size_t core)
{
    uint16_t n_owned[STEER_MAX_QUEUES];
    uint16_t best = UINT16_MAX;

    memset(n_owned, 0, sizeof n_owned);
    for (uint32_t b = 0; b < port->n_buckets; b++) {
        n_owned[port->owner[b]]++;
    }
    for (int q = 0; q < port->n_real + port->n_virtual; q++) {
        if (steer_core_of_queue(o, port->rxqs[q]) == core
            && steer_port_may_use(port, bucket, q)
            && (best == UINT16_MAX || n_owned[q] < n_owned[best])) {
            best = q;
        }
    }
    return best;
}

struct steer_port *
steer_observer_port(const struct steer_observer *o, uint32_t bucket,
                    uint32_t *port_bucket)
{
    const struct steer_port_obs *p
        = &o->ports[o->state.buckets[bucket].group];

    *port_bucket = bucket - p->base;
    return p->port;
}
