/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/session/sess-table.h"

#include <string.h>

#include "openvswitch/types.h"
#include "ovs-ext/core/ext-pages.h"
#include "ovs-ext/session/sess-tags.h"
#include "packets.h"
#include "util.h"

enum {
    SESS_TRIES = 3,             /* Looks at what is being written. */
    /* Flags. */
    SESS_HEARD0 = 1 << 0,       /* From the client; 1 << 1 from the backend. */
    SESS_FIN0 = 1 << 2,         /* Likewise. */
    SESS_RST = 1 << 4
};

/* A session.  What is not said to be otherwise is written under the set's
 * lock. */
struct sess_entry {
    uint64_t key[SESS_KEY_WORDS];
    uint64_t backend;
    uint32_t created;           /* ms. */
    uint32_t flags;             /* Any PMD thread changes. */
    uint32_t last;              /* ms; any PMD thread. */
    uint32_t pad;

    /* By the thread that has the direction. */
    uint64_t packets[2], bytes[2];
    uint64_t probe[2];          /* A segment of this direction on its way:
                                 * what acknowledges it, and when it left; 0
                                 * if none.  Taken by who has the other. */
    uint32_t rtt[2];            /* us; by the thread that has the other
                                 * direction. */
    uint64_t pad2;
};
BUILD_ASSERT_DECL(sizeof(struct sess_entry) == 128);

struct sess_set {
    uint32_t seq;               /* Of tags and keys. */
    uint32_t pad;
    struct sess_tags tags;
    uint64_t pad2[5];
    struct sess_entry ways[SESS_WAYS];
};
BUILD_ASSERT_DECL(sizeof(struct sess_set) == 960);

struct sess_table {
    struct sess_config config;  /* Constant, like the next three. */
    struct sess_set *sets;
    uint32_t n_sets;
    uint64_t basis;
    /* By the agent. */
    size_t expire_pos;
    uint64_t closed, timed_out, removed;
    /* Any thread, seldom. */
    uint64_t n OVS_ALIGNED_VAR(CACHE_LINE_SIZE);
    uint64_t established, full, busy;
};

void
sess_config_init(struct sess_config *config)
{
    *config = (struct sess_config) {
        .max = 1000000,
        .tcp_idle = 3600 * 1000,
        .tcp_opening = 30 * 1000,
        .other_idle = 60 * 1000,
        .linger = 2000,
    };
}

struct sess_table *
sess_table_create(const struct sess_config *config)
{
    struct sess_table *t = xmalloc_cacheline(sizeof *t);

    memset(t, 0, sizeof *t);
    t->config = *config;
    t->basis = config->seed | 1;
    /* At least two sets, five sevenths full at most. */
    t->n_sets = MAX(2, DIV_ROUND_UP(config->max, SESS_WAYS - 2));
    t->sets = ext_pages_alloc(t->n_sets * sizeof *t->sets);
    return t;
}

void
sess_table_destroy(struct sess_table *t)
{
    if (t) {
        ext_pages_free(t->sets);
        free_cacheline(t);
    }
}

size_t
sess_table_bytes(const struct sess_table *t)
{
    return sizeof *t + t->n_sets * sizeof *t->sets;
}

void
sess_table_get_counts(const struct sess_table *t, struct sess_counts *counts)
{
    *counts = (struct sess_counts) {
        .n = ext_load64(&t->n), .max = t->config.max,
        .established = ext_load64(&t->established),
        .closed = t->closed, .timed_out = t->timed_out,
        .removed = t->removed,
        .full = ext_load64(&t->full), .busy = ext_load64(&t->busy),
    };
}

/* PMD-THREAD CODE */

