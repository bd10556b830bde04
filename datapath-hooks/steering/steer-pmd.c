/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* The packet path: what a PMD thread does for steering around each receive,
 * transmit and upcall.
 *
 * Cost.  One TSC read a poll, a handful of single-writer counters a burst and
 * one a packet.  A packet of one burst in 16 is looked at for its features,
 * one transmit in 64 is timed. */

#include <config.h>

#include "datapath-hooks/steering/steer-dp.h"

#include <errno.h>
#include <rte_cycles.h>

#include "datapath-hooks/ext-hooks.h"
#include "flow.h"

/* PMD-THREAD CODE */

enum {
    STEER_DEPTH_PERIOD = 8,     /* Full bursts between looks at the ring. */
    STEER_SAMPLE_PERIOD = 16,   /* Bursts between looks at a packet. */
    STEER_SEND_PERIOD = 64,     /* Transmits between timed ones. */
    STEER_SLEEP_STEP = 1000,    /* Growth of a sleep in ns, as OVS has it. */
    STEER_BURST_MAX = 1 << 18,  /* Cycles; longer bursts were pre-empted. */
    STEER_ARRIVAL_MAX = 1 << 30 /* Cycles; longer sojourns are no TSC. */
};

/* Accounts for the burst received by the last poll, whose processing ends
 * with this one. */
static void
steer_pmd_account(struct steer_pmd *pmd, uint64_t now)
{
    uint64_t n = pmd->last_n;
    uint64_t cycles = now - pmd->last_tsc;

    pmd->last_n = 0;
    steer_ctr64_add(&pmd->n.packets, n);
    if (OVS_UNLIKELY(cycles > STEER_BURST_MAX)) {
        steer_ctr64_add(&pmd->n.preempted, 1);
        return;
    }
    steer_ctr64_add(&pmd->n.fit_packets, n);
    steer_ctr64_add(&pmd->n.busy, cycles);
    steer_ctr64_add(&pmd->n.bursts, 1);
    steer_ctr64_add(&pmd->n.sum_nn, n * n);
    steer_ctr64_add(&pmd->n.sum_nc, n * cycles);
}

/* Counts the packets of 'batch', received from the device's queue 'q', by
 * bucket, and samples one for its features. */
void
steer_rxq_count(struct steer_rxq *q, const struct dp_packet_batch *batch)
{
    struct steer_count *buckets = q->buckets;
    uint32_t mask = q->bucket_mask;
    size_t n = batch->count;

#pragma GCC unroll 8
    for (size_t i = 0; i < n; i++) {
        const struct dp_packet *packet = batch->packets[i];

        if (OVS_LIKELY(dp_packet_rss_valid(packet))) {
            steer_count_add(&buckets[dp_packet_get_rss_hash(packet) & mask],
                            dp_packet_size(packet));
        }
    }
    if (OVS_UNLIKELY(!(q->n_bursts++ % STEER_SAMPLE_PERIOD))) {
        steer_packet_sample(&q->features, batch->packets[0]);
    }
}

/* Receives from 'q', whose port's buckets are moved by the device. */
static int
steer_reta_recv(struct steer_pmd *pmd, struct steer_rxq *q,
                struct dp_packet_batch *batch, int *qfill, uint64_t now)
{
    uint64_t received;
    int error, depth;

    if (OVS_UNLIKELY(q->n_parks | q->n_drains)) {
        return steer_park_recv(pmd, q, batch, qfill, now);
    }

    received = steer_ctr64_get(&q->received);
    error = ext_real_rxq_recv(q->rx, batch, qfill);
    if (error) {
        atomic_store_relaxed(&q->depth, 0);
        return error;
    }
    if (batch->count < NETDEV_MAX_BURST) {
        atomic_store_relaxed(&q->depth, 0);
    } else if (q->port->mech == STEER_MECH_RETA
               && !(received / NETDEV_MAX_BURST % STEER_DEPTH_PERIOD)) {
        depth = steer_dev_rxq_depth(q);
        atomic_store_relaxed(&q->depth, MIN(depth, UINT16_MAX));
    }
    atomic_store_relaxed(&q->received, received + batch->count);
    steer_rxq_count(q, batch);
    return 0;
}

