/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

/* Flows with the lengths of real ones.
 *
 * The mixtures were fitted to four billion flows of a university campus
 * (Jurkiewicz, Rzym, Borylo: "Flow length and size distributions in campus
 * Internet traffic", Computer Communications 167, 2021; data set agh_2015,
 * "length-flows" of TCP and UDP).  A component is uniform on (0, a], rounded
 * up, or lognormal with shape a and scale b, rounded to the nearest: so read,
 * the mixtures meet the measured histograms within 0.2 %. */

#include "datapath-hooks/nic-model/extnic-traffic.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "datapath-hooks/nic-model/extnic-rng.h"

#define DEFAULT_LEN (1 << 20)
#define TCP_FLOWS 2171291495.0
#define UDP_FLOWS 1737523167.0

struct component {
    double weight;
    double a, b;                /* 'b' is 0 for a uniform one. */
};

static const struct component tcp_mix[] = {
    { 0.058043754929076714, 1, 0 },
    { 0.3105249919828018, 2, 0 },
    { 0.05509731658732791, 3, 0 },
    { 0.04775404343193455, 4, 0 },
    { 0.005882528205165834, 5, 0 },
    { 0.12529112884696628, 6, 0 },
    { 0.20654328341287823, 0.5122381561489622, 7.9543319950074585 },
    { 0.1218958369564864, 0.7507627341686453, 21.74157327774004 },
    { 0.052507436335709035, 1.1085442272126311, 115.96889383386637 },
    { 0.016459679311651095, 1.9932118957877463, 845.9121788017795 },
};

static const struct component udp_mix[] = {
    { 0.5827340809061519, 1, 0 },
    { 0.18722586716889525, 2, 0 },
    { 0.09147052372747216, 3, 0 },
    { 0.05622351865268365, 4, 0 },
    { 0.029447542558586896, 0.48946755142877785, 9.674436486545002 },
    { 0.04022783768479337, 0.26026467622698696, 4.8838363075201485 },
    { 0.004722552787759103, 0.44942994700845956, 29.41090858057708 },
    { 0.005631263608965612, 0.9247173397792914, 67.48121917707935 },
    { 0.0018118271560744815, 1.0498087651873083, 594.4921878194859 },
    { 0.00032077017026583367, 1.8547729167446296, 7892.503625889563 },
    { 0.00015649931641790045, 1.1263636801013632, 19824.000189566883 },
    { 2.756716956778995e-05, 0.40128970829397104, 90369.61088154344 },
    { 1.4909236588009346e-07, 0.5733877781565124, 12757029.472787634 },
};

double
extnic_flow_model_length(struct extnic_rng *rng, bool tcp)
{
    const struct component *mix = tcp ? tcp_mix : udp_mix;
    size_t n = (tcp ? sizeof tcp_mix : sizeof udp_mix) / sizeof *mix;
    double u = extnic_rng_double(rng);
    size_t i = 0;

    while (i + 1 < n && u >= mix[i].weight) {
        u -= mix[i++].weight;
    }

    double length = (mix[i].b
                     ? rint(mix[i].b * exp(mix[i].a * extnic_rng_normal(rng)))
                     : ceil(mix[i].a * (1 - extnic_rng_double(rng))));
    return length > 1 ? length : 1;
}

/* Flows that are alive, with the rate of each in a Fenwick tree, so that one
 * is drawn in proportion to its rate in O(log n). */
struct alive {
    uint32_t n;                 /* A power of two. */
    double *tree;               /* [n + 1] */
    double *rate;               /* [n] */
    double *left;               /* Packets to come. */
    uint32_t *flow;
};

static void
set_rate(struct alive *a, uint32_t i, double rate)
{
    double delta = rate - a->rate[i];

    a->rate[i] = rate;
    for (uint32_t j = i + 1; j <= a->n; j += j & -j) {
        a->tree[j] += delta;
    }
}

static uint32_t
draw(const struct alive *a, struct extnic_rng *rng)
{
    double u = extnic_rng_double(rng) * a->tree[a->n];
    uint32_t i = 0;

    for (uint32_t step = a->n >> 1; step; step >>= 1) {
        if (a->tree[i + step] <= u) {
            i += step;
            u -= a->tree[i];
        }
    }
    return i;
}

/* A new flow in place 'i'.  Long flows are faster, as the square root of
 * their length: a mouse is not spread over the life of an elephant. */
static void
arrive(struct alive *a, uint32_t i, uint32_t flow, bool tcp, double limit,
       struct extnic_rng *rng)
{
    double length = extnic_flow_model_length(rng, tcp);

    length = length < limit ? length : limit;
    a->flow[i] = flow;
    a->left[i] = length;
    set_rate(a, i, sqrt(length));
}

/* Fills 'seq'.  TCP flows are numbered from 0, UDP flows from 'max'.  Returns
 * the number of either in 'n'. */
static void
simulate(struct alive *a, struct extnic_entry *seq, uint32_t len,
         uint32_t max, uint32_t n[2], struct extnic_rng *rng)
{
    double p_tcp = TCP_FLOWS / (TCP_FLOWS + UDP_FLOWS);

    for (uint32_t i = 0; i < a->n; i++) {
        bool udp = extnic_rng_double(rng) >= p_tcp;

        arrive(a, i, n[udp]++ + udp * max, !udp, len, rng);
    }
    for (uint32_t i = 0; i < len; i++) {
        uint32_t j = draw(a, rng);

        seq[i].template = a->flow[j];
        if (--a->left[j] < 1) {
            bool udp = extnic_rng_double(rng) >= p_tcp;

            arrive(a, j, n[udp]++ + udp * max, !udp, len, rng);
        }
    }
}

