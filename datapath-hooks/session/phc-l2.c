/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/session/phc-l2.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "latch.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "ovs-thread.h"
#include "seq.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(phc_l2);

enum op {
    OP_PUT,
    OP_DELETE,
    OP_ASK,
    OP_FLUSH
};

struct item {
    enum op op;
    union {
        struct phc_record record;
        struct phc_filter filter;   /* OP_FLUSH */
    };
};

/* A bounded queue. */
struct queue {
    struct item *items;         /* [PHC_L2_QUEUE] */
    size_t head, n;
};

struct phc_l2 {
    char *path, *key_path;      /* Constant, like the next. */
    size_t max_bytes;
    pthread_t thread;
    struct latch exit;
    struct seq *work;           /* Something was queued. */

    struct ovs_mutex mutex;
    pthread_cond_t room;        /* In 'answers'. */
    struct queue todo OVS_GUARDED;
    struct queue answers OVS_GUARDED;
    struct phc_l2_counts counts OVS_GUARDED;

    /* The thread's own. */
    struct phc_store *store;
    struct phc_store_counts before; /* Of stores that were closed. */
    struct item *batch;         /* [PHC_L2_BATCH] */
    struct phc_change *changes; /* [PHC_L2_BATCH] */
    bool is_loaded, has_said;
    bool was_broken;            /* And nothing was written since. */
    bool is_full;               /* The last write said ENOSPC. */
    long long int retry_at;
    long long int purged_at;    /* What has expired was dropped last. */
};

/* Queues 'op' for '*arg', a record or filter. */
static bool
queue_push(struct queue *q, enum op op, const void *arg)
{
    if (q->n == PHC_L2_QUEUE) {
        return false;
    }
    struct item *item = &q->items[(q->head + q->n++) % PHC_L2_QUEUE];
    item->op = op;
    if (op == OP_FLUSH) {
        memcpy(&item->filter, arg, sizeof item->filter);
    } else {
        memcpy(&item->record, arg, sizeof item->record);
    }
    return true;
}

static size_t
queue_pop(struct queue *q, struct item *items, size_t max)
{
    size_t n = MIN(q->n, max);

    for (size_t i = 0; i < n; i++) {
        items[i] = q->items[q->head];
        q->head = (q->head + 1) % PHC_L2_QUEUE;
    }
    q->n -= n;
    return n;
}

/* Brings the counters of the store up to date. */
static void
update_counts(struct phc_l2 *l2)
    OVS_REQUIRES(l2->mutex)
{
    struct phc_store_counts *c = &l2->counts.store;
    const struct phc_store_counts *before = &l2->before;

    if (l2->store) {
        phc_store_get_counts(l2->store, c);
        c->puts += before->puts;
        c->deletes += before->deletes;
        c->gets += before->gets;
        c->hits += before->hits;
        c->tampered += before->tampered;
        c->malformed += before->malformed;
        c->errors += before->errors;
        c->replaced += before->replaced;
    }
}

/* Notes how the last thing tried went; says so when that changes.  That a store
 * which was broken can be opened does not mean that it works. */
static void
note(struct phc_l2 *l2, const char *error)
{
    if (error) {
        l2->retry_at = time_msec() + PHC_L2_RETRY_MS;
        if (!l2->has_said) {
            l2->has_said = true;
            VLOG_ERR("%s: %s: sessions are kept in memory only", l2->path,
                     error);
        }
    } else if (l2->has_said && !l2->was_broken) {
        l2->has_said = false;
        VLOG_INFO("%s: in use again", l2->path);
    }
    ovs_mutex_lock(&l2->mutex);
    l2->counts.failed = error != NULL;
    ovs_strlcpy(l2->counts.error, error ? error : "",
                sizeof l2->counts.error);
    update_counts(l2);
    ovs_mutex_unlock(&l2->mutex);
}

/* Gives an answer, and waits until there is room for it. */
static void
answer(const struct phc_record *r, void *l2_)
{
    struct phc_l2 *l2 = l2_;

    ovs_mutex_lock(&l2->mutex);
    while (!queue_push(&l2->answers, OP_PUT, r) && !latch_is_set(&l2->exit)) {
        ovs_mutex_cond_wait(&l2->room, &l2->mutex);
    }
    ovs_mutex_unlock(&l2->mutex);
}

static void
open_store(struct phc_l2 *l2)
{
    struct phc_store_config config = {
        .path = l2->path, .key_path = l2->key_path,
        .max_bytes = l2->max_bytes,
    };
    char *error = NULL;
    int retval = phc_store_open(&config, &l2->store, &error);

    if (!retval && !l2->is_loaded) {
        retval = phc_store_load(l2->store, time_wall_msec(), answer, l2);
        if (retval) {
            error = xstrdup(ovs_strerror(retval));
        }
        l2->is_loaded = true;
        l2->purged_at = time_msec();    /* Loading does, too. */
        ovs_mutex_lock(&l2->mutex);
        l2->counts.loaded = true;
        ovs_mutex_unlock(&l2->mutex);
    }
    note(l2, error);
    free(error);
}

