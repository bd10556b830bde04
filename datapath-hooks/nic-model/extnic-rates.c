/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/nic-model/extnic-rates.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath-hooks/nic-model/extnic-rss.h"
#include "datapath-hooks/nic-model/extnic-traffic.h"

/* Where in the traffic the table has got to. */
struct cursor {
    uint32_t phase;
    double left_s;              /* Of the phase; HUGE_VAL: for ever. */
    double pos;                 /* In the phase, packets. */
};

static void
enter_phase(const struct extnic_traffic *traffic, uint32_t phase,
            struct cursor *at)
{
    uint32_t ms = traffic->phases[phase].ms;

    at->phase = phase;
    at->left_s = ms ? ms / 1e3 : HUGE_VAL;
    at->pos = 0;
}

/* Counts the packets of 'step_s' seconds in 'n', by bucket. */
static void
count_step(const struct extnic_traffic *traffic, uint32_t reta, double pps,
           double step_s, struct cursor *at, uint32_t *n)
{
    memset(n, 0, reta * sizeof *n);
    while (step_s > 1e-12) {
        const struct extnic_phase *phase = &traffic->phases[at->phase];
        double s = step_s < at->left_s ? step_s : at->left_s;
        double end = at->pos + s * pps * phase->mult;

        for (uint64_t i = ceil(at->pos); i < end; i++) {
            uint32_t t = phase->seq[i % phase->len].template;

            n[traffic->templates[t].hash & (reta - 1)]++;
        }
        at->pos = end;
        at->left_s -= s;
        step_s -= s;
        if (at->left_s <= 1e-12) {
            enter_phase(traffic, (at->phase + 1) % traffic->n_phases, at);
        }
    }
}

bool
extnic_rates_print(const char *text, double mpps, double seconds,
                   double step_s, char *error, size_t error_size)
{
    struct extnic_args args;
    struct cursor at;
    char full[2048];

    /* "stat" is required of a port and means nothing here. */
    snprintf(full, sizeof full, "stat=-,%s", text);
    if (!extnic_args_parse(full, &args, error, error_size)) {
        return false;
    }
    struct extnic_traffic *traffic = extnic_traffic_create(
        &args, extnic_rss_default_hash, error, error_size);
    uint32_t *n = calloc(args.reta, sizeof *n);
    if (!traffic || !n) {
        extnic_traffic_destroy(traffic);
        free(n);
        return false;
    }

    printf("ovs-ext-rates 1 %.9g %u\n", step_s, args.reta);
    enter_phase(traffic, 0, &at);
    for (long long int i = llrint(seconds / step_s); i > 0; i--) {
        count_step(traffic, args.reta, (mpps ? mpps : args.rate) * 1e6,
                   step_s, &at, n);
        for (uint32_t b = 0; b < args.reta; b++) {
            printf(b ? " %.9g" : "%.9g", n[b] / step_s);
        }
        putchar('\n');
    }
    extnic_traffic_destroy(traffic);
    free(n);
    return true;
}