static inline void
add(uint64_t *counter, uint64_t n)
{
    __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* The two sets of a key are never the same. */
static inline void
get_sets(const struct sess_table *t, uint64_t hash, uint32_t sets[2])
{
    sets[0] = sess_set_index(hash, t->n_sets);
    sets[1] = sess_set_index((uint32_t) (hash >> 16) ^ 0x5bd1e995, t->n_sets);
    if (sets[1] == sets[0]) {
        sets[1] = sets[0] + 1 < t->n_sets ? sets[0] + 1 : 0;
    }
}

static inline sess_id
make_id(uint32_t set, unsigned int way)
{
    return set * SESS_WAYS + way + 1;
}

static inline struct sess_entry *
get_entry(const struct sess_table *t, sess_id id)
{
    return &t->sets[(id - 1) / SESS_WAYS].ways[(id - 1) % SESS_WAYS];
}

/* The way of 'key' in 'set'; SESS_WAYS if it is not there. */
static inline unsigned int
find_way(const struct sess_set *set, uint16_t tag, const struct sess_key *key)
{
    uint64_t ways = sess_tags_find(&set->tags, tag);

    for (; ways; ways &= ways - 1) {
        unsigned int way = sess_way(ways);

        if (sess_words_equal(set->ways[way].key, key->words,
                             SESS_KEY_WORDS)) {
            return way;
        }
    }
    return SESS_WAYS;
}

/* Finds 'key' although others may be writing.  A key is complete before it has
 * a tag and has none when it goes, and keeps its place: so a way with its tag
 * and its words is its own, unless the way changed hands between two words,
 * against which it is looked at again.  A writer that was put to sleep in the
 * middle delays nobody, and nobody takes a living session for none. */
static inline sess_id
find(const struct sess_table *t, const struct sess_key *key, uint16_t tag,
     const uint32_t sets[2])
{
    for (int i = 0; i < 2; i++) {
        const struct sess_set *set = &t->sets[sets[i]];

        for (int try = 0; try < SESS_TRIES; try++) {
            uint32_t seq = ext_seq_begin(&set->seq);
            unsigned int way = find_way(set, tag, key);

            if (way == SESS_WAYS) {
                break;
            } else if (ext_seq_ok(&set->seq, seq) || try == SESS_TRIES - 1) {
                return make_id(sets[i], way);
            }
        }
    }
    return 0;
}

/* Looks up 'n' keys, at most SESS_BURST, and stores the ids of those that
 * exist, else 0. */
void
sess_find(const struct sess_table *t, const struct sess_key *keys, size_t n,
          sess_id *ids)
{
    uint32_t sets[SESS_BURST][2];
    uint16_t tags[SESS_BURST];
    uint8_t maybe[SESS_BURST];
    size_t n_maybe = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t hash = sess_key_hash(&keys[i], t->basis);

        get_sets(t, hash, sets[i]);
        tags[i] = sess_tag(hash);
        OVS_PREFETCH(&t->sets[sets[i][0]]);
        OVS_PREFETCH(&t->sets[sets[i][1]]);
    }
    /* What has its tag in neither set is not there. */
    for (size_t i = 0; i < n; i++) {
        const struct sess_set *first = &t->sets[sets[i][0]];
        const struct sess_set *second = &t->sets[sets[i][1]];
        uint64_t ways = sess_tags_find(&first->tags, tags[i]);
        const struct sess_set *set = ways ? first : second;

        ways = ways ? ways : sess_tags_find(&second->tags, tags[i]);
        ids[i] = 0;
        if (ways) {
            OVS_PREFETCH(&set->ways[sess_way(ways)]);
            maybe[n_maybe++] = i;
        }
    }
    for (size_t j = 0; j < n_maybe; j++) {
        size_t i = maybe[j];

        ids[i] = find(t, &keys[i], tags[i], sets[i]);
    }
}

static unsigned int
count_free(const struct sess_set *set, unsigned int *way)
{
    unsigned int n = 0;

    for (unsigned int i = 0; i < SESS_WAYS; i++) {
        if (!sess_tags_get(&set->tags, i)) {
            *way = i;
            n++;
        }
    }
    return n;
}

