/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Judges predictions of migrations on simulated fleets, and trains them.
 *
 * usage: bench-tpam run SCENARIO|all POLICY|all FIRST-SEED LAST-SEED
 *        bench-tpam train FIRST-SEED LAST-SEED
 *
 * "run" prints a line of JSON for each scenario and policy; seeds above
 * CHOSEN are held out: weights were trained on 1 to 60, the threshold chosen on
 * 61 to 100.  "train" prints weights for ovs-ext/session/tpam-weights.inc. */

#include <config.h>

#include <gsl/gsl_linalg.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ovs-ext/core/ext-rng.h"
#include "ovs-ext/session/tpam-sim.h"
#include "util.h"

enum {
    CHOSEN = 100,               /* Last seed seen before. */
    THINNING = 64,              /* Of samples far from any migration. */
    MAX_STEPS = 50
};

#define RIDGE 1.0
#define MAX_STEP 4.0

struct sample {
    double x[TPAM_N_FEATURES];
    double weight;
    bool migrated;
};

struct samples {
    struct sample *s;
    size_t n, allocated;
    struct ext_rng rng;
};

static void
take(const double x[TPAM_N_FEATURES], bool migrated, void *samples_)
{
    struct samples *samples = samples_;
    bool is_far = (!migrated && x[TPAM_F_LONG_LATE] <= 0.3
                   && x[TPAM_F_OVER_LATE] <= 0.2);
    struct sample *sample;

    if (is_far && ext_rng_range(&samples->rng, THINNING)) {
        return;
    }
    if (samples->n == samples->allocated) {
        samples->s = x2nrealloc(samples->s, &samples->allocated,
                                sizeof *samples->s);
    }
    sample = &samples->s[samples->n++];
    memcpy(sample->x, x, sizeof sample->x);
    sample->weight = is_far ? THINNING : 1;
    sample->migrated = migrated;
}

/* Adds the gradient and the curvature of the log loss of 'samples' at 'w' to
 * 'g' and 'h'. */
static void
add_samples(const struct samples *samples, const double w[TPAM_N_FEATURES],
            gsl_vector *g, gsl_matrix *h)
{
    for (size_t i = 0; i < samples->n; i++) {
        const struct sample *s = &samples->s[i];
        double p = tpam_score(w, s->x);

        for (int j = 0; j < TPAM_N_FEATURES; j++) {
            double xj = s->weight * s->x[j];

            *gsl_vector_ptr(g, j) += xj * (s->migrated - p);
            for (int k = 0; k < TPAM_N_FEATURES; k++) {
                *gsl_matrix_ptr(h, j, k) += xj * MAX(p * (1 - p), 1e-6)
                                            * s->x[k];
            }
        }
    }
}

/* Logistic regression with a ridge, by Newton's method: the optimum, which is
 * the only one. */
static void
fit(const struct samples *samples, double w[TPAM_N_FEATURES])
{
    gsl_vector *g = gsl_vector_alloc(TPAM_N_FEATURES);
    gsl_matrix *h = gsl_matrix_alloc(TPAM_N_FEATURES, TPAM_N_FEATURES);
    double farthest = 1;

    for (int step = 0; step < MAX_STEPS && farthest > 1e-6; step++) {
        gsl_matrix_set_identity(h);
        gsl_matrix_scale(h, RIDGE);
        for (int i = 0; i < TPAM_N_FEATURES; i++) {
            gsl_vector_set(g, i, -RIDGE * w[i]);
        }
        add_samples(samples, w, g, h);
        gsl_linalg_cholesky_decomp1(h);
        gsl_linalg_cholesky_svx(h, g);
        farthest = MAX(gsl_vector_max(g), -gsl_vector_min(g));
        for (int i = 0; i < TPAM_N_FEATURES; i++) {
            w[i] += gsl_vector_get(g, i) * MIN(MAX_STEP / farthest, 1);
        }
    }
    gsl_vector_free(g);
    gsl_matrix_free(h);
}

