/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/monitor/hrm.h"

#include <string.h>

#include "util.h"

static const struct {
    const char *name;
    const char *prefix;
} kinds[HRM_N_KINDS] = {
    [HRM_PMD_CORE] = { "pmd-core", "pmd" },
    [HRM_NIC_QUEUE] = { "nic-queue", "rxq" },
    [HRM_FLOW_TABLE] = { "nic-flow-table", "flow-table" },
    [HRM_CRYPTO] = { "crypto", "crypto" },
    [HRM_DMA] = { "dma", "dma" },
    [HRM_EVENT] = { "event", "event" },
    [HRM_BB] = { "bb", "bb" },
    [HRM_RAW] = { "raw", "raw" },
    [HRM_REGEX] = { "regex", "regex" },
    [HRM_GPU] = { "gpu", "gpu" },
    [HRM_PORT] = { "accelerator-port", "port" },
    [HRM_PCI] = { "pci", "pci" },
};

static const char *const states[HRM_N_STATES] = {
    [HRM_AVAILABLE] = "available",
    [HRM_DEGRADED] = "degraded",
    [HRM_UNAVAILABLE] = "unavailable",
    [HRM_UNMANAGED] = "unmanaged",
};

const char *
hrm_kind_to_string(enum hrm_kind kind)
{
    return kind < HRM_N_KINDS ? kinds[kind].name : NULL;
}

const char *
hrm_kind_prefix(enum hrm_kind kind)
{
    return kind < HRM_N_KINDS ? kinds[kind].prefix : NULL;
}

const char *
hrm_state_to_string(enum hrm_state state)
{
    return state < HRM_N_STATES ? states[state] : NULL;
}

bool
hrm_kind_from_string(const char *s, enum hrm_kind *kind)
{
    for (int i = 0; i < HRM_N_KINDS; i++) {
        if (!strcmp(s, kinds[i].name)) {
            *kind = i;
            return true;
        }
    }
    return false;
}

bool
hrm_state_from_string(const char *s, enum hrm_state *state)
{
    for (int i = 0; i < HRM_N_STATES; i++) {
        if (!strcmp(s, states[i])) {
            *state = i;
            return true;
        }
    }
    return false;
}

static struct hrm_attr *
find_attr(const struct hrm_resource *r, const char *key)
{
    for (unsigned int i = 0; i < r->n_attrs; i++) {
        if (!strncmp(r->attrs[i].key, key, sizeof r->attrs[i].key - 1)) {
            return CONST_CAST(struct hrm_attr *, &r->attrs[i]);
        }
    }
    return NULL;
}

bool
hrm_resource_set_attr(struct hrm_resource *r, const char *key,
                      const char *value)
{
    struct hrm_attr *attr = find_attr(r, key);

    if (!attr) {
        if (r->n_attrs >= HRM_MAX_ATTRS) {
            return false;
        }
        attr = &r->attrs[r->n_attrs++];
        memset(attr, 0, sizeof *attr);
        ovs_strlcpy(attr->key, key, sizeof attr->key);
    }
    ovs_strzcpy(attr->value, value, sizeof attr->value);
    return true;
}

const char *
hrm_resource_get_attr(const struct hrm_resource *r, const char *key)
{
    const struct hrm_attr *attr = find_attr(r, key);

    return attr ? attr->value : NULL;
}
