/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TEST_REDIRECT_DP_H
#define TEST_REDIRECT_DP_H 1

/* A datapath of flow caches, one a PMD thread, to put the real redirect*.c
 * under stress.
 *
 * Flows match exactly, and so never overlap.  What they do is as redirection
 * answered, attribute by attribute; a flow that ofproto would have made (our
 * "translation") ends a packet.  Behind the flows there are ukeys, as in
 * ofproto: one is there before its flow is, and gone only after it.
 *
 * An accelerator is a row of words, one for each packet that is inside.  They
 * are read and written in relaxed order, so that nothing but redirection's own
 * code orders what one thread does to a context and another sees of it, and
 * ThreadSanitizer can tell. */

#include <stdbool.h>
#include <stdint.h>

#include "datapath-hooks/affinity/redirect-impl.h"
#include "dpif-provider.h"
#include "odp-netlink.h"
#include "openvswitch/hmap.h"

enum {
    DP_PMDS = 2,                /* The first one is the main thread... */
    DP_NON_PMD = 0,             /* ...as it polls ports. */
    DP_PORTS = 4,               /* Numbers 1 to DP_PORTS. */
    DP_ACCELS = 2,              /* Numbers DP_ACCEL, DP_ACCEL + 1. */
    DP_ACCEL = 10,
    DP_END = 99                 /* Where packets leave. */
};

/* A packet as the datapath sees it; also what its flow matches. */
struct dp_tuple {
    uint32_t port;
    uint32_t priority;          /* With the mark, if it has it. */
    uint32_t mark;
    uint16_t vid;               /* 0: no tag. */
    uint8_t proto;
    uint8_t outer;              /* The tag is redirection's. */
};

extern struct dpif dp_dpif;

void dp_init(void);

/* What has become of packets. */
struct dp_counts {
    uint64_t direct, served;    /* Have come to their end... */
    uint64_t sent;              /* ...are with an accelerator... */
    uint64_t lost;              /* ...or are no more. */
    uint64_t returned;
};

/* PMD thread 'pmd': a packet comes in at a port, a packet is given back by an
 * accelerator (if there is any), or one that was never sent. */
void dp_receive(unsigned int pmd, const struct dp_tuple *, struct dp_counts *);
void dp_return(unsigned int pmd, unsigned int slot, struct dp_counts *);
void dp_return_garbage(unsigned int pmd, unsigned int vid,
                       struct dp_counts *);

/* Revalidator: dumps all flows as ofproto does, deletes those that are long
 * idle and changes some of the others. */
void dp_revalidate(uint64_t *seed);

/* Main thread: "revalidator/purge". */
void dp_purge(void);

/* Number of flows that redirection installed. */
unsigned int dp_count_ours(void);

/* Between the datapath (test-redirect-dp.c) and what stands in for ofproto
 * (test-redirect-ofproto.c). */

/* An upcall: sees no mark, and sends packets of ports away. */
int dp_translate(const struct dp_packet *, const struct flow *,
                 ovs_u128 *ufid, unsigned int pmd_id, enum dpif_upcall_type,
                 const struct nlattr *userdata, struct ofpbuf *actions,
                 struct flow_wildcards *, struct ofpbuf *put_actions,
                 void *aux);

bool dp_has_flow(unsigned int pmd, const ovs_u128 *ufid);

/* A dump of at most DP_DUMP_BATCH flows at a time; starts as zeros but for
 * 'up'. */
enum { DP_DUMP_BATCH = 16 };
struct dp_dump {
    struct dpif_flow_dump_thread up;
    unsigned int pmd;
    struct hmap_position pos;
    uint64_t keys[DP_DUMP_BATCH][2];
};

#endif /* test-redirect-dp.h */
