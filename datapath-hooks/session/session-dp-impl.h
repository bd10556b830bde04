/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef SESSION_DP_IMPL_H
#define SESSION_DP_IMPL_H 1

/* What the files of the datapath part share.  See session-dp.h.
 *
 *     session-dp.c      plan, ports, upkeep
 *     session-topo.c    bridges
 *     session-miss.c    F1: the answer to a miss, narrow flows
 *     session-admit.c   F1: what bridges let in and learn
 *     session-entry.c   F1: entries, from the first miss to the end
 *     session-target.c  F2: targets that are wanted, their flows
 *     session-way.c     F2: translations
 *     session-route.c   F2: routes and neighbors of tunnels
 *     session-former.c  F2: with a header of before
 *     session-mtu.c     F2: whether packets fit
 *     session-grace.c   when all threads have let go of what was
 *     session-icmp.c    ICMP errors
 *     session-flow.c    flows in the datapath, revalidators
 *     session-packet.c  PMD threads */

#include <net/if.h>
#include <netinet/in.h>

#include "datapath-hooks/ext-hooks.h"
#include "datapath-hooks/session/session-dp.h"
#include "datapath-hooks/session/session-impl.h"
#include "flow.h"
#include "ofproto/ofproto-dpif-xlate.h"
#include "ovs-rcu.h"
#include "ovs-thread.h"
#include "packets.h"
#include "simap.h"

struct dpif_backer;
struct ofpbuf;
struct ofport;
struct ofproto_dpif;

/* Bits of a packet's skb_priority.  Redirection uses 31, 30 and the low ones
 * with the latter. */
#define SESSION_KIND_MASK UINT32_C(0xf0000000)
#define SESSION_OTHER_MASK (UINT32_C(1) << 31)  /* Redirection's mark. */
#define SESSION_ARRIVED (UINT32_C(1) << 29)     /* On its way to 'pop'. */
#define SESSION_STEERED (UINT32_C(1) << 28)     /* Target below. */
/* An ICMP error that has been looked at and is none of ours; with the mark. */
#define SESSION_PASSED (SESSION_ARRIVED | SESSION_STEERED)
#define SESSION_SERVICE_MASK UINT32_C(0x3ff)
#define SESSION_HOP_SHIFT 16
#define SESSION_TARGET_MASK UINT32_C(0xffff)
BUILD_ASSERT_DECL(SESS_MAX_SERVICES <= SESSION_SERVICE_MASK + 1);

static inline bool
session_has_arrived(uint32_t skb_priority)
{
    return (skb_priority & SESSION_KIND_MASK) == SESSION_ARRIVED;
}

static inline bool
session_is_steered(uint32_t skb_priority)
{
    return (skb_priority & SESSION_KIND_MASK) == SESSION_STEERED;
}

/* Whether it is an ICMP error on its way to 'push'.  That one keeps the
 * mark. */
static inline bool
session_has_icmp_arrived(uint32_t skb_priority)
{
    return ((skb_priority & SESSION_KIND_MASK & ~SESSION_OTHER_MASK)
            == SESSION_ARRIVED);
}

/* The bridges, as the miss path needs to know them.  Immutable. */
struct session_topo {
    const struct dpif_backer *backer;
    struct simap joined;        /* From name of bridge to a number that
                                 * bridges joined by patch ports share. */
    struct session_topo_service {
        uint64_t id;            /* 0: not here. */
        unsigned int joined;    /* Of its bridge. */
        odp_port_t local;
    } *services;                /* By number. */
    size_t n_services;
};

/* What the flow of a target does.  Immutable. */
struct session_actions {
    odp_port_t in_port;         /* Local port of the bridge. */
    ovs_be16 dl_type;
    size_t size;
    uint64_t data[];            /* Datapath actions. */
};

/* By number of target, null if it is not resolved.  Main thread writes. */
typedef OVSRCU_TYPE(struct session_actions *) session_actions_rcu;
extern session_actions_rcu session_actions[SESS_MAX_TARGETS];

/* What is to be done with packets for 'target'; null if it is not resolved.
 * Any thread. */
