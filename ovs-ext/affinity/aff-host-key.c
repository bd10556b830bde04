/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/affinity/aff-host-key.h"

#include <stdio.h>
#include <string.h>

#include "hash.h"
#include "util.h"

static bool
parse_id(const char *name, const char *prefix, unsigned int max, uint32_t *id)
{
    size_t len = strlen(prefix);
    unsigned int value;

    if (strncmp(name, prefix, len) || !str_to_uint(name + len, 10, &value)
        || value > max) {
        return false;
    }
    *id = value;
    return true;
}

bool
aff_host_key_make(struct aff_host_key *key, const char *network,
                  enum tp_class class)
{
    memset(key, 0, sizeof *key);
    key->class = class;
    if (!strcmp(network, "untagged")) {
        key->net = AFF_NET_UNTAGGED;
        return true;
    } else if (parse_id(network, "vlan:", 4094, &key->id)) {
        key->net = AFF_NET_VLAN;
        return true;
    } else if (parse_id(network, "vni:", 0xffffff, &key->id)) {
        key->net = AFF_NET_VNI;
        return true;
    }
    return false;
}

void
aff_host_key_network(const struct aff_host_key *key,
                     char name[TP_NETWORK_LEN])
{
    if (key->net == AFF_NET_UNTAGGED) {
        snprintf(name, TP_NETWORK_LEN, "untagged");
    } else {
        snprintf(name, TP_NETWORK_LEN, "%s:%u",
                 key->net == AFF_NET_VLAN ? "vlan" : "vni",
                 (unsigned int) key->id);
    }
}

uint32_t
aff_host_key_hash(const struct aff_host_key *key)
{
    uint32_t hash = hash_3words(key->net, key->class, key->id);

    return hash ? hash : 1;
}

bool
aff_host_key_equal(const struct aff_host_key *a, const struct aff_host_key *b)
{
    return a->net == b->net && a->class == b->class && a->id == b->id;
}
