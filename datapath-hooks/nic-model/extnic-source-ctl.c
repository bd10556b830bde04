/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/nic-model/extnic-source.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>

#include "datapath-hooks/nic-model/extnic-clock.h"
#include "datapath-hooks/nic-model/extnic-flow.h"
#include "datapath-hooks/nic-model/extnic-map.h"
#include "datapath-hooks/nic-model/extnic-run.h"

/* Packet type and flags as a NIC that parses headers reports them. */
static void
classify(struct extnic_source *source, struct extnic_template *t)
{
    size_t len = t->len < EXTNIC_HEAD ? t->len : EXTNIC_HEAD;
    struct extnic_headers h;

    extnic_headers_parse(t->head, len, &h);
    t->packet_type = RTE_PTYPE_L2_ETHER;
    t->ol_flags = source->ol_flags;
    t->rss_ok = h.ipv4 || h.ipv6;
    t->l4 = h.l4 ? h.proto : 0;
    if (h.n_vlans == 1) {
        t->packet_type = RTE_PTYPE_L2_ETHER_VLAN;
    }
    if (h.ipv4) {
        t->packet_type |= RTE_PTYPE_L3_IPV4_EXT_UNKNOWN;
        t->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD;
    } else if (h.ipv6) {
        t->packet_type |= RTE_PTYPE_L3_IPV6_EXT_UNKNOWN;
    }
    if (t->l4 == IPPROTO_TCP) {
        t->packet_type |= RTE_PTYPE_L4_TCP;
        t->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    } else if (t->l4 == IPPROTO_UDP) {
        t->packet_type |= RTE_PTYPE_L4_UDP;
        t->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    } else if (h.fragment) {
        t->packet_type |= RTE_PTYPE_L4_FRAG;
    }
    if (t->rss_ok) {
        t->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
    }
}

/* Computes every template's hash under the current key. */
static void
hash_templates(struct extnic_source *source)
{
    bool tcp = source->rss_hf & (RTE_ETH_RSS_NONFRAG_IPV4_TCP
                                 | RTE_ETH_RSS_NONFRAG_IPV6_TCP);
    bool udp = source->rss_hf & (RTE_ETH_RSS_NONFRAG_IPV4_UDP
                                 | RTE_ETH_RSS_NONFRAG_IPV6_UDP);

    for (uint32_t i = 0; i < source->traffic->n_templates; i++) {
        struct extnic_template *t = &source->traffic->templates[i];
        size_t len = t->len < EXTNIC_HEAD ? t->len : EXTNIC_HEAD;

        t->hash = extnic_rss_hash(t->head, len, source->key, tcp, udp);
    }
}

int
extnic_source_set_rss(struct extnic_source *source, const uint8_t *key,
                      uint64_t rss_hf)
{
    if (key) {
        memcpy(source->key, key, sizeof source->key);
    }
    source->rss_hf = rss_hf;
    hash_templates(source);
    return extnic_source_rehash(source);
}

static bool
register_fields(struct extnic_source *source, char *error, size_t size)
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

    source->meta_ofs = rte_mbuf_dynfield_register(&field);
    bit = rte_mbuf_dynflag_register(&flag);
    if (source->meta_ofs < 0 || bit < 0
        || rte_mbuf_dyn_rx_timestamp_register(&source->ts_ofs, &ts_flag)) {
        snprintf(error, size, "no room for dynamic mbuf fields");
        return false;
    }
    source->ol_flags = RTE_BIT64(bit) | ts_flag;
    return true;
}

static int
descending(const void *a_, const void *b_)
{
    const uint32_t *a = a_, *b = b_;

    return *a > *b ? -1 : *a < *b;
}

/* Notes what the best rules could do. */
static void
note_phases(const struct extnic_source *source)
{
    const struct extnic_traffic *traffic = source->traffic;
    struct extnic_shm_source *shm = source->shm;
    uint32_t *n = calloc(traffic->n_flows, sizeof *n);

    shm->n_phases = 0;
    for (uint32_t i = 0; n && i < traffic->n_phases && i < EXTNIC_MAX_PHASES;
         i++) {
        const struct extnic_phase *phase = &traffic->phases[i];
        uint64_t sum = 0;

        memcpy(n, phase->per_loop, traffic->n_flows * sizeof *n);
        qsort(n, traffic->n_flows, sizeof *n, descending);
        for (uint32_t f = 0; f < traffic->n_flows && f < source->args.flow_max;
             f++) {
            sum += n[f];
        }
        shm->phase_ms[i] = phase->ms;
        shm->top_share[i] = (double) sum / phase->len;
        shm->n_phases = i + 1;
    }
    free(n);
}

