/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include <string.h>

#include "ovs-ext/session/phc-impl.h"

/* The readers' side: finding an entry and pushing a header. */

/* PMD-THREAD CODE */

/* A key of a burst on its way. */
struct probe {
    struct phc_set *set;
    uint32_t seq;
    uint16_t tag;
    uint16_t ways;              /* As sess_tags_find(). */
};

/* Returns the 'ref' word of the entry at 'way', which has been looked up. */
static inline uint64_t
entry_ref(struct phc_set *set, unsigned int way)
{
    if (OVS_UNLIKELY(!__atomic_load_n(&set->used[way], __ATOMIC_RELAXED))) {
        __atomic_store_n(&set->used[way], 1, __ATOMIC_RELAXED);
    }
    return ext_load64(&set->ways[way].ref);
}

/* Looks again, at each way that has the tag, in a set that was being written
 * or whose first such way has another key.  Returns 0 for none. */
static __attribute__((noinline)) uint64_t
find_again(struct phc_set *set, const struct sess_key *key, uint16_t tag,
           struct phc_stats *stats)
{
    for (int try = 0; try < PHC_TRIES; try++) {
        uint32_t seq = ext_seq_begin(&set->seq);
        uint64_t ways = sess_tags_find(&set->tags, tag);
        uint64_t word = 0;

        for (; ways && !word; ways &= ways - 1) {
            unsigned int way = sess_way(ways);

            if (sess_words_equal(set->ways[way].key, key->words,
                                 SESS_KEY_WORDS)) {
                word = entry_ref(set, way);
            }
        }
        if (ext_seq_ok(&set->seq, seq)) {
            return word;
        }
    }
    stats->busy++;
    return 0;
}

/* Returns the 'ref' word of the entry for 'key', 0 if there is none. */
static inline uint64_t
find(const struct probe *p, const struct sess_key *key,
     struct phc_stats *stats)
{
    uint64_t word = 0;

    if (OVS_LIKELY(p->ways)) {
        unsigned int way = sess_way(p->ways);

        if (OVS_UNLIKELY(!sess_words_equal(p->set->ways[way].key, key->words,
                                           SESS_KEY_WORDS))) {
            return find_again(p->set, key, p->tag, stats);
        }
        word = entry_ref(p->set, way);
    }
    if (OVS_UNLIKELY(!ext_seq_ok(&p->set->seq, p->seq))) {
        return find_again(p->set, key, p->tag, stats);
    }
    return word;
}

/* Looks up the 'n' keys, at most PHC_BURST, at time 'now' in ms, stores what
 * was found in 'refs' and counts in 'stats', which belongs to this thread. */
void
phc_lookup(struct phc *phc, const struct sess_key *keys, size_t n,
           uint32_t now, struct phc_ref *refs, struct phc_stats *stats)
{
    const struct phc_slot *slots = phc->slots;
    struct probe probes[PHC_BURST];
    size_t hits = 0;

    /* Three passes, each over lines that the one before has asked for. */
#pragma GCC unroll 4
    for (size_t i = 0; i < n; i++) {
        uint64_t hash = sess_key_hash(&keys[i], phc->basis);

        probes[i].set = phc_set_of(phc, hash);
        probes[i].tag = sess_tag(hash);
        OVS_PREFETCH(probes[i].set);
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < n; i++) {
        struct probe *p = &probes[i];

        p->seq = ext_seq_begin(&p->set->seq);
        p->ways = sess_tags_find(&p->set->tags, p->tag);
        if (OVS_LIKELY(p->ways)) {
            OVS_PREFETCH(&p->set->ways[sess_way(p->ways)]);
        }
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t word = find(&probes[i], &keys[i], stats);

        refs[i] = phc_word_ref(word);
        if (OVS_LIKELY(word)) {
            if (OVS_UNLIKELY(phc_is_past(word >> 32, now))) {
                stats->expired++;
                refs[i] = phc_word_ref(0);
            } else {
                OVS_PREFETCH(&slots[refs[i].template]);
                hits++;
            }
        } else {
            refs[i].epoch = ext_load32(&probes[i].set->spilled) != 0;
        }
    }
    stats->hits += hits;
    stats->misses += n - hits;
}

/* Has the writer see that 'key' is looked for, which a lookup has said is
 * worth it (phc_ref_was_spilled()).  Returns true until the writer has seen
 * it; not if that was within the last second, or if another key waits in its
 * place. */
