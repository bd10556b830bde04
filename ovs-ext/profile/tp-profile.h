/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TP_PROFILE_H
#define TP_PROFILE_H 1

/* One profile while it is being made: private to tp-merge.c.  Belongs to the
 * thread that merges. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "openvswitch/hmap.h"
#include "ovs-ext/profile/tp-flow.h"
#include "ovs-ext/profile/tp.h"

enum {
    TP_N_BINS = 200,            /* Bins of TP_BIN_MS that make a block. */
    TP_N_TARGETS = 32           /* Destinations counted at a time. */
};

/* A rate, smoothed over about a second.  'weight' goes from 0 to 1 as it has
 * been for long enough, so that the first samples are not taken for part of a
 * past that was 0. */
struct tp_rate {
    double sum, weight;
};

/* Adds a rate that held for 's' seconds. */
void tp_rate_update(struct tp_rate *, double rate, double s);

static inline double
tp_rate_get(const struct tp_rate *r)
{
    return r->weight > 0 ? r->sum / r->weight : 0;
}

/* What a profile is of. */
struct profile_id {
    enum tp_network_kind kind;
    uint32_t net_id;
    enum tp_class class;
};

struct profile_id profile_id_of(const struct tp_flow *);
uint32_t profile_id_hash(const struct profile_id *);
bool profile_id_equals(const struct profile_id *, const struct profile_id *);

struct profile_target {
    uint8_t address[16];
    uint8_t family;             /* enum tp_family. */
    double packets;             /* Old ones count for less. */
};

/* Packets of one second in bins. */
struct profile_block {
    uint64_t number;            /* Bin number / TP_N_BINS. */
    size_t first;               /* First bin in which the profile existed. */
    bool used;
    double noise;               /* What sampling adds to the sum of squares. */
    float bins[TP_N_BINS];
};

struct profile {
    struct hmap_node node;
    struct profile_id id;

    /* Of this interval. */
    double packets, bytes;

    struct tp_rate pps, bps;
    double flows;               /* Active ones, made anew each interval. */
    double elephants;           /* Likewise; bits/s. */
    double sizes[TP_N_SIZES];   /* Packets, old ones count for less. */

    size_t n_targets;
    struct profile_target targets[TP_N_TARGETS];
    double targeted;            /* Packets behind 'targets'. */

    struct profile_block blocks[2]; /* By the parity of their number. */
    double variance, mean;      /* Of packets in a bin, smoothed sums. */
    bool began;                 /* Has had a block. */

    long long int first_seen, last_seen;
};

void profile_add(struct profile *, const struct tp_flow *, uint32_t len,
                 double packets, double bytes);
void profile_add_bin(struct profile *, uint64_t bin, double packets);
void profile_end(struct profile *, double s, uint64_t bin);
void profile_get(const struct profile *, struct tp_profile *);

#endif /* tp-profile.h */
