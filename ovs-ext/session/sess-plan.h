/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef SESS_PLAN_H
#define SESS_PLAN_H 1

/* Where packets of sessions go: the plan
 * ======================================
 *
 * A plan says, for each service and backend that there is, where the backend
 * is now and which *target* leads there.  It is made by the agent from the
 * fleet (sess-fleet.h) and from locations that hosts tell each other, and does
 * not change; PMD threads read the present one under RCU.  sess-decide.h says
 * what becomes of a packet.
 *
 * Numbers of services, backends and targets are small and stable: the same for
 * the same name, or (service, host), as long as it is in use, and given again
 * only some time after (struct sess_numbers).  0 is none.  What there is no
 * number for is left out of the plan, and the plan says when to make another.
 *
 * All hosts that know the same fleet and locations have the same owners of
 * record, whatever their numbers are.
 *
 * Pure: time is an argument.  Thread safety: creation and destruction in one
 * thread at a time, reading in any. */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "openvswitch/hmap.h"
#include "openvswitch/types.h"
#include "ovs-ext/session/phc.h"
#include "ovs-ext/session/sess-fleet.h"
#include "ovs-ext/session/sess-owner.h"
#include "packets.h"

enum {
    SESS_MAX_BACKENDS = 4096,   /* At a time... */
    SESS_BACKEND_NUMBERS = 16384, /* ...and more numbers than that: those of
                                   * backends that are gone rest. */
    SESS_MAX_TARGETS = 16384,
    SESS_NONE = 0,              /* No service, backend, target. */

    SESS_SETTLE_MS = 2000,      /* After a change of owners, until all have
                                 * heard of the exceptions. */
    SESS_HOLD_MS = 30000,       /* Segments of sessions whose host is taken for
                                 * dead are dropped, not answered by others,
                                 * for it may come back. */
    SESS_PREVIOUS_MS = 10 * 60 * 1000, /* Former owners are remembered. */
    SESS_MAX_PREVIOUS = 4,      /* So many changes back. */
    SESS_REST_MS = 11 * 60 * 1000, /* Before a number is given again. */
    SESS_RETRY_MS = 30000       /* To another plan for what was left out. */
};

/* Allocates numbers. */
struct sess_numbers;

enum sess_number_kind {
    SESS_NUMBER_SERVICE,        /* By ID. */
    SESS_NUMBER_BACKEND,        /* By ID of service, of backend. */
    SESS_NUMBER_TARGET          /* By ID of service, of host or backend, and
                                 * which kind of target. */
};

struct sess_numbers *sess_numbers_create(void);
void sess_numbers_destroy(struct sess_numbers *);
uint16_t sess_numbers_get(struct sess_numbers *, enum sess_number_kind,
                          uint64_t a, uint64_t b, uint32_t c,
                          long long int now);

/* Where a backend is, as last heard.  Keep saying so for a while when its port
 * is unplugged and has not been plugged in elsewhere: who is in no location is
 * no owner. */
struct sess_location {
    uint64_t backend;           /* ID. */
    uint64_t host;              /* ID. */
    bool alive;                 /* The host, as gossip sees it. */
    bool present;               /* The port is plugged in here, on this
                                 * host. */
};

/* A place that a backend may soon be at. */
struct sess_hint {
    uint64_t backend, host;     /* IDs. */
};

struct sess_plan_backend {
    uint64_t id;                /* 0: there is no backend of this number. */
    uint64_t host;              /* ID, 0: nowhere. */
    struct in6_addr addr;       /* Tunnel end of its host; zero if unknown. */
    uint16_t service;
    uint16_t target;            /* First hop from here, or local. */
    uint16_t target2;           /* Second hop; likewise local. */
    bool here;                  /* 'host' is this host... */
    long long int arrived;      /* ...since then, ms. */
    bool local;                 /* And its port is plugged in. */
    bool alive;                 /* Its host. */
    bool draining;              /* It or its host. */
};

/* Owners of record at some time.  Shared by plans. */
struct sess_ring {
    unsigned int refs;          /* By who makes plans. */
    struct sess_owners *owners;
    struct sess_member *members;
    uint16_t *backends;         /* Numbers, by index of member. */
    size_t n;
};

