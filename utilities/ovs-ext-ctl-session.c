/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* ovs-ext-ctl: services, their backends, and who takes no new sessions. */

#include <config.h>
#include "utilities/ovs-ext-ctl.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/dynamic-string.h"
#include "openvswitch/shash.h"
#include "ovs-ext/db/db-affinity.h"
#include "ovs-ext/db/db-session.h"
#include "ovs-ext/db/ovs-ext-idl.h"
#include "ovs-ext/session/sess-fleet.h"
#include "ovsdb-idl.h"
#include "packets.h"
#include "smap.h"
#include "svec.h"
#include "timeval.h"
#include "util.h"

static void
pre_service(struct ctl_context *ctx)
{
    ext_ctl_monitor_table(ctx, &ovsext_table_service);
    ext_ctl_monitor_table(ctx, &ovsext_table_backend);
}

/* Returns true, and sets an error, if 'error' is one; frees it. */
static bool
failed(struct ctl_context *ctx, char *error)
{
    if (error) {
        ctl_error(ctx, "%s", error);
        free(error);
        return true;
    }
    return false;
}

static bool
has_option(struct ctl_context *ctx, const char *name)
{
    return shash_find(&ctx->options, name) != NULL;
}

static bool
get_integer(struct ctl_context *ctx, const char *what, const char *s,
            unsigned int min, unsigned int max, int64_t *x)
{
    unsigned int value;

    if (!str_to_uint(s, 10, &value) || value < min || value > max) {
        ctl_error(ctx, "%s \"%s\" is not a number from %u to %u", what, s,
                  min, max);
        return false;
    }
    *x = value;
    return true;
}

/* Services. */

/* What add-service is told. */
struct service_args {
    const char *name, *protocol, *bridge, *encap;
    char address[INET6_ADDRSTRLEN];
    int64_t port, vni, zone;
    struct svec hosts;
};

static bool
is_either(struct ctl_context *ctx, const char *what, const char *s,
          const char *a, const char *b)
{
    if (strcmp(s, a) && strcmp(s, b)) {
        ctl_error(ctx, "%s \"%s\" is not %s or %s", what, s, a, b);
        return false;
    }
    return true;
}

static bool
get_hosts(struct ctl_context *ctx, struct svec *hosts)
{
    const char *option = shash_find_data(&ctx->options, "--hosts");
    const char *host;
    size_t i;

    if (option) {
        char *copy = xstrdup(option);
        char *save_ptr = NULL;

        for (char *token = strtok_r(copy, ",", &save_ptr); token;
             token = strtok_r(NULL, ",", &save_ptr)) {
            svec_add(hosts, token);
        }
        free(copy);
    }
    svec_sort_unique(hosts);
    SVEC_FOR_EACH (i, host, hosts) {
        if (failed(ctx, db_check_name("host", host))) {
            return false;
        }
    }
    return true;
}

static bool
get_service_args(struct ctl_context *ctx, struct service_args *a)
{
    const char *zone = shash_find_data(&ctx->options, "--zone");
    struct in6_addr ip;

    a->name = ctx->argv[1];
    a->protocol = ctx->argv[2];
    a->bridge = ctx->argv[5];
    a->encap = ctx->argv[6];
    a->zone = 0;
    if (failed(ctx, db_check_name("service", a->name))
        || !is_either(ctx, "protocol", a->protocol, "tcp", "udp")
        || failed(ctx, db_parse_address("address", ctx->argv[3], &ip))
        || !get_integer(ctx, "port", ctx->argv[4], 1, UINT16_MAX, &a->port)
        || failed(ctx, db_check_name("bridge", a->bridge))
        || !is_either(ctx, "encapsulation", a->encap, "vxlan", "geneve")
        || !get_integer(ctx, "VNI", ctx->argv[7], 1, SESS_MAX_VNI, &a->vni)
        || (zone && !get_integer(ctx, "zone", zone, 0, UINT16_MAX, &a->zone))
        || !get_hosts(ctx, &a->hosts)) {
        return false;
    }
    /* One way to write an address, so that the database knows it again. */
    ipv6_string_mapped(a->address, &ip);
    return true;
}

/* The service that takes the same packets, but for 'self', or NULL. */
static const struct ovsext_service *
find_twin(struct ctl_context *ctx, const struct service_args *a,
          const struct ovsext_service *self)
{
    const struct ovsext_service *row;

    OVSEXT_SERVICE_FOR_EACH (row, ctx->idl) {
        if (row != self && !strcmp(row->address, a->address)
            && !strcmp(row->protocol, a->protocol) && row->port == a->port
            && row->zone == a->zone) {
            return row;
        }
    }
    return NULL;
}

