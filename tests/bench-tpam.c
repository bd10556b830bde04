/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* Judges predictions of migrations on simulated fleets, and trains them.
 *
 * usage: bench-tpam run SCENARIO|all POLICY|all FIRST-SEED LAST-SEED
 *        bench-tpam train FIRST-SEED LAST-SEED
 *
 * "run" prints a line of JSON for each scenario and policy; seeds above
 * TRAINED are held out, the weights have not seen them.  "train" prints
 * weights for ovs-ext/session/tpam-weights.inc. */

#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ovs-ext/core/ext-rng.h"
#include "ovs-ext/session/tpam-sim.h"
#include "util.h"

enum {
    TRAINED = 12,               /* Last seed that weights were trained on. */
    THINNING = 16,              /* Of negative samples. */
    EPOCHS = 30
};

struct sample {
    double x[TPAM_N_FEATURES];
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

    if (!migrated && ext_rng_range(&samples->rng, THINNING)) {
        return;
    }
    if (samples->n == samples->allocated) {
        samples->s = x2nrealloc(samples->s, &samples->allocated,
                                sizeof *samples->s);
    }
    memcpy(samples->s[samples->n].x, x, sizeof samples->s->x);
    samples->s[samples->n++].migrated = migrated;
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
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        double rate = 0.01 / (1 + epoch);

        for (size_t i = 0; i < samples.n; i++) {
            const struct sample *s
                = &samples.s[ext_rng_range(&samples.rng, samples.n)];

            tpam_step(config.weights, s->x, s->migrated,
                      s->migrated ? rate : rate * THINNING);
        }
    }
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
    const char *hold = getenv("TPAM_HOLD");

    memset(&o, 0, sizeof o);
    tpam_sim_config(scenario, &config);
    config.on = on ? atof(on) : config.on;
    config.off = off ? atof(off) : config.off;
    config.hold = hold ? atoi(hold) : config.hold;
    for (uint64_t seed = first; seed <= last; seed++) {
        tpam_simulate(scenario, seed, policy, &config, &o, NULL, NULL);
    }
    qsort(o.leads, o.n_leads, sizeof *o.leads, compare);
    printf("{\"bench\": \"migration-predict\", \"scenario\": \"%s\", "
           "\"heldout\": %s, \"policy\": \"%s\", \"precision\": %.4f, "
           "\"recall\": %.4f, \"lead_s\": %.1f, \"wasted_templates\": %"PRIu64
           ", \"templates\": %"PRIu64", \"hints\": %"PRIu64
           ", \"migrations\": %"PRIu64", \"seeds\": %"PRIu64"}\n",
           tpam_scenario_name(scenario), first > TRAINED ? "true" : "false",
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
