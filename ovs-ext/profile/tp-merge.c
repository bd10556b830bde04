/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/profile/tp-merge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "openvswitch/hmap.h"
#include "ovs-ext/profile/tp-profile.h"
#include "ovs-ext/profile/tp-sketch.h"
#include "util.h"

enum {
    TP_SAMPLES = 2000,          /* Wanted of a sketch in 100 ms. */
    TP_EPOCH_MS = 1000,         /* Between epochs of a sketch. */
    TP_MAX_SLICE = 65536        /* Flows of slices that are kept. */
};

/* A flow that is in a table. */
struct heavy {
    struct hmap_node node;      /* In 'flows', by 'key'. */
    uint32_t key;
    struct tp_flow flow;
    struct profile *profile;    /* Null: to be looked up. */
    uint64_t packets, bytes;    /* In this interval. */
    struct tp_rate pps, bps;
    unsigned int interval;      /* Last one that it was in a table. */
    long long int last_seen;
};

/* A flow of the slice. */
struct slice {
    struct hmap_node node;      /* In 'slices', by 'key'. */
    uint32_t key;
    struct profile_id id;
    long long int last_seen;
};

struct tp_merge {
    struct hmap profiles;       /* Contains struct profile. */
    struct hmap flows;          /* Contains struct heavy. */
    struct hmap slices;         /* Contains struct slice. */
    size_t max_profiles;
    uint32_t sample;            /* One packet in this many, 0: to measure. */

    /* Of the interval. */
    unsigned int interval;
    long long int now, last;    /* Milliseconds; 'last' is 0 at first. */
    uint64_t ticks;             /* 'now' on the writers' clock... */
    double ticks_ms;            /* ...and its ticks a millisecond. */

    struct tp_merge_stats stats;
    struct tp_sample *samples;  /* Room for those of one sketch. */
    size_t allocated_samples;
};

/* A sketch and what of it has been read. */
struct tp_reader {
    struct tp_sketch *sketch;
    uint32_t *gens;             /* By place in the table. */
    uint64_t *counts;
    uint64_t packets, bytes, lost; /* Totals when read last. */
    uint64_t new_packets, new_bytes; /* Not shared out yet. */
    long long int epoch;        /* When the last one was begun. */
};

struct tp_merge *
tp_merge_create(void)
{
    struct tp_merge *m = xzalloc(sizeof *m);

    hmap_init(&m->profiles);
    hmap_init(&m->flows);
    hmap_init(&m->slices);
    m->max_profiles = TP_DEFAULT_PROFILES;
    return m;
}

void
tp_merge_destroy(struct tp_merge *m)
{
    struct profile *p;
    struct slice *s;
    struct heavy *f;

    if (!m) {
        return;
    }
    HMAP_FOR_EACH_POP (p, node, &m->profiles) {
        free(p);
    }
    HMAP_FOR_EACH_POP (f, node, &m->flows) {
        free(f);
    }
    HMAP_FOR_EACH_POP (s, node, &m->slices) {
        free(s);
    }
    hmap_destroy(&m->profiles);
    hmap_destroy(&m->flows);
    hmap_destroy(&m->slices);
    free(m->samples);
    free(m);
}

/* Bounds the number of profiles, apart from that of "other", and makes one
 * packet in 'sample' a sample; 0 to let the rate of packets decide.  Profiles
 * that exist stay. */
void
tp_merge_configure(struct tp_merge *m, size_t max_profiles, uint32_t sample)
{
    m->max_profiles = MAX(1, MIN(max_profiles, TP_MAX_PROFILES));
    m->sample = sample;
}

/* Returns a reader of 'sketch', which must outlive it and must have no
 * other. */
struct tp_reader *
tp_reader_create(struct tp_sketch *sketch)
{
    struct tp_reader *r = xzalloc(sizeof *r);
    size_t n = tp_sketch_n_entries(sketch);

    r->sketch = sketch;
    r->gens = xcalloc(n, sizeof *r->gens);
    r->counts = xcalloc(n, sizeof *r->counts);
    return r;
}

void
tp_reader_destroy(struct tp_reader *r)
{
    if (r) {
        free(r->gens);
        free(r->counts);
        free(r);
    }
}

