/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/monitor/hrm-registry.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "openvswitch/hmap.h"
#include "ovs-ext/core/ext-ewma.h"
#include "ovs-ext/core/forecast.h"
#include "ovs-ext/monitor/hrm-state.h"
#include "util.h"

/* Time constants of smoothing, in ms. */
#define HRM_SMOOTH_MS 300.0
#define HRM_SMOOTH_ERROR_MS 1000.0
#define HRM_SMOOTH_CAPACITY_MS 5000.0

/* Samples that 'forecast_utilization' looks ahead: a second. */
#define HRM_HORIZON 10

/* Utilization from which the capacity is learned. */
#define HRM_LEARN_LOAD 0.05

struct hrm_entry {
    struct hmap_node node;      /* In 'entries', by name. */
    struct hrm_resource res;
    struct hrm_machine machine;
    uint64_t round;             /* Last round with a sample. */
    long long int gone_since;   /* Missing since then, 0: is not. */

    struct hrm_sample last;     /* The sample before. */
    bool primed;                /* 'last' is good. */
    struct ext_ewma utilization, latency, throughput, errors, capacity;
    struct forecast *forecast;  /* Null until something was done. */
};

struct hrm_registry {
    struct hmap entries;
    struct hrm_entry **sorted;  /* All entries, by kind and name. */
    bool resort;                /* 'sorted' is out of date. */
    size_t max;
    long long int now;
    double dt_ms;               /* Since the last round; 0: not known. */
    bool began;
    struct hrm_registry_stats stats;
};

void
hrm_sample_init(struct hrm_sample *s, enum hrm_kind kind, const char *unit,
                const char *format, ...)
{
    va_list args;
    int n;

    memset(s, 0, sizeof *s);
    s->kind = kind;
    s->unit = unit;
    s->numa = -1;
    n = snprintf(s->name, sizeof s->name, "%s/", hrm_kind_prefix(kind));
    va_start(args, format);
    vsnprintf(s->name + n, sizeof s->name - n, format, args);
    va_end(args);
}

void
hrm_sample_attr(struct hrm_sample *s, const char *key,
                const char *format, ...)
{
    struct hrm_attr *attr;
    va_list args;

    if (s->n_attrs < HRM_MAX_ATTRS) {
        attr = &s->attrs[s->n_attrs++];
        ovs_strzcpy(attr->key, key, sizeof attr->key);
        va_start(args, format);
        vsnprintf(attr->value, sizeof attr->value, format, args);
        va_end(args);
    }
}

struct hrm_registry *
hrm_registry_create(size_t max)
{
    struct hrm_registry *r = xzalloc(sizeof *r);

    hmap_init(&r->entries);
    r->max = max;
    return r;
}

static void
entry_destroy(struct hrm_registry *r, struct hrm_entry *e)
{
    hmap_remove(&r->entries, &e->node);
    forecast_destroy(e->forecast);
    free(e);
    r->resort = true;
}

void
hrm_registry_destroy(struct hrm_registry *r)
{
    if (r) {
        struct hrm_entry *e;

        HMAP_FOR_EACH_SAFE (e, node, &r->entries) {
            entry_destroy(r, e);
        }
        hmap_destroy(&r->entries);
        free(r->sorted);
        free(r);
    }
}

void
hrm_registry_begin(struct hrm_registry *r, long long int now)
{
    r->dt_ms = r->began && now > r->now ? now - r->now : 0;
    r->stats.skipped += r->began && !r->dt_ms;
    r->stats.rounds++;
    r->began = true;
    r->now = now;
}

static struct hrm_entry *
entry_find(const struct hrm_registry *r, const char *name, uint32_t hash)
{
    struct hrm_entry *e;

    HMAP_FOR_EACH_WITH_HASH (e, node, hash, &r->entries) {
        if (!strcmp(e->res.name, name)) {
            return e;
        }
    }
    return NULL;
}

static struct hrm_entry *
entry_create(struct hrm_registry *r, const struct hrm_sample *s,
             uint32_t hash)
{
    struct hrm_entry *e = xzalloc(sizeof *e);

    ovs_strzcpy(e->res.name, s->name, sizeof e->res.name);
    e->res.kind = s->kind;
    e->res.since = r->now;
    e->res.since_round = r->stats.rounds;
    hrm_machine_init(&e->machine);
    hmap_insert(&r->entries, &e->node, hash);
    r->resort = true;
    return e;
}

