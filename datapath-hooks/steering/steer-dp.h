/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef STEER_DP_H
#define STEER_DP_H 1

/* The datapath side of steering: what PMD threads, the agent thread and the
 * main thread share.
 *
 * Objects
 * =======
 *
 *   steer_pmd    One PMD thread, in a fixed slot.  Written by that thread.
 *   steer_port   One netdev with more than one core to go to.  Made by the
 *                main thread when dpif-netdev opens its rx queues, read by
 *                the agent; both under 'steer_mutex'.
 *   steer_rxq    One rx queue: the NIC's, or a virtual one that ovs-ext adds
 *                to a port without a RETA.  Counters are written by the PMD
 *                thread that polls it.
 *   steer_move   One bucket on its way from an old to a new queue.
 *
 * A *bucket* is the set of packets whose RSS hash selects the same entry of
 * the redirection table (RETA).  A bucket is served by one queue, a queue is
 * polled by one core.
 *
 * Order
 * =====
 *
 * A bucket may be processed by its new core only after its old core has
 * finished every packet it held (the rule of RFS).  Two mechanisms keep that,
 * by what the device can do:
 *
 *   RETA (steer-park.c): the new queue parks the bucket's packets while the
 *   old queue drains what it had received when the RETA was written.
 *
 *   Handoff (steer-handoff.c): the port's real queue dispatches buckets to
 *   virtual queues over rings, before classification, and parks a moving
 *   bucket until the old ring has been processed to the bucket's last packet.
 *
 * Threads
 * =======
 *
 * Each member names its writer.  "pmd" is the PMD thread that polls the queue
 * (dpif-netdev never lets two poll one queue, and a queue that changes hands
 * does so through a PMD reload, which is a full barrier).  Cross-thread
 * members are atomic; the rest is private to the writer.  PMD threads take no
 * lock, allocate nothing and make no system call here. */

#include <stdbool.h>
#include <stdint.h>

#include "cmap.h"
#include "dp-packet.h"
#include "netdev-provider.h"
#include "odp-util.h"
#include "openvswitch/list.h"
#include "openvswitch/thread.h"
#include "ovs-atomic.h"
#include "ovs-thread.h"
#include "util.h"

struct rte_ring;

enum {
    STEER_MAX_PMDS = 64,        /* PMD threads. */
    STEER_MAX_BUCKETS = 512,    /* Largest RETA steered. */
    STEER_MAX_QUEUES = 128,     /* Rx queues of one port, virtual included. */
    STEER_MAX_MOVES = 128,      /* Moves in flight, all ports. */
    STEER_PARK_CAPACITY = 16384, /* Room of a park, packets... */
    STEER_PARK_MAX = 8192,      /* ...and its largest limit: the rest is for
                                 * what a ring still holds. */
    STEER_HANDOFF_RING = 4096,  /* Packets in a virtual queue. */
    STEER_HANDOFF_BUCKETS = 128, /* Buckets of a port without a RETA. */
    STEER_AWAKE_BURST = 16      /* Packets in a burst that keep dpif-netdev
                                 * from sleeping (its PMD_SLEEP_THRESH). */
};

/* How a port's buckets are moved. */
enum steer_mech {
    STEER_MECH_NONE,            /* Cannot be, or opted out. */
    STEER_MECH_RETA,            /* The device's redirection table. */
    STEER_MECH_HANDOFF          /* Rings between PMD threads. */
};

/* Single-writer counters: a relaxed load, an add and a relaxed store. */
typedef ATOMIC(uint32_t) steer_ctr32;
typedef ATOMIC(uint64_t) steer_ctr64;

static inline void
steer_ctr32_add(steer_ctr32 *ctr, uint32_t n)
{
    uint32_t value;

    atomic_read_relaxed(ctr, &value);
    atomic_store_relaxed(ctr, value + n);
}

static inline void
steer_ctr64_add(steer_ctr64 *ctr, uint64_t n)
{
    uint64_t value;

    atomic_read_relaxed(ctr, &value);
    atomic_store_relaxed(ctr, value + n);
}

static inline uint32_t
steer_ctr32_get(const steer_ctr32 *ctr)
{
    uint32_t value;

    atomic_read_relaxed(CONST_CAST(steer_ctr32 *, ctr), &value);
    return value;
}

static inline uint64_t
steer_ctr64_get(const steer_ctr64 *ctr)
{
    uint64_t value;

    atomic_read_relaxed(CONST_CAST(steer_ctr64 *, ctr), &value);
    return value;
}

