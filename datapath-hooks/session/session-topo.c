/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* What sessions need to know of bridges: which are joined, and the number of
 * each one's local port. */

#include <config.h>

#include "datapath-hooks/session/session-dp-impl.h"

#include <stdlib.h>
#include <string.h>

#include "dpif.h"
#include "hash.h"
#include "netdev-vport.h"
#include "ofproto/ofproto-dpif.h"
#include "openvswitch/shash.h"
#include "sset.h"
#include "util.h"

/* Bridges of the datapath and what joins them, while a topology is made. */
struct bridges {
    struct shash by_name;       /* Of struct ofproto_dpif. */
    struct simap joined;        /* As in struct session_topo. */
};

static void
bridges_init(struct bridges *b, const struct dpif_backer *backer)
{
    unsigned int number = 0;
    const char *name;
    struct sset names;

    shash_init(&b->by_name);
    simap_init(&b->joined);
    sset_init(&names);
    ofproto_enumerate_names(backer->type, &names);
    SSET_FOR_EACH (name, &names) {
        struct ofproto_dpif *ofproto = ofproto_dpif_lookup_by_name(name);

        if (ofproto && ofproto->backer == backer) {
            shash_add(&b->by_name, name, ofproto);
            simap_put(&b->joined, name, ++number);
        }
    }
    sset_destroy(&names);
}

static void
bridges_uninit(struct bridges *b)
{
    shash_destroy(&b->by_name);
    simap_destroy(&b->joined);
}

static void
join(struct bridges *b, const char *one, const char *other)
{
    unsigned int from = simap_get(&b->joined, one);
    unsigned int to = simap_get(&b->joined, other);
    struct simap_node *node;

    SIMAP_FOR_EACH (node, &b->joined) {
        if (node->data == from) {
            node->data = to;
        }
    }
}

/* Joins the bridges with patch ports between them. */
static void
join_patched(struct bridges *b)
{
    struct shash patches = SHASH_INITIALIZER(&patches);
    struct shash_node *node, *port_node;

    SHASH_FOR_EACH (node, &b->by_name) {
        const struct ofproto_dpif *ofproto = node->data;

        SHASH_FOR_EACH (port_node, &ofproto->up.port_by_name) {
            const struct ofport *port = port_node->data;

            if (netdev_vport_is_patch(port->netdev)) {
                shash_add(&patches, port_node->name, port);
            }
        }
    }
    SHASH_FOR_EACH (node, &patches) {
        const struct ofport *port = node->data;
        char *peer_name = netdev_vport_patch_peer(port->netdev);
        const struct ofport *peer = (peer_name
                                     ? shash_find_data(&patches, peer_name)
                                     : NULL);
        char *back = peer ? netdev_vport_patch_peer(peer->netdev) : NULL;

        if (back && !strcmp(back, node->name)) {
            join(b, port->ofproto->name, peer->ofproto->name);
        }
        free(peer_name);
        free(back);
    }
    shash_destroy(&patches);
}

/* The port of the datapath that has 'name'; ODPP_NONE if there is none.  Main
 * thread. */
odp_port_t
session_topo_port(const struct dpif_backer *backer, const char *name)
{
    struct dpif_port port;
    odp_port_t number = ODPP_NONE;

    if (!dpif_port_query_by_name(backer->dpif, name, &port)) {
        number = port.port_no;
        dpif_port_destroy(&port);
    }
    return number;
}

void
session_topo_destroy(struct session_topo *topo)
{
    simap_destroy(&topo->joined);
    free(topo->services);
    free(topo);
}

/* Looks at the bridges of 'plan'.  Main thread. */
struct session_topo *
session_topo_create(const struct sess_plan *plan,
                    const struct dpif_backer *backer)
{
    struct session_topo *topo = xzalloc(sizeof *topo);
    struct simap_node *node;
    struct bridges b;

    bridges_init(&b, backer);
    join_patched(&b);
    topo->backer = backer;
    simap_init(&topo->joined);
    topo->n_services = plan->n_services;
    topo->services = xcalloc(MAX(plan->n_services, 1),
                             sizeof *topo->services);
    for (size_t i = 0; i < plan->n_services; i++) {
        const struct sess_plan_service *s = plan->services[i];
        struct session_topo_service *t = &topo->services[i];

        t->local = ODPP_NONE;
        if (s && shash_find(&b.by_name, s->bridge)) {
            t->id = s->id;
            t->joined = simap_get(&b.joined, s->bridge);
            t->local = session_topo_port(backer, s->bridge);
        }
    }
    /* Leave out the bridges that have nothing to do with a service. */
    SIMAP_FOR_EACH (node, &b.joined) {
        for (size_t i = 0; i < topo->n_services; i++) {
            if (topo->services[i].id
                && topo->services[i].joined == node->data) {
                simap_put(&topo->joined, node->name, node->data);
                break;
            }
        }
    }
    bridges_uninit(&b);
    return topo;
}

/* A number that changes when packets of other kinds or places are to be taken
 * out of ofproto's way. */
uint32_t
session_topo_signature(const struct sess_plan *plan,
                       const struct session_topo *topo)
{
    const struct simap_node **nodes;
    uint32_t hash = 0;

    if (!plan || !topo) {
        return 0;
    }
    for (size_t i = 0; i < topo->n_services; i++) {
        const struct sess_plan_service *s = sess_plan_service(plan, i);
        const struct session_topo_service *t = &topo->services[i];

        if (s && t->id == s->id) {
            hash = hash_bytes(&s->addr, sizeof s->addr, hash);
            hash = hash_uint64_basis(s->id, hash);
            hash = hash_3words(s->vni, (uint32_t) s->proto << 16
                               | (OVS_FORCE uint16_t) s->port, hash);
            hash = hash_2words(odp_to_u32(t->local), hash);
            if (s->peers != plan->peers) {
                hash = hash_bytes(s->peers, s->n_peers * sizeof *s->peers,
                                  hash);
            }
        }
    }
    hash = hash_bytes(plan->peers, plan->n_peers * sizeof *plan->peers, hash);
    nodes = simap_sort(&topo->joined);
    for (size_t i = 0; i < simap_count(&topo->joined); i++) {
        size_t first = 0;

        while (nodes[first]->data != nodes[i]->data) {
            first++;
        }
        hash = hash_string(nodes[i]->name, hash_2words(first, hash));
    }
    free(nodes);
    return hash ? hash : 1;
}

/* Where 's' is among the bridges; null if it is not. */
const struct session_topo_service *
session_topo_find(const struct session_topo *topo,
                  const struct sess_plan_service *s)
{
    const struct session_topo_service *t;

    if (s->number >= topo->n_services) {
        return NULL;
    }
    t = &topo->services[s->number];
    return t->id == s->id ? t : NULL;
}
