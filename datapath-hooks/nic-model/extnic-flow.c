/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* rte_flow, as the host calls it. */

#include <config.h>

#include "datapath-hooks/nic-model/extnic-flow.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <ethdev_driver.h>
#include <rte_flow_driver.h>

#include "datapath-hooks/nic-model/extnic-dev.h"
#include "datapath-hooks/nic-model/extnic-flow-impl.h"

/* Statistics of the page; a sink has none. */
static struct extnic_shm_source *
page(const struct extnic_flow_table *table)
{
    return table->source ? table->source->shm : NULL;
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
        err = -extnic_flow_parse(table, attr, items, actions, rule, error);
        if (!err) {
            err = extnic_rule_insert(table, rule);
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

    return extnic_flow_parse(nic->flows, attr, items, actions, &rule, error);
}

/* With the mutex held. */
static int
remove_rule(struct extnic_flow_table *table, struct rte_flow *rule)
{
    struct extnic_shm_source *shm = page(table);
    int err = extnic_rule_remove(table, rule);

    if (!err && shm) {
        shm->flow_rules = table->n;
        shm->flow_removed++;
    }
    return err;
}

static int
flow_destroy(struct rte_eth_dev *dev, struct rte_flow *rule,
             struct rte_flow_error *error)
{
    struct extnic_dev *nic = dev->data->dev_private;

    extnic_flow_lock(nic->flows);
    int err = nic->link->shm->inject.destroy_fail;
    if (!err) {
        err = (rule->slot < nic->flows->max
               && nic->flows->rules[rule->slot] == rule
               ? remove_rule(nic->flows, rule) : ENOENT);
    }
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
    extnic_rule_hits(nic->flows, rule, rule->base, sum);
    query->hits_set = query->bytes_set = 1;
    query->hits = sum[0];
    query->bytes = sum[1];
    if (query->reset) {
        rule->base[0] += sum[0];
        rule->base[1] += sum[1];
    }
    extnic_flow_unlock(nic->flows);
    return 0;
}

/* Indirect counters. */

static struct rte_flow_action_handle *
handle_create(struct rte_eth_dev *dev,
              const struct rte_flow_indir_action_conf *conf,
              const struct rte_flow_action *action,
              struct rte_flow_error *error)
{
    const struct extnic_dev *nic = dev->data->dev_private;
    struct rte_flow_action_handle *counter;

    (void) conf;
    if (nic->link->shm->inject.counter_fail) {
        rte_flow_error_set(error, nic->link->shm->inject.counter_fail,
                           RTE_FLOW_ERROR_TYPE_ACTION, action,
                           "injected failure");
        return NULL;
    }
    if (action->type != RTE_FLOW_ACTION_TYPE_COUNT) {
        rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ACTION, action,
                           "only COUNT can be indirect");
        return NULL;
    }
    counter = calloc(1, sizeof *counter);
    if (!counter) {
        rte_flow_error_set(error, ENOMEM, RTE_FLOW_ERROR_TYPE_UNSPECIFIED,
                           NULL, "out of memory");
    }
    return counter;
}

static int
handle_destroy(struct rte_eth_dev *dev, struct rte_flow_action_handle *counter,
               struct rte_flow_error *error)
{
    struct extnic_dev *nic = dev->data->dev_private;

    extnic_flow_lock(nic->flows);
    bool busy = counter->rule != NULL;
    extnic_flow_unlock(nic->flows);
    if (busy) {
        return rte_flow_error_set(error, EBUSY, RTE_FLOW_ERROR_TYPE_HANDLE,
                                  NULL, "a rule uses the counter");
    }
    free(counter);
    return 0;
}

static int
handle_query(struct rte_eth_dev *dev,
             const struct rte_flow_action_handle *counter, void *data,
             struct rte_flow_error *error)
{
    struct extnic_dev *nic = dev->data->dev_private;
    struct rte_flow_query_count *query = data;
    uint64_t sum[2] = { 0, 0 };

    if (query->reset) {
        return rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ACTION,
                                  NULL, "a shared counter is not reset");
    }
    extnic_flow_lock(nic->flows);
    if (counter->rule) {
        extnic_rule_hits(nic->flows, counter->rule,
                         counter->rule->counter_base, sum);
    }
    query->hits_set = query->bytes_set = 1;
    query->hits = counter->sum[0] + sum[0];
    query->bytes = counter->sum[1] + sum[1];
    extnic_flow_unlock(nic->flows);
    return 0;
}

const struct rte_flow_ops extnic_flow_ops = {
    .validate = flow_validate,
    .create = flow_create,
    .destroy = flow_destroy,
    .flush = flow_flush,
    .query = flow_query,
    .action_handle_create = handle_create,
    .action_handle_destroy = handle_destroy,
    .action_handle_query = handle_query,
};
