/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/session/sess-plan.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "packets.h"
#include "util.h"

/* What is not hop and not host in the key of a target's number. */
enum target_kind {
    TARGET_HOP1,
    TARGET_HOP2,
    TARGET_LOCAL
};

static enum target_kind
target_kind(const struct sess_target *t)
{
    return t->local ? TARGET_LOCAL : t->hop2 ? TARGET_HOP2 : TARGET_HOP1;
}

/* A plan that is being made. */
struct maker {
    const struct sess_plan_args *args;
    struct sess_plan *plan;
    size_t allocated_targets;
};

static uint32_t
addr_hash(const struct in6_addr *addr, uint8_t proto, ovs_be16 port)
{
    return hash_bytes(addr, sizeof *addr,
                      (uint32_t) proto << 16 | (OVS_FORCE uint16_t) port);
}

/* Rings. */

static void
ring_unref(struct sess_ring *ring)
{
    if (ring && !--ring->refs) {
        sess_owners_destroy(ring->owners);
        free(ring->members);
        free(ring->backends);
        free(ring);
    }
}

static struct sess_ring *
ring_ref(struct sess_ring *ring)
{
    if (ring) {
        ring->refs++;
    }
    return ring;
}

static bool
ring_equals(const struct sess_ring *ring, const struct sess_member *members,
            size_t n)
{
    if (ring->n != n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const struct sess_member *a = &ring->members[i], *b = &members[i];

        if (a->id != b->id || a->weight != b->weight
            || a->draining != b->draining) {
            return false;
        }
    }
    return true;
}

/* Takes over 'members' and 'backends'.  'last' is the ring before, or null. */
static struct sess_ring *
ring_create(const struct sess_ring *last, struct sess_member *members,
            uint16_t *backends, size_t n)
{
    struct sess_ring *ring = xmalloc(sizeof *ring);

    ring->refs = 1;
    ring->owners = (last ? sess_owners_update(last->owners, last->members,
                                              last->n, members, n)
                    : sess_owners_create(members, n));
    ring->members = members;
    ring->backends = backends;
    ring->n = n;
    return ring;
}

/* Targets. */

static struct sess_target *
add_target(struct maker *m, const struct sess_plan_service *s,
           uint64_t id, enum target_kind kind)
{
    struct sess_plan *plan = m->plan;
    struct sess_target *t;
    uint16_t number;

    number = sess_numbers_get(m->args->numbers, SESS_NUMBER_TARGET, s->id, id,
                              kind, m->args->now);
    if (number == SESS_NONE) {
        plan->n_left_out++;
        return NULL;
    }
    if (plan->n_targets == m->allocated_targets) {
        plan->targets = x2nrealloc(plan->targets, &m->allocated_targets,
                                   sizeof *plan->targets);
    }
    t = &plan->targets[plan->n_targets++];
    memset(t, 0, sizeof *t);
    t->number = number;
    t->service = s->number;
    t->local = kind == TARGET_LOCAL;
    t->hop2 = kind == TARGET_HOP2;
    return t;
}

/* Returns the number of the target to 'host', which may be there already. */
static uint16_t
add_remote(struct maker *m, const struct sess_plan_service *s,
           const struct sess_host *host, bool hop2, bool hinted,
           size_t first_target)
{
    struct sess_plan *plan = m->plan;
    struct sess_target *t;

    for (size_t i = first_target; i < plan->n_targets; i++) {
        t = &plan->targets[i];
        if (!t->local && t->host == host->id && t->hop2 == hop2) {
            t->hinted &= hinted;
            return t->number;
        }
    }
    t = add_target(m, s, host->id, hop2 ? TARGET_HOP2 : TARGET_HOP1);
    if (!t) {
        return SESS_NONE;
    }
    t->host = host->id;
    t->hinted = hinted;
    t->dst = host->encap_ip;
    t->vni = s->vni | (hop2 ? SESS_HOP2_VNI : 0);
    return t->number;
}

static uint16_t
add_local(struct maker *m, const struct sess_plan_service *s,
          const struct sess_backend *backend, uint16_t number)
{
    struct sess_target *t = add_target(m, s, backend->id, TARGET_LOCAL);

    if (!t) {
        return SESS_NONE;
    }
    t->backend = number;
    t->mac = backend->mac;
    t->port = xstrdup(backend->port);
    return t->number;
}

/* Backends. */