static void
train(uint64_t first, uint64_t last)
{
    static struct tpam_outcome outcome;
    struct samples samples = { .n = 0 };
    struct tpam_config config;

    ext_rng_init(&samples.rng, 1);
    for (int scenario = 0; scenario < TPAM_N_SCENARIOS; scenario++) {
        tpam_sim_config(scenario, &config);
        for (uint64_t seed = first; seed <= last; seed++) {
            tpam_simulate(scenario, seed, TPAM_POLICY_TPAM, &config, &outcome,
                          take, &samples);
        }
        fprintf(stderr, "%s: %"PRIuSIZE" samples\n",
                tpam_scenario_name(scenario), samples.n);
    }
    memset(config.weights, 0, sizeof config.weights);
    fit(&samples, config.weights);
    for (int i = 0; i < TPAM_N_FEATURES; i++) {
        printf("%.4f%s", config.weights[i],
               i == TPAM_N_FEATURES - 1 ? "\n" : i % 8 == 7 ? ",\n" : ", ");
    }
    free(samples.s);
}

static int
compare(const void *a_, const void *b_)
{
    const double *a = a_, *b = b_;

    return *a < *b ? -1 : *a > *b;
}

static void
run(enum tpam_scenario scenario, enum tpam_policy policy, uint64_t first,
    uint64_t last)
{
    static struct tpam_outcome o;
    struct tpam_config config;
    const char *on = getenv("TPAM_ON"), *off = getenv("TPAM_OFF");
    const char *hold = getenv("TPAM_HOLD"), *rate = getenv("TPAM_LEARN");

    memset(&o, 0, sizeof o);
    tpam_sim_config(scenario, &config);
    config.on = on ? atof(on) : config.on;
    config.off = off ? atof(off) : config.off;
    config.hold = hold ? atoi(hold) : config.hold;
    config.learning_rate = rate ? atof(rate) : config.learning_rate;
    for (uint64_t seed = first; seed <= last; seed++) {
        tpam_simulate(scenario, seed, policy, &config, &o, NULL, NULL);
    }
    qsort(o.leads, o.n_leads, sizeof *o.leads, compare);
    printf("{\"bench\": \"migration-predict\", \"scenario\": \"%s\", "
           "\"heldout\": %s, \"policy\": \"%s\", \"precision\": %.4f, "
           "\"recall\": %.4f, \"lead_s\": %.1f, \"wasted_templates\": %"PRIu64
           ", \"templates\": %"PRIu64", \"hints\": %"PRIu64
           ", \"migrations\": %"PRIu64", \"seeds\": %"PRIu64"}\n",
           tpam_scenario_name(scenario), first > CHOSEN ? "true" : "false",
           tpam_policy_name(policy),
           o.hints ? (double) o.right / o.hints : 1,
           o.migrations ? (double) o.foreseen / o.migrations : 1,
           o.n_leads ? o.leads[o.n_leads / 2] : 0, o.wasted, o.templates,
           o.hints, o.migrations, last - first + 1);
    fflush(stdout);
}

int
main(int argc, char *argv[])
{
    unsigned long long int first, last;

    if (argc == 4 && !strcmp(argv[1], "train")
        && str_to_ullong(argv[2], 10, &first)
        && str_to_ullong(argv[3], 10, &last)) {
        train(first, last);
        return 0;
    }
    if (argc != 6 || strcmp(argv[1], "run")
        || !str_to_ullong(argv[4], 10, &first)
        || !str_to_ullong(argv[5], 10, &last)) {
        ovs_fatal(0, "usage: bench-tpam run SCENARIO|all POLICY|all "
                  "FIRST-SEED LAST-SEED | train FIRST-SEED LAST-SEED");
    }
    for (int scenario = 0; scenario < TPAM_N_SCENARIOS; scenario++) {
        for (int policy = 0; policy < TPAM_N_POLICIES; policy++) {
            if ((!strcmp(argv[2], "all")
                 || !strcmp(argv[2], tpam_scenario_name(scenario)))
                && (!strcmp(argv[3], "all")
                    || !strcmp(argv[3], tpam_policy_name(policy)))) {
                run(scenario, policy, first, last);
            }
        }
    }
    return 0;
}
