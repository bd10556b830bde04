/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

/* What the controller keeps of hosts: a planner each, and which rows of the
 * database there are about each (network, class). */

#include <config.h>

#include "ovs-ext/controller/onc-impl.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"
#include "uuid.h"

/* Entries of one host: profiles, pins and learned rows of traffic that is
 * gone.  A host that writes more is not served better: further rows wait until
 * others go. */
#define MAX_ENTRIES (2 * AFF_MAX_PROFILES)

/* Hosts. */

struct onc_host *
onc_host_find(const struct onc *onc, const char *name)
{
    return shash_find_data(&onc->hosts, name);
}

/* The host called 'name', made if need be: rows about a host may arrive before
 * the one in Host. */
struct onc_host *
onc_host_get(struct onc *onc, const char *name)
{
    struct onc_host *h = onc_host_find(onc, name);

    if (!h) {
        h = xzalloc(sizeof *h);
        h->name = xstrdup(name);
        h->aff = aff_host_create(name, onc->seed);
        shash_init(&h->entries);
        for (int i = 0; i < ONC_N_PHASES; i++) {
            uuidset_init(&h->refused[i]);
        }
        h->next_ms = LLONG_MAX;
        shash_add(&onc->hosts, name, h);
    }
    return h;
}

void
onc_host_set_clean(struct onc_host *h)
{
    if (h->dirty) {
        h->dirty = false;
        ovs_list_remove(&h->dirty_node);
    }
}

/* True if nothing in the database is about 'h' any more. */
bool
onc_host_is_empty(const struct onc_host *h)
{
    return (uuid_is_zero(&h->row) && shash_is_empty(&h->entries)
            && !aff_host_n_resources(h->aff) && !h->in_txn && !h->n_pending);
}

/* Has 'h' planned, before others if 'urgent'; but not on half of what there is
 * to know. */
void
onc_host_dirty(struct onc *onc, struct onc_host *h, bool urgent)
{
    if (h->n_pending) {
        h->dirty_then = true;
        h->urgent_then |= urgent;
        return;
    }
    if (h->dirty && urgent) {
        onc_host_set_clean(h);
    }
    if (!h->dirty) {
        h->dirty = true;
        if (urgent) {
            ovs_list_push_front(&onc->dirty, &h->dirty_node);
        } else {
            ovs_list_push_back(&onc->dirty, &h->dirty_node);
        }
    }
}

static void
free_entry(struct onc_entry *e)
{
    free(e->network);
    free(e);
}

void
onc_host_destroy(struct onc *onc, struct onc_host *h)
{
    struct shash_node *node;

    onc_host_set_clean(h);
    onc_queues_destroy(h);
    SHASH_FOR_EACH (node, &h->entries) {
        free_entry(node->data);
    }
    shash_destroy(&h->entries);
    for (int i = 0; i < ONC_N_PHASES; i++) {
        uuidset_destroy(&h->refused[i]);
    }
    shash_find_and_delete(&onc->hosts, h->name);
    aff_host_destroy(h->aff);
    free(h->resources);
    free(h->name);
    free(h);
}

/* Forgets all hosts and networks. */
void
onc_forget(struct onc *onc)
{
    struct shash_node *node;

    SHASH_FOR_EACH_SAFE (node, &onc->hosts) {
        onc_host_destroy(onc, node->data);
    }
    shash_clear_free_data(&onc->networks);
}

/* Entries. */

static char *
entry_key(const char *network, enum tp_class class)
{
    return xasprintf("%d %s", (int) class, network);
}

static struct onc_entry *
find_entry(const struct onc_host *h, const char *network,
           enum tp_class class)
{
    char *key = entry_key(network, class);
    struct onc_entry *e = shash_find_data(&h->entries, key);

    free(key);
    return e;
}

/* The entry, made if need be; NULL if the host has too many. */
static struct onc_entry *
get_entry(struct onc_host *h, const char *network, enum tp_class class)
{
    struct onc_entry *e = find_entry(h, network, class);

    if (!e) {
        if (shash_count(&h->entries) >= MAX_ENTRIES) {
            return NULL;
        }
        e = xzalloc(sizeof *e);
        e->network = xstrdup(network);
        e->class = class;
        e->slot = AFF_NONE;
        shash_add_nocopy(&h->entries, entry_key(network, class), e);
    }
    return e;
}

/* Drops an entry that no row stands behind. */
void
onc_entry_put(struct onc_host *h, struct onc_entry *e)
{
    if (uuid_is_zero(&e->profile) && uuid_is_zero(&e->affinity)
        && uuid_is_zero(&e->report)) {
        char *key = entry_key(e->network, e->class);

        shash_find_and_delete(&h->entries, key);
        free(key);
        free_entry(e);
    }
}

/* Rows of several tables begin alike.  Returns the entry that one is about and
 * stores the host to '*h'; NULL if the host has too many, or if the row makes
 * no sense, with NULL in '*h'. */
struct onc_entry *
onc_entry_get_for_row(struct onc *onc, const char *host,
                      const char *network, const char *class_name,
                      struct onc_host **h)
{
    enum tp_class class;

    if (!host[0] || !network[0] || !tp_class_from_string(class_name, &class)) {
        onc->stats.ignored++;
        *h = NULL;
        return NULL;
    }
    *h = onc_host_get(onc, host);
    return get_entry(*h, network, class);
}

/* The entry of 'h' by the names that a row had; NULL if there is none. */
struct onc_entry *
onc_entry_find(const struct onc_host *h, const char *network,
               const char *class_name)
{
    enum tp_class class;

    if (!network || !class_name
        || !tp_class_from_string(class_name, &class)) {
        return NULL;            /* Came and went unseen. */
    }
    return find_entry(h, network, class);
}
