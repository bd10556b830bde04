/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef EXTNIC_RATES_H
#define EXTNIC_RATES_H 1

/* What a source of the NIC model offers, without a NIC or a switch.
 *
 * A table of rates says how many packets/s of each bucket (entry of the
 * table, RSS hash) arrive in each step of time.  The simulator of
 * ovs-ext-train(1) takes it with --rates and so meets the packets that a
 * switch with the NIC model meets.
 *
 *     ovs-ext-rates 1 STEP-SECONDS BUCKETS
 *     RATE RATE RATE...
 *     ...
 *
 * Pure but for the output. */

#include <stdbool.h>
#include <stddef.h>

/* Prints the table of 'seconds' under the device arguments 'text' to stdout.
 * 'mpps' is the offered rate, 0 for that of the arguments.  Returns false
 * with a message in 'error' if the arguments are bad. */
bool extnic_rates_print(const char *text, double mpps, double seconds,
                        double step_s, char *error, size_t error_size);

#endif /* extnic-rates.h */
