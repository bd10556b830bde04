/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "tests/test-gossip-net.h"

#include <stdio.h>
#include <string.h>

#include "util.h"

struct gossip_addr
net_addr(int i)
{
    struct gossip_addr a = { .port = 1 };

    a.ip[15] = i;
    return a;
}

void
net_key(int i, uint8_t key[GOSSIP_KEY_SIZE])
{
    memset(key, i, GOSSIP_KEY_SIZE);
}

static void
name_of(int i, char name[GOSSIP_NAME_MAX + 1])
{
    snprintf(name, GOSSIP_NAME_MAX + 1, "node-%d", i);
}

static void
tx(void *node_, const struct gossip_to *to, const void *payload, size_t n)
{
    struct net_node *node = node_;
    struct net *net = node->net;
    int target = to->addr.ip[15];
    struct net_datagram *d = &net->queue[net->head % NET_QUEUE];

    ovs_assert(n <= GOSSIP_PAYLOAD_MAX);
    if (ext_rng_double(&net->rng) < net->loss
        || (net->drops && net->drops(net, node->index, target))
        || net->head - net->tail >= NET_QUEUE) {
        return;
    }
    d->from = node->index;
    d->to = target;
    d->at = net->now + 1;
    d->n = gossip_seal_close(node->seal, to->host, to->epoch, payload, n,
                             d->data);
    ovs_assert(d->n && d->n <= GOSSIP_MTU);
    net->largest = MAX(net->largest, d->n);
    if (!net->mtu || d->n <= net->mtu) {
        net->head++;
    }
}

static void
changed(void *node_, const struct gossip_record *r, bool expired)
{
    struct net_node *node = node_;

    if (expired) {
        node->expired++;
    } else {
        node->changes[r->class]++;
    }
}

struct net *
net_create(int n)
{
    struct net *net = xzalloc(sizeof *net);

    net->n = n;
    net->now = 1000;
    ext_rng_init(&net->rng, 7);
    gossip_config_init(&net->cfg);
    return net;
}

/* Starts node 'i', which has the first node as seed (and the second, for the
 * first), with an epoch of now by its clock. */
void
net_start(struct net *net, int i)
{
    struct net_node *node = &net->nodes[i];
    struct gossip_config cfg = net->cfg;
    struct gossip_addr seed = net_addr(i ? 0 : 1);
    uint8_t key[GOSSIP_KEY_SIZE];

    name_of(i, cfg.name);
    cfg.addr = net_addr(i);
    cfg.epoch = node->epoch = 1000000 + net->now + node->ahead;
    cfg.seed = i;
    cfg.tx = tx;
    cfg.changed = changed;
    cfg.aux = cfg.tx_aux = node;
    node->net = net;
    node->index = i;
    node->seal = gossip_seal_create(gossip_host_id(cfg.name), cfg.epoch, 1000);
    net_key(1, key);
    gossip_seal_add_key(node->seal, key);
    node->g = gossip_create(&cfg, net->now);
    gossip_add_seed(node->g, &seed);
    node->up = true;
}

void
net_start_all(struct net *net)
{
    for (int i = 0; i < net->n; i++) {
        net_start(net, i);
    }
}

void
net_stop(struct net *net, int i)
{
    struct net_node *node = &net->nodes[i];

    if (node->up) {
        node->up = false;
        gossip_destroy(node->g);
        gossip_seal_destroy(node->seal);
    }
}

static void
deliver(struct net *net, const struct net_datagram *d)
{
    struct net_node *node = &net->nodes[d->to];
    struct gossip_addr addr = net_addr(d->from);
    uint8_t payload[GOSSIP_RX_PAYLOAD_MAX];
    struct gossip_from from;
    size_t n;

    if (node->up && !gossip_seal_open(node->seal, d->data, d->n, &from,
                                      payload, &n)) {
        gossip_receive(node->g, net->now, &from, &addr, payload, n);
    }
}

static void
step(struct net *net)
{
    net->now++;
    while (net->tail != net->head
           && net->queue[net->tail % NET_QUEUE].at <= net->now) {
        struct net_datagram d = net->queue[net->tail++ % NET_QUEUE];

        deliver(net, &d);
    }
    for (int i = 0; i < net->n; i++) {
        struct net_node *node = &net->nodes[i];

        if (node->up && gossip_next(node->g) <= net->now) {
            gossip_run(node->g, net->now);
        }
    }
}

void
net_run(struct net *net, long long ms)
{
    while (ms-- > 0) {
        step(net);
    }
}

/* Runs until 'done' or 'ms' are over.  Returns whether it is done. */
bool
net_run_until(struct net *net, bool (*done)(const struct net *), long long ms)
{
    while (!done(net)) {
        if (ms-- <= 0) {
            return false;
        }
        step(net);
    }
    return true;
}

void
net_destroy(struct net *net)
{
    for (int i = 0; i < net->n; i++) {
        net_stop(net, i);
    }
    free(net);
}

/* Whether all that are up take all that are up, and nobody else, for alive. */
bool
net_all_alive(const struct net *net)
{
    for (int i = 0; i < net->n; i++) {
        for (int j = 0; j < net->n; j++) {
            if (net->nodes[i].up
                && (net_state(net, i, j) == GOSSIP_ALIVE)
                   != net->nodes[j].up) {
                return false;
            }
        }
    }
    return true;
}

/* What node 'at' takes node 'of' for; GOSSIP_LEFT if it does not know it. */
enum gossip_state
net_state(const struct net *net, int at, int of)
{
    char name[GOSSIP_NAME_MAX + 1];
    struct gossip_member_info info;

    name_of(of, name);
    return (gossip_member(net->nodes[at].g, gossip_host_id(name), &info)
            ? info.state : GOSSIP_LEFT);
}

/* A network of 'n' hosts that know each other. */
struct net *
net_met(int n)
{
    struct net *net = net_create(n);

    net_start_all(net);
    ovs_assert(net_run_until(net, net_all_alive, 20000));
    return net;
}

/* Whether host 'i' has the record of session 'key'. */
bool
net_have(const struct net *net, int i, const char *key)
{
    return gossip_lookup(net->nodes[i].g, GOSSIP_SESSION, key, strlen(key));
}

/* How many of the hosts that are up have it. */
int
net_n_having(const struct net *net, const char *key)
{
    int n = 0;

    for (int i = 0; i < net->n; i++) {
        n += net->nodes[i].up && net_have(net, i, key);
    }
    return n;
}

/* Has host 'i' say that it has that session, for 'ttl' ms, or for ever. */
void
net_own(struct net *net, int i, const char *key, uint32_t ttl)
{
    gossip_own_session(net->nodes[i].g, key, strlen(key),
                       gossip_self(net->nodes[i].g), ttl);
}
