/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/nic-model/extnic-source.h"

#include <string.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>

#include "datapath-hooks/nic-model/extnic-clock.h"
#include "datapath-hooks/nic-model/extnic-flow.h"
#include "datapath-hooks/nic-model/extnic-map.h"
#include "datapath-hooks/nic-model/extnic-run.h"

#define SCAN_CHUNK 256          /* Entries looked at between two writes. */
#define SCAN_MAX 4096           /* Entries looked at in one poll. */

/* Zeroes the queue's counters for a new measurement; what waits in the ring
 * counts as offered in it. */
static void
new_epoch(struct extnic_rxq *q, uint32_t epoch)
{
    struct extnic_shm_rxq *shm = q->shm;
    uint32_t row = shm->row;

    if (q->epoch == shm->epoch) {
        q->past.packets += shm->received;
        q->past.bytes += shm->bytes;
        q->past.missed += shm->missed;
        q->past.nombuf += shm->nombuf;
    }
    memset(shm, 0, sizeof *shm);
    shm->row = row;
    shm->offered = shm->depth = q->tail - q->head;
    q->w_missed = q->w_received = q->w_dropped = q->w_hits = 0;
    q->w_offered = shm->offered;
    q->epoch = epoch;
    q->tag = EXTNIC_TAG(q->source->slot, epoch, 0);
    __atomic_store_n(&shm->epoch, epoch, __ATOMIC_RELEASE);
}

void
extnic_source_adopt(struct extnic_rxq *q, struct extnic_run *run)
{
    memset(&q->at, 0, sizeof q->at);
    q->at.run = run;
    q->head = q->tail;
    q->arrive_first = q->arrive_end = 0;
    q->window_end = 0;
    q->window_id = 0;
    new_epoch(q, run->epoch);
    __atomic_store_n(&q->claim, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&q->map, run->first_map, __ATOMIC_RELAXED);
    __atomic_store_n(&q->claim_epoch, run->epoch, __ATOMIC_SEQ_CST);
}

/* Looks at 'n' entries from the queue's position, all in one pass of the
 * sequence and under one map. */
static void
scan_chunk(struct extnic_rxq *q, const struct extnic_map *map, uint32_t n)
{
    const struct extnic_traffic *traffic = q->source->traffic;
    const struct extnic_phase *phase = &traffic->phases[q->at.phase];
    const struct extnic_entry *seq = &phase->seq[q->at.idx];
    const uint32_t *code = map->code;
    uint32_t codes[SCAN_CHUNK];
    uint16_t take[SCAN_CHUNK];
    uint32_t n_take = 0;
    uint8_t id = q->id;
    bool drops = id == 0 && extnic_flow_drops(q->source->flows);

    /* Whether an entry is ours is a coin toss: no branch on it. */
    for (uint32_t i = 0; i < n && !drops; i++) {
        take[n_take] = i;
        n_take += map->queue[code[seq[i].template] & EXTNIC_CODE_MASK] == id;
    }
    /* Looked at once: a rule may come or go meanwhile. */
    for (uint32_t i = 0; i < n && drops; i++) {
        codes[i] = __atomic_load_n(&code[seq[i].template], __ATOMIC_RELAXED);
        take[n_take] = i;
        n_take += map->queue[codes[i] & EXTNIC_CODE_MASK] == id;
    }

    uint32_t room = q->n_desc - (q->tail - q->head);
    uint32_t n_push = n_take < room ? n_take : room;
    for (uint32_t i = 0; i < n_push; i++) {
        const struct extnic_entry *e = &seq[take[i]];
        struct extnic_desc *d = &q->ring[q->tail++ & q->mask];

        d->pos = q->at.pos + take[i];
        d->template = e->template;
        d->seq = e->k + extnic_run_seq(q, e->template);
    }
    q->shm->offered += n_take;
    q->shm->missed += n_take - n_push;
    if (drops) {
        extnic_map_count_drops(q, codes, seq, n);
    }
}

/* Scans up to position 'target', at most SCAN_MAX entries. */
static void
scan(struct extnic_rxq *q, uint64_t target)
{
    if (target > q->at.pos + SCAN_MAX) {
        target = q->at.pos + SCAN_MAX;
    }
    q->shm->scanned += target - q->at.pos;
    __atomic_store_n(&q->claim, target, __ATOMIC_SEQ_CST);
    while (q->at.pos < target) {
        uint64_t map_end;
        const struct extnic_map *map = extnic_map_at(q, &map_end);
        uint64_t n = target - q->at.pos;
        uint64_t left = extnic_run_left(q);

        n = n < left ? n : left;
        n = n < map_end - q->at.pos ? n : map_end - q->at.pos;
        n = n < SCAN_CHUNK ? n : SCAN_CHUNK;
        scan_chunk(q, map, n);
        extnic_run_advance(q, n);
    }
}

/* Takes what has arrived up to position 'due', as far as the ring has room: no
 * packet is missed because a thread did not get to run.  Looks at SCAN_MAX
 * entries or as many more as it takes to find a packet. */