/* PMD threads. */

/* Counters of a core since it started; every member written by its PMD. */
struct steer_pmd_counters {
    steer_ctr64 polls;          /* Of any rx queue; release. */
    steer_ctr64 packets;        /* Received and processed. */
    steer_ctr64 preempted;      /* Bursts too long to be work alone. */
    steer_ctr64 gaps;           /* TSC cycles between polls too far apart. */

    /* Of the other bursts, to fit cycles = a + b * packets to. */
    steer_ctr64 bursts;
    steer_ctr64 fit_packets;
    steer_ctr64 busy;           /* TSC cycles. */
    steer_ctr64 sum_nn;         /* Sum of packets^2. */
    steer_ctr64 sum_nc;         /* Sum of packets * cycles. */

    steer_ctr64 upcalls;        /* Misses that went to ofproto. */
    steer_ctr64 lat_samples;    /* Sampled sojourns at transmit... */
    steer_ctr64 lat_cycles;     /* ...and their sum, TSC cycles. */
    steer_ctr64 parked;         /* Packets parked. */
    steer_ctr64 handoff_in;     /* Packets taken from a virtual queue. */
    steer_ctr64 handoff_drops;  /* Packets for a full virtual queue. */
    steer_ctr64 late;           /* Stragglers after their park was let go. */
};

/* A miss, for the map of which flows a bucket uses (steer-warm.c). */
struct steer_miss {
    ovs_u128 ufid;
    uint32_t hash;              /* RSS hash of the packet. */
    odp_port_t in_port;
    uint32_t pmd_id;
    bool exact;                 /* Flow matches one 5-tuple only. */
};

enum { STEER_MISS_RING = 4096, STEER_RXQ_CACHE = 64 };

struct steer_pmd {
    struct steer_pmd_counters n;

    /* Private to the PMD thread. */
    uint64_t last_tsc;          /* When the last burst was received. */
    uint64_t poll_tsc;          /* Last poll. */
    bool last_steered;          /* Its port's buckets can be moved. */
    uint32_t last_n;            /* Its packets; 0 if it is accounted for. */
    uint32_t send_seq;          /* Transmits, to sample one in 64. */
    uint32_t n_taken;           /* Packets kept from dpif-netdev. */
    bool awake;                 /* Has had to do what that does not see. */
    uint64_t sleep_ns;          /* Longest sleep allowed. */
    struct {
        const struct netdev_rxq *rx;
        struct steer_rxq *q;
        uint32_t seq;
    } cache[STEER_RXQ_CACHE];   /* Of steer_rxq_find(). */

    /* Reads 'steer_transits': the agent must not reuse a slot meanwhile. */
    ATOMIC(bool) rebuilding;

    /* Ring of misses: PMD writes 'head' and entries, agent 'tail'. */
    steer_ctr32 miss_head;
    steer_ctr32 miss_tail;
    steer_ctr32 miss_lost;      /* Ring was full. */
    struct steer_miss misses[STEER_MISS_RING];

    /* Set when the slot is claimed, before 'used'. */
    unsigned int core_id;
    int numa_id;
    ATOMIC(bool) used;          /* Cleared when the thread exits. */
};

extern struct steer_pmd steer_pmds[STEER_MAX_PMDS];

struct steer_pmd *steer_pmd_self(void);
unsigned int steer_pmd_slot(const struct steer_pmd *);

/* Rx queues. */

/* A bucket's counters on one queue; written by the pmd.  One addition for both:
 * packets in the high 24 bits, bytes in the low 40.  Differences over a tick
 * are what counts, so that either may wrap. */
struct steer_count {
    steer_ctr64 both;
};

#define STEER_COUNT_SHIFT 40

static inline void
steer_count_add(struct steer_count *c, uint32_t bytes)
{
    steer_ctr64_add(&c->both, (UINT64_C(1) << STEER_COUNT_SHIFT) + bytes);
}

/* Features of sampled packets; written by the pmd. */
struct steer_features {
    steer_ctr64 samples;
    steer_ctr64 tcp_syn;
    steer_ctr64 tcp_fin_rst;
    steer_ctr64 vlan;
    steer_ctr64 tunnel;         /* VXLAN or Geneve by its UDP port. */
    steer_ctr64 dscp[8];        /* By class selector (DSCP >> 3). */
    ATOMIC(uint32_t) last_vni;  /* Of the last tunnel packet. */
    ATOMIC(uint32_t) last_vlan; /* Of the last tagged packet. */
};

