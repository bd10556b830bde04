/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* What the planner knows of a host: resources, profiles, pins, reports. */

#include <config.h>

#include "ovs-ext/affinity/aff-impl.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"

/* 'x' if it is a number, brought into [0,max]; 0 if it is none. */
static double
clean(double x, double max)
{
    return x >= 0 ? MIN(x, max) : 0;
}

struct aff_host *
aff_host_create(const char *name, uint64_t seed)
{
    struct aff_host *h = xzalloc(sizeof *h);

    h->name = xstrdup(name);
    ext_rng_init_stream(&h->rng, seed, hash_string(name, 0));
    shash_init(&h->by_name);
    shash_init(&h->by_key);
    h->home = -1;
    h->next_explore = LLONG_MIN;
    h->last_report = LLONG_MIN;
    return h;
}

static void
free_profile(struct aff_prof *p)
{
    free(p->key);
    free(p->network);
    free(p->pin);
    free(p->lost);
    memset(p, 0, sizeof *p);
}

void
aff_host_destroy(struct aff_host *h)
{
    if (h) {
        for (int i = 0; i < h->n_res; i++) {
            free(h->res[i].name);
        }
        for (int i = 0; i < h->n_prof; i++) {
            free_profile(&h->prof[i]);
        }
        shash_destroy(&h->by_name);
        shash_destroy(&h->by_key);
        free(h->res);
        free(h->prof);
        free(h->order);
        free(h->name);
        free(h);
    }
}

/* Resources. */

int
aff_host_find_resource(const struct aff_host *h, const char *name)
{
    const void *data = shash_find_data(&h->by_name, name);

    return (intptr_t) data - 1;
}

/* Returns an unused slot, or AFF_NONE. */
static int
new_resource(struct aff_host *h, const char *name)
{
    int slot = 0;

    if (shash_count(&h->by_name) >= AFF_MAX_RESOURCES) {
        return AFF_NONE;
    }
    if (shash_count(&h->by_name) == h->n_res) {
        if (h->n_res >= h->allocated_res) {
            h->allocated_res = MAX(16, 2 * h->allocated_res);
            h->res = xrealloc(h->res, h->allocated_res * sizeof *h->res);
        }
        slot = h->n_res++;
    } else {
        while (h->res[slot].used) {
            slot++;
        }
    }

    struct aff_res *r = &h->res[slot];
    memset(r, 0, sizeof *r);
    r->used = true;
    r->name = xstrdup(name);
    shash_add(&h->by_name, name, (void *) (intptr_t) (slot + 1));
    return slot;
}

int
aff_host_set_resource(struct aff_host *h, const struct aff_resource *in)
{
    int slot = aff_host_find_resource(h, in->name);

    if (slot == AFF_NONE) {
        slot = new_resource(h, in->name);
        if (slot == AFF_NONE) {
            return AFF_NONE;
        }
    }

    struct aff_res *r = &h->res[slot];
    const struct hrm_metrics m = {
        .utilization = clean(in->m.utilization, 1),
        .forecast_utilization = clean(in->m.forecast_utilization, 1),
        .latency_us = clean(in->m.latency_us, 1e9),
        .throughput = clean(in->m.throughput, 1e15),
        .error_rate = clean(in->m.error_rate, 1),
    };

    /* A kind that is not known takes part in nothing. */
    r->kind = in->kind < HRM_N_KINDS ? in->kind : HRM_PCI;
    r->state = in->state < HRM_N_STATES ? in->state : HRM_UNAVAILABLE;
    r->numa = in->numa >= 0 ? in->numa : -1;
    r->unit = aff_unit_from_string(in->unit);
    r->fit = aff_fit_row(r->kind, in->accelerator);
    r->steerable = in->steerable;
    if (memcmp(&m, &r->m, sizeof m)) {
        r->m = m;
        r->sampled = true;
    }

    double capacity = clean(in->capacity, 1e15);
    if (!(capacity > 0) && r->unit != AFF_U_ENTRIES && m.utilization > 0.05) {
        capacity = m.throughput / m.utilization;
    }
    r->inv_capacity = capacity > 0 ? 1 / capacity : 0;
    return slot;
}

void
aff_host_remove_resource(struct aff_host *h, const char *name)
{
    struct shash_node *node = shash_find(&h->by_name, name);

    if (!node) {
        return;
    }

    int slot = (intptr_t) node->data - 1;
    for (int i = 0; i < h->n_prof; i++) {
        struct aff_prof *p = &h->prof[i];

        if (p->used && p->d.resource == slot) {
            p->d.resource = AFF_NONE;
            p->applied = false;
            free(p->lost);
            p->lost = xstrdup(name);
        }
    }
    shash_delete(&h->by_name, node);
    free(h->res[slot].name);
    memset(&h->res[slot], 0, sizeof h->res[slot]);
}