bool
phc_ask(struct phc *phc, const struct sess_key *key)
{
    uint64_t hash = sess_key_hash(key, phc->basis);
    struct phc_ask *ask = &phc->asks[hash % PHC_ASKS];

    uint32_t state = ext_load32(&ask->state);

    if (state != PHC_ASK_FREE
        && (state == PHC_ASK_WAITS
            || sess_words_equal(ask->key, key->words, SESS_KEY_WORDS))) {
        return (state == PHC_ASK_WAITS
                && sess_words_equal(ask->key, key->words, SESS_KEY_WORDS));
    }
    if (!ext_seq_try_lock(&ask->seq)) {
        return false;
    }
    for (int i = 0; i < SESS_KEY_WORDS; i++) {
        ext_store64(&ask->key[i], key->words[i]);
    }
    ext_store32(&ask->state, PHC_ASK_WAITS);
    ext_seq_write_end(&ask->seq);
    return true;
}

/* Copies the template that 'ref' leads to so that it ends at 'end', before
 * which there are 'room' bytes.  Returns false, and may have written there, if
 * it is too long or not a living template. */
static inline bool
slot_copy(const struct phc *phc, struct phc_ref ref, uint8_t *end,
          size_t room, struct phc_slot_tail *tail)
{
    const struct phc_slot *slot = &phc->slots[ref.template];

    for (int try = 0; try < PHC_TRIES; try++) {
        uint32_t seq = ext_seq_begin(&slot->seq);
        uint32_t gen = ext_load32(&slot->gen);
        uint64_t last = ext_load64(&slot->words[6]);
        uint8_t *p;

        /* Two bytes of header, then the tail. */
        memcpy(tail, (const uint8_t *) &last + 2, sizeof *tail);
        if (OVS_UNLIKELY(tail->len > room || tail->len < PHC_HEAD
                         || tail->len > PHC_MAX_HEADER)) {
            if (ext_seq_ok(&slot->seq, seq)) {
                return false;
            }
            continue;
        }
        p = end - tail->len;
        for (int i = 0; i < 6; i++) {
            uint64_t word = ext_load64(&slot->words[i]);

            memcpy(p + i * 8, &word, 8);
        }
        memcpy(p + 48, &last, 2);
        for (size_t i = 0; OVS_UNLIKELY(PHC_HEAD + i * 8 < tail->len); i++) {
            uint64_t word = ext_load64(&slot->more[i]);

            memcpy(p + PHC_HEAD + i * 8, &word,
                   MIN(8, tail->len - PHC_HEAD - i * 8));
        }
        if (OVS_LIKELY(ext_seq_ok(&slot->seq, seq))) {
            return (tail->flags & PHC_SLOT_VALID && tail->epoch == ref.epoch
                    && ext_load32(&phc->gens[tail->service]) == gen);
        }
    }
    return false;
}

static inline void
tail_to_shape(const struct phc_slot_tail *tail, struct phc_shape *shape)
{
    shape->len = tail->len;
    shape->l3_ofs = (tail->flags & PHC_SLOT_VLAN
                     ? ETH_HEADER_LEN + VLAN_HEADER_LEN : ETH_HEADER_LEN);
    shape->ip6 = (tail->flags & PHC_SLOT_IP6) != 0;
    shape->csum = (tail->flags & PHC_SLOT_CSUM) != 0;
}

static __attribute__((noinline)) size_t
push_any(const struct phc *phc, struct phc_ref ref, uint8_t *payload,
         size_t payload_len, size_t headroom, const struct phc_patch *patch)
{
    struct phc_slot_tail tail;
    struct phc_shape shape;

    if (!slot_copy(phc, ref, payload, headroom, &tail)) {
        return 0;
    }
    tail_to_shape(&tail, &shape);
    phc_header_patch(payload - tail.len, &shape, payload_len, patch);
    return tail.len;
}

#ifndef WORDS_BIGENDIAN
/* The first 48 bytes of a header. */
struct plain {
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
    __m128i x[3];
#else
    uint64_t words[6];
#endif
};

static inline struct plain
plain_load(const uint64_t *words)
{
    struct plain p;

#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
    p.x[0] = _mm_loadu_si128((const void *) &words[0]);
    p.x[1] = _mm_loadu_si128((const void *) &words[2]);
    p.x[2] = _mm_loadu_si128((const void *) &words[4]);
    __asm__ __volatile__ ("" : : : "memory");
#else
    for (int i = 0; i < 6; i++) {
        p.words[i] = ext_load64(&words[i]);
    }
#endif
    return p;
}

static inline void
plain_store(const struct plain *p, uint8_t *header)
{
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
    _mm_storeu_si128((void *) header, p->x[0]);
    _mm_storeu_si128((void *) (header + 16), p->x[1]);
    _mm_storeu_si128((void *) (header + 32), p->x[2]);
#else
    memcpy(header, p->words, sizeof p->words);
#endif
}