struct steer_transit;

/* Whether a virtual queue is polled (steer-watch.c). */
struct steer_watch {
    uint32_t polls;             /* The queue's, at the last look... */
    uint64_t thread_polls;      /* ...and of the thread that polled it. */
    long long int usec;         /* Unpolled while threads ran, for so long. */
};

struct steer_rxq {
    struct netdev_rxq *rx;      /* dpif-netdev's handle. */
    struct steer_port *port;
    struct cmap_node node;      /* In the registry, by 'rx'. */
    uint16_t queue_id;
    bool is_virtual;            /* Fed by handoff, not by the device. */

    /* Written by the pmd. */
    ATOMIC(uint16_t) pmd;       /* Slot of the last poller, or UINT16_MAX. */
    ATOMIC(uint16_t) depth;     /* Packets left after the last full burst. */
    steer_ctr64 received;       /* Packets taken from the device or ring. */
    steer_ctr32 ack;            /* Last 'seq' that the pmd has acted on. */
    uint32_t n_bursts;          /* Private; to sample one in 16. */
    struct steer_features features;
    struct steer_count *buckets; /* Indexed by bucket. */

    /* Written by the agent; the pmd acts on it when 'seq' changes. */
    steer_ctr32 seq;
    bool silent;                /* Agent's: has not acknowledged a move that
                                 * was given up for that. */

    /* Private to the pmd: rebuilt from 'steer_transits' when 'seq' changes. */
    uint32_t n_parks, n_drains;
    struct steer_transit *parks[STEER_MAX_MOVES];
    struct steer_transit *drains[STEER_MAX_MOVES];
    uint8_t park_of[STEER_MAX_BUCKETS];  /* Index in 'parks' + 1, or 0. */
    uint8_t drain_of[STEER_MAX_BUCKETS]; /* Index in 'drains' + 1, or 0. */

    /* Handoff (steer-handoff.c). */
    uint32_t bucket_base;       /* First bucket of a real queue. */
    uint32_t bucket_mask;       /* Buckets of a real queue, less 1. */
    struct rte_ring *ring;      /* If 'is_virtual'. */
    struct steer_dispatch *dispatch; /* If real on a handoff port. */
    uint32_t dequeued;          /* Packets taken from 'ring'; pmd. */
    steer_ctr32 released;       /* ...of which processed; pmd. */
    steer_ctr32 polls;          /* If 'is_virtual': times polled; pmd. */
    struct steer_watch watch;   /* If 'is_virtual'; agent. */

    struct netdev_rxq up;       /* If 'is_virtual': what 'rx' points to. */
};

struct steer_rxq *steer_rxq_find(struct steer_pmd *,
                                 const struct netdev_rxq *);

/* Ports. */

struct steer_port {
    struct ovs_list node;       /* In 'steer_ports'. */
    struct netdev *netdev;      /* Valid while a queue is open. */
    char *name;
    enum steer_mech mech;
    uint16_t dpdk_port;         /* If STEER_MECH_RETA. */
    uint16_t n_real, n_virtual; /* Queues open. */
    uint16_t ring_size;         /* Descriptors of an rx queue. */
    uint32_t n_buckets;         /* Power of two. */
    int numa_id;
    odp_port_t port_no;         /* ODPP_NONE if not known yet. */
    bool ready;                 /* All queues are open. */
    struct steer_rxq *rxqs[STEER_MAX_QUEUES];

    /* Written by the agent. */
    uint16_t owner[STEER_MAX_BUCKETS];   /* Bucket -> queue id. */
    uint16_t home[STEER_MAX_BUCKETS];    /* As found at the start. */
    struct steer_transit *moving[STEER_MAX_BUCKETS];
    uint64_t prev[STEER_MAX_BUCKETS]; /* Sums at last snapshot. */
    long long int backoff_until; /* After a RETA error, time_msec(). */
    uint64_t missed;            /* Device's imissed... */
    long long int missed_usec;  /* ...and when it was read, time_usec(). */
};

extern struct ovs_mutex steer_mutex;
extern struct ovs_list steer_ports OVS_GUARDED_BY(steer_mutex);

/* Moves. */

enum steer_phase {
    STEER_FREE,                 /* Slot unused. */
    STEER_ARMED,                /* New queue parks; RETA not written yet. */
    STEER_DRAINING,             /* RETA written; old queue drains. */
    STEER_CANCELLED,            /* RETA not written: let the park go. */
    STEER_RETIRED               /* Done; queues are dropping references. */
};

