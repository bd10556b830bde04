/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef REDIRECT_IMPL_H
#define REDIRECT_IMPL_H 1

/* What the files of the redirection share.  See redirect.h. */

#include "datapath-hooks/affinity/redirect.h"
#include "datapath-hooks/ext-hooks.h"
#include "dpif.h"
#include "flow.h"
#include "openvswitch/hmap.h"
#include "openvswitch/list.h"
#include "ovs-atomic.h"
#include "ovs-rcu.h"
#include "ovs-thread.h"

/* Bits of a packet's skb_priority. */
#define REDIRECT_MARK (UINT32_C(1) << 31)       /* Has been served. */
#define REDIRECT_ARRIVED (UINT32_C(1) << 30)    /* On its way to 'pop', with
                                                 * its context below. */
#define REDIRECT_ID_MASK UINT32_C(0xfff)

/* VLAN IDs of probes, the IDs of no context: of those that are counted, and of
 * those that are timed. */
#define REDIRECT_PROBE_ID 0xfff
#define REDIRECT_CLOCK_ID 0xffe
BUILD_ASSERT_DECL(REDIRECT_MAX_CONTEXTS < REDIRECT_CLOCK_ID);

/* The last word of a ufid. */
enum redirect_kind {
    REDIRECT_UNKNOWN,           /* Not installed by us. */
    REDIRECT_OURS,
    REDIRECT_OTHERS,            /* Of another system of ours: not ofproto's,
                                 * and kept from revalidators by that. */
    REDIRECT_SERVED,
    REDIRECT_DIRECT             /* u32[2] has the profile's hash, or 0. */
};

/* Identity of a context: everything the outward flow matches. */
struct redirect_ctx_key {
    odp_port_t accel;
    odp_port_t in_port;
    uint32_t skb_priority;
    uint32_t pkt_mark;
    ovs_be16 dl_type;
    ovs_be16 vlan_tci;
    uint8_t nw_proto;
    uint8_t pad[3];
    struct flow_tnl tunnel;     /* Masked; zero if none. */
};

enum redirect_ctx_state {
    REDIRECT_CTX_IDLE,          /* No rule (any more): packets come back. */
    REDIRECT_CTX_ON,
    REDIRECT_CTX_BYPASS,
    REDIRECT_CTX_DEAD           /* Flows deleted, to be freed. */
};

/* Threads that may have the flow of a context: as many PMD threads as steering
 * and the profiler know, and those that poll what is no PMD thread's.  Packets
 * of more are redirected and not counted. */
#define REDIRECT_CTX_PMDS 65

/* A thread that has, or had, the outward flow of a context. */
struct redirect_ctx_pmd {
    unsigned int id;
    uint64_t live;              /* Packets of its flow, as last read. */
};

struct redirect_ctx {
    /* Constant. */
    uint16_t id;
    uint32_t generation;
    struct redirect_ctx_key key;
    struct aff_host_key profile;
    bool has_tunnel;
    struct flow_tnl tunnel;     /* As in the first packet's metadata. */

    /* PMD threads set, agent clears. */
    atomic_bool seen;

    /* Under 'redirect_mutex'. */
    struct hmap_node node;      /* In 'redirect_contexts', by 'key'. */
    enum redirect_ctx_state state;
    long long int last_seen;    /* ms */
    long long int purge_until;  /* Delete the outward flow until then, ms. */
    uint64_t base;              /* Packets of outward flows deleted... */
    uint64_t live;              /* ...and of present ones, the sum of... */
    struct redirect_ctx_pmd pmds[REDIRECT_CTX_PMDS];    /* ...these. */
    size_t n_pmds;
};

struct redirect_table_rule {
    struct hmap_node node;      /* By aff_host_key_hash(). */
    struct redirect_rule rule;
};

/* What the packet path reads.  Immutable. */
struct redirect_table {
    struct hmap rules;          /* Contains "struct redirect_table_rule"s. */
    odp_port_t accels[REDIRECT_MAX_ACCELERATORS];
    size_t n_accels;            /* Armed if not 0. */
};

extern struct ovs_mutex redirect_mutex;
extern struct hmap redirect_contexts OVS_GUARDED_BY(redirect_mutex);

const struct redirect_table *redirect_table_get(void);
bool redirect_is_accelerator(const struct redirect_table *, odp_port_t);
const struct redirect_rule *redirect_rule_find(const struct redirect_table *,
                                               const struct aff_host_key *);

/* Whether any rule's key has that hash. */
bool redirect_rule_has_hash(const struct redirect_table *, uint32_t hash);

/* Contexts, redirect-context.c. */
struct redirect_ctx *redirect_ctx_get(unsigned int id);
struct redirect_ctx *redirect_ctx_obtain(const struct redirect_ctx_key *,
                                         const struct redirect_rule *,
                                         const struct flow_tnl *,
                                         unsigned int pmd_id, bool *stale);
void redirect_ctx_apply(struct redirect_ctx *, const struct redirect_table *,
                        long long int now) OVS_REQUIRES(redirect_mutex);
void redirect_ctx_kill_port(odp_port_t) OVS_REQUIRES(redirect_mutex);
void redirect_ctx_run(struct redirect_ctx *, long long int now)
    OVS_REQUIRES(redirect_mutex);
bool redirect_ctx_owns(const ovs_u128 *ufid) OVS_REQUIRES(redirect_mutex);

/* Ufids and flows, redirect-flow.c. */
enum redirect_kind redirect_ufid_kind(const ovs_u128 *);
void redirect_ufid_mark(ovs_u128 *, enum redirect_kind, uint32_t hash);
void redirect_ufid_ours(const struct redirect_ctx *, bool outward, ovs_u128 *);
unsigned int redirect_ufid_id(const ovs_u128 *, bool *outward);
void redirect_ufid_probe(odp_port_t, ovs_u128 *);
void redirect_flow_check(const ovs_u128 *);
void redirect_flow_del_probe(odp_port_t) OVS_REQUIRES(redirect_mutex);
uint64_t redirect_flow_del(const struct redirect_ctx *, bool outward)
    OVS_REQUIRES(redirect_mutex);
uint64_t redirect_flow_packets(const struct redirect_ctx *,
                               unsigned int pmd_id)
    OVS_REQUIRES(redirect_mutex);
bool redirect_flow_have_dpif(void) OVS_REQUIRES(redirect_mutex);

/* Sends a probe with VLAN ID 'id' and 'number' in its Identification field to
 * 'port'.  Returns false if there is no datapath. */
bool redirect_flow_send_probe(odp_port_t port, unsigned int id,
                              uint16_t number);

void redirect_patch_priority(struct nlattr *key, size_t len, bool set);

/* Keeps the mark in what 'actions', 'len' bytes long, of a served flow set the
 * priority to. */
void redirect_mark_actions(struct nlattr *actions, size_t len);

/* Revalidators, redirect-reval.c. */
long long int redirect_last_unknown(void);
unsigned int redirect_n_dumps(void);
ext_dpif_operate_func redirect_operate;
ext_flow_dump_func redirect_flow_dump;
ext_flow_get_func redirect_flow_get;

/* A timed probe, 'packet', has come back from 'port', redirect-clock.c. */
void redirect_clock_stop(odp_port_t port, const struct dp_packet *packet);

/* The packet path, redirect-packet.c. */
ext_translate_func redirect_translate;
ext_pop_func redirect_pop;

#endif /* redirect-impl.h */
