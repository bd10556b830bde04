/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* The header cache, as the agent writes it: sessions that others tell of, and
 * what the second level remembers of them and of headers.
 *
 * In the file there are no numbers of services and backends, which are those
 * of one run of the daemon, but parts of their IDs. */

#include <config.h>

#include "datapath-hooks/session/session-agent.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "datapath-hooks/session/phc-l2.h"
#include "datapath-hooks/session/session-dp.h"
#include "dirs.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "openvswitch/vlog.h"
#include "ovs-ext/session/gossip.h"
#include "packets.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(session_cache);

enum {
    ANSWERS = 1024,             /* Of the second level, at a time. */
    ANSWER_ROUNDS = 64,
    NUMBERS = 1024,             /* Remembered. */
    EXPIRE_SETS = 1024,
    HEADERS_MS = 5000,          /* Between two looks for new headers. */
    MAX_TTL_MS = 10 * 60 * 1000,
    MAX_SHOWN = 1000
};

struct ovs_mutex session_phc_mutex = OVS_MUTEX_INITIALIZER;

static struct phc_l2 *l2;
static char *l2_path, *l2_dir;
static long long int next_headers;
static uint64_t *header_hashes;         /* Stored, [SESS_BACKEND_NUMBERS]. */
static bool reload;                     /* Numbers may be others. */

/* Headers of the file that the cache has not taken yet. */
static struct {
    struct phc_record *records;
    size_t n, allocated;
    uint64_t plan;              /* They were looked at for this one. */
} old_headers;

/* Puts, of which some were not for us. */
static uint64_t n_unknown, n_restored, n_restored_headers;
static uint64_t n_known;                /* Asked for, and said by gossip. */

static uint16_t
service_mark(uint64_t id)
{
    return id ^ id >> 16 ^ id >> 32 ^ id >> 48;
}

static uint32_t
backend_mark(uint64_t id)
{
    return id ^ id >> 32;
}

/* The probability that a session of 'b' will have to be found elsewhere: that
 * of its group, if it is hinted; it is an exception already. */
static double
probability(const struct sess_plan_backend *b)
{
    return b->draining || !b->alive ? 1 : b->local ? 0.5 : 0.75;
}

/* Puts an entry for 'key' to backend number 'owner'. */
static bool
put(const struct sess_key *key, const struct sess_plan_backend *b,
    uint16_t owner, uint32_t ttl, long long int now)
{
    int error;

    ovs_mutex_lock(&session_phc_mutex);
    error = phc_put(session_ag.phc, key, b->service, owner, probability(b),
                    now + ttl, now);
    ovs_mutex_unlock(&session_phc_mutex);
    return !error;
}

static const struct sess_plan_service *
service_of(const struct sess_key *key)
{
    return (session_ag.plan
            ? sess_plan_find(session_ag.plan, &key->dst, key->proto,
                             key->dport, NULL, key->zone) : NULL);
}

/* Finds the number of 'backend' in the service of 'key', and remembers. */
static uint16_t
number_of(const struct sess_key *key, uint64_t backend)
{
    static struct {
        uint64_t plan, service, backend;
        uint16_t number;
    } numbers[NUMBERS], *x;
    const struct sess_plan_service *s = service_of(key);

    if (!s) {
        return SESS_NONE;
    }
    x = &numbers[(s->id ^ backend) % NUMBERS];
    if (x->plan != session_ag.n_plans || x->service != s->id
        || x->backend != backend) {
        x->plan = session_ag.n_plans;
        x->service = s->id;
        x->backend = backend;
        x->number = sess_plan_backend_number(session_ag.plan, s->id, backend);
    }
    return x->number;
}

static void
remember(const struct sess_key *key, const struct sess_plan_backend *b,
         uint32_t ttl)
{
    const struct sess_plan_service *s = sess_plan_service(session_ag.plan,
                                                          b->service);
    struct phc_record r = {
        .type = PHC_RECORD_SESSION,
        .service = service_mark(s->id),
        .owner = backend_mark(b->id),
        .key = *key,
        .probability = probability(b),
        .expires = time_wall_msec() + ttl,
    };

    if (l2) {
        phc_l2_put(l2, &r);
    }
}

void
session_cache_put(const struct sess_key *key, uint64_t backend, uint32_t ttl,
                  long long int now)
{
    uint16_t number = number_of(key, backend);
    const struct sess_plan_backend *b;

    if (number == SESS_NONE) {
        n_unknown++;
        return;
    }
    b = sess_plan_backend(session_ag.plan, number);
    ttl = ttl ? MIN(ttl, MAX_TTL_MS) : MAX_TTL_MS;
    put(key, b, number, ttl, now);
    remember(key, b, ttl);
}

