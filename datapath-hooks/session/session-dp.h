/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef SESSION_DP_H
#define SESSION_DP_H 1

/* Sessions in the datapath: packets for a service go where the plan says.
 *
 *     port P --(F1)--> "pop": decision --(F2)--> backend's port, or tunnel
 *
 *   F1  in_port(P),[tunnel(tun_id,src)],skb_priority(0),eth_type,vlan,
 *       ipv4(dst=VIP,proto,frag=no),tp(dst=port)
 *       actions: [pop_vlan,]set(skb_priority(ARRIVED|hop|service)),tnl_pop(L)
 *   F2  in_port(L),skb_priority(STEERED|target),eth_type
 *       actions: set(skb_priority(0)),<what ofproto says for the target>
 *
 *   ICMP errors:
 *
 *   F1  in_port(P),[tunnel(tun_id,src)],skb_priority(0),eth_type,vlan,
 *       ipv4(dst=VIP,proto=1,frag=no),icmp(type)
 *       actions: set(skb_priority(ARRIVED|hop|service)),tnl_push(L),recirc(0)
 *
 * L is the bridge's local port.  F1 is the answer to a miss, one for each port
 * (and VLAN, and tunnel) and service.  "tnl_pop" hands packets to the hook
 * 'pop', which looks the sessions up and writes the target into each packet's
 * priority; dpif-netdev looks them up again, as packets from L.  F2 is one
 * for each target, put ahead of its use on all PMD threads by the main thread,
 * from a translation of
 *
 *   local   set_field:MAC->eth_dst,output:PORT
 *   remote  set_field:VNI->tun_id,set_field:HOST->tun_dst,output:TUNNEL
 *
 * with TUNNEL a port of the bridge of the service's encapsulation with
 * remote_ip=flow and key=flow.  So routes, neighbours, underlay bridges and
 * bonds are Open vSwitch's own.  F2 stays until no packet can be on its way
 * that an older plan decided on.  A header that does not lead to the host that
 * is meant is refused; one that does is told to the header cache, too.  The
 * packet is as it was but for the VLAN tag, and for the backend's MAC at the
 * end.
 *
 * An ICMP error to a service's address (of which 'service' is any one) may be
 * about a session of ours or not, as only the packet that it quotes tells.
 * "tnl_push", to a port that is no tunnel, hands it to the hook 'push', and
 * unlike "tnl_pop" leaves its in_port alone.  If it is about a session, 'push'
 * makes it a packet from L with a target, like others.  If not, only its
 * priority says SESSION_PASSED when it is looked up again, so it meets the
 * flows that ofproto makes for such packets.  Those are ofproto's own, seen by
 * revalidators; nothing else in ofproto looks at the priority.
 *
 * ofproto knows nothing of these flows, nor do they count against its limits
 * (ext-flows.h).  Its own are made narrow enough not to cover packets for a
 * service in the bridge, nor, from the local port, packets with a target;
 * those that did before are reported as long idle, so that revalidators delete
 * them.
 *
 * A packet from a tunnel is taken if the sender is another member of the
 * service, and counts as passed on by it, whatever the VNI is, so that packets
 * do not go around between hosts that do not agree on it; bit SESS_HOP2_VNI of
 * the VNI says that it was passed on twice.
 *
 * All packets of a target have one outer header: its TOS and TTL are what the
 * tunnel port's options say, TOS 0 and TTL 64 if they say "inherit", and it is
 * Not-ECT.
 *
 * Packets that a bridge does not let in, as at the standby member of a bond,
 * at a port that spanning tree has blocked or of a VLAN that is not its own,
 * are left to ofproto, which drops them (session-admit.c).  Entries follow
 * within a second.  Where OpenFlow rules would have the bridge learn where
 * packets come from, it does: F1 is deleted three times in the bridge's
 * mac-aging-time, so that there is a miss.  Not from tunnels: a bridge that
 * learns, and for whose services packets come from tunnels while it has no
 * plan, would take the clients' gateway to be there; its rules should drop
 * what comes from a tunnel that is for sessions only.
 *
 * Limits: fragments, packets with two VLAN tags and recirculated ones are left
 * to ofproto, as are ICMP errors that quote a fragment but the first or a
 * packet with IPv6 extension headers; the port that a packet comes in must be
 * of the service's bridge;
 * OpenFlow tables of the bridge, mirrors of the port and its flow statistics
 * do not see packets that are steered.  Packets from tunnels of others than
 * members are left to ofproto, too.  There are up to 8,192 entries: with more
 * ports, VLANs and tunnels at a time than that, the oldest quarter goes again
 * and again, and packets miss.  One userspace datapath.
 *
 * Thread safety: each function says. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "openvswitch/types.h"
#include "ovs-ext/session/sess-decide.h"

struct ds;
struct dpif;
struct netdev_rxq;
struct dp_packet_batch;
struct seq;

enum { SESSION_WHY_LEN = 192, SESSION_NOTE_LEN = 160 };

/* Where a target stands. */
enum session_target_state {
    SESSION_TARGET_UNRESOLVED,  /* No flow: see 'why'. */
    SESSION_TARGET_RESOLVED,
    SESSION_TARGET_STALE        /* The neighbor does not answer (any more): for
                                 * a while, with the header of before, also of
                                 * before a restart (session-former.c). */
};

struct session_target_info {
    uint16_t number;
    uint16_t service;
    bool local, hop2, hinted;
    uint16_t backend;           /* If local. */
    uint64_t host;              /* If not. */
    enum session_target_state state;
    char why[SESSION_WHY_LEN];  /* Why it is not resolved; or empty. */
    char note[SESSION_NOTE_LEN]; /* If it has a flow, what packets may miss by
                                  * it; or empty. */
    uint64_t packets;           /* Sent there. */
};

/* From the agent's thread, or any one that is no PMD thread. */

/* With the first service.  Both live as long as the process; 'table' and
 * 'phc' are used by PMD threads from now on. */
void session_dp_enable(struct sess_table *table, struct phc *phc);

/* Takes over 'plan', null for no service, in place of the last one, which is
 * destroyed by a later call of this function, after a grace period: plans
 * share things, so one thread makes and destroys them.  Says to the header
 * cache who the members of services are (phc_service_set()), and takes
 * session_phc_mutex for that; the main thread says what headers lead there
 * (phc_template_set()) as it resolves targets. */
void session_dp_set_plan(struct sess_plan *plan);

/* The plan that is in use, or null; for the thread that sets plans. */
const struct sess_plan *session_dp_plan(void);

/* Stores the IDs of up to 'max' backends of the plan whose port is plugged
 * into their bridge here, and returns how many there are.  With no plan, or
 * before the first look at the bridges, none.  'session_dp_seq()' changes when
 * the set changes. */
size_t session_dp_present(uint64_t *backends, size_t max);
struct seq *session_dp_seq(void);

/* Any thread. */
size_t session_dp_targets(struct session_target_info *, size_t max);
void session_dp_counts(uint64_t counts[SESS_N_COUNTS], struct phc_stats *);

/* Main thread. */
void session_dp_init(void);
void session_dp_run(void);
void session_dp_wait(void);
void session_dp_set_dpif(struct dpif *);
void session_dp_port_del(struct dpif *, odp_port_t);

/* Any thread: 'dpif' is about to be closed. */
void session_dp_forget_dpif(const struct dpif *);

#endif /* session-dp.h */
