/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include <string.h>

#include "ovs-ext/session/phc-impl.h"

/* The readers' side: finding an entry and pushing a header. */

/* PMD-THREAD CODE */

/* Looks for 'key' in 'set', among 'ways'.  Stores the entry's 'ref' word, 0 if
 * there is none.  Returns false if the set was written meanwhile. */
static inline bool
set_find(struct phc_set *set, const struct sess_key *key, uint64_t ways,
         uint32_t seq, uint64_t *word)
{
    unsigned int way = 0;

    *word = 0;
    for (; ways; ways &= ways - 1) {
        const struct phc_entry *e = &set->ways[way = sess_way(ways)];

        if (OVS_LIKELY(sess_words_equal(e->key, key->words,
                                        SESS_KEY_WORDS))) {
            *word = ext_load64(&e->ref);
            break;
        }
    }
    if (OVS_UNLIKELY(!ext_seq_ok(&set->seq, seq))) {
        return false;
    }
    if (*word && !__atomic_load_n(&set->used[way], __ATOMIC_RELAXED)) {
        __atomic_store_n(&set->used[way], 1, __ATOMIC_RELAXED);
    }
    return true;
}

/* Looks again, at a set that was being written. */
static __attribute__((noinline)) uint64_t
find_again(struct phc_set *set, const struct sess_key *key, uint16_t tag,
           struct phc_stats *stats)
{
    uint64_t word;

    for (int try = 0; try < PHC_TRIES; try++) {
        uint32_t seq = ext_seq_begin(&set->seq);

        if (set_find(set, key, sess_tags_find(&set->tags, tag), seq, &word)) {
            return word;
        }
    }
    stats->busy++;
    return 0;
}

/* Looks up the 'n' keys, at most PHC_BURST, at time 'now' in ms, stores what
 * was found in 'refs' and counts in 'stats', which belongs to this thread. */
void
phc_lookup(struct phc *phc, const struct sess_key *keys, size_t n,
           uint32_t now, struct phc_ref *refs, struct phc_stats *stats)
{
    struct phc_set *sets[PHC_BURST];
    uint64_t ways[PHC_BURST];
    uint32_t seqs[PHC_BURST];
    uint16_t tags[PHC_BURST];
    size_t hits = 0;

    /* Three passes, each over lines that the one before has asked for. */
#pragma GCC unroll 4
    for (size_t i = 0; i < n; i++) {
        uint64_t hash = sess_key_hash(&keys[i], phc->basis);

        sets[i] = phc_set_of(phc, hash);
        tags[i] = sess_tag(hash);
        OVS_PREFETCH(sets[i]);
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < n; i++) {
        seqs[i] = ext_seq_begin(&sets[i]->seq);
        ways[i] = sess_tags_find(&sets[i]->tags, tags[i]);
        if (ways[i]) {
            OVS_PREFETCH(&sets[i]->ways[sess_way(ways[i])]);
        }
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t word;

        if (OVS_UNLIKELY(!set_find(sets[i], &keys[i], ways[i], seqs[i],
                                   &word))) {
            word = find_again(sets[i], &keys[i], tags[i], stats);
        }
        if (OVS_LIKELY(word)) {
            if (OVS_UNLIKELY(phc_is_past(word >> 32, now))) {
                stats->expired++;
                word = 0;
            } else {
                OVS_PREFETCH(&phc->slots[(uint16_t) word]);
                hits++;
            }
        }
        refs[i] = phc_word_ref(word);
    }
    stats->hits += hits;
    stats->misses += n - hits;
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
/* As slot_copy() and phc_header_patch() in one, for what most templates are:
 * Ethernet without VLAN, IPv4, no UDP checksum, no options.  Patches in
 * registers on the way.  Returns false if it is not such a template, or not a
 * living one, or was being written. */
static inline bool
push_plain(const struct phc *phc, struct phc_ref ref, uint8_t *end,
           size_t payload_len, const struct phc_patch *patch)
{
    const struct phc_slot *slot = &phc->slots[ref.template];
    uint32_t seq = ext_seq_begin(&slot->seq);
    uint32_t gen = ext_load32(&slot->gen);
    uint64_t w[7];

#pragma GCC unroll 7
    for (int i = 0; i < 7; i++) {
        w[i] = ext_load64(&slot->words[i]);
    }
    /* Header (2), length, flags, service (2), epoch (2). */
    uint32_t service = w[6] >> 32 & 0xffff;
    if (OVS_UNLIKELY((w[6] >> 16 & 0xffff)
                     != (PHC_SLOT_VALID << 8 | PHC_HEAD)
                     || w[6] >> 48 != ref.epoch
                     || ext_load32(&phc->gens[service]) != gen
                     || !ext_seq_ok(&slot->seq, seq))) {
        return false;
    }

    uint64_t udp_len = payload_len + PHC_HEAD - ETH_HEADER_LEN - IP_HEADER_LEN;
    uint64_t tot_len = htons(udp_len + IP_HEADER_LEN);
    uint64_t ip_id = htons(patch->ip_id);
    uint32_t sum = (uint16_t) ~w[3] + tot_len + ip_id;

    sum = (sum & 0xffff) + (sum >> 16);
    sum += sum >> 16;
    w[2] |= tot_len | ip_id << 16;
    w[3] = (w[3] & ~UINT64_C(0xffff)) | (uint16_t) ~sum;
    w[4] |= ((uint64_t) htons(phc_header_sport(patch->flow_hash)) << 16
             | (uint64_t) htons(udp_len) << 48);
#pragma GCC unroll 6
    for (int i = 0; i < 6; i++) {
        memcpy(end - PHC_HEAD + i * 8, &w[i], 8);
    }
    memcpy(end - 2, &w[6], 2);
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

/* END PMD-THREAD CODE */
