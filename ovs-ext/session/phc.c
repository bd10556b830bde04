/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/session/phc.h"

#include <errno.h>
#include <string.h>

#include "hash.h"
#include "ovs-ext/core/ext-pages.h"
#include "ovs-ext/session/phc-impl.h"

/* The writer's side of entries.  See phc-template.c for services and
 * templates, phc-lookup.c for readers. */

struct phc *
phc_create(const struct phc_config *config)
{
    struct phc *phc = xzalloc(sizeof *phc);
    size_t n_templates = MIN(MAX(config->templates, 1), PHC_MAX_TEMPLATES);

    /* On the average half of a set is taken, so few are full. */
    phc->n_sets = MIN(MAX(DIV_ROUND_UP(config->entries * 2, PHC_WAYS), 1),
                      UINT32_MAX);
    phc->sets = ext_pages_alloc(phc->n_sets * sizeof *phc->sets);
    phc->basis = config->seed | 1;
    phc->n_slots = n_templates + 1;
    phc->slots = ext_pages_alloc(phc->n_slots * sizeof *phc->slots);
    phc->owners = xcalloc(phc->n_slots, sizeof *phc->owners);
    phc->epochs = xcalloc(phc->n_slots, sizeof *phc->epochs);
    phc->asks = xcalloc(PHC_ASKS, sizeof *phc->asks);
    phc->free_slots = xcalloc(n_templates, sizeof *phc->free_slots);
    for (size_t i = 0; i < n_templates; i++) {
        phc->free_slots[i] = i + 1;
    }
    phc->n_free = n_templates;
    hmap_init(&phc->templates);
    return phc;
}

void
phc_destroy(struct phc *phc)
{
    struct phc_template *t;

    if (!phc) {
        return;
    }
    HMAP_FOR_EACH_POP (t, node, &phc->templates) {
        free(t);
    }
    hmap_destroy(&phc->templates);
    for (size_t i = 0; i < PHC_MAX_SERVICES; i++) {
        free(phc->services[i].members);
    }
    ext_pages_free(phc->sets);
    ext_pages_free(phc->slots);
    free(phc->owners);
    free(phc->epochs);
    free(phc->asks);
    free(phc->free_slots);
    free(phc);
}

/* Places for entries. */
size_t
phc_capacity(const struct phc *phc)
{
    return (size_t) phc->n_sets * PHC_WAYS;
}

size_t
phc_bytes(const struct phc *phc)
{
    return (sizeof *phc + phc->n_sets * sizeof *phc->sets
            + phc->n_slots * (sizeof *phc->slots + sizeof *phc->owners
                              + sizeof *phc->epochs)
            + PHC_ASKS * sizeof *phc->asks);
}

void
phc_get_counts(const struct phc *phc, struct phc_counts *counts)
{
    const struct phc_template *t;

    *counts = phc->counts;
    HMAP_FOR_EACH (t, node, &phc->templates) {
        counts->n_templates += t->shape.len != 0;
    }
}

/* The writer's own word of an entry. */

static uint64_t
make_rest(uint32_t owner, uint16_t service, uint16_t p)
{
    return (uint64_t) owner << 32 | (uint32_t) service << 16 | p;
}

static uint16_t
entry_p(const struct phc_entry *e)
{
    return e->rest;
}

static uint16_t
entry_service(const struct phc_entry *e)
{
    return e->rest >> 16;
}

static uint32_t
entry_owner(const struct phc_entry *e)
{
    return e->rest >> 32;
}

static uint32_t
entry_expires(const struct phc_entry *e)
{
    return e->ref >> 32;
}

static unsigned int
find_way(const struct phc_set *set, const struct sess_key *key, uint16_t tag)
{
    unsigned int way;

    for (way = 0; way < PHC_WAYS; way++) {
        if (sess_tags_get(&set->tags, way) == tag
            && !memcmp(set->ways[way].key, key->words, sizeof key->words)) {
            break;
        }
    }
    return way;
}

static void
write_entry(struct phc_set *set, unsigned int way, uint64_t hash,
            const struct sess_key *key, uint64_t ref, uint64_t rest)
{
    struct phc_entry *e = &set->ways[way];

    ext_seq_write_begin(&set->seq);
    sess_tags_set(&set->tags, way, sess_tag(hash));
    for (int i = 0; i < SESS_KEY_WORDS; i++) {
        ext_store64(&e->key[i], key->words[i]);
    }
    ext_store64(&e->ref, ref);
    e->rest = rest;
    e->hash = hash;
    ext_seq_write_end(&set->seq);
}