/* Returns the profile of 'id', a new one where 'create', or null. */
static struct profile *
find_profile(struct tp_merge *m, const struct profile_id *id, bool create)
{
    uint32_t hash = profile_id_hash(id);
    struct profile *p;

    HMAP_FOR_EACH_WITH_HASH (p, node, hash, &m->profiles) {
        if (profile_id_equals(&p->id, id)) {
            return p;
        }
    }
    if (!create) {
        return NULL;
    }
    p = xzalloc(sizeof *p);
    p->id = *id;
    p->first_seen = m->now;
    hmap_insert(&m->profiles, &p->node, hash);
    return p;
}

/* Returns the profile that packets of 'flow' count for. */
static struct profile *
profile_of_flow(struct tp_merge *m, const struct tp_flow *flow,
                double packets)
{
    static const struct profile_id other = {
        .kind = TP_NET_OTHER, .class = TP_OTHER
    };
    struct profile_id id = profile_id_of(flow);
    struct profile *p = find_profile(m, &id, false);

    if (p) {
        return p;
    }
    p = find_profile(m, &other, false);
    if (hmap_count(&m->profiles) - (p != NULL) < m->max_profiles) {
        return find_profile(m, &id, true);
    }
    m->stats.overflow += packets;
    return find_profile(m, &other, true);
}

static void
add_slice(struct tp_merge *m, const struct tp_sample *sample)
{
    uint32_t hash = hash_int(sample->key, 0);
    struct slice *s;

    HMAP_FOR_EACH_WITH_HASH (s, node, hash, &m->slices) {
        if (s->key == sample->key) {
            s->last_seen = m->now;
            return;
        }
    }
    if (hmap_count(&m->slices) < TP_MAX_SLICE) {
        s = xmalloc(sizeof *s);
        s->key = sample->key;
        s->id = profile_id_of(&sample->flow);
        s->last_seen = m->now;
        hmap_insert(&m->slices, &s->node, hash);
    }
}

/* Returns the time of 's' in units of TP_BIN_MS. */
static uint64_t
bin_of_sample(const struct tp_merge *m, const struct tp_sample *s)
{
    /* Times have 48 bits. */
    int64_t ago = (int64_t) ((m->ticks - s->time) << 16) >> 16;
    long long int ms = m->now - (long long int) (ago / m->ticks_ms);

    return MAX(ms, 0) / TP_BIN_MS;
}

/* Takes the samples out of the ring of 'r' and shares its packets and bytes
 * out among their profiles. */
static void
read_samples(struct tp_merge *m, struct tp_reader *r)
{
    uint64_t n_samples = 0, length = 0;
    size_t n = tp_sketch_pop(r->sketch, m->samples, m->allocated_samples);

    for (size_t i = 0; i < n; i++) {
        if (m->samples[i].kind == TP_SAMPLE) {
            n_samples++;
            length += m->samples[i].len;
        }
    }
    for (size_t i = 0; i < n; i++) {
        const struct tp_sample *s = &m->samples[i];

        if (s->kind == TP_SAMPLE) {
            double packets = (double) r->new_packets / n_samples;
            double bytes = (length ? (double) s->len * r->new_bytes / length
                            : 0);
            struct profile *p = profile_of_flow(m, &s->flow, packets);

            profile_add(p, &s->flow, s->len, packets, bytes);
            if (m->ticks_ms > 0) {
                profile_add_bin(p, bin_of_sample(m, s), packets);
            }
            p->last_seen = m->now;
        } else {
            add_slice(m, s);
        }
    }
    if (n_samples) {
        r->new_packets = r->new_bytes = 0;
        m->stats.samples += n_samples;
    }
}

/* Counts 'count' more packets and bytes of the flow of '*e'. */
static void
add_heavy(struct tp_merge *m, const struct tp_entry *e, uint64_t count,
          bool have_flow)
{
    uint32_t hash = hash_int(e->key, 0);
    struct heavy *f;

    HMAP_FOR_EACH_WITH_HASH (f, node, hash, &m->flows) {
        if (f->key == e->key) {
            break;
        }
    }
    if (!f) {
        if (!have_flow) {
            return;             /* Not after a restart of the reader. */
        }
        f = xzalloc(sizeof *f);
        f->key = e->key;
        f->flow = e->flow;
        f->last_seen = m->now;
        hmap_insert(&m->flows, &f->node, hash);
    }
    f->interval = m->interval;
    if (count) {
        f->packets += tp_count_packets(count);
        f->bytes += tp_count_bytes(count);
        f->last_seen = m->now;
    }
}

