/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* The header cache, as the agent writes it: sessions that others tell of.  What
 * its file remembers is in session-file.c. */

#include <config.h>

#include "datapath-hooks/session/session-agent.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "datapath-hooks/session/session-dp.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "openvswitch/vlog.h"
#include "ovs-ext/session/gossip.h"
#include "packets.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(session_cache);

enum {
    NUMBERS = 1024,             /* Remembered. */
    EXPIRE_SETS = 1024,
    MAX_TTL_MS = 10 * 60 * 1000,
    MAX_SHOWN = 1000
};

struct ovs_mutex session_phc_mutex = OVS_MUTEX_INITIALIZER;

static bool reload;                     /* Numbers may be others. */

static uint64_t n_unknown;              /* Puts that were not for us. */
static uint64_t n_known;                /* Asked for, and said by gossip. */

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
    session_file_put(key, b, probability(b), ttl);
}

void
session_cache_remove(const struct sess_key *key)
{
    ovs_mutex_lock(&session_phc_mutex);
    phc_remove(session_ag.phc, key);
    ovs_mutex_unlock(&session_phc_mutex);
    session_file_remove(key);
}

/* Puts what the file says: session 'key' is with backend number 'number', for
 * 'ttl' ms more.  Returns whether there is an entry for it. */
bool
session_cache_restore(const struct sess_key *key, uint16_t number,
                      long long int ttl, long long int now)
{
    const struct sess_plan_service *s = service_of(key);
    const struct sess_plan_backend *b = sess_plan_backend(session_ag.plan,
                                                          number);

    return (s && b && s->number == b->service
            && put(key, b, number, MIN(ttl, MAX_TTL_MS), now));
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
                session_file_put(&key, b, probability(b), left);
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
        session_file_ask(key);
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

void
session_cache_run(long long int now, bool due)
{
    /* It reads the file while we wait for what gossip says. */
    if (session_ag.local.host) {
        session_file_start();
    }
    if (!session_ag.plan || !session_ag.ready) {
        return;
    }
    if (reload) {
        reload = false;
        put_all_again(NULL);
    }
    session_file_run(now);
    if (due) {
        answer_asked(now);
        ovs_mutex_lock(&session_phc_mutex);
        phc_expire(session_ag.phc, now, EXPIRE_SETS);
        ovs_mutex_unlock(&session_phc_mutex);
    }
}

void
session_cache_stop(void)
{
    struct phc_filter all;

    session_file_stop();
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
        session_file_flush(&f);
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
    c->unknown = n_unknown;
    c->known = n_known;
    session_file_get_counts(c);
    return true;
}