static void
clear_way(struct phc *phc, struct phc_set *set, unsigned int way)
{
    ext_seq_write_begin(&set->seq);
    sess_tags_set(&set->tags, way, 0);
    ext_store64(&set->ways[way].ref, 0);
    ext_seq_write_end(&set->seq);
    phc->counts.n--;
}

/* Notes that there was no room in 'set' for what expires at 'expires'. */
static void
spill(struct phc_set *set, uint32_t expires, uint32_t now)
{
    uint32_t last = ext_load32(&set->spilled);

    if (!phc_is_past(expires, now)
        && (!last || phc_is_past(last, now) || phc_is_past(last, expires))) {
        ext_store32(&set->spilled, expires ? expires : 1);
    }
}

/* Chooses who makes room in a full set for a newcomer of probability 'p':
 * what has expired; else, of what was not used since the hand came by, the
 * least probable, if it is not more probable than the newcomer.  What stays
 * although nobody used it is taken for less probable next time.  Returns
 * PHC_WAYS if nobody yields. */
static unsigned int
choose_victim(struct phc_set *set, uint16_t p, uint32_t now)
{
    unsigned int victim = PHC_WAYS;

    for (unsigned int i = 0; i < PHC_WAYS; i++) {
        unsigned int way = (set->hand + i) % PHC_WAYS;

        if (phc_is_past(entry_expires(&set->ways[way]), now)) {
            return way;
        }
        if (__atomic_load_n(&set->used[way], __ATOMIC_RELAXED)) {
            __atomic_store_n(&set->used[way], 0, __ATOMIC_RELAXED);
        } else if (victim == PHC_WAYS
                   || entry_p(&set->ways[way]) < entry_p(&set->ways[victim])) {
            victim = way;
        }
    }
    if (victim == PHC_WAYS) {
        victim = set->hand;     /* All were used, and get one round more. */
    }
    set->hand = (victim + 1) % PHC_WAYS;
    if (entry_p(&set->ways[victim]) > p) {
        set->ways[victim].rest -= entry_p(&set->ways[victim]) / 8;
        return PHC_WAYS;
    }
    return victim;
}

/* Says that session 'key' of 'service' goes to 'owner', with 'probability',
 * until time 'expires'; changes what was said of it before.  Returns 0, ENOENT
 * if that is no member, or ENOSPC if all in its set are more probable and in
 * use. */
int
phc_put(struct phc *phc, const struct sess_key *key, uint16_t service,
        uint32_t owner, double probability, uint32_t expires, uint32_t now)
{
    const struct phc_template *t = phc_template_find(phc, service, owner);
    uint64_t hash = sess_key_hash(key, phc->basis);
    struct phc_set *set = phc_set_of(phc, hash);
    uint16_t p = MIN(MAX(probability, 0), 1) * UINT16_MAX;
    unsigned int way;

    if (!t || !t->slot) {
        return ENOENT;
    }
    way = find_way(set, key, sess_tag(hash));
    if (way < PHC_WAYS) {
        phc->counts.updates++;
    } else {
        for (way = 0; way < PHC_WAYS; way++) {
            if (!sess_tags_get(&set->tags, way)) {
                break;
            }
        }
        if (way == PHC_WAYS) {
            way = choose_victim(set, p, now);
            if (way == PHC_WAYS) {
                phc->counts.rejected++;
                spill(set, expires, now);
                return ENOSPC;
            }
            phc->counts.evictions++;
            spill(set, entry_expires(&set->ways[way]), now);
        } else {
            phc->counts.n++;
        }
        phc->counts.puts++;
        __atomic_store_n(&set->used[way], 0, __ATOMIC_RELAXED);
    }
    write_entry(set, way, hash, key,
                phc_ref_word((struct phc_ref) { t->slot, t->epoch }, expires),
                make_rest(owner, service, p));
    return 0;
}

/* Drops the entry of 'key', whose session was closed.  Returns false if there
 * was none. */
