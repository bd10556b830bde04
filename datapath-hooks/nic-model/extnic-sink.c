/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/nic-model/extnic-sink.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>

#include "datapath-hooks/nic-model/extnic-clock.h"

int
extnic_sink_init(struct extnic_sink *sink, struct extnic_link *link,
                 bool check, uint32_t watched, char *error,
                 size_t error_size)
{
    static const struct rte_mbuf_dynfield field = {
        .name = EXTNIC_META_NAME,
        .size = sizeof(struct extnic_meta),
        .align = __alignof__(struct extnic_meta),
    };
    static const struct rte_mbuf_dynflag flag = {
        .name = EXTNIC_META_FLAG_NAME,
    };
    uint64_t ts_flag;
    int bit;

    memset(sink, 0, sizeof *sink);
    sink->link = link;
    sink->check = check;
    sink->watch = watched;
    sink->slot = -1;
    sink->meta_ofs = rte_mbuf_dynfield_register(&field);
    bit = rte_mbuf_dynflag_register(&flag);
    if (sink->meta_ofs < 0 || bit < 0
        || rte_mbuf_dyn_rx_timestamp_register(&sink->ts_ofs, &ts_flag)) {
        snprintf(error, error_size, "no room for dynamic mbuf fields");
        return ENOMEM;
    }
    sink->meta_flag = RTE_BIT64(bit);
    if (check) {
        sink->slot = extnic_link_add_sink(link);
        if (sink->slot < 0) {
            snprintf(error, error_size, "stat=%s: has %d sinks already",
                     link->path, EXTNIC_MAX_PORTS);
            return EBUSY;
        }
    }
    return 0;
}

void
extnic_sink_uninit(struct extnic_sink *sink)
{
    if (sink->slot >= 0) {
        extnic_link_remove_sink(sink->link, sink->slot);
    }
    for (int i = 0; i < EXTNIC_MAX_QUEUES; i++) {
        rte_free(sink->txq[i]);
    }
}

int
extnic_sink_txq_setup(struct extnic_sink *sink, uint16_t id)
{
    struct extnic_txq *q = sink->txq[id];

    if (q) {
        return 0;
    }
    q = rte_zmalloc("extnic_txq", sizeof *q, 64);
    if (!q) {
        return ENOMEM;
    }
    q->link = sink->link;
    q->meta_flag = sink->meta_flag;
    q->meta_ofs = sink->meta_ofs;
    q->ts_ofs = sink->ts_ofs;
    q->watch = sink->watch;
    if (sink->check) {
        struct extnic_shm *shm = sink->link->shm;

        q->shm = &shm->sink[sink->slot].txq[id];
        if (!q->shm->row) {
            q->shm->row = extnic_link_row(&shm->tx_rows);
        }
        q->windows = q->shm->row ? shm->wtx[q->shm->row - 1] : NULL;
        q->window_len = shm->hdr.window_us * 1e-6 * extnic_clock.hz;
    }
    sink->txq[id] = q;
    return 0;
}

static void
new_epoch(struct extnic_txq *q, uint32_t epoch)
{
    uint32_t row = q->shm->row;

    memset(q->shm, 0, sizeof *q->shm);
    q->shm->row = row;
    q->epoch = epoch;
    q->w_delivered = q->w_changes = 0;
    memset(q->w_hist, 0, sizeof q->w_hist);
    q->window_end = 0;
    q->window_t0 = q->link->shm->hdr.t0;
    __atomic_store_n(&q->shm->epoch, epoch, __ATOMIC_RELEASE);
}

static void
roll_window(struct extnic_txq *q, uint64_t clock)
{
    if (q->windows && q->window_end) {
        struct extnic_shm_window_tx *w;

        w = &q->windows[q->window_id % EXTNIC_N_WINDOWS];
        memcpy(w->hist, q->w_hist, sizeof w->hist);
        w->delivered = q->w_delivered;
        w->changes = q->w_changes;
        __atomic_store_n(&w->id, q->window_id + 1, __ATOMIC_RELEASE);
    }
    q->window_id = clock / q->window_len;
    q->window_end = (q->window_id + UINT64_C(1)) * q->window_len;
    q->w_delivered = q->w_changes = 0;
    memset(q->w_hist, 0, sizeof q->w_hist);
}

