/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/nic-model/extnic-traffic.h"

#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath-hooks/nic-model/extnic-rng.h"

#define ETH_LEN 14
#define IP_LEN 20

static void
put16(uint8_t *p, uint32_t value)
{
    p[0] = value >> 8;
    p[1] = value;
}

static void
put32(uint8_t *p, uint32_t value)
{
    put16(p, value >> 16);
    put16(p + 2, value);
}

static uint32_t
ip_checksum(const uint8_t *p, size_t len)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < len; i += 2) {
        sum += p[i] << 8 | p[i + 1];
    }
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return ~sum & 0xffff;
}

/* Writes Ethernet, IPv4 and TCP or UDP headers for a random 4-tuple. */
static void
write_head(struct extnic_template *t, bool tcp, struct extnic_rng *rng)
{
    static const uint8_t eth[ETH_LEN] = {
        0x02, 0x00, 0x00, 0x00, 0x00, 0x02,
        0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00
    };
    uint8_t *ip = t->head + ETH_LEN;
    uint8_t *l4 = ip + IP_LEN;

    memset(t->head, 0, sizeof t->head);
    memcpy(t->head, eth, sizeof eth);
    ip[0] = 0x45;
    put16(ip + 2, t->len - ETH_LEN);
    ip[6] = 0x40;               /* Do not fragment. */
    ip[8] = 64;
    ip[9] = tcp ? IPPROTO_TCP : IPPROTO_UDP;
    put32(ip + 12, 0x0a000000 | extnic_rng_below(rng, 1 << 24));
    put32(ip + 16, 0xac100000 | extnic_rng_below(rng, 1 << 20));
    put16(ip + 10, ip_checksum(ip, IP_LEN));

    put16(l4, 1024 + extnic_rng_below(rng, 64512));
    put16(l4 + 2, tcp ? 443 : 53 + extnic_rng_below(rng, 4096));
    if (tcp) {
        put32(l4 + 4, extnic_rng_next(rng));
        l4[12] = 5 << 4;
        l4[13] = 0x10;          /* ACK. */
        put16(l4 + 14, 0xffff);
    } else {
        put16(l4 + 4, t->len - ETH_LEN - IP_LEN);
    }
    t->l4 = ip[9];
}

/* Internet mix, 7:4:1. */
static uint16_t
imix_size(uint32_t i)
{
    return i % 12 < 7 ? 60 : i % 12 < 11 ? 590 : 1514;
}

bool
extnic_templates_random(struct extnic_traffic *traffic, uint32_t n,
                        uint32_t n_tcp, uint32_t size, uint64_t seed,
                        uint32_t reta, extnic_hash_func *hash)
{
    struct extnic_rng rng = { seed };
    uint32_t *n_in_bucket = calloc(reta, sizeof *n_in_bucket);

    traffic->templates = aligned_alloc(64, n * sizeof *traffic->templates);
    if (!traffic->templates || !n_in_bucket) {
        free(n_in_bucket);
        return false;
    }
    traffic->n_templates = traffic->n_flows = n;

    /* Every bucket gets an equal number of flows: how uneven traffic is shall
     * be up to the scenario, not to chance. */
    uint32_t quota = (n + reta - 1) / reta;
    for (uint32_t i = 0; i < n; i++) {
        struct extnic_template *t = &traffic->templates[i];
        uint32_t tries = 0;
        uint32_t bucket;

        memset(t, 0, sizeof *t);
        t->len = size ? size : imix_size(i);
        t->flow = i;
        do {
            write_head(t, i < n_tcp, &rng);
            t->hash = hash(t->head, sizeof t->head);
            bucket = t->hash & (reta - 1);
        } while (n_in_bucket[bucket] >= quota && ++tries < 64 * reta);
        n_in_bucket[bucket]++;
    }
    free(n_in_bucket);
    return true;
}

struct extnic_phase *
extnic_phase_add(struct extnic_traffic *traffic, uint32_t len, uint32_t ms,
                 double mult)
{
    struct extnic_phase *phases;

    phases = realloc(traffic->phases,
                     (traffic->n_phases + 1) * sizeof *phases);
    if (!phases) {
        return NULL;
    }
    traffic->phases = phases;

    struct extnic_phase *phase = &phases[traffic->n_phases++];
    memset(phase, 0, sizeof *phase);
    phase->len = len;
    phase->ms = ms;
    phase->mult = mult;
    phase->seq = calloc(len, sizeof *phase->seq);
    phase->per_loop = calloc(traffic->n_flows, sizeof *phase->per_loop);
    return phase->seq && phase->per_loop ? phase : NULL;
}

