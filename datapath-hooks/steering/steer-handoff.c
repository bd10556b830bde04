/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Handoff: a redirection table in software, for ports whose device has none.
 *
 * A port with one rx queue (or several that it fills as it likes) keeps those
 * real queues and gets virtual ones besides, one for each PMD thread, which
 * dpif-netdev places on PMD threads as it places any rx queue.  The thread
 * that polls a real queue is its *dispatcher*: by the packets' hash it keeps
 * a bucket for itself or puts it into a virtual queue, a ring that the other
 * thread receives from as if it were the device.  Classification, actions and
 * transmit then all happen there.
 *
 * Order.  Only the dispatcher decides where a bucket goes, so it alone moves
 * one: it parks the bucket's packets until the old ring has been processed up
 * to the position it had when the move began, then sends the parked ones to
 * the new queue, ahead of later ones.  If the park fills up, the move is
 * called off by sending the parked packets down the old ring instead.
 *
 * A virtual queue may lose its thread, when PMD threads are set aside for
 * other queues: dpif-netdev then polls it no more.  The agent sees to that
 * (steer-watch.c).  Until then, or without it, what does not fit into such a
 * ring is processed where it was received, and moves do not wait for it. */

#include <config.h>

#include "datapath-hooks/steering/steer-dp.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_ring.h>

#include "coverage.h"
#include "datapath-hooks/ext-hooks.h"

COVERAGE_DEFINE(steer_handoff);
COVERAGE_DEFINE(steer_handoff_drop);
COVERAGE_DEFINE(steer_called_off);

/* TSC cycles, about a second: a queue that is not polled for so long is not on
 * its way to another thread, nor does its thread just not get to run. */
#define STEER_UNPOLLED_CYCLES (UINT64_C(1) << 31)

/* Where a real queue's packets go.  Private to the pmd of that queue. */
struct steer_dispatch {
    uint16_t to[STEER_HANDOFF_BUCKETS]; /* Bucket -> queue id. */
    struct {
        uint32_t polls;                 /* Of a queue that was found full... */
        uint64_t since;                 /* ...since when.  TSC. */
    } seen[STEER_MAX_QUEUES];           /* By queue id. */
    struct {
        uint16_t n;
        struct dp_packet *packets[NETDEV_MAX_BURST];
    } staged[STEER_MAX_QUEUES];         /* By queue id. */
};

/* Gives 'q' its ring (virtual) or its dispatch table (real).  Main thread,
 * before 'q' is polled. */
int
steer_handoff_attach(struct steer_rxq *q)
{
    if (q->is_virtual) {
        ssize_t size = rte_ring_get_memsize(STEER_HANDOFF_RING);

        q->ring = xzalloc_cacheline(size);
        return -rte_ring_init(q->ring, "steer", STEER_HANDOFF_RING,
                              RING_F_SC_DEQ);
    }
    q->dispatch = xzalloc_cacheline(sizeof *q->dispatch);
    for (size_t b = 0; b < STEER_HANDOFF_BUCKETS; b++) {
        q->dispatch->to[b] = q->queue_id;
    }
    return 0;
}

/* Frees what 'q' has, packets included.  No PMD thread uses it. */
void
steer_handoff_detach(struct steer_rxq *q)
{
    void *packet;

    while (q->ring && !rte_ring_sc_dequeue(q->ring, &packet)) {
        dp_packet_delete(packet);
    }
    free_cacheline(q->ring);
    free_cacheline(q->dispatch);
}

/* PMD-THREAD CODE */

/* Receives from virtual queue 'q'.  What earlier calls returned has been
 * processed, which is published for dispatchers that wait for it. */
int
steer_virtual_recv(struct steer_pmd *pmd, struct steer_rxq *q,
                   struct dp_packet_batch *batch, int *qfill)
{
    unsigned int n, left;

    steer_ctr32_add(&q->polls, 1);
    atomic_store_explicit(&q->released, q->dequeued, memory_order_release);
    n = rte_ring_sc_dequeue_burst(q->ring, (void **) batch->packets,
                                  NETDEV_MAX_BURST, &left);
    atomic_store_relaxed(&q->depth, left);
    if (!n) {
        return EAGAIN;
    }
    /* Another core has just had them: fetch all at once, not one by one. */
    for (unsigned int i = 0; i < n; i++) {
        OVS_PREFETCH(batch->packets[i]);
    }
    q->dequeued += n;
    steer_ctr64_add(&q->received, n);
    steer_ctr64_add(&pmd->n.handoff_in, n);
    batch->count = n;
    for (unsigned int i = 0; i < n; i++) {
        OVS_PREFETCH(dp_packet_data(batch->packets[i]));
    }
    if (qfill) {
        *qfill = left;
    }
    return 0;
}

