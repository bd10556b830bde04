/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef OFFLOAD_FLOW_H
#define OFFLOAD_FLOW_H 1

/* Candidates: flows that Open vSwitch offered to a NIC.
 *
 * A candidate keeps all that it takes to insert its rule at any later time:
 * match, actions, flow mark.  dpif-netdev was told that the offload succeeded,
 * so the mark is its own until it deletes the flow; that packets come without
 * the mark while there is no rule is what it expects of a NIC anyhow.
 *
 * Statistics
 * ==========
 *
 * What OVS is told of a candidate (offload_flow_get()) are the packets that
 * its rules matched, over all its insertions; dpif-netdev adds those that it
 * handled itself.  The sum never goes back and, where the device has counters
 * that outlive a rule (offload-rte.h), misses no packet.
 *
 * Thread safety
 * =============
 *
 * Rules may be changed only in OVS's offload threads, each of which has a
 * number, and a flow belongs to one by its ufid.  Whoever acts in the place of
 * such a thread takes its lock, by offload_enter(), which gives the caller the
 * thread's number too.  OVS's own offload threads do so as well when they
 * come through offload-api.c, and a port that is being reconfigured holds all
 * of the locks.
 *
 * A device may take its time to answer, or never do.  So nobody calls one with
 * a flow's 'mutex' or that of the agent held, nor waits for an offload
 * thread's lock with those.
 *
 * Lock order: dpif-netdev's 'port_rwlock', the lock of an offload thread,
 * a flow's 'device', Open vSwitch's own for its netdevs, a flow's 'mutex'.
 *
 * Rules that a device keeps
 * =========================
 *
 * When a device refuses to remove a rule, Open vSwitch's provider keeps an
 * entry that it takes as removed, and asserts that there is none when a rule
 * of the same ufid comes.  Such a candidate is 'stuck': its rule is left alone
 * from then on, and when Open vSwitch deletes the flow, it stays among those
 * of the port, 'dead', so that no flow of that ufid is offered again. */

#include <stdbool.h>
#include <stdint.h>

#include "cmap.h"
#include "dpif.h"
#include "netdev-offload.h"
#include "openvswitch/thread.h"
#include "ovs-atomic.h"
#include "ovs-thread.h"
#include "ovs-ext/offload/offload-plan.h"

struct flow;
struct flow_wildcards;
struct match;
struct netdev_flow_api;
struct offload_counter;

/* What other_config:ext-offload says. */
enum offload_mode {
    OFFLOAD_OFF,                /* Stock Open vSwitch. */
    OFFLOAD_SHADOW,             /* Decide and report, change nothing. */
    OFFLOAD_ON
};

/* A port whose netdev has a flow API. */
struct offload_port {
    struct cmap_node node;      /* In 'offload_ports', by 'netdev'. */
    struct netdev *netdev;      /* No reference: valid until 'dead'. */
    const struct netdev_flow_api *api;      /* The original. */
    char *name;
    bool is_dpdk;
    struct ovs_refcount refs;   /* The table and each of its flows. */
    ATOMIC(bool) dead;          /* 'netdev' is being freed. */
    ATOMIC(bool) had_stock;     /* Mode off may have left rules. */

    /* Of rules made in modes off and shadow that only mark packets; offload
     * threads set, main thread clears. */
    ATOMIC(bool) stock_partial; /* There are some... */
    ATOMIC(bool) stock_rss;     /* ...with RSS... */
    ATOMIC(uint32_t) stock_edition; /* ...as of this offload_queue_edition(),
                                     * the first of them. */
    struct cmap flows;          /* By ufid. */
    struct ovs_mutex mutex;     /* To change 'flows'. */

    /* Counters, for display; any thread. */
    ATOMIC(uint32_t) installed;     /* Rules of ours in the table. */
    ATOMIC(uint32_t) full_at;       /* Rules when it was full, or UINT32_MAX;
                                     * written in shadow mode. */
    ATOMIC(uint64_t) n_inserted, n_removed, n_failed;
    ATOMIC(uint64_t) hw_packets;    /* Matched in hardware, of ended flows and
                                     * insertions. */
    ATOMIC(uint32_t) insert_us;     /* Mean time of recent inserts. */
    ATOMIC(long long int) busy_since;   /* An update is under way; 0: none. */
    ATOMIC(uint32_t) capacity;      /* OFFLOAD_UNKNOWN; agent. */

    /* Agent. */
    int plan_port;              /* Of the planner, or -1. */
    bool steered;               /* Steering owns the redirection table. */
    uint32_t queue_edition;     /* offload_queue_edition(). */
    uint64_t round_hw, round_all;   /* Packets of the last round. */
};

