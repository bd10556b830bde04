/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef AFFINITY_H
#define AFFINITY_H 1

/* Affinity in the daemon: instructions, which traffic goes to which hardware,
 * come from the OVS_Ext database and become real.
 *
 *     redirect.h      packets through an accelerator port
 *     aff-agent.h     the database, and what becomes of an instruction
 *
 * Thread safety: main thread. */

#include "openvswitch/types.h"

void affinity_init(void);
void affinity_run(void);
void affinity_wait(void);

/* The port is about to be reconfigured or deleted. */
void affinity_port_suspend(const char *name);

/* The port may have become an accelerator, or none, for the monitor. */
void affinity_port_configure(const char *name, odp_port_t);

#endif /* affinity.h */