struct sess_plan_service {
    struct hmap_node node;      /* In 'by_addr' of the plan. */
    uint64_t id;                /* Also the basis of hashes. */
    uint16_t number;
    uint16_t zone;
    struct in6_addr addr;       /* IPv4-mapped for IPv4. */
    uint8_t proto;
    ovs_be16 port;
    enum phc_encap encap;
    uint32_t vni;
    char *name, *bridge;
    struct in6_addr *peers;     /* Tunnel ends of the other members, sorted;
                                 * the plan's if all hosts are. */
    size_t n_peers;
    struct sess_ring *ring;
    long long int changed;      /* To that ring, ms. */
    struct sess_previous {
        struct sess_ring *ring;
        long long int ended;    /* ms */
    } previous[SESS_MAX_PREVIOUS]; /* Newest first. */
    size_t n_previous;
};

/* A way to send packets of a service: to a backend's port here, or to a host,
 * as first or as second hop.  Local ones are there for all backends, wherever
 * they are: they work when the port is plugged in. */
struct sess_target {
    uint16_t number;
    uint16_t service;
    bool local;
    bool hop2;
    bool hinted;                /* Wanted ahead of use only. */
    /* Local. */
    uint16_t backend;
    struct eth_addr mac;
    char *port;
    /* Remote. */
    uint64_t host;
    uint32_t vni;               /* With SESS_HOP2_VNI for a second hop. */
    struct in6_addr dst;
};

struct sess_plan {
    uint64_t self;              /* ID of this host. */
    struct in6_addr self_addr;  /* Its tunnel end. */
    struct sess_plan_service **services; /* By number, or null. */
    size_t n_services;          /* Highest number and 1. */
    struct sess_plan_backend *backends; /* By number. */
    size_t n_backends;          /* Highest number and 1. */
    struct sess_target *targets; /* In no order. */
    size_t n_targets;
    struct in6_addr *peers;     /* Tunnel ends of the other hosts, sorted. */
    size_t n_peers;
    struct hmap by_addr;        /* Services, by address, protocol, port. */
    size_t n_left_out;          /* Services, backends and targets that there
                                 * was no number for... */
    long long int retry_at;     /* ...and when to make another plan for them,
                                 * ms; LLONG_MAX if there are none. */
};

struct sess_plan_args {
    const struct sess_fleet *fleet;
    uint64_t self;              /* ID of this host. */
    const struct sess_location *locations; /* At most one of a backend. */
    size_t n_locations;
    const struct sess_hint *hints;
    size_t n_hints;
    struct sess_numbers *numbers;
    const struct sess_plan *last; /* The one before, or null. */
    long long int now;          /* ms */
};

struct sess_plan *sess_plan_create(const struct sess_plan_args *);
void sess_plan_destroy(struct sess_plan *);

/* Numbers by IDs, SESS_NONE if there is no such thing. */
uint16_t sess_plan_service_number(const struct sess_plan *, uint64_t id);
uint16_t sess_plan_backend_number(const struct sess_plan *, uint64_t service,
                                  uint64_t id);

/* Finds the service of an address.  'bridge' may be null, 'zone' negative:
 * any. */
const struct sess_plan_service *
sess_plan_find(const struct sess_plan *, const struct in6_addr *,
               uint8_t proto, ovs_be16 port, const char *bridge, int zone);

/* Another service, after 's', of the same address, protocol and port, in
 * whatever bridge and zone; null if 's' is the last one. */
static inline const struct sess_plan_service *
sess_plan_find_next(const struct sess_plan_service *s)
{
    const struct hmap_node *node = &s->node;

    while ((node = hmap_next_with_hash(node)) != NULL) {
        const struct sess_plan_service *next
            = CONTAINER_OF(node, struct sess_plan_service, node);

        if (ipv6_addr_equals(&next->addr, &s->addr)
            && next->proto == s->proto && next->port == s->port) {
            return next;
        }
    }
    return NULL;
}

/* Whether 'addr' is the tunnel end of another host that is a member. */
bool sess_plan_is_peer(const struct sess_plan_service *,
                       const struct in6_addr *addr);

/* The owner of record of a session of 'key', for the agent: another one that
 * serves it is an exception that others must hear of. */
uint16_t sess_plan_owner(const struct sess_plan_service *,
                         const struct sess_key *);

static inline const struct sess_plan_backend *
sess_plan_backend(const struct sess_plan *plan, uint16_t number)
{
    return (number < plan->n_backends && plan->backends[number].id
            ? &plan->backends[number] : NULL);
}

static inline const struct sess_plan_service *
sess_plan_service(const struct sess_plan *plan, uint16_t number)
{
    return number < plan->n_services ? plan->services[number] : NULL;
}

#endif /* sess-plan.h */
