/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>
#include "ovs-ext/db/db-session.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/shash.h"
#include "ovs-ext/db/db-conn.h"
#include "ovs-ext/db/ovs-ext-idl.h"
#include "ovs-ext/session/gossip-wire.h"
#include "ovs-ext/session/sess-fleet.h"
#include "ovs-ext/session/sess-owner.h"
#include "ovs-ext/session/sess-plan.h"
#include "ovsdb-idl.h"
#include "packets.h"
#include "sset.h"
#include "svec.h"
#include "util.h"

/* Single values. */

char *
db_check_name(const char *what, const char *name)
{
    if (!name[0]) {
        return xasprintf("%s is empty", what);
    } else if (strlen(name) > GOSSIP_NAME_MAX) {
        return xasprintf("%s \"%s\" has more than %d characters", what, name,
                         GOSSIP_NAME_MAX);
    }
    for (const char *p = name; *p; p++) {
        if (*p <= ' ' || *p > '~') {
            return xasprintf("%s \"%s\" has a character that is no letter, "
                             "digit or sign", what, name);
        }
    }
    return NULL;
}

/* Whether packets can be sent to 'ip', and to one place only. */
static bool
is_unicast(const struct in6_addr *ip)
{
    if (IN6_IS_ADDR_V4MAPPED(ip)) {
        ovs_be32 ip4 = in6_addr_get_mapped_ipv4(ip);

        return ip4 && !ip_is_multicast(ip4) && ip4 != htonl(UINT32_MAX);
    }
    return ipv6_addr_is_set(ip) && !IN6_IS_ADDR_MULTICAST(ip);
}

char *
db_parse_address(const char *what, const char *s, struct in6_addr *ip)
{
    ovs_be32 ip4;

    if (ip_parse(s, &ip4)) {
        in6_addr_set_mapped_ipv4(ip, ip4);
    } else if (!ipv6_parse(s, ip)) {
        return xasprintf("%s \"%s\" is not an IPv4 or IPv6 address", what, s);
    }
    if (!is_unicast(ip)) {
        return xasprintf("%s \"%s\" is not a unicast address", what, s);
    }
    return NULL;
}

char *
db_parse_mac(const char *s, struct eth_addr *mac)
{
    if (strspn(s, "0123456789abcdefABCDEF:") != ETH_ADDR_STRLEN
        || s[ETH_ADDR_STRLEN] || !eth_addr_from_string(s, mac)) {
        return xasprintf("MAC \"%s\" is not xx:xx:xx:xx:xx:xx", s);
    } else if (eth_addr_is_multicast(*mac) || eth_addr_is_zero(*mac)) {
        return xasprintf("MAC \"%s\" is not that of a device", s);
    }
    return NULL;
}

/* Which rows a host receives. */

/* Adds those that are members together with 'host', or all. */
static void
add_members(struct ovsdb_idl *idl, const char *host,
            struct ovsdb_idl_condition *cond)
{
    struct sset names = SSET_INITIALIZER(&names);
    const struct ovsext_service *row;
    bool all = false;

    OVSEXT_SERVICE_FOR_EACH (row, idl) {
        bool member = false;

        for (size_t i = 0; i < row->n_hosts; i++) {
            member |= !strcmp(row->hosts[i], host);
        }
        for (size_t i = 0; member && i < row->n_hosts; i++) {
            sset_add(&names, row->hosts[i]);
        }
        all |= !row->n_hosts;
    }
    sset_add(&names, host);
    if (all) {
        ovsdb_idl_condition_add_clause_true(cond);
    } else {
        const char **sorted = sset_sort(&names);

        for (size_t i = 0; i < sset_count(&names); i++) {
            ovsext_host_add_clause_name(cond, OVSDB_F_EQ, sorted[i]);
        }
        free(sorted);
    }
    sset_destroy(&names);
}

