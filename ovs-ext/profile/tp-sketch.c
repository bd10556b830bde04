/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/profile/tp-sketch.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "ovs-atomic.h"
#include "ovs-ext/core/ext-rng.h"
#include "util.h"

enum {
    TP_SEEN_BITS = 17           /* Of the hash that tells flows of the slice
                                 * from those already seen. */
};

/* Packets wrap there. */
#define TP_COUNT_MASK ((UINT32_C(1) << (64 - TP_COUNT_SHIFT)) - 1)

BUILD_ASSERT_DECL(sizeof(struct tp_sample) == 64);

/* What is read of an entry, apart from its key and count. */
struct tp_cold {
    ATOMIC(uint32_t) gen;       /* Odd while the entry is being replaced. */
    ATOMIC(uint32_t) credit;
    ATOMIC(uint64_t) flow[TP_FLOW_WORDS];
};

/* Unless noted, a member is the writer's; the atomic ones the reader reads. */
struct tp_sketch {
    /* The table: 'n_sets' sets of TP_WAYS.  One count more than entries, for
     * packets of flows that have none. */
    ATOMIC(uint32_t) *keys;     /* 0: free. */
    ATOMIC(uint64_t) *counts;
    uint32_t *least;            /* By set: lower bound of the least score, 0
                                 * if a place may be free. */
    uint32_t *base;             /* Packets when the score was worked out. */
    uint32_t *scores;           /* Packets at that time, halved each epoch. */
    struct tp_cold *cold;
    uint32_t n_sets;            /* A power of two; constant. */
    uint32_t shift;             /* Selects the set; constant. */

    /* Skips. */
    uint64_t random;            /* State of the generator. */
    uint32_t trial_left;        /* Misses to the next trial. */
    uint32_t sample_left;       /* Packets to the next sample. */
    ATOMIC(uint32_t) sample_mean; /* The reader's. */

    /* Growing old. */
    ATOMIC(uint32_t) epoch_wanted; /* The reader's. */
    ATOMIC(uint32_t) epoch;
    uint32_t swept;             /* Sets, on the way to 'epoch_wanted'. */

    ATOMIC(uint64_t) packets, bytes;
    ATOMIC(uint64_t) lost;      /* Samples that the ring had no room for. */

    /* Ring of samples. */
    struct tp_sample *ring;
    uint32_t ring_mask;         /* Constant. */
    ATOMIC(uint32_t) head;      /* Free running. */
    ATOMIC(uint32_t) tail;      /* The reader's. */

    /* Bit map of hashes of the flows that went to the ring as part of the
     * slice in this epoch. */
    uint64_t seen[(1u << TP_SEEN_BITS) / 64];
};

/* Creates a sketch of 'n_entries' flows and 'n_samples' samples between two
 * reads; both are rounded up to a power of two.  'seed' decides what chance
 * decides. */
struct tp_sketch *
tp_sketch_create(size_t n_entries, size_t n_samples, uint64_t seed)
{
    struct tp_sketch *s = xzalloc_cacheline(sizeof *s);
    size_t n = ROUND_UP_POW2(MAX(n_entries, 2 * TP_WAYS));

    s->n_sets = n / TP_WAYS;
    s->shift = 32 - log_2_floor(s->n_sets);
    s->keys = xzalloc_cacheline(n * sizeof *s->keys);
    s->counts = xzalloc_cacheline((n + 1) * sizeof *s->counts);
    s->least = xzalloc_cacheline(s->n_sets * sizeof *s->least);
    s->base = xzalloc_cacheline(n * sizeof *s->base);
    s->scores = xzalloc_cacheline(n * sizeof *s->scores);
    s->cold = xzalloc_cacheline(n * sizeof *s->cold);

    n = ROUND_UP_POW2(MAX(n_samples, 64));
    s->ring = xzalloc_cacheline(n * sizeof *s->ring);
    s->ring_mask = n - 1;
    s->random = ext_splitmix64(&seed) | 1;
    atomic_init(&s->sample_mean, 1);
    return s;
}

void
tp_sketch_destroy(struct tp_sketch *s)
{
    if (s) {
        free_cacheline(s->keys);
        free_cacheline(s->counts);
        free_cacheline(s->least);
        free_cacheline(s->base);
        free_cacheline(s->scores);
        free_cacheline(s->cold);
        free_cacheline(s->ring);
        free_cacheline(s);
    }
}

