/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/session/sess-fleet.h"

#include <stdlib.h>
#include <string.h>

#include "packets.h"
#include "util.h"

/* Returns the number that hosts know 'name', of a service or a backend, by. */
uint64_t
sess_id_of_name(const char *name)
{
    return gossip_hash(name, strlen(name));
}

void
sess_fleet_init(struct sess_fleet *fleet)
{
    memset(fleet, 0, sizeof *fleet);
}

/* Frees what 's' owns. */
void
sess_service_uninit(struct sess_service *s)
{
    for (size_t i = 0; i < s->n_backends; i++) {
        free(s->backends[i].name);
        free(s->backends[i].port);
    }
    for (size_t i = 0; i < s->n_hosts; i++) {
        free(s->hosts[i]);
    }
    free(s->backends);
    free(s->hosts);
    free(s->name);
    free(s->bridge);
}

/* Frees what 'fleet' owns and leaves it empty. */
void
sess_fleet_uninit(struct sess_fleet *fleet)
{
    for (size_t i = 0; i < fleet->n_services; i++) {
        sess_service_uninit(&fleet->services[i]);
    }
    for (size_t i = 0; i < fleet->n_hosts; i++) {
        free(fleet->hosts[i].name);
    }
    free(fleet->services);
    free(fleet->hosts);
    sess_fleet_init(fleet);
}

static void
service_clone(struct sess_service *to, const struct sess_service *from)
{
    *to = *from;
    to->name = xstrdup(from->name);
    to->bridge = xstrdup(from->bridge);
    to->backends = (from->n_backends
                    ? xmemdup(from->backends,
                              from->n_backends * sizeof *to->backends)
                    : NULL);
    for (size_t i = 0; i < to->n_backends; i++) {
        to->backends[i].name = xstrdup(from->backends[i].name);
        to->backends[i].port = xstrdup(from->backends[i].port);
    }
    to->hosts = xmalloc(MAX(from->n_hosts, 1) * sizeof *to->hosts);
    for (size_t i = 0; i < to->n_hosts; i++) {
        to->hosts[i] = xstrdup(from->hosts[i]);
    }
}

/* Makes 'to', which need not be initialized, a copy of 'from'. */
void
sess_fleet_clone(struct sess_fleet *to, const struct sess_fleet *from)
{
    to->n_services = from->n_services;
    to->services = xmalloc(MAX(to->n_services, 1) * sizeof *to->services);
    for (size_t i = 0; i < to->n_services; i++) {
        service_clone(&to->services[i], &from->services[i]);
    }
    to->n_hosts = from->n_hosts;
    to->hosts = xmalloc(MAX(to->n_hosts, 1) * sizeof *to->hosts);
    for (size_t i = 0; i < to->n_hosts; i++) {
        to->hosts[i] = from->hosts[i];
        to->hosts[i].name = xstrdup(from->hosts[i].name);
    }
}

static int
compare_services(const void *a_, const void *b_)
{
    const struct sess_service *a = a_, *b = b_;

    return strcmp(a->name, b->name);
}

static int
compare_backends(const void *a_, const void *b_)
{
    const struct sess_backend *a = a_, *b = b_;

    return strcmp(a->name, b->name);
}

static int
compare_hosts(const void *a_, const void *b_)
{
    const struct sess_host *a = a_, *b = b_;

    return strcmp(a->name, b->name);
}

static int
compare_names(const void *a_, const void *b_)
{
    const char *const *a = a_, *const *b = b_;

    return strcmp(*a, *b);
}

/* Brings everything into the order that other functions rely on. */
void
sess_fleet_sort(struct sess_fleet *fleet)
{
    for (size_t i = 0; i < fleet->n_services; i++) {
        struct sess_service *s = &fleet->services[i];

        if (s->n_backends) {
            qsort(s->backends, s->n_backends, sizeof *s->backends,
                  compare_backends);
        }
        if (s->n_hosts) {
            qsort(s->hosts, s->n_hosts, sizeof *s->hosts, compare_names);
        }
    }
    if (fleet->n_services) {
        qsort(fleet->services, fleet->n_services, sizeof *fleet->services,
              compare_services);
    }
    if (fleet->n_hosts) {
        qsort(fleet->hosts, fleet->n_hosts, sizeof *fleet->hosts,
              compare_hosts);
    }
}

static bool
backend_equals(const struct sess_backend *a, const struct sess_backend *b)
{
    return (!strcmp(a->name, b->name) && !strcmp(a->port, b->port)
            && eth_addr_equals(a->mac, b->mac) && a->weight == b->weight
            && a->drain == b->drain);
}

static bool
service_equals(const struct sess_service *a, const struct sess_service *b)
{
    if (strcmp(a->name, b->name) || strcmp(a->bridge, b->bridge)
        || !ipv6_addr_equals(&a->addr, &b->addr) || a->proto != b->proto
        || a->port != b->port || a->zone != b->zone || a->encap != b->encap
        || a->vni != b->vni || a->n_backends != b->n_backends
        || a->n_hosts != b->n_hosts) {
        return false;
    }
    for (size_t i = 0; i < a->n_backends; i++) {
        if (!backend_equals(&a->backends[i], &b->backends[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < a->n_hosts; i++) {
        if (strcmp(a->hosts[i], b->hosts[i])) {
            return false;
        }
    }
    return true;
}

static bool
host_equals(const struct sess_host *a, const struct sess_host *b)
{
    return (!strcmp(a->name, b->name)
            && ipv6_addr_equals(&a->encap_ip, &b->encap_ip)
            && gossip_addr_equal(&a->gossip, &b->gossip)
            && a->drain == b->drain);
}

/* Returns true if both, sorted, say the same. */
bool
sess_fleet_equals(const struct sess_fleet *a, const struct sess_fleet *b)
{
    if (a->n_services != b->n_services || a->n_hosts != b->n_hosts) {
        return false;
    }
    for (size_t i = 0; i < a->n_services; i++) {
        if (!service_equals(&a->services[i], &b->services[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < a->n_hosts; i++) {
        if (!host_equals(&a->hosts[i], &b->hosts[i])) {
            return false;
        }
    }
    return true;
}

const struct sess_service *
sess_fleet_service(const struct sess_fleet *fleet, const char *name)
{
    for (size_t i = 0; i < fleet->n_services; i++) {
        if (!strcmp(fleet->services[i].name, name)) {
            return &fleet->services[i];
        }
    }
    return NULL;
}

const struct sess_host *
sess_fleet_host(const struct sess_fleet *fleet, uint64_t id)
{
    for (size_t i = 0; i < fleet->n_hosts; i++) {
        if (fleet->hosts[i].id == id) {
            return &fleet->hosts[i];
        }
    }
    return NULL;
}

/* Whether 'host' is a member of 's'; without a list of members all are. */
bool
sess_service_has_host(const struct sess_service *s, const char *host)
{
    for (size_t i = 0; i < s->n_hosts; i++) {
        if (!strcmp(s->hosts[i], host)) {
            return true;
        }
    }
    return !s->n_hosts;
}