/* Drops 'n' packets, for which a ring has no room, and counts them. */
static void
steer_ring_drop(struct steer_pmd *pmd, struct dp_packet **packets,
                unsigned int n)
{
    COVERAGE_ADD(steer_handoff_drop, n);
    steer_ctr64_add(&pmd->n.handoff_drops, n);
    for (unsigned int i = 0; i < n; i++) {
        dp_packet_delete(packets[i]);
    }
}

/* Returns true if virtual queue 'to' has not been polled for long, as far as
 * dispatcher 'q' has seen. */
static bool
steer_ring_is_unpolled(struct steer_rxq *q, const struct steer_rxq *to,
                       uint64_t now)
{
    uint32_t polls = steer_ctr32_get(&to->polls);
    uint64_t *since = &q->dispatch->seen[to->queue_id].since;

    if (!*since || polls != q->dispatch->seen[to->queue_id].polls) {
        q->dispatch->seen[to->queue_id].polls = polls;
        *since = now;
    }
    return now - *since > STEER_UNPOLLED_CYCLES;
}

/* Sends what dispatcher 'q' has staged for 'to' down the ring of that.  What
 * does not fit is dropped, as by a device whose descriptors are used up, or if
 * nobody polls 'to' put into 'rest'.  Returns the number of those. */
static unsigned int
steer_ring_send(struct steer_pmd *pmd, struct steer_rxq *q,
                struct steer_rxq *to, struct dp_packet **rest, uint64_t now)
{
    struct dp_packet **packets = q->dispatch->staged[to->queue_id].packets;
    unsigned int n = q->dispatch->staged[to->queue_id].n;
    unsigned int sent = rte_ring_mp_enqueue_burst(to->ring, (void **) packets,
                                                  n, NULL);

    q->dispatch->staged[to->queue_id].n = 0;
    COVERAGE_ADD(steer_handoff, sent);
    if (OVS_LIKELY(sent == n)) {
        return 0;
    }
    n -= sent;
    if (steer_ring_is_unpolled(q, to, now)) {
        memcpy(rest, &packets[sent], n * sizeof *rest);
        return n;
    }
    steer_ring_drop(pmd, &packets[sent], n);
    return 0;
}

/* Moves as many parked packets of 'move' as fit into the ring of 'to'.
 * Returns true if none is left. */
static bool
steer_park_to_ring(struct steer_transit *move, struct steer_rxq *to)
{
    struct dp_packet *packets[NETDEV_MAX_BURST];

    while (steer_park_count(move)) {
        unsigned int room = rte_ring_free_count(to->ring);
        unsigned int n = steer_park_pop(move, packets,
                                        MIN(room, NETDEV_MAX_BURST));

        if (!n || !rte_ring_mp_enqueue_bulk(to->ring, (void **) packets, n,
                                            NULL)) {
            /* Another dispatcher took the room: put them back in front. */
            while (n) {
                move->fifo[--move->tail & (STEER_PARK_CAPACITY - 1)]
                    = packets[--n];
            }
            return false;
        }
        COVERAGE_ADD(steer_handoff, n);
    }
    return true;
}

/* Returns true if 'move', whose park is full, waits for queue 'to', which
 * nobody polls. */
static bool
steer_dispatch_is_stuck(struct steer_rxq *q, struct steer_transit *move,
                        const struct steer_rxq *to, uint64_t now)
{
    return (steer_park_full(move) && to->is_virtual
            && steer_ring_is_unpolled(q, to, now));
}

/* Ends park 'i' of dispatcher 'q': the bucket goes to queue 'to' from now. */
static void
steer_dispatch_done(struct steer_rxq *q, uint32_t i, uint16_t to,
                    uint64_t now)
{
    struct steer_transit *move = q->parks[i];
    uint32_t b = move->bucket - q->bucket_base;

    q->dispatch->to[b] = to;
    q->park_of[b] = 0;
    q->parks[i] = q->parks[--q->n_parks];
    if (i < q->n_parks) {
        q->park_of[q->parks[i]->bucket - q->bucket_base] = i + 1;
    }
    atomic_store_relaxed(&move->done_tsc, now);
    atomic_store_explicit(&move->done, true, memory_order_release);
}

/* Returns true once the old queue of 'move' has processed all that the bucket
 * has in it. */
static bool
steer_dispatch_drained(struct steer_transit *move, uint64_t now)
{
    uint64_t since;

    if (!move->targeted) {
        move->target = (move->old_q->is_virtual
                        ? __atomic_load_n(&move->old_q->ring->prod.tail,
                                          __ATOMIC_RELAXED) : 0);
        atomic_store_relaxed(&move->drained_tsc, now);
        move->targeted = true;
    }
    if (move->old_q->is_virtual) {
        bool drained;
        uint32_t released;

        atomic_read_relaxed(&move->drained, &drained);
        if (!drained) {
            atomic_read_explicit(&move->old_q->released, &released,
                                 memory_order_acquire);
            if ((int32_t) (released - (uint32_t) move->target) < 0) {
                return false;
            }
            atomic_store_relaxed(&move->drained_tsc, now);
            atomic_store_relaxed(&move->drained, true);
        }
    }
    /* Processed is not sent while OVS holds packets back on output. */
    atomic_read_relaxed(&move->drained_tsc, &since);
    return now - since >= steer_ctr64_get(&steer_flush_cycles);
}