/* Returns the memory that 's' takes, in bytes. */
size_t
tp_sketch_bytes(const struct tp_sketch *s)
{
    size_t n = s->n_sets * TP_WAYS;

    return (sizeof *s + s->n_sets * sizeof *s->least
            + n * (sizeof *s->keys + sizeof *s->counts + sizeof *s->base
                   + sizeof *s->scores + sizeof *s->cold)
            + (s->ring_mask + 1) * sizeof *s->ring);
}

/* PMD-THREAD CODE */

/* Returns a bit for each of the TP_WAYS 'keys' that is 'key'. */
static inline uint32_t
tp_match(const ATOMIC(uint32_t) *keys, uint32_t key)
{
#ifdef __SSE2__
    const __m128i *p = (const void *) keys;
    __m128i k = _mm_set1_epi32(key);
    __m128i lo = _mm_packs_epi32(_mm_cmpeq_epi32(_mm_load_si128(p), k),
                                 _mm_cmpeq_epi32(_mm_load_si128(p + 1), k));
    __m128i hi = _mm_packs_epi32(_mm_cmpeq_epi32(_mm_load_si128(p + 2), k),
                                 _mm_cmpeq_epi32(_mm_load_si128(p + 3), k));

    return _mm_movemask_epi8(_mm_packs_epi16(lo, hi));
#else
    uint32_t match = 0;

    for (size_t i = 0; i < TP_WAYS; i++) {
        uint32_t other;

        atomic_read_relaxed(&CONST_CAST(ATOMIC(uint32_t) *, keys)[i], &other);
        match |= (uint32_t) (other == key) << i;
    }
    return match;
#endif
}

static inline uint32_t
tp_key(uint32_t hash)
{
    return hash ? hash : 1;
}

/* Spreads a key: RSS hashes of one queue may have their low bits in common. */
static inline uint32_t
tp_mix(uint32_t key)
{
    return key * UINT32_C(0x9e3779b1);
}

static inline void
tp_count(struct tp_sketch *s, size_t i, uint32_t len)
{
    uint64_t count;

    atomic_read_relaxed(&s->counts[i], &count);
    count += (UINT64_C(1) << TP_COUNT_SHIFT) + len;
    atomic_store_relaxed(&s->counts[i], count);
}

static inline void
tp_add64(ATOMIC(uint64_t) *sum, uint64_t n)
{
    uint64_t value;

    atomic_read_relaxed(sum, &value);
    atomic_store_relaxed(sum, value + n);
}

/* Returns 32 random bits (xorshift64*, Vigna 2016). */
static inline uint32_t
tp_random(struct tp_sketch *s)
{
    s->random ^= s->random >> 12;
    s->random ^= s->random << 25;
    s->random ^= s->random >> 27;
    return (s->random * UINT64_C(0x2545f4914f6cdd1d)) >> 32;
}

/* Returns a random number from 1 to 2 * 'mean' - 1. */
static inline uint32_t
tp_skip(struct tp_sketch *s, uint32_t mean)
{
    return 1 + ((uint64_t) tp_random(s) * (2 * (uint64_t) mean - 1) >> 32);
}

/* Returns the packets of entry 'i', in which older ones count for less. */
static inline uint32_t
tp_score(const struct tp_sketch *s, size_t i)
{
    uint64_t count;

    atomic_read_relaxed(&s->counts[i], &count);
    return (s->scores[i]
            + ((tp_count_packets(count) - s->base[i]) & TP_COUNT_MASK));
}

/* Gives place 'i' to packet 'p' of 'burst'.  With a key of 0, only lets its
 * flow go. */
static void
tp_replace(struct tp_sketch *s, size_t i, uint32_t key, uint32_t credit,
           const struct tp_burst *burst, size_t p)
{
    struct tp_cold *cold = &s->cold[i];
    union {
        struct tp_flow flow;
        uint64_t words[TP_FLOW_WORDS];
    } u;
    uint32_t gen;

    if (key) {
        tp_flow_parse(burst->data[p], burst->len[p], &u.flow);
    }
    /* Release stores keep the odd generation before what follows it. */
    atomic_read_relaxed(&cold->gen, &gen);
    atomic_store_relaxed(&cold->gen, gen + 1);
    atomic_store_explicit(&s->keys[i], key, memory_order_release);
    atomic_store_explicit(&s->counts[i], 0, memory_order_release);
    if (key) {
        atomic_store_explicit(&cold->credit, credit, memory_order_release);
        for (size_t j = 0; j < TP_FLOW_WORDS; j++) {
            atomic_store_explicit(&cold->flow[j], u.words[j],
                                  memory_order_release);
        }
    }
    atomic_store_explicit(&cold->gen, gen + 2, memory_order_release);

    s->base[i] = 0;
    s->scores[i] = credit;
    if (key) {
        tp_count(s, i, burst->len[p]);
    }
}