static void
add_service(struct ctl_context *ctx, const struct service_args *a)
{
    const struct ovsext_service *row = db_service_row(ctx->idl, a->name);
    const struct ovsext_service *twin = find_twin(ctx, a, row);

    if (row && !has_option(ctx, "--may-exist")) {
        ctl_error(ctx, "there is a service \"%s\" already", a->name);
        return;
    }
    if (twin) {
        ctl_error(ctx, "%s %s port %"PRId64" is service \"%s\"", a->protocol,
                  a->address, a->port, twin->name);
        return;
    }
    if (!row) {
        row = ovsext_service_insert(ctx->txn);
        ovsext_service_set_name(row, a->name);
    }
    ovsext_service_set_protocol(row, a->protocol);
    ovsext_service_set_address(row, a->address);
    ovsext_service_set_port(row, a->port);
    ovsext_service_set_zone(row, a->zone);
    ovsext_service_set_bridge(row, a->bridge);
    ovsext_service_set_encapsulation(row, a->encap);
    ovsext_service_set_vni(row, a->vni);
    ovsext_service_set_hosts(row, (const char **) a->hosts.names, a->hosts.n);
}

static void
cmd_add_service(struct ctl_context *ctx)
{
    struct service_args a = { .hosts = SVEC_EMPTY_INITIALIZER };

    if (get_service_args(ctx, &a)) {
        add_service(ctx, &a);
    }
    svec_destroy(&a.hosts);
}

static void
pre_add_service(struct ctl_context *ctx)
{
    pre_service(ctx);
    ovsdb_idl_add_column(ctx->idl, &ovsext_host_col_name);
}

/* Names hosts that are not there: a service may be added before its hosts, but
 * one that is misspelt would be left out without a word. */
static void
warn_of_absent_hosts(struct ctl_context *ctx)
{
    struct svec hosts = SVEC_EMPTY_INITIALIZER;
    const char *name;
    size_t i;

    get_hosts(ctx, &hosts);
    SVEC_FOR_EACH (i, name, &hosts) {
        if (!db_host_row(ctx->idl, name)) {
            ovs_error(0, "there is no host \"%s\" yet; the name of a host is "
                      "its external_ids:system-id", name);
        }
    }
    svec_destroy(&hosts);
}

/* The service 'name'; sets an error if there is none, unless 'optional'. */
static const struct ovsext_service *
get_service(struct ctl_context *ctx, const char *name, bool optional)
{
    const struct ovsext_service *row = db_service_row(ctx->idl, name);

    if (!row && !optional) {
        ctl_error(ctx, "there is no service \"%s\"", name);
    }
    return row;
}

static void
cmd_del_service(struct ctl_context *ctx)
{
    const struct ovsext_service *row
        = get_service(ctx, ctx->argv[1], has_option(ctx, "--if-exists"));

    if (row) {
        /* Backends that nothing refers to go away by themselves. */
        ovsext_service_delete(row);
    }
}

/* Backends. */

/* The backend of that name or port, where not null, in 's', or NULL. */
static struct ovsext_backend *
find_in_service(const struct ovsext_service *s, const char *name,
                const char *port)
{
    for (size_t i = 0; i < s->n_backends; i++) {
        if ((name && !strcmp(s->backends[i]->name, name))
            || (port && !strcmp(s->backends[i]->port, port))) {
            return s->backends[i];
        }
    }
    return NULL;
}

/* Has 's' refer to what it does now, with 'add' and without 'remove', where
 * they are not null. */
static void
change_backends(const struct ovsext_service *s,
                const struct ovsext_backend *add,
                const struct ovsext_backend *remove)
{
    struct ovsext_backend **rows;
    size_t n = 0;

    rows = xmalloc((s->n_backends + 1) * sizeof *rows);
    for (size_t i = 0; i < s->n_backends; i++) {
        if (s->backends[i] != remove && s->backends[i] != add) {
            rows[n++] = s->backends[i];
        }
    }
    if (add) {
        rows[n++] = CONST_CAST(struct ovsext_backend *, add);
    }
    ovsext_service_verify_backends(s);
    ovsext_service_set_backends(s, rows, n);
    free(rows);
}

/* Whether backend 'name', of which 'row' is the present one or null, may be
 * given 'port', null to keep it, in 's'. */
static bool
check_backend(struct ctl_context *ctx, const struct ovsext_service *s,
              const char *name, const char *port,
              const struct ovsext_backend *row)
{
    bool may_exist = has_option(ctx, "--may-exist");

    if (row && !may_exist && find_in_service(s, name, NULL)) {
        ctl_error(ctx, "service \"%s\" has a backend \"%s\" already",
                  s->name, name);
    } else if (row && !may_exist && port) {
        ctl_error(ctx, "there is a backend \"%s\" already (without PORT and "
                  "MAC, it will serve \"%s\" as well)", name, s->name);
    } else if (!row && !port) {
        ctl_error(ctx, "there is no backend \"%s\" yet: give PORT and MAC",
                  name);
    } else {
        const struct ovsext_backend *other
            = find_in_service(s, NULL, port ? port : row->port);

        if (!other || other == row) {
            return true;
        }
        ctl_error(ctx, "port \"%s\" is that of backend \"%s\"", other->port,
                  other->name);
    }
    return false;
}

