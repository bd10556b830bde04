/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/nic-model/extnic-traffic.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath-hooks/nic-model/extnic-rng.h"

#define N_CYCLE 16              /* Phases until bursts and onoff repeat. */
#define N_SHIFTS 4              /* And those of zipf. */
#define DEFAULT_LEN (1 << 16)

static uint32_t
bucket_of(const struct extnic_traffic *traffic, uint32_t flow,
          const struct extnic_args *args)
{
    return traffic->templates[flow].hash & (args->reta - 1);
}

/* Whether the default table (bucket modulo queues) gives the flow's bucket to
 * queue 0. */
static bool
on_queue0(const struct extnic_traffic *traffic, uint32_t flow,
          const struct extnic_args *args)
{
    return bucket_of(traffic, flow, args) % args->skew_queues == 0;
}

/* Scales the weights so that the buckets of queue 0 have 'share' of the
 * total, and every bucket of a queue the same part of it. */
static void
share_queue0(const struct extnic_traffic *traffic,
             const struct extnic_args *args, double share, double *weight)
{
    uint32_t n[512] = { 0 };
    uint32_t used0 = 0, used1 = 0;

    for (uint32_t f = 0; f < traffic->n_flows; f++) {
        n[bucket_of(traffic, f, args)]++;
    }
    for (uint32_t b = 0; b < args->reta; b++) {
        if (n[b] && b % args->skew_queues == 0) {
            used0++;
        } else if (n[b]) {
            used1++;
        }
    }
    for (uint32_t f = 0; f < traffic->n_flows; f++) {
        bool queue0 = on_queue0(traffic, f, args);
        double part = (queue0
                       ? share / (used0 ? used0 : 1)
                       : (1 - share) / (used1 ? used1 : 1));

        weight[f] = part / n[bucket_of(traffic, f, args)];
    }
}

static void
zipf_weights(const struct extnic_traffic *traffic,
             const struct extnic_args *args, double *weight)
{
    struct extnic_rng rng = { args->seed + 3 };
    uint32_t n = traffic->n_flows;

    for (uint32_t f = 0; f < n; f++) {
        weight[f] = pow(f + 1, -args->zipf);
    }
    for (uint32_t i = n - 1; i > 0; i--) {
        uint32_t j = extnic_rng_below(&rng, i + 1);
        double tmp = weight[i];

        weight[i] = weight[j];
        weight[j] = tmp;
    }
}

/* Exchanges the weights of 'shift_share' of the flows among themselves. */
static bool
shift_weights(const struct extnic_traffic *traffic,
              const struct extnic_args *args, struct extnic_rng *rng,
              double *weight)
{
    uint32_t *chosen = calloc(traffic->n_flows, sizeof *chosen);
    bool ok = chosen != NULL;
    uint32_t n = 0;

    for (uint32_t f = 0; ok && f < traffic->n_flows; f++) {
        if (extnic_rng_double(rng) < args->shift_share) {
            uint32_t j = extnic_rng_below(rng, n + 1);

            /* Fisher and Yates, inside out. */
            chosen[n++] = f;
            if (j < n - 1) {
                double tmp = weight[f];

                weight[f] = weight[chosen[j]];
                weight[chosen[j]] = tmp;
            }
        }
    }
    free(chosen);
    return ok;
}

static bool
build_zipf(struct extnic_traffic *traffic, const struct extnic_args *args,
           uint32_t len, double *weight)
{
    struct extnic_rng rng = { args->seed + 120 };
    uint32_t n = args->shift_ms ? N_SHIFTS : 1;
    bool ok = true;

    zipf_weights(traffic, args, weight);
    for (uint32_t i = 0; ok && i < n; i++) {
        ok = ((!i || shift_weights(traffic, args, &rng, weight))
              && extnic_phase_weighted(traffic, weight, len, args->shift_ms,
                                       1, args->seed + 1 + i));
    }
    return ok;
}

/* First the mice alone, then, for ever, elephants whose buckets all belong
 * to queue 0 beside them.  The rate asked for is that of the second phase. */
