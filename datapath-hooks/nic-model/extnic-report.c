/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/nic-model/extnic-report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "datapath-hooks/nic-model/extnic-shm.h"

struct totals {
    uint64_t offered, missed, received, depth, nic_dropped, nombuf;
    uint64_t delivered, reordered, duplicated, foreign, stale;
    uint64_t gen_cycles, gen_full_cycles, gen_full_packets, scanned, polls;
    uint64_t sink_cycles, sink_packets, sink_full_cycles, sink_full_packets;
    uint64_t latency_sum, latency_max, clock;
    uint64_t reta_updates, flows;
    uint32_t reta_size;
    bool ended;
    struct extnic_hist hist;
};

static void
add_rxq(struct totals *t, const struct extnic_shm_rxq *q)
{
    t->offered += q->offered;
    t->missed += q->missed;
    t->received += q->received;
    t->depth += q->depth;
    t->nic_dropped += q->nic_dropped;
    t->nombuf += q->nombuf;
    t->gen_cycles += q->cycles;
    t->gen_full_cycles += q->full_cycles;
    t->gen_full_packets += q->full_packets;
    t->scanned += q->scanned;
    t->polls += q->polls;
    t->clock = q->clock > t->clock ? q->clock : t->clock;
}

static void
add_source(struct totals *t, const struct extnic_shm *shm, int i)
{
    const struct extnic_shm_source *s = &shm->source[i];

    t->reta_updates += s->reta_updates;
    t->flows += s->in_use ? s->n_flows : 0;
    t->reta_size = s->in_use ? s->reta_size : t->reta_size;
    for (int j = 0; j < EXTNIC_MAX_QUEUES; j++) {
        const struct extnic_shm_rxq *q = &s->rxq[j];

        if (q->epoch == shm->hdr.epoch) {
            add_rxq(t, q);
        }
        if (s->in_use && j < (int) s->n_rxq
            && (q->epoch != shm->hdr.epoch || !q->ended)) {
            t->ended = false;
        }
    }
}

static void
add_txq(struct totals *t, const struct extnic_shm_txq *q)
{
    t->delivered += q->packets;
    t->reordered += q->reordered;
    t->duplicated += q->duplicated;
    t->foreign += q->foreign;
    t->stale += q->stale;
    t->sink_cycles += q->cycles;
    t->sink_packets += q->all_packets;
    t->sink_full_cycles += q->full_cycles;
    t->sink_full_packets += q->full_packets;
    t->latency_sum += q->latency_sum;
    t->latency_max = (q->latency_max > t->latency_max
                      ? q->latency_max : t->latency_max);
    extnic_hist_merge(&t->hist, &q->hist);
}

static void
sum_up(struct totals *t, const struct extnic_shm *shm)
{
    memset(t, 0, sizeof *t);
    t->ended = true;

    /* Sinks first: what is delivered was received before. */
    for (int i = 0; i < EXTNIC_MAX_PORTS; i++) {
        for (int j = 0; j < EXTNIC_MAX_QUEUES; j++) {
            const struct extnic_shm_txq *q = &shm->sink[i].txq[j];

            if (q->epoch == shm->hdr.epoch) {
                add_txq(t, q);
            }
        }
    }
    for (int i = 0; i < EXTNIC_MAX_PORTS; i++) {
        add_source(t, shm, i);
    }
}

bool
extnic_report_done(const struct extnic_shm *shm)
{
    static struct totals t;

    sum_up(&t, shm);
    return shm->hdr.state != EXTNIC_RUNNING
           ? shm->hdr.state == EXTNIC_IDLE || !t.depth
           : t.ended && !t.depth;
}

uint64_t
extnic_report_delivered(const struct extnic_shm *shm)
{
    static struct totals t;

    sum_up(&t, shm);
    return t.delivered;
}

static double
per(double a, double b)
{
    return b > 0 ? a / b : 0;
}

static void
print_latency(const struct totals *t, double us)
{
    printf("\"latency_us\":{\"mean\":%.3f,\"p50\":%.3f,\"p95\":%.3f,"
           "\"p99\":%.3f,\"p999\":%.3f,\"max\":%.3f},",
           per(t->latency_sum, t->delivered) * us,
           extnic_hist_quantile(&t->hist, 0.50) * us,
           extnic_hist_quantile(&t->hist, 0.95) * us,
           extnic_hist_quantile(&t->hist, 0.99) * us,
           extnic_hist_quantile(&t->hist, 0.999) * us,
           t->latency_max * us);
}

static void
print_queues(const struct extnic_shm *shm)
{
    const char *separator = "";

    printf("\"queues\":[");
    for (int i = 0; i < EXTNIC_MAX_PORTS; i++) {
        const struct extnic_shm_source *s = &shm->source[i];

        for (uint32_t j = 0; s->in_use && j < s->n_rxq
                             && j < EXTNIC_MAX_QUEUES; j++) {
            const struct extnic_shm_rxq *q = &s->rxq[j];
            bool now = q->epoch == shm->hdr.epoch;

            printf("%s{\"offered\":%"PRIu64",\"received\":%"PRIu64
                   ",\"missed\":%"PRIu64",\"depth\":%"PRIu64"}", separator,
                   now ? q->offered : 0, now ? q->received : 0,
                   now ? q->missed : 0, now ? q->depth : 0);
            separator = ",";
        }
    }
    printf("],");
}