static double
gain(double dt_ms, double tau_ms)
{
    return -expm1(-MIN(dt_ms, HRM_MAX_DT_MS) / tau_ms);
}

/* Returns how much a counter has grown; nothing if it started anew. */
static double
grown(uint64_t new, uint64_t old)
{
    return new > old ? new - old : 0;
}

/* Returns true if 's' says that the resource has work and 'e' that it has not
 * got on with it.  To fail more of it is not to get on. */
static bool
stands_still(const struct hrm_entry *e, const struct hrm_sample *s)
{
    return e->primed && s->queued && s->done == e->last.done;
}

static void
entry_forecast(struct hrm_entry *e)
{
    struct forecast_value v;

    if (!e->forecast) {
        struct forecast_config config;

        if (!(e->utilization.value > 0)) {
            return;
        }
        forecast_config_init(&config);
        config.horizon = HRM_HORIZON;
        config.models = FORECAST_LIGHT;
        config.min = 0;
        config.max = 1;
        e->forecast = forecast_create(&config, NULL);
        if (!e->forecast) {
            return;
        }
    }
    forecast_update(e->forecast, e->utilization.value);
    e->res.m.forecast_utilization
        = (forecast_get(e->forecast, HRM_HORIZON, &v)
           ? v.mean : e->utilization.value);
}

/* Makes rates of sample 's' and the one before, 'dt_ms' earlier. */
static void
entry_measure(struct hrm_entry *e, const struct hrm_sample *s, double dt_ms,
              struct hrm_verdict *v)
{
    double done = grown(s->done, e->last.done);
    double failed = grown(s->failed, e->last.failed);
    double busy = grown(s->busy, e->last.busy);
    double total = grown(s->total, e->last.total);
    double load = s->total ? (total > 0 ? busy / total : 0) : s->fill;
    double latency = s->latency_us;
    double rate = done * 1000 / dt_ms;
    struct hrm_metrics *m = &e->res.m;
    bool timed;

    load = load > 0 ? MIN(load, 1) : 0;
    if (s->cycles_us > 0) {
        latency = done > 0 ? busy / done / s->cycles_us : 0;
    } else if (s->counts_waiting) {
        latency = rate > 0 ? s->waiting / rate * 1e6 : 0;
    }
    if (!isfinite(latency) || latency < 0) {
        latency = 0;
    }
    timed = latency > 0 || (s->counts_waiting && rate > 0);
    v->worked = done > 0 || failed > 0;

    m->utilization = ext_ewma_update(&e->utilization, load,
                                     gain(dt_ms, HRM_SMOOTH_MS));
    m->throughput = ext_ewma_update(&e->throughput, rate,
                                    gain(dt_ms, HRM_SMOOTH_MS));
    if (timed) {
        m->latency_us = ext_ewma_update(&e->latency, latency,
                                        gain(dt_ms, HRM_SMOOTH_MS));
    }
    m->error_rate = ext_ewma_update(&e->errors,
                                    v->worked ? failed / (done + failed) : 0,
                                    gain(dt_ms, HRM_SMOOTH_ERROR_MS));
    if (s->capacity > 0) {
        e->res.capacity = s->capacity;
    } else if (s->total && load >= HRM_LEARN_LOAD && rate > 0) {
        e->res.capacity
            = ext_ewma_update(&e->capacity, rate / load,
                              gain(dt_ms, HRM_SMOOTH_CAPACITY_MS));
    }
    v->latency_us = timed ? m->latency_us : 0;
    v->error_rate = m->error_rate;
    entry_forecast(e);
}

/* A resource that cannot be had does nothing. */
static void
entry_calm(struct hrm_entry *e)
{
    memset(&e->res.m, 0, sizeof e->res.m);
    memset(&e->utilization, 0, sizeof e->utilization);
    memset(&e->throughput, 0, sizeof e->throughput);
    memset(&e->latency, 0, sizeof e->latency);
    memset(&e->errors, 0, sizeof e->errors);
}

