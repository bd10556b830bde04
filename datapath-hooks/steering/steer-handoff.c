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
 * called off by sending the parked packets down the old ring instead. */

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

/* Where a real queue's packets go.  Private to the pmd of that queue. */
struct steer_dispatch {
    uint16_t to[STEER_HANDOFF_BUCKETS]; /* Bucket -> queue id. */
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

/* Sends 'n' packets down 'q''s ring; what does not fit is dropped and counted,
 * as a device does whose descriptors are used up. */
static void
steer_ring_send(struct steer_pmd *pmd, struct steer_rxq *q,
                struct dp_packet **packets, unsigned int n)
{
    unsigned int sent = rte_ring_mp_enqueue_burst(q->ring, (void **) packets,
                                                  n, NULL);

    COVERAGE_ADD(steer_handoff, sent);
    if (OVS_UNLIKELY(sent < n)) {
        COVERAGE_ADD(steer_handoff_drop, n - sent);
        steer_ctr64_add(&pmd->n.handoff_drops, n - sent);
        for (; sent < n; sent++) {
            dp_packet_delete(packets[sent]);
        }
    }
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
steer_dispatch_moves(struct steer_rxq *q, struct dp_packet_batch *batch,
                     uint64_t now)
{
    for (uint32_t i = 0; i < q->n_parks; ) {
        struct steer_transit *move = q->parks[i];

        if (steer_dispatch_drained(move, now)) {
            if (move->new_q != q) {
                if (steer_park_to_ring(move, move->new_q)) {
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
        if (steer_dispatch_moves(q, batch, now)) {
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
        uint16_t to = used[i];

        steer_ring_send(pmd, q->port->rxqs[to], d->staged[to].packets,
                        d->staged[to].n);
        d->staged[to].n = 0;
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
