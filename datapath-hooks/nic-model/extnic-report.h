/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXTNIC_REPORT_H
#define EXTNIC_REPORT_H 1

/* Sums up a statistics page of the NIC model for ovs-ext-nic(8).
 *
 * Only reads the page; counters of different queues may be some
 * microseconds apart while traffic runs. */

#include <stdbool.h>
#include <stdint.h>

struct extnic_shm;

/* Whether no more packets will be generated and all rings are empty. */
bool extnic_report_done(const struct extnic_shm *);

/* Packets that reached a sink once. */
uint64_t extnic_report_delivered(const struct extnic_shm *);

/* Prints one JSON object and a new-line. */
void extnic_report_print(const struct extnic_shm *, bool windows,
                         bool histogram);

#endif /* extnic-report.h */
