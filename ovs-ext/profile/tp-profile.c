/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/profile/tp-profile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "util.h"

#define TP_RATE_S 1.0           /* Time constants, in seconds: of rates... */
#define TP_SIZES_S 5.0          /* ...of sizes and destinations... */
#define TP_BURST_GAIN 0.3       /* ...and gain of burstiness, in a block. */

enum { TP_MIN_BINS = 20 };      /* Of a block that says anything. */

void
tp_rate_update(struct tp_rate *r, double rate, double s)
{
    double a = 1 - exp(-s / TP_RATE_S);

    r->sum += a * (rate - r->sum);
    r->weight += a * (1 - r->weight);
}

/* Returns the profile that 'flow' belongs to. */
struct profile_id
profile_id_of(const struct tp_flow *flow)
{
    return (struct profile_id) {
        .kind = flow->net_kind,
        .net_id = flow->net_id,
        .class = tp_flow_class(flow),
    };
}

uint32_t
profile_id_hash(const struct profile_id *id)
{
    return hash_3words(id->kind, id->net_id, id->class);
}

bool
profile_id_equals(const struct profile_id *a, const struct profile_id *b)
{
    return (a->kind == b->kind && a->net_id == b->net_id
            && a->class == b->class);
}

/* Counts 'packets' for the destination of 'flow': Space-Saving. */
static void
profile_add_target(struct profile *p, const struct tp_flow *flow,
                   double packets)
{
    struct profile_target *t, *least = p->targets;

    p->targeted += packets;
    for (t = p->targets; t < &p->targets[p->n_targets]; t++) {
        if (t->family == flow->family
            && !memcmp(t->address, flow->dst, sizeof t->address)) {
            t->packets += packets;
            return;
        }
        if (t->packets < least->packets) {
            least = t;
        }
    }
    if (p->n_targets < TP_N_TARGETS) {
        least = &p->targets[p->n_targets++];
        least->packets = 0;
    }
    memcpy(least->address, flow->dst, sizeof least->address);
    least->family = flow->family;
    least->packets += packets;
}

/* Adds a sample of 'len' bytes that stands for 'packets' and 'bytes'. */
void
profile_add(struct profile *p, const struct tp_flow *flow, uint32_t len,
            double packets, double bytes)
{
    size_t size = 0;

    while (len > tp_size_limits[size]) {
        size++;
    }
    p->sizes[size] += packets;
    p->packets += packets;
    p->bytes += bytes;
    profile_add_target(p, flow, packets);
}

/* Works the packets of a finished block into the burstiness. */
static void
profile_end_block(struct profile *p, struct profile_block *b)
{
    double n = TP_N_BINS - b->first;
    double sum = 0, squares = 0;
    double gain = p->began ? TP_BURST_GAIN : 1;
    double mean, variance;

    b->used = false;
    if (n < TP_MIN_BINS) {
        return;
    }
    for (size_t i = b->first; i < TP_N_BINS; i++) {
        sum += b->bins[i];
        squares += b->bins[i] * b->bins[i];
    }
    mean = sum / n;
    variance = (squares - sum * mean) / (n - 1) - b->noise / n;
    p->mean += gain * (mean - p->mean);
    p->variance += gain * (variance - p->variance);
    p->began = true;
}

/* Counts a sample that stands for 'packets', of time 'bin' * TP_BIN_MS. */
void
profile_add_bin(struct profile *p, uint64_t bin, double packets)
{
    uint64_t number = bin / TP_N_BINS;
    struct profile_block *b = &p->blocks[number & 1];

    if (b->used && b->number != number) {
        return;                 /* Too late, or from a clock that jumped. */
    }
    if (!b->used) {
        const struct profile_block *other = &p->blocks[!(number & 1)];

        memset(b, 0, sizeof *b);
        b->used = true;
        b->number = number;
        b->first = p->began || other->used ? 0 : bin % TP_N_BINS;
    }
    b->bins[bin % TP_N_BINS] += packets;
    b->noise += packets * (packets - 1);
}

/* Ends an interval of 's' seconds at time 'bin' * TP_BIN_MS.  What is counted
 * anew each interval, is zero afterwards. */
void
profile_end(struct profile *p, double s, uint64_t bin)
{
    double keep = exp(-s / TP_SIZES_S);

    tp_rate_update(&p->pps, p->packets / s, s);
    tp_rate_update(&p->bps, p->bytes * 8 / s, s);
    p->packets = p->bytes = 0;
    p->flows = p->elephants = 0;
    for (size_t i = 0; i < TP_N_SIZES; i++) {
        p->sizes[i] *= keep;
    }
    for (size_t i = 0; i < p->n_targets; i++) {
        p->targets[i].packets *= keep;
    }
    p->targeted *= keep;
    for (size_t i = 0; i < 2; i++) {
        struct profile_block *b = &p->blocks[i];

        if (b->used && b->number != bin / TP_N_BINS) {
            profile_end_block(p, b);
        }
    }
}

static int
compare_targets(const void *a_, const void *b_)
{
    const struct profile_target *a = a_, *b = b_;

    return (a->packets > b->packets ? -1 : a->packets < b->packets ? 1
            : memcmp(a->address, b->address, sizeof a->address));
}

/* Makes the value that others see.  'mix' is left to the caller, who knows the
 * other profiles. */
void
profile_get(const struct profile *p, struct tp_profile *value)
{
    struct tp_network network = { p->id.kind, p->id.net_id };
    struct profile_target targets[TP_N_TARGETS];
    double sized = 0;

    memset(value, 0, sizeof *value);
    tp_network_format(&network, value->network);
    value->class = p->id.class;
    value->pps = tp_rate_get(&p->pps);
    value->bps = tp_rate_get(&p->bps);
    value->packet_size = value->pps > 0 ? value->bps / value->pps / 8 : 0;
    value->burstiness = p->mean > 0 ? MAX(p->variance / p->mean, 0) : 0;
    value->flows = p->flows;
    value->elephant_share = (value->bps > 0
                             ? MIN(p->elephants / value->bps, 1) : 0);
    for (size_t i = 0; i < TP_N_SIZES; i++) {
        sized += p->sizes[i];
    }
    for (size_t i = 0; i < TP_N_SIZES && sized > 0; i++) {
        value->sizes[i] = p->sizes[i] / sized;
    }
    memcpy(targets, p->targets, sizeof targets);
    qsort(targets, p->n_targets, sizeof *targets, compare_targets);
    value->n_destinations = MIN(p->n_targets, TP_MAX_DESTINATIONS);
    for (size_t i = 0; i < value->n_destinations; i++) {
        struct tp_destination *d = &value->destinations[i];

        tp_address_format(targets[i].family, targets[i].address, d->name);
        d->share = (p->targeted > 0 ? targets[i].packets / p->targeted
                    : 0);
    }
    value->first_seen = p->first_seen;
    value->last_seen = p->last_seen;
}
