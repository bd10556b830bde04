/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXTNIC_ECHO_H
#define EXTNIC_ECHO_H 1

/* A port that gives back what it is sent (role=echo): the model of an
 * accelerator that packets pass through.
 *
 * A packet comes back 'echo_us' microseconds after it was sent, by the receive
 * queue of its transmit queue's number modulo the number of receive queues, in
 * order, at most 'echo_rate' million a second.  When EXTNIC_ECHO_DEPTH packets
 * are inside, it takes no more.
 *
 * Faults, by the control page: "rx_stall" swallows all packets, "echo_loss" a
 * share of them, "echo_us" changes the time, "link" takes the link down and
 * swallows, too.
 *
 * Thread safety: a lock for each receive queue. */

#include <stdbool.h>
#include <stdint.h>

struct extnic_args;
struct extnic_echo;
struct extnic_link;
struct rte_eth_stats;
struct rte_mbuf;

#define EXTNIC_ECHO_DEPTH 8192  /* Packets, a power of two. */

/* Returns null if there is no memory. */
struct extnic_echo *extnic_echo_create(struct extnic_link *,
                                       const struct extnic_args *);
void extnic_echo_destroy(struct extnic_echo *);
void extnic_echo_configure(struct extnic_echo *, uint16_t n_rxq);
void extnic_echo_set_port(struct extnic_echo *, uint16_t port_id);

/* Queues, for the burst functions. */
void *extnic_echo_rxq(struct extnic_echo *, uint16_t id);
void *extnic_echo_txq(struct extnic_echo *, uint16_t id);

void extnic_echo_stats(const struct extnic_echo *, struct rte_eth_stats *);

uint16_t extnic_echo_rx_burst(void *rxq, struct rte_mbuf **, uint16_t n);
uint16_t extnic_echo_tx_burst(void *txq, struct rte_mbuf **, uint16_t n);
uint32_t extnic_echo_rx_count(void *rxq);

#endif /* extnic-echo.h */