/* Returns the entry of 'key', or SIZE_MAX. */
static inline size_t
tp_find(const struct tp_sketch *s, uint32_t set, uint32_t key)
{
    uint32_t match = tp_match(&s->keys[set * TP_WAYS], key);

    return match ? set * TP_WAYS + raw_ctz(match) : SIZE_MAX;
}

/* Admits packet 'p' to its set, whose 'least' is 0, if there is room. */
static void
tp_admit_free(struct tp_sketch *s, const struct tp_burst *burst, size_t p)
{
    uint32_t key = tp_key(burst->hash[p]);
    uint32_t set = tp_mix(key) >> s->shift;
    size_t i = tp_find(s, set, key);

    if (i != SIZE_MAX) {
        /* An earlier packet of this burst was admitted. */
        tp_count(s, i, burst->len[p]);
        return;
    }
    i = tp_find(s, set, 0);
    if (i != SIZE_MAX) {
        tp_replace(s, i, key, 0, burst, p);
    } else {
        s->least[set] = 1;
    }
}

/* Admits packet 'p', which has missed, in place of the smallest flow of its
 * set, or does not. */
static void
tp_trial(struct tp_sketch *s, const struct tp_burst *burst, size_t p)
{
    uint32_t key = tp_key(burst->hash[p]);
    uint32_t set = tp_mix(key) >> s->shift;
    uint64_t r = tp_random(s);
    size_t best = set * TP_WAYS;
    uint32_t least = UINT32_MAX;

    if (!s->least[set]
        || r * (s->least[set] + TP_TRIAL_MEAN) >> 32 >= TP_TRIAL_MEAN
        || tp_find(s, set, key) != SIZE_MAX) {
        return;
    }
    for (size_t i = set * TP_WAYS; i < (set + 1) * TP_WAYS; i++) {
        uint32_t score = tp_score(s, i);

        if (score < least) {
            least = score;
            best = i;
        }
    }
    s->least[set] = MAX(least, 1);
    if (r * ((uint64_t) s->least[set] + TP_TRIAL_MEAN) >> 32
        < TP_TRIAL_MEAN) {
        tp_replace(s, best, key, least + TP_TRIAL_MEAN - 1, burst, p);
    }
}

/* Puts packet 'p' into the ring. */
static void
tp_push(struct tp_sketch *s, const struct tp_burst *burst, size_t p,
        enum tp_sample_kind kind, uint64_t time)
{
    struct tp_sample *sample;
    uint32_t head, tail;

    atomic_read_relaxed(&s->head, &head);
    atomic_read_explicit(&s->tail, &tail, memory_order_acquire);
    if (OVS_UNLIKELY(head - tail > s->ring_mask)) {
        tp_add64(&s->lost, 1);
        return;
    }
    sample = &s->ring[head & s->ring_mask];
    tp_flow_parse(burst->data[p], burst->len[p], &sample->flow);
    sample->time = time;
    sample->len = MIN(burst->len[p], (1u << 14) - 1);
    sample->kind = kind;
    sample->key = tp_key(burst->hash[p]);
    atomic_store_explicit(&s->head, head + 1, memory_order_release);
}

/* Puts packet 'p', of the slice, into the ring unless one of its flow, or of
 * the rare other flow of the same hash, was put there in this epoch. */
static void
tp_push_flow(struct tp_sketch *s, const struct tp_burst *burst, size_t p,
             uint64_t time)
{
    uint32_t key = tp_key(burst->hash[p]);
    uint32_t hash = key * UINT32_C(0x85ebca6b) >> (32 - TP_SEEN_BITS);
    uint64_t bit = UINT64_C(1) << (hash & 63);

    if (!(s->seen[hash / 64] & bit)) {
        s->seen[hash / 64] |= bit;
        tp_push(s, burst, p, TP_SAMPLE_FLOW, time);
    }
}

