/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef GOSSIP_UDP_H
#define GOSSIP_UDP_H 1

/* Gossip over UDP: a socket, a seal and a 'struct gossip'.
 *
 * The protocol (ovs-ext/session/gossip.h) and the sealing (gossip-seal.h) know
 * no socket and no clock; this file has both.  One socket serves IPv4 and
 * IPv6 (IPv4 only where the kernel has no IPv6).  Call gossip_udp_run() often,
 * and gossip_udp_wait() before poll_block().
 *
 * A run reads a bounded number of datagrams, so a storm of them delays timers
 * but does not stop them.  What does not open is counted, see
 * gossip_udp_count(), and costs about what it costs to open it.
 *
 * Thread safety: none; all calls from one thread.  Keys may be changed between
 * runs. */

#include <stdbool.h>
#include <stdint.h>

#include "ovs-ext/session/gossip-seal.h"
#include "ovs-ext/session/gossip.h"

struct gossip_udp;

struct gossip_udp_stats {
    uint64_t received, sent;            /* Datagrams. */
    uint64_t send_errors;
    uint64_t unknown;                   /* Opened, of no member (yet). */
    uint64_t strangers;                 /* Opened, not from the member's
                                         * address. */
};

char *gossip_epoch_take(const char *path, uint64_t now, uint64_t *epoch);
int gossip_udp_open(const char *listen, struct gossip_udp **, char **errorp);
void gossip_udp_start(struct gossip_udp *, struct gossip_config *);
void gossip_udp_destroy(struct gossip_udp *);

void gossip_udp_run(struct gossip_udp *);
void gossip_udp_wait(struct gossip_udp *);

struct gossip *gossip_udp_gossip(struct gossip_udp *);
struct gossip_seal *gossip_udp_seal(struct gossip_udp *);
void gossip_udp_get_stats(const struct gossip_udp *,
                          struct gossip_udp_stats *);
const struct gossip_addr *gossip_udp_refused(const struct gossip_udp *,
                                             enum gossip_open_error);
void gossip_udp_capture(struct gossip_udp *, void (*)(const void *, size_t,
                                                      void *aux), void *aux);

#endif /* gossip-udp.h */