bool
db_fleet_follow(struct ovsdb_idl *idl, const char *host, bool wanted)
{
    struct ovsdb_idl_condition all, members;
    unsigned int present = ovsdb_idl_get_condition_seqno(idl);
    bool complete = true;

    if (!ovsext_server_has_service_table(idl)) {
        /* Not connected, or to a server of an older release. */
        return db_conn_is_current(idl);
    }
    ovsdb_idl_condition_init(&all);
    ovsdb_idl_condition_init(&members);
    if (wanted) {
        ovsdb_idl_condition_add_clause_true(&all);
        add_members(idl, host, &members);
    } else {
        ovsext_host_add_clause_name(&members, OVSDB_F_EQ, host);
    }

    /* A condition that is set anew returns the present number if the server
     * has confirmed it, and that counts once the contents are there. */
    complete &= ovsext_service_set_condition(idl, &all) == present;
    complete &= ovsext_backend_set_condition(idl, &all) == present;
    complete &= ovsext_host_set_condition(idl, &members) == present;
    ovsdb_idl_condition_destroy(&all);
    ovsdb_idl_condition_destroy(&members);
    return complete && db_conn_is_current(idl);
}

/* Reading. */

struct reader {
    struct ovsdb_idl *idl;
    struct sess_fleet *fleet;
    struct svec *errors;
    struct sset keys;           /* Of packets that a service takes. */
    size_t n_backends;
};

/* Adds "WHOSE: ERROR" and frees 'error'.  Returns whether there was one. */
static bool OVS_PRINTF_FORMAT(3, 4)
refuse(struct reader *r, char *error, const char *format, ...)
{
    va_list args;

    if (error) {
        va_start(args, format);
        char *whose = xvasprintf(format, args);
        va_end(args);
        char *line = xasprintf("%s: %s", whose, error);

        for (char *p = line; *p; p++) {
            *p = *p < ' ' || *p > '~' ? '?' : *p;
        }
        svec_add_nocopy(r->errors, line);
        free(whose);
        free(error);
    }
    return error != NULL;
}

static double
weight_of(const struct ovsext_backend *row)
{
    /* Below that, a weight does not differ from none. */
    return (!row->weight || isnan(row->weight) ? 1
            : MAX(1e-3, MIN(row->weight, DB_MAX_WEIGHT)));
}

/* Adds 'row' to 's', which has room for it, if it makes sense. */
static void
read_backend(struct reader *r, struct sess_service *s, struct sset *ports,
             const struct ovsext_backend *row)
{
    struct sess_backend *b = &s->backends[s->n_backends];
    char *error = db_check_name("name", row->name);

    if (!error) {
        error = db_check_name("port", row->port);
    }
    if (!error) {
        error = db_parse_mac(row->mac, &b->mac);
    }
    if (!error && s->n_backends >= SESS_MAX_MEMBERS) {
        error = xasprintf("the service has %d backends already",
                          SESS_MAX_MEMBERS);
    }
    if (!error && r->n_backends >= SESS_MAX_BACKENDS) {
        error = xasprintf("there are %d backends already", SESS_MAX_BACKENDS);
    }
    if (!error && !sset_add(ports, row->port)) {
        error = xasprintf("port \"%s\" is that of another backend",
                          row->port);
    }
    if (refuse(r, error, "service \"%s\", backend \"%s\"", s->name,
               row->name)) {
        return;
    }
    b->name = xstrdup(row->name);
    b->id = sess_id_of_name(row->name);
    b->port = xstrdup(row->port);
    b->weight = weight_of(row);
    b->drain = row->drain;
    s->n_backends++;
    r->n_backends++;
}

static int
compare_backend_rows(const void *a_, const void *b_)
{
    const struct ovsext_backend *const *a = a_;
    const struct ovsext_backend *const *b = b_;

    return strcmp((*a)->name, (*b)->name);
}