struct offload_flow {
    struct cmap_node node;      /* In the port's 'flows'. */
    ovs_u128 ufid;              /* Of the megaflow. */
    struct offload_port *port;
    struct ovs_refcount refs;   /* The table, the agent. */
    ATOMIC(bool) dead;          /* Not in the table any more, or a stuck rest
                                 * of one that was. */

    /* What to insert.  Written under the offload thread's lock and 'mutex'. */
    struct miniflow *flow;
    struct minimask *mask;
    struct nlattr *actions;
    size_t actions_len;
    uint32_t mark;
    odp_port_t orig_in_port;
    bool untracked;             /* dpif-netdev will not delete it (shadow). */
    int target;                 /* If partial, see offload-queue.h. */

    struct ovs_mutex device;    /* Held while the device is asked for the
                                 * statistics, or to remove the rule. */
    struct ovs_mutex mutex;     /* Protects what follows; never for long. */

    /* Written under the thread's lock and 'device' too. */
    bool installed;
    bool partial;               /* The rule only marks packets. */
    bool stuck;                 /* The device does not let go of the rule. */
    struct offload_counter *counter;    /* Or null. */

    struct dpif_flow_stats base;    /* Of earlier insertions. */
    struct dpif_flow_stats live;    /* Of this one, when last read. */

    /* Agent. */
    bool planned;               /* 'id' is valid. */
    uint32_t id;                /* Of the planner. */
    ovs_u128 dp_ufid;           /* As "dpctl/dump-flows" shows it. */
    uint64_t round;             /* In which it was last seen... */
    uint64_t sw, hw;            /* ...with these packets. */
    uint64_t last_all, last_hw; /* In the round before. */
    uint32_t wish_edition;      /* 'wish' is of these, offload-wish.c. */
    int wish;                   /* Number of the wish, or -1. */
    uint32_t queue_edition;     /* 'queue' is of this edition. */
    int queue;                  /* As offload_queue_of() said. */
};

extern struct cmap offload_ports;

/* Ports. */
void offload_port_create(struct netdev *, const struct netdev_flow_api *);
struct offload_port *offload_port_find(const struct netdev *);
void offload_port_destroy(struct netdev *);
void offload_port_unref(struct offload_port *);

/* An update of 'port' has been under way for so long that the device does not
 * seem to answer.  Any thread. */
bool offload_port_hangs(const struct offload_port *);

/* The calling thread acts as the offload thread of 'ufid' until
 * offload_leave(), which wants what offload_enter() returned. */
unsigned int offload_enter(const ovs_u128 *ufid);
void offload_leave(unsigned int);
void offload_enter_all(void);
void offload_leave_all(void);

/* As offload_enter(), for threads that have no reference to the port's netdev:
 * it is there until offload_flow_end().  Returns false, and then nothing has
 * to be ended, if the flow has gone. */
struct offload_turn {
    struct netdev *netdev;
    unsigned int tid;
};
bool offload_flow_begin(const struct offload_flow *, struct offload_turn *);
void offload_flow_end(struct offload_turn *);

/* Flows.  Between offload_enter() and offload_leave(): */
struct offload_flow *offload_flow_add(struct offload_port *,
                                      const ovs_u128 *ufid);
void offload_flow_set(struct offload_flow *, const struct match *,
                      const struct nlattr *actions, size_t actions_len,
                      const struct offload_info *);
enum offload_result offload_flow_install(struct offload_flow *);
enum offload_result offload_flow_uninstall(struct offload_flow *);
void offload_flow_give_up(struct offload_flow *);
void offload_flow_remove(struct offload_flow *);
void offload_flow_drop(struct offload_flow *);
int offload_flow_adopt(struct offload_flow *);

/* Any thread: */
struct offload_flow *offload_flow_find(const struct offload_port *,
                                       const ovs_u128 *ufid);
void offload_flow_get(struct offload_flow *, struct dpif_flow_stats *,
                      struct dpif_flow_attrs *);
bool offload_flow_installed(struct offload_flow *, bool *partial);
bool offload_flow_is_stuck(struct offload_flow *);
void offload_flow_match(struct offload_flow *, struct flow *,
                        struct flow_wildcards *);
bool offload_flow_try_ref(struct offload_flow *);
void offload_flow_unref(struct offload_flow *);

/* What the calling thread's last netdev_flow_get() was about; null if not one
 * of ours.  The agent reads it after each flow of a dump. */
struct offload_seen {
    struct offload_flow *flow;
    uint64_t hw_packets;        /* Part of the packets reported. */
};
struct offload_seen *offload_seen(void);

enum offload_mode offload_mode(void);

#endif /* offload-flow.h */
