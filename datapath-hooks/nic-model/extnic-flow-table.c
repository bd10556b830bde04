/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* The flow table: which rule each template of the traffic hits, kept up to
 * date as rules come and go. */

#include <config.h>

#include "datapath-hooks/nic-model/extnic-flow-impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_mbuf_core.h>

/* A host does not expect that a rule cannot be removed, so that is tried for
 * some seconds, of 100 ms at least each, should queues not be polled. */
#define REMOVE_TRIES 30

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
    table->free = calloc(args->flow_max + 1, sizeof *table->free);
    if (!table->rules || !table->free
        || !extnic_index_init(&table->exact, args->flow_max)) {
        free(table->rules);
        free(table->free);
        extnic_index_uninit(&table->exact);
        free(table);
        return NULL;
    }
    for (uint32_t i = 0; i < args->flow_max; i++) {
        table->free[i] = args->flow_max - 1 - i;
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
        free(table->free);
        extnic_index_uninit(&table->exact);
        extnic_index_uninit(&table->templates);
        pthread_mutex_destroy(&table->mutex);
        free(table);
    }
}

uint32_t
extnic_flow_count(const struct extnic_flow_table *table)
{
    return table->n;
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
direct(struct extnic_source *source, uint32_t *codes, uint32_t i,
       const struct rte_flow *rule)
{
    static const uint64_t mark_flags = (RTE_MBUF_F_RX_FDIR
                                        | RTE_MBUF_F_RX_FDIR_ID);
    struct extnic_template *t = &source->traffic->templates[i];
    uint64_t path = 0;
    uint32_t code;

    if (rule && !rule->drop) {
        path = (uint64_t) (rule->slot + 1) << 32 | rule->mark;
    }
    if (rule && rule->drop) {
        code = EXTNIC_CODE_DROP | (rule->slot + 1) << EXTNIC_CODE_BITS;
    } else if (rule && rule->n_queues) {
        code = EXTNIC_CODE_QUEUE + rule->queues[t->hash % rule->n_queues];
    } else {
        code = (t->rss_ok ? t->hash : 0) & (source->args.reta - 1);
    }
    if (rule && rule->has_mark) {
        t->ol_flags |= mark_flags;
    } else {
        t->ol_flags &= ~mark_flags;
    }
    t->rule = rule ? rule->slot + 1 : 0;
    __atomic_store_n(&t->path, path, __ATOMIC_RELAXED);
    __atomic_store_n(&codes[i], code, __ATOMIC_RELEASE);
}

static bool
precedes(const struct rte_flow *a, const struct rte_flow *b)
{
    return (!b || a->priority < b->priority
            || (a->priority == b->priority && a->order < b->order));
}

static const struct rte_flow *
better(const struct rte_flow *best, const struct rte_flow *rule,
       const struct extnic_template *t)
{
    return (precedes(rule, best) && extnic_match_template(&rule->match, t)
            ? rule : best);
}

/* The rule that 't' hits, or null. */
static const struct rte_flow *
lookup(const struct extnic_flow_table *table, const struct extnic_template *t)
{
    const struct rte_flow *best = NULL;
    struct extnic_tuple tuple;

    for (const struct rte_flow *r = table->loose; r; r = r->next_loose) {
        best = better(best, r, t);
    }
    if (extnic_tuple_of_template(t, &tuple)) {
        for (uint32_t i = extnic_index_first(&table->exact, &tuple); i;
             i = table->exact.next[i - 1]) {
            best = better(best, table->rules[i - 1], t);
        }
    }
    return best;
}

void
extnic_flow_apply(struct extnic_source *source, uint32_t *codes)
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
    uint32_t slot = source->traffic->templates[i].rule;

    return slot ? source->flows->rules[slot - 1] : NULL;
}

/* Calls 'cb' for each template that 'rule' may concern. */
static void
each_template(struct extnic_source *source, uint32_t *codes,
              const struct rte_flow *rule,
              void (*cb)(struct extnic_source *, uint32_t *codes,
                         const struct rte_flow *rule, uint32_t i))
{
    const struct extnic_index *index = &source->flows->templates;

    if (rule->exact) {
        for (uint32_t i = extnic_index_first(index, &rule->tuple); i;
             i = index->next[i - 1]) {
            cb(source, codes, rule, i - 1);
        }
    } else {
        for (uint32_t i = 0; i < source->traffic->n_templates; i++) {
            cb(source, codes, rule, i);
        }
    }
}

static void
apply_new_to(struct extnic_source *source, uint32_t *codes,
             const struct rte_flow *rule, uint32_t i)
{
    if (precedes(rule, current(source, i))
        && extnic_match_template(&rule->match,
                                 &source->traffic->templates[i])) {
        direct(source, codes, i, rule);
    }
}

static void
apply_new(struct extnic_source *source, uint32_t *codes, void *rule)
{
    each_template(source, codes, rule, apply_new_to);
}