static void
scan_due(struct extnic_rxq *q, uint64_t due)
{
    uint64_t enough = q->at.pos + SCAN_MAX;

    while (q->at.pos < due && (q->at.pos < enough || q->head == q->tail)) {
        uint64_t room = q->n_desc - (q->tail - q->head);
        uint64_t n = due - q->at.pos;

        n = n < SCAN_CHUNK ? n : SCAN_CHUNK;
        n = n < room ? n : room;
        if (!n) {
            break;
        }
        scan(q, q->at.pos + n);
    }
}

/* Counts the packets up to position 'due' that scan_due() has yet to take. */
static uint64_t
count_due(const struct extnic_rxq *q, uint64_t due)
{
    struct extnic_rxq c = *q;   /* The queue itself stays where it is. */
    uint64_t n_due = 0;

    while (c.at.pos < due) {
        uint64_t map_end;
        const struct extnic_map *map = extnic_map_at(&c, &map_end);
        const struct extnic_phase *phase
            = &q->source->traffic->phases[c.at.phase];
        const struct extnic_entry *seq = &phase->seq[c.at.idx];
        uint64_t n = due - c.at.pos;
        uint64_t left = extnic_run_left(&c);

        n = n < left ? n : left;
        n = n < map_end - c.at.pos ? n : map_end - c.at.pos;
        for (uint64_t i = 0; i < n; i++) {
            uint32_t code = __atomic_load_n(&map->code[seq[i].template],
                                            __ATOMIC_RELAXED);

            n_due += map->queue[code & EXTNIC_CODE_MASK] == q->id;
        }
        extnic_run_advance(&c, n);
    }
    return n_due;
}

void
extnic_source_catch_up(struct extnic_rxq *q, uint64_t target)
{
    while (q->at.pos < target) {
        scan(q, target);
    }
}

static void
roll_window(struct extnic_rxq *q, double clock)
{
    struct extnic_shm_rxq *shm = q->shm;
    uint64_t len = (q->source->link->shm->hdr.window_us * 1e-6
                    * extnic_clock.hz);
    uint32_t id = clock / len;

    if (q->windows && q->window_end) {
        struct extnic_shm_window_rx *w;

        w = &q->windows[q->window_id % EXTNIC_N_WINDOWS];
        w->id = q->window_id + 1;
        w->offered = shm->offered - q->w_offered;
        w->missed = shm->missed - q->w_missed;
        w->received = shm->received - q->w_received;
        w->nic_dropped = shm->nic_dropped - q->w_dropped;
        w->flow_hits = shm->flow_hits - q->w_hits;
    }
    q->w_offered = shm->offered;
    q->w_missed = shm->missed;
    q->w_received = shm->received;
    q->w_dropped = shm->nic_dropped;
    q->w_hits = shm->flow_hits;
    q->window_id = id;
    q->window_end = (id + UINT64_C(1)) * len;
}

/* Brings the ring up to date.  Returns false if there is no traffic. */
static bool
refresh(struct extnic_rxq *q, uint64_t now)
{
    struct extnic_source *source = q->source;
    struct extnic_run *run;

    extnic_link_poll(source->link);
    run = __atomic_load_n(&source->run, __ATOMIC_ACQUIRE);
    if (__builtin_expect(run != q->at.run, 0)) {
        extnic_source_adopt(q, run);
    }
    uint32_t epoch = __atomic_load_n(&source->link->shm->hdr.epoch,
                                     __ATOMIC_RELAXED);
    if (__builtin_expect(epoch != q->epoch, 0)) {
        new_epoch(q, epoch);
    }
    if (__builtin_expect(!run->active || run->stopped, 0)) {
        extnic_map_idle(q);
        q->shm->ended = 1;
        return q->head != q->tail;
    }

    double clock = (double) (int64_t) (now - extnic_clock_paused() - run->t0);
    if (__builtin_expect(clock >= q->window_end, 0)) {
        roll_window(q, clock);
    }
    uint64_t due = extnic_map_due(q);
    if (__builtin_expect(due > q->at.pos, 0)) {
        scan_due(q, due);
        q->shm->depth = q->tail - q->head;
    }
    bool ended;
    uint64_t target = extnic_run_target(q, clock, &ended);
    if (target > q->at.pos) {
        struct extnic_shm_hdr *hdr = &source->link->shm->hdr;

        scan(q, target);
        q->shm->clock = clock;
        if (__builtin_expect(hdr->paused != extnic_clock_paused(), 0)) {
            hdr->paused = extnic_clock_paused();
            hdr->pauses = extnic_clock.pauses;
        }
        q->shm->depth = q->tail - q->head;
    } else if (ended) {
        q->shm->ended = 1;
        extnic_map_idle(q);
    } else {
        uint64_t end;

        extnic_map_at(q, &end);     /* Keeps up while time stands still. */
    }
    return true;
}

