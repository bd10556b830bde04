/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "tests/bench-sketch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath-hooks/nic-model/extnic-args.h"
#include "datapath-hooks/nic-model/extnic-rss.h"
#include "datapath-hooks/nic-model/extnic-traffic.h"
#include "openvswitch/json.h"
#include "ovs-ext/core/ext-rng.h"
#include "util.h"

enum {
    MIX_MAX = 32,               /* Components of a mixture. */
    MIX_ACTIVE = 8192           /* Flows alive at a time; a power of two. */
};

struct component {
    double weight;
    bool lognormal;
    double a, b;                /* Shape and scale, or the upper bound. */
};

struct traffic {
    struct ext_rng rng;
    size_t at;

    /* The NIC model's. */
    struct extnic_traffic *nic;

    /* Zipf: the cumulated probabilities of 'nic's flows, as an alias table
     * (Vose 1991). */
    size_t n_zipf;
    double *keep;
    uint32_t *alias;

    /* Mixture.  'rate' of the flows alive is kept as a Fenwick tree. */
    struct component mix[MIX_MAX];
    size_t n_mix;
    uint32_t flow[MIX_ACTIVE];
    double left[MIX_ACTIVE];
    double rate[MIX_ACTIVE];
    double tree[MIX_ACTIVE + 1];
    uint32_t n_flows;
    double limit;               /* No flow is longer. */
};

/* Zipf. */

static void
zipf_init(struct traffic *t, size_t n, double exponent)
{
    uint32_t *small = xcalloc(n, sizeof *small);
    uint32_t *large = xcalloc(n, sizeof *large);
    size_t n_small = 0, n_large = 0;
    double sum = 0;

    t->n_zipf = n;
    t->keep = xcalloc(n, sizeof *t->keep);
    t->alias = xcalloc(n, sizeof *t->alias);
    for (size_t i = 0; i < n; i++) {
        t->keep[i] = pow(i + 1, -exponent);
        sum += t->keep[i];
    }
    for (size_t i = 0; i < n; i++) {
        t->keep[i] *= n / sum;
        if (t->keep[i] < 1) {
            small[n_small++] = i;
        } else {
            large[n_large++] = i;
        }
    }
    while (n_small && n_large) {
        uint32_t s = small[--n_small], l = large[n_large - 1];

        t->alias[s] = l;
        t->keep[l] -= 1 - t->keep[s];
        if (t->keep[l] < 1) {
            n_large--;
            small[n_small++] = l;
        }
    }
    while (n_small) {
        t->keep[small[--n_small]] = 1;
    }
    while (n_large) {
        t->keep[large[--n_large]] = 1;
    }
    free(small);
    free(large);
}

static uint32_t
zipf_draw(struct traffic *t)
{
    uint32_t i = ext_rng_range(&t->rng, t->n_zipf);

    return ext_rng_double(&t->rng) < t->keep[i] ? i : t->alias[i];
}

/* Mixtures. */

static double
json_number(const struct json *json)
{
    return json->type == JSON_INTEGER ? json_integer(json) : json_real(json);
}

static void
mixture_init(struct traffic *t, const char *path)
{
    struct json *json = json_from_file(path);
    const struct json *mix;

    if (json->type != JSON_OBJECT) {
        ovs_fatal(0, "%s: %s", path, json_string(json));
    }
    mix = shash_find_data(json_object(json), "mix");
    for (size_t i = 0; i < json_array(mix)->n && i < MIX_MAX; i++) {
        struct json *const *c = json_array(json_array(mix)->elems[i])->elems;
        struct json *const *p = json_array(c[2])->elems;
        struct component *to = &t->mix[t->n_mix++];

        to->weight = json_number(c[0]);
        to->lognormal = !strcmp(json_string(c[1]), "lognorm");
        to->a = json_number(p[to->lognormal ? 0 : 1]);
        to->b = to->lognormal ? json_number(p[2]) : 0;
    }
    json_destroy(json);
}

static double
mixture_draw(struct traffic *t)
{
    double u = ext_rng_double(&t->rng);
    const struct component *c = t->mix;
    double length;

    while (c < &t->mix[t->n_mix - 1] && u >= c->weight) {
        u -= c++->weight;
    }
    length = (c->lognormal
              ? rint(c->b * exp(c->a * ext_rng_normal(&t->rng)))
              : ceil(c->a * (1 - ext_rng_double(&t->rng))));
    return MAX(length, 1);
}

