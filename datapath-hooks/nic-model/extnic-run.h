/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXTNIC_RUN_H
#define EXTNIC_RUN_H 1

/* Correspondence of position and virtual time in a run.
 *
 * See extnic-source.h for the terms.  The inline functions are what a poll
 * and a packet cost; they belong to the thread that polls the queue. */

#include "datapath-hooks/nic-model/extnic-source.h"

/* Position, exclusive, up to which packets have arrived when 'clock' cycles
 * of the run are over, but at most to the end of the queue's phase.  Sets
 * '*ended' if a limit of the run forbids more. */
uint64_t extnic_run_target(const struct extnic_rxq *, double clock,
                           bool *ended);

/* Sets the queue's arrive_* to a range that holds 'pos'. */
void extnic_run_locate__(struct extnic_rxq *, uint64_t pos);

/* Poisson: how far the arrival at 'pos' deviates, in entries. */
double extnic_run_jitter__(const struct extnic_rxq *, uint64_t pos);

/* Fills in a run that begins now. */
bool extnic_run_init(struct extnic_run *, const struct extnic_traffic *,
                     uint32_t epoch, double rate, uint64_t packets,
                     double ms);
void extnic_run_uninit(struct extnic_run *, const struct extnic_traffic *);

/* Changes the rate (packets per cycle) from 'clock' on; 0 or ENOSPC. */
int extnic_run_set_rate(struct extnic_run *, double clock, double rate);

/* Positions left in the queue's phase and pass of the sequence. */
static inline uint64_t
extnic_run_left(const struct extnic_rxq *q)
{
    const struct extnic_cursor *at = &q->at;
    const struct extnic_run_phase *rp = &at->run->phases[at->phase];
    uint64_t left = at->cycle_pos + rp->pos + rp->n - at->pos;
    uint64_t pass = q->source->traffic->phases[at->phase].len - at->idx;

    return left < pass ? left : pass;
}

/* Moves on by 'n' <= extnic_run_left() positions. */
static inline void
extnic_run_advance(struct extnic_rxq *q, uint64_t n)
{
    const struct extnic_traffic *traffic = q->source->traffic;
    struct extnic_cursor *at = &q->at;
    const struct extnic_run_phase *rp = &at->run->phases[at->phase];

    at->pos += n;
    at->idx += n;
    if (at->idx == traffic->phases[at->phase].len) {
        at->idx = 0;
        at->loop++;
    }
    if (__builtin_expect(at->pos == at->cycle_pos + rp->pos + rp->n, 0)) {
        at->idx = at->loop = 0;
        if (++at->phase == traffic->n_phases) {
            at->phase = 0;
            at->cycle++;
            at->cycle_pos += at->run->cycle_n;
            at->cycle_nominal += at->run->cycle_nominal;
        }
    }
}

/* What to add to an entry's 'k' for the sequence number of its flow. */
static inline uint32_t
extnic_run_seq(const struct extnic_rxq *q, uint32_t template)
{
    const struct extnic_traffic *traffic = q->source->traffic;
    const struct extnic_cursor *at = &q->at;
    const uint32_t *base = at->run->phases[at->phase].seq_base;
    uint32_t flow = traffic->flow_of ? traffic->flow_of[template] : template;
    uint32_t seq = at->loop * traffic->phases[at->phase].per_loop[flow];

    if (base) {
        seq += base[flow]
               + (uint32_t) at->cycle * at->run->seq_per_cycle[flow];
    }
    return seq;
}

/* To be called before a batch of extnic_run_arrival(). */
static inline void
extnic_run_refresh_arrival(struct extnic_rxq *q)
{
    uint32_t n = __atomic_load_n(&q->at.run->n_segments, __ATOMIC_ACQUIRE);

    if (__builtin_expect(q->arrive_segments != n, 0)) {
        q->arrive_segments = n;
        q->arrive_first = q->arrive_end = 0;
    }
}

/* Clock at which the packet at 'pos' arrived. */
static inline double
extnic_run_arrival(struct extnic_rxq *q, uint64_t pos)
{
    if (__builtin_expect(pos - q->arrive_first
                         >= q->arrive_end - q->arrive_first, 0)) {
        extnic_run_locate__(q, pos);
    }
    double n = (int64_t) (pos - q->arrive_first);
    if (__builtin_expect(q->source->args.poisson, 0)) {
        n += extnic_run_jitter__(q, pos);
    }
    return q->arrive_clock + n * q->arrive_gap;
}

#endif /* extnic-run.h */