int
extnic_source_init(struct extnic_source *source,
                   const struct extnic_args *args, struct extnic_link *link,
                   char *error, size_t error_size)
{
    memset(source, 0, sizeof *source);
    source->args = *args;
    source->link = link;
    source->slot = -1;
    source->run = &source->runs[0];
    source->at.run = source->run;
    source->next_run = 1;
    memcpy(source->key, extnic_rss_default_key, sizeof source->key);
    source->rss_hf = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;
    if (!register_fields(source, error, error_size)) {
        return ENOMEM;
    }
    source->traffic = extnic_traffic_create(args, extnic_rss_default_hash,
                                            error, error_size);
    if (!source->traffic) {
        return EINVAL;
    }
    for (uint32_t i = 0; i < source->traffic->n_templates; i++) {
        classify(source, &source->traffic->templates[i]);
    }
    hash_templates(source);
    source->flows = extnic_flow_table_create(source, link, args);
    if (!source->flows || !extnic_map_init(source)) {
        snprintf(error, error_size, "out of memory");
        return ENOMEM;
    }
    extnic_source_rehash(source);
    source->slot = extnic_link_add_source(link, source,
                                          source->traffic->n_flows);
    if (source->slot < 0) {
        snprintf(error, error_size, "stat=%s: has %d sources already",
                 args->stat, EXTNIC_MAX_PORTS);
        return EBUSY;
    }

    struct extnic_shm_source *shm = &link->shm->source[source->slot];
    source->shm = shm;
    shm->reta_size = args->reta;
    shm->n_flows = source->traffic->n_flows;
    shm->rate = args->rate;
    shm->flow_max = args->flow_max;
    snprintf(shm->scenario, sizeof shm->scenario, "%s", args->scenario_name);
    note_phases(source);
    return 0;
}

void
extnic_source_uninit(struct extnic_source *source)
{
    if (source->slot >= 0) {
        extnic_link_remove_source(source->link, source->slot);
    }
    for (int i = 0; i < EXTNIC_N_RUNS && source->traffic; i++) {
        extnic_run_uninit(&source->runs[i], source->traffic);
    }
    for (int i = 0; i < EXTNIC_MAX_QUEUES; i++) {
        if (source->rxq[i]) {
            rte_free(source->rxq[i]->ring);
            free(source->rxq[i]->rule_hits);
            rte_free(source->rxq[i]);
        }
    }
    extnic_map_uninit(source);
    extnic_flow_table_destroy(source->flows);
    extnic_traffic_destroy(source->traffic);
}

void
extnic_source_configure(struct extnic_source *source, uint16_t n_rxq)
{
    source->n_rxq = n_rxq;
    source->shm->n_rxq = n_rxq;
    for (uint32_t i = 0; i < source->args.reta; i++) {
        source->reta[i] = i % n_rxq;
    }
}

/* First word of a fresh mbuf: data_off, refcnt, nb_segs, port. */
static uint64_t
make_rearm(uint16_t port)
{
    struct rte_mbuf m = {
        .data_off = RTE_PKTMBUF_HEADROOM,
        .nb_segs = 1,
        .port = port,
    };
    uint64_t word;

    rte_mbuf_refcnt_set(&m, 1);
    memcpy(&word, &m.rearm_data, sizeof word);
    return word;
}

static struct extnic_rxq *
rxq_create(struct extnic_source *source, uint16_t id)
{
    struct extnic_rxq *q = rte_zmalloc("extnic_rxq", sizeof *q, 64);

    if (!q) {
        return NULL;
    }
    q->source = source;
    q->id = id;
    q->shm = &source->shm->rxq[id];
    q->at = source->at;
    q->map = source->head;
    q->rule_hits = calloc(2 * (source->args.flow_max + 1), sizeof(uint64_t));
    if (!q->rule_hits) {
        rte_free(q);
        return NULL;
    }
    if (!q->shm->row) {
        q->shm->row = extnic_link_row(&source->link->shm->rx_rows);
    }
    q->windows = q->shm->row ? source->link->shm->wrx[q->shm->row - 1] : NULL;
    return q;
}