/* What the agent waits for: that a queue's thread acknowledges. */
struct steer_answer {
    uint32_t seq;               /* The queue's 'seq' to see acknowledged. */
    long long int since;        /* time_usec(). */
    uint16_t pmd;               /* Who polled the queue at last... */
    uint64_t polls;             /* ...and that thread's 'polls' then. */
};

struct steer_transit {
    /* Written by the agent, under 'steer_mutex'. */
    ATOMIC(int) phase;          /* enum steer_phase; release. */
    struct steer_port *port;
    uint32_t bucket;
    struct steer_rxq *old_q, *new_q;
    struct steer_rxq *disp_q;   /* Handoff: the real queue that dispatches. */
    struct steer_answer old, new; /* Of 'old_q', of the queue that parks. */
    long long int started;      /* time_usec(). */
    uint64_t started_tsc;

    /* Written by the pmd of 'old_q' (of 'disp_q' for handoff). */
    bool targeted;              /* 'target' holds. */
    uint64_t target;            /* 'received' (ring position) to finish. */
    bool settled;               /* RETA: 'target' holds for stragglers too. */
    bool passed;                /* RETA: 'target' has been processed. */
    uint8_t flush_polls;        /* Polls until it has been sent, too. */
    uint64_t mark_tsc;          /* RETA: since when. */
    ATOMIC(bool) drained;       /* Release: the old core has finished... */
    ATOMIC(uint64_t) drained_tsc; /* ...handoff: at this time. */

    /* Written by the pmd of 'new_q' (of 'disp_q' for handoff). */
    ATOMIC(bool) released;      /* Parked packets have begun to flow. */
    ATOMIC(bool) called_off;    /* Handoff: went back to 'old_q'. */
    ATOMIC(uint64_t) done_tsc;
    ATOMIC(bool) done;          /* Release: park empty, move over. */
    steer_ctr32 parked;         /* Packets that were parked. */
    uint32_t head, tail;        /* Of 'fifo'; free running. */
    struct dp_packet **fifo;    /* STEER_PARK_CAPACITY entries. */
};

/* What the agent wants moved. */
struct steer_request {
    struct steer_port *port;
    uint32_t bucket;
    uint16_t queue;             /* Where to. */
};

/* Totals since steering was turned on; written by the agent. */
struct steer_move_stats {
    uint64_t started, finished;
    uint64_t called_off;        /* Went back: would have exceeded its park. */
    uint64_t refused;           /* Not begun: no slot, or expected to. */
    uint64_t unacked;           /* Not begun: queue is not being polled. */
    uint64_t reta_errors;
    uint64_t parked;            /* Packets. */
    uint64_t parked_max;        /* Of one move. */
    uint64_t cycles, cycles_max; /* TSC, from start to finish. */
};

extern steer_ctr32 steer_max_sleep_usec; /* pmd-maxsleep; main thread. */

void steer_moves_init(void);
size_t steer_moves_start(const struct steer_request *, size_t n)
    OVS_REQUIRES(steer_mutex);
bool steer_moves_run(void) OVS_REQUIRES(steer_mutex);
bool steer_moves_are_read(void);
uint64_t steer_rxq_polls(struct steer_rxq *, uint16_t *slot);
bool steer_bucket_is_stuck(const struct steer_port *, uint32_t bucket)
    OVS_REQUIRES(steer_mutex);
const struct steer_move_stats *steer_moves_stats(void);

extern struct steer_transit steer_transits[STEER_MAX_MOVES];
extern steer_ctr32 steer_park_limit;    /* Packets; main thread. */

/* TSC cycles; main thread.  What a packet may take through the device, and for
 * how long OVS may hold one back on output. */
extern steer_ctr64 steer_grace_cycles;
extern steer_ctr64 steer_flush_cycles;

static inline enum steer_phase
steer_move_phase(const struct steer_transit *move)
{
    int phase;

    /* Sequentially consistent with 'rebuilding'. */
    atomic_read(&CONST_CAST(struct steer_transit *, move)->phase, &phase);
    return phase;
}

/* Parks, see steer-park.c; PMD threads. */
static inline uint32_t
steer_park_count(const struct steer_transit *move)
{
    return move->head - move->tail;
}

static inline bool
steer_park_full(const struct steer_transit *move)
{
    return (steer_park_count(move) + NETDEV_MAX_BURST
            > steer_ctr32_get(&steer_park_limit));
}