/* Closes the store if it is broken. */
static void
close_broken(struct phc_l2 *l2)
{
    const char *why = phc_store_broken(l2->store);

    if (why) {
        l2->was_broken = true;
        note(l2, why);
        ovs_mutex_lock(&l2->mutex);
        l2->before = l2->counts.store;
        ovs_mutex_unlock(&l2->mutex);
        phc_store_close(l2->store);
        l2->store = NULL;
    }
}

/* When to look for what has expired: sooner if there is need of room. */
static long long int
purge_at(const struct phc_l2 *l2)
{
    return l2->purged_at + (l2->is_full ? PHC_L2_PURGE_FULL_MS
                            : PHC_L2_PURGE_MS);
}

static void
purge(struct phc_l2 *l2)
{
    if (time_msec() >= purge_at(l2)) {
        phc_store_purge(l2->store, time_wall_msec());
        l2->purged_at = time_msec();
        ovs_mutex_lock(&l2->mutex);
        update_counts(l2);
        ovs_mutex_unlock(&l2->mutex);
    }
}

static void
write_changes(struct phc_l2 *l2, size_t n)
{
    bool is_pause = time_msec() < l2->retry_at;
    int error;

    if (!n) {
        return;
    }
    error = is_pause ? EAGAIN : phc_store_write(l2->store, l2->changes, n);
    if (!is_pause) {
        l2->is_full = error == ENOSPC;
        l2->was_broken &= error != 0;
    }
    if (error) {
        /* What is deleted need not be lost, and makes room. */
        size_t done = (l2->is_full
                       ? phc_store_delete(l2->store, l2->changes, n) : 0);

        ovs_mutex_lock(&l2->mutex);
        l2->counts.lost += n - done;
        ovs_mutex_unlock(&l2->mutex);
    }
    if (!is_pause) {            /* Else it was said when it failed. */
        note(l2, error ? ovs_strerror(error) : NULL);
    }
}

struct flush {
    const struct phc_filter *filter;
    struct phc_change *changes;
    size_t n, allocated;
};

static void
collect(const struct phc_record *r, void *flush_)
{
    struct flush *flush = flush_;

    if (r->type == PHC_RECORD_SESSION
        ? phc_filter_match(flush->filter, &r->key, r->service, r->owner)
        : phc_filter_is_all(flush->filter)) {
        if (flush->n == flush->allocated) {
            flush->changes = x2nrealloc(flush->changes, &flush->allocated,
                                        sizeof *flush->changes);
        }
        flush->changes[flush->n].delete = true;
        flush->changes[flush->n++].record = *r;
    }
}

/* Deletes the sessions that 'filter' matches, expired or not; if that is all,
 * templates, too. */
static void
run_flush(struct phc_l2 *l2, const struct phc_filter *filter)
{
    struct flush flush = { .filter = filter };
    int error = phc_store_load(l2->store, 0, collect, &flush);

    for (size_t i = 0; i < flush.n && !error; i += PHC_L2_BATCH) {
        size_t n = MIN(flush.n - i, PHC_L2_BATCH);

        if (phc_store_delete(l2->store, flush.changes + i, n) < n) {
            error = ENOSPC;
        }
    }
    note(l2, error ? ovs_strerror(error) : NULL);
    free(flush.changes);
}

static void
run_batch(struct phc_l2 *l2, size_t n)
{
    size_t n_changes = 0;

    for (size_t i = 0; i < n; i++) {
        const struct item *item = &l2->batch[i];
        struct phc_record r;

        if (item->op == OP_PUT || item->op == OP_DELETE) {
            l2->changes[n_changes].delete = item->op == OP_DELETE;
            l2->changes[n_changes++].record = item->record;
        } else {
            write_changes(l2, n_changes);
            n_changes = 0;
            if (item->op == OP_FLUSH) {
                run_flush(l2, &item->filter);
            } else if (!phc_store_get(l2->store, &item->record.key, &r)) {
                answer(&r, l2);
                ovs_mutex_lock(&l2->mutex);
                l2->counts.found++;
                ovs_mutex_unlock(&l2->mutex);
            }
        }
    }
    write_changes(l2, n_changes);
}