static bool
alive_init(struct alive *a, uint32_t n)
{
    a->n = 1;
    while (a->n < n) {
        a->n *= 2;
    }
    a->tree = calloc(a->n + 1, sizeof *a->tree);
    a->rate = calloc(a->n, sizeof *a->rate);
    a->left = calloc(a->n, sizeof *a->left);
    a->flow = calloc(a->n, sizeof *a->flow);
    return a->tree && a->rate && a->left && a->flow;
}

static void
alive_uninit(struct alive *a)
{
    free(a->tree);
    free(a->rate);
    free(a->left);
    free(a->flow);
}

/* A flow and how many packets it has in the sequence. */
struct counted {
    uint32_t flow, n;
};

static int
by_packets(const void *a_, const void *b_)
{
    const struct counted *a = a_, *b = b_;

    return a->n != b->n ? (a->n < b->n ? 1 : -1)
           : a->flow < b->flow ? -1 : a->flow > b->flow;
}

/* Gives flows 'first' to 'first + n - 1', which are 'rank'ed by their packets,
 * templates of their own range such that queue 0's buckets get 'share' of the
 * packets: the long flows choose first. */
static void
choose_templates(const struct extnic_traffic *traffic,
                 const struct extnic_args *args, const struct counted *rank,
                 uint32_t first, uint32_t n, uint32_t *to)
{
    uint32_t next[2] = { first, first };    /* Other queues', queue 0's. */
    double packets[2] = { 0, 0 };

    for (uint32_t i = 0; i < n; i++) {
        double total = packets[0] + packets[1] + rank[i].n;
        bool queue0 = packets[1] + rank[i].n <= args->flow_skew * total;

        for (int pass = 0; pass < 2; pass++, queue0 = !queue0) {
            uint32_t *t = &next[queue0];

            while (*t < first + n
                   && ((traffic->templates[*t].hash & (args->reta - 1))
                       % args->skew_queues == 0) != queue0) {
                ++*t;
            }
            if (*t < first + n) {
                to[rank[i].flow] = (*t)++;
                packets[queue0] += rank[i].n;
                break;
            }
        }
    }
}

/* Changes which template each flow of 'phase' has so that queue 0 gets
 * 'flow_skew' of the packets.  'n' as in simulate(). */
static bool
skew_flows(const struct extnic_traffic *traffic,
           const struct extnic_args *args, struct extnic_phase *phase,
           uint32_t len, const uint32_t n[2])
{
    struct counted *rank = calloc(n[0] + n[1], sizeof *rank);
    uint32_t *to = calloc(n[0] + n[1], sizeof *to);
    bool ok = rank && to;

    if (ok) {
        for (uint32_t f = 0; f < n[0] + n[1]; f++) {
            rank[f].flow = f;
        }
        for (uint32_t i = 0; i < len; i++) {
            rank[phase->seq[i].template].n++;
        }
        qsort(rank, n[0], sizeof *rank, by_packets);
        qsort(rank + n[0], n[1], sizeof *rank, by_packets);
        choose_templates(traffic, args, rank, 0, n[0], to);
        choose_templates(traffic, args, rank + n[0], n[0], n[1], to);
        for (uint32_t i = 0; i < len; i++) {
            phase->seq[i].template = to[phase->seq[i].template];
        }
    }
    free(rank);
    free(to);
    return ok;
}

bool
extnic_flow_model_build(struct extnic_traffic *traffic,
                        const struct extnic_args *args,
                        extnic_hash_func *hash, char *error,
                        size_t error_size)
{
    uint32_t len = args->seqlen ? args->seqlen : DEFAULT_LEN;
    struct extnic_rng rng = { args->seed + 5 };
    struct extnic_entry *seq = calloc(len, sizeof *seq);
    struct alive a = { .n = 0 };
    uint32_t n[2] = { 0, 0 };
    uint32_t max = len + (1 << 21);     /* More flows cannot come. */
    bool ok = seq && alive_init(&a, args->active);

    if (ok) {
        simulate(&a, seq, len, max, n, &rng);
        if (n[0] + n[1] > EXTNIC_MAX_TEMPLATES) {
            snprintf(error, error_size, "scenario=%s: %u flows are too many: "
                     "lower seqlen or active", args->scenario_name,
                     n[0] + n[1]);
            ok = false;
        } else {
            ok = extnic_templates_random(traffic, n[0] + n[1], n[0],
                                         args->size, args->seed, args->reta,
                                         hash);
        }
    }
    struct extnic_phase *phase = ok ? extnic_phase_add(traffic, len, 0, 1)
                                    : NULL;
    if (phase) {
        for (uint32_t i = 0; i < len; i++) {
            uint32_t f = seq[i].template;

            phase->seq[i].template = f < max ? f : n[0] + (f - max);
        }
        if (args->flow_skew > 0
            && !skew_flows(traffic, args, phase, len, n)) {
            snprintf(error, error_size, "scenario=%s: out of memory",
                     args->scenario_name);
            phase = NULL;
        } else {
            extnic_phase_finish(traffic, phase);
        }
    }
    alive_uninit(&a);
    free(seq);
    return phase != NULL;
}