static void
entry_step(struct hrm_registry *r, struct hrm_entry *e,
           const struct hrm_verdict *v)
{
    if (hrm_machine_step(&e->machine, e->res.kind, v,
                         MIN(r->dt_ms, HRM_MAX_DT_MS))) {
        r->stats.transitions++;
        e->res.since = r->now;
        e->res.since_round = r->stats.rounds;
        if (e->machine.state == HRM_UNAVAILABLE) {
            entry_calm(e);
        }
    }
    e->res.state = e->machine.state;
    memcpy(e->res.reason, e->machine.reason, sizeof e->res.reason);
}

void
hrm_registry_put(struct hrm_registry *r, const struct hrm_sample *s)
{
    uint32_t hash = hash_string(s->name, 0);
    struct hrm_entry *e = entry_find(r, s->name, hash);
    struct hrm_verdict v = { .answer = s->answer, .why = s->why };

    if (!e) {
        if (hmap_count(&r->entries) >= r->max) {
            r->stats.refused++;
            return;
        }
        e = entry_create(r, s, hash);
    } else if (e->round == r->stats.rounds) {
        return;                 /* Of two of a name the first counts. */
    }
    e->round = r->stats.rounds;
    e->gone_since = 0;
    e->res.numa = s->numa;
    ovs_strzcpy(e->res.unit, s->unit, sizeof e->res.unit);
    memcpy(e->res.attrs, s->attrs, sizeof e->res.attrs);
    e->res.n_attrs = s->n_attrs;

    if (s->answer == HRM_ANSWER) {
        if (stands_still(e, s)) {
            v.answer = HRM_NO_ANSWER;
            v.why = "work waits, none is done";
        } else if (e->primed && r->dt_ms > 0) {
            entry_measure(e, s, r->dt_ms, &v);
        } else if (s->capacity > 0) {
            e->res.capacity = s->capacity;
        }
        e->last = *s;
        e->primed = true;
    }
    entry_step(r, e, &v);
}

void
hrm_registry_end(struct hrm_registry *r)
{
    struct hrm_entry *e;

    HMAP_FOR_EACH_SAFE (e, node, &r->entries) {
        struct hrm_verdict v = { .answer = HRM_NO_ANSWER, .why = "gone" };

        if (e->round == r->stats.rounds) {
            continue;
        }
        if (!e->gone_since || e->gone_since > r->now) {
            e->gone_since = r->now;
        }
        if (r->now - e->gone_since >= HRM_FORGET_MS) {
            entry_destroy(r, e);
        } else {
            e->primed = false;
            entry_step(r, e, &v);
        }
    }
}

static int
compare_entries(const void *a_, const void *b_)
{
    const struct hrm_entry *a = *(struct hrm_entry *const *) a_;
    const struct hrm_entry *b = *(struct hrm_entry *const *) b_;

    return (a->res.kind != b->res.kind
            ? (a->res.kind < b->res.kind ? -1 : 1)
            : strverscmp(a->res.name, b->res.name));
}

void
hrm_registry_snapshot(const struct hrm_registry *r_,
                      struct hrm_resource **resources, size_t *n)
{
    struct hrm_registry *r = CONST_CAST(struct hrm_registry *, r_);
    size_t count = hmap_count(&r->entries);
    struct hrm_entry *e;

    if (r->resort) {
        size_t i = 0;

        free(r->sorted);
        r->sorted = xmalloc(MAX(count, 1) * sizeof *r->sorted);
        HMAP_FOR_EACH (e, node, &r->entries) {
            r->sorted[i++] = e;
        }
        qsort(r->sorted, count, sizeof *r->sorted, compare_entries);
        r->resort = false;
    }
    *n = count;
    *resources = xmalloc(MAX(count, 1) * sizeof **resources);
    for (size_t i = 0; i < count; i++) {
        (*resources)[i] = r->sorted[i]->res;
    }
}

size_t
hrm_registry_count(const struct hrm_registry *r)
{
    return hmap_count(&r->entries);
}

const struct hrm_registry_stats *
hrm_registry_stats(const struct hrm_registry *r)
{
    return &r->stats;
}
