/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXTNIC_SHM_H
#define EXTNIC_SHM_H 1

/* Statistics and control page of the NIC model.
 *
 * The ports of one `stat=FILE` and the ovs-ext-nic(8) tool map FILE shared.
 * Results flow one way through it (ports write, the tool reads) and commands
 * the other way (the tool writes, the first queue that polls carries out).
 *
 * Thread safety
 * =============
 *
 * Every block of counters has exactly one writer, the thread that polls that
 * queue, and is written with plain 64-bit stores.  Readers may see counters
 * of one block from slightly different instants, never a torn counter.
 *
 * A block belongs to the current measurement only if its 'epoch' equals
 * 'hdr.epoch'.  "start" and "reset" advance the epoch; each writer zeroes its
 * own block when it notices, so that no counter has two writers.
 *
 * Units: times are TSC cycles ('hdr.tsc_hz' per second) unless named
 * otherwise. */

#include <stdint.h>

#include "datapath-hooks/nic-model/extnic-hist.h"

#define EXTNIC_SHM_MAGIC UINT64_C(0x31434e5458455653)
#define EXTNIC_SHM_VERSION 7

#define EXTNIC_MAX_PORTS 4      /* Sources, and sinks, of one page. */
#define EXTNIC_MAX_QUEUES 64    /* Queues of a port and direction. */
#define EXTNIC_N_WINDOWS 4096   /* Intervals of history kept. */
#define EXTNIC_MAX_PHASES 32    /* Of the traffic, that the page tells of. */
#define EXTNIC_N_ROWS 24        /* Queues of a direction with a history. */

enum extnic_op {
    EXTNIC_OP_NONE,
    EXTNIC_OP_START,            /* 'rate', 'packets', 'ms'. */
    EXTNIC_OP_STOP,
    EXTNIC_OP_RESET,
    EXTNIC_OP_RATE,             /* 'rate'. */
};

enum extnic_state {
    EXTNIC_IDLE,                /* Never started. */
    EXTNIC_RUNNING,
    EXTNIC_STOPPED,             /* By "stop"; a limit shows as 'ended'. */
};

#define EXTNIC_LINE __attribute__((aligned(64)))

struct extnic_shm_hdr {
    uint64_t magic;             /* Written last. */
    uint32_t version;
    uint32_t size;              /* Bytes of the whole page. */
    uint64_t tsc_hz;
    uint32_t pid;               /* Process of the ports. */
    uint32_t epoch;             /* Current measurement. */
    uint32_t state;             /* enum extnic_state. */
    uint32_t window_us;
    uint64_t t0;                /* Start of the run: TSC less paused time. */
    uint64_t paused;            /* Total since the process began. */
    uint64_t pauses;
    uint64_t paused0;           /* Values when the epoch began. */
    uint64_t pauses0;
} EXTNIC_LINE;

/* Written by the tool under flock(2); 'ack' is set to 'gen' when done. */
struct extnic_shm_cmd {
    uint32_t gen;
    uint32_t op;
    double rate;                /* Mpps; 0 means the port's own. */
    uint64_t packets;           /* 0 means no limit. */
    double ms;                  /* 0 means no limit. */
    uint32_t ack EXTNIC_LINE;
    int32_t error;              /* 0 or a positive errno. */
} EXTNIC_LINE;

/* Faults that the tool asks for; the ports only read. */
struct extnic_shm_inject {
    int32_t reta_fail;          /* errno for RETA writes, 0 is off. */
    int32_t flow_fail;          /* errno for rte_flow_create(). */
    int32_t destroy_fail;       /* errno for rte_flow_destroy(). */
    int32_t counter_fail;       /* errno for new indirect counters. */
    uint32_t straggler_us;      /* Delay of a RETA write's effect. */
    uint32_t link_down;
    uint32_t rx_stall;          /* Receive bursts give nothing; an echo
                                 * swallows packets. */
    uint32_t rx_hang;           /* Receive bursts do not return. */
    uint32_t echo_us;           /* Time that an echo takes; 0: its own. */
    uint32_t echo_loss;         /* Packets of 1000 that it loses. */
    int32_t start_fail;         /* errno for starts of a port. */
} EXTNIC_LINE;

