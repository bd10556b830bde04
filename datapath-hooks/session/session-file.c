/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* The second level of the header cache, as the agent uses it: what its file
 * remembers of sessions and of headers.
 *
 * A header is put again once a day while it is in use, and ends a week after
 * that, so that what has once been a backend does not stay.  Those of the last
 * run are kept for a while, until somebody says where their backends are. */

#include <config.h>

#include "datapath-hooks/session/session-agent.h"

#include <stdlib.h>
#include <string.h>

#include "datapath-hooks/session/phc-l2.h"
#include "dirs.h"
#include "ovs-ext/session/gossip.h"
#include "ovs-ext/session/phc-restore.h"
#include "packets.h"
#include "timeval.h"
#include "util.h"

enum {
    ANSWERS = 1024,             /* Of the second level, at a time. */
    ANSWER_ROUNDS = 64,
    HEADERS_MS = 5000,          /* Between two looks for new headers. */
    HEADER_TTL_MS = 7 * 24 * 3600 * 1000,
    HEADER_AGAIN_MS = 24 * 3600 * 1000,
    OLD_HEADERS_MS = 5 * 60 * 1000  /* Kept since the last one came. */
};

/* A header as it was stored last. */
struct stored {
    uint64_t hash;              /* With the IDs of whose it is; 0: none. */
    long long int again;        /* ms: to be put again. */
};

static struct phc_l2 *l2;
static char *l2_path, *l2_dir;
static long long int next_headers;
static struct stored *stored;   /* [SESS_BACKEND_NUMBERS] or null. */

/* Of the file, what the present plan knows. */
static struct phc_restore *restore;
static uint64_t restore_plan;   /* It has the backends of this plan. */
static uint64_t headers_plan;   /* Headers were looked at for this one. */
static long long int forget_at; /* ms: the headers left. */

/* Puts, of which some were not for us. */
static uint64_t n_unknown, n_restored, n_restored_headers;

/* Remembers that 'key' is with 'b', for 'ttl' ms. */
void
session_file_put(const struct sess_key *key, const struct sess_plan_backend *b,
                 double probability, uint32_t ttl)
{
    const struct sess_plan_service *s = sess_plan_service(session_ag.plan,
                                                          b->service);
    struct phc_record r = {
        .type = PHC_RECORD_SESSION,
        .service = phc_service_mark(s->id),
        .owner = phc_backend_mark(b->id),
        .key = *key,
        .probability = probability,
        .expires = time_wall_msec() + ttl,
    };

    if (l2) {
        phc_l2_put(l2, &r);
    }
}

void
session_file_remove(const struct sess_key *key)
{
    struct phc_record r = { .type = PHC_RECORD_SESSION, .key = *key };

    if (l2) {
        phc_l2_delete(l2, &r);
    }
}

/* Asks for what there is of session 'key'. */
void
session_file_ask(const struct sess_key *key)
{
    if (l2) {
        phc_l2_ask(l2, key);
    }
}

/* Forgets what 'filter' matches, by the numbers of the present plan.  If that
 * is all, headers as well, but those in use are soon stored again. */
void
session_file_flush(const struct phc_filter *filter)
{
    const struct sess_plan *plan = session_ag.plan;
    const struct sess_plan_service *s
        = plan ? sess_plan_service(plan, filter->service) : NULL;
    const struct sess_plan_backend *b
        = plan ? sess_plan_backend(plan, filter->owner) : NULL;
    struct phc_filter marks = *filter;

    if (!l2) {
        return;
    }
    marks.service = s ? phc_service_mark(s->id) : 0;
    marks.owner = b ? phc_backend_mark(b->id) : 0;
    phc_l2_flush(l2, &marks);
    if (phc_filter_is_all(filter)) {
        phc_restore_clear(restore);
        free(stored);
        stored = NULL;
    }
}

/* Has 'restore' know the present plan. */
static void
take_plan(void)
{
    if (restore_plan != session_ag.n_plans) {
        restore_plan = session_ag.n_plans;
        phc_restore_set_plan(restore, session_ag.plan);
    }
}

/* Has the cache take the header in 'r', which it refuses if the backend is
 * elsewhere now.  Returns false if nobody has said yet where that is. */
