/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Logistic regression, and how it learns on line.
 *
 * A case is a group of which the weights in force or the shipped ones say that
 * it may well migrate, hinted or not; a horizon later it is known whether it
 * did, and the next one may begin.  So cases are the same as in training, and
 * hints that come to nothing weigh no less than migrations that were missed.
 * Each is first judged, with both sets of weights, then learned.
 *
 * Since the shipped weights open cases as well, a model that has learned to
 * say nothing is found out as one that has learned to say too much is. */

#include <config.h>

#include <math.h>
#include <string.h>

#include "ovs-ext/session/tpam-impl.h"
#include "util.h"

enum {
    ERROR_WINDOW = 256,         /* Cases. */
    MIN_JUDGED = 24             /* Cases that a verdict takes. */
};
#define ERROR_MARGIN 0.01       /* By which those in force may be worse. */
#define MIN_PROBABILITY 0.02    /* Of a case. */

double
tpam_score(const double w[TPAM_N_FEATURES], const double x[TPAM_N_FEATURES])
{
    double sum = 0;

    for (int i = 0; i < TPAM_N_FEATURES; i++) {
        sum += w[i] * x[i];
    }
    return 1 / (1 + exp(-sum));
}

/* One step of gradient descent on the log loss. */
void
tpam_step(double w[TPAM_N_FEATURES], const double x[TPAM_N_FEATURES],
          bool migrated, double rate)
{
    double error = migrated - tpam_score(w, x);

    for (int i = 0; i < TPAM_N_FEATURES; i++) {
        w[i] += rate * error * x[i];
    }
}

static void
judge(double *mean, const double w[TPAM_N_FEATURES],
      const double x[TPAM_N_FEATURES], bool migrated, double n)
{
    double error = migrated - tpam_score(w, x);

    *mean += (error * error - *mean) / n;
}

static void
fall_back(struct tpam *t)
{
    struct tpam_learned *l = &t->learned;

    memcpy(t->config.weights, t->shipped, sizeof t->shipped);
    l->is_shipped = true;
    l->error = l->shipped_error;
    l->n_fallbacks++;
}

/* Takes into account that 'x' was followed by a migration, or was not. */
static void
learn(struct tpam *t, const double x[TPAM_N_FEATURES], bool migrated)
{
    struct tpam_learned *l = &t->learned;
    double *w = t->config.weights;

    l->n_cases++;
    t->n_judged = MIN(t->n_judged + 1, ERROR_WINDOW);
    judge(&l->error, w, x, migrated, t->n_judged);
    judge(&l->shipped_error, t->shipped, x, migrated, t->n_judged);
    if (!(t->config.learning_rate > 0)) {
        return;
    }
    if (t->n_judged >= MIN_JUDGED
        && l->error > l->shipped_error + ERROR_MARGIN) {
        fall_back(t);
        return;
    }
    tpam_step(w, x, migrated, t->config.learning_rate);
    for (int i = 0; i < TPAM_N_FEATURES; i++) {
        w[i] = MIN(MAX(w[i], t->shipped[i] - TPAM_MAX_DRIFT),
                   t->shipped[i] + TPAM_MAX_DRIFT);
    }
    l->is_shipped = false;
}

/* A period has passed for 'g', whose 'x' and 'p' are up to date. */
void
tpam_case_run__(struct tpam *t, struct tpam_group_state *g)
{
    struct tpam_case *c = &g->learn;

    if (c->is_open && ++c->age > t->config.horizon) {
        learn(t, c->x, false);
        c->is_open = false;
    }
    if (!c->is_open
        && MAX(g->p, tpam_score(t->shipped, g->x)) >= MIN_PROBABILITY) {
        c->is_open = true;
        c->age = 0;
        memcpy(c->x, g->x, sizeof c->x);
    }
}

/* 'g' has migrated.  What has been known for no period at all could not have
 * foretold that. */
void
tpam_case_migrated__(struct tpam *t, struct tpam_group_state *g)
{
    if (g->learn.is_open && g->learn.age) {
        learn(t, g->learn.x, true);
    }
    g->learn.is_open = false;
}

/* What came of predictions so far. */
void
tpam_get_learned(const struct tpam *t, struct tpam_learned *learned)
{
    *learned = t->learned;
}