static void
write_entry(struct sess_entry *e, const struct sess_key *key,
            uint16_t backend, uint32_t now)
{
    for (int i = 0; i < SESS_KEY_WORDS; i++) {
        ext_store64(&e->key[i], key->words[i]);
    }
    ext_store64(&e->backend, backend);
    ext_store32(&e->created, now);
    ext_store32(&e->flags, 0);
    ext_store32(&e->last, now);
    for (int i = 0; i < 2; i++) {
        ext_store64(&e->packets[i], 0);
        ext_store64(&e->bytes[i], 0);
        ext_store64(&e->probe[i], 0);
        ext_store32(&e->rtt[i], 0);
    }
}

/* With both sets locked. */
static sess_id
establish(struct sess_table *t, const uint32_t sets[2], uint16_t tag,
          const struct sess_key *key, uint16_t backend, uint32_t now)
{
    unsigned int ways[2] = { 0, 0 }, n_free[2];

    for (int i = 0; i < 2; i++) {
        unsigned int way = find_way(&t->sets[sets[i]], tag, key);

        if (way < SESS_WAYS) {
            return make_id(sets[i], way);
        }
        n_free[i] = count_free(&t->sets[sets[i]], &ways[i]);
    }

    int which = n_free[1] > n_free[0];
    if (!n_free[which] || ext_load64(&t->n) >= t->config.max) {
        add(&t->full, 1);
        return 0;
    }
    struct sess_set *set = &t->sets[sets[which]];
    write_entry(&set->ways[ways[which]], key, backend, now);
    sess_tags_set(&set->tags, ways[which], tag);
    add(&t->n, 1);
    add(&t->established, 1);
    return make_id(sets[which], ways[which]);
}

/* Returns the id of the session of 'key', which begins at 'now' if it was not
 * there.  Returns 0 if there is no room, or if another thread is at the same
 * sets: then the next packet may try again. */
sess_id
sess_establish(struct sess_table *t, const struct sess_key *key,
               uint16_t backend, uint32_t now)
{
    uint64_t hash = sess_key_hash(key, t->basis);
    uint32_t sets[2];
    sess_id id = 0;

    get_sets(t, hash, sets);
    if (!ext_seq_try_lock(&t->sets[sets[0]].seq)) {
        add(&t->busy, 1);
        return 0;
    }
    if (ext_seq_try_lock(&t->sets[sets[1]].seq)) {
        id = establish(t, sets, sess_tag(hash), key, backend, now);
        ext_seq_write_end(&t->sets[sets[1]].seq);
    } else {
        add(&t->busy, 1);
    }
    ext_seq_write_end(&t->sets[sets[0]].seq);
    return id;
}

/* Begins session 'id' of 'key' anew, at 'backend', because the last one of
 * these addresses is over.  Returns 'id', or 0 if another thread was at it. */
sess_id
sess_restart(struct sess_table *t, sess_id id, const struct sess_key *key,
             uint16_t backend, uint32_t now)
{
    struct sess_set *set = &t->sets[(id - 1) / SESS_WAYS];
    unsigned int way = (id - 1) % SESS_WAYS;
    bool same;

    if (!ext_seq_try_lock(&set->seq)) {
        add(&t->busy, 1);
        return 0;
    }
    same = (sess_tags_get(&set->tags, way)
            && sess_words_equal(set->ways[way].key, key->words,
                                SESS_KEY_WORDS));
    if (same) {
        write_entry(&set->ways[way], key, backend, now);
        add(&t->established, 1);
    }
    ext_seq_write_end(&set->seq);
    return same ? id : 0;
}

/* The backend that session 'id' was established with. */
uint16_t
sess_backend(const struct sess_table *t, sess_id id)
{
    return ext_load64(&get_entry(t, id)->backend);
}

/* Updates the estimate of the round trips that packets of the other direction
 * make, of which 'p' may be the acknowledgment, and begins one with 'p'. */