static void *
phc_l2_main(void *l2_)
{
    struct phc_l2 *l2 = l2_;

    for (;;) {
        uint64_t seq = seq_read(l2->work);
        bool is_last = latch_is_set(&l2->exit);
        size_t n = 0;

        if (!l2->store && time_msec() >= l2->retry_at) {
            open_store(l2);
        }
        if (l2->store) {
            do {
                ovs_mutex_lock(&l2->mutex);
                n = queue_pop(&l2->todo, l2->batch, PHC_L2_BATCH);
                ovs_mutex_unlock(&l2->mutex);
                run_batch(l2, n);
            } while (n && !phc_store_broken(l2->store));
            purge(l2);
            close_broken(l2);
        }
        if (is_last) {
            break;
        }
        seq_wait(l2->work, seq);
        latch_wait(&l2->exit);
        poll_timer_wait_until(l2->store ? purge_at(l2) : l2->retry_at);
        poll_block();
    }
    phc_store_close(l2->store);
    return NULL;
}

/* Starts the thread, which opens the store. */
struct phc_l2 *
phc_l2_start(const struct phc_store_config *config)
{
    struct phc_l2 *l2 = xzalloc(sizeof *l2);

    l2->path = xstrdup(config->path);
    l2->key_path = xstrdup(config->key_path);
    l2->max_bytes = config->max_bytes;
    l2->work = seq_create();
    latch_init(&l2->exit);
    ovs_mutex_init(&l2->mutex);
    xpthread_cond_init(&l2->room, NULL);
    l2->todo.items = xcalloc(PHC_L2_QUEUE, sizeof *l2->todo.items);
    l2->answers.items = xcalloc(PHC_L2_QUEUE, sizeof *l2->answers.items);
    l2->batch = xcalloc(PHC_L2_BATCH, sizeof *l2->batch);
    l2->changes = xcalloc(PHC_L2_BATCH, sizeof *l2->changes);
    l2->thread = ovs_thread_create("phc-l2", phc_l2_main, l2);
    return l2;
}

/* Writes what is queued, closes the store and frees 'l2'. */
void
phc_l2_stop(struct phc_l2 *l2)
{
    if (!l2) {
        return;
    }
    ovs_mutex_lock(&l2->mutex);
    latch_set(&l2->exit);
    xpthread_cond_signal(&l2->room);
    ovs_mutex_unlock(&l2->mutex);
    xpthread_join(l2->thread, NULL);
    latch_destroy(&l2->exit);
    seq_destroy(l2->work);
    ovs_mutex_destroy(&l2->mutex);
    xpthread_cond_destroy(&l2->room);
    free(l2->todo.items);
    free(l2->answers.items);
    free(l2->batch);
    free(l2->changes);
    free(l2->path);
    free(l2->key_path);
    free(l2);
}

static bool
enqueue(struct phc_l2 *l2, enum op op, const void *arg)
{
    bool ok, was_empty;

    ovs_mutex_lock(&l2->mutex);
    was_empty = !l2->todo.n;
    ok = queue_push(&l2->todo, op, arg);
    l2->counts.refused += !ok;
    ovs_mutex_unlock(&l2->mutex);
    if (was_empty) {
        seq_change(l2->work);
    }
    return ok;
}

/* Has 'r' written.  Returns false if too much waits already. */
bool
phc_l2_put(struct phc_l2 *l2, const struct phc_record *r)
{
    return enqueue(l2, OP_PUT, r);
}

/* Has the record with the key of 'r' deleted.  Likewise. */
bool
phc_l2_delete(struct phc_l2 *l2, const struct phc_record *r)
{
    return enqueue(l2, OP_DELETE, r);
}

/* Has the record of session 'key' read; what is found becomes an answer.
 * Likewise. */
bool
phc_l2_ask(struct phc_l2 *l2, const struct sess_key *key)
{
    struct phc_record r = { .type = PHC_RECORD_SESSION, .key = *key };

    return enqueue(l2, OP_ASK, &r);
}

/* Has the sessions deleted that 'filter' matches, by the numbers that records
 * have; if that is all, templates, too.  Likewise. */
bool
phc_l2_flush(struct phc_l2 *l2, const struct phc_filter *filter)
{
    return enqueue(l2, OP_FLUSH, filter);
}

/* Takes at most 'max' answers.  Returns how many. */
size_t
phc_l2_answers(struct phc_l2 *l2, struct phc_record *records, size_t max)
{
    size_t n = 0;

    ovs_mutex_lock(&l2->mutex);
    while (n < max && l2->answers.n) {
        struct item item;

        queue_pop(&l2->answers, &item, 1);
        records[n++] = item.record;
    }
    if (n) {
        xpthread_cond_signal(&l2->room);
    }
    ovs_mutex_unlock(&l2->mutex);
    return n;
}

void
phc_l2_get_counts(struct phc_l2 *l2, struct phc_l2_counts *counts)
{
    ovs_mutex_lock(&l2->mutex);
    *counts = l2->counts;
    counts->queued = l2->todo.n;
    ovs_mutex_unlock(&l2->mutex);
}
