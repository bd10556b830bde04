/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXTNIC_SOURCE_H
#define EXTNIC_SOURCE_H 1

/* The receive side of the NIC model.
 *
 * Positions
 * =========
 *
 * All packets of a run have a position: 0, 1, 2...  Position and virtual
 * time correspond through the offered rate and the phases' multipliers.
 * Which flow a position belongs to follows from the traffic alone.  Each
 * queue scans all positions up to the present whenever it is polled and takes
 * those that RSS or a flow rule gives to it, into its descriptor ring.  So no
 * queue depends on another one being polled, and there is no lock.
 *
 * Maps
 * ====
 *
 * What position goes to which queue is decided by maps.  A map consists of a
 * code per template (bucket, or a queue or drop that a flow rule wants) and a
 * queue per code.  A change adds a new map that is valid from a position that
 * no queue has scanned yet, so that each packet is taken exactly once.  To
 * find that position, the writer publishes the map with position PENDING,
 * then looks at what every queue has claimed; a queue claims before it looks
 * for new maps.  One of the two sees the other.  A queue that meets a pending
 * map resolves it itself, so nobody waits.
 *
 * Runs
 * ====
 *
 * "start" publishes a new run.  A queue that notices begins at position 0
 * with an empty ring.  Changes of the rate add segments to the run.
 *
 * Thread safety: a queue is polled by one thread at a time.  Maps are changed
 * by any thread, under 'ctl_lock'; runs by extnic_link_command__(). */

#include <stdbool.h>
#include <stdint.h>

#include "datapath-hooks/nic-model/extnic-args.h"
#include "datapath-hooks/nic-model/extnic-link.h"
#include "datapath-hooks/nic-model/extnic-rss.h"
#include "datapath-hooks/nic-model/extnic-traffic.h"

#define EXTNIC_MAX_RETA 512
#define EXTNIC_CODE_QUEUE EXTNIC_MAX_RETA      /* + queue: a rule's queue. */
#define EXTNIC_CODE_DROP (EXTNIC_CODE_QUEUE + EXTNIC_MAX_QUEUES)
#define EXTNIC_N_CODES (EXTNIC_CODE_DROP + 1)

/* Codes are 32 bits: above these, the rule that drops, + 1. */
#define EXTNIC_CODE_BITS 12
#define EXTNIC_CODE_MASK ((1u << EXTNIC_CODE_BITS) - 1)
#define EXTNIC_QUEUE_DROP 255                   /* Queue 0 counts them. */

#define EXTNIC_N_MAPS 256
#define EXTNIC_N_CODE_ARRAYS 4
#define EXTNIC_PENDING UINT64_MAX

struct rte_mbuf;
struct rte_mempool;

struct extnic_map {
    uint64_t start;             /* First position, or EXTNIC_PENDING. */
    uint64_t delay;             /* Positions to wait in addition. */
    const uint32_t *code;       /* [n_templates] */
    uint8_t queue[EXTNIC_N_CODES];
};

/* A stretch of a run with one offered rate.  Nominal time counts packets at
 * multiplier 1. */
struct extnic_segment {
    double nominal, clock;      /* Where it begins. */
    double rate;                /* Packets per cycle. */
};
#define EXTNIC_N_SEGMENTS 1024

struct extnic_run_phase {
    uint64_t pos, n;            /* Positions within the cycle of phases. */
    double nominal, n_nominal;
    uint32_t *seq_base;         /* [n_flows], null if all are 0. */
};

struct extnic_run {
    uint32_t epoch;
    uint32_t first_map;
    bool active;
    bool stopped;
    uint64_t t0;                /* TSC less paused time at the start. */
    uint64_t end_pos;           /* Limits; UINT64_MAX: none. */
    double end_clock;
    uint32_t n_segments;
    struct extnic_segment segment[EXTNIC_N_SEGMENTS];
    struct extnic_run_phase *phases;
    uint64_t cycle_n;           /* Of all phases; 0: last one is endless. */
    double cycle_nominal;
    uint32_t *seq_per_cycle;    /* [n_flows] or null. */
};
#define EXTNIC_N_RUNS 4

struct extnic_desc {
    uint64_t pos;
    uint32_t template;
    uint32_t seq;
};

/* Counters that the host sees; they do not start anew with an epoch. */
struct extnic_counters {
    uint64_t packets, bytes, missed, nombuf;
};

/* How far a queue has scanned. */
struct extnic_cursor {
    struct extnic_run *run;
    uint64_t pos;
    uint64_t cycle;             /* Pass through the phases... */
    uint64_t cycle_pos;         /* ...and where it began. */
    double cycle_nominal;
    uint32_t phase;
    uint32_t idx;               /* In the phase's sequence. */
    uint32_t loop;
};

