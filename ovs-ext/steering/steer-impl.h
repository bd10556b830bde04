/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef STEER_IMPL_H
#define STEER_IMPL_H 1

/* What steering policies share
 * ============================
 *
 * Only for the implementations of policies; users include steer-policy.h.
 *
 * The front end (steer-policy.c) digests each "struct steer_state" into a
 * "struct steer_view" once: loads of cores, loads of buckets in the same unit,
 * the buckets of each core side by side, and who may go where.  Whatever is
 * not plausible in the state (a bucket on an unknown core, a group that does
 * not exist, a NaN) is left out of the view, so that policies need not check
 * again.
 *
 * Two estimates of each load stand side by side:
 *
 *   - 'cur': the last interval as measured.  The bucket's share of its core's
 *     packets times the core's load, as in RSS++.
 *
 *   - 'pred': the next interval as predicted.  The bucket's predicted rate
 *     times its core's cost per packet.  Smoother, and right at once for a
 *     bucket that has just changed cores, since it depends on where the bucket
 *     is rather than on where it was served. */

#include "ovs-ext/steering/steer-policy.h"

struct steer_view {
    const struct steer_state *st;
    size_t n_cores, n_buckets;
    size_t n_part;              /* Cores that take part. */
    uint64_t part;              /* The same, a bitmap. */
    double mean_cur, mean_pred; /* Mean load of cores that take part. */

    double cur[STEER_MAX_CORES];   /* Load of each core, measured. */
    double pred[STEER_MAX_CORES];  /* Load of each core, predicted. */
    double cap[STEER_MAX_CORES];   /* Relative capacity, 1 = mean. */

    /* Movable buckets of core C: list[start[C]]...list[start[C + 1] - 1]. */
    uint32_t start[STEER_MAX_CORES + 1];
    uint32_t *list;             /* Bucket indexes. */
    size_t n_list;
    uint8_t *home;              /* By bucket index: core if movable. */
    float *bcur;                /* By bucket index: load on its core. */
    float *bpred;               /* The same, predicted. */
    uint64_t *allowed;          /* By group index: cores that take part. */

    /* Kept from tick to tick. */
    double cost[STEER_MAX_CORES];  /* Smoothed load per packet/s. */
    double fixed[STEER_MAX_CORES]; /* Smoothed load that no bucket explains. */
    bool primed;
    size_t alloc_buckets, alloc_groups;

    /* Scratch for sorting, 'alloc_buckets' each. */
    struct steer_item *items, *items2;
};

struct steer_item {
    uint32_t key;               /* Sorted by this, descending. */
    uint32_t bucket;
};

void steer_view_init(struct steer_view *);
void steer_view_destroy(struct steer_view *);
void steer_view_reset(struct steer_view *);
void steer_view_update(struct steer_view *, const struct steer_state *);

/* Returns the cores that 'bucket' may be on. */
static inline uint64_t
steer_view_allowed(const struct steer_view *v, uint32_t bucket)
{
    return v->allowed[v->st->buckets[bucket].group];
}

/* Converts a bucket's load from core 'from' to core 'to'. */
static inline double
steer_view_rescale(const struct steer_view *v, double load,
                   uint16_t from, uint16_t to)
{
    return load * v->cap[from] / v->cap[to];
}

/* Sorts 'items' by load, largest first, using 'tmp' as scratch.  Stable and
 * of constant time for a given 'n'. */
void steer_sort(struct steer_item *items, struct steer_item *tmp, size_t n);

/* A key for steer_sort() out of a load: exponents from 2^-20 (less is 0) to
 * 2^11, relative precision 2^-9. */
#define STEER_KEY_BITS 14
static inline uint32_t
steer_sort_key(float load)
{
    union { float f; uint32_t u; } x = { .f = load };
    uint32_t base = (127 - 20) << 9;

    return (!(load > 0x1p-20f) ? 0
            : load >= 2048 ? (1u << STEER_KEY_BITS) - 1
            : (x.u >> 14) - base);
}

struct steer_policy_class {
    const char *name;
    struct steer_policy *(*create)(const struct steer_config *, char **error);
    void (*destroy)(struct steer_policy *);
    void (*reset)(struct steer_policy *);   /* May be NULL. */

    /* Fills in 'moves' and 'policy->explain' (but for its imbalance, reward
     * and n_moves). */
    size_t (*decide)(struct steer_policy *policy, struct steer_view *,
                     struct steer_move *moves, size_t max_moves);

    void (*get_rl_status)(const struct steer_policy *,
                          struct steer_rl_status *);   /* May be NULL. */
};

/* First member of every policy. */
struct steer_policy {
    const struct steer_policy_class *class;
    struct steer_config cfg;
    struct steer_explain explain;
    struct steer_view view;
    size_t last_moves;          /* Moves of the latest decision. */
};

extern const struct steer_policy_class steer_static_class;
extern const struct steer_policy_class steer_rsspp_class;
extern const struct steer_policy_class steer_lpt_class;
extern const struct steer_policy_class steer_rl_class;

/* Makes rl policy 'p' widen 'min' and 'max' (STEER_N_FEATURES each) to span
 * all features that it sees, for the trainer. */
void steer_rl_track_span(struct steer_policy *p, float *min, float *max);

/* The core of RSS++, which rl uses too. */
struct steer_rsspp {
    double period_s;            /* Present interval between decisions. */
    double wait_s;              /* Until the next decision. */
    uint64_t received;          /* Cores that received in the last decision. */
};

void steer_rsspp_init(struct steer_rsspp *);

/* Proposes moves for the measured state of 'view', not heeding the interval
 * between decisions.  'idle' are cores that sit out. */
size_t steer_rsspp_plan(struct steer_view *view, uint64_t idle,
                        struct steer_move *moves, size_t max_moves);

/* As published: plans when the interval has passed, and adapts it. */
size_t steer_rsspp_run(struct steer_rsspp *, struct steer_view *view,
                       double max_period_s,
                       struct steer_move *moves, size_t max_moves);

/* Imbalance of predicted loads with 'moves' done. */
double steer_view_imbalance(const struct steer_view *,
                            const struct steer_move *moves, size_t n_moves);

#endif /* steer-impl.h */