static inline const struct session_actions *
session_actions_get(uint16_t target)
{
    return (target < SESS_MAX_TARGETS
            ? ovsrcu_get(struct session_actions *, &session_actions[target])
            : NULL);
}

/* Where a packet out of a tunnel has come from.  Any thread. */
static inline void
session_tunnel_src(const struct flow_tnl *tunnel, struct in6_addr *src)
{
    if (tunnel->ip_dst) {
        in6_addr_set_mapped_ipv4(src, tunnel->ip_src);
    } else {
        *src = tunnel->ipv6_src;
    }
}

/* session-dp.c. */
const struct sess_plan *session_plan_get(void);
const struct session_topo *session_topo_get(void);
struct sess_table *session_dp_table(void);
struct phc *session_dp_phc(void);
uint16_t session_reply_service(const struct netdev *);

/* Bridges, session-topo.c. */
struct session_topo *session_topo_create(const struct sess_plan *,
                                         const struct dpif_backer *);
void session_topo_destroy(struct session_topo *);
uint32_t session_topo_signature(const struct sess_plan *,
                                const struct session_topo *);
const struct session_topo_service *
session_topo_find(const struct session_topo *,
                  const struct sess_plan_service *);

odp_port_t session_topo_port(const struct dpif_backer *, const char *name);

/* What bridges let in and learn, session-admit.c.  Any thread but where it
 * says. */
struct session_admit_memo {
    struct session_admitted {
        const struct ofproto_dpif *ofproto; /* Null: none. */
        ofp_port_t in_port;
        ovs_be16 tci;
        bool admitted;
    } slots[128];
};
bool session_admits(struct ofproto_dpif *, ofp_port_t, const struct flow *);
bool session_admits_memo(struct session_admit_memo *, struct ofproto_dpif *,
                         ofp_port_t, const struct flow *);
bool session_learn(struct ofproto_dpif *, ofp_port_t, const struct flow *,
                   bool learn);
long long int session_learn_interval(const struct ofproto_dpif *,
                                     const struct flow *);

/* Misses, session-miss.c.  Any thread but where it says. */
struct session_entry_key;
ext_translate_func session_translate;
bool session_flow_is_steered(const struct sess_plan *,
                             const struct session_topo *,
                             const struct flow *);
bool session_entry_learns(const struct session_topo *, const struct flow *);
bool session_entry_stands(const struct sess_plan *,
                          const struct session_topo *, const struct flow *,
                          const struct session_entry_key *,
                          struct session_admit_memo *,
                          long long int *interval);
bool session_place_stands(const struct sess_plan *,
                          const struct session_topo *, const struct flow *,
                          struct session_admit_memo *);

/* Entries, session-entry.c.  Main thread, but for session_entry_obtain() and
 * session_entry_refuse(). */

/* Everything that an entry's flow matches but the address, which the service
 * says. */
struct session_entry_key {
    struct in6_addr tun_src;
    ovs_be64 tun_id;
    uint64_t service;           /* ID. */
    odp_port_t in_port;
    uint32_t skb_priority;
    uint32_t arrived;           /* What the action sets. */
    odp_port_t local;
    ovs_be16 vlan_tci;          /* VID and CFI. */
    uint8_t icmp_type;          /* Of errors; else 0. */
    uint8_t pad[5];
};
bool session_entry_obtain(const struct session_entry_key *,
                          const struct flow *, ovs_u128 *ufid);
void session_entry_refuse(const struct session_entry_key *,
                          const struct flow *);
bool session_entries_check(const struct sess_plan *,
                           const struct session_topo *, long long int now);
void session_entries_kill_port(odp_port_t, long long int now);
long long int session_entries_run(long long int now);

/* Targets, session-target.c.  Main thread. */
void session_targets_set(const struct sess_plan *);
void session_targets_run(const struct sess_plan *,
                         const struct session_topo *, bool all,
                         long long int now);
void session_targets_kill_port(odp_port_t, long long int now);
long long int session_targets_next(void);

