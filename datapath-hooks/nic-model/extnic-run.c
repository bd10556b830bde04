/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/nic-model/extnic-run.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "datapath-hooks/nic-model/extnic-clock.h"

#define ENDLESS (UINT64_MAX / 4)

/* Entries that arrived within 'n', in Poisson traffic: the gaps decide, up to
 * the end of the pass. */
static uint64_t
poisson_target(const struct extnic_rxq *q, const struct extnic_phase *phase,
               double n)
{
    const struct extnic_cursor *at = &q->at;
    double until = n - (double) at->loop * phase->len;
    uint32_t idx = at->idx;

    while (idx < phase->len && idx + phase->jitter[idx] <= until) {
        idx++;
    }
    return at->pos + (idx - at->idx);
}

uint64_t
extnic_run_target(const struct extnic_rxq *q, double clock, bool *ended)
{
    const struct extnic_cursor *at = &q->at;
    const struct extnic_run *run = at->run;
    const struct extnic_run_phase *rp = &run->phases[at->phase];
    const struct extnic_phase *phase = &q->source->traffic->phases[at->phase];
    bool over = clock > run->end_clock;

    if (over) {
        clock = run->end_clock;
    }
    uint32_t i = __atomic_load_n(&run->n_segments, __ATOMIC_ACQUIRE) - 1;
    while (i && run->segment[i].clock > clock) {
        i--;
    }

    const struct extnic_segment *s = &run->segment[i];
    double nominal = s->nominal + (clock - s->clock) * s->rate;
    double n = (nominal - at->cycle_nominal - rp->nominal) * phase->mult;
    uint64_t target = at->pos;

    if (n >= 0) {
        if (n >= rp->n) {
            target = at->cycle_pos + rp->pos + rp->n;
        } else if (phase->jitter) {
            target = poisson_target(q, phase, n);
        } else {
            target = at->cycle_pos + rp->pos + (uint64_t) n + 1;
        }
    }
    if (target > run->end_pos) {
        target = run->end_pos;
    }
    *ended = target <= at->pos && (over || at->pos >= run->end_pos);
    return target;
}

/* Phase that 'pos' is in, and the position and nominal time at which the
 * cycle of phases then began. */
static uint32_t
find_phase(const struct extnic_rxq *q, uint64_t pos, uint64_t *cycle_pos,
           double *cycle_nominal)
{
    const struct extnic_run *run = q->at.run;
    uint32_t n_phases = q->source->traffic->n_phases;
    uint64_t cycle = run->cycle_n ? pos / run->cycle_n : 0;
    uint32_t i = 0;

    *cycle_pos = cycle * run->cycle_n;
    *cycle_nominal = cycle * run->cycle_nominal;
    while (i + 1 < n_phases && pos - *cycle_pos >= run->phases[i + 1].pos) {
        i++;
    }
    return i;
}

void
extnic_run_locate__(struct extnic_rxq *q, uint64_t pos)
{
    const struct extnic_run *run = q->at.run;
    uint64_t cycle_pos;
    double cycle_nominal;
    uint32_t p = find_phase(q, pos, &cycle_pos, &cycle_nominal);
    const struct extnic_run_phase *rp = &run->phases[p];
    double mult = q->source->traffic->phases[p].mult;
    uint64_t first = cycle_pos + rp->pos;
    double nominal = (cycle_nominal + rp->nominal
                      + (double) (pos - first) / mult);
    uint32_t n_segments = q->arrive_segments;
    uint32_t i = n_segments - 1;

    while (i && run->segment[i].nominal > nominal) {
        i--;
    }

    const struct extnic_segment *s = &run->segment[i];
    q->arrive_first = pos;
    q->arrive_end = first + rp->n;
    if (i + 1 < n_segments) {
        double n = (run->segment[i + 1].nominal - nominal) * mult;

        if (n < q->arrive_end - pos) {
            q->arrive_end = pos + (uint64_t) n + 1;
        }
    }
    q->arrive_clock = s->clock + (nominal - s->nominal) / s->rate;
    q->arrive_gap = 1 / (mult * s->rate);
}