static void
cmd_add_backend(struct ctl_context *ctx)
{
    const struct ovsext_service *s = get_service(ctx, ctx->argv[1], false);
    const char *name = ctx->argv[2];
    const char *port = ctx->argc > 3 ? ctx->argv[3] : NULL;
    const char *weight = shash_find_data(&ctx->options, "--weight");
    struct eth_addr mac;
    double w = 1;

    if (!s || failed(ctx, db_check_name("backend", name))) {
        return;
    }
    if (ctx->argc == 4) {
        ctl_error(ctx, "PORT \"%s\" needs a MAC", port);
        return;
    }
    if (port && (failed(ctx, db_check_name("port", port))
                 || failed(ctx, db_parse_mac(ctx->argv[4], &mac)))) {
        return;
    }
    if (weight
        && !ext_ctl_get_number(ctx, "weight", weight, 0, DB_MAX_WEIGHT, &w)) {
        return;
    }

    const struct ovsext_backend *row = db_backend_row(ctx->idl, name);
    if (!check_backend(ctx, s, name, port, row)) {
        return;
    }
    if (!row) {
        row = ovsext_backend_insert(ctx->txn);
        ovsext_backend_set_name(row, name);
        ovsext_backend_set_weight(row, w);
    } else if (weight) {
        ovsext_backend_set_weight(row, w);
    }
    if (port) {
        char *text = xasprintf(ETH_ADDR_FMT, ETH_ADDR_ARGS(mac));

        ovsext_backend_set_port(row, port);
        ovsext_backend_set_mac(row, text);
        free(text);
    }
    change_backends(s, row, NULL);
}

static void
cmd_del_backend(struct ctl_context *ctx)
{
    bool optional = has_option(ctx, "--if-exists");
    const struct ovsext_service *s = get_service(ctx, ctx->argv[1], optional);
    const struct ovsext_backend *row;

    row = s ? find_in_service(s, ctx->argv[2], NULL) : NULL;
    if (row) {
        change_backends(s, NULL, row);
    } else if (s && !optional) {
        ctl_error(ctx, "service \"%s\" has no backend \"%s\"", s->name,
                  ctx->argv[2]);
    }
}

/* Draining. */

static void
pre_drain(struct ctl_context *ctx)
{
    ovsdb_idl_add_column(ctx->idl, &ovsext_host_col_name);
    ovsdb_idl_add_column(ctx->idl, &ovsext_host_col_drain);
    ovsdb_idl_add_column(ctx->idl, &ovsext_backend_col_name);
    ovsdb_idl_add_column(ctx->idl, &ovsext_backend_col_drain);
}

static void
set_drain(struct ctl_context *ctx, const char *name, bool drain)
{
    bool only_host = has_option(ctx, "--host");
    bool only_backend = has_option(ctx, "--backend");
    const struct ovsext_host *host
        = only_backend ? NULL : db_host_row(ctx->idl, name);
    const struct ovsext_backend *backend
        = only_host ? NULL : db_backend_row(ctx->idl, name);

    if (only_host && only_backend) {
        ctl_error(ctx, "--host and --backend exclude each other");
    } else if (host && backend) {
        ctl_error(ctx, "there are a host and a backend \"%s\": say --host or "
                  "--backend", name);
    } else if (host) {
        ovsext_host_set_drain(host, drain);
    } else if (backend) {
        ovsext_backend_set_drain(backend, drain);
    } else {
        ctl_error(ctx, "there is no %s \"%s\"",
                  only_host ? "host" : only_backend ? "backend"
                  : "host or backend", name);
    }
}

static void
cmd_drain(struct ctl_context *ctx)
{
    bool drain = !strcmp(ctx->argv[0], "drain");

    for (int i = 1; i < ctx->argc && !ctx->error; i++) {
        set_drain(ctx, ctx->argv[i], drain);
    }
}

/* show. */

static void
show_backends(struct ctl_context *ctx, const struct ovsext_service *s)
{
    struct svec lines = SVEC_EMPTY_INITIALIZER;

    for (size_t i = 0; i < s->n_backends; i++) {
        const struct ovsext_backend *b = s->backends[i];

        svec_add_nocopy(&lines,
                        xasprintf("    Backend %s: port %s, MAC %s, weight "
                                  "%g%s", b->name, b->port, b->mac,
                                  b->weight ? b->weight : 1,
                                  b->drain ? ", drains" : ""));
    }
    ext_ctl_show_sorted(ctx, &lines);
    svec_destroy(&lines);
}