static void
read_table(struct tp_merge *m, struct tp_reader *r)
{
    for (size_t i = 0; i < tp_sketch_n_entries(r->sketch); i++) {
        struct tp_entry e;
        bool is_new;

        if (tp_sketch_read(r->sketch, i, r->gens[i], &e)) {
            is_new = e.gen != r->gens[i];
            add_heavy(m, &e, e.count - (is_new ? 0 : r->counts[i]), is_new);
            r->gens[i] = e.gen;
            r->counts[i] = e.count;
        }
    }
}

/* Begins an interval at 'now' (ms), when the clock that writers pass to
 * tp_sketch_add() stands at 'ticks' and makes 'ticks_ms' a millisecond; 0 if
 * that is not known yet. */
void
tp_merge_begin(struct tp_merge *m, long long int now, uint64_t ticks,
               double ticks_ms)
{
    m->now = now;
    m->ticks = ticks;
    m->ticks_ms = ticks_ms;
    m->interval++;
}

/* Adds what 'r' has seen since the last interval. */
void
tp_merge_add(struct tp_merge *m, struct tp_reader *r)
{
    uint64_t packets, bytes, lost, n;

    if (m->allocated_samples < TP_DEFAULT_SAMPLES) {
        m->allocated_samples = TP_DEFAULT_SAMPLES;
        m->samples = xmalloc(m->allocated_samples * sizeof *m->samples);
    }
    tp_sketch_totals(r->sketch, &packets, &bytes, &lost);
    n = packets - r->packets;
    r->new_packets += n;
    r->new_bytes += bytes - r->bytes;
    m->stats.packets += n;
    m->stats.bytes += bytes - r->bytes;
    m->stats.lost += lost - r->lost;
    r->packets = packets;
    r->bytes = bytes;
    r->lost = lost;

    read_samples(m, r);
    read_table(m, r);

    if (m->last && m->now > m->last) {
        n = n * 100 / (m->now - m->last);
        tp_sketch_set_sampling(r->sketch, (m->sample ? m->sample
                                           : DIV_ROUND_UP(n, TP_SAMPLES)));
    }
    if (m->now - r->epoch >= TP_EPOCH_MS && tp_sketch_age(r->sketch)) {
        r->epoch = m->now;
    }
}

/* Flows that no table holds any more go; the others count for their
 * profile. */
static void
end_flows(struct tp_merge *m, double s)
{
    struct heavy *f;

    HMAP_FOR_EACH_SAFE (f, node, &m->flows) {
        if (f->interval != m->interval) {
            hmap_remove(&m->flows, &f->node);
            free(f);
            continue;
        }
        tp_rate_update(&f->pps, f->packets / s, s);
        tp_rate_update(&f->bps, f->bytes * 8 / s, s);
        f->packets = f->bytes = 0;
        if (m->now - f->last_seen > TP_WINDOW_MS) {
            continue;
        }
        if (!f->profile) {
            struct profile_id id = profile_id_of(&f->flow);

            f->profile = find_profile(m, &id, false);
        }
        if (f->profile) {
            double bps = tp_rate_get(&f->bps);

            f->profile->flows++;
            if (bps >= 0.01 * tp_rate_get(&f->profile->bps)) {
                f->profile->elephants += bps;
            }
        }
    }
}

static void
end_slices(struct tp_merge *m)
{
    struct slice *s;

    HMAP_FOR_EACH_SAFE (s, node, &m->slices) {
        struct profile *p;
        struct heavy *f;

        if (m->now - s->last_seen > TP_WINDOW_MS) {
            hmap_remove(&m->slices, &s->node);
            free(s);
            continue;
        }
        HMAP_FOR_EACH_WITH_HASH (f, node, hash_int(s->key, 0), &m->flows) {
            if (f->key == s->key) {
                break;
            }
        }
        p = f ? NULL : find_profile(m, &s->id, false);
        if (p) {
            p->flows += TP_SLICE;
        }
    }
}