static const struct sess_location *
find_location(const struct sess_plan_args *args, uint64_t backend)
{
    for (size_t i = 0; i < args->n_locations; i++) {
        if (args->locations[i].backend == backend) {
            return &args->locations[i];
        }
    }
    return NULL;
}

/* Since when 'b', number 'number', is here. */
static long long int
arrival(const struct maker *m, const struct sess_plan_backend *b,
        uint16_t number)
{
    const struct sess_plan_backend *last
        = m->args->last ? sess_plan_backend(m->args->last, number) : NULL;

    return (last && last->id == b->id && last->here
            ? last->arrived : m->args->now);
}

static void
locate(struct maker *m, const struct sess_plan_service *s,
       const struct sess_service *service, const struct sess_backend *backend,
       struct sess_plan_backend *b, size_t first_target)
{
    const struct sess_location *l = find_location(m->args, backend->id);
    const struct sess_host *host;

    host = l ? sess_fleet_host(m->args->fleet, l->host) : NULL;
    if (!host || !sess_service_has_host(service, host->name)) {
        return;
    }
    b->host = host->id;
    b->addr = host->encap_ip;
    b->here = host->id == m->args->self;
    b->local = b->here && l->present;
    b->alive = b->here || l->alive;
    b->draining = backend->drain || host->drain;
    if (b->here) {
        b->target2 = b->target;
    } else if (ipv6_addr_is_set(&host->encap_ip)) {
        b->target = add_remote(m, s, host, false, false, first_target);
        b->target2 = add_remote(m, s, host, true, false, first_target);
    } else {
        b->target = b->target2 = SESS_NONE;
    }
}

static void
put_backend(struct sess_plan *plan, uint16_t number,
            const struct sess_plan_backend *b)
{
    if (number >= plan->n_backends) {
        size_t n = number + 1;

        plan->backends = xrealloc(plan->backends, n * sizeof *plan->backends);
        memset(&plan->backends[plan->n_backends], 0,
               (n - plan->n_backends) * sizeof *plan->backends);
        plan->n_backends = n;
    }
    plan->backends[number] = *b;
}

static int
compare_ids(const void *a_, const void *b_)
{
    const struct sess_member *a = a_, *b = b_;

    return a->id < b->id ? -1 : a->id > b->id;
}

/* Has 's' remember 'ring', which was in force until 'ended', unless that is
 * long ago or there are many newer ones. */
static void
add_previous(struct sess_plan_service *s, struct sess_ring *ring,
             long long int ended, long long int now)
{
    if (s->n_previous < SESS_MAX_PREVIOUS
        && now - ended <= SESS_PREVIOUS_MS) {
        s->previous[s->n_previous].ring = ring_ref(ring);
        s->previous[s->n_previous++].ended = ended;
    }
}

/* Gives 's' the owners among 'members', those of the last plan if nothing has
 * changed. */
static void
set_ring(struct maker *m, struct sess_plan_service *s,
         struct sess_member *members, size_t n)
{
    const struct sess_plan_service *last;
    uint16_t *numbers;

    last = (m->args->last
            ? sess_plan_service(m->args->last, s->number) : NULL);
    if (last && last->id != s->id) {
        last = NULL;
    }
    if (last) {
        bool same = ring_equals(last->ring, members, n);

        if (!same && last->ring->n) {
            add_previous(s, last->ring, m->args->now, m->args->now);
        }
        for (size_t i = 0; i < last->n_previous; i++) {
            add_previous(s, last->previous[i].ring, last->previous[i].ended,
                         m->args->now);
        }
        if (same) {
            s->ring = ring_ref(last->ring);
            s->changed = last->changed;
            free(members);
            return;
        }
    }
    numbers = xmalloc(MAX(n, 1) * sizeof *numbers);
    for (size_t i = 0; i < n; i++) {
        /* Has been given above: this only finds it. */
        numbers[i] = sess_numbers_get(m->args->numbers, SESS_NUMBER_BACKEND,
                                      s->id, members[i].id, 0, m->args->now);
    }
    s->changed = m->args->now;
    s->ring = ring_create(last ? last->ring : NULL, members, numbers, n);
}

