/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef SIM_TRAFFIC_H
#define SIM_TRAFFIC_H 1

/* Synthetic traffic for the steering simulator
 * =============================================
 *
 * A traffic source says, tick by tick, how many packets per second arrive for
 * each bucket.  Families imitate kinds of traffic: a population of flows, each
 * hashed to a bucket, with rates and lifetimes of its kind.  Some families are
 * for training, the others ("held out") only for judging.
 *
 * Flow lengths come from the mixture that P. Jurkiewicz, G. Rzym and P. Borylo
 * fitted to 4.03 billion flows of a campus network ("Flow length and size
 * distributions in campus Internet traffic", Computer Communications 167,
 * 2021).  Flows of under a hundred packets live for less than a tick at these
 * rates; they are the even background.
 *
 * The same family, parameters and seed always give the same traffic.  A source
 * belongs to one thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_traffic;

struct sim_family {
    const char *name;
    bool heldout;               /* Never trained on. */
    const char *about;
};

/* All synthetic families, ended by a null name. */
extern const struct sim_family sim_families[];
const struct sim_family *sim_family_find(const char *name);

struct sim_traffic_params {
    size_t n_cores;             /* Decides what an elephant is. */
    size_t n_buckets;
    double core_pps;            /* Capacity of a core, packets/s. */
    double load;                /* Mean offered load / capacity of all. */
    double tick_s;
    double duration_s;          /* Of the run; places events in time. */
    uint64_t seed;
    bool absolute;              /* Traces are not scaled to 'load'. */
    uint32_t bucket_flows;      /* Flows of a bucket in a replay, besides the
                                 * two of the background. */
};

/* A packet of a capture to be replayed, times relative to its beginning. */
struct sim_packet {
    double t;                   /* Seconds. */
    uint32_t hash;              /* Of the 5-tuple. */
};

struct sim_traffic *sim_traffic_create(const struct sim_family *,
                                       const struct sim_traffic_params *);

/* Replays 'packets' over and over as many copies with different addresses and
 * phases, sped up or slowed down so that a pass takes 'loop_s' seconds. */
struct sim_traffic *sim_traffic_replay(const struct sim_packet *packets,
                                       size_t n_packets, double loop_s,
                                       const struct sim_traffic_params *);

/* Replays recorded rates: 'pps' is a table of 'n_ticks' rows with
 * 'n_trace_buckets' columns, which wrap around where the simulation has fewer
 * buckets.  Scaled to the load of the parameters unless these say
 * 'absolute'. */
struct sim_traffic *sim_traffic_trace(const float *pps, size_t n_ticks,
                                      size_t n_trace_buckets,
                                      const struct sim_traffic_params *);

void sim_traffic_destroy(struct sim_traffic *);

/* Advances by one tick.  Stores packets/s and flows of each bucket. */
void sim_traffic_step(struct sim_traffic *, double *pps, uint32_t *flows);

#endif /* sim-traffic.h */
