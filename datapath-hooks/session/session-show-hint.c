/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* ext/hints-show. */

#include <config.h>

#include "datapath-hooks/session/session-agent.h"

#include <inttypes.h>
#include <math.h>

#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "util.h"

struct show {
    struct ds *ds;              /* Or null. */
    struct json *json;
};

static void
show_heard(const struct gossip_record *r, long long left, void *show_)
{
    struct show *show = show_;
    struct gossip_hint_value value;
    const struct session_place *p;
    const char *name, *from, *to;
    uint64_t backend;
    size_t rank;

    if (!session_hint_from_key(r, &backend, &rank)
        || !gossip_hint_decode(r, &value)) {
        return;
    }
    p = session_place_find(backend);
    name = p ? p->name : "?";
    from = session_host_name(r->origin);
    to = session_host_name(value.target);
    if (show->ds) {
        ds_put_format(show->ds, "%-20s %-16s %-16s %4"PRIuSIZE" %6.2f %8.1f  %"
                      "016"PRIx64"\n", name, from, to, rank + 1,
                      value.probability, left / 1000.0, value.template_id);
    } else {
        struct json *row = json_object_create();

        json_object_put_string(row, "backend", name);
        json_object_put_string(row, "by", from);
        json_object_put_string(row, "target", to);
        json_object_put(row, "rank", json_integer_create(rank + 1));
        json_object_put(row, "probability",
                        json_real_create(value.probability));
        json_object_put(row, "left_ms", json_integer_create(left));
        json_object_put_format(row, "template", "%016"PRIx64,
                               value.template_id);
        json_array_add(show->json, row);
    }
}

static void
show_counts(struct ds *ds)
{
    struct session_hint_counts c;

    session_hint_get_counts(&c);
    ds_put_format(ds, "hints: %"PRIu64", came true: %"PRIu64", to another "
                  "host: %"PRIu64", came to nothing: %"PRIu64"; moved: %"
                  PRIu64"\n", c.hints, c.came, c.elsewhere, c.nothing,
                  c.moved);
    ds_put_format(ds, "records told: %"PRIu64", kept home: %"PRIu64"\n",
                  c.told, c.home);
    ds_put_format(ds, "prediction: %s weights, learned from %"PRIu64" cases, "
                  "error %.3f, of the shipped ones %.3f, fell back %"PRIu64
                  " times\n", c.learned.is_shipped ? "shipped" : "learned",
                  c.learned.n_cases, c.learned.error, c.learned.shipped_error,
                  c.learned.n_fallbacks);
}

void
session_hint_show(struct ds *ds)
{
    struct show show = { .ds = ds };
    const struct gossip_load_value *load = session_load_said();
    struct session_group *g;

    ds_put_format(ds, "load: cpu %.2f, memory %.2f, datapath %.2f\n",
                  load->cpu, load->memory, load->bandwidth);
    show_counts(ds);
    ds_put_format(ds, "%-20s %-16s %-16s %4s %6s %8s  %s\n", "backend",
                  "said by", "target", "rank", "prob.", "left (s)",
                  "template");
    if (session_gossip()) {
        gossip_for_each(session_gossip(), GOSSIP_HINT, show_heard, &show);
    }
    ds_put_format(ds, "%-20s %8s %12s %10s %6s\n", "backend here", "sessions",
                  "packets/s", "rtt (us)", "prob.");
    HMAP_FOR_EACH (g, node, &session_groups) {
        const struct session_place *p = session_place_find(g->id);

        ds_put_format(ds, "%-20s %8"PRIuSIZE" %12.0f %10.0f %6.2f\n",
                      p ? p->name : "?", g->n, g->pps,
                      isnan(g->rtt_us) ? 0 : g->rtt_us,
                      session_hint_probability(g->id));
    }
}

static void
put_count(struct json *json, const char *name, uint64_t n)
{
    json_object_put(json, name, json_integer_create(n));
}

static void
put_counts(struct json *json)
{
    struct session_hint_counts c;

    session_hint_get_counts(&c);
    put_count(json, "told", c.told);
    put_count(json, "kept_home", c.home);
    put_count(json, "given", c.hints);
    put_count(json, "came_true", c.came);
    put_count(json, "to_another_host", c.elsewhere);
    put_count(json, "came_to_nothing", c.nothing);
    put_count(json, "moved", c.moved);
    put_count(json, "missed", c.learned.missed);
    put_count(json, "learned_cases", c.learned.n_cases);
    put_count(json, "fallbacks", c.learned.n_fallbacks);
    json_object_put(json, "shipped_weights",
                    json_boolean_create(c.learned.is_shipped));
    json_object_put(json, "error", json_real_create(c.learned.error));
    json_object_put(json, "shipped_error",
                    json_real_create(c.learned.shipped_error));
}

struct json *
session_hint_json(void)
{
    struct json *json = json_object_create();
    struct json *array = json_array_create_empty();
    struct show show = { .json = json_array_create_empty() };
    const struct gossip_load_value *load = session_load_said();
    struct session_group *g;

    json_object_put(json, "cpu", json_real_create(load->cpu));
    json_object_put(json, "memory", json_real_create(load->memory));
    json_object_put(json, "datapath", json_real_create(load->bandwidth));
    put_counts(json);
    if (session_gossip()) {
        gossip_for_each(session_gossip(), GOSSIP_HINT, show_heard, &show);
    }
    json_object_put(json, "hints", show.json);
    HMAP_FOR_EACH (g, node, &session_groups) {
        const struct session_place *p = session_place_find(g->id);
        struct json *row = json_object_create();

        json_object_put_string(row, "backend", p ? p->name : "?");
        json_object_put(row, "sessions", json_integer_create(g->n));
        json_object_put(row, "pps", json_real_create(g->pps));
        json_object_put(row, "rtt_us",
                        json_real_create(isnan(g->rtt_us) ? 0 : g->rtt_us));
        json_object_put(row, "probability",
                        json_real_create(session_hint_probability(g->id)));
        json_array_add(array, row);
    }
    json_object_put(json, "backends", array);
    return json;
}