static void
add_backends(struct maker *m, struct sess_plan_service *s,
             const struct sess_service *service)
{
    struct sess_member *members;
    size_t first_target = m->plan->n_targets;
    size_t n = 0;

    members = xmalloc(MAX(service->n_backends, 1) * sizeof *members);
    for (size_t i = 0; i < service->n_backends; i++) {
        const struct sess_backend *backend = &service->backends[i];
        struct sess_plan_backend b = {
            .id = backend->id, .service = s->number,
        };
        uint16_t number;

        number = sess_numbers_get(m->args->numbers, SESS_NUMBER_BACKEND,
                                  s->id, backend->id, 0, m->args->now);
        if (number == SESS_NONE) {
            m->plan->n_left_out++;
            continue;
        }
        b.target = add_local(m, s, backend, number);
        locate(m, s, service, backend, &b, first_target);
        if (b.here) {
            b.arrived = arrival(m, &b, number);
        }
        put_backend(m->plan, number, &b);
        if (b.host && b.alive && n < SESS_MAX_MEMBERS) {
            members[n++] = (struct sess_member) {
                .id = b.id, .weight = backend->weight, .draining = b.draining,
            };
        }
    }
    if (n) {
        qsort(members, n, sizeof *members, compare_ids);
    }
    set_ring(m, s, members, n);
}

static void
add_hints(struct maker *m, const struct sess_plan_service *s,
          const struct sess_service *service, size_t first_target)
{
    for (size_t i = 0; i < m->args->n_hints; i++) {
        const struct sess_hint *hint = &m->args->hints[i];
        const struct sess_host *host;

        host = sess_fleet_host(m->args->fleet, hint->host);
        if (sess_plan_backend_number(m->plan, s->id, hint->backend)
            && host && host->id != m->args->self
            && ipv6_addr_is_set(&host->encap_ip)
            && sess_service_has_host(service, host->name)) {
            add_remote(m, s, host, false, true, first_target);
            add_remote(m, s, host, true, true, first_target);
        }
    }
}

static int
compare_addrs(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct in6_addr));
}

/* Stores the tunnel ends of the hosts of 'fleet' but 'self': those that are
 * members of 'service', or all if it is null.  Returns how many there are. */
static size_t
find_peers(const struct sess_fleet *fleet, uint64_t self,
           const struct sess_service *service, struct in6_addr **peersp)
{
    struct in6_addr *peers = xmalloc(MAX(fleet->n_hosts, 1) * sizeof *peers);
    size_t n = 0;

    for (size_t i = 0; i < fleet->n_hosts; i++) {
        const struct sess_host *host = &fleet->hosts[i];

        if (host->id != self && ipv6_addr_is_set(&host->encap_ip)
            && (!service || sess_service_has_host(service, host->name))) {
            peers[n++] = host->encap_ip;
        }
    }
    if (n) {
        qsort(peers, n, sizeof *peers, compare_addrs);
    }
    *peersp = peers;
    return n;
}

static void
add_service(struct maker *m, const struct sess_service *service)
{
    struct sess_plan *plan = m->plan;
    struct sess_plan_service *s;
    size_t first_target = plan->n_targets;
    uint16_t number;

    number = sess_numbers_get(m->args->numbers, SESS_NUMBER_SERVICE,
                              service->id, 0, 0, m->args->now);
    if (number == SESS_NONE) {
        plan->n_left_out++;
        return;
    }
    s = xzalloc(sizeof *s);
    s->id = service->id;
    s->number = number;
    s->zone = service->zone;
    s->addr = service->addr;
    s->proto = service->proto;
    s->port = service->port;
    s->encap = service->encap;
    s->vni = service->vni;
    s->name = xstrdup(service->name);
    s->bridge = xstrdup(service->bridge);
    if (service->n_hosts) {
        s->n_peers = find_peers(m->args->fleet, plan->self, service,
                                &s->peers);
    } else {
        s->n_peers = plan->n_peers;
        s->peers = plan->peers;
    }
    if (number >= plan->n_services) {
        size_t n = number + 1;

        plan->services = xrealloc(plan->services, n * sizeof *plan->services);
        memset(&plan->services[plan->n_services], 0,
               (n - plan->n_services) * sizeof *plan->services);
        plan->n_services = n;
    }
    plan->services[number] = s;
    hmap_insert(&plan->by_addr, &s->node,
                addr_hash(&s->addr, s->proto, s->port));
    add_backends(m, s, service);
    add_hints(m, s, service, first_target);
}