static void
show_service(struct ctl_context *ctx, const struct ovsext_service *s)
{
    ds_put_format(&ctx->output,
                  "Service %s: %s %s port %"PRId64", bridge %s, %s %"PRId64,
                  s->name, s->protocol, s->address, s->port, s->bridge,
                  s->encapsulation, s->vni);
    if (s->zone) {
        ds_put_format(&ctx->output, ", zone %"PRId64, s->zone);
    }
    ds_put_cstr(&ctx->output, s->n_hosts ? ", hosts" : ", all hosts");
    for (size_t i = 0; i < s->n_hosts; i++) {
        ds_put_format(&ctx->output, " %s", s->hosts[i]);
    }
    ds_put_char(&ctx->output, '\n');
    show_backends(ctx, s);
}

static int
compare_services(const void *a_, const void *b_)
{
    const struct ovsext_service *const *a = a_;
    const struct ovsext_service *const *b = b_;

    return strcmp((*a)->name, (*b)->name);
}

void
ext_ctl_show_services(struct ctl_context *ctx)
{
    const struct ovsext_service **rows = NULL;
    const struct ovsext_service *s;
    size_t n = 0, allocated = 0;

    OVSEXT_SERVICE_FOR_EACH (s, ctx->idl) {
        if (n >= allocated) {
            rows = x2nrealloc(rows, &allocated, sizeof *rows);
        }
        rows[n++] = s;
    }
    if (n) {
        qsort(rows, n, sizeof *rows, compare_services);
    }
    for (size_t i = 0; i < n; i++) {
        show_service(ctx, rows[i]);
    }
    free(rows);
}

static void
show_state(struct ctl_context *ctx, const struct smap *state)
{
    const struct smap_node **nodes = smap_sort(state);

    ds_put_cstr(&ctx->output, "    gossip:");
    for (size_t i = 0; i < smap_count(state); i++) {
        ds_put_format(&ctx->output, " %s=%s", nodes[i]->key, nodes[i]->value);
    }
    ds_put_char(&ctx->output, '\n');
    free(nodes);
}

static void
show_hints(struct ctl_context *ctx, const char *host)
{
    struct svec lines = SVEC_EMPTY_INITIALIZER;
    const struct ovsext_migration_hint *h;
    long long int now = time_wall_msec();

    OVSEXT_MIGRATION_HINT_FOR_EACH (h, ctx->idl) {
        if (!strcmp(h->host, host) && h->expiry >= now) {
            svec_add_nocopy(&lines,
                            xasprintf("    Hint %s: to %s, probability %.2f",
                                      h->backend, h->target,
                                      h->probability));
        }
    }
    ext_ctl_show_sorted(ctx, &lines);
    svec_destroy(&lines);
}

void
ext_ctl_show_host_session(struct ctl_context *ctx,
                          const struct ovsext_host *h)
{
    if (h->encap_ip[0] || h->gossip[0]) {
        ds_put_format(&ctx->output, "    encap_ip: %s, gossip: %s\n",
                      h->encap_ip[0] ? h->encap_ip : "none",
                      h->gossip[0] ? h->gossip : "none");
    }
    if (!smap_is_empty(&h->gossip_state)) {
        show_state(ctx, &h->gossip_state);
    }
    if (h->drain) {
        ds_put_cstr(&ctx->output, "    drains\n");
    }
    show_hints(ctx, h->name);
}

const struct ctl_command_syntax ext_ctl_session_commands[] = {
    {"add-service", 7, 7,
     "NAME PROTOCOL ADDRESS PORT BRIDGE ENCAPSULATION VNI", pre_add_service,
     cmd_add_service, warn_of_absent_hosts, "--may-exist,--zone=,--hosts=", RW},
    {"del-service", 1, 1, "NAME", pre_service, cmd_del_service, NULL,
     "--if-exists", RW},
    {"add-backend", 2, 4, "SERVICE NAME [PORT MAC]", pre_service,
     cmd_add_backend, NULL, "--may-exist,--weight=", RW},
    {"del-backend", 2, 2, "SERVICE NAME", pre_service, cmd_del_backend, NULL,
     "--if-exists", RW},
    {"drain", 1, INT_MAX, "NAME...", pre_drain, cmd_drain, NULL,
     "--host,--backend", RW},
    {"undrain", 1, INT_MAX, "NAME...", pre_drain, cmd_drain, NULL,
     "--host,--backend", RW},
    {NULL, 0, 0, NULL, NULL, NULL, NULL, NULL, RO},
};
