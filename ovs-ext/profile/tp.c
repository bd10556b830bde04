/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include "ovs-ext/profile/tp.h"

#include <netinet/in.h>
#include <string.h>

#include "util.h"

const uint32_t tp_size_limits[TP_N_SIZES] = {
    64, 128, 256, 512, 1024, 1518, UINT32_MAX
};

static const char *const class_names[TP_N_CLASSES] = {
    [TP_TCP] = "tcp",
    [TP_UDP] = "udp",
    [TP_SCTP] = "sctp",
    [TP_ICMP] = "icmp",
    [TP_ESP] = "esp",
    [TP_OTHER] = "other",
};

/* Returns the name of 'class', as it is in the database. */
const char *
tp_class_to_string(enum tp_class class)
{
    ovs_assert(class < TP_N_CLASSES);
    return class_names[class];
}

/* Stores the class that is called 'name' in '*class'.  Returns false if there
 * is none. */
bool
tp_class_from_string(const char *name, enum tp_class *class)
{
    for (size_t i = 0; i < TP_N_CLASSES; i++) {
        if (!strcmp(name, class_names[i])) {
            *class = i;
            return true;
        }
    }
    return false;
}

/* Returns the class of packets of IP protocol 'nw_proto'.  Packets that are
 * not IP are TP_OTHER, whatever the ovs 'struct flow' keeps in nw_proto. */
enum tp_class
tp_class_from_nw_proto(uint8_t nw_proto)
{
    switch (nw_proto) {
    case IPPROTO_TCP:
        return TP_TCP;
    case IPPROTO_UDP:
        return TP_UDP;
    case IPPROTO_SCTP:
        return TP_SCTP;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        return TP_ICMP;
    case IPPROTO_ESP:
        return TP_ESP;
    default:
        return TP_OTHER;
    }
}