void steer_park_push(struct steer_pmd *, struct steer_transit *,
                     struct dp_packet *);
unsigned int steer_park_pop(struct steer_transit *, struct dp_packet **,
                            unsigned int max);
void steer_park_purge(struct steer_transit *);
void steer_rxq_count(struct steer_rxq *, const struct dp_packet_batch *);
void steer_rxq_rebuild(struct steer_rxq *, uint32_t seq);
int steer_park_recv(struct steer_pmd *, struct steer_rxq *,
                    struct dp_packet_batch *, int *qfill, uint64_t now);

/* Handoff, see steer-handoff.c. */
int steer_handoff_attach(struct steer_rxq *);
void steer_handoff_detach(struct steer_rxq *);
int steer_dispatch_recv(struct steer_pmd *, struct steer_rxq *,
                        struct dp_packet_batch *, int *qfill, uint64_t now);
int steer_virtual_recv(struct steer_pmd *, struct steer_rxq *,
                       struct dp_packet_batch *, int *qfill);

/* Flows and buckets of packets, see steer-packet.c; PMD threads. */
uint32_t steer_packet_hash(struct dp_packet *);
void steer_packet_sample(struct steer_features *, const struct dp_packet *);
bool steer_flow_is_exact(const struct flow *, const struct flow *mask);

void steer_mask_canonicalize(const struct flow *, struct flow_wildcards *);

/* The device, see steer-dev.c.  Agent and main thread, except where noted. */
bool steer_dev_has_reta(const struct netdev *, uint16_t *dpdk_port,
                        uint32_t *size);
int steer_dev_get_reta(uint16_t dpdk_port, uint16_t *owner, uint32_t n);
int steer_dev_set_reta(uint16_t dpdk_port, const uint16_t *owner, uint32_t n,
                       const unsigned long *changed);
uint16_t steer_dev_ring_size(const struct netdev *, uint16_t dpdk_port);
bool steer_dev_missed(uint16_t dpdk_port, uint64_t *missed);
int steer_dev_rxq_depth(const struct steer_rxq *); /* PMD of that queue. */
bool steer_dev_rxq_has_packets(const struct steer_rxq *); /* Likewise. */
bool steer_dev_arrival(const struct dp_packet *, uint64_t *tsc); /* PMD. */
bool steer_dev_rss_hash(uint16_t dpdk_port, const struct flow *,
                        uint32_t *hash);
void steer_dev_init(void);

/* Redirection tables, see steer-table.c. */
int steer_table_read(const struct steer_port *, uint16_t *owner);
void steer_table_remember(const struct steer_port *)
    OVS_REQUIRES(steer_mutex);
void steer_table_recall(struct steer_port *) OVS_REQUIRES(steer_mutex);
void steer_table_restore(const struct steer_port *)
    OVS_REQUIRES(steer_mutex);

void steer_ports_init(void);
void steer_ports_set_virtual(unsigned int n_pmds);
bool steer_ports_have_virtual(void);
bool steer_port_may_use(const struct steer_port *, uint32_t bucket,
                        uint16_t queue);
void steer_port_hand_off(struct steer_port *) OVS_REQUIRES(steer_mutex);
bool steer_port_ready(struct steer_port *) OVS_REQUIRES(steer_mutex);
void steer_port_configure(const char *name, odp_port_t, const char *value);

/* Virtual queues that nobody polls, see steer-watch.c. */
void steer_watch_run(long long int now) OVS_REQUIRES(steer_mutex);
void steer_watch_schedule(const char *key, const char *value);
bool steer_watch_gave_up(const char *name) OVS_REQUIRES(steer_mutex);

/* Registry hooks, see ext-hooks.h. */
int steer_rxq_open(struct netdev *, struct netdev_rxq **, int id);
bool steer_rxq_close(struct netdev_rxq *);
int steer_n_rxq(const struct netdev *);
bool steer_rxq_owned(const struct netdev_rxq *);

/* Packet path, see ext-hooks.h. */
int steer_rxq_recv(struct netdev_rxq *, struct dp_packet_batch *, int *qfill);
void steer_send(const struct netdev *, const struct dp_packet_batch *);
void steer_upcall(const struct dp_packet *, const struct flow *,
                  struct flow_wildcards *, const ovs_u128 *ufid,
                  unsigned int pmd_id);
void steer_sleep(uint64_t nanoseconds);
int steer_taken(void);

#endif /* steer-dp.h */
