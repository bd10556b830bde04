/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef STEER_POLICY_H
#define STEER_POLICY_H 1

/* Steering policies
 * =================
 *
 * A steering policy decides which *bucket* (an entry of a port's RETA, or of
 * the table that stands in for one) moves to which *core* (PMD thread).  It is
 * pure decision logic: the caller takes a snapshot of cores and buckets (a
 * "struct steer_state"), the policy answers with a list of moves, and somebody
 * else carries them out.  No clock, no thread, no I/O: time is counted in
 * ticks of the caller and randomness comes from 'seed' in the configuration,
 * so the same states always give the same moves.
 *
 * Policies:
 *
 *     static  Never moves anything.
 *     rsspp   RSS++ (Barbette et al., CoNEXT'19), see steer-rsspp.c.
 *     lpt     Re-packs from scratch, longest processing time first, see
 *             steer-lpt.c.  An upper reference for balance; it moves a lot.
 *     rl      Scores candidate moves with a small neural network, see
 *             steer-rl.c.  Guarded: falls back to rsspp, see steer-guard.h.
 *
 * Use
 * ---
 *
 *     policy = steer_policy_create("rl", &config, &error);
 *     each tick:
 *         fill in 'state';
 *         n = steer_policy_decide(policy, &state, moves, max_moves);
 *         carry out moves[0...n-1];   (unless in shadow mode)
 *     steer_policy_destroy(policy);
 *
 * The state of a tick doubles as the outcome of the previous tick's decision:
 * the rl policy rewards itself from it.  Moves that could not be carried out
 * need no report, because the next state shows where each bucket really is.
 * The indexes of cores and buckets must mean the same core and bucket from
 * tick to tick; call steer_policy_reset() when they no longer do (a PMD or a
 * port came or went).
 *
 * Limits: up to STEER_MAX_CORES cores.  A state that breaks the rules below is
 * handled safely (bad buckets are left alone), never trusted.
 *
 * Thread safety: a policy is used by one thread at a time.  Distinct policies
 * are independent and may share one 'struct steer_model', which is read-only.
 *
 * steer_policy_decide() allocates memory only when it sees more cores or
 * buckets than ever before.  It runs in the agent thread, never in a PMD
 * thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct steer_model;
struct steer_policy;

#define STEER_MAX_CORES 64
#define STEER_NO_CORE UINT16_MAX

/* One PMD thread.  Written by the agent from the PMD's counters. */
struct steer_core {
    double load;         /* Estimated share of capacity in use, >= 0.  1 is
                          * saturated; can exceed 1 when queues grow or
                          * packets are missed: demand / capacity. */
    double pps;          /* Packets/s handled in the last interval. */
    double cap_pps;      /* Capacity at full batches, packets/s, estimated;
                          * 0 if unknown. */
    double qfill;        /* Rx descriptor ring fill of its fullest rxq,
                          * 0...1. */
    double drops_pps;    /* Packets/s missed on its rxqs, last interval. */
    double latency_ns;   /* Mean sampled sojourn time, 0 if unknown. */
    int numa;            /* NUMA node, -1 if unknown. */
    bool isolated;       /* Never a source nor a destination. */
};

/* One bucket. */
struct steer_bucket {
    uint16_t core;       /* Index of the core serving it now; STEER_NO_CORE if
                          * unknown. */
    uint16_t group;      /* Port: index into steer_state.groups. */
    double pps;          /* Packets/s, last interval. */
    double bytes_ps;     /* Bytes/s, last interval. */
    double pred_pps;     /* Packets/s predicted for the next interval, smoothed
                          * (ovs-ext/core/ext-ewma.h). */
    uint32_t flows;      /* Datapath flows known for it (cost of a move). */
    uint32_t ticks_since_move; /* Saturating; UINT32_MAX if never moved. */
    bool movable;        /* False while a move is in progress, etc. */
};

/* One port with its buckets. */
struct steer_group {
    uint64_t cores;      /* Bitmap of core indexes allowed as destination. */
    int numa;            /* NUMA node of the device, -1 if unknown. */
};

struct steer_state {
    size_t n_cores;
    struct steer_core *cores;
    size_t n_buckets;
    struct steer_bucket *buckets;
    size_t n_groups;
    struct steer_group *groups;
    double tick_s;       /* Length of a tick, seconds. */
    uint64_t tick;       /* Number of this tick, counts up. */
};

struct steer_move {
    uint32_t bucket;     /* Index into steer_state.buckets. */
    uint16_t from, to;   /* Indexes into steer_state.cores. */
    float score;         /* Policy's own measure of merit; compare only with
                          * scores of the same policy. */
};

/* Weights of the reward's terms, see steer_reward(). */
struct steer_weights {
    double throughput;
    double latency;
    double balance;
    double switching;
};

#define STEER_WEIGHTS_DEFAULT { 4.0, 1.0, 1.0, 0.5 }

