/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#include <config.h>

#include <string.h>

#include "openvswitch/ofp-parse.h"
#include "ovs-ext/session/phc.h"
#include "packets.h"
#include "util.h"

/* Filters: "src=10.0.0.0/8,dport=80,owner=3". */

static char *
parse_address(const char *name, const char *value, struct in6_addr *addr,
              struct in6_addr *mask)
{
    ovs_be32 ip, ip_mask;
    char *error = ip_parse_masked(value, &ip, &ip_mask);

    if (!error) {
        in6_addr_set_mapped_ipv4(addr, ip);
        *mask = in6addr_exact;
        memcpy(&mask->s6_addr[12], &ip_mask, sizeof ip_mask);
        *addr = ipv6_addr_bitand(addr, mask);
        return NULL;
    }
    free(error);
    error = ipv6_parse_masked(value, addr, mask);
    if (error) {
        free(error);
        return xasprintf("%s: \"%s\" is not an address or a prefix", name,
                         value);
    }
    *addr = ipv6_addr_bitand(addr, mask);
    return NULL;
}

static char *
parse_number(const char *name, const char *value, unsigned int max,
             unsigned int *number)
{
    if (!str_to_uint(value, 10, number) || *number > max) {
        return xasprintf("%s: \"%s\" is not a number from 0 to %u", name,
                         value, max);
    }
    return NULL;
}

static char *
parse_proto(const char *value, uint8_t *proto)
{
    unsigned int number;
    char *error;

    if (!strcmp(value, "tcp")) {
        *proto = IPPROTO_TCP;
        return NULL;
    } else if (!strcmp(value, "udp")) {
        *proto = IPPROTO_UDP;
        return NULL;
    }
    error = parse_number("proto", value, UINT8_MAX, &number);
    *proto = error ? 0 : number;
    return error;
}

static char *
parse_field(const char *name, const char *value, struct phc_filter *f)
{
    unsigned int number = 0;
    char *error;

    if (!strcmp(name, "src")) {
        return parse_address(name, value, &f->src, &f->src_mask);
    } else if (!strcmp(name, "dst")) {
        return parse_address(name, value, &f->dst, &f->dst_mask);
    } else if (!strcmp(name, "proto")) {
        return parse_proto(value, &f->proto);
    } else if (!strcmp(name, "owner")) {
        error = parse_number(name, value, UINT32_MAX, &number);
        f->owner = number;
        f->have_owner = !error;
        return error;
    }
    if (strcmp(name, "sport") && strcmp(name, "dport") && strcmp(name, "zone")
        && strcmp(name, "service")) {
        return xasprintf("there is no field \"%s\"; there are src, dst, "
                         "sport, dport, proto, zone, service, owner", name);
    }
    error = parse_number(name, value, UINT16_MAX, &number);
    if (!strcmp(name, "sport")) {
        f->sport = htons(number);
    } else if (!strcmp(name, "dport")) {
        f->dport = htons(number);
    } else if (!strcmp(name, "zone")) {
        f->zone = number;
        f->have_zone = !error;
    } else {
        f->service = number;
        f->have_service = !error;
    }
    return error;
}

/* Parses "FIELD=VALUE,...", empty for all.  Returns NULL or what is wrong,
 * which the caller frees. */
char *
phc_filter_parse(const char *s, struct phc_filter *filter)
{
    char *copy = xstrdup(s), *pos = copy, *name, *value, *error = NULL;

    memset(filter, 0, sizeof *filter);
    while (!error && ofputil_parse_key_value(&pos, &name, &value)) {
        error = parse_field(name, value, filter);
    }
    free(copy);
    return error;
}

static bool
matches_prefix(const struct in6_addr *addr, const struct in6_addr *want,
               const struct in6_addr *mask)
{
    struct in6_addr masked = ipv6_addr_bitand(addr, mask);

    return ipv6_addr_equals(&masked, want);
}

bool
phc_filter_match(const struct phc_filter *f, const struct sess_key *key,
                 uint16_t service, uint32_t owner)
{
    return (matches_prefix(&key->src, &f->src, &f->src_mask)
            && matches_prefix(&key->dst, &f->dst, &f->dst_mask)
            && (!f->sport || f->sport == key->sport)
            && (!f->dport || f->dport == key->dport)
            && (!f->proto || f->proto == key->proto)
            && (!f->have_zone || f->zone == key->zone)
            && (!f->have_service || f->service == service)
            && (!f->have_owner || f->owner == owner));
}

/* Whether the filter matches everything. */
bool
phc_filter_is_all(const struct phc_filter *f)
{
    return (ipv6_is_zero(&f->src_mask) && ipv6_is_zero(&f->dst_mask)
            && !f->sport && !f->dport && !f->proto && !f->have_zone
            && !f->have_service && !f->have_owner);
}