/* Makes the scores of one set older. */
static void
tp_sweep(struct tp_sketch *s)
{
    uint32_t n_seen = DIV_ROUND_UP(ARRAY_SIZE(s->seen), s->n_sets);
    uint32_t set = s->swept++;
    uint32_t least = UINT32_MAX;

    for (size_t i = set * TP_WAYS; i < (set + 1) * TP_WAYS; i++) {
        uint32_t key, score;
        uint64_t count;

        atomic_read_relaxed(&s->keys[i], &key);
        if (!key) {
            least = 0;
            continue;
        }
        score = tp_score(s, i);
        atomic_read_relaxed(&s->counts[i], &count);
        if (!score) {
            tp_replace(s, i, 0, 0, NULL, 0);
            least = 0;
            continue;
        }
        s->base[i] = tp_count_packets(count);
        s->scores[i] = score / 2;
        least = MIN(least, score / 2 ? score / 2 : 1);
    }
    s->least[set] = least;
    for (size_t i = 0; i < n_seen; i++) {
        s->seen[(set * n_seen + i) % ARRAY_SIZE(s->seen)] = 0;
    }
    if (s->swept == s->n_sets) {
        uint32_t wanted;

        s->swept = 0;
        atomic_read_relaxed(&s->epoch_wanted, &wanted);
        atomic_store_relaxed(&s->epoch, wanted);
    }
}

/* Counts all packets.  Stores those whose flow is not in the table in 'misses'
 * and returns their number.  No branch depends on what packets are. */
static inline uint32_t
tp_count_all(struct tp_sketch *s, const struct tp_burst *burst,
             uint8_t misses[TP_BURST])
{
    uint32_t n_entries = s->n_sets * TP_WAYS;
    uint32_t shift = s->shift;
    uint32_t n_misses = 0;
    uint64_t bytes = 0;

    for (uint32_t p = 0; p < burst->n; p++) {
        uint32_t key = tp_key(burst->hash[p]);
        uint32_t set = tp_mix(key) >> shift;
        uint32_t match = tp_match(&s->keys[set * TP_WAYS], key);
        uint32_t way = raw_ctz(match | 1u << TP_WAYS);
        bool miss = way >= TP_WAYS;
        uint32_t i = miss ? n_entries : set * TP_WAYS + way;

        tp_count(s, i, burst->len[p]);
        bytes += burst->len[p];
        misses[n_misses] = p;
        n_misses += miss;
    }
    tp_add64(&s->packets, burst->n);
    tp_add64(&s->bytes, bytes);
    return n_misses;
}

/* Looks which of the packets that have missed find room in their set, and
 * which are of flows in the slice; the former are admitted, of the latter one
 * each goes to the ring. */
static inline void
tp_see_misses(struct tp_sketch *s, const struct tp_burst *burst,
              const uint8_t *misses, uint32_t n_misses, uint64_t time)
{
    uint8_t room[TP_BURST], slice[TP_BURST];
    uint32_t n_room = 0, n_slice = 0;

    for (uint32_t j = 0; j < n_misses; j++) {
        uint32_t mix = tp_mix(tp_key(burst->hash[misses[j]]));

        room[n_room] = misses[j];
        n_room += !s->least[mix >> s->shift];
        slice[n_slice] = misses[j];
        n_slice += !(mix >> (s->shift - 5) & (TP_SLICE - 1));
    }
    for (uint32_t j = 0; j < n_room; j++) {
        tp_admit_free(s, burst, room[j]);
    }
    for (uint32_t j = 0; j < n_slice; j++) {
        tp_push_flow(s, burst, slice[j], time);
    }
}

/* Adds the packets of 'burst' at 'time', in any unit that the reader knows.
 * Writer. */
void
tp_sketch_add(struct tp_sketch *s, const struct tp_burst *burst,
              uint64_t time)
{
    uint32_t epoch, wanted, mean, n_misses;
    uint8_t misses[TP_BURST];

    n_misses = tp_count_all(s, burst, misses);
    tp_see_misses(s, burst, misses, n_misses, time);
    while (s->trial_left < n_misses) {
        tp_trial(s, burst, misses[s->trial_left]);
        s->trial_left += tp_skip(s, TP_TRIAL_MEAN);
    }
    s->trial_left -= n_misses;

    if (OVS_UNLIKELY(s->sample_left < burst->n)) {
        atomic_read_relaxed(&s->sample_mean, &mean);
        do {
            tp_push(s, burst, s->sample_left, TP_SAMPLE, time);
            s->sample_left += tp_skip(s, mean);
        } while (s->sample_left < burst->n);
    }
    s->sample_left -= burst->n;

    atomic_read_relaxed(&s->epoch_wanted, &wanted);
    atomic_read_relaxed(&s->epoch, &epoch);
    if (OVS_UNLIKELY(epoch != wanted)) {
        tp_sweep(s);
    }
}

