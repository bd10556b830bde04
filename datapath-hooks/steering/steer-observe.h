/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef STEER_OBSERVE_H
#define STEER_OBSERVE_H 1

/* Turns the counters of PMD threads into the policies' state, once a tick.
 *
 * Cores are the PMD threads in use; buckets are those of all steered ports,
 * one port after the other; a group is a port.  Agent thread. */

#include "datapath-hooks/steering/steer-dp.h"
#include "ovs-ext/core/ext-ewma.h"
#include "ovs-ext/steering/steer-policy.h"

/* What the agent knows of a core besides "struct steer_core". */
struct steer_core_obs {
    struct steer_pmd *pmd;
    double busy;                /* Share of the interval in bursts. */
    double batch;               /* Mean packets in a burst. */
    double cost;                /* Its cycles by those of the common fit. */
    double upcalls_ps;
    double preempted_ps;        /* Bursts/s that were pre-empted. */

    /* Counters at the last tick. */
    uint64_t packets, upcalls, preempted, gaps, lat_samples, lat_cycles;
    uint64_t bursts, fit_packets, busy_cycles, sum_nn, sum_nc;

    /* Decaying sums of the bursts, their packets and their cycles. */
    double f_b, f_n, f_c;
};

/* ...and of a port. */
struct steer_port_obs {
    struct steer_port *port;
    uint32_t base;              /* Its first bucket. */
    double drops_pps;
};

struct steer_observer {
    struct steer_state state;
    struct steer_core_obs cores[STEER_MAX_PMDS];
    struct steer_port_obs *ports;       /* state.n_groups of them. */
    struct ext_holt *holt;              /* state.n_buckets of them. */
    size_t allocated_ports, allocated_buckets;
    long long int last_usec;            /* Of the last tick. */
    uint64_t last_tsc;
    double tsc_hz;

    /* What a burst costs: cycles = a + b * packets, fitted to the bursts of
     * all cores; decaying sums behind it. */
    double cycles_batch, cycles_packet;
    double f_b, f_n, f_c, f_nn, f_nc;
    bool pressed;               /* A ring fills up or packets are missed. */
    double max_gap;             /* Longest absence in the tick, share of it. */
    bool settling;              /* The tick before was disturbed. */
    unsigned int n_disturbed;   /* Ticks in a row in which predictions had to
                                 * stand because a thread did not get to run
                                 * for much of the tick. */
    bool fresh;                 /* The last tick has no predecessor: rates are
                                 * not valid yet. */
};

void steer_observer_init(struct steer_observer *);
void steer_observer_destroy(struct steer_observer *);

/* Takes a snapshot.  'now' in time_usec(), 'tsc' at the same moment.  Returns
 * true if cores, ports and buckets are the same as those of the last one. */
bool steer_observe(struct steer_observer *, long long int now, uint64_t tsc)
    OVS_REQUIRES(steer_mutex);

/* Returns the queue of 'port' that the thread of core 'core' polls, that can
 * serve 'bucket' (its index in the port) and that serves the fewest buckets,
 * or UINT16_MAX. */
uint16_t steer_observer_queue(const struct steer_observer *,
                              const struct steer_port *, uint32_t bucket,
                              size_t core);

/* Returns the port of bucket 'bucket' and stores its index in that port. */
struct steer_port *steer_observer_port(const struct steer_observer *,
                                       uint32_t bucket, uint32_t *port_bucket);

#endif /* steer-observe.h */
