/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/nic-model/extnic-flow.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ethdev_driver.h>
#include <rte_flow_driver.h>

#include "datapath-hooks/nic-model/extnic-dev.h"
#include "datapath-hooks/nic-model/extnic-match.h"
#include "datapath-hooks/nic-model/extnic-source.h"

/* A host does not expect that a rule cannot be removed, so that is tried for
 * some seconds, of 100 ms at least each, should queues not be polled. */
#define REMOVE_TRIES 30

/* A rule. */
struct rte_flow {
    struct extnic_match match;
    uint32_t slot;              /* In the table. */
    uint32_t priority;
    uint64_t order;             /* Of creation. */
    bool has_mark, drop, count;
    uint32_t mark;
    uint16_t n_queues;          /* 0: the indirection table. */
    uint16_t queues[EXTNIC_MAX_QUEUES];
    uint64_t base[2];           /* Packets, bytes when last reset. */
};

struct extnic_flow_table {
    pthread_mutex_t mutex;
    struct extnic_source *source;
    struct extnic_link *link;
    uint32_t max, insert_us;
    uint32_t n, n_drops;
    uint64_t order;
    struct rte_flow **rules;    /* [max], null where free. */
};

struct extnic_flow_table *
extnic_flow_table_create(struct extnic_source *source,
                         struct extnic_link *link,
                         const struct extnic_args *args)
{
    struct extnic_flow_table *table = calloc(1, sizeof *table);

    if (!table) {
        return NULL;
    }
    table->rules = calloc(args->flow_max + 1, sizeof *table->rules);
    if (!table->rules) {
        free(table);
        return NULL;
    }
    table->source = source;
    table->link = link;
    table->max = args->flow_max;
    table->insert_us = args->flow_insert_us;
    pthread_mutex_init(&table->mutex, NULL);
    return table;
}

void
extnic_flow_table_destroy(struct extnic_flow_table *table)
{
    if (table) {
        for (uint32_t i = 0; i < table->max; i++) {
            free(table->rules[i]);
        }
        free(table->rules);
        pthread_mutex_destroy(&table->mutex);
        free(table);
    }
}

uint32_t
extnic_flow_drops(const struct extnic_flow_table *table)
{
    return __atomic_load_n(&table->n_drops, __ATOMIC_RELAXED);
}

void
extnic_flow_lock(struct extnic_flow_table *table)
{
    pthread_mutex_lock(&table->mutex);
}

void
extnic_flow_unlock(struct extnic_flow_table *table)
{
    pthread_mutex_unlock(&table->mutex);
}

/* Makes 'rule' (null: none) what template 'i' hits. */
static void
direct(struct extnic_source *source, uint16_t *codes, uint32_t i,
       const struct rte_flow *rule)
{
    static const uint64_t mark_flags = (RTE_MBUF_F_RX_FDIR
                                        | RTE_MBUF_F_RX_FDIR_ID);
    struct extnic_template *t = &source->traffic->templates[i];
    uint64_t path = 0;

    if (rule) {
        path = (uint64_t) (rule->slot + 1) << 32 | rule->mark;
    }
    if (rule && rule->drop) {
        codes[i] = EXTNIC_CODE_DROP;
    } else if (rule && rule->n_queues) {
        codes[i] = (EXTNIC_CODE_QUEUE
                    + rule->queues[t->hash % rule->n_queues]);
    } else {
        codes[i] = (t->rss_ok ? t->hash : 0) & (source->args.reta - 1);
    }
    if (rule && rule->has_mark) {
        t->ol_flags |= mark_flags;
    } else {
        t->ol_flags &= ~mark_flags;
    }
    __atomic_store_n(&t->path, path, __ATOMIC_RELAXED);
}

static bool
precedes(const struct rte_flow *a, const struct rte_flow *b)
{
    return (!b || a->priority < b->priority
            || (a->priority == b->priority && a->order < b->order));
}

static const struct rte_flow *
lookup(const struct extnic_flow_table *table, const struct extnic_template *t)
{
    const struct rte_flow *best = NULL;

    for (uint32_t i = 0, seen = 0; i < table->max && seen < table->n; i++) {
        const struct rte_flow *rule = table->rules[i];

        if (rule) {
            seen++;
            if (precedes(rule, best)
                && extnic_match_template(&rule->match, t)) {
                best = rule;
            }
        }
    }
    return best;
}