/* A new flow in place 'i', faster the longer it is, as in the NIC model. */
static void
mixture_arrive(struct traffic *t, uint32_t i)
{
    double length = MIN(mixture_draw(t), t->limit);
    double delta = sqrt(length) - t->rate[i];

    t->flow[i] = t->n_flows++;
    t->left[i] = length;
    t->rate[i] += delta;
    for (uint32_t j = i + 1; j <= MIX_ACTIVE; j += j & -j) {
        t->tree[j] += delta;
    }
}

/* A packet of one of the flows alive, by their rates. */
static uint32_t
mixture_next(struct traffic *t)
{
    double u = ext_rng_double(&t->rng) * t->tree[MIX_ACTIVE];
    uint32_t i = 0, flow;

    for (uint32_t step = MIX_ACTIVE / 2; step; step /= 2) {
        if (t->tree[i + step] <= u) {
            i += step;
            u -= t->tree[i];
        }
    }
    flow = t->flow[i];
    if (--t->left[i] < 1) {
        mixture_arrive(t, i);
    }
    return flow;
}

/* A UDP packet of flow number 'flow'. */
static void
mixture_frame(uint32_t flow, uint8_t head[TRAFFIC_HEAD])
{
    static const uint8_t start[24] = {
        2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0,
        0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17
    };

    memset(head, 0, TRAFFIC_HEAD);
    memcpy(head, start, sizeof start);
    memcpy(head + 26, &flow, sizeof flow);
    head[30] = 10;
}

/* All. */

static void
nic_init(struct traffic *t, const char *args)
{
    struct extnic_args parsed;
    char error[512];
    char *full = xasprintf("stat=/none,%s", args);

    if (!extnic_args_parse(full, &parsed, error, sizeof error)) {
        ovs_fatal(0, "%s", error);
    }
    t->nic = extnic_traffic_create(&parsed, extnic_rss_default_hash, error,
                                   sizeof error);
    if (!t->nic) {
        ovs_fatal(0, "%s", error);
    }
    free(full);
}

struct traffic *
traffic_create(const char *name, const char *args, uint64_t seed,
               size_t n_packets)
{
    struct traffic *t = xzalloc(sizeof *t);
    double exponent;
    char *devargs;
    size_t n;

    ext_rng_init(&t->rng, seed);
    if (!strcmp(name, "zipf")) {
        if (!ovs_scan(args, "%lf,%zu", &exponent, &n)) {
            ovs_fatal(0, "zipf: \"%s\" is not EXPONENT,FLOWS", args);
        }
        devargs = xasprintf("scenario=balanced,seed=%llu,flows=%"PRIuSIZE,
                            (unsigned long long int) seed, n);
        nic_init(t, devargs);
        zipf_init(t, n, exponent);
        free(devargs);
    } else if (!strcmp(name, "mixture")) {
        mixture_init(t, args);
        t->limit = n_packets;
        for (uint32_t i = 0; i < MIX_ACTIVE; i++) {
            mixture_arrive(t, i);
        }
    } else {
        devargs = xasprintf("scenario=%s,seed=%llu,seqlen=%"PRIuSIZE"%s%s",
                            name, (unsigned long long int) seed, n_packets,
                            *args ? "," : "", args);
        nic_init(t, devargs);
        free(devargs);
    }
    return t;
}

void
traffic_destroy(struct traffic *t)
{
    extnic_traffic_destroy(t->nic);
    free(t->keep);
    free(t->alias);
    free(t);
}

void
traffic_next(struct traffic *t, struct traffic_packet *p,
             uint8_t head[TRAFFIC_HEAD])
{
    const struct extnic_template *template;

    if (!t->nic) {
        uint64_t x;

        p->flow = mixture_next(t);
        x = p->flow;
        p->hash = ext_splitmix64(&x);
        p->len = 60;
        mixture_frame(p->flow, head);
        return;
    }
    if (t->n_zipf) {
        template = &t->nic->templates[zipf_draw(t)];
    } else {
        const struct extnic_phase *phase = &t->nic->phases[0];

        template = &t->nic->templates[
            phase->seq[t->at++ % phase->len].template];
    }
    p->flow = template->flow;
    p->hash = template->hash;
    p->len = MIN(template->len, TRAFFIC_HEAD);
    memcpy(head, template->head, TRAFFIC_HEAD);
}

size_t
traffic_n_flows(const struct traffic *t)
{
    return t->nic ? t->nic->n_flows : t->n_flows;
}