/* END PMD-THREAD CODE */

/* Returns the number of places in the table. */
size_t
tp_sketch_n_entries(const struct tp_sketch *s)
{
    return s->n_sets * TP_WAYS;
}

/* Reads place 'i' into '*e'.  Returns false if it is free, or if the writer is
 * just replacing it.  'e->flow' is read only where the generation differs from
 * 'known_gen'; generations are even.  Reader. */
bool
tp_sketch_read(const struct tp_sketch *s_, size_t i, uint32_t known_gen,
               struct tp_entry *e)
{
    struct tp_sketch *s = CONST_CAST(struct tp_sketch *, s_);
    struct tp_cold *cold = &s->cold[i];
    uint64_t words[TP_FLOW_WORDS];
    uint32_t gen;

    atomic_read_explicit(&cold->gen, &e->gen, memory_order_acquire);
    if (e->gen & 1) {
        return false;
    }
    /* Acquire loads keep the second look at the generation after them. */
    atomic_read_explicit(&s->keys[i], &e->key, memory_order_acquire);
    if (!e->key) {
        return false;
    }
    atomic_read_explicit(&s->counts[i], &e->count, memory_order_acquire);
    if (e->gen != known_gen) {
        atomic_read_explicit(&cold->credit, &e->credit, memory_order_acquire);
        for (size_t j = 0; j < TP_FLOW_WORDS; j++) {
            atomic_read_explicit(&cold->flow[j], &words[j],
                                 memory_order_acquire);
        }
        memcpy(&e->flow, words, sizeof e->flow);
    }
    atomic_read_relaxed(&cold->gen, &gen);
    return gen == e->gen;
}

/* Takes up to 'max' samples, the oldest first.  Returns their number.
 * Reader. */
size_t
tp_sketch_pop(struct tp_sketch *s, struct tp_sample *samples, size_t max)
{
    uint32_t head, tail;
    size_t n;

    atomic_read_explicit(&s->head, &head, memory_order_acquire);
    atomic_read_relaxed(&s->tail, &tail);
    n = MIN(head - tail, max);
    for (size_t i = 0; i < n; i++) {
        samples[i] = s->ring[(tail + i) & s->ring_mask];
    }
    atomic_store_explicit(&s->tail, tail + n, memory_order_release);
    return n;
}

/* Stores the packets and bytes added so far and the samples lost because the
 * reader was too slow.  Any thread. */
void
tp_sketch_totals(const struct tp_sketch *s_, uint64_t *packets,
                 uint64_t *bytes, uint64_t *lost)
{
    struct tp_sketch *s = CONST_CAST(struct tp_sketch *, s_);

    atomic_read_relaxed(&s->packets, packets);
    atomic_read_relaxed(&s->bytes, bytes);
    atomic_read_relaxed(&s->lost, lost);
}

/* Makes one packet in 'mean', from the next sample on, a sample.  Reader. */
void
tp_sketch_set_sampling(struct tp_sketch *s, uint32_t mean)
{
    atomic_store_relaxed(&s->sample_mean, MAX(mean, 1));
}

/* Returns the present mean.  Any thread. */
uint32_t
tp_sketch_sampling(const struct tp_sketch *s)
{
    uint32_t mean;

    atomic_read_relaxed(&CONST_CAST(struct tp_sketch *, s)->sample_mean,
                        &mean);
    return mean;
}

/* Begins an epoch.  Returns false if the writer is still about the last one,
 * of which it does a part with each burst; call again later.  Reader. */
bool
tp_sketch_age(struct tp_sketch *s)
{
    uint32_t epoch, wanted;

    atomic_read_relaxed(&s->epoch, &epoch);
    atomic_read_relaxed(&s->epoch_wanted, &wanted);
    if (epoch != wanted) {
        return false;
    }
    atomic_store_relaxed(&s->epoch_wanted, wanted + 1);
    return true;
}