void
session_cache_remove(const struct sess_key *key)
{
    struct phc_record r = { .type = PHC_RECORD_SESSION, .key = *key };

    ovs_mutex_lock(&session_phc_mutex);
    phc_remove(session_ag.phc, key);
    ovs_mutex_unlock(&session_phc_mutex);
    if (l2) {
        phc_l2_delete(l2, &r);
    }
}

/* What gossip knows. */

struct again {
    const struct phc_filter *filter;    /* Or null for all. */
    long long int now;
    size_t n;
};

static void
put_again(const struct gossip_record *r, long long left, void *again_)
{
    struct gossip_session_value value;
    struct again *again = again_;
    struct sess_key key;

    if (gossip_session_decode(r, &value) && !value.closed
        && gossip_key_decode(r->key, r->key_len, &key)) {
        uint16_t number = number_of(&key, value.host);
        const struct sess_plan_backend *b
            = number ? sess_plan_backend(session_ag.plan, number) : NULL;

        if (b && (!again->filter
                  || phc_filter_match(again->filter, &key, b->service,
                                      number))) {
            left = left ? left : MAX_TTL_MS;
            again->n += put(&key, b, number, left, again->now);
            if (again->filter) {
                remember(&key, b, left);
            }
        }
    }
}

/* Puts what gossip says of the sessions that 'filter' matches. */
static size_t
put_all_again(const struct phc_filter *filter)
{
    struct again again = { .filter = filter, .now = time_msec() };

    if (session_gossip() && session_ag.plan) {
        gossip_for_each(session_gossip(), GOSSIP_SESSION, put_again, &again);
    }
    return again.n;
}

/* Whether gossip may tell more of backend 'new' than of what had its number in
 * the plan before, null for none. */
static bool
tells_more(const struct sess_plan_backend *last,
           const struct sess_plan_backend *new)
{
    return (!last || last->id != new->id || last->service != new->service
            || last->draining != new->draining || last->alive != new->alive);
}

/* 'new' takes the place of 'last', which may be null.  What was said of
 * sessions of a backend that was not known counts from now on; a backend that
 * has only moved takes its entries along. */
void
session_cache_plan_changed(const struct sess_plan *last,
                           const struct sess_plan *new)
{
    for (size_t i = 1; i < new->n_backends && !reload; i++) {
        const struct sess_plan_backend *b = sess_plan_backend(new, i);

        reload = b && tells_more(last ? sess_plan_backend(last, i) : NULL, b);
    }
}

/* The second level. */

/* The number of the backend that 'r' is about, SESS_NONE if there is none, or
 * more than one. */
static uint16_t
find_number(const struct phc_record *r)
{
    const struct sess_plan *plan = session_ag.plan;
    uint16_t number = SESS_NONE;

    for (size_t i = 1; i < plan->n_backends; i++) {
        const struct sess_plan_backend *b = sess_plan_backend(plan, i);
        const struct sess_plan_service *s
            = b ? sess_plan_service(plan, b->service) : NULL;

        if (s && service_mark(s->id) == r->service
            && backend_mark(b->id) == r->owner) {
            if (number != SESS_NONE) {
                return SESS_NONE;
            }
            number = i;
        }
    }
    return number;
}

/* Likewise, and remembers. */
static uint16_t
number_of_record(const struct phc_record *r)
{
    static struct {
        uint64_t plan;
        uint32_t owner;
        uint16_t service, number;
    } numbers[NUMBERS], *x;

    x = &numbers[(r->owner ^ r->service) % NUMBERS];
    if (x->plan != session_ag.n_plans || x->owner != r->owner
        || x->service != r->service) {
        x->plan = session_ag.n_plans;
        x->owner = r->owner;
        x->service = r->service;
        x->number = find_number(r);
    }
    return x->number;
}

/* Has the cache take the header in 'r', which it refuses if the backend is
 * elsewhere now.  Returns false if nobody has said yet where that is. */
static bool
restore_header(const struct phc_record *r)
{
    uint16_t number = number_of_record(r);
    const struct sess_plan_backend *b = sess_plan_backend(session_ag.plan,
                                                          number);
    uint8_t header[PHC_MAX_HEADER];
    struct phc_shape shape;

    if (!b || !ipv6_addr_is_set(&b->addr)) {
        return false;
    }
    ovs_mutex_lock(&session_phc_mutex);
    if (!phc_template_get(session_ag.phc, b->service, number, header, &shape)
        && !phc_template_set(session_ag.phc, b->service, number, r->header,
                             r->header_len)) {
        n_restored_headers++;
    }
    ovs_mutex_unlock(&session_phc_mutex);
    return true;
}