struct steer_config {
    struct steer_weights w;
    size_t max_moves;    /* Most moves in one decision, 0: no limit but the
                          * 'max_moves' of steer_policy_decide(). */
    bool learn;          /* rl: adapt the last layer on line. */
    bool guard;          /* rl: fall back to rsspp when uncertain or worse. */
    uint64_t seed;       /* All randomness of the policy. */
    const struct steer_model *model; /* rl: NULL for the built-in model.  Must
                                      * outlive the policy. */
    double rsspp_period_s; /* rsspp: its longest interval between decisions,
                            * published 0.1 s. */
};

/* Sets 'config' to the defaults. */
void steer_config_init(struct steer_config *config);

/* Names of the policies, NULL terminated. */
extern const char *const steer_policy_names[];

/* Creates policy 'name'.  On failure returns NULL and stores in '*error' a
 * sentence that the caller must free(). */
struct steer_policy *steer_policy_create(const char *name,
                                         const struct steer_config *,
                                         char **error);
void steer_policy_destroy(struct steer_policy *);
const char *steer_policy_name(const struct steer_policy *);

/* Changes weights and limits of a living policy.  'model' and 'seed' are
 * ignored. */
void steer_policy_set_config(struct steer_policy *,
                             const struct steer_config *);

/* Forgets whatever the policy remembers by index of core or bucket.  What was
 * learned stays. */
void steer_policy_reset(struct steer_policy *);

/* Decides.  Stores up to 'max_moves' moves into 'moves' and returns their
 * number.  Each bucket is moved at most once, from its present core to another
 * one that its group allows and that is not isolated. */
size_t steer_policy_decide(struct steer_policy *, const struct steer_state *,
                           struct steer_move *moves, size_t max_moves);

/* Who took a decision. */
enum steer_decider {
    STEER_BY_STATIC,
    STEER_BY_RSSPP,
    STEER_BY_LPT,
    STEER_BY_RL,
    STEER_BY_FALLBACK_OOD,       /* rsspp: state unlike the training set. */
    STEER_BY_FALLBACK_UNCERTAIN, /* rsspp: scores too close to call. */
    STEER_BY_FALLBACK_WORSE,     /* rsspp: rl did measurably worse. */
};
const char *steer_decider_to_string(enum steer_decider);

/* Account of the latest decision. */
struct steer_explain {
    enum steer_decider decided_by;
    const char *reason;          /* One sentence, static storage. */
    double imbalance_before;     /* steer_imbalance() of predicted loads. */
    double imbalance_after;      /* The same once the moves are done. */
    double score;                /* Of the first move, 0 if none. */
    double margin;               /* rl: best move's score minus no-op's. */
    size_t n_candidates;         /* rl: candidates scored. */
    size_t n_moves;
    double reward;               /* Realised in the last interval. */
};
const struct steer_explain *steer_policy_explain(const struct steer_policy *);

/* State of the rl policy and its guard, all zero for other policies. */
struct steer_rl_status {
    bool in_fallback;            /* Now held off for being worse or out of
                                  * distribution. */
    uint64_t n_decisions;        /* Calls of steer_policy_decide(). */
    uint64_t n_fallback_ood;     /* Ticks decided by rsspp, by cause. */
    uint64_t n_fallback_worse;
    uint64_t n_fallback_uncertain;
    uint64_t n_entered;          /* Times a hold-off began. */
    uint64_t holdoff_left;       /* Ticks until rl is tried again. */
    double reward_ewma;          /* Realised under rl. */
    double baseline_ewma;        /* Expected of rsspp in its place. */
    uint64_t updates;            /* On-line learning steps taken. */
    double weight_drift;         /* L2 distance from the shipped weights. */
    double drift_limit;          /* Bound of 'weight_drift'. */
};
void steer_policy_get_rl_status(const struct steer_policy *,
                                struct steer_rl_status *);

/* The reward's terms before weighting, each in [0,1]. */
struct steer_reward_terms {
    double throughput;   /* Packets handled / packets offered. */
    double latency;      /* 0: none; 0.5: 100 us mean; towards 1: longer. */
    double balance;      /* 1: equal loads; 0.5: loads vary by 10 %
                          * (standard deviation / mean). */
    double switching;    /* Moves per core, at most 1. */
};

/* Reward of one interval that ended in 'state' and cost 'n_moves' moves:
 *
 *     w.throughput * throughput - w.latency * latency
 *         + w.balance * balance - w.switching * switching
 *
 * Only cores that take part (not isolated) count.  'terms' may be NULL. */
double steer_reward(const struct steer_weights *, const struct steer_state *,
                    size_t n_moves, struct steer_reward_terms *terms);

/* Imbalance as in the published evaluation of RSS++: (max - min) / mean of the
 * load of cores that are not isolated.  0 if there is no load at all. */
double steer_imbalance(const struct steer_state *);

#ifdef __cplusplus
}
#endif

#endif /* steer-policy.h */