/* Replaces netdev_rxq_recv() while steering is on. */
int
steer_rxq_recv(struct netdev_rxq *rx, struct dp_packet_batch *batch,
               int *qfill)
{
    struct steer_pmd *pmd = steer_pmd_self();
    struct steer_rxq *q;
    uint16_t slot;
    uint32_t seq, ack;
    uint64_t now;
    int error;

    if (OVS_UNLIKELY(!pmd)) {
        /* A virtual queue is none that the device has. */
        return (steer_rxq_owned(rx)
                ? EAGAIN : ext_real_rxq_recv(rx, batch, qfill));
    }

    now = rte_rdtsc();
    /* Who sees this number sees all that came of earlier polls. */
    atomic_store_explicit(&pmd->n.polls, steer_ctr64_get(&pmd->n.polls) + 1,
                          memory_order_release);
    if (OVS_UNLIKELY(now - pmd->poll_tsc > STEER_BURST_MAX)) {
        steer_ctr64_add(&pmd->n.gaps, now - pmd->poll_tsc);
    }
    pmd->poll_tsc = now;
    if (pmd->last_n) {
        steer_pmd_account(pmd, now);
    }
    q = steer_rxq_find(pmd, rx);
    if (OVS_UNLIKELY(!q)) {
        return ext_real_rxq_recv(rx, batch, qfill);
    }

    pmd->last_steered = q->port->mech != STEER_MECH_NONE;
    atomic_read_relaxed(&q->pmd, &slot);
    if (OVS_UNLIKELY(slot != steer_pmd_slot(pmd))) {
        atomic_store_relaxed(&q->pmd, steer_pmd_slot(pmd));
    }
    atomic_read_explicit(&q->seq, &seq, memory_order_acquire);
    atomic_read_relaxed(&q->ack, &ack);
    if (OVS_UNLIKELY(seq != ack)) {
        atomic_store(&pmd->rebuilding, true);
        steer_rxq_rebuild(q, seq);
        atomic_store_explicit(&pmd->rebuilding, false, memory_order_release);
    }

    error = (q->is_virtual
             ? steer_virtual_recv(pmd, q, batch, qfill)
             : q->dispatch
             ? steer_dispatch_recv(pmd, q, batch, qfill, now)
             : steer_reta_recv(pmd, q, batch, qfill, now));
    if (!error) {
        pmd->last_tsc = now;
        pmd->last_n = batch->count;
    }
    return error;
}

/* Times the sojourn of one packet in STEER_SEND_PERIOD transmits: from its
 * arrival where the device stamps that, else from its receive. */
void
steer_send(const struct netdev *netdev OVS_UNUSED,
           const struct dp_packet_batch *batch)
{
    struct steer_pmd *pmd = steer_pmd_self();
    uint64_t since, now;

    if (!pmd || pmd->send_seq++ % STEER_SEND_PERIOD
        || dp_packet_batch_is_empty(batch)) {
        return;
    }
    now = rte_rdtsc();
    if (!steer_dev_arrival(batch->packets[0], &since)
        || now - since > STEER_ARRIVAL_MAX) {
        if (!pmd->last_n) {
            return;
        }
        since = pmd->last_tsc;
    }
    steer_ctr64_add(&pmd->n.lat_samples, 1);
    steer_ctr64_add(&pmd->n.lat_cycles, now - since);
}

/* Replaces xnanosleep_no_quiesce().  OVS sleeps longer and longer as long as
 * no receive gives it half a burst.  A dispatcher may hand all of a full queue
 * to other cores and give it nothing: what OVS would have done with those
 * packets is done here.  A sleep is no work and no absence either. */
void
steer_sleep(uint64_t nanoseconds)
{
    struct steer_pmd *pmd = steer_pmd_self();

    if (!pmd) {
        ext_real_sleep(nanoseconds);
        return;
    }
    if (pmd->last_n) {
        steer_pmd_account(pmd, rte_rdtsc());
    }
    if (pmd->awake) {
        pmd->awake = false;
        pmd->sleep_ns = 0;
        return;
    }
    pmd->sleep_ns = MIN(pmd->sleep_ns + STEER_SLEEP_STEP, nanoseconds);
    ext_real_sleep(pmd->sleep_ns);
    pmd->poll_tsc = rte_rdtsc();
}

/* Returns the packets that the calling thread has taken since the last call
 * and that OVS did not get from it, for which it would think it idle. */
int
steer_taken(void)
{
    struct steer_pmd *pmd = steer_pmd_self();
    int n = 0;

    if (pmd) {
        n = pmd->n_taken;
        pmd->n_taken = 0;
    }
    return n;
}

/* Notes a flow that a packet's miss has brought about, for steer-warm.c. */
void
steer_upcall(const struct dp_packet *packet, const struct flow *flow,
             struct flow_wildcards *wc, const ovs_u128 *ufid,
             unsigned int pmd_id)
{
    struct steer_pmd *pmd = steer_pmd_self();
    struct steer_miss *miss;
    uint32_t head, tail;

    if (!pmd) {
        return;
    }
    if (pmd->last_steered) {
        steer_mask_canonicalize(flow, wc);
    }
    steer_ctr64_add(&pmd->n.upcalls, 1);
    if (!dp_packet_rss_valid(packet)) {
        return;
    }
    head = steer_ctr32_get(&pmd->miss_head);
    atomic_read_explicit(&pmd->miss_tail, &tail, memory_order_acquire);
    if (head - tail >= STEER_MISS_RING) {
        steer_ctr32_add(&pmd->miss_lost, 1);
        return;
    }
    miss = &pmd->misses[head % STEER_MISS_RING];
    miss->ufid = *ufid;
    miss->hash = dp_packet_get_rss_hash(packet);
    miss->in_port = flow->in_port.odp_port;
    miss->pmd_id = pmd_id;
    miss->exact = steer_flow_is_exact(flow, &wc->masks);
    atomic_store_explicit(&pmd->miss_head, head + 1, memory_order_release);
}

/* END PMD-THREAD CODE */
