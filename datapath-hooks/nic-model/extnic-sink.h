/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXTNIC_SINK_H
#define EXTNIC_SINK_H 1

/* The transmit side of the NIC model.
 *
 * A sink takes every packet, checks it against what its source noted in it
 * (latency, order, duplicates) and frees it.  The transmit side of a port
 * that is only a source counts and frees.
 *
 * Thread safety: a queue is used by one thread at a time (OVS locks queues
 * that threads share).  The order of a flow is kept per link, so it does not
 * matter which queue or sink its packets come to. */

#include <stdbool.h>
#include <stdint.h>

#include "datapath-hooks/nic-model/extnic-link.h"

struct rte_mbuf;

struct extnic_txq {
    struct extnic_link *link;
    struct extnic_shm_txq *shm;
    uint64_t meta_flag;
    int meta_ofs, ts_ofs;
    uint32_t epoch;
    uint32_t watch;             /* Offset of four bytes, 0: none... */
    uint32_t watched;           /* ...of the packet before. */

    /* History; clock is TSC less paused time. */
    struct extnic_shm_window_tx *windows;
    uint64_t window_t0, window_end, window_len;
    uint32_t window_id;
    uint32_t w_delivered, w_changes;
    uint32_t w_hist[EXTNIC_WHIST_N];

    uint64_t packets, bytes;    /* Since the queue was made. */
} EXTNIC_LINE;

struct extnic_sink {
    struct extnic_link *link;
    int slot;
    uint64_t meta_flag;
    int meta_ofs, ts_ofs;
    bool check;
    uint32_t watch;
    struct extnic_txq *txq[EXTNIC_MAX_QUEUES];
};

/* 'check' is false for a port that is only a source.  Windows count how often
 * the four bytes of packets at offset 'watch' are others than those of the
 * packet before; 0 watches none. */
int extnic_sink_init(struct extnic_sink *, struct extnic_link *, bool check,
                     uint32_t watch, char *error, size_t error_size);
void extnic_sink_uninit(struct extnic_sink *);
int extnic_sink_txq_setup(struct extnic_sink *, uint16_t id);

uint16_t extnic_sink_tx_burst(void *txq, struct rte_mbuf **, uint16_t n);
uint16_t extnic_sink_free_burst(void *txq, struct rte_mbuf **, uint16_t n);

#endif /* extnic-sink.h */