/* Says that what has a number in 'last' has been in use until now. */
static void
keep_numbers(const struct sess_plan *last, struct sess_numbers *numbers,
             long long int now)
{
    for (size_t i = 0; i < last->n_services; i++) {
        if (last->services[i]) {
            sess_numbers_get(numbers, SESS_NUMBER_SERVICE,
                             last->services[i]->id, 0, 0, now);
        }
    }
    for (size_t i = 0; i < last->n_backends; i++) {
        const struct sess_plan_backend *b = &last->backends[i];

        if (b->id) {
            sess_numbers_get(numbers, SESS_NUMBER_BACKEND,
                             last->services[b->service]->id, b->id, 0, now);
        }
    }
    for (size_t i = 0; i < last->n_targets; i++) {
        const struct sess_target *t = &last->targets[i];

        sess_numbers_get(numbers, SESS_NUMBER_TARGET,
                         last->services[t->service]->id,
                         t->local ? last->backends[t->backend].id : t->host,
                         target_kind(t), now);
    }
}

/* Makes a plan.  Services that this host is no member of are no part of it. */
struct sess_plan *
sess_plan_create(const struct sess_plan_args *args)
{
    const struct sess_host *self = sess_fleet_host(args->fleet, args->self);
    struct sess_plan *plan = xzalloc(sizeof *plan);
    struct maker m = { .args = args, .plan = plan };

    if (args->last) {
        keep_numbers(args->last, args->numbers, args->now);
    }
    plan->self = args->self;
    hmap_init(&plan->by_addr);
    if (self) {
        plan->self_addr = self->encap_ip;
    }
    plan->n_peers = find_peers(args->fleet, args->self, NULL, &plan->peers);
    for (size_t i = 0; self && i < args->fleet->n_services; i++) {
        const struct sess_service *service = &args->fleet->services[i];

        if (sess_service_has_host(service, self->name)) {
            add_service(&m, service);
        }
    }
    plan->retry_at = (plan->n_left_out ? args->now + SESS_RETRY_MS
                      : LLONG_MAX);
    return plan;
}

void
sess_plan_destroy(struct sess_plan *plan)
{
    if (!plan) {
        return;
    }
    for (size_t i = 0; i < plan->n_services; i++) {
        struct sess_plan_service *s = plan->services[i];

        if (s) {
            ring_unref(s->ring);
            for (size_t j = 0; j < s->n_previous; j++) {
                ring_unref(s->previous[j].ring);
            }
            if (s->peers != plan->peers) {
                free(s->peers);
            }
            free(s->name);
            free(s->bridge);
            free(s);
        }
    }
    for (size_t i = 0; i < plan->n_targets; i++) {
        free(plan->targets[i].port);
    }
    hmap_destroy(&plan->by_addr);
    free(plan->services);
    free(plan->backends);
    free(plan->targets);
    free(plan->peers);
    free(plan);
}

uint16_t
sess_plan_service_number(const struct sess_plan *plan, uint64_t id)
{
    for (size_t i = 0; i < plan->n_services; i++) {
        if (plan->services[i] && plan->services[i]->id == id) {
            return i;
        }
    }
    return SESS_NONE;
}

uint16_t
sess_plan_backend_number(const struct sess_plan *plan, uint64_t service,
                         uint64_t id)
{
    for (size_t i = 1; i < plan->n_backends; i++) {
        const struct sess_plan_backend *b = &plan->backends[i];

        if (b->id == id && plan->services[b->service]->id == service) {
            return i;
        }
    }
    return SESS_NONE;
}

const struct sess_plan_service *
sess_plan_find(const struct sess_plan *plan, const struct in6_addr *addr,
               uint8_t proto, ovs_be16 port, const char *bridge, int zone)
{
    const struct sess_plan_service *s;

    HMAP_FOR_EACH_WITH_HASH (s, node, addr_hash(addr, proto, port),
                             &plan->by_addr) {
        if (ipv6_addr_equals(&s->addr, addr) && s->proto == proto
            && s->port == port && (!bridge || !strcmp(s->bridge, bridge))
            && (zone < 0 || s->zone == zone)) {
            return s;
        }
    }
    return NULL;
}

bool
sess_plan_is_peer(const struct sess_plan_service *s,
                  const struct in6_addr *addr)
{
    return s->n_peers && bsearch(addr, s->peers, s->n_peers,
                                 sizeof *s->peers, compare_addrs);
}

uint16_t
sess_plan_owner(const struct sess_plan_service *s, const struct sess_key *key)
{
    uint16_t member = sess_owner_first(s->ring->owners,
                                       sess_key_hash(key, s->id));

    return member == SESS_OWNER_NONE ? SESS_NONE : s->ring->backends[member];
}