struct extnic_shm_window_rx {
    uint32_t id;                /* Interval number + 1. */
    uint32_t offered, missed, received;
    uint32_t nic_dropped, flow_hits;
};

struct extnic_shm_window_tx {
    uint32_t id;
    uint32_t delivered;
    uint32_t changes;           /* In what the sink watches. */
    uint32_t hist[EXTNIC_WHIST_N];
};

/* A receive queue. */
struct extnic_shm_rxq {
    uint32_t epoch;
    uint32_t row;               /* Row of history + 1, 0 is none. */
    uint64_t offered;           /* Arrivals: missed + received + depth. */
    uint64_t missed;            /* No free descriptor. */
    uint64_t received;          /* Handed to the switch. */
    uint64_t bytes;
    uint64_t nic_dropped;       /* By an rte_flow rule. */
    uint64_t nombuf;            /* Bursts without a free mbuf. */
    uint64_t flow_hits;         /* Packets that an rte_flow rule matched. */
    uint64_t depth EXTNIC_LINE; /* Descriptors in use. */
    uint64_t ended;             /* The limit was reached. */
    uint64_t clock;             /* Cycles of traffic so far. */
    uint64_t cycles;            /* In bursts that gave packets. */
    uint64_t full_cycles;       /* In bursts that gave all asked for. */
    uint64_t full_packets;
    uint64_t scanned;           /* Entries looked at. */
    uint64_t polls;
} EXTNIC_LINE;

/* A transmit queue of a sink. */
struct extnic_shm_txq {
    uint32_t epoch;
    uint32_t row;
    uint64_t packets;           /* Of this model and epoch. */
    uint64_t bytes;
    uint64_t reordered;
    uint64_t duplicated;
    uint64_t foreign;           /* Not generated by this model. */
    uint64_t stale;             /* Generated before the epoch. */
    uint64_t cycles EXTNIC_LINE;
    uint64_t full_cycles;
    uint64_t full_packets;
    uint64_t all_packets;       /* What 'cycles' was spent on. */
    uint64_t latency_sum;
    uint64_t latency_max;
    struct extnic_hist hist;
} EXTNIC_LINE;

struct extnic_shm_source {
    uint32_t in_use;
    uint32_t n_rxq;
    uint32_t reta_size;
    uint32_t n_flows;
    char scenario[32];
    double rate;                /* Mpps now asked for. */
    uint64_t reta_updates;
    uint64_t reta_rejected;
    /* Phases of the traffic: how long each lasts (0: for ever), and the share
     * of its packets that the 'flow_max' flows with most of them have, which
     * is the most that a flow table can take. */
    uint32_t n_phases;
    uint32_t phase_ms[EXTNIC_MAX_PHASES];
    float top_share[EXTNIC_MAX_PHASES];

    uint32_t flow_rules, flow_max;
    uint64_t flow_inserted, flow_removed, flow_rejected;
    struct extnic_shm_rxq rxq[EXTNIC_MAX_QUEUES];
} EXTNIC_LINE;

struct extnic_shm_sink {
    uint32_t in_use;
    uint32_t n_txq;
    struct extnic_shm_txq txq[EXTNIC_MAX_QUEUES];
} EXTNIC_LINE;

struct extnic_shm {
    struct extnic_shm_hdr hdr;
    struct extnic_shm_cmd cmd;
    struct extnic_shm_inject inject;
    uint32_t rx_rows, tx_rows;  /* Rows of history given out. */
    struct extnic_shm_source source[EXTNIC_MAX_PORTS];
    struct extnic_shm_sink sink[EXTNIC_MAX_PORTS];
    struct extnic_shm_window_rx wrx[EXTNIC_N_ROWS][EXTNIC_N_WINDOWS];
    struct extnic_shm_window_tx wtx[EXTNIC_N_ROWS][EXTNIC_N_WINDOWS];
};

#endif /* extnic-shm.h */