/* The sum of the IPv4 header without length and identification. */
static inline uint16_t
plain_sum(const struct plain *p)
{
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
    return ~_mm_extract_epi16(p->x[1], 4);
#else
    return ~p->words[3];
#endif
}

static inline void
put16(uint8_t *to, ovs_be16 x)
{
    memcpy(to, &x, sizeof x);
}

/* As slot_copy() and phc_header_patch() in one, for what most templates are:
 * Ethernet without VLAN, IPv4, no UDP checksum, no options.  Returns false if
 * it is not such a template, or not a living one, or is being written. */
static inline bool
push_plain(const struct phc *phc, struct phc_ref ref, uint8_t *end,
           size_t payload_len, const struct phc_patch *patch)
{
    const struct phc_slot *slot = &phc->slots[ref.template];
    uint64_t want = ((uint64_t) ref.epoch << 48
                     | PHC_SLOT_VALID << 24 | PHC_HEAD << 16);
    uint32_t seq = ext_seq_begin(&slot->seq);
    /* Header (2), length, flags, service (2), epoch (2). */
    uint64_t last = ext_load64(&slot->words[6]);
    struct plain plain = plain_load(slot->words);

    if (OVS_UNLIKELY((last ^ want) & UINT64_C(0xffff0000ffff0000)
                     || (ext_load32(&phc->gens[(uint16_t) (last >> 32)])
                         != ext_load32(&slot->gen))
                     || !ext_seq_ok(&slot->seq, seq))) {
        return false;
    }

    uint16_t udp_len = payload_len + PHC_HEAD - ETH_HEADER_LEN - IP_HEADER_LEN;
    uint32_t lengths = ((uint32_t) htons(patch->ip_id) << 16
                        | htons(udp_len + IP_HEADER_LEN));
    uint32_t sum = plain_sum(&plain) + (lengths & 0xffff) + (lengths >> 16);
    uint8_t *header = end - PHC_HEAD;

    plain_store(&plain, header);
    memcpy(header + 48, &last, 2);
    memcpy(header + 16, &lengths, 4);
    put16(header + 24, ~((sum + (sum << 16 | sum >> 16)) >> 16));
    put16(header + 34, htons(phc_header_sport(patch->flow_hash)));
    put16(header + 38, htons(udp_len));
    return true;
}
#endif

/* Puts the header that 'ref' leads to right before 'payload', where there are
 * 'headroom' bytes.  Returns its length, or 0 if there is no such template any
 * more or no room; the headroom may then have been written to. */
size_t
phc_push(const struct phc *phc, struct phc_ref ref, uint8_t *payload,
         size_t payload_len, size_t headroom, const struct phc_patch *patch)
{
#ifndef WORDS_BIGENDIAN
    if (OVS_LIKELY(headroom >= PHC_HEAD
                   && push_plain(phc, ref, payload, payload_len, patch))) {
        return PHC_HEAD;
    }
#endif
    return push_any(phc, ref, payload, payload_len, headroom, patch);
}

/* Stores the template that 'ref' leads to, for OVS's own tnl_push, and the
 * host that it leads to.  Returns false if it is dead. */
bool
phc_ref_header(const struct phc *phc, struct phc_ref ref,
               uint8_t header[PHC_MAX_HEADER], struct phc_shape *shape,
               uint32_t *owner)
{
    uint8_t copy[PHC_MAX_HEADER];
    struct phc_slot_tail tail;

    /* Before the slot: the next owner of the place is written after the place
     * has changed its epoch. */
    *owner = ext_load32(&phc->owners[ref.template]);
    if (!slot_copy(phc, ref, copy + sizeof copy, sizeof copy, &tail)) {
        return false;
    }
    memcpy(header, copy + sizeof copy - tail.len, tail.len);
    tail_to_shape(&tail, shape);
    return true;
}

/* Stores who owns the session that 'ref' was found for, whether there is a
 * header towards it now or not.  Returns false if that is no member any
 * more. */
bool
phc_ref_owner(const struct phc *phc, struct phc_ref ref, uint32_t *owner)
{
    const struct phc_slot *slot = &phc->slots[ref.template];

    /* As above. */
    *owner = ext_load32(&phc->owners[ref.template]);
    for (int try = 0; ref.template && try < PHC_TRIES; try++) {
        uint32_t seq = ext_seq_begin(&slot->seq);
        uint64_t last = ext_load64(&slot->words[6]);
        struct phc_slot_tail tail;

        memcpy(&tail, (const uint8_t *) &last + 2, sizeof tail);
        if (OVS_LIKELY(ext_seq_ok(&slot->seq, seq))) {
            return tail.epoch == ref.epoch;
        }
    }
    return false;
}

/* END PMD-THREAD CODE */