/* Receive queue: the polling thread's, but for 'claim' and what follows. */
struct extnic_rxq {
    struct extnic_source *source;
    struct extnic_shm_rxq *shm;
    struct rte_mempool *mp;
    uint32_t epoch;
    uint8_t id;
    struct extnic_cursor at;
    struct extnic_counters past; /* Of earlier epochs. */

    /* Descriptor ring; free-running indices. */
    struct extnic_desc *ring;
    uint32_t n_desc, mask;
    uint32_t head, tail;

    /* Arrival time of the positions [arrive_first, arrive_end). */
    uint64_t arrive_first, arrive_end;
    double arrive_clock, arrive_gap;
    uint32_t arrive_segments;   /* The run's when they were computed. */

    uint64_t rearm;             /* First word of a fresh mbuf. */
    uint32_t tag;               /* Of the epoch. */
    uint64_t *rule_hits;        /* Packets, bytes of rule i at 2 * i. */
    uint64_t last_poll;         /* TSC; other threads read it. */

    /* History. */
    struct extnic_shm_window_rx *windows;
    uint64_t window_end;        /* Clock. */
    uint32_t window_id;
    uint64_t w_offered, w_missed, w_received, w_dropped, w_hits;

    uint64_t claim EXTNIC_LINE; /* No position from here was scanned. */
    uint32_t map;
    uint32_t claim_epoch;
} EXTNIC_LINE;

struct extnic_source {
    struct extnic_link *link;
    struct extnic_shm_source *shm;
    int slot;
    struct extnic_args args;
    struct extnic_traffic *traffic;
    uint16_t n_rxq;
    bool started;
    struct extnic_cursor at;    /* Of all queues, while stopped. */
    struct extnic_run *run;     /* Published. */
    struct extnic_run runs[EXTNIC_N_RUNS];
    uint32_t next_run;
    uint64_t stop_tsc;

    uint32_t head EXTNIC_LINE;  /* Newest map. */
    struct extnic_map *maps;    /* [EXTNIC_N_MAPS] */
    uint32_t *codes[EXTNIC_N_CODE_ARRAYS];
    uint32_t code_map[EXTNIC_N_CODE_ARRAYS]; /* Last map that used it. */
    uint32_t cur_codes;
    uint32_t ctl_lock;
    uint8_t reta[EXTNIC_MAX_RETA];
    uint8_t key[EXTNIC_RSS_KEY_LEN];
    uint64_t rss_hf;

    struct extnic_rxq *rxq[EXTNIC_MAX_QUEUES];
    struct extnic_flow_table *flows;
    int meta_ofs, ts_ofs;
    uint64_t ol_flags;          /* In every packet: dynamic flags. */
};

int extnic_source_init(struct extnic_source *, const struct extnic_args *,
                       struct extnic_link *, char *error, size_t error_size);
void extnic_source_uninit(struct extnic_source *);

/* Device operations; the caller makes sure that nobody polls meanwhile. */
void extnic_source_configure(struct extnic_source *, uint16_t n_rxq);
int extnic_source_rxq_setup(struct extnic_source *, uint16_t id,
                            uint16_t n_desc, struct rte_mempool *,
                            uint16_t port);
void extnic_source_start(struct extnic_source *);
void extnic_source_stop(struct extnic_source *);

/* Map changes; 0 or a positive errno (EBUSY: a queue is not being polled). */
int extnic_source_set_reta(struct extnic_source *, const uint8_t *reta);
int extnic_source_rehash(struct extnic_source *);

/* Changes key (40 bytes, null: keep) and hashed headers (RTE_ETH_RSS_*). */
int extnic_source_set_rss(struct extnic_source *, const uint8_t *key,
                          uint64_t rss_hf);

/* Runs 'cb' on a copy of the codes and publishes the result.  With 'few', 'cb'
 * changes no more than a few codes by atomic stores, and where there is one
 * queue it works on the codes in force.  When this returns no queue takes a
 * packet by the old codes any more, unless it has long not been polled. */
int extnic_source_update_codes(struct extnic_source *,
                               void (*cb)(struct extnic_source *,
                                          uint32_t *codes, void *aux),
                               void *aux, bool few);

/* A command of the tool; called by extnic_link_command__(). */
int extnic_source_command(struct extnic_source *,
                          const struct extnic_shm_cmd *);

/* For the control side: scan to 'target' at any cost; adopt a run. */
void extnic_source_catch_up(struct extnic_rxq *, uint64_t target);
void extnic_source_adopt(struct extnic_rxq *, struct extnic_run *);

uint16_t extnic_source_rx_burst(void *rxq, struct rte_mbuf **, uint16_t n);
uint32_t extnic_source_rx_count(void *rxq);

#endif /* extnic-source.h */