const char *
aff_resource_name(const struct aff_host *h, int slot)
{
    return slot == AFF_NONE ? "" : h->res[slot].name;
}

enum hrm_state
aff_resource_state(const struct aff_host *h, int slot)
{
    return h->res[slot].state;
}

/* Load of a resource as the latest plan left it: share of its capacity. */
double
aff_resource_load(const struct aff_host *h, int slot)
{
    return h->res[slot].now;
}

size_t
aff_host_n_resources(const struct aff_host *h)
{
    return shash_count(&h->by_name);
}

int
aff_resource_next(const struct aff_host *h, int slot)
{
    for (; slot < h->n_res; slot++) {
        if (h->res[slot].used) {
            return slot;
        }
    }
    return AFF_NONE;
}

/* Profiles. */

static char *
make_key(const char *network, enum tp_class class)
{
    return xasprintf("%s %d", network, (int) class);
}

int
aff_host_find_profile(const struct aff_host *h, const char *network,
                      enum tp_class class)
{
    char *key = make_key(network, class);
    const void *data = shash_find_data(&h->by_key, key);

    free(key);
    return (intptr_t) data - 1;
}

/* Finds or makes the profile. */
static int
get_profile(struct aff_host *h, const char *network, enum tp_class class)
{
    int slot = aff_host_find_profile(h, network, class);

    if (slot != AFF_NONE || shash_count(&h->by_key) >= AFF_MAX_PROFILES) {
        return slot;
    }
    slot = 0;
    if (shash_count(&h->by_key) == h->n_prof) {
        if (h->n_prof >= h->allocated_prof) {
            h->allocated_prof = MAX(16, 2 * h->allocated_prof);
            h->prof = xrealloc(h->prof, h->allocated_prof * sizeof *h->prof);
            h->order = xrealloc(h->order,
                                h->allocated_prof * sizeof *h->order);
        }
        slot = h->n_prof++;
    } else {
        while (h->prof[slot].used) {
            slot++;
        }
    }

    struct aff_prof *p = &h->prof[slot];
    memset(p, 0, sizeof *p);
    p->used = true;
    p->network = xstrdup(network);
    p->class = class;
    p->key = make_key(network, class);
    p->weight = 1;
    p->d.resource = AFF_NONE;
    p->explore_until = LLONG_MIN;
    shash_add(&h->by_key, p->key, (void *) (intptr_t) (slot + 1));
    return slot;
}

static void
delete_profile(struct aff_host *h, int slot)
{
    const char *network = h->prof[slot].network;

    /* Resources have the names of networks from profiles, until the next
     * plan. */
    for (int i = 0; i < h->n_res; i++) {
        struct aff_res *r = &h->res[i];

        r->net = r->net == network ? NULL : r->net;
        r->owner = r->owner == network ? NULL : r->owner;
    }
    shash_find_and_delete(&h->by_key, h->prof[slot].key);
    free_profile(&h->prof[slot]);
}

int
aff_host_set_profile(struct aff_host *h, const struct aff_profile *in)
{
    enum tp_class class = in->class < TP_N_CLASSES ? in->class : TP_OTHER;
    int slot = get_profile(h, in->network, class);

    if (slot != AFF_NONE) {
        struct aff_prof *p = &h->prof[slot];

        p->traffic = true;
        p->in = (struct aff_profile) {
            .pps = clean(in->pps, 1e12),
            .bps = clean(in->bps, 1e15),
            .packet_size = clean(in->packet_size, 65535),
            .burstiness = clean(in->burstiness, 1e6),
            .flows = clean(in->flows, 1e12),
            .elephant_share = clean(in->elephant_share, 1),
        };
    }
    return slot;
}

void
aff_host_remove_profile(struct aff_host *h, int slot)
{
    struct aff_prof *p = &h->prof[slot];

    p->traffic = false;
    memset(&p->in, 0, sizeof p->in);
    if (!p->pin) {
        delete_profile(h, slot);
    }
}

size_t
aff_host_n_profiles(const struct aff_host *h)
{
    return shash_count(&h->by_key);
}

int
aff_profile_next(const struct aff_host *h, int slot)
{
    for (; slot < h->n_prof; slot++) {
        if (h->prof[slot].used) {
            return slot;
        }
    }
    return AFF_NONE;
}

void
aff_profile_set_network(struct aff_host *h, int slot, bool exclusive,
                        double weight)
{
    h->prof[slot].exclusive = exclusive;
    h->prof[slot].weight = weight > 0 ? MIN(weight, 1e6) : 1;
}