static inline void
fill(struct extnic_rxq *q, const struct extnic_desc *d, struct rte_mbuf *m,
     uint64_t base, uint32_t paused)
{
    const struct extnic_source *source = q->source;
    const struct extnic_template *t;
    uint8_t *data;

    t = &source->traffic->templates[d->template];
    data = (uint8_t *) m->buf_addr + RTE_PKTMBUF_HEADROOM;
    memcpy(data, t->head, EXTNIC_HEAD);
    if (t->tail) {
        memcpy(data + EXTNIC_HEAD, t->tail, t->len - EXTNIC_HEAD);
    }

    memcpy(&m->rearm_data, &q->rearm, sizeof q->rearm);
    m->ol_flags = t->ol_flags;
    m->packet_type = t->packet_type;
    m->pkt_len = t->len;
    m->data_len = t->len;
    m->vlan_tci = 0;
    m->hash.rss = t->hash;
    m->hash.fdir.hi = t->path;
    m->tx_offload = 0;

    struct extnic_meta *meta = RTE_MBUF_DYNFIELD(m, source->meta_ofs,
                                                 struct extnic_meta *);
    meta->tag = q->tag | t->flow;
    meta->seq = d->seq;
    meta->paused = paused;
    uint64_t arrival = extnic_run_arrival(q, d->pos);
    *RTE_MBUF_DYNFIELD(m, source->ts_ofs, uint64_t *) = base + arrival;

    uint32_t rule = t->path >> 32;
    if (__builtin_expect(rule != 0, 0)) {
        q->rule_hits[rule * 2]++;
        q->rule_hits[rule * 2 + 1] += t->len;
        q->shm->flow_hits++;
    }
    q->shm->bytes += t->len;
}

uint16_t
extnic_source_rx_burst(void *q_, struct rte_mbuf **pkts, uint16_t n)
{
    struct extnic_rxq *q = q_;
    uint64_t now = rte_rdtsc();

    while (__builtin_expect(*(volatile uint32_t *)
                            &q->source->link->shm->inject.rx_hang, 0)) {
        rte_delay_us_sleep(1000);
        now = rte_rdtsc();
    }
    extnic_clock_tick(now);
    extnic_thread.polls = true;
    q->shm->polls++;
    __atomic_store_n(&q->last_poll, now, __ATOMIC_RELAXED);
    if (!refresh(q, now)
        || __builtin_expect(q->source->link->shm->inject.rx_stall, 0)) {
        return 0;
    }

    uint32_t depth = q->tail - q->head;
    uint16_t n_rx = depth < n ? depth : n;
    if (!n_rx) {
        return 0;
    }
    if (rte_mempool_get_bulk(q->mp, (void **) pkts, n_rx)) {
        q->shm->nombuf++;
        return 0;
    }

    uint64_t paused = extnic_clock_paused();
    uint64_t base = q->at.run->t0 + paused;
    extnic_run_refresh_arrival(q);
    for (uint16_t i = 0; i < n_rx; i++) {
        if (i + 3 < n_rx) {
            uint32_t ahead = q->ring[(q->head + i + 3) & q->mask].template;

            rte_prefetch0(&q->source->traffic->templates[ahead]);
            rte_prefetch0(&q->source->traffic->templates[ahead].hash);
        }
        fill(q, &q->ring[(q->head + i) & q->mask], pkts[i], base,
             paused >> 6);
    }
    q->head += n_rx;

    uint64_t cycles = rte_rdtsc() - now;
    q->shm->depth = q->tail - q->head;
    q->shm->received += n_rx;
    q->shm->cycles += cycles;
    if (n_rx == n) {
        q->shm->full_cycles += cycles;
        q->shm->full_packets += n;
    }
    return n_rx;
}

/* Packets in the ring when it was polled last, and about as many as must have
 * arrived since. */
static uint32_t
estimate_rx_count(const struct extnic_rxq *q)
{
    const struct extnic_shm *shm = q->source->link->shm;
    double count = q->shm->depth;
    uint64_t last = __atomic_load_n(&q->last_poll, __ATOMIC_RELAXED);
    int64_t since = rte_rdtsc() - last;

    if (last && since > 0 && shm->hdr.state == EXTNIC_RUNNING
        && !q->shm->ended) {
        count += (since * 1e6 / shm->hdr.tsc_hz
                  * q->source->shm->rate / q->source->n_rxq);
    }
    return count < q->n_desc ? count : q->n_desc;
}

/* As a NIC's descriptor rings, which any thread may look at.  The rings of the
 * model are filled by the thread that polls them; to it, what has arrived but
 * found no room yet counts too, so that this can be more than the ring holds.
 */
uint32_t
extnic_source_rx_count(void *q_)
{
    struct extnic_rxq *q = q_;

    if (!extnic_thread.polls) {
        return estimate_rx_count(q);
    }
    if (!refresh(q, rte_rdtsc()) || !q->at.run->active
        || q->at.run->stopped) {
        return q->tail - q->head;
    }
    return q->tail - q->head + count_due(q, extnic_map_due(q));
}