/* Takes what can be taken now of the headers of the file. */
static void
restore_headers(void)
{
    size_t n = 0;

    if (!old_headers.n || old_headers.plan == session_ag.n_plans) {
        return;
    }
    old_headers.plan = session_ag.n_plans;
    for (size_t i = 0; i < old_headers.n; i++) {
        if (!restore_header(&old_headers.records[i])) {
            old_headers.records[n++] = old_headers.records[i];
        }
    }
    old_headers.n = n;
}

static void
add_old_header(const struct phc_record *r)
{
    if (old_headers.n < SESS_MAX_BACKENDS) {
        if (old_headers.n == old_headers.allocated) {
            old_headers.records = x2nrealloc(old_headers.records,
                                             &old_headers.allocated,
                                             sizeof *old_headers.records);
        }
        old_headers.records[old_headers.n++] = *r;
        old_headers.plan = 0;
    }
}

static void
restore(const struct phc_record *r, long long int now, long long int wall)
{
    const struct sess_plan_service *s;
    const struct sess_plan_backend *b;
    uint16_t number;

    if (r->type == PHC_RECORD_TEMPLATE) {
        add_old_header(r);
        return;
    }
    number = number_of_record(r);
    if (number == SESS_NONE) {
        n_unknown++;
        return;
    }
    s = service_of(&r->key);
    b = sess_plan_backend(session_ag.plan, number);
    if (s && s->number == b->service && r->expires > wall) {
        n_restored += put(&r->key, b, number,
                          MIN(r->expires - wall, MAX_TTL_MS), now);
    }
}

static void
take_answers(long long int now)
{
    static struct phc_record records[ANSWERS];
    long long int wall = time_wall_msec();

    for (int round = 0; round < ANSWER_ROUNDS; round++) {
        size_t n = phc_l2_answers(l2, records, ANSWERS);

        for (size_t i = 0; i < n; i++) {
            restore(&records[i], now, wall);
        }
        if (n < ANSWERS) {
            break;
        }
    }
}

/* Finds out about session 'key', which packets were for and which the first
 * level has had no room for.  Gossip is right if it knows; it forgets before
 * the file does if there is too much of it, and with a restart. */
static void
find_out(const struct sess_key *key, long long int now)
{
    uint8_t buf[GOSSIP_KEY_MAX];
    struct gossip_session_value value;
    const struct gossip_record *r = NULL;

    if (session_gossip()) {
        r = gossip_lookup(session_gossip(), GOSSIP_SESSION, buf,
                          gossip_key_encode(key, buf));
    }
    if (!r) {
        if (l2) {
            phc_l2_ask(l2, key);
        }
    } else if (gossip_session_decode(r, &value) && !value.closed) {
        uint16_t number = number_of(key, value.host);

        /* Gossip says when the time is over, which may be before this. */
        if (number != SESS_NONE
            && put(key, sess_plan_backend(session_ag.plan, number), number,
                   r->ttl ? MIN(r->ttl, MAX_TTL_MS) : MAX_TTL_MS, now)) {
            n_known++;
        }
    }
}

static void
answer_asked(long long int now)
{
    static struct sess_key keys[PHC_ASKS];
    size_t n;

    ovs_mutex_lock(&session_phc_mutex);
    n = phc_asked(session_ag.phc, keys, now);
    ovs_mutex_unlock(&session_phc_mutex);
    for (size_t i = 0; i < n; i++) {
        find_out(&keys[i], now);
    }
}

/* Stores headers that have changed since they were last stored. */
static void
remember_headers(void)
{
    const struct sess_plan *plan = session_ag.plan;

    if (!header_hashes) {
        header_hashes = xcalloc(SESS_BACKEND_NUMBERS, sizeof *header_hashes);
    }
    for (size_t i = 1; i < plan->n_backends; i++) {
        const struct sess_plan_backend *b = sess_plan_backend(plan, i);
        struct phc_record r = { .type = PHC_RECORD_TEMPLATE };
        struct phc_shape shape;
        uint64_t hash;
        bool exists;

        if (!b || !sess_plan_service(plan, b->service)) {
            continue;
        }
        ovs_mutex_lock(&session_phc_mutex);
        exists = phc_template_get(session_ag.phc, b->service, i, r.header,
                                  &shape);
        ovs_mutex_unlock(&session_phc_mutex);
        if (exists) {
            phc_header_finish(r.header, &shape);
        }
        hash = exists ? gossip_hash(r.header, shape.len) : 0;
        if (exists && hash != header_hashes[i]) {
            r.header_len = shape.len;
            r.service = service_mark(sess_plan_service(plan, b->service)->id);
            r.owner = backend_mark(b->id);
            phc_l2_put(l2, &r);
        }
        header_hashes[i] = hash;
    }
}

