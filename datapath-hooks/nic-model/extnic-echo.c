/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/nic-model/extnic-echo.h"

#include <stdlib.h>
#include <string.h>

#include <ethdev_driver.h>
#include <rte_cycles.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_spinlock.h>

#include "datapath-hooks/nic-model/extnic-args.h"
#include "datapath-hooks/nic-model/extnic-link.h"
#include "datapath-hooks/nic-model/extnic-rng.h"

/* Packets on their way through, towards a receive queue. */
struct echo_fifo {
    struct extnic_echo *echo;
    rte_spinlock_t lock;

    /* Under 'lock'. */
    uint32_t head, tail;        /* Packets taken out, put in. */
    uint64_t last_due;          /* TSC. */
    struct extnic_rng rng;
    struct rte_mbuf *packets[EXTNIC_ECHO_DEPTH];
    uint64_t due[EXTNIC_ECHO_DEPTH];    /* TSC. */

    /* The receiving thread writes. */
    uint64_t n_packets, n_bytes;
} EXTNIC_LINE;

struct echo_txq {
    struct extnic_echo *echo;
    uint16_t id;
    uint64_t n_packets, n_bytes;        /* The sending thread writes. */
} EXTNIC_LINE;

struct extnic_echo {
    struct extnic_link *link;
    uint64_t latency;           /* TSC cycles. */
    uint64_t gap;               /* Between two packets, TSC cycles. */
    uint16_t n_rxq;
    uint16_t port_id;
    struct echo_fifo *rxq[EXTNIC_MAX_QUEUES];
    struct echo_txq *txq[EXTNIC_MAX_QUEUES];
};

struct extnic_echo *
extnic_echo_create(struct extnic_link *link, const struct extnic_args *args)
{
    struct extnic_echo *echo = calloc(1, sizeof *echo);
    double hz = rte_get_tsc_hz();

    if (echo) {
        echo->link = link;
        echo->latency = args->echo_us * 1e-6 * hz;
        echo->gap = args->echo_rate > 0 ? hz / (args->echo_rate * 1e6) : 0;
        echo->n_rxq = 1;
    }
    return echo;
}

static void
fifo_clear(struct echo_fifo *fifo)
{
    for (; fifo->head != fifo->tail; fifo->head++) {
        rte_pktmbuf_free(fifo->packets[fifo->head % EXTNIC_ECHO_DEPTH]);
    }
}

void
extnic_echo_destroy(struct extnic_echo *echo)
{
    if (!echo) {
        return;
    }
    for (int i = 0; i < EXTNIC_MAX_QUEUES; i++) {
        if (echo->rxq[i]) {
            fifo_clear(echo->rxq[i]);
            rte_free(echo->rxq[i]);
        }
        rte_free(echo->txq[i]);
    }
    free(echo);
}

void
extnic_echo_configure(struct extnic_echo *echo, uint16_t n_rxq)
{
    for (int i = 0; i < EXTNIC_MAX_QUEUES; i++) {
        if (echo->rxq[i]) {
            fifo_clear(echo->rxq[i]);
        }
    }
    echo->n_rxq = n_rxq ? n_rxq : 1;
}

void
extnic_echo_set_port(struct extnic_echo *echo, uint16_t port_id)
{
    echo->port_id = port_id;
}

void *
extnic_echo_rxq(struct extnic_echo *echo, uint16_t id)
{
    if (!echo->rxq[id]) {
        struct echo_fifo *fifo = rte_zmalloc("extnic_echo", sizeof *fifo, 64);

        if (fifo) {
            fifo->echo = echo;
            fifo->rng.state = id + 1;
            rte_spinlock_init(&fifo->lock);
        }
        echo->rxq[id] = fifo;
    }
    return echo->rxq[id];
}

void *
extnic_echo_txq(struct extnic_echo *echo, uint16_t id)
{
    if (!echo->txq[id]) {
        struct echo_txq *q = rte_zmalloc("extnic_echo", sizeof *q, 64);

        if (q) {
            q->echo = echo;
            q->id = id;
        }
        echo->txq[id] = q;
    }
    return echo->txq[id];
}

