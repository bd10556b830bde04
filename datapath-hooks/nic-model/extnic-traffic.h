/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXTNIC_TRAFFIC_H
#define EXTNIC_TRAFFIC_H 1

/* Traffic of the NIC model, built once when a port is probed.
 *
 * Traffic is a list of phases.  A phase plays its sequence of packets over
 * and over for its duration, at the offered rate times its multiplier; after
 * the last phase the first follows.  An entry of a sequence names a template
 * (the frame to send) and which packet of its flow it is.
 *
 * In all scenarios but `captures` a flow has one template.  There, each
 * captured packet (and each copy of it) is a template of its own.
 *
 * Pure code: everything follows from the arguments and their seed.  Built by
 * one thread, then read-only, except that the RSS hash of a template follows
 * the port's key and that its 'path' follows the port's flow rules. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datapath-hooks/nic-model/extnic-args.h"

#define EXTNIC_MAX_TEMPLATES (1 << 20)
#define EXTNIC_HEAD 64          /* Bytes of a frame a template holds. */

/* A frame.  The first two cache lines are all that a packet costs. */
struct extnic_template {
    uint8_t head[EXTNIC_HEAD];
    uint32_t hash;              /* RSS hash under the port's key. */
    uint32_t flow;
    uint64_t path;              /* If it reaches the host by a rule: MARK in
                                 * bits 0-31, rule + 1 in 32-63. */
    uint32_t packet_type;       /* RTE_PTYPE_*; set by the source. */
    uint16_t len;
    uint8_t rss_ok;             /* The hash counts for this packet type. */
    uint8_t l4;                 /* IPPROTO_*, 0 if none. */
    uint64_t ol_flags;          /* RTE_MBUF_F_RX_*; set by the source. */
    const uint8_t *tail;        /* Bytes after 'head', or null: anything. */
    uint32_t rule;              /* Table slot + 1 of the rule it hits, or 0. */
    uint32_t pad1;
    uint64_t pad[2];
} __attribute__((aligned(64)));

struct extnic_entry {
    uint32_t template;
    uint32_t k;                 /* Packet of its flow, from 0. */
};

struct extnic_phase {
    struct extnic_entry *seq;
    float *jitter;              /* Poisson: arrival in entries, or null. */
    uint32_t *per_loop;         /* [n_flows] packets in one pass. */
    uint32_t len;
    uint32_t ms;                /* Duration, 0: for ever. */
    double mult;                /* Of the offered rate. */
};

struct extnic_traffic {
    struct extnic_template *templates;
    uint32_t n_templates;
    uint32_t n_flows;
    uint32_t *flow_of;          /* By template; null: each its own. */
    struct extnic_phase *phases;
    uint32_t n_phases;
    uint8_t *tails;             /* Backs 'tail' of the templates. */
};

/* Computes the RSS hash of a frame under the default key. */
typedef uint32_t extnic_hash_func(const uint8_t *frame, size_t len);

/* Builds the traffic that 'args' asks for; buckets are 'hash' modulo
 * args->reta.  Returns null with a message in 'error' on failure (memory,
 * capture files). */
struct extnic_traffic *extnic_traffic_create(const struct extnic_args *args,
                                             extnic_hash_func *hash,
                                             char *error, size_t error_size);
void extnic_traffic_destroy(struct extnic_traffic *);

/* Parts, for the files that make up this module. */

/* Allocates 'n' templates, one flow each, with distinct random headers.
 * 'n_tcp' of them are TCP, the others UDP. */
bool extnic_templates_random(struct extnic_traffic *, uint32_t n,
                             uint32_t n_tcp, uint32_t size, uint64_t seed,
                             uint32_t reta, extnic_hash_func *hash);

/* Appends a phase whose packets are shared out as 'weight' (one value per
 * flow, any sum) says, exactly to the entry, in random order. */
bool extnic_phase_weighted(struct extnic_traffic *, const double *weight,
                           uint32_t len, uint32_t ms, double mult,
                           uint64_t seed);

/* Appends a phase with 'len' entries to fill; fill 'template' of each, then
 * call extnic_phase_finish(). */
struct extnic_phase *extnic_phase_add(struct extnic_traffic *, uint32_t len,
                                      uint32_t ms, double mult);
bool extnic_phase_finish(struct extnic_traffic *, struct extnic_phase *);

/* Scenarios; extnic_traffic_create() picks one. */
bool extnic_scenario_build(struct extnic_traffic *,
                           const struct extnic_args *, extnic_hash_func *,
                           char *error, size_t error_size);
bool extnic_flow_model_build(struct extnic_traffic *,
                             const struct extnic_args *, extnic_hash_func *,
                             char *error, size_t error_size);
bool extnic_pcap_build(struct extnic_traffic *, const struct extnic_args *,
                       extnic_hash_func *, char *error, size_t error_size);

/* Draws the length in packets of a TCP or UDP flow from the published
 * mixtures. */
struct extnic_rng;
double extnic_flow_model_length(struct extnic_rng *, bool tcp);

#endif /* extnic-traffic.h */