void
extnic_flow_apply(struct extnic_source *source, uint16_t *codes)
{
    const struct extnic_flow_table *table = source->flows;

    for (uint32_t i = 0; table->n && i < source->traffic->n_templates; i++) {
        const struct rte_flow *rule;

        rule = lookup(table, &source->traffic->templates[i]);
        if (rule) {
            direct(source, codes, i, rule);
        }
    }
}

static const struct rte_flow *
current(const struct extnic_source *source, uint32_t i)
{
    uint32_t slot = source->traffic->templates[i].path >> 32;

    return slot ? source->flows->rules[slot - 1] : NULL;
}

static void
apply_new(struct extnic_source *source, uint16_t *codes, void *rule_)
{
    const struct rte_flow *rule = rule_;

    for (uint32_t i = 0; i < source->traffic->n_templates; i++) {
        if (precedes(rule, current(source, i))
            && extnic_match_template(&rule->match,
                                     &source->traffic->templates[i])) {
            direct(source, codes, i, rule);
        }
    }
}

/* 'rule' is in the table no more. */
static void
apply_gone(struct extnic_source *source, uint16_t *codes, void *rule_)
{
    const struct rte_flow *rule = rule_;

    for (uint32_t i = 0; i < source->traffic->n_templates; i++) {
        struct extnic_template *t = &source->traffic->templates[i];

        if (t->path >> 32 == rule->slot + UINT64_C(1)) {
            direct(source, codes, i, lookup(source->flows, t));
        }
    }
}

static void
hits(const struct extnic_flow_table *table, uint32_t slot, uint64_t sum[2])
{
    sum[0] = sum[1] = 0;
    for (int i = 0; table->source && i < EXTNIC_MAX_QUEUES; i++) {
        const struct extnic_rxq *q = table->source->rxq[i];

        if (q) {
            sum[0] += q->rule_hits[2 * (slot + 1)];
            sum[1] += q->rule_hits[2 * (slot + 1) + 1];
        }
    }
}

/* Parsing of rules. */

static int
parse_attr(const struct rte_flow_attr *attr, struct rte_flow *rule,
           struct rte_flow_error *error)
{
    if (attr->egress) {
        return rte_flow_error_set(error, ENOTSUP,
                                  RTE_FLOW_ERROR_TYPE_ATTR_EGRESS, attr,
                                  "egress rules are not supported");
    }
    if (attr->group) {
        return rte_flow_error_set(error, ENOTSUP,
                                  RTE_FLOW_ERROR_TYPE_ATTR_GROUP, attr,
                                  "there is group 0 only");
    }
    rule->priority = attr->priority;
    return 0;
}

static int
parse_queues(const struct extnic_flow_table *table, const uint16_t *queues,
             uint32_t n, struct rte_flow *rule,
             const struct rte_flow_action *action,
             struct rte_flow_error *error)
{
    uint32_t n_rxq = table->source ? table->source->n_rxq : EXTNIC_MAX_QUEUES;

    if (!n || n > EXTNIC_MAX_QUEUES) {
        return rte_flow_error_set(error, EINVAL,
                                  RTE_FLOW_ERROR_TYPE_ACTION_CONF, action,
                                  "bad number of queues");
    }
    for (uint32_t i = 0; i < n; i++) {
        if (queues[i] >= n_rxq) {
            return rte_flow_error_set(error, EINVAL,
                                      RTE_FLOW_ERROR_TYPE_ACTION_CONF, action,
                                      "no such queue");
        }
        rule->queues[i] = queues[i];
    }
    rule->n_queues = n;
    return 0;
}

static int
parse_rss(const struct extnic_flow_table *table,
          const struct rte_flow_action *action, struct rte_flow *rule,
          struct rte_flow_error *error)
{
    const struct rte_flow_action_rss *rss = action->conf;

    if (rss->key_len || rss->level
        || (rss->func != RTE_ETH_HASH_FUNCTION_DEFAULT
            && rss->func != RTE_ETH_HASH_FUNCTION_TOEPLITZ)) {
        return rte_flow_error_set(error, ENOTSUP,
                                  RTE_FLOW_ERROR_TYPE_ACTION_CONF, action,
                                  "RSS with an own key, level or function is "
                                  "not supported");
    }
    return parse_queues(table, rss->queue, rss->queue_num, rule, action,
                        error);
}