double
extnic_run_jitter__(const struct extnic_rxq *q, uint64_t pos)
{
    uint64_t cycle_pos;
    double cycle_nominal;
    uint32_t p = find_phase(q, pos, &cycle_pos, &cycle_nominal);
    const struct extnic_phase *phase = &q->source->traffic->phases[p];
    uint64_t n = pos - cycle_pos - q->at.run->phases[p].pos;

    return phase->jitter[n % phase->len];
}

/* Where the sequence numbers of each flow begin in each phase. */
static bool
init_seq(struct extnic_run *run, const struct extnic_traffic *traffic)
{
    uint32_t n_flows = traffic->n_flows;
    uint32_t *sum = run->seq_per_cycle = calloc(n_flows, sizeof *sum);

    if (!sum) {
        return false;
    }
    for (uint32_t i = 0; i < traffic->n_phases; i++) {
        const struct extnic_phase *phase = &traffic->phases[i];
        struct extnic_run_phase *rp = &run->phases[i];
        uint32_t loops = (rp->n + phase->len - 1) / phase->len;

        rp->seq_base = malloc(n_flows * sizeof *rp->seq_base);
        if (!rp->seq_base) {
            return false;
        }
        memcpy(rp->seq_base, sum, n_flows * sizeof *sum);
        for (uint32_t f = 0; f < n_flows; f++) {
            sum[f] += loops * phase->per_loop[f];
        }
    }
    return true;
}

bool
extnic_run_init(struct extnic_run *run, const struct extnic_traffic *traffic,
                uint32_t epoch, double rate, uint64_t packets, double ms)
{
    uint64_t pos = 0;
    double nominal = 0;

    extnic_run_uninit(run, traffic);
    memset(run, 0, sizeof *run);
    run->phases = calloc(traffic->n_phases, sizeof *run->phases);
    if (!run->phases) {
        return false;
    }
    for (uint32_t i = 0; i < traffic->n_phases; i++) {
        const struct extnic_phase *phase = &traffic->phases[i];
        struct extnic_run_phase *rp = &run->phases[i];
        double n = phase->ms * 1e-3 * extnic_clock.hz * rate * phase->mult;

        rp->pos = pos;
        rp->nominal = nominal;
        rp->n = !phase->ms ? ENDLESS : n < 1 ? 1 : (uint64_t) llrint(n);
        rp->n_nominal = rp->n / phase->mult;
        pos += rp->n;
        nominal += rp->n_nominal;
    }
    if (traffic->phases[traffic->n_phases - 1].ms) {
        run->cycle_n = pos;
        run->cycle_nominal = nominal;
    }
    if (traffic->n_phases > 1 && !init_seq(run, traffic)) {
        return false;
    }
    run->epoch = epoch;
    run->active = true;
    run->t0 = rte_rdtsc() - extnic_clock_paused();
    run->end_pos = packets ? packets : UINT64_MAX;
    run->end_clock = ms > 0 ? ms * 1e-3 * extnic_clock.hz : INFINITY;
    run->segment[0] = (struct extnic_segment) { 0, 0, rate };
    run->n_segments = 1;
    return true;
}

void
extnic_run_uninit(struct extnic_run *run,
                  const struct extnic_traffic *traffic)
{
    for (uint32_t i = 0; run->phases && i < traffic->n_phases; i++) {
        free(run->phases[i].seq_base);
    }
    free(run->phases);
    free(run->seq_per_cycle);
    run->phases = NULL;
    run->seq_per_cycle = NULL;
}

int
extnic_run_set_rate(struct extnic_run *run, double clock, double rate)
{
    uint32_t n = run->n_segments;
    const struct extnic_segment *last = &run->segment[n - 1];

    if (n == EXTNIC_N_SEGMENTS) {
        return ENOSPC;
    }
    if (clock < last->clock) {
        clock = last->clock;
    }
    run->segment[n] = (struct extnic_segment) {
        .nominal = last->nominal + (clock - last->clock) * last->rate,
        .clock = clock,
        .rate = rate,
    };
    __atomic_store_n(&run->n_segments, n + 1, __ATOMIC_RELEASE);
    return 0;
}