void
aff_profile_set_present(struct aff_host *h, int slot, int resource)
{
    struct aff_prof *p = &h->prof[slot];

    if (!p->decided || p->d.resource != resource) {
        p->d.resource = resource;
        p->d.cause = AFF_C_KEPT;
        p->decided = true;
        free(p->lost);
        p->lost = NULL;
    }
}

void
aff_profile_set_applied(struct aff_host *h, int slot, bool applied)
{
    h->prof[slot].applied = applied;
}

const struct aff_decision *
aff_profile_decision(const struct aff_host *h, int slot)
{
    return &h->prof[slot].d;
}

const char *
aff_profile_network(const struct aff_host *h, int slot)
{
    return h->prof[slot].network;
}

enum tp_class
aff_profile_class(const struct aff_host *h, int slot)
{
    return h->prof[slot].class;
}

bool
aff_profile_has_traffic(const struct aff_host *h, int slot)
{
    return h->prof[slot].traffic;
}

bool
aff_profile_is_pinned(const struct aff_host *h, int slot)
{
    return h->prof[slot].pin != NULL;
}

int
aff_host_set_pin(struct aff_host *h, const char *network, enum tp_class class,
                 const char *resource)
{
    int slot = aff_host_find_profile(h, network, class);

    if (!resource) {
        if (slot != AFF_NONE) {
            struct aff_prof *p = &h->prof[slot];

            free(p->pin);
            p->pin = NULL;
            if (!p->traffic) {
                delete_profile(h, slot);
                slot = AFF_NONE;
            }
        }
        return slot;
    }
    slot = get_profile(h, network, class);
    if (slot != AFF_NONE) {
        struct aff_prof *p = &h->prof[slot];

        if (!p->pin || strcmp(p->pin, resource)) {
            free(p->pin);
            p->pin = xstrdup(resource);
        }
        p->explore_until = LLONG_MIN;
    }
    return slot;
}

/* Reports. */

double
aff_reward(const struct aff_config *config, const struct aff_report *in,
           double bps)
{
    double sum = 0.2 * exp(-100 * clean(in->loss, 1));
    double weights = 0.2;

    if (in->latency_us > 0) {
        double ref = MAX(config->latency_ref_us, 1e-3);

        sum += 0.4 * ref / (ref + in->latency_us);
        weights += 0.4;
    }
    if (in->throughput > 0 && bps > 0) {
        sum += 0.4 * MIN(in->throughput / bps, 1);
        weights += 0.4;
    }
    return sum / weights;
}

/* Loads of 'r' without profile 'p'. */
static void
loads_without(const struct aff_prof *p, int slot, const struct aff_res *r,
              double *now, double *forecast)
{
    double share = p->d.resource == slot ? aff_share(p, r) : 0;

    *now = MAX(r->now - share, 0);
    *forecast = MAX(r->forecast - share, 0);
}

bool
aff_host_report(struct aff_host *h, const struct aff_config *config,
                struct aff_learner *learner, int profile,
                const struct aff_report *in, long long int now)
{
    struct aff_prof *p = &h->prof[profile];
    int slot = in->resource ? aff_host_find_resource(h, in->resource)
                            : AFF_NONE;
    double load, forecast, x[AFF_N_FEATURES];

    if (slot == AFF_NONE || slot != p->d.resource
        || !(in->latency_us >= 0 && in->latency_us < 1e9)
        || !(in->loss >= 0 && in->loss <= 1)
        || !(in->throughput >= 0 && in->throughput < 1e15)
        || aff_fit(h->res[slot].fit, p->class) <= 0) {
        return false;
    }
    h->last_report = now;

    struct aff_res *r = &h->res[slot];
    loads_without(p, slot, r, &load, &forecast);
    aff_features(h, config, p, r, load, forecast, x);
    aff_mean_add(&r->means[p->class],
                 aff_learner_add(learner, x, r->kind, p->class,
                                 aff_reward(config, in, p->in.bps)));
    return true;
}

double
aff_score(const struct aff_host *h, const struct aff_config *config,
          const struct aff_learner *learner, int profile, int resource,
          double x[AFF_N_FEATURES])
{
    const struct aff_prof *p = &h->prof[profile];
    const struct aff_res *r = &h->res[resource];
    const double *w = aff_weights(config, learner);
    double load, forecast, sum = 0;

    loads_without(p, resource, r, &load, &forecast);
    aff_features(h, config, p, r, load, forecast, x);
    for (int i = 0; i < AFF_N_FEATURES; i++) {
        sum += w[i] * x[i];
    }
    if (config->learn && learner) {
        sum += (aff_mean_get(&learner->means[r->kind][p->class])
                + aff_mean_get(&r->means[p->class]));
    }
    return sum;
}