static void
read_backends(struct reader *r, struct sess_service *s,
              const struct ovsext_service *row)
{
    const struct ovsext_backend **rows;
    struct sset ports = SSET_INITIALIZER(&ports);
    size_t n = row->n_backends;

    if (!n) {
        return;
    }
    rows = xmemdup(row->backends, n * sizeof *rows);
    qsort(rows, n, sizeof *rows, compare_backend_rows);
    s->backends = xmalloc(n * sizeof *s->backends);
    for (size_t i = 0; i < n; i++) {
        read_backend(r, s, &ports, rows[i]);
    }
    free(rows);
    sset_destroy(&ports);
}

/* Returns false if hosts are named, but none that can be: without names all
 * hosts would take part. */
static bool
read_members(struct reader *r, struct sess_service *s,
             const struct ovsext_service *row)
{
    s->hosts = xmalloc(MAX(row->n_hosts, 1) * sizeof *s->hosts);
    for (size_t i = 0; i < row->n_hosts; i++) {
        if (!refuse(r, db_check_name("host", row->hosts[i]), "service \"%s\"",
                    s->name)) {
            s->hosts[s->n_hosts++] = xstrdup(row->hosts[i]);
        }
    }
    return s->n_hosts || !row->n_hosts;
}

/* The columns that are numbers; the schema limits most of them. */
static char *
read_numbers(struct sess_service *s, const struct ovsext_service *row)
{
    if (row->port < 1 || row->port > UINT16_MAX) {
        return xasprintf("port %"PRId64" is not 1 to %d", row->port,
                         UINT16_MAX);
    } else if (row->zone < 0 || row->zone > UINT16_MAX) {
        return xasprintf("zone %"PRId64" is not 0 to %d", row->zone,
                         UINT16_MAX);
    } else if (row->vni < 1 || row->vni > SESS_MAX_VNI) {
        return xasprintf("VNI %"PRId64" is not 1 to %d", row->vni,
                         SESS_MAX_VNI);
    }
    s->port = htons(row->port);
    s->zone = row->zone;
    s->vni = row->vni;
    return NULL;
}

static char *
read_words(struct sess_service *s, const struct ovsext_service *row)
{
    if (!strcmp(row->protocol, "tcp")) {
        s->proto = IPPROTO_TCP;
    } else if (!strcmp(row->protocol, "udp")) {
        s->proto = IPPROTO_UDP;
    } else {
        return xasprintf("protocol \"%s\" is not tcp or udp", row->protocol);
    }
    if (!strcmp(row->encapsulation, "vxlan")) {
        s->encap = PHC_VXLAN;
    } else if (!strcmp(row->encapsulation, "geneve")) {
        s->encap = PHC_GENEVE;
    } else {
        return xasprintf("encapsulation \"%s\" is not vxlan or geneve",
                         row->encapsulation);
    }
    return NULL;
}

/* Whether another service takes the same packets. */
static char *
check_unique(struct reader *r, const struct sess_service *s,
             const char *address)
{
    char ip[INET6_ADDRSTRLEN];
    char *error = NULL;

    ipv6_string_mapped(ip, &s->addr);
    char *key = xasprintf("%s %d %d %d", ip, s->proto, ntohs(s->port),
                          s->zone);
    if (!sset_add(&r->keys, key)) {
        error = xasprintf("address \"%s\", port %d is that of another service",
                          address, ntohs(s->port));
    }
    free(key);
    return error;
}

static void
read_service(struct reader *r, const struct ovsext_service *row)
{
    struct sess_service *s = &r->fleet->services[r->fleet->n_services];
    char *error = db_check_name("name", row->name);

    memset(s, 0, sizeof *s);
    if (!error) {
        error = db_parse_address("address", row->address, &s->addr);
    }
    if (!error) {
        error = read_words(s, row);
    }
    if (!error) {
        error = read_numbers(s, row);
    }
    if (!error) {
        error = db_check_name("bridge", row->bridge);
    }
    if (!error && r->fleet->n_services >= SESS_MAX_SERVICES) {
        error = xasprintf("there are %d services already", SESS_MAX_SERVICES);
    }
    if (!error) {
        error = check_unique(r, s, row->address);
    }
    if (!refuse(r, error, "service \"%s\"", row->name)) {
        s->name = xstrdup(row->name);
        s->id = sess_id_of_name(row->name);
        s->bridge = xstrdup(row->bridge);
        read_backends(r, s, row);
        if (read_members(r, s, row)) {
            r->fleet->n_services++;
        } else {
            refuse(r, xstrdup("none of its hosts has a valid name"),
                   "service \"%s\"", row->name);
            sess_service_uninit(s);
        }
    }
}

