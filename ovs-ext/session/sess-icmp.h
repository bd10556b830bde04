/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef SESS_ICMP_H
#define SESS_ICMP_H 1

/* The session that an ICMP error is about
 * =======================================
 *
 * A router that cannot forward what a backend sent to a client (too big, no
 * route, TTL spent) says so to the service's address, and quotes the beginning
 * of the packet.  The quotation is all that tells which session it was: its
 * source is the service, its destination the client.
 *
 * The quotation is what somebody claims.  It is read within its bounds only,
 * and whatever is made of it must be harmless if it is a lie.
 *
 * Pure; anything here may be called in any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sess_key;

/* The types that are errors, most interesting first, ended by 0 (which is none
 * in either protocol): of ICMPv6, or of ICMP. */
extern const uint8_t sess_icmp6_errors[];
extern const uint8_t sess_icmp_errors[];

static inline const uint8_t *
sess_icmp_types(bool ip6)
{
    return ip6 ? sess_icmp6_errors : sess_icmp_errors;
}

/* Whether 'type' is one of those. */
bool sess_icmp_is_error(bool ip6, uint8_t type);

/* Stores the key of the session, in zone 0, that the ICMP ('ip6': ICMPv6)
 * error at 'icmp', of 'len' bytes, is about.  Returns false, and may have
 * written to the key, if the quotation is none of TCP or UDP, with its ports:
 * it is cut short, malformed, a later fragment, or has extension headers. */
bool sess_icmp_key(struct sess_key *, const void *icmp, size_t len, bool ip6);

#endif /* sess-icmp.h */
