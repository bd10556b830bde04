/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TPAM_H
#define TPAM_H 1

/* Traffic pattern analysis: which sessions will migrate, and where to
 * ===================================================================
 *
 * Sessions migrate in groups: those of one backend.  For each group and each
 * host series of measurements are forecast (core/forecast.h); from what is
 * expected some seconds ahead come a few features, and from those, by logistic
 * regression, the probability that the group migrates within the horizon.
 *
 * host features   how far CPU, memory, bandwidth or latency will be over their
 *                 limits, in standard deviations of the forecast, soon and at
 *                 the horizon; how long they have been over already; whether
 *                 the host drains
 * group features  whether its load is among what must leave the host to come
 *                 below the target, if the largest that fit elsewhere leave
 *                 first; its latency
 *
 * Above 'on' a group is hinted, until it has been below 'off' for 'hold'.
 * Targets are ranked by the load that they are expected to have at the
 * horizon, with what has been hinted there already.
 *
 * Weights are trained on simulated fleets (tpam-sim.h) and go on learning from
 * what happens: a group that migrated, or a hint that came to nothing, is one
 * step of gradient descent.
 *
 * A host that drains needs no prediction: all of its groups are hinted.
 *
 * Cost: a few forecast updates a group and period; 10 kB a host, 6 kB a group.
 * Pure; one thread at a time.  Time is the number of tpam_run(). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tpam;

enum {
    TPAM_N_FEATURES = 16,
    TPAM_MAX_TARGETS = 4,
    TPAM_MAX_HOSTS = 1024
};

struct tpam_config {
    double period;              /* Seconds from a tpam_run() to the next. */
    unsigned int horizon;       /* Periods ahead. */
    unsigned int season;        /* Periods; 0: none. */
    double limit, target;       /* Load of a host, 0..1, at which it is left,
                                 * and below which it is left alone. */
    double slo_us;              /* Latency that is too much. */
    double on, off;             /* Probabilities. */
    unsigned int hold;          /* Periods. */
    unsigned int n_targets;     /* Of a hint, up to TPAM_MAX_TARGETS. */
    double learning_rate;       /* 0: do not learn. */
    double weights[TPAM_N_FEATURES];
};

/* Measured of a host, in a period.  NaN is missing. */
struct tpam_host_sample {
    double cpu, memory, bandwidth;      /* 0..1 */
    double latency_us;
    bool draining;
};

/* Measured of a group. */
struct tpam_group_sample {
    double load;                /* Of its host, 0..1. */
    double packet_size;         /* Bytes. */
    double interarrival_us;
    double latency_us;
};

struct tpam_hint {
    uint64_t group;
    uint32_t host;              /* Where it is. */
    double probability;
    uint64_t since;             /* tpam_run() at which the hint began. */
    size_t n_targets;
    uint32_t targets[TPAM_MAX_TARGETS]; /* Hosts, best first. */
};

void tpam_config_init(struct tpam_config *);
struct tpam *tpam_create(const struct tpam_config *);
void tpam_destroy(struct tpam *);

void tpam_host(struct tpam *, uint32_t host, const struct tpam_host_sample *);
void tpam_host_remove(struct tpam *, uint32_t host);
void tpam_group(struct tpam *, uint64_t group, uint32_t host,
                const struct tpam_group_sample *);
void tpam_group_remove(struct tpam *, uint64_t group);
void tpam_migrated(struct tpam *, uint64_t group, uint32_t to);

void tpam_run(struct tpam *);
size_t tpam_hints(const struct tpam *, struct tpam_hint *, size_t max);
double tpam_probability(const struct tpam *, uint64_t group);

/* For training. */
bool tpam_features(const struct tpam *, uint64_t group,
                   double x[TPAM_N_FEATURES]);
void tpam_step(double weights[TPAM_N_FEATURES],
               const double x[TPAM_N_FEATURES], bool migrated, double rate);
double tpam_score(const double weights[TPAM_N_FEATURES],
                  const double x[TPAM_N_FEATURES]);

#endif /* tpam.h */