/* Advances the moves of dispatcher 'q'.  Returns packets for 'q' itself, which
 * must be processed before any more are received, in 'batch'. */
static unsigned int
steer_dispatch_moves(struct steer_pmd *pmd, struct steer_rxq *q,
                     struct dp_packet_batch *batch, uint64_t now)
{
    for (uint32_t i = 0; i < q->n_parks; ) {
        struct steer_transit *move = q->parks[i];

        if (steer_dispatch_drained(move, now)
            || steer_dispatch_is_stuck(q, move, move->old_q, now)) {
            if (move->new_q != q) {
                bool sent = steer_park_to_ring(move, move->new_q);

                if (!sent && steer_dispatch_is_stuck(q, move, move->new_q,
                                                     now)) {
                    struct dp_packet *packets[NETDEV_MAX_BURST];
                    unsigned int n;

                    while ((n = steer_park_pop(move, packets,
                                               NETDEV_MAX_BURST))) {
                        steer_ring_drop(pmd, packets, n);
                    }
                    sent = true;
                }
                if (sent) {
                    steer_dispatch_done(q, i, move->new_q->queue_id, now);
                    continue;
                }
            } else {
                unsigned int n = steer_park_pop(move, batch->packets,
                                                NETDEV_MAX_BURST);
                if (n) {
                    batch->count = n;
                    return n;
                }
                steer_dispatch_done(q, i, q->queue_id, now);
                continue;
            }
        } else if (steer_park_full(move) && move->old_q->is_virtual) {
            if (steer_park_to_ring(move, move->old_q)) {
                COVERAGE_INC(steer_called_off);
                atomic_store_relaxed(&move->called_off, true);
                steer_dispatch_done(q, i, move->old_q->queue_id, now);
                continue;
            }
            move->targeted = false; /* The old ring holds more of it now. */
        }
        i++;
    }
    return 0;
}

/* Receives from real queue 'q' and hands packets off by bucket. */
int
steer_dispatch_recv(struct steer_pmd *pmd, struct steer_rxq *q,
                    struct dp_packet_batch *batch, int *qfill, uint64_t now)
{
    struct steer_dispatch *d = q->dispatch;
    uint16_t used[NETDEV_MAX_BURST];
    unsigned int n_used = 0;
    size_t kept = 0;
    int error;

    if (OVS_UNLIKELY(q->n_parks)) {
        pmd->awake = true;
        if (steer_dispatch_moves(pmd, q, batch, now)) {
            return 0;
        }
        for (uint32_t i = 0; i < q->n_parks; i++) {
            if (steer_park_full(q->parks[i])) {
                return EAGAIN;  /* Let the device's ring take it. */
            }
        }
    }

    error = ext_real_rxq_recv(q->rx, batch, qfill);
    if (error) {
        return error;
    }
    steer_ctr64_add(&q->received, batch->count);
    pmd->awake |= batch->count >= STEER_AWAKE_BURST;
    if (OVS_UNLIKELY(!(q->n_bursts++ % 16))) {
        steer_packet_sample(&q->features, batch->packets[0]);
    }

    for (size_t i = 0; i < batch->count; i++) {
        struct dp_packet *packet = batch->packets[i];
        uint32_t b = steer_packet_hash(packet) & q->bucket_mask;
        uint16_t to = d->to[b];

        steer_count_add(&q->buckets[b], dp_packet_size(packet));
        if (OVS_UNLIKELY(q->park_of[b])) {
            steer_park_push(pmd, q->parks[q->park_of[b] - 1], packet);
        } else if (to == q->queue_id) {
            batch->packets[kept++] = packet;
        } else {
            if (!d->staged[to].n) {
                used[n_used++] = to;
            }
            d->staged[to].packets[d->staged[to].n++] = packet;
        }
    }
    for (unsigned int i = 0; i < n_used; i++) {
        kept += steer_ring_send(pmd, q, q->port->rxqs[used[i]],
                                &batch->packets[kept], now);
    }
    pmd->n_taken += batch->count - kept;
    batch->count = kept;
    if (!kept) {
        /* No burst for the core to account for, but work all the same. */
        steer_ctr64_add(&pmd->n.busy, rte_rdtsc() - now);
        return EAGAIN;
    }
    return 0;
}

/* END PMD-THREAD CODE */
