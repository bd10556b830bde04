/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef SIM_PACKETS_H
#define SIM_PACKETS_H 1

/* A simulated core, packet by packet
 * ===================================
 *
 * The fluid model of sim-switch.h is fast enough to train with, and coarse: a
 * step of it is longer than most packets stay in a switch.  This is the same
 * core in full, for comparison with real ones: packets arrive one by one, wait
 * in a ring, and are served in batches of what has come meanwhile.
 *
 *   - The source sends evenly and RSS gives each packet to this core with the
 *     probability 'rate' / 'total': gaps are geometric in multiples of the
 *     source's, regular for a core that gets nearly everything and exponential
 *     for one of many.
 *   - A batch of n packets costs 'batch_ns' + n * 'packet_ns'.  Its packets
 *     are out 'after_ns' before the core is free again.  'jitter_ns' of what
 *     a packet costs is the mean of an exponential part.
 *   - An idle core looks once in 'poll_ns'.
 *   - The machine takes the core away now and then, for times and at rates
 *     that are measured ('interrupts').
 *
 * Time is an argument, in seconds.  Seeded and deterministic.  A core belongs
 * to one thread. */

#include <stdint.h>
#include <stddef.h>

struct sim_params;

/* Times that a core is taken away for 's' seconds, per second. */
struct sim_interrupt {
    double s, hz;
};

/* What happened in a step. */
struct sim_packets_step {
    double arrived, served, dropped;    /* Packets. */
    double interrupted_s;
    double extra_s;                     /* Of the extra work done. */
};

/* Called for each packet served with the time that it took, seconds. */
typedef void sim_packets_cb(void *aux, double latency_s);

struct sim_packets *sim_packets_create(const struct sim_params *,
                                       uint64_t stream);
void sim_packets_destroy(struct sim_packets *);

/* Goes on until 'end'.  'rate' is this core's packets/s and 'total' that of
 * the source.  'extra_s' is work to be done besides. */
void sim_packets_run(struct sim_packets *, double end, double rate,
                     double total, double extra_s, sim_packets_cb *,
                     void *aux, struct sim_packets_step *);

/* Puts 'n' packets that arrived evenly between 'first' and 'last' ahead of
 * those that wait, whatever room the ring has: they have been elsewhere. */
void sim_packets_put(struct sim_packets *, size_t n, double first,
                     double last);

/* Packets that wait. */
size_t sim_packets_queued(const struct sim_packets *);

#endif /* sim-packets.h */