/* Ends an interval, after all sketches were added. */
void
tp_merge_end(struct tp_merge *m)
{
    double s = m->last ? MAX(m->now - m->last, 1) / 1000.0 : 0.1;
    bool gone = false;
    struct profile *p;
    struct heavy *f;

    HMAP_FOR_EACH_SAFE (p, node, &m->profiles) {
        if (m->now - p->last_seen > TP_IDLE_MS) {
            hmap_remove(&m->profiles, &p->node);
            free(p);
            gone = true;
        } else {
            profile_end(p, s, m->now / TP_BIN_MS);
        }
    }
    if (gone) {
        HMAP_FOR_EACH (f, node, &m->flows) {
            f->profile = NULL;
        }
    }
    end_flows(m, s);
    end_slices(m);
    m->stats.profiles = hmap_count(&m->profiles);
    m->stats.flows = hmap_count(&m->flows);
    m->last = m->now;
}

static int
compare_networks(const void *a_, const void *b_)
{
    const struct tp_profile *a = a_, *b = b_;
    int cmp = strcmp(a->network, b->network);

    return cmp ? cmp : (int) a->class - (int) b->class;
}

static int
compare_bps(const void *a_, const void *b_)
{
    const struct tp_profile *a = a_, *b = b_;

    return (a->bps > b->bps ? -1 : a->bps < b->bps ? 1
            : compare_networks(a, b));
}

/* Sets the mix of 'profiles', which are sorted by network. */
static void
set_mixes(struct tp_profile *profiles, size_t n)
{
    for (size_t i = 0; i < n; ) {
        double pps[TP_N_CLASSES] = { 0 };
        double sum = 0;
        size_t end;

        for (end = i; end < n && !strcmp(profiles[end].network,
                                         profiles[i].network); end++) {
            pps[profiles[end].class] += profiles[end].pps;
            sum += profiles[end].pps;
        }
        for (; i < end; i++) {
            for (size_t c = 0; c < TP_N_CLASSES && sum > 0; c++) {
                profiles[i].mix[c] = pps[c] / sum;
            }
        }
    }
}

/* Stores the profiles, that of most bits/s first, in '*profiles', which the
 * caller must free(), and their number in '*n'. */
void
tp_merge_profiles(const struct tp_merge *m, struct tp_profile **profiles,
                  size_t *n)
{
    struct profile *p;

    *profiles = xcalloc(hmap_count(&m->profiles) + 1, sizeof **profiles);
    *n = 0;
    HMAP_FOR_EACH (p, node, &m->profiles) {
        profile_get(p, &(*profiles)[(*n)++]);
    }
    qsort(*profiles, *n, sizeof **profiles, compare_networks);
    set_mixes(*profiles, *n);
    qsort(*profiles, *n, sizeof **profiles, compare_bps);
}

static int
compare_heavy(const void *a_, const void *b_)
{
    const struct tp_heavy *a = a_, *b = b_;

    return (a->pps > b->pps ? -1 : a->pps < b->pps ? 1
            : memcmp(&a->flow, &b->flow, sizeof a->flow));
}

/* Stores the flows of most packets/s, 'max' at most, in '*heavy', which the
 * caller must free(), and their number in '*n'. */
void
tp_merge_heavy(const struct tp_merge *m, size_t max, struct tp_heavy **heavy,
               size_t *n)
{
    struct heavy *f;

    *heavy = xcalloc(hmap_count(&m->flows) + 1, sizeof **heavy);
    *n = 0;
    HMAP_FOR_EACH (f, node, &m->flows) {
        if (m->now - f->last_seen <= TP_WINDOW_MS) {
            struct tp_heavy *h = &(*heavy)[(*n)++];

            h->flow = f->flow;
            h->pps = tp_rate_get(&f->pps);
            h->bps = tp_rate_get(&f->bps);
        }
    }
    qsort(*heavy, *n, sizeof **heavy, compare_heavy);
    *n = MIN(*n, max);
}

void
tp_merge_get_stats(const struct tp_merge *m, struct tp_merge_stats *stats)
{
    *stats = m->stats;
}
