/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef AFF_LEARN_H
#define AFF_LEARN_H 1

/* What reported performance teaches
 * =================================
 *
 * Ridge regression of the reward (aff_reward()) on the features of the pair of
 * profile and resource that earned it, around weights set by hand instead of
 * around zero, so that without reports the score is the judgement by hand:
 *
 *     A = lambda I + sum x x',  b = sum x (reward - prior' x)
 *     weights = prior + A^-1 b
 *
 * Old reports fade with a factor 'AFF_FORGET' for each new one, towards the
 * prior.  sqrt(x' A^-1 x) says how little is known about such a pair (LinUCB).
 *
 * What the linear model leaves over is kept as a mean for each (kind of
 * resource, class of traffic), shrunk to 0 while there are few reports.
 *
 * One learner serves all hosts.  It is a few hundred numbers, kept in the
 * database as a line of text by which another controller continues.
 *
 * Pure; a learner is used by one thread at a time. */

#include <stdbool.h>
#include <stdint.h>
#include "ovs-ext/affinity/aff.h"

#define AFF_RIDGE 20.0          /* lambda: about this many reports' worth of
                                 * trust in the prior. */
#define AFF_FORGET 0.9998       /* Half is forgotten in 3,500 reports. */
#define AFF_SHRINK 8.0          /* Reports until a mean counts by half. */
#define AFF_MEMORY 200.0        /* Reports that a mean goes back. */
#define AFF_RESIDUAL_MAX 0.3    /* Most that a mean changes a score. */

/* A mean of residuals. */
struct aff_mean {
    float n;                    /* Reports, at most AFF_MEMORY. */
    float mean;
};

struct aff_learner {
    uint64_t n_reports;         /* Ever. */
    /* Sums with forgetting, in the lower triangle of 'a'. */
    double a[AFF_N_FEATURES][AFF_N_FEATURES];
    double b[AFF_N_FEATURES];
    struct aff_mean means[HRM_N_KINDS][TP_N_CLASSES];

    /* Derived by aff_learner_solve(). */
    double weights[AFF_N_FEATURES];
    double chol[AFF_N_FEATURES][AFF_N_FEATURES]; /* Of lambda I + a. */
    bool stale;                 /* Reports since then. */
};

void aff_learner_init(struct aff_learner *);

/* Adds a report: features, kind and class of the pair, and its reward, all
 * finite.  Returns what neither weights nor means had expected of it. */
double aff_learner_add(struct aff_learner *,
                       const double x[AFF_N_FEATURES],
                       enum hrm_kind, enum tp_class, double reward);

/* Brings 'weights' up to date: about 1 us; call it once a loop. */
void aff_learner_solve(struct aff_learner *);

/* sqrt(x' A^-1 x): the standard deviation of the predicted reward in units of
 * that of a report; at most 1 / sqrt(AFF_RIDGE) |x|. */
double aff_learner_uncertainty(const struct aff_learner *,
                               const double x[AFF_N_FEATURES]);

/* Adds 'x' to a mean.  / What the mean is worth in a score. */
void aff_mean_add(struct aff_mean *, double x);
double aff_mean_get(const struct aff_mean *);

/* A line of text, to be freed, and back.  Reading checks everything: on
 * failure returns a sentence, to be freed, and leaves the learner alone. */
char *aff_learner_to_string(const struct aff_learner *);
char *aff_learner_from_string(struct aff_learner *, const char *);

#endif /* aff-learn.h */