static int
parse_action(const struct extnic_flow_table *table,
             const struct rte_flow_action *action, struct rte_flow *rule,
             struct rte_flow_error *error)
{
    switch ((int) action->type) {
    case RTE_FLOW_ACTION_TYPE_VOID:
        return 0;
    case RTE_FLOW_ACTION_TYPE_MARK:
        rule->has_mark = true;
        rule->mark = ((const struct rte_flow_action_mark *) action->conf)->id;
        return 0;
    case RTE_FLOW_ACTION_TYPE_RSS:
        return parse_rss(table, action, rule, error);
    case RTE_FLOW_ACTION_TYPE_QUEUE:
        return parse_queues(table,
                            &((const struct rte_flow_action_queue *)
                              action->conf)->index, 1, rule, action, error);
    case RTE_FLOW_ACTION_TYPE_COUNT:
        rule->count = true;
        return 0;
    case RTE_FLOW_ACTION_TYPE_DROP:
    case RTE_FLOW_ACTION_TYPE_PORT_ID:
    case RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT:
        rule->drop = true;
        return 0;
    case RTE_FLOW_ACTION_TYPE_JUMP:
        if (!((const struct rte_flow_action_jump *) action->conf)->group) {
            return 0;
        }
        /* Fall through. */
    default:
        return rte_flow_error_set(error, ENOTSUP,
                                  RTE_FLOW_ERROR_TYPE_ACTION, action,
                                  "action is not one of MARK RSS QUEUE DROP "
                                  "COUNT PORT_ID REPRESENTED_PORT JUMP(0)");
    }
}

static int
parse(const struct extnic_flow_table *table, const struct rte_flow_attr *attr,
      const struct rte_flow_item *items, const struct rte_flow_action *actions,
      struct rte_flow *rule, struct rte_flow_error *error)
{
    int retval;

    memset(rule, 0, sizeof *rule);
    retval = parse_attr(attr, rule, error);
    if (!retval) {
        retval = extnic_match_compile(items, &rule->match, error);
    }
    for (; !retval && actions->type != RTE_FLOW_ACTION_TYPE_END; actions++) {
        retval = parse_action(table, actions, rule, error);
    }
    return retval;
}

/* Statistics of the page; a sink has none. */
static struct extnic_shm_source *
page(const struct extnic_flow_table *table)
{
    return table->source ? table->source->shm : NULL;
}

/* With the mutex held.  Returns a positive errno. */
static int
insert(struct extnic_flow_table *table, struct rte_flow *rule)
{
    int err = 0;

    rule->slot = 0;
    while (rule->slot < table->max && table->rules[rule->slot]) {
        rule->slot++;
    }
    if (rule->slot == table->max) {
        return ENOSPC;
    }
    rule->order = table->order++;
    hits(table, rule->slot, rule->base);
    table->rules[rule->slot] = rule;
    table->n++;
    table->n_drops += rule->drop;
    if (table->source) {
        err = extnic_source_update_codes(table->source, apply_new, rule);
    }
    if (err) {
        table->rules[rule->slot] = NULL;
        table->n--;
        table->n_drops -= rule->drop;
    }
    return err;
}

static struct rte_flow *
flow_create(struct rte_eth_dev *dev, const struct rte_flow_attr *attr,
            const struct rte_flow_item *items,
            const struct rte_flow_action *actions,
            struct rte_flow_error *error)
{
    struct extnic_dev *nic = dev->data->dev_private;
    struct extnic_flow_table *table = nic->flows;
    struct extnic_shm_source *shm = page(table);
    struct rte_flow *rule = calloc(1, sizeof *rule);
    int err = rule ? nic->link->shm->inject.flow_fail : ENOMEM;
    const char *reason = rule ? "injected failure" : "out of memory";

