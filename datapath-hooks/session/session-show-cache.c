/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* ext/phc-show. */

#include <config.h>

#include "datapath-hooks/session/session-agent.h"

#include <inttypes.h>
#include <string.h>

#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "timeval.h"
#include "util.h"

enum { MAX_SHOWN = 1000 };

static const char *
backend_name(uint16_t number)
{
    const struct sess_plan_backend *b
        = (session_ag.plan ? sess_plan_backend(session_ag.plan, number)
           : NULL);
    struct session_place *p = b ? session_place_find(b->id) : NULL;

    return p ? p->name : "?";
}

static const char *
service_name(uint16_t number)
{
    const struct sess_plan_service *s
        = (session_ag.plan ? sess_plan_service(session_ag.plan, number)
           : NULL);

    return s ? s->name : "?";
}

static const char *
l2_state(const struct session_cache_counts *c)
{
    return !c->path ? "off" : c->l2.failed ? c->l2.error : "in use";
}

void
session_cache_show(struct ds *ds)
{
    struct phc_entry_info e;
    struct session_cache_counts c;
    size_t pos = 0, n = 0;

    if (!session_cache_get_counts(&c)) {
        ds_put_cstr(ds, "no header cache: no service names this host\n");
        return;
    }
    ds_put_format(ds, "entries: %"PRIuSIZE" of %"PRIuSIZE", headers: %"
                  PRIuSIZE", %"PRIuSIZE" bytes\n", c.phc.n,
                  phc_capacity(session_ag.phc), c.phc.n_templates,
                  phc_bytes(session_ag.phc));
    ds_put_format(ds, "hits: %"PRIu64", misses: %"PRIu64" (expired: %"PRIu64
                  ")\n", c.stats.hits, c.stats.misses, c.stats.expired);
    ds_put_format(ds, "put: %"PRIu64", evicted: %"PRIu64", not taken: %"PRIu64
                  ", expired: %"PRIu64", closed: %"PRIu64", flushed: %"PRIu64
                  ", headers refused: %"PRIu64"\n", c.phc.puts,
                  c.phc.evictions, c.phc.rejected, c.phc.expired,
                  c.phc.removed, c.phc.flushed, c.phc.templates_refused);
    ds_put_format(ds, "missed for want of room: %"PRIu64", gossip knew: %"
                  PRIu64", the file: %"PRIu64"\n", c.phc.asked, c.known,
                  c.l2.found);
    ds_put_format(ds, "file: %s, %s, %"PRIu64" records, restored: %"PRIu64
                  " entries and %"PRIu64" headers\n",
                  c.path ? c.path : "none", l2_state(&c), c.l2.store.n,
                  c.restored, c.restored_headers);
    ds_put_format(ds, "file refused: %"PRIu64" tampered, %"PRIu64
                  " malformed, %"PRIu64" times full; %"PRIu64
                  " changes lost\n", c.l2.store.tampered,
                  c.l2.store.malformed, c.l2.store.errors,
                  c.l2.lost + c.l2.refused);
    ovs_mutex_lock(&session_phc_mutex);
    while (phc_next(session_ag.phc, &pos, &e)) {
        if (n++ < MAX_SHOWN) {
            sess_key_format(ds, &e.key);
            ds_put_format(ds, " -> %s (owner=%u, service %s=%u), p %.2f, "
                          "%d s left\n", backend_name(e.owner), e.owner,
                          service_name(e.service), e.service, e.probability,
                          (int) (e.expires - (uint32_t) time_msec()) / 1000);
        }
    }
    ovs_mutex_unlock(&session_phc_mutex);
    if (n > MAX_SHOWN) {
        ds_put_format(ds, "... and %"PRIuSIZE" more\n", n - MAX_SHOWN);
    }
}

static void
put_count(struct json *json, const char *name, uint64_t n)
{
    json_object_put(json, name, json_integer_create(n));
}

static struct json *
entries_json(void)
{
    struct json *array = json_array_create_empty();
    struct phc_entry_info e;
    size_t pos = 0;

    ovs_mutex_lock(&session_phc_mutex);
    while (phc_next(session_ag.phc, &pos, &e)) {
        struct json *row = json_object_create();
        struct ds ds = DS_EMPTY_INITIALIZER;

        if (array->array.n >= MAX_SHOWN) {
            json_destroy(row);
            break;
        }
        sess_key_format(&ds, &e.key);
        json_object_put_string(row, "session", ds_cstr(&ds));
        json_object_put_string(row, "backend", backend_name(e.owner));
        json_object_put_string(row, "service", service_name(e.service));
        json_object_put(row, "probability",
                        json_real_create(e.probability));
        put_count(row, "left_ms",
                  MAX((int32_t) (e.expires - (uint32_t) time_msec()), 0));
        json_array_add(array, row);
        ds_destroy(&ds);
    }
    ovs_mutex_unlock(&session_phc_mutex);
    return array;
}

struct json *
session_cache_json(void)
{
    struct json *json = json_object_create();
    struct session_cache_counts c;

    if (!session_cache_get_counts(&c)) {
        return json;
    }
    put_count(json, "entries", c.phc.n);
    put_count(json, "capacity", phc_capacity(session_ag.phc));
    put_count(json, "bytes", phc_bytes(session_ag.phc));
    put_count(json, "headers", c.phc.n_templates);
    put_count(json, "headers_refused", c.phc.templates_refused);
    put_count(json, "hits", c.stats.hits);
    put_count(json, "misses", c.stats.misses);
    put_count(json, "puts", c.phc.puts);
    put_count(json, "evicted", c.phc.evictions);
    put_count(json, "rejected", c.phc.rejected);
    put_count(json, "expired", c.phc.expired);
    put_count(json, "closed", c.phc.removed);
    put_count(json, "flushed", c.phc.flushed);
    put_count(json, "restored", c.restored);
    put_count(json, "restored_headers", c.restored_headers);
    put_count(json, "unknown", c.unknown);
    put_count(json, "asked", c.phc.asked);
    put_count(json, "gossip_knew", c.known);
    put_count(json, "file_knew", c.l2.found);
    json_object_put_string(json, "file", c.path ? c.path : "");
    json_object_put_string(json, "file_state", l2_state(&c));
    json_object_put(json, "file_loaded", json_boolean_create(c.l2.loaded));
    put_count(json, "file_records", c.l2.store.n);
    put_count(json, "file_queued", c.l2.queued);
    put_count(json, "file_tampered", c.l2.store.tampered);
    put_count(json, "file_malformed", c.l2.store.malformed);
    put_count(json, "file_replaced", c.l2.store.replaced);
    put_count(json, "file_lost", c.l2.lost + c.l2.refused);
    json_object_put(json, "sessions", entries_json());
    return json;
}
