/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/profile/tp-sketch-impl.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "ovs-ext/core/ext-rng.h"
#include "util.h"

/* Packets wrap there. */
#define TP_COUNT_MASK ((UINT32_C(1) << (64 - TP_COUNT_SHIFT)) - 1)

BUILD_ASSERT_DECL(sizeof(struct tp_sample) == 64);

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

/* tp_match() returns TP_MATCH bits for each of the TP_WAYS 'keys' that is
 * 'key'. */
#ifdef __SSE2__
enum { TP_MATCH = 2 };

static inline uint32_t
tp_match(const ATOMIC(uint32_t) *keys, uint32_t key)
{
    const __m128i *p = (const void *) keys;
    __m128i k = _mm_set1_epi32(key);
    __m128i lo = _mm_cmpeq_epi32(_mm_load_si128(p), k);
    __m128i hi = _mm_cmpeq_epi32(_mm_load_si128(p + 1), k);

    return _mm_movemask_epi8(_mm_packs_epi32(lo, hi));
}
#else
enum { TP_MATCH = 1 };

static inline uint32_t
tp_match(const ATOMIC(uint32_t) *keys, uint32_t key)
{
    uint32_t match = 0;

    for (size_t i = 0; i < TP_WAYS; i++) {
        uint32_t other;

        atomic_read_relaxed(&CONST_CAST(ATOMIC(uint32_t) *, keys)[i], &other);
        match |= (uint32_t) (other == key) << i;
    }
    return match;
}
#endif

/* What tp_first() returns for none. */
enum { TP_NONE = TP_WAYS * TP_MATCH };
BUILD_ASSERT_DECL(IS_POW2(TP_NONE));

/* Returns TP_MATCH times the first way of 'match'. */
static inline uint32_t
tp_first(uint32_t match)
{
    return raw_ctz(match | 1u << TP_NONE);
}

static inline uint32_t
tp_key(uint32_t hash)
{
    return hash + !hash;
}

/* Spreads a key: RSS hashes of one queue may have their low bits in common. */
static inline uint32_t
tp_mix(uint32_t key)
{
    return key * UINT32_C(0x9e3779b1);
}

/* Counts a packet of 'len' bytes. */
static inline void
tp_count(ATOMIC(uint64_t) *counter, uint32_t len)
{
    uint64_t count;

    atomic_read_relaxed(counter, &count);
    count += (UINT64_C(1) << TP_COUNT_SHIFT) + len;
    atomic_store_relaxed(counter, count);
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
        tp_count(&s->counts[i], burst->len[p]);
    }
}

/* Returns the entry of 'key', or SIZE_MAX. */
static inline size_t
tp_find(const struct tp_sketch *s, uint32_t set, uint32_t key)
{
    uint32_t first = tp_first(tp_match(&s->keys[set * TP_WAYS], key));

    return first < TP_NONE ? set * TP_WAYS + first / TP_MATCH : SIZE_MAX;
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
        tp_count(&s->counts[i], burst->len[p]);
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
    /* Offsets are in counts times TP_MATCH. */
    uint32_t none = s->n_sets * TP_NONE;
    const ATOMIC(uint32_t) *keys = s->keys;
    uint8_t *counts = (uint8_t *) s->counts;
    uint32_t n = burst->n, shift = s->shift;
    uint32_t n_misses = 0;
    uint64_t bytes = 0;

    for (uint32_t p = 0; p < n; p++) {
        uint32_t key = tp_key(burst->hash[p]);
        uint32_t set = tp_mix(key) >> shift;
        uint32_t first = tp_first(tp_match(&keys[(size_t) set * TP_WAYS],
                                           key));
        size_t offset = first == TP_NONE ? none : set * TP_NONE + first;
        uint32_t len = burst->len[p];

        tp_count((void *) (counts + offset * (sizeof *s->counts / TP_MATCH)),
                 len);
        bytes += len;
        misses[n_misses] = p;
        n_misses += first / TP_NONE;
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
        /* Of sets there is an even number. */
        tp_sweep(s);
        tp_sweep(s);
    }
}

/* END PMD-THREAD CODE */