static void
l2_stop(void)
{
    phc_l2_stop(l2);
    l2 = NULL;
    free(l2_path);
    free(l2_dir);
    free(header_hashes);
    free(old_headers.records);
    memset(&old_headers, 0, sizeof old_headers);
    l2_path = l2_dir = NULL;
    header_hashes = NULL;
}

/* Starts the second level in the directory that is configured. */
static void
l2_start(void)
{
    const char *dir = session_ag.local.dir;
    char *key_path;

    dir = dir ? dir : ovs_dbdir();
    if (l2 && !strcmp(dir, l2_dir)) {
        return;
    }
    l2_stop();
    l2_dir = xstrdup(dir);
    l2_path = xasprintf("%s/ovs-ext-phc.mdb", dir);
    key_path = xasprintf("%s/ovs-ext-phc.key", dir);
    l2 = phc_l2_start(&(struct phc_store_config) {
        .path = l2_path,
        .key_path = key_path,
        .max_bytes = session_ag.sizes.file_bytes,
    });
    free(key_path);
}

void
session_cache_run(long long int now, bool due)
{
    /* It reads the file while we wait for what gossip says. */
    if (session_ag.local.host) {
        l2_start();
    }
    if (!session_ag.plan || !session_ag.ready) {
        return;
    }
    if (reload) {
        reload = false;
        put_all_again(NULL);
    }
    if (l2) {
        take_answers(now);
        restore_headers();
    }
    if (due) {
        answer_asked(now);
        ovs_mutex_lock(&session_phc_mutex);
        phc_expire(session_ag.phc, now, EXPIRE_SETS);
        ovs_mutex_unlock(&session_phc_mutex);
    }
    if (l2 && now >= next_headers) {
        next_headers = now + HEADERS_MS;
        remember_headers();
    }
}

void
session_cache_stop(void)
{
    struct phc_filter all;

    l2_stop();
    memset(&all, 0, sizeof all);
    if (session_ag.phc) {
        ovs_mutex_lock(&session_phc_mutex);
        phc_flush(session_ag.phc, &all);
        ovs_mutex_unlock(&session_phc_mutex);
    }
}

/* Drops the entries that match 'filter', in both levels; what other hosts
 * still say of them is put again, for that is the truth.  Stores how many were
 * dropped from the first level to '*n', how many put again to '*kept'. */
char *
session_cache_flush(const char *filter, size_t *n, size_t *kept)
{
    struct phc_filter f;
    char *error = phc_filter_parse(filter, &f);

    *n = *kept = 0;
    if (!error && session_ag.phc) {
        ovs_mutex_lock(&session_phc_mutex);
        *n = phc_flush(session_ag.phc, &f);
        ovs_mutex_unlock(&session_phc_mutex);
        if (l2) {
            const struct sess_plan *plan = session_ag.plan;
            struct phc_filter marks = f;
            const struct sess_plan_service *s
                = plan ? sess_plan_service(plan, f.service) : NULL;
            const struct sess_plan_backend *b
                = plan ? sess_plan_backend(plan, f.owner) : NULL;

            marks.service = s ? service_mark(s->id) : 0;
            marks.owner = b ? backend_mark(b->id) : 0;
            phc_l2_flush(l2, &marks);
        }
        *kept = put_all_again(&f);
    }
    return error;
}

/* Stores what there is to know; returns false if there is no cache. */
bool
session_cache_get_counts(struct session_cache_counts *c)
{
    uint64_t dp[SESS_N_COUNTS];

    memset(c, 0, sizeof *c);
    if (!session_ag.phc) {
        return false;
    }
    ovs_mutex_lock(&session_phc_mutex);
    phc_get_counts(session_ag.phc, &c->phc);
    ovs_mutex_unlock(&session_phc_mutex);
    session_dp_counts(dp, &c->stats);
    c->path = l2_path;
    c->unknown = n_unknown;
    c->known = n_known;
    c->restored = n_restored;
    c->restored_headers = n_restored_headers;
    if (l2) {
        phc_l2_get_counts(l2, &c->l2);
    }
    return true;
}
