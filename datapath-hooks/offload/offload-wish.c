/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "datapath-hooks/offload/offload-wish.h"

#include <inttypes.h>
#include <string.h>

#include "datapath-hooks/offload/offload.h"
#include "flow.h"
#include "netdev-offload.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "util.h"

struct wish {
    struct offload_wish wish;
    struct offload_granted granted;

    /* In this interval. */
    uint32_t flows, rules;
    double rate, rate_in;       /* Packets/s. */
};

static struct wish wishes[OFFLOAD_MAX_WISHES]
    OVS_GUARDED_BY(offload_agent.mutex);
static size_t n_wishes OVS_GUARDED_BY(offload_agent.mutex);

/* Changes with them; flows that have another have not been looked at. */
static uint32_t edition OVS_GUARDED_BY(offload_agent.mutex) = 1;

bool
offload_is_on(const char **reason_)
{
    enum offload_mode mode = offload_mode();
    const char *reason = (mode == OFFLOAD_OFF ? "ext-offload is off"
                          : mode == OFFLOAD_SHADOW ? "ext-offload is shadow"
                          : !netdev_is_flow_api_enabled()
                          ? "hw-offload is not true" : NULL);

    if (reason_) {
        *reason_ = reason;
    }
    return !reason;
}

static bool
wish_equal(const struct offload_wish *a, const struct offload_wish *b)
{
    return (aff_host_key_equal(&a->key, &b->key)
            && !strcmp(a->netdev, b->netdev));
}

void
offload_set_wishes(const struct offload_wish *new, size_t n)
{
    ovs_mutex_lock(&offload_agent.mutex);
    n_wishes = MIN(n, OFFLOAD_MAX_WISHES);
    memset(wishes, 0, n_wishes * sizeof *wishes);
    for (size_t i = 0; i < n_wishes; i++) {
        wishes[i].wish = new[i];
    }
    edition++;
    ovs_mutex_unlock(&offload_agent.mutex);
}

bool
offload_get_granted(const struct offload_wish *wish,
                    struct offload_granted *granted)
{
    bool found = false;

    ovs_mutex_lock(&offload_agent.mutex);
    for (size_t i = 0; i < n_wishes && !found; i++) {
        if (wish_equal(&wishes[i].wish, wish)) {
            *granted = wishes[i].granted;
            found = true;
        }
    }
    ovs_mutex_unlock(&offload_agent.mutex);
    return found;
}

void
offload_wish_begin(void)
{
    for (size_t i = 0; i < n_wishes; i++) {
        struct wish *w = &wishes[i];

        w->flows = w->rules = 0;
        w->rate = w->rate_in = 0;
    }
}

/* Returns the number of the wish that 'flow' is meant by, or -1. */
static int
wish_lookup(struct offload_flow *flow)
    OVS_REQUIRES(offload_agent.mutex)
{
    struct flow_wildcards wc;
    struct aff_host_key key;
    struct flow f;
    bool single;

    if (!n_wishes) {
        return -1;
    }
    offload_flow_match(flow, &f, &wc);
    single = aff_host_key_of_match(&key, &f, &wc);
    for (int i = 0; single && i < n_wishes; i++) {
        const struct offload_wish *w = &wishes[i].wish;

        if (aff_host_key_equal(&w->key, &key)
            && (key.net == AFF_NET_VNI
                || !strcmp(w->netdev, flow->port->name))) {
            return i;
        }
    }
    return -1;
}

void
offload_wish_flow(struct offload_plan *plan, struct offload_flow *flow)
{
    struct offload_explanation e;
    struct wish *w;

    if (flow->wish_edition != edition) {
        flow->wish_edition = edition;
        flow->wish = wish_lookup(flow);
        offload_plan_set_boost(plan, flow->id,
                               flow->wish >= 0 ? OFFLOAD_MAX_BOOST : 1);
    }
    if (flow->wish >= 0) {
        offload_plan_explain(plan, flow->id, &e);
        w = &wishes[flow->wish];
        w->flows++;
        w->rules += e.in;
        w->rate += e.rate;
        w->rate_in += e.in ? e.rate : 0;
    }
}

void
offload_wish_end(void)
{
    for (size_t i = 0; i < n_wishes; i++) {
        struct wish *w = &wishes[i];

        w->granted = (struct offload_granted) {
            .flows = w->flows,
            .rules = w->rules,
            .share = w->rate > 0 ? w->rate_in / w->rate : 0,
        };
    }
}

void
offload_wish_format(struct ds *ds)
{
    for (size_t i = 0; i < n_wishes; i++) {
        const struct wish *w = &wishes[i];
        char network[TP_NETWORK_LEN];

        aff_host_key_network(&w->wish.key, network);
        ds_put_format(ds, "preferred: %s %s on %s, %"PRIu32" flows, "
                      "%"PRIu32" rules, %.1f %% of packets\n", network,
                      tp_class_to_string(w->wish.key.class), w->wish.netdev,
                      w->granted.flows, w->granted.rules,
                      w->granted.share * 100);
    }
}

struct json *
offload_wish_json(void)
{
    struct json *array = json_array_create_empty();

    for (size_t i = 0; i < n_wishes; i++) {
        const struct wish *w = &wishes[i];
        struct json *json = json_object_create();
        char network[TP_NETWORK_LEN];

        aff_host_key_network(&w->wish.key, network);
        json_object_put_string(json, "network", network);
        json_object_put_string(json, "class",
                               tp_class_to_string(w->wish.key.class));
        json_object_put_string(json, "port", w->wish.netdev);
        json_object_put(json, "flows", json_integer_create(w->granted.flows));
        json_object_put(json, "rules", json_integer_create(w->granted.rules));
        json_object_put(json, "share", json_real_create(w->granted.share));
        json_array_add(array, json);
    }
    return array;
}
