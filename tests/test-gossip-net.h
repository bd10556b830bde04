/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef TEST_GOSSIP_NET_H
#define TEST_GOSSIP_NET_H 1

/* A network of a few gossips in one process, with a clock of its own.  Each
 * datagram is sealed and opened, takes a millisecond, and may be lost or held
 * back as the test wishes. */

#include <stdbool.h>
#include <stdint.h>

#include "ovs-ext/core/ext-rng.h"
#include "ovs-ext/session/gossip-seal.h"
#include "ovs-ext/session/gossip.h"

enum { NET_MAX = 32, NET_QUEUE = 8192 };

struct net;

struct net_node {
    struct net *net;
    int index;
    bool up;
    uint64_t epoch;
    long long ahead;                    /* Its clock, at the next start. */
    struct gossip *g;
    struct gossip_seal *seal;
    int changes[GOSSIP_N_CLASSES];      /* Calls of 'changed'. */
    int expired;
};

struct net_datagram {
    int from, to;
    long long at;
    size_t n;
    uint8_t data[GOSSIP_MTU];
};

struct net {
    int n;
    long long now;
    double loss;
    size_t mtu;                         /* Larger datagrams vanish; 0: none. */
    bool (*drops)(const struct net *, int from, int to);
    struct ext_rng rng;
    struct net_node nodes[NET_MAX];
    struct net_datagram queue[NET_QUEUE];       /* Ring. */
    size_t head, tail;
    size_t largest;                     /* Of all datagrams. */
    struct gossip_config cfg;           /* For all, before net_start(). */
};

struct net *net_create(int n);
void net_start(struct net *, int i);
void net_start_all(struct net *);
void net_stop(struct net *, int i);
void net_run(struct net *, long long ms);
bool net_run_until(struct net *, bool (*)(const struct net *), long long ms);
void net_destroy(struct net *);

struct gossip_addr net_addr(int i);
bool net_all_alive(const struct net *);
enum gossip_state net_state(const struct net *, int at, int of);
void net_key(int i, uint8_t key[GOSSIP_KEY_SIZE]);

struct net *net_met(int n);
void net_own(struct net *, int i, const char *key, uint32_t ttl);
bool net_have(const struct net *, int i, const char *key);
int net_n_having(const struct net *, const char *key);

#endif /* test-gossip-net.h */
