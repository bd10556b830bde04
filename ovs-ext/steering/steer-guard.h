/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef STEER_GUARD_H
#define STEER_GUARD_H 1

/* Guard of the rl policy
 * ======================
 *
 * Decides whether the next tick is rl's or rsspp's.
 *
 * Worse: each tick the policy tells the guard the reward that was realised and
 * the reward that a one-step model expected of rsspp.  The model's bias is
 * learned from ticks on which rsspp's decision was (also) carried out, and its
 * mean error sets the margin, so that traffic nobody can predict does not
 * count against rl.  When the smoothed reward under rl stays below the
 * baseline by that margin for GUARD_PATIENCE ticks, rsspp takes over for a
 * hold-off.
 *
 * Hysteresis: rl returns only after the hold-off.  If the reward under rsspp
 * did turn out higher, the next hold-off is twice as long, up to
 * GUARD_HOLDOFF_MAX.  If it did not, rl was not to blame and the next one is
 * short again.
 *
 * Out of distribution: GUARD_OOD_TICKS such ticks in a row begin a hold-off of
 * GUARD_OOD_HOLDOFF ticks; each single one is decided by rsspp anyway.
 *
 * Pure; belongs to one policy. */

#include <stdbool.h>
#include <stdint.h>

#define GUARD_ALPHA 0.02        /* Smoothing of rewards, per tick. */
#define GUARD_WARMUP 100        /* Ticks before rl can be found worse. */
#define GUARD_MARGIN 0.05       /* Least difference that counts as worse. */
#define GUARD_MARGIN_BLIND 0.25 /* The same while the model's bias is known
                                 * from less than GUARD_MIN_BIAS ticks. */
#define GUARD_MIN_BIAS 20
#define GUARD_PATIENCE 50       /* Ticks that it must last. */
#define GUARD_HOLDOFF_MIN 500
#define GUARD_HOLDOFF_MAX 60000
#define GUARD_OOD_TICKS 10
#define GUARD_OOD_HOLDOFF 100

enum guard_cause { GUARD_NONE, GUARD_WORSE, GUARD_OOD };

struct guard {
    enum guard_cause cause;     /* Why rsspp is in charge. */
    uint64_t holdoff;           /* Length of the next one for GUARD_WORSE. */
    uint64_t left;              /* Ticks left of the present one. */
    uint64_t n_entered;
    uint32_t n_rl;              /* Ticks under rl since it (re)started. */
    uint32_t bad, ood;          /* Such ticks in a row. */
    double reward;              /* Smoothed, under rl. */
    double baseline;            /* Smoothed, expected of rsspp. */
    double bias;                /* Realised minus expected under rsspp. */
    double error;               /* Mean absolute error of the model. */
    uint32_t n_bias;
    double before;              /* Reward under rl when it was stopped. */
    double held_sum;            /* Rewards under rsspp meanwhile. */
    uint64_t held_n;
};

void guard_init(struct guard *);

/* Tells what became of the previous tick: 'realised' reward, 'expected' reward
 * had rsspp decided, and whether rsspp's decision was in fact the one carried
 * out ('by_rsspp': rsspp decided, or rl decided the same). */
void guard_outcome(struct guard *, double realised, double expected,
                   bool by_rsspp);

/* Tells whether this tick's state is out of distribution and returns who must
 * decide: GUARD_NONE for rl. */
enum guard_cause guard_decide(struct guard *, bool ood);

#endif /* steer-guard.h */