static void
print_flow_table(const struct extnic_shm *shm)
{
    uint64_t rules = 0, max = 0, inserted = 0, removed = 0, rejected = 0;
    uint64_t hits = 0;

    for (int i = 0; i < EXTNIC_MAX_PORTS; i++) {
        const struct extnic_shm_source *s = &shm->source[i];

        if (s->in_use) {
            rules += s->flow_rules;
            max += s->flow_max;
            inserted += s->flow_inserted;
            removed += s->flow_removed;
            rejected += s->flow_rejected;
            for (int j = 0; j < EXTNIC_MAX_QUEUES; j++) {
                hits += (s->rxq[j].epoch == shm->hdr.epoch
                         ? s->rxq[j].flow_hits : 0);
            }
        }
    }
    printf("\"rte_flow\":{\"rules\":%"PRIu64",\"max\":%"PRIu64
           ",\"inserted\":%"PRIu64",\"removed\":%"PRIu64",\"rejected\":%"
           PRIu64",\"hit_packets\":%"PRIu64"}",
           rules, max, inserted, removed, rejected, hits);
}

static void
print_phases(const struct extnic_shm *shm)
{
    const char *separator = "";

    printf(",\"phases\":[");
    for (int i = 0; i < EXTNIC_MAX_PORTS; i++) {
        const struct extnic_shm_source *s = &shm->source[i];

        for (uint32_t j = 0; s->in_use && j < s->n_phases
                             && j < EXTNIC_MAX_PHASES; j++) {
            printf("%s{\"ms\":%u,\"top_share\":%.6f}", separator,
                   s->phase_ms[j], s->top_share[j]);
            separator = ",";
        }
    }
    printf("]");
}

static void
print_window_queues(const struct extnic_shm *shm, uint32_t id)
{
    const char *separator = "";

    for (int i = 0; i < EXTNIC_MAX_PORTS; i++) {
        const struct extnic_shm_source *s = &shm->source[i];

        for (uint32_t j = 0; s->in_use && j < s->n_rxq
                             && j < EXTNIC_MAX_QUEUES; j++) {
            uint32_t row = s->rxq[j].row;
            uint32_t missed = 0;

            if (row && row <= EXTNIC_N_ROWS) {
                const struct extnic_shm_window_rx *w;

                w = &shm->wrx[row - 1][id % EXTNIC_N_WINDOWS];
                missed = w->id == id + 1 ? w->missed : 0;
            }
            printf("%s%u", separator, missed);
            separator = ",";
        }
    }
}

/* Middle of each slot of the coarse scale that is not empty, microseconds, and
 * its packets. */
static void
print_window_histogram(const uint32_t hist[EXTNIC_WHIST_N], double us)
{
    const char *separator = "";

    printf(",\"latency_histogram\":[");
    for (uint32_t i = 0; i < EXTNIC_WHIST_N; i++) {
        if (hist[i]) {
            printf("%s[%.4f,%"PRIu32"]", separator,
                   (extnic_hist_middle__(i, EXTNIC_WHIST_BITS) + 0.5)
                   * (1 << EXTNIC_WHIST_FIRST) * us, hist[i]);
            separator = ",";
        }
    }
    printf("]");
}

/* Sums interval 'id' over all queues; false if nothing was recorded. */
static bool
print_window(const struct extnic_shm *shm, uint32_t id, bool histogram,
             const char *separator)
{
    uint64_t offered = 0, missed = 0, delivered = 0, dropped = 0, hits = 0;
    uint64_t changes = 0;
    uint32_t hist[EXTNIC_WHIST_N] = { 0 };
    uint32_t i = id % EXTNIC_N_WINDOWS, n_rows = shm->rx_rows;
    bool any = false;

    for (uint32_t row = 0; row < n_rows && row < EXTNIC_N_ROWS; row++) {
        const struct extnic_shm_window_rx *w = &shm->wrx[row][i];
        bool now = w->id == id + 1;

        any = any || now;
        offered += now ? w->offered : 0;
        missed += now ? w->missed : 0;
        dropped += now ? w->nic_dropped : 0;
        hits += now ? w->flow_hits : 0;
    }
    for (uint32_t row = 0; row < shm->tx_rows && row < EXTNIC_N_ROWS; row++) {
        const struct extnic_shm_window_tx *w = &shm->wtx[row][i];

        if (w->id == id + 1) {
            delivered += w->delivered;
            changes += w->changes;
            for (int j = 0; j < EXTNIC_WHIST_N; j++) {
                hist[j] += w->hist[j];
            }
        }
    }
    if (!any) {
        return false;
    }

    double us = 1e6 / shm->hdr.tsc_hz;
    printf("%s{\"t_ms\":%.1f,\"offered\":%"PRIu64",\"missed\":%"PRIu64
           ",\"nic_dropped\":%"PRIu64",\"flow_hits\":%"PRIu64
           ",\"delivered\":%"PRIu64",\"changes\":%"PRIu64
           ",\"p50_us\":%.2f,\"p99_us\":%.2f,\"queues_missed\":[", separator,
           (double) id * shm->hdr.window_us / 1000, offered, missed, dropped,
           hits, delivered, changes,
           extnic_whist_quantile(hist, 0.5) * us,
           extnic_whist_quantile(hist, 0.99) * us);
    print_window_queues(shm, id);
    printf("]");
    if (histogram) {
        print_window_histogram(hist, us);
    }
    printf("}");
    return true;
}