static bool
take_header(const struct phc_record *r, uint16_t number, void *aux OVS_UNUSED)
{
    const struct sess_plan_backend *b = sess_plan_backend(session_ag.plan,
                                                          number);
    uint8_t header[PHC_MAX_HEADER];
    struct phc_shape shape;

    if (!ipv6_addr_is_set(&b->addr)) {
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

static void
take_record(const struct phc_record *r, long long int now, long long int wall)
{
    uint16_t number;

    if (r->type == PHC_RECORD_TEMPLATE) {
        phc_restore_add(restore, r);
        headers_plan = 0;
        forget_at = now + OLD_HEADERS_MS;
        return;
    }
    number = phc_restore_number(restore, r->service, r->owner);
    if (number == SESS_NONE) {
        n_unknown++;
    } else if (r->expires > wall) {
        n_restored += session_cache_restore(&r->key, number, r->expires - wall,
                                            now);
    }
}

static void
take_answers(long long int now)
{
    static struct phc_record records[ANSWERS];
    long long int wall = time_wall_msec();

    for (int round = 0; round < ANSWER_ROUNDS; round++) {
        size_t n = phc_l2_answers(l2, records, ANSWERS);

        if (n) {
            take_plan();
        }
        for (size_t i = 0; i < n; i++) {
            take_record(&records[i], now, wall);
        }
        if (n < ANSWERS) {
            break;
        }
    }
}

/* Takes what can be taken now of the headers of the last run. */
static void
take_headers(long long int now)
{
    if (!phc_restore_n(restore)) {
        return;
    } else if (now >= forget_at) {
        phc_restore_clear(restore);
    } else if (headers_plan != session_ag.n_plans) {
        take_plan();
        headers_plan = session_ag.n_plans;
        phc_restore_run(restore, take_header, NULL);
    }
}

/* Stores the header towards backend 'number', if it has changed since it was
 * last stored, or that is long ago. */
static void
store_header(uint16_t number, const struct sess_plan_backend *b,
             const struct sess_plan_service *s, long long int now)
{
    struct phc_record r = {
        .type = PHC_RECORD_TEMPLATE,
        .service = phc_service_mark(s->id),
        .owner = phc_backend_mark(b->id),
        .expires = time_wall_msec() + HEADER_TTL_MS,
    };
    struct stored *x = &stored[number];
    struct phc_shape shape;
    uint64_t hash;
    bool exists;

    ovs_mutex_lock(&session_phc_mutex);
    exists = phc_template_get(session_ag.phc, b->service, number, r.header,
                              &shape);
    ovs_mutex_unlock(&session_phc_mutex);
    if (!exists) {
        x->hash = 0;
        return;
    }
    phc_header_finish(r.header, &shape);
    r.header_len = shape.len;
    hash = gossip_hash(r.header, shape.len) ^ s->id ^ b->id;
    if ((hash != x->hash || now >= x->again) && phc_l2_put(l2, &r)) {
        x->hash = hash;
        x->again = now + HEADER_AGAIN_MS;
    }
}

static void
store_headers(long long int now)
{
    const struct sess_plan *plan = session_ag.plan;

    if (!stored) {
        stored = xcalloc(SESS_BACKEND_NUMBERS, sizeof *stored);
    }
    for (size_t i = 1; i < MIN(plan->n_backends, SESS_BACKEND_NUMBERS); i++) {
        const struct sess_plan_backend *b = sess_plan_backend(plan, i);
        const struct sess_plan_service *s
            = b ? sess_plan_service(plan, b->service) : NULL;

        if (s) {
            store_header(i, b, s, now);
        }
    }
}

/* Takes what the file says, and has it remember headers. */
void
session_file_run(long long int now)
{
    if (l2) {
        take_answers(now);
        take_headers(now);
        if (now >= next_headers) {
            next_headers = now + HEADERS_MS;
            store_headers(now);
        }
    }
}

void
session_file_stop(void)
{
    phc_l2_stop(l2);
    l2 = NULL;
    phc_restore_destroy(restore);
    restore = NULL;
    restore_plan = headers_plan = 0;
    free(l2_path);
    free(l2_dir);
    free(stored);
    l2_path = l2_dir = NULL;
    stored = NULL;
}

/* Starts the second level in the directory that is configured. */
void
session_file_start(void)
{
    const char *dir = session_ag.local.dir;
    char *key_path;

    dir = dir ? dir : ovs_dbdir();
    if (l2 && !strcmp(dir, l2_dir)) {
        return;
    }
    session_file_stop();
    restore = phc_restore_create();
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

/* Adds what there is to know to 'c'. */
void
session_file_get_counts(struct session_cache_counts *c)
{
    c->path = l2_path;
    c->unknown += n_unknown;
    c->restored = n_restored;
    c->restored_headers = n_restored_headers;
    if (l2) {
        phc_l2_get_counts(l2, &c->l2);
    }
}
