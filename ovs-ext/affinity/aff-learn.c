/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/affinity/aff-learn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

#define D AFF_N_FEATURES
/* Most that a sum with forgetting can be, as every feature is 0...1 and every
 * reward too: the geometric series. */
#define SUM_MAX (2.0 / (1 - AFF_FORGET))
#define TEXT_VERSION 1

/* By hand.  The positive ones sum to 1, so that a score compares with a
 * reward.  Whether a feature is for the better or the worse is plain for all but
 * the last two, which only reports can tell. */
const double aff_prior[AFF_N_FEATURES] = {
    [AFF_F_BIAS] = 0,
    [AFF_F_FREE] = 0.18,
    [AFF_F_FORECAST] = 0.12,
    [AFF_F_LATENCY] = 0.15,
    [AFF_F_ERRORS] = 0.10,
    [AFF_F_NUMA] = 0.05,
    [AFF_F_FIT] = 0.30,
    [AFF_F_ROOM] = 0.05,
    [AFF_F_DEGRADED] = -0.25,
    [AFF_F_ELEPHANTS] = 0.05,
    [AFF_F_SMALL] = 0,
    [AFF_F_BURSTS] = 0,
};

/* Factors lambda I + a into 'l', its Cholesky factor.  Returns false if that
 * is not positive definite with pivots of about lambda at least, as sums of
 * x x' are. */
static bool
factor(const double a[D][D], double l[D][D])
{
    for (int i = 0; i < D; i++) {
        for (int j = 0; j <= i; j++) {
            double sum = a[i][j] + (i == j ? AFF_RIDGE : 0);

            for (int k = 0; k < j; k++) {
                sum -= l[i][k] * l[j][k];
            }
            if (i != j) {
                l[i][j] = sum / l[j][j];
            } else if (sum >= 0.5 * AFF_RIDGE) {
                l[i][i] = sqrt(sum);
            } else {
                return false;
            }
        }
        for (int j = i + 1; j < D; j++) {
            l[i][j] = 0;
        }
    }
    return true;
}

/* y = L^-1 x. */
static void
forward(const double l[D][D], const double x[D], double y[D])
{
    for (int i = 0; i < D; i++) {
        double sum = x[i];

        for (int k = 0; k < i; k++) {
            sum -= l[i][k] * y[k];
        }
        y[i] = sum / l[i][i];
    }
}

/* y = L'^-1 y. */
static void
backward(const double l[D][D], double y[D])
{
    for (int i = D - 1; i >= 0; i--) {
        double sum = y[i];

        for (int k = i + 1; k < D; k++) {
            sum -= l[k][i] * y[k];
        }
        y[i] = sum / l[i][i];
    }
}

void
aff_learner_init(struct aff_learner *learner)
{
    memset(learner, 0, sizeof *learner);
    learner->stale = true;
    aff_learner_solve(learner);
}

void
aff_mean_add(struct aff_mean *m, double x)
{
    if (m->n < AFF_MEMORY) {
        m->n++;
    }
    m->mean += (x - m->mean) / m->n;
}

double
aff_mean_get(const struct aff_mean *m)
{
    double x = m->mean * m->n / (m->n + AFF_SHRINK);

    return MAX(-AFF_RESIDUAL_MAX, MIN(AFF_RESIDUAL_MAX, x));
}

double
aff_learner_add(struct aff_learner *learner, const double x[AFF_N_FEATURES],
                enum hrm_kind kind, enum tp_class class, double reward)
{
    struct aff_mean *mean = &learner->means[kind][class];
    double prior = 0, expected = 0;

    for (int i = 0; i < D; i++) {
        prior += aff_prior[i] * x[i];
        expected += learner->weights[i] * x[i];
    }
    for (int i = 0; i < D; i++) {
        for (int j = 0; j <= i; j++) {
            learner->a[i][j] = AFF_FORGET * learner->a[i][j] + x[i] * x[j];
        }
        learner->b[i] = (AFF_FORGET * learner->b[i]
                         + x[i] * (reward - prior));
    }
    learner->n_reports++;
    learner->stale = true;