    if (table->insert_us) {
        usleep(table->insert_us);
    }
    extnic_flow_lock(table);
    if (err) {
        rte_flow_error_set(error, err, RTE_FLOW_ERROR_TYPE_HANDLE, NULL,
                           reason);
    } else {
        err = -parse(table, attr, items, actions, rule, error);
        if (!err) {
            err = insert(table, rule);
            if (err) {
                rte_flow_error_set(error, err, RTE_FLOW_ERROR_TYPE_HANDLE,
                                   NULL, err == ENOSPC ? "table is full"
                                         : "a queue is not being polled");
            }
        }
    }
    if (shm) {
        shm->flow_rules = table->n;
        shm->flow_inserted += !err;
        shm->flow_rejected += err != 0;
    }
    extnic_flow_unlock(table);
    if (err) {
        free(rule);
        return NULL;
    }
    return rule;
}

static int
flow_validate(struct rte_eth_dev *dev, const struct rte_flow_attr *attr,
              const struct rte_flow_item *items,
              const struct rte_flow_action *actions,
              struct rte_flow_error *error)
{
    const struct extnic_dev *nic = dev->data->dev_private;
    struct rte_flow rule;

    return parse(nic->flows, attr, items, actions, &rule, error);
}

/* With the mutex held. */
static int
remove_rule(struct extnic_flow_table *table, struct rte_flow *rule)
{
    struct extnic_shm_source *shm = page(table);
    int err = 0;

    table->rules[rule->slot] = NULL;
    table->n--;
    for (int i = 0; table->source && i < REMOVE_TRIES; i++) {
        err = extnic_source_update_codes(table->source, apply_gone, rule);
        if (!err) {
            break;
        }
    }
    if (err) {
        table->rules[rule->slot] = rule;
        table->n++;
        return err;
    }
    table->n_drops -= rule->drop;
    if (shm) {
        shm->flow_rules = table->n;
        shm->flow_removed++;
    }
    free(rule);
    return 0;
}

static int
flow_destroy(struct rte_eth_dev *dev, struct rte_flow *rule,
             struct rte_flow_error *error)
{
    struct extnic_dev *nic = dev->data->dev_private;

    extnic_flow_lock(nic->flows);
    int err = (rule->slot < nic->flows->max
               && nic->flows->rules[rule->slot] == rule
               ? remove_rule(nic->flows, rule) : ENOENT);
    extnic_flow_unlock(nic->flows);
    if (err) {
        return rte_flow_error_set(error, err, RTE_FLOW_ERROR_TYPE_HANDLE,
                                  NULL, "rule cannot be removed");
    }
    return 0;
}

static int
flow_flush(struct rte_eth_dev *dev, struct rte_flow_error *error)
{
    struct extnic_dev *nic = dev->data->dev_private;
    int err = 0;

    extnic_flow_lock(nic->flows);
    for (uint32_t i = 0; i < nic->flows->max && !err; i++) {
        if (nic->flows->rules[i]) {
            err = remove_rule(nic->flows, nic->flows->rules[i]);
        }
    }
    extnic_flow_unlock(nic->flows);
    if (err) {
        return rte_flow_error_set(error, err, RTE_FLOW_ERROR_TYPE_HANDLE,
                                  NULL, "rule cannot be removed");
    }
    return 0;
}

static int
flow_query(struct rte_eth_dev *dev, struct rte_flow *rule,
           const struct rte_flow_action *actions, void *data,
           struct rte_flow_error *error)
{
    struct extnic_dev *nic = dev->data->dev_private;
    struct rte_flow_query_count *query = data;
    uint64_t sum[2];

    for (; actions->type != RTE_FLOW_ACTION_TYPE_END; actions++) {
        if (actions->type != RTE_FLOW_ACTION_TYPE_COUNT
            && actions->type != RTE_FLOW_ACTION_TYPE_VOID) {
            return rte_flow_error_set(error, ENOTSUP,
                                      RTE_FLOW_ERROR_TYPE_ACTION, actions,
                                      "only COUNT can be queried");
        }
    }
    extnic_flow_lock(nic->flows);
    hits(nic->flows, rule->slot, sum);
    query->hits_set = query->bytes_set = 1;
    query->hits = sum[0] - rule->base[0];
    query->bytes = sum[1] - rule->base[1];
    if (query->reset) {
        memcpy(rule->base, sum, sizeof sum);
    }
    extnic_flow_unlock(nic->flows);
    return 0;
}

const struct rte_flow_ops extnic_flow_ops = {
    .validate = flow_validate,
    .create = flow_create,
    .destroy = flow_destroy,
    .flush = flow_flush,
    .query = flow_query,
};
