/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef SIM_SWITCH_H
#define SIM_SWITCH_H 1

/* Simulator of a software switch under steering
 * ==============================================
 *
 * A fluid model in steps of SIM_STEP_S within each tick.  It knows what makes
 * the difference between steering policies:
 *
 *   - each core has a descriptor ring that overflows, and serves batches: a
 *     batch of n packets costs 'batch_ns' + n * 'packet_ns';
 *   - packets arrive in trains, so a busy core queues before it saturates;
 *   - a move takes time: flows are installed first, then the table changes,
 *     then packets of the bucket are parked until the old core has worked off
 *     what it held at that moment;
 *   - the first packet of each moved flow costs the new core more;
 *   - cores are pre-empted now and then;
 *   - what the policy sees is an estimate with noise, a tick old.
 *
 * It is a model.  Parameters are to be measured on the real switch; see
 * ovs-ext-train(1).  With 'packets', cores are simulated packet by packet
 * (sim-packets.h): a hundred times slower, for comparison with a real switch.
 *
 * Everything is conserved: offered = served + dropped + queued + parked.
 *
 * Seeded and deterministic.  A simulation belongs to one thread. */

#include "ovs-ext/steering/sim-packets.h"
#include "ovs-ext/steering/sim-traffic.h"
#include "ovs-ext/steering/steer-policy.h"

#define SIM_STEP_S 100e-6
#define SIM_PACKETS_STEP_S 10e-6        /* With 'packets'. */
#define SIM_MAX_INTERRUPTS 64

struct sim_params {
    size_t n_cores;
    size_t n_buckets;
    double packet_ns;           /* Work for a packet. */
    double batch_ns;            /* Work for a batch besides its packets. */
    double batch;               /* Packets in a full batch. */
    double ring;                /* Descriptors of a core's ring. */
    double train;               /* Packets that arrive back to back. */
    double install_ns;          /* Agent's work to install one flow. */
    double warm_ns;             /* Extra work of the new core for a moved flow
                                 * that was installed before... */
    double cold_ns;             /* ...and for one that was not. */
    bool warm;                  /* Install flows before a move? */
    double preempt_hz;          /* Pre-emptions of a core, per second... */
    double preempt_s;           /* ...and their mean length. */
    double noise;               /* Relative error of load estimates. */
    double tick_s;
    double load;                /* Offered / capacity. */
    double duration_s;
    double warmup_s;            /* Of that, not judged. */
    double traffic_s;           /* Traffic changes after that; 0: 'tick_s'. */
    uint64_t seed;
    double idle_load;           /* No decisions while no core has as much. */
    double trace_flows;         /* Flows that a table of rates stands for. */

    /* Packet by packet: */
    bool packets;
    double poll_ns;             /* An idle core's look at its ring. */
    double jitter_ns;           /* Part of 'packet_ns' that varies. */
    double after_ns;            /* Part of 'batch_ns' after packets are out. */
    struct sim_interrupt interrupts[SIM_MAX_INTERRUPTS];
    size_t n_interrupts;        /* 0: 'preempt_hz' and 'preempt_s' hold. */
};

/* Defaults: 2.9 million packets/s a core. */
void sim_params_init(struct sim_params *);

/* Capacity of a core at full batches, packets/s. */
double sim_core_pps(const struct sim_params *);

struct sim_switch;

/* Takes ownership of 'traffic'. */
struct sim_switch *sim_switch_create(const struct sim_params *,
                                     struct sim_traffic *traffic);
void sim_switch_destroy(struct sim_switch *);

/* Runs for one tick and returns what a policy would see of it.  The state
 * belongs to the simulation and is valid until the next call. */
const struct steer_state *sim_switch_tick(struct sim_switch *);

/* Starts 'moves'.  Those that are not legal are ignored and counted. */
void sim_switch_move(struct sim_switch *, const struct steer_move *moves,
                     size_t n);

/* Changes who may go where. */
struct steer_state *sim_switch_state(struct sim_switch *);

struct sim_totals {
    double offered, served, dropped, queued, parked;   /* Packets. */
    uint64_t moves, refused;
    double p50_us, p95_us, p99_us, mean_us;
};
void sim_switch_get_totals(const struct sim_switch *, struct sim_totals *);

/* Forgets latencies and counts so far (but not what is queued). */
void sim_switch_clear(struct sim_switch *);

/* True packets offered to each core in the last tick, as load. */
const double *sim_switch_demand(const struct sim_switch *);

#endif /* sim-switch.h */