    double left = reward - expected;
    double known = aff_mean_get(mean);
    aff_mean_add(mean, left);
    return left - known;
}

void
aff_learner_solve(struct aff_learner *learner)
{
    double y[D];

    if (!learner->stale) {
        return;
    }
    learner->stale = false;
    if (!factor(learner->a, learner->chol)) {
        /* Rounding cannot do this, so memory is not what it was: start
         * over. */
        aff_learner_init(learner);
        return;
    }
    forward(learner->chol, learner->b, y);
    backward(learner->chol, y);
    for (int i = 0; i < D; i++) {
        learner->weights[i] = aff_prior[i] + y[i];
    }
}

double
aff_learner_uncertainty(const struct aff_learner *learner,
                        const double x[AFF_N_FEATURES])
{
    double y[D], sum = 0;

    forward(learner->chol, x, y);
    for (int i = 0; i < D; i++) {
        sum += y[i] * y[i];
    }
    return sqrt(sum);
}

/* The text: version, shape and all sums, separated by single spaces. */

char *
aff_learner_to_string(const struct aff_learner *learner)
{
    struct ds s = DS_EMPTY_INITIALIZER;

    ds_put_format(&s, "%d %d %d %d %"PRIu64, TEXT_VERSION, D,
                  HRM_N_KINDS, TP_N_CLASSES, learner->n_reports);
    for (int i = 0; i < D; i++) {
        for (int j = 0; j <= i; j++) {
            ds_put_format(&s, " %.9g", learner->a[i][j]);
        }
        ds_put_format(&s, " %.9g", learner->b[i]);
    }
    for (int k = 0; k < HRM_N_KINDS; k++) {
        for (int c = 0; c < TP_N_CLASSES; c++) {
            const struct aff_mean *m = &learner->means[k][c];

            ds_put_format(&s, " %g %.6g", m->n, m->mean);
        }
    }
    return ds_steal_cstr(&s);
}

/* Reads a number of absolute value up to 'limit' at '*s' and what follows it,
 * one space or the end. */
static bool
read_number(const char **s, double limit, double *value)
{
    char *end;

    if (**s != '-' && (**s < '0' || **s > '9')) {
        return false;           /* Neither spaces, "inf" nor "nan". */
    }
    *value = strtod(*s, &end);
    if (!(fabs(*value) <= limit) || (*end != ' ' && *end != '\0')) {
        return false;
    }
    *s = *end ? end + 1 : end;
    return true;
}

char *
aff_learner_from_string(struct aff_learner *learner, const char *text)
{
    const double header[] = { TEXT_VERSION, D, HRM_N_KINDS, TP_N_CLASSES };
    struct aff_learner new;
    const char *s = text;
    double x, y;

    memset(&new, 0, sizeof new);
    for (size_t i = 0; i < ARRAY_SIZE(header); i++) {
        if (!read_number(&s, 1e6, &x) || x != header[i]) {
            return xasprintf("weights of another version or shape: \"%.40s\"",
                             text);
        }
    }
    if (!read_number(&s, 1e15, &x) || x < 0) {
        goto damaged;
    }
    new.n_reports = x;
    for (int i = 0; i < D; i++) {
        for (int j = 0; j <= i; j++) {
            if (!read_number(&s, SUM_MAX, &new.a[i][j])) {
                goto damaged;
            }
        }
        if (!read_number(&s, SUM_MAX, &new.b[i])) {
            goto damaged;
        }
    }
    for (int k = 0; k < HRM_N_KINDS; k++) {
        for (int c = 0; c < TP_N_CLASSES; c++) {
            if (!read_number(&s, AFF_MEMORY, &x) || x < 0
                || !read_number(&s, 10, &y)) {
                goto damaged;
            }
            new.means[k][c].n = x;
            new.means[k][c].mean = y;
        }
    }
    if (*s || s[-1] == ' ' || !factor(new.a, new.chol)) {
        goto damaged;
    }
    new.stale = true;
    aff_learner_solve(&new);
    *learner = new;
    return NULL;

damaged:
    return xasprintf("damaged weights at character %d of \"%.40s...\"",
                     (int) (s - text), text);
}