static int
compare_service_rows(const void *a_, const void *b_)
{
    const struct ovsext_service *const *a = a_;
    const struct ovsext_service *const *b = b_;

    return strcmp((*a)->name, (*b)->name);
}

static void
read_services(struct reader *r)
{
    const struct ovsext_service **rows = NULL;
    const struct ovsext_service *row;
    size_t n = 0, allocated = 0;

    OVSEXT_SERVICE_FOR_EACH (row, r->idl) {
        if (n >= allocated) {
            rows = x2nrealloc(rows, &allocated, sizeof *rows);
        }
        rows[n++] = row;
    }
    r->fleet->services = xmalloc((n + 1) * sizeof *r->fleet->services);
    if (n) {
        qsort(rows, n, sizeof *rows, compare_service_rows);
    }
    for (size_t i = 0; i < n; i++) {
        read_service(r, rows[i]);
    }
    free(rows);
}

static void
read_host(struct reader *r, const struct ovsext_host *row)
{
    struct sess_host *h = &r->fleet->hosts[r->fleet->n_hosts];

    memset(h, 0, sizeof *h);
    if (refuse(r, db_check_name("name", row->name), "host \"%s\"",
               row->name)) {
        return;
    }
    if (row->encap_ip[0]
        && refuse(r, db_parse_address("encap_ip", row->encap_ip,
                                      &h->encap_ip),
                  "host \"%s\"", row->name)) {
        memset(&h->encap_ip, 0, sizeof h->encap_ip);
    }
    if (row->gossip[0] && !gossip_addr_parse(row->gossip, &h->gossip)) {
        refuse(r, xasprintf("gossip \"%s\" is not ADDRESS:PORT", row->gossip),
               "host \"%s\"", row->name);
    }
    h->name = xstrdup(row->name);
    h->id = gossip_host_id(row->name);
    h->drain = row->drain;
    r->fleet->n_hosts++;
}

static void
read_hosts(struct reader *r)
{
    const struct ovsext_host *row;
    size_t n = 0;

    OVSEXT_HOST_FOR_EACH (row, r->idl) {
        n++;
    }
    r->fleet->hosts = xmalloc(MAX(n, 1) * sizeof *r->fleet->hosts);
    OVSEXT_HOST_FOR_EACH (row, r->idl) {
        read_host(r, row);
    }
}

void
db_fleet_read(struct ovsdb_idl *idl, struct sess_fleet *fleet,
              struct svec *errors)
{
    struct reader r = {
        .idl = idl,
        .fleet = fleet,
        .errors = errors,
        .keys = SSET_INITIALIZER(&r.keys),
    };

    sess_fleet_init(fleet);
    read_services(&r);
    read_hosts(&r);
    sess_fleet_sort(fleet);
    svec_sort(errors);
    sset_destroy(&r.keys);
}

const struct ovsext_service *
db_service_row(struct ovsdb_idl *idl, const char *name)
{
    const struct ovsext_service *row;

    OVSEXT_SERVICE_FOR_EACH (row, idl) {
        if (!strcmp(row->name, name)) {
            return row;
        }
    }
    return NULL;
}

const struct ovsext_backend *
db_backend_row(struct ovsdb_idl *idl, const char *name)
{
    const struct ovsext_backend *row;

    OVSEXT_BACKEND_FOR_EACH (row, idl) {
        if (!strcmp(row->name, name)) {
            return row;
        }
    }
    return NULL;
}