int
extnic_source_rxq_setup(struct extnic_source *source, uint16_t id,
                        uint16_t n_desc, struct rte_mempool *mp,
                        uint16_t port)
{
    struct extnic_rxq *q = source->rxq[id];

    if (!q) {
        q = rxq_create(source, id);
        if (!q) {
            return ENOMEM;
        }
    }
    rte_free(q->ring);
    q->n_desc = n_desc;
    q->mask = rte_align32pow2(n_desc) - 1;
    q->ring = rte_zmalloc("extnic_ring", (q->mask + 1) * sizeof *q->ring, 64);
    q->head = q->tail = 0;
    q->mp = mp;
    q->rearm = make_rearm(port);
    source->rxq[id] = q;
    return q->ring ? 0 : ENOMEM;
}

/* All queues go on from where the slowest and fastest met at the stop. */
void
extnic_source_start(struct extnic_source *source)
{
    uint64_t now = rte_rdtsc();

    extnic_map_publish(source, source->cur_codes);
    if (source->stop_tsc && source->at.run->active) {
        source->at.run->t0 += now - source->stop_tsc;
    }
    source->stop_tsc = 0;
    for (int i = 0; i < source->n_rxq; i++) {
        struct extnic_rxq *q = source->rxq[i];

        q->at = source->at;
        q->claim = q->at.pos;
        q->claim_epoch = q->at.run->epoch;
        q->arrive_first = q->arrive_end = 0;
    }
    __atomic_store_n(&source->started, true, __ATOMIC_RELEASE);
}

/* What has arrived but was not handed over is lost, as in a real NIC. */
void
extnic_source_stop(struct extnic_source *source)
{
    uint64_t pos = 0;

    if (!source->started) {
        return;
    }
    for (int i = 0; i < source->n_rxq; i++) {
        struct extnic_rxq *q = source->rxq[i];

        if (q->at.run != source->run) {
            extnic_source_adopt(q, source->run);
        }
        pos = q->at.pos > pos ? q->at.pos : pos;
    }
    for (int i = 0; i < source->n_rxq; i++) {
        struct extnic_rxq *q = source->rxq[i];

        extnic_source_catch_up(q, pos);
        q->shm->missed += q->tail - q->head;
        q->head = q->tail;
        q->shm->depth = 0;
    }
    source->at = source->rxq[0]->at;
    source->stop_tsc = rte_rdtsc();
    source->started = false;
}

int
extnic_source_command(struct extnic_source *source,
                      const struct extnic_shm_cmd *cmd)
{
    double mpps = cmd->rate > 0 ? cmd->rate : source->args.rate;
    double rate = mpps * 1e6 / extnic_clock.hz;
    struct extnic_run *run = source->run;

    switch (cmd->op) {
    case EXTNIC_OP_START:
        run = &source->runs[source->next_run++ % EXTNIC_N_RUNS];
        if (!extnic_run_init(run, source->traffic,
                             source->link->shm->hdr.epoch, rate,
                             cmd->packets, cmd->ms)) {
            return ENOMEM;
        }
        run->first_map = source->head;
        source->shm->rate = mpps;
        if (!source->started) {
            /* Time stands still until the port starts. */
            source->at = (struct extnic_cursor) { .run = run };
            source->stop_tsc = rte_rdtsc();
        }
        __atomic_store_n(&source->run, run, __ATOMIC_RELEASE);
        return 0;
    case EXTNIC_OP_STOP:
        run->stopped = true;
        return 0;
    case EXTNIC_OP_RATE:
        source->shm->rate = mpps;
        return !run->active ? 0
               : extnic_run_set_rate(run, (double) (int64_t)
                                     (rte_rdtsc() - extnic_clock_paused()
                                      - run->t0), rate);
    default:
        return EINVAL;
    }
}
