/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TPAM_H
#define TPAM_H 1

/* Traffic pattern analysis: which sessions will migrate, and where to
 * ===================================================================
 *
 * Sessions migrate in groups: those of one backend.  For each group and each
 * host series of measurements are followed and forecast (core/forecast.h);
 * from what is expected some seconds ahead come a few features (enum
 * tpam_feature), and from those, by logistic regression, the probability that
 * the group migrates within the horizon.
 *
 * of the host     how probably CPU, memory, bandwidth or latency will be over
 *                 their limits, tick by tick, from level, trend and noise; and
 *                 for how long they will have been by then; whether a group
 *                 has just left
 * of the group    its share: the probability that it is the first to go, if
 *                 that is the largest one that fits elsewhere.  How much room
 *                 there is elsewhere, and which of nearly equal groups is the
 *                 largest, is known roughly only: both are probabilities
 *
 * Above 'on' a group is hinted, until it has been below 'off' for 'hold'.
 * Targets are ranked by the load that they are expected to have at the
 * horizon, with what has been hinted there already; those after the first are
 * named if their share of the probability is 'target_min' or more.
 *
 * A host that drains needs no prediction: all of its groups are hinted.
 *
 * Hosts and groups have IDs of the caller's choice.  A host is known as long
 * as each period has a sample of it; it is the caller who knows which are
 * there, and tpam forgets the others.
 *
 * Weights are trained on simulated fleets (tpam-sim.h) and go on learning from
 * what happens, see tpam-learn.c: each group that may well migrate is a case,
 * judged a horizon later and then a step of gradient descent, and no weight
 * goes farther than TPAM_MAX_DRIFT from the shipped one.  The shipped
 * weights are judged beside those in force on the same cases; if they do
 * better, they are in force again.
 *
 * Properties and limits
 * ---------------------
 *
 * time            a run: 0.3 us a forecast (4 a host, 2 a group), and sorting
 *                 the groups of each host; a case learned: 16 multiplications
 * memory          11 kB a host, 6.5 kB a group; TPAM_MAX_HOSTS hosts
 * learning        a case a group and horizon at most; nothing is learned of
 *                 hosts that drain
 *
 * Pure; one thread at a time.  Time is the number of tpam_run(). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tpam;

enum {
    TPAM_MAX_TARGETS = 4,
    TPAM_MAX_HOSTS = 1024
};

#define TPAM_MAX_DRIFT 3.0      /* Of a weight, by learning. */

/* "Long": how long the host will have been over a limit, in 15 periods, less
 * two for each one below. */
enum tpam_feature {
    TPAM_F_ONE,
    TPAM_F_LATENCY,             /* The group's: sigmas over the limit / 3. */
    TPAM_F_LONG_SOON,           /* At half of the horizon. */
    TPAM_F_LONG_LATE,           /* At the horizon. */
    TPAM_F_LONGER_SOON,         /* The part of these above nine periods. */
    TPAM_F_LONGER_LATE,
    TPAM_F_LONGER_NOW,
    TPAM_F_OVER_SOON,           /* Probability of being over a limit. */
    TPAM_F_OVER_LATE,
    TPAM_F_LOG_SHARE,           /* Of being the first to go. */
    TPAM_F_SHARE,
    TPAM_F_EXCESS,              /* Load that must go, in loads of the group. */
    TPAM_F_LATELY,              /* A group left the host lately. */
    TPAM_F_LONGER_LOG_SHARE,    /* Products with TPAM_F_LONGER_LATE. */
    TPAM_F_LONGER_SHARE,
    TPAM_F_LONGER_FAR,          /* At twice the horizon. */
    TPAM_N_FEATURES
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
    double target_min;          /* Share of the probability, 0..1. */
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
    uint64_t host;              /* Where it is. */
    double probability;
    uint64_t since;             /* tpam_run() at which the hint began. */
    size_t n_targets;
    uint64_t targets[TPAM_MAX_TARGETS]; /* Hosts, best first. */
    double shares[TPAM_MAX_TARGETS];    /* Of the probability. */
};

/* What came of predictions, hosts that drain apart. */
struct tpam_learned {
    uint64_t came, nothing;     /* Hints whose group migrated, or did not. */
    uint64_t missed;            /* Migrations without a hint. */
    uint64_t n_cases, n_fallbacks;
    bool is_shipped;            /* The weights in force are the shipped ones */
    double error, shipped_error;        /* Rolling mean of squares, 0..1. */
};

void tpam_config_init(struct tpam_config *);
struct tpam *tpam_create(const struct tpam_config *);
void tpam_destroy(struct tpam *);

void tpam_host(struct tpam *, uint64_t host, const struct tpam_host_sample *);
void tpam_group(struct tpam *, uint64_t group, uint64_t host,
                const struct tpam_group_sample *);
void tpam_group_remove(struct tpam *, uint64_t group);
void tpam_migrated(struct tpam *, uint64_t group, uint64_t to);

void tpam_run(struct tpam *);
size_t tpam_hints(const struct tpam *, struct tpam_hint *, size_t max);
double tpam_probability(const struct tpam *, uint64_t group);
void tpam_get_learned(const struct tpam *, struct tpam_learned *);

/* For training. */
bool tpam_features(const struct tpam *, uint64_t group,
                   double x[TPAM_N_FEATURES]);
void tpam_step(double weights[TPAM_N_FEATURES],
               const double x[TPAM_N_FEATURES], bool migrated, double rate);
double tpam_score(const double weights[TPAM_N_FEATURES],
                  const double x[TPAM_N_FEATURES]);

#endif /* tpam.h */