/* 'rule' can be found in the table no more. */
static void
apply_gone_to(struct extnic_source *source, uint32_t *codes,
              const struct rte_flow *rule, uint32_t i)
{
    struct extnic_template *t = &source->traffic->templates[i];

    if (t->rule == rule->slot + 1) {
        direct(source, codes, i, lookup(source->flows, t));
    }
}

static void
apply_gone(struct extnic_source *source, uint32_t *codes, void *rule)
{
    each_template(source, codes, rule, apply_gone_to);
}

static void
hits(const struct extnic_flow_table *table, uint32_t slot, uint64_t sum[2])
{
    sum[0] = sum[1] = 0;
    for (int i = 0; table->source && i < EXTNIC_MAX_QUEUES; i++) {
        const struct extnic_rxq *q = table->source->rxq[i];

        if (q) {
            sum[0] += __atomic_load_n(&q->rule_hits[2 * (slot + 1)],
                                      __ATOMIC_RELAXED);
            sum[1] += __atomic_load_n(&q->rule_hits[2 * (slot + 1) + 1],
                                      __ATOMIC_RELAXED);
        }
    }
}

void
extnic_rule_hits(const struct extnic_flow_table *table,
                 const struct rte_flow *rule, const uint64_t base[2],
                 uint64_t sum[2])
{
    hits(table, rule->slot, sum);
    sum[0] -= base[0];
    sum[1] -= base[1];
}

/* Templates by tuple, when the first rule asks for it.  Returns false if there
 * is no memory: rules are not exact then. */
static bool
index_templates(struct extnic_flow_table *table)
{
    const struct extnic_traffic *traffic = table->source->traffic;

    if (table->indexed) {
        return true;
    }
    if (!extnic_index_init(&table->templates, traffic->n_templates)) {
        extnic_index_uninit(&table->templates);
        memset(&table->templates, 0, sizeof table->templates);
        return false;
    }
    for (uint32_t i = 0; i < traffic->n_templates; i++) {
        struct extnic_tuple tuple;

        if (extnic_tuple_of_template(&traffic->templates[i], &tuple)) {
            extnic_index_add(&table->templates, &tuple, i);
        }
    }
    table->indexed = true;
    return true;
}

/* Makes 'rule', in its slot, one that lookup() finds. */
static void
link_rule(struct extnic_flow_table *table, struct rte_flow *rule)
{
    if (rule->exact) {
        extnic_index_add(&table->exact, &rule->tuple, rule->slot);
    } else {
        rule->next_loose = table->loose;
        table->loose = rule;
    }
}

static void
unlink_rule(struct extnic_flow_table *table, struct rte_flow *rule)
{
    if (rule->exact) {
        extnic_index_remove(&table->exact, &rule->tuple, rule->slot);
    } else {
        struct rte_flow **p = &table->loose;

        while (*p != rule) {
            p = &(*p)->next_loose;
        }
        *p = rule->next_loose;
    }
}

/* Takes 'rule' out of the slot, which nothing refers to any more. */
static void
free_slot(struct extnic_flow_table *table, struct rte_flow *rule)
{
    table->rules[rule->slot] = NULL;
    table->n--;
    table->free[table->max - table->n - 1] = rule->slot;
    table->n_drops -= rule->drop;
}

int
extnic_rule_insert(struct extnic_flow_table *table, struct rte_flow *rule)
{
    int err = 0;

    if (table->n == table->max) {
        return ENOSPC;
    }
    rule->slot = table->free[table->max - table->n - 1];
    rule->order = table->order++;
    rule->exact = (table->source
                   && extnic_tuple_of_match(&rule->match, &rule->tuple)
                   && index_templates(table));
    hits(table, rule->slot, rule->base);
    memcpy(rule->counter_base, rule->base, sizeof rule->base);
    table->rules[rule->slot] = rule;
    table->n++;
    table->n_drops += rule->drop;
    link_rule(table, rule);
    if (table->source) {
        err = extnic_source_update_codes(table->source, apply_new, rule,
                                         true);
    }
    if (err) {
        unlink_rule(table, rule);
        free_slot(table, rule);
    } else if (rule->counter) {
        rule->counter->rule = rule;
    }
    return err;
}

int
extnic_rule_remove(struct extnic_flow_table *table, struct rte_flow *rule)
{
    int err = 0;

    unlink_rule(table, rule);
    for (int i = 0; table->source && i < REMOVE_TRIES; i++) {
        err = extnic_source_update_codes(table->source, apply_gone, rule,
                                         true);
        if (!err) {
            break;
        }
    }
    if (err) {
        link_rule(table, rule);
        return err;
    }
    if (rule->counter) {
        uint64_t sum[2];

        extnic_rule_hits(table, rule, rule->counter_base, sum);
        rule->counter->sum[0] += sum[0];
        rule->counter->sum[1] += sum[1];
        rule->counter->rule = NULL;
    }
    free_slot(table, rule);
    free(rule);
    return 0;
}
