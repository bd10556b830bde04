/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef REDIRECT_H
#define REDIRECT_H 1

/* Redirection: packets of a profile (virtual network, class) take a detour
 * through an accelerator, a port that gives back what it is sent, and go on as
 * though they had just come in where they did.
 *
 *     P --(1)--> accelerator --(2)--> P again, marked --(3)--> as ever
 *
 * A packet that comes in at P and is not marked meets the *outward* flow:
 *
 *   (1) in_port(P),skb_priority(0/mark),<profile>
 *       actions: push_vlan(tpid=0x88a8,vid=ID),ACCELERATOR
 *   (2) in_port(ACCELERATOR),eth_type(0x88a8),vlan(vid=ID)
 *       actions: set(skb_priority(mark|arrived|ID)),pop_vlan,tnl_pop(P)
 *   (3) in_port(P),skb_priority(mark/mark),...
 *       actions: what ofproto says for a packet from P
 *
 * ID names a *context*: what the wire cannot carry (the port, the metadata of
 * the tunnel it came through, marks).  "tnl_pop" is the one datapath action
 * that changes a packet's in_port, and it hands packets to the hook 'pop',
 * which restores the rest.  The mark is a bit of the metadata that nothing in
 * the userspace datapath reads.  It stays with the packet to its end, so no
 * packet is redirected twice.
 *
 * ofproto knows nothing of (1) and (2) and translates (3) without seeing the
 * mark.  So OpenFlow tables, learning, mirrors and statistics see each packet
 * once, from P.  A flow's kind is written into its ufid, which PMD thread,
 * revalidator and datapath have in common:
 *
 *   ours     (1) and (2): revalidators do not see them.
 *   served   (3): revalidators see the flow without the mark; what they put
 *            gets it back, for the datapath finds a flow to change by its key.
 *   direct   other flows.  Their masks include the mark and all that tells one
 *            profile from another, since flows in a datapath must not overlap.
 *            Those of a profile that is redirected now are reported as long
 *            idle, so that revalidators delete them, statistics and all.
 *
 * When the accelerator fails, the outward flow is deleted and comes back, with
 * the next packet, as the *bypass*
 *
 *       actions: set(skb_priority(mark|arrived|ID)),tnl_pop(P)
 *
 * which meets the served flows that are there: one miss for each PMD thread
 * and context, none for each of the flows behind it.
 *
 * Limits: IP packets in Ethernet frames; at most REDIRECT_MAX_CONTEXTS at once
 * (others go the direct way); frames leave 4 bytes longer; one recirculation
 * less is left to the pipeline; packets under way when a rule comes or goes
 * may pass each other; the mark is lost where a queue is set (set_queue) after
 * recirculation, which matters if the packet then leaves a tunnel here.  One
 * userspace datapath.
 *
 * Thread safety: each function says.  What PMD threads read is under RCU; all
 * else is under 'redirect_mutex'. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "openvswitch/dynamic-string.h"
#include "openvswitch/types.h"
#include "ovs-ext/affinity/aff-host-key.h"

struct dpif;

enum {
    REDIRECT_MAX_CONTEXTS = 4093, /* IDs are VLAN IDs. */
    REDIRECT_MAX_RULES = 1024,
    REDIRECT_MAX_ACCELERATORS = 16
};

/* Says where the packets of a profile go. */
struct redirect_rule {
    struct aff_host_key key;
    odp_port_t port;            /* An accelerator. */
    bool bypass;                /* Do as if it had served the packet. */
};

/* Main thread. */
void redirect_init(void);
void redirect_run(void);
void redirect_wait(void);
void redirect_set_dpif(struct dpif *);

/* Main thread: a port of the datapath is about to go. */
void redirect_port_del(struct dpif *, odp_port_t);

/* Any thread: 'dpif' is about to be closed. */
void redirect_forget_dpif(const struct dpif *);

/* Says whether the port is an accelerator.  With the first one the datapath's
 * flows become narrower, as above.  Main thread. */
void redirect_set_accelerator(odp_port_t, const char *name, bool wanted);

/* Finds an accelerator by the name of its port.  Any thread. */
bool redirect_find_accelerator(const char *name, odp_port_t *);

/* Returns true once all flows in the datapath are as redirection needs them,
 * shortly after the first accelerator came.  Before that redirect_set_rules()
 * takes rules, but they do not work yet.  Any thread. */
bool redirect_is_ready(void);

/* Replaces all rules; those beyond REDIRECT_MAX_RULES or to a port that is no
 * accelerator do nothing.  Any thread but a PMD thread. */
void redirect_set_rules(const struct redirect_rule *, size_t n);

/* Upkeep, every 100 ms; 'now' in ms, monotonic.  One thread (ext-agent). */
void redirect_tick(long long int now);

/* Sends 'n' small packets to accelerator 'port'; when they come back they are
 * dropped.  The port's counters tell whether they do.  Any thread but a PMD
 * thread. */
void redirect_probe(odp_port_t port, unsigned int n);

/* Sends one small packet to accelerator 'port' and takes the time until it is
 * back: what a packet pays for the way there, the wait and the way back, to
 * the thread that polls the port.  A new one gives up on the last.  Any thread
 * but a PMD thread. */
void redirect_clock_start(odp_port_t port);

/* Stores the round trip in microseconds into '*us' if one has come to its end
 * since the last call for 'port', else returns false.  Any thread. */
bool redirect_clock_read(odp_port_t port, double *us);

/* Stores into 'packets[i]' how many packets outward flows of 'keys[i]' have
 * matched, as of the last second or so; with the bypass, too.  Any thread. */
void redirect_packets(const struct aff_host_key keys[], uint64_t packets[],
                      size_t n);

/* Forgets contexts that are not in use now rather than in a minute, for
 * tests.  Any thread. */
void redirect_expire(void);

/* Appends a table of accelerators, rules and contexts.  Any thread. */
void redirect_format(struct ds *);

#endif /* redirect.h */