static bool
build_elephants(struct extnic_traffic *traffic,
                const struct extnic_args *args, uint32_t len, double *weight)
{
    double mice = 1 - args->elephant_share;
    uint32_t placed = 0;

    if (!extnic_phase_weighted(traffic, weight, len, args->start_ms, mice,
                               args->seed + 10)) {
        return false;
    }
    for (uint32_t f = 0; f < traffic->n_flows; f++) {
        weight[f] *= mice;
    }
    for (uint32_t f = 0; f < traffic->n_flows && placed < args->elephants;
         f++) {
        if (on_queue0(traffic, f, args)) {
            weight[f] += args->elephant_share / args->elephants;
            placed++;
        }
    }
    return extnic_phase_weighted(traffic, weight, len, 0, 1, args->seed + 11);
}

/* Quiet intervals, and between them ones in which a few buckets send more. */
static bool
build_bursts(struct extnic_traffic *traffic, const struct extnic_args *args,
             uint32_t len, const double *weight)
{
    struct extnic_rng rng = { args->seed + 20 };
    double *burst = calloc(traffic->n_flows, sizeof *burst);
    bool ok = burst != NULL;

    for (uint32_t i = 0; ok && i < N_CYCLE; i++) {
        bool hot[512] = { false };
        double sum = 0;

        for (uint32_t j = 0; j < args->burst_buckets; ) {
            uint32_t b = extnic_rng_below(&rng, args->reta);

            j += !hot[b];
            hot[b] = true;
        }
        for (uint32_t f = 0; f < traffic->n_flows; f++) {
            burst[f] = weight[f] * (hot[bucket_of(traffic, f, args)]
                                    ? args->burst_factor : 1);
            sum += burst[f];
        }
        ok = (extnic_phase_weighted(traffic, weight, len / 4,
                                    args->burst_gap_ms, 1,
                                    args->seed + 30 + i)
              && extnic_phase_weighted(traffic, burst, len / 4,
                                       args->burst_ms, sum,
                                       args->seed + 60 + i));
    }
    free(burst);
    return ok;
}

/* Each flow is on half of the time; intervals are exponential in length. */
static bool
build_onoff(struct extnic_traffic *traffic, const struct extnic_args *args,
            uint32_t len, const double *weight)
{
    struct extnic_rng rng = { args->seed + 40 };
    double *on = calloc(traffic->n_flows, sizeof *on);
    bool ok = on != NULL;

    for (uint32_t i = 0; ok && i < N_CYCLE; i++) {
        double sum = 0;

        for (uint32_t f = 0; f < traffic->n_flows; f++) {
            on[f] = extnic_rng_below(&rng, 2) ? weight[f] : 0;
            sum += on[f];
        }
        double ms = -log(1 - extnic_rng_double(&rng)) * args->on_ms;
        ok = sum > 0
             && extnic_phase_weighted(traffic, on, len / 4,
                                      ms < 1 ? 1 : lrint(ms), 2 * sum,
                                      args->seed + 90 + i);
    }
    free(on);
    return ok;
}

bool
extnic_scenario_build(struct extnic_traffic *traffic,
                      const struct extnic_args *args, extnic_hash_func *hash,
                      char *error, size_t error_size)
{
    uint32_t len = args->seqlen ? args->seqlen : DEFAULT_LEN;

    if (len < 4 * args->flows) {
        len = 4 * args->flows;
    }
    if (!extnic_templates_random(traffic, args->flows, args->flows / 2,
                                 args->size, args->seed, args->reta, hash)) {
        return false;
    }

    double *weight = calloc(traffic->n_flows, sizeof *weight);
    bool ok = weight != NULL;
    if (ok) {
        share_queue0(traffic, args, args->scenario == EXTNIC_SKEW
                     ? args->skew : 1.0 / args->skew_queues, weight);
        switch (args->scenario) {
        case EXTNIC_ELEPHANTS:
            ok = build_elephants(traffic, args, len, weight);
            break;
        case EXTNIC_BURSTS:
            ok = build_bursts(traffic, args, len, weight);
            break;
        case EXTNIC_ONOFF:
            ok = build_onoff(traffic, args, len, weight);
            break;
        case EXTNIC_ZIPF:
            ok = build_zipf(traffic, args, len, weight);
            break;
        case EXTNIC_BALANCED:
        case EXTNIC_SKEW:
        case EXTNIC_FLOW_MODEL:
        case EXTNIC_CAPTURES:
        default:
            ok = extnic_phase_weighted(traffic, weight, len, 0, 1,
                                       args->seed + 1);
            break;
        }
    }
    if (!ok) {
        snprintf(error, error_size, "scenario=%s: out of memory",
                 args->scenario_name);
    }
    free(weight);
    return ok;
}