bool
phc_remove(struct phc *phc, const struct sess_key *key)
{
    uint64_t hash = sess_key_hash(key, phc->basis);
    struct phc_set *set = phc_set_of(phc, hash);
    unsigned int way = find_way(set, key, sess_tag(hash));

    if (way == PHC_WAYS) {
        return false;
    }
    clear_way(phc, set, way);
    phc->counts.removed++;
    return true;
}

/* Goes on through 'budget' sets and drops what has expired.  Returns how
 * many. */
size_t
phc_expire(struct phc *phc, uint32_t now, size_t budget)
{
    size_t n = 0;

    for (budget = MIN(budget, phc->n_sets); budget; budget--) {
        struct phc_set *set = &phc->sets[phc->expire_pos];

        for (unsigned int way = 0; way < PHC_WAYS; way++) {
            if (sess_tags_get(&set->tags, way)
                && phc_is_past(entry_expires(&set->ways[way]), now)) {
                clear_way(phc, set, way);
                n++;
            }
        }
        if (set->spilled && phc_is_past(set->spilled, now)) {
            ext_store32(&set->spilled, 0);
        }
        phc->expire_pos = (phc->expire_pos + 1) % phc->n_sets;
    }
    phc->counts.expired += n;
    return n;
}

/* Drops the entries that 'filter' matches.  Returns how many. */
size_t
phc_flush(struct phc *phc, const struct phc_filter *filter)
{
    struct phc_entry_info info;
    size_t pos = 0, n = 0;

    while (phc_next(phc, &pos, &info)) {
        if (phc_filter_match(filter, &info.key, info.service, info.owner)) {
            clear_way(phc, &phc->sets[(pos - 1) / PHC_WAYS],
                      (pos - 1) % PHC_WAYS);
            n++;
        }
    }
    phc->counts.flushed += n;
    return n;
}

/* Stores the keys that readers have asked for since this was last called.
 * Returns how many there are.  A key can be asked for again a second after. */
size_t
phc_asked(struct phc *phc, struct sess_key keys[PHC_ASKS], uint32_t now)
{
    size_t n = 0;

    for (size_t i = 0; i < PHC_ASKS; i++) {
        struct phc_ask *ask = &phc->asks[i];
        uint32_t seq = ext_seq_begin(&ask->seq);
        uint32_t state = ext_load32(&ask->state);

        if (state != PHC_ASK_WAITS) {
            if (state == PHC_ASK_TAKEN && now - ask->taken >= 1000) {
                ext_store32(&ask->state, PHC_ASK_FREE);
            }
            continue;
        }
        for (int j = 0; j < SESS_KEY_WORDS; j++) {
            keys[n].words[j] = ext_load64(&ask->key[j]);
        }
        if (ext_seq_ok(&ask->seq, seq)) {
            ask->taken = now;
            ext_store32(&ask->state, PHC_ASK_TAKEN);
            n++;
        }
    }
    phc->counts.asked += n;
    return n;
}

/* Drops the entries that lead to 'slot'. */
void
phc_purge_slot(struct phc *phc, uint16_t slot)
{
    for (size_t i = 0; i < phc->n_sets; i++) {
        struct phc_set *set = &phc->sets[i];

        for (unsigned int way = 0; way < PHC_WAYS; way++) {
            if (sess_tags_get(&set->tags, way)
                && phc_word_ref(set->ways[way].ref).template == slot) {
                clear_way(phc, set, way);
                phc->counts.removed++;
            }
        }
    }
}

/* Stores in 'info' the first entry at or after '*pos', 0 at first, and
 * advances it.  Returns false if there is none. */
bool
phc_next(const struct phc *phc, size_t *pos, struct phc_entry_info *info)
{
    for (; *pos < phc_capacity(phc); ++*pos) {
        const struct phc_set *set = &phc->sets[*pos / PHC_WAYS];
        unsigned int way = *pos % PHC_WAYS;
        const struct phc_entry *e = &set->ways[way];

        if (sess_tags_get(&set->tags, way)) {
            memcpy(info->key.words, e->key, sizeof e->key);
            info->service = entry_service(e);
            info->owner = entry_owner(e);
            info->probability = entry_p(e) / (double) UINT16_MAX;
            info->expires = entry_expires(e);
            ++*pos;
            return true;
        }
    }
    return false;
}