static void
print_windows(const struct extnic_shm *shm, const struct totals *t,
              bool histogram)
{
    uint64_t len = shm->hdr.window_us * 1e-6 * shm->hdr.tsc_hz;
    uint64_t last = len ? t->clock / len : 0;
    uint64_t first = last >= EXTNIC_N_WINDOWS ? last - EXTNIC_N_WINDOWS + 1
                                              : 0;
    const char *separator = "";

    printf(",\"windows\":[");
    for (uint64_t id = first; id <= last; id++) {
        if (print_window(shm, id, histogram, separator)) {
            separator = ",\n";
        }
    }
    printf("]");
}

/* Middle of each slot that is not empty, microseconds, and its packets. */
static void
print_histogram(const struct totals *t, double us)
{
    const char *separator = "";

    printf(",\"latency_histogram\":[");
    for (uint32_t i = 0; i < EXTNIC_HIST_N; i++) {
        if (t->hist.n[i]) {
            printf("%s[%.4f,%"PRIu64"]", separator,
                   extnic_hist_middle__(i, EXTNIC_HIST_BITS) * us,
                   t->hist.n[i]);
            separator = ",";
        }
    }
    printf("]");
}

void
extnic_report_print(const struct extnic_shm *shm, bool windows,
                    bool histogram)
{
    static struct totals t;

    sum_up(&t, shm);
    const struct extnic_shm_hdr *hdr = &shm->hdr;
    bool done = extnic_report_done(shm) && hdr->state != EXTNIC_IDLE;
    double seconds = (double) t.clock / hdr->tsc_hz;
    double us = 1e6 / hdr->tsc_hz, ns = 1e9 / hdr->tsc_hz;
    uint64_t in_switch = (t.received > t.delivered
                          ? t.received - t.delivered : 0);
    uint64_t in_flight = t.depth + (done ? 0 : in_switch);
    uint64_t gone = t.delivered + in_flight;

    printf("{\"state\":\"%s\",\"scenario\":\"%.31s\",\"elapsed_s\":%.6f,",
           hdr->state == EXTNIC_IDLE ? "idle" : done ? "done" : "running",
           shm->source[0].scenario, seconds);
    printf("\"offered\":%"PRIu64",\"offered_mpps\":%.4f,\"missed\":%"PRIu64
           ",\"received\":%"PRIu64",\"delivered\":%"PRIu64
           ",\"in_flight\":%"PRIu64",\"lost\":%"PRIu64",",
           t.offered, per(t.offered, seconds) * 1e-6, t.missed, t.received,
           t.delivered, in_flight, done ? in_switch : 0);
    printf("\"reordered\":%"PRIu64",\"duplicated\":%"PRIu64",\"foreign\":%"
           PRIu64",\"stale\":%"PRIu64",\"nic_dropped\":%"PRIu64
           ",\"nombuf\":%"PRIu64",\"loss\":%.8f,\"delivered_mpps\":%.4f,",
           t.reordered, t.duplicated, t.foreign, t.stale, t.nic_dropped,
           t.nombuf, t.offered > gone ? per(t.offered - gone, t.offered) : 0,
           per(t.delivered, seconds) * 1e-6);
    print_latency(&t, us);
    printf("\"paused_ms\":%.3f,\"pauses\":%"PRIu64",",
           (hdr->paused - hdr->paused0) * us / 1000,
           hdr->pauses - hdr->pauses0);
    printf("\"gen_ns_per_packet\":%.2f,\"gen_full_ns_per_packet\":%.2f,"
           "\"sink_ns_per_packet\":%.2f,\"sink_full_ns_per_packet\":%.2f,"
           "\"scanned\":%"PRIu64",\"polls\":%"PRIu64",",
           per(t.gen_cycles, t.received) * ns,
           per(t.gen_full_cycles, t.gen_full_packets) * ns,
           per(t.sink_cycles, t.sink_packets) * ns,
           per(t.sink_full_cycles, t.sink_full_packets) * ns, t.scanned,
           t.polls);
    printf("\"reta_updates\":%"PRIu64",\"reta_size\":%u,\"flows\":%"PRIu64
           ",", t.reta_updates, t.reta_size, t.flows);
    print_queues(shm);
    print_flow_table(shm);
    if (windows) {
        print_phases(shm);
        print_windows(shm, &t, histogram);
    }
    if (histogram) {
        print_histogram(&t, us);
    }
    printf("}\n");
}