/* Routes and neighbors of tunnels, session-route.c.  Main thread. */
struct session_route {
    char dev[IFNAMSIZ];         /* The device that packets leave by... */
    struct ofproto_dpif *bridge;
    const struct ofport *port;  /* ...which is this port of 'bridge'. */
    struct in6_addr src;        /* Where the tunnel begins. */
    struct in6_addr hop;        /* Whose MAC is wanted. */
};
bool session_route_find(const struct dpif_backer *,
                        const struct ofport *tunnel,
                        const struct in6_addr *dst, struct session_route *);
bool session_route_has_neighbor(const struct session_route *);
bool session_route_may_ask(const struct session_route *, long long int now,
                           long long int *next);

/* Translations, session-way.c.  Main thread. */
struct session_way {
    struct session_actions *actions; /* Null if there is no way... */
    char why[SESSION_WHY_LEN];  /* ...which says why. */
    char note[SESSION_NOTE_LEN]; /* What packets may miss by this way. */
    bool no_neighbor;           /* The next hop's, and nothing else that is
                                 * known of, is what is missing... */
    long long int next;         /* ...and asked for then, ms. */
    odp_port_t in_port;         /* ODPP_NONE if the bridge is missing. */
    struct session_route route; /* To a remote target, if found. */
    struct xlate_out xout;      /* Keeps recirculation IDs alive. */
    uint8_t header[PHC_MAX_HEADER]; /* Of the tunnel. */
    size_t header_len;
};
bool session_way_find(const struct sess_plan *, const struct session_topo *,
                      const struct sess_target *, long long int now,
                      struct session_way *);
bool session_way_find_former(const struct sess_plan *,
                             const struct session_topo *,
                             const struct sess_target *,
                             const struct session_actions *old,
                             struct session_way *);
bool session_acts_drop(const struct ofpbuf *);
void session_way_note(struct session_way *, const char *format, ...)
    OVS_PRINTF_FORMAT(2, 3);

/* Lengths of packets, session-mtu.c.  Main thread. */
void session_mtu_check(const struct ofproto_dpif *bridge,
                       struct session_way *);

/* Headers of before, session-former.c. */
bool session_former_actions(const struct sess_plan *,
                            const struct sess_target *,
                            const struct session_actions *old,
                            const struct ofport *tunnel,
                            const struct dpif_backer *, struct ofpbuf *acts,
                            struct xlate_out *);

/* Grace periods, session-grace.c.  Main thread. */
void session_grace_init(void);
uint64_t session_grace_begin(void);
bool session_grace_is_over(uint64_t mark);
void session_grace_run(void);
void session_grace_wait(void);

/* Flows, session-flow.c. */
enum session_flow_kind { SESSION_FLOW_ENTRY, SESSION_FLOW_TARGET };
void session_ufid_make(enum session_flow_kind, uint32_t unique, uint32_t hash,
                       ovs_u128 *);
void session_target_match(uint16_t target, const struct session_actions *,
                          struct flow *, struct flow_wildcards *);
void session_target_ufid(uint16_t target, ovs_be16 dl_type, ovs_u128 *);
void session_flow_put_target(uint16_t target, const struct session_actions *);
void session_flow_del(const ovs_u128 *);
struct dpif *session_flow_dpif(void);   /* Main thread. */
void session_flow_set_dpif(struct dpif *);
bool session_flow_forget_dpif(const struct dpif *);
void session_flow_judge(bool);
ext_dpif_operate_func session_operate;
ext_flow_dump_func session_flow_dump;

/* ICMP errors, session-icmp.c.  Any thread. */
uint8_t session_icmp_type(const struct flow *);
void session_icmp_put_actions(uint32_t arrived, odp_port_t local,
                              struct ofpbuf *actions);
uint16_t session_icmp_decide(const struct sess_plan *,
                             const struct sess_plan_service *entry,
                             unsigned int hop, const struct dp_packet *,
                             long long int now, struct phc_stats *,
                             uint64_t counts[SESS_N_COUNTS]);

/* The packet path, session-packet.c. */
ext_pop_func session_pop;
ext_push_func session_push;
ext_received_func session_received;
uint64_t session_target_packets(uint16_t target);

#endif /* session-dp-impl.h */