void
extnic_echo_stats(const struct extnic_echo *echo, struct rte_eth_stats *stats)
{
    for (int i = 0; i < EXTNIC_MAX_QUEUES; i++) {
        const struct echo_fifo *rxq = echo->rxq[i];
        const struct echo_txq *txq = echo->txq[i];

        stats->ipackets += rxq ? rxq->n_packets : 0;
        stats->ibytes += rxq ? rxq->n_bytes : 0;
        stats->opackets += txq ? txq->n_packets : 0;
        stats->obytes += txq ? txq->n_bytes : 0;
        if (i < RTE_ETHDEV_QUEUE_STAT_CNTRS) {
            stats->q_ipackets[i] = rxq ? rxq->n_packets : 0;
            stats->q_ibytes[i] = rxq ? rxq->n_bytes : 0;
            stats->q_opackets[i] = txq ? txq->n_packets : 0;
            stats->q_obytes[i] = txq ? txq->n_bytes : 0;
        }
    }
}

uint16_t
extnic_echo_rx_burst(void *rxq, struct rte_mbuf **packets, uint16_t max)
{
    struct echo_fifo *fifo = rxq;
    uint64_t now = rte_rdtsc();
    uint16_t n = 0;

    extnic_link_poll(fifo->echo->link);
    if (!rte_spinlock_trylock(&fifo->lock)) {
        return 0;
    }
    while (n < max && fifo->head != fifo->tail
           && fifo->due[fifo->head % EXTNIC_ECHO_DEPTH] <= now) {
        struct rte_mbuf *m = fifo->packets[fifo->head % EXTNIC_ECHO_DEPTH];

        m->port = fifo->echo->port_id;
        fifo->n_bytes += m->pkt_len;
        packets[n++] = m;
        fifo->head++;
    }
    rte_spinlock_unlock(&fifo->lock);
    fifo->n_packets += n;
    return n;
}

uint32_t
extnic_echo_rx_count(void *rxq)
{
    const struct echo_fifo *fifo = rxq;

    return fifo->tail - fifo->head;
}

/* Returns true if a packet is to be swallowed. */
static bool
is_lost(struct echo_fifo *fifo, const struct extnic_shm_inject *inject)
{
    return (inject->rx_stall || inject->link_down
            || (inject->echo_loss
                && extnic_rng_below(&fifo->rng, 1000) < inject->echo_loss));
}

uint16_t
extnic_echo_tx_burst(void *txq_, struct rte_mbuf **packets, uint16_t n)
{
    struct echo_txq *txq = txq_;
    struct extnic_echo *echo = txq->echo;
    const struct extnic_shm_inject *inject = &echo->link->shm->inject;
    struct echo_fifo *fifo = echo->rxq[txq->id % echo->n_rxq];
    uint64_t now = rte_rdtsc();
    uint64_t latency = (inject->echo_us
                        ? inject->echo_us * rte_get_tsc_hz() / 1000000
                        : echo->latency);
    uint16_t i;

    if (!fifo) {
        return 0;
    }
    rte_spinlock_lock(&fifo->lock);
    for (i = 0; i < n; i++) {
        uint64_t due;

        if (is_lost(fifo, inject)) {
            txq->n_bytes += packets[i]->pkt_len;
            rte_pktmbuf_free(packets[i]);
            continue;
        } else if (fifo->tail - fifo->head >= EXTNIC_ECHO_DEPTH) {
            break;
        }
        due = now + latency;
        if (due < fifo->last_due + echo->gap) {
            due = fifo->last_due + echo->gap;
        }
        fifo->last_due = due;
        fifo->packets[fifo->tail % EXTNIC_ECHO_DEPTH] = packets[i];
        fifo->due[fifo->tail % EXTNIC_ECHO_DEPTH] = due;
        fifo->tail++;
        txq->n_bytes += packets[i]->pkt_len;
    }
    rte_spinlock_unlock(&fifo->lock);
    txq->n_packets += i;
    return i;
}
