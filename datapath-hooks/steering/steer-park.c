/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Order across a change of the redirection table.
 *
 * The agent (steer-move.c) goes through these steps; this file is what PMD
 * threads do meanwhile.
 *
 *   1. ARMED.  The new queue starts to park the bucket and acknowledges.  Only
 *      then is the table written, so no packet can slip past the park.
 *   2. DRAINING.  The table is written.  The old queue's thread notes how many
 *      packets its ring holds.  When it has processed them and the grace
 *      period is over (what a packet may take through the device's pipeline),
 *      it looks once more; when it has processed those too, and OVS has sent
 *      what it held back on output (tx-flush-interval), it sets 'drained'.  A
 *      packet of the bucket that comes later still (a straggler) sets the
 *      mark anew.
 *   3. The new queue hands out the parked packets ahead of anything it
 *      receives after them, and the move is done.
 *
 * Only the old queue's thread looks at a clock, its own, and what it concludes
 * is that it has done something, never that another thread must have: threads
 * may stand still at any point, for any time, between any two of these steps.
 *
 * An idle old queue drains at its first empty poll after the grace period.
 *
 * A park that reaches its limit stops the polling of its queue, so that the
 * ring, not memory, takes the rest, unless the queue has itself something to
 * drain, for which another park may be waiting: that goes on, and is bounded
 * by what its ring held.  (Two queues that wait for each other would wait for
 * ever.)  The agent begins no move out of a queue that parks.
 *
 * The agent calls off a move whose park fills up by moving the bucket back: a
 * second move whose new queue is the first one's old queue.  That queue then
 * holds packets from before the first move, which go through, and from after
 * the second, which are parked: the first move's 'target' tells them apart. */

#include <config.h>

#include "datapath-hooks/steering/steer-dp.h"

#include <errno.h>
#include <rte_cycles.h>

#include "coverage.h"
#include "datapath-hooks/ext-hooks.h"

COVERAGE_DEFINE(steer_parked);
COVERAGE_DEFINE(steer_park_full);
COVERAGE_DEFINE(steer_straggler);
COVERAGE_DEFINE(steer_straggler_late);

steer_ctr32 steer_park_limit = 2048;
steer_ctr64 steer_grace_cycles;
steer_ctr64 steer_flush_cycles;

/* In so many polls of a queue its thread goes through all of its queues at
 * least once, and sends what is due. */
enum { STEER_FLUSH_POLLS = 2 };

/* Frees the packets that 'move' holds.  No PMD thread may be using it. */
void
steer_park_purge(struct steer_transit *move)
{
    while (steer_park_count(move)) {
        dp_packet_delete(move->fifo[move->tail++ & (STEER_PARK_CAPACITY - 1)]);
    }
}

/* PMD-THREAD CODE */

/* Adds 'packet' to 'move''s park, which must not be full. */
void
steer_park_push(struct steer_pmd *pmd, struct steer_transit *move,
                struct dp_packet *packet)
{
    move->fifo[move->head++ & (STEER_PARK_CAPACITY - 1)] = packet;
    steer_ctr32_add(&move->parked, 1);
    steer_ctr64_add(&pmd->n.parked, 1);
    COVERAGE_INC(steer_parked);
}

/* Takes up to 'max' packets, oldest first. */
unsigned int
steer_park_pop(struct steer_transit *move, struct dp_packet **packets,
               unsigned int max)
{
    unsigned int n = MIN(steer_park_count(move), max);

    for (unsigned int i = 0; i < n; i++) {
        packets[i] = move->fifo[move->tail++ & (STEER_PARK_CAPACITY - 1)];
    }
    return n;
}

/* Rebuilds 'q''s lists from the moves that name it, marks how far it has to
 * drain for new ones, then acknowledges 'seq'.  What the agent wrote before it
 * advanced 'q->seq' is visible. */
void
steer_rxq_rebuild(struct steer_rxq *q, uint32_t seq)
{
    q->n_parks = q->n_drains = 0;
    memset(q->park_of, 0, sizeof q->park_of);
    memset(q->drain_of, 0, sizeof q->drain_of);

    for (size_t i = 0; i < STEER_MAX_MOVES; i++) {
        struct steer_transit *move = &steer_transits[i];
        enum steer_phase phase = steer_move_phase(move);
        bool done;

        if (phase == STEER_FREE || phase == STEER_RETIRED) {
            continue;
        }
        atomic_read_relaxed(&move->done, &done);
        if (!done && (move->disp_q ? move->disp_q : move->new_q) == q) {
            q->parks[q->n_parks++] = move;
            q->park_of[move->bucket - q->bucket_base] = q->n_parks;
        }
        if (!move->disp_q && move->old_q == q && phase == STEER_DRAINING) {
            q->drains[q->n_drains++] = move;
            q->drain_of[move->bucket] = q->n_drains;
            if (!move->targeted) {
                move->target = (steer_ctr64_get(&q->received)
                                + steer_dev_rxq_depth(q));
                move->settled = move->passed = false;
                move->mark_tsc = rte_rdtsc();
                move->targeted = true;
            }
        }
    }
    atomic_store_explicit(&q->ack, seq, memory_order_release);
}

/* Returns true if 'move''s bucket is coming back to 'q', which it leaves by
 * 'move': the park of that is shown before the table is written, and what it
 * brings is told by 'move->target', which then stays. */
static bool
steer_park_comes_back(const struct steer_rxq *q,
                      const struct steer_transit *move)
{
    uint32_t park = q->park_of[move->bucket];

    return park && q->parks[park - 1]->started_tsc > move->started_tsc;
}

/* Returns true once all that 'move''s bucket had in its old queue 'q' has been
 * sent. */
static bool
steer_park_is_past(struct steer_rxq *q, struct steer_transit *move,
                   uint64_t now)
{
    uint64_t received = steer_ctr64_get(&q->received);
    uint64_t flush;

    if (received >= move->target && !move->settled) {
        if (now < move->mark_tsc + steer_ctr64_get(&steer_grace_cycles)) {
            return false;
        }
        move->settled = true;
        if (!steer_park_comes_back(q, move)) {
            /* What was in the device's pipeline is in the ring by now. */
            move->target = received + steer_dev_rxq_depth(q);
        }
    }
    if (received < move->target) {
        return false;
    }
    flush = steer_ctr64_get(&steer_flush_cycles);
    if (!move->passed) {
        move->passed = true;
        move->mark_tsc = now;
        move->flush_polls = flush ? STEER_FLUSH_POLLS : 0;
    }
    if (now - move->mark_tsc < flush) {
        return false;
    }
    return !move->flush_polls || !move->flush_polls--;
}

/* Notes which of 'q''s draining moves have got to their mark.  Every packet
 * that 'q' received earlier has been processed: this is the next poll of the
 * same thread.  Returns true if any has not. */
static bool
steer_park_drain(struct steer_rxq *q, uint64_t now)
{
    uint64_t received = steer_ctr64_get(&q->received);
    bool draining = false;

    for (uint32_t i = 0; i < q->n_drains; i++) {
        struct steer_transit *move = q->drains[i];
        bool drained;

        atomic_read_relaxed(&move->drained, &drained);
        if (drained) {
            continue;
        }
        /* A bucket that came here by an older move not over yet is still
         * parked.  What a newer one brings back may wait for this one. */
        if ((!q->park_of[move->bucket] || steer_park_comes_back(q, move))
            && steer_park_is_past(q, move, now)) {
            atomic_store_explicit(&move->drained, true, memory_order_release);
        } else {
            draining |= received < move->target;
        }
    }
    return draining;
}

/* 'q' gave no packet: its ring is empty, whatever it was thought to hold,
 * unless the device had no buffer to put one into. */
static void
steer_park_empty(struct steer_rxq *q)
{
    uint64_t received = steer_ctr64_get(&q->received);

    if (q->n_drains && steer_dev_rxq_has_packets(q)) {
        return;
    }
    for (uint32_t i = 0; i < q->n_drains; i++) {
        q->drains[i]->target = MIN(q->drains[i]->target, received);
    }
}

/* Returns true if 'move''s parked packets may go. */
static bool
steer_park_may_release(struct steer_transit *move)
{
    bool drained;

    if (steer_move_phase(move) == STEER_CANCELLED) {
        return true;
    }
    atomic_read_explicit(&move->drained, &drained, memory_order_acquire);
    return drained;
}

/* Removes park 'i' of 'q', whose packets have all been processed. */
static void
steer_park_done(struct steer_rxq *q, uint32_t i, uint64_t now)
{
    struct steer_transit *move = q->parks[i];

    q->park_of[move->bucket - q->bucket_base] = 0;
    q->parks[i] = q->parks[--q->n_parks];
    if (i < q->n_parks) {
        q->park_of[q->parks[i]->bucket - q->bucket_base] = i + 1;
    }
    atomic_store_relaxed(&move->done_tsc, now);
    atomic_store_explicit(&move->done, true, memory_order_release);
}

/* Hands out parked packets that may go.  Returns their number, which goes on
 * being above 0 until none is left: the caller must not receive until then,
 * so that nothing overtakes them. */
static unsigned int
steer_park_release(struct steer_rxq *q, struct dp_packet_batch *batch,
                   uint64_t now)
{
    for (uint32_t i = 0; i < q->n_parks; ) {
        struct steer_transit *move = q->parks[i];
        unsigned int n;

        if (!steer_park_may_release(move)) {
            i++;
            continue;
        }
        atomic_store_relaxed(&move->released, true);
        n = steer_park_pop(move, batch->packets, NETDEV_MAX_BURST);
        if (n) {
            batch->count = n;
            return n;
        }
        steer_park_done(q, i, now);
    }
    return 0;
}

/* A packet of a draining bucket, 'index' in its queue, after the mark. */
static void
steer_park_straggler(struct steer_pmd *pmd, struct steer_transit *move,
                     uint64_t index)
{
    bool released;

    atomic_read_relaxed(&move->released, &released);
    if (released) {
        steer_ctr64_add(&pmd->n.late, 1);
        COVERAGE_INC(steer_straggler_late);
        return;
    }
    COVERAGE_INC(steer_straggler);
    atomic_store_relaxed(&move->drained, false);
    move->target = index + 1;
    move->passed = false;
}

/* Returns true if packet 'index' of a bucket that 'park' brings to 'q' came
 * before the bucket ever left 'q' by 'drain', the older of the two moves.  If
 * 'drain' is the newer, it takes away what 'park' has brought, none of which
 * may overtake the park. */
static bool
steer_park_is_older(const struct steer_transit *drain,
                    const struct steer_transit *park, uint64_t index)
{
    return (drain->started_tsc < park->started_tsc
            && index < drain->target);
}

/* Parks those packets of 'batch' whose bucket is moving to 'q'.  'first' is
 * the index in 'q' of the batch's first packet. */
static void
steer_park_filter(struct steer_pmd *pmd, struct steer_rxq *q,
                  struct dp_packet_batch *batch, uint64_t first)
{
    size_t kept = 0;

    for (size_t i = 0; i < batch->count; i++) {
        struct dp_packet *packet = batch->packets[i];
        uint32_t bucket, park, drain;

        if (dp_packet_rss_valid(packet)) {
            bucket = dp_packet_get_rss_hash(packet) & q->bucket_mask;
            park = q->park_of[bucket];
            drain = q->drain_of[bucket];
            if (drain && first + i >= q->drains[drain - 1]->target && !park) {
                steer_park_straggler(pmd, q->drains[drain - 1], first + i);
            } else if (park && !(drain && steer_park_is_older(
                                     q->drains[drain - 1],
                                     q->parks[park - 1], first + i))) {
                steer_park_push(pmd, q->parks[park - 1], packet);
                continue;
            }
        }
        batch->packets[kept++] = packet;
    }
    batch->count = kept;
}

/* Receives from 'q' while it parks or drains, like netdev_rxq_recv(). */
int
steer_park_recv(struct steer_pmd *pmd, struct steer_rxq *q,
                struct dp_packet_batch *batch, int *qfill, uint64_t now)
{
    uint64_t first = steer_ctr64_get(&q->received);
    bool draining = steer_park_drain(q, now);
    int error;

    pmd->awake = true;          /* Moves wait for polls. */
    if (q->n_parks && steer_park_release(q, batch, now)) {
        return 0;
    }
    for (uint32_t i = 0; i < q->n_parks; i++) {
        if (OVS_UNLIKELY(draining
                         ? (steer_park_count(q->parks[i]) + NETDEV_MAX_BURST
                            > STEER_PARK_CAPACITY)
                         : steer_park_full(q->parks[i]))) {
            COVERAGE_INC(steer_park_full);
            return EAGAIN;
        }
    }

    error = ext_real_rxq_recv(q->rx, batch, qfill);
    if (error) {
        steer_park_empty(q);
        return error;
    }
    steer_ctr64_add(&q->received, batch->count);
    steer_rxq_count(q, batch);
    steer_park_filter(pmd, q, batch, first);
    return batch->count ? 0 : EAGAIN;
}

/* END PMD-THREAD CODE */
