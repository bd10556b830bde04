/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef STEER_CAND_H
#define STEER_CAND_H 1

/* Candidate moves of the rl policy
 * ================================
 *
 * Scoring all (source, destination, bucket) triples would cost millions of
 * evaluations at 64 cores and 4096 buckets, nearly all of them hopeless.  A
 * step of the greedy search therefore looks at the CAND_SRC most loaded cores,
 * for each of them at the CAND_DST least loaded cores that its buckets may go
 * to, and for each such pair at the few buckets whose size fits the gap best.
 * Moves that RSS++ proposes are always among the candidates.
 *
 * Some moves are never candidates (they are masked whatever the network might
 * say):
 *
 *   - to a core that the bucket's port does not allow or that is isolated;
 *   - a bucket in mid-move, or moved less than CAND_REST ticks ago;
 *   - one that does not lower the greater load of the two cores by at least
 *     CAND_MIN_GAIN: an elephant never bounces, and noise is left alone.
 *
 * Pure; a 'struct cand_search' belongs to one policy. */

#include "ovs-ext/steering/steer-impl.h"
#include "ovs-ext/steering/steer-model.h"

#define CAND_SRC 4          /* Sources looked at in a step. */
#define CAND_DST 3          /* Destinations for each of them. */
#define CAND_REST 2         /* Ticks that a moved bucket stays at least. */
#define CAND_MIN_GAIN 0.0005 /* Share of a core's capacity. */
#define CAND_STALE 0.5      /* Part of two cores' difference that must be left
                             * for a score to hold after other moves. */
#define CAND_RSSPP 10       /* Moves of RSS++ looked at in a step; in one with
                             * few cores, as many as there is room for. */

struct cand {
    uint32_t bucket;
    uint16_t from, to;
};

struct cand_search {
    struct steer_view *v;
    double load[STEER_MAX_CORES];   /* With the moves chosen so far done. */
    double mean;                    /* Mean of 'load'. */
    double noise;                   /* Mean change of core loads a tick. */
    double scale;                   /* Mean, at least STEER_REL_FLOOR. */
    double drops[STEER_MAX_CORES];  /* Fraction of packets missed. */
    size_t n_chosen;

    /* Buckets of each core sorted by predicted load, largest first. */
    struct steer_item *sorted;      /* Parallel to v->list. */
    uint64_t is_sorted;             /* Bitmap of cores. */
    uint32_t n_sorted[STEER_MAX_CORES];
    uint8_t *taken;                 /* By bucket: already chosen. */
    size_t alloc;

    const struct steer_move *rsspp; /* What RSS++ proposes. */
    size_t n_rsspp;

    struct cand cand[STEER_BATCH];  /* The last one is no-op. */
    size_t n;
    struct steer_batch batch;
};

void cand_init(struct cand_search *);
void cand_destroy(struct cand_search *);

/* Starts the search of one tick. */
void cand_start(struct cand_search *, struct steer_view *, double noise,
                const struct steer_move *rsspp, size_t n_rsspp);

/* Generates the candidates of one step and their features in 'batch'.  The
 * last candidate (index n - 1) is no-op. */
void cand_generate(struct cand_search *);

/* Whether candidate 'i' (not no-op) is still allowed and of use after other
 * moves of the step have been done. */
bool cand_still_ok(const struct cand_search *, size_t i);

/* Does candidate 'i' on the virtual state. */
void cand_apply(struct cand_search *, size_t i);

#endif /* steer-cand.h */