bool
extnic_phase_finish(struct extnic_traffic *traffic,
                    struct extnic_phase *phase)
{
    for (uint32_t i = 0; i < phase->len; i++) {
        struct extnic_entry *e = &phase->seq[i];

        e->k = phase->per_loop[traffic->templates[e->template].flow]++;
    }
    return true;
}

static void
shuffle(struct extnic_entry *seq, uint32_t n, struct extnic_rng *rng)
{
    for (uint32_t i = n - 1; i > 0; i--) {
        uint32_t j = extnic_rng_below(rng, i + 1);
        struct extnic_entry tmp = seq[i];

        seq[i] = seq[j];
        seq[j] = tmp;
    }
}

bool
extnic_phase_weighted(struct extnic_traffic *traffic, const double *weight,
                      uint32_t len, uint32_t ms, double mult, uint64_t seed)
{
    struct extnic_phase *phase = extnic_phase_add(traffic, len, ms, mult);
    struct extnic_rng rng = { seed };
    double sum = 0;

    if (!phase) {
        return false;
    }
    for (uint32_t f = 0; f < traffic->n_flows; f++) {
        sum += weight[f];
    }

    /* Rounding the running total rather than each flow's share keeps the
     * total exact. */
    uint32_t done = 0;
    double total = 0;
    for (uint32_t f = 0; f < traffic->n_flows; f++) {
        total += weight[f];
        uint32_t until = f + 1 < traffic->n_flows
                         ? lrint(total / sum * len) : len;

        for (; done < until && done < len; done++) {
            phase->seq[done].template = f;
        }
    }
    shuffle(phase->seq, len, &rng);
    return extnic_phase_finish(traffic, phase);
}

/* Turns equal gaps into exponential ones, scaled so that a pass of the
 * sequence takes as long as before. */
static bool
add_jitter(struct extnic_phase *phase, uint64_t seed)
{
    struct extnic_rng rng = { seed };
    double total = 0;

    phase->jitter = calloc(phase->len, sizeof *phase->jitter);
    double *at = calloc(phase->len, sizeof *at);
    if (!phase->jitter || !at) {
        free(at);
        return false;
    }
    for (uint32_t i = 0; i < phase->len; i++) {
        at[i] = total;
        total += -log(1.0 - extnic_rng_double(&rng));
    }
    for (uint32_t i = 0; i < phase->len; i++) {
        phase->jitter[i] = at[i] / total * phase->len - i;
    }
    free(at);
    return true;
}

struct extnic_traffic *
extnic_traffic_create(const struct extnic_args *args, extnic_hash_func *hash,
                      char *error, size_t error_size)
{
    struct extnic_traffic *traffic = calloc(1, sizeof *traffic);
    bool ok = traffic != NULL;

    snprintf(error, error_size, "out of memory");
    if (!ok) {
        return NULL;
    }
    if (args->scenario == EXTNIC_FLOW_MODEL) {
        ok = extnic_flow_model_build(traffic, args, hash, error, error_size);
    } else if (args->scenario == EXTNIC_CAPTURES) {
        ok = extnic_pcap_build(traffic, args, hash, error, error_size);
    } else {
        ok = extnic_scenario_build(traffic, args, hash, error, error_size);
    }
    for (uint32_t i = 0; ok && args->poisson && i < traffic->n_phases; i++) {
        ok = add_jitter(&traffic->phases[i], args->seed + 77 + i);
    }
    if (!ok) {
        extnic_traffic_destroy(traffic);
        return NULL;
    }
    error[0] = '\0';
    return traffic;
}

void
extnic_traffic_destroy(struct extnic_traffic *traffic)
{
    if (traffic) {
        for (uint32_t i = 0; i < traffic->n_phases; i++) {
            free(traffic->phases[i].seq);
            free(traffic->phases[i].jitter);
            free(traffic->phases[i].per_loop);
        }
        free(traffic->phases);
        free(traffic->templates);
        free(traffic->flow_of);
        free(traffic->tails);
        free(traffic);
    }
}
