/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef SESS_FLEET_H
#define SESS_FLEET_H 1

/* Services, their backends, and the hosts that take part: what the
 * administrator says, as values.
 *
 * A *service* is an address that clients talk to.  A *backend* answers for it;
 * it is wherever a port of its name is plugged in, so where it is now is not
 * said here (see sess-plan.h).
 *
 * Pure values, owned by whoever holds them; no thread safety is needed. */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "openvswitch/types.h"
#include "ovs-ext/session/gossip-wire.h"
#include "ovs-ext/session/phc-header.h"

enum {
    SESS_MAX_SERVICES = 1024,
    SESS_MAX_VNI = (1 << 23) - 1,   /* The next bit says "second hop". */
    SESS_HOP2_VNI = 1 << 23
};

struct sess_backend {
    char *name;
    uint64_t id;                /* sess_id_of_name(). */
    char *port;                 /* Name of the Interface. */
    struct eth_addr mac;
    double weight;              /* > 0 */
    bool drain;
};

struct sess_service {
    char *name;
    uint64_t id;
    struct in6_addr addr;       /* IPv4-mapped for IPv4. */
    uint8_t proto;              /* IPPROTO_TCP or IPPROTO_UDP. */
    ovs_be16 port;
    uint16_t zone;
    char *bridge;
    enum phc_encap encap;
    uint32_t vni;               /* 1...SESS_MAX_VNI */
    struct sess_backend *backends;  /* Sorted by name. */
    size_t n_backends;
    char **hosts;               /* Names of member hosts, sorted. */
    size_t n_hosts;
};

struct sess_host {
    char *name;
    uint64_t id;                /* gossip_host_id(). */
    struct in6_addr encap_ip;   /* Tunnel end; zero if not known. */
    struct gossip_addr gossip;  /* Port 0 if not known. */
    bool drain;
};

struct sess_fleet {
    struct sess_service *services;  /* Sorted by name. */
    size_t n_services;
    struct sess_host *hosts;        /* Sorted by name. */
    size_t n_hosts;
};

uint64_t sess_id_of_name(const char *name);

void sess_service_uninit(struct sess_service *);
void sess_fleet_init(struct sess_fleet *);
void sess_fleet_uninit(struct sess_fleet *);
void sess_fleet_clone(struct sess_fleet *to, const struct sess_fleet *from);
void sess_fleet_sort(struct sess_fleet *);
bool sess_fleet_equals(const struct sess_fleet *, const struct sess_fleet *);

/* Finders; null if there is none. */
const struct sess_service *sess_fleet_service(const struct sess_fleet *,
                                              const char *name);
const struct sess_host *sess_fleet_host(const struct sess_fleet *,
                                        uint64_t id);
bool sess_service_has_host(const struct sess_service *, const char *host);

#endif /* sess-fleet.h */