/* Looks whether 'm' goes another way than the packet before. */
static void
watch(struct extnic_txq *q, const struct rte_mbuf *m)
{
    uint32_t now;

    if (rte_pktmbuf_data_len(m) < q->watch + sizeof now) {
        return;
    }
    memcpy(&now, rte_pktmbuf_mtod_offset(m, const uint8_t *, q->watch),
           sizeof now);
    q->w_changes += now != q->watched;
    q->watched = now;
}

/* What the packets of a burst have in common. */
struct burst {
    uint64_t now;
    uint32_t paused;            /* Low bits of the paused time >> 6. */
    uint64_t latency_sum, latency_max;
    uint32_t delivered;
};

static inline void
check_packet(struct extnic_txq *q, const struct rte_mbuf *m, struct burst *b)
{
    struct extnic_shm_txq *shm = q->shm;

    if (__builtin_expect(!(m->ol_flags & q->meta_flag), 0)) {
        shm->foreign++;
        return;
    }

    const struct extnic_meta *meta;
    meta = RTE_MBUF_DYNFIELD(m, q->meta_ofs, const struct extnic_meta *);
    uint32_t slot = EXTNIC_TAG_SLOT(meta->tag);
    uint32_t flow = EXTNIC_TAG_FLOW(meta->tag);
    if (__builtin_expect(EXTNIC_TAG_EPOCH(meta->tag) != (q->epoch & 63)
                         || flow >= q->link->n_order[slot], 0)) {
        shm->stale++;
        return;
    }

    switch (extnic_order_check(&q->link->order[slot][flow], q->epoch,
                               meta->seq)) {
    case EXTNIC_DUPLICATED:
        shm->duplicated++;
        return;
    case EXTNIC_REORDERED:
        shm->reordered++;
        break;
    case EXTNIC_IN_ORDER:
        break;
    }

    /* Time in which the thread was off its CPU since the packet was received
     * does not count. */
    uint64_t ts = *RTE_MBUF_DYNFIELD(m, q->ts_ofs, const uint64_t *);
    uint64_t pause = (uint64_t) (b->paused - meta->paused) << 6;
    int64_t latency = b->now - ts - pause;
    latency = latency > 0 ? latency : 0;
    extnic_hist_add(&shm->hist, latency);
    q->w_hist[extnic_whist_slot(latency)]++;
    b->latency_sum += latency;
    b->latency_max = (uint64_t) latency > b->latency_max
                     ? (uint64_t) latency : b->latency_max;
    b->delivered++;
    if (__builtin_expect(q->watch != 0, 0)) {
        watch(q, m);
    }
    shm->bytes += m->pkt_len;
}

static void
count(struct extnic_txq *q, struct rte_mbuf **pkts, uint16_t n)
{
    for (uint16_t i = 0; i < n; i++) {
        q->bytes += pkts[i]->pkt_len;
    }
    q->packets += n;
}

uint16_t
extnic_sink_tx_burst(void *q_, struct rte_mbuf **pkts, uint16_t n)
{
    struct extnic_txq *q = q_;
    struct extnic_shm_txq *shm = q->shm;
    uint64_t now = rte_rdtsc();

    if (!n) {
        return 0;
    }
    extnic_clock_tick(now);
    uint32_t epoch = __atomic_load_n(&q->link->shm->hdr.epoch,
                                     __ATOMIC_ACQUIRE);
    if (__builtin_expect(epoch != q->epoch, 0)) {
        new_epoch(q, epoch);
    }

    uint64_t paused = extnic_clock_paused();
    uint64_t clock = now - paused - q->window_t0;
    if (__builtin_expect(clock >= q->window_end, 0)) {
        roll_window(q, clock);
    }

    struct burst b = { .now = now, .paused = paused >> 6,
                       .latency_max = shm->latency_max };
    for (uint16_t i = 0; i < n; i++) {
        check_packet(q, pkts[i], &b);
    }
    count(q, pkts, n);
    rte_pktmbuf_free_bulk(pkts, n);

    uint64_t cycles = rte_rdtsc() - now;
    shm->packets += b.delivered;
    shm->latency_sum += b.latency_sum;
    shm->latency_max = b.latency_max;
    q->w_delivered += b.delivered;
    shm->cycles += cycles;
    shm->all_packets += n;
    if (n >= 32) {
        shm->full_cycles += cycles;
        shm->full_packets += n;
    }
    return n;
}

uint16_t
extnic_sink_free_burst(void *q_, struct rte_mbuf **pkts, uint16_t n)
{
    struct extnic_txq *q = q_;

    count(q, pkts, n);
    rte_pktmbuf_free_bulk(pkts, n);
    return n;
}