static inline void
measure_rtt(struct sess_entry *e, const struct sess_packet *p)
{
    unsigned int d = p->dir & 1;
    uint64_t probe = ext_load64(&e->probe[!d]);
    uint32_t end = p->seq + p->payload + (p->tcp_flags & TCP_SYN ? 1 : 0);

    if (probe && p->tcp_flags & TCP_ACK
        && (int32_t) (p->ack - (uint32_t) (probe >> 32)) >= 0
        && __atomic_compare_exchange_n(&e->probe[!d], &probe, 0, false,
                                       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        uint32_t sample = MAX(p->now_us - (uint32_t) probe, 1);
        uint32_t old = ext_load32(&e->rtt[!d]);
        int32_t diff = (int32_t) (sample - old);

        ext_store32(&e->rtt[!d], old ? MAX(1, old + diff / 8) : sample);
    }
    if (end == p->seq) {
        return;
    }
    probe = ext_load64(&e->probe[d]);
    if (!probe) {
        ext_store64(&e->probe[d], (uint64_t) end << 32 | p->now_us | 1);
    } else if ((int32_t) (p->seq - (uint32_t) (probe >> 32)) < 0) {
        ext_store64(&e->probe[d], 0);       /* Sent again. */
    }
}

/* Counts packet 'p' of session 'id'. */
void
sess_packet(struct sess_table *t, sess_id id, const struct sess_packet *p,
            uint32_t now)
{
    struct sess_entry *e = get_entry(t, id);
    unsigned int d = p->dir & 1;
    uint32_t flags = SESS_HEARD0 << d, old = ext_load32(&e->flags);

    if (p->tcp_flags) {
        flags |= (p->tcp_flags & TCP_FIN ? SESS_FIN0 << d : 0)
                 | (p->tcp_flags & TCP_RST ? SESS_RST : 0);
        measure_rtt(e, p);
    }
    if (flags & ~old) {
        __atomic_fetch_or(&e->flags, flags, __ATOMIC_RELAXED);
    }
    if (OVS_UNLIKELY(old & SESS_RST) && d && p->tcp_flags
        && !(p->tcp_flags & (TCP_RST | TCP_SYN))) {
        /* The backend has not believed it, as with one out of the window.  If
         * the client has really gone, it answers with another one. */
        __atomic_fetch_and(&e->flags, ~SESS_RST, __ATOMIC_RELAXED);
    }
    if (ext_load32(&e->last) != now) {
        ext_store32(&e->last, now);
    }
    ext_store64(&e->packets[d], ext_load64(&e->packets[d]) + 1);
    ext_store64(&e->bytes[d], ext_load64(&e->bytes[d]) + p->bytes);
}

static enum sess_state
state_of(uint32_t flags)
{
    uint32_t fins = SESS_FIN0 | SESS_FIN0 << 1;
    uint32_t heard = SESS_HEARD0 | SESS_HEARD0 << 1;

    return (flags & SESS_RST || (flags & fins) == fins ? SESS_CLOSED
            : (flags & heard) == heard ? SESS_OPEN : SESS_OPENING);
}

/* Whether session 'id' has ended, and lingers. */
bool
sess_is_closed(const struct sess_table *t, sess_id id)
{
    return state_of(ext_load32(&get_entry(t, id)->flags)) == SESS_CLOSED;
}

/* Stores what is known of session 'id'.  Returns false if there is none. */
bool
sess_get(const struct sess_table *t, sess_id id, struct sess_info *info)
{
    const struct sess_set *set = &t->sets[(id - 1) / SESS_WAYS];
    unsigned int way = (id - 1) % SESS_WAYS;
    const struct sess_entry *e = &set->ways[way];

    for (int try = 0; id && try < SESS_TRIES; try++) {
        uint32_t seq = ext_seq_begin(&set->seq);
        bool exists = sess_tags_get(&set->tags, way) != 0;

        for (int i = 0; i < SESS_KEY_WORDS; i++) {
            info->key.words[i] = ext_load64(&e->key[i]);
        }
        info->backend = ext_load64(&e->backend);
        info->state = state_of(ext_load32(&e->flags));
        info->created = ext_load32(&e->created);
        info->last = ext_load32(&e->last);
        for (int i = 0; i < 2; i++) {
            info->packets[i] = ext_load64(&e->packets[i]);
            info->bytes[i] = ext_load64(&e->bytes[i]);
            info->rtt_us[i] = ext_load32(&e->rtt[i]);
        }
        if (ext_seq_ok(&set->seq, seq)) {
            return exists;
        }
    }
    return false;
}

/* END PMD-THREAD CODE */

/* Takes session 'id' out if it is still that of 'key'.  Returns false if a PMD
 * thread is at it, or was faster. */
static bool
take_out(struct sess_table *t, sess_id id, const struct sess_key *key)
{
    struct sess_set *set = &t->sets[(id - 1) / SESS_WAYS];
    unsigned int way = (id - 1) % SESS_WAYS;
    bool same;

    if (!ext_seq_try_lock(&set->seq)) {
        return false;
    }
    same = (sess_tags_get(&set->tags, way)
            && sess_words_equal(set->ways[way].key, key->words,
                                SESS_KEY_WORDS));
    if (same) {
        sess_tags_set(&set->tags, way, 0);
        __atomic_fetch_sub(&t->n, 1, __ATOMIC_RELAXED);
    }
    ext_seq_write_end(&set->seq);
    return same;
}

static bool
is_due(const struct sess_table *t, const struct sess_info *info, uint32_t now)
{
    const struct sess_config *c = &t->config;
    uint32_t timeout = (info->state == SESS_CLOSED ? c->linger
                        : info->key.proto != IPPROTO_TCP ? c->other_idle
                        : info->state == SESS_OPENING ? c->tcp_opening
                        : c->tcp_idle);

    return (int32_t) (now - info->last - timeout) >= 0;
}

/* Goes on through 'budget' sets, takes out the sessions that were closed long
 * enough ago or idle too long at time 'now' and calls 'gone', which may be
 * null, for each.  Returns how many. */
size_t
sess_expire(struct sess_table *t, uint32_t now, size_t budget,
            sess_gone_func *gone, void *aux)
{
    size_t n = 0;

    for (budget = MIN(budget, t->n_sets); budget; budget--) {
        for (unsigned int way = 0; way < SESS_WAYS; way++) {
            sess_id id = make_id(t->expire_pos, way);
            struct sess_info info;

            if (sess_tags_get(&t->sets[t->expire_pos].tags, way)
                && sess_get(t, id, &info) && is_due(t, &info, now)
                && take_out(t, id, &info.key)) {
                *(info.state == SESS_CLOSED ? &t->closed : &t->timed_out) += 1;
                if (gone) {
                    gone(&info, aux);
                }
                n++;
            }
        }
        t->expire_pos = (t->expire_pos + 1) % t->n_sets;
    }
    return n;
}

/* Takes out the session of 'key', for instance because its backend has moved.
 * Returns false if there is none, or if a PMD thread is at its set. */
bool
sess_remove(struct sess_table *t, const struct sess_key *key)
{
    sess_id id;

    sess_find(t, key, 1, &id);
    if (!id || !take_out(t, id, key)) {
        return false;
    }
    t->removed++;
    return true;
}

/* Places for sessions. */
size_t
sess_table_slots(const struct sess_table *t)
{
    return (size_t) t->n_sets * SESS_WAYS;
}

/* Stores the first session at or after '*pos', 0 at first, and before 'end',
 * and advances '*pos'.  Returns false if there is none. */
bool
sess_next_until(const struct sess_table *t, size_t *pos, size_t end,
                struct sess_info *info)
{
    end = MIN(end, sess_table_slots(t));
    while (*pos < end) {
        size_t i = (*pos)++;

        if (sess_tags_get(&t->sets[i / SESS_WAYS].tags, i % SESS_WAYS)
            && sess_get(t, i + 1, info)) {
            return true;
        }
    }
    return false;
}

/* Likewise, without an end. */
bool
sess_next(const struct sess_table *t, size_t *pos, struct sess_info *info)
{
    return sess_next_until(t, pos, SIZE_MAX, info);
}

const char *
sess_state_name(enum sess_state state)
{
    return (state == SESS_OPENING ? "opening"
            : state == SESS_OPEN ? "open" : "closed");
}
