/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef PROFILE_H
#define PROFILE_H 1

/* The traffic profiler in the daemon.  While it is on, the hook "received"
 * gives every burst that a thread receives to that thread's sketch
 * (ovs-ext/profile/tp-sketch.h); the agent's thread (ext-agent.h) merges the
 * sketches of all threads into profiles every 100 ms.
 *
 * It only looks at packets and changes nothing of them.  It sees them as they
 * are received, so of a tunnel it looks at the inner headers.  What comes from
 * accelerators (other_config:ext-accelerator of an Interface) it skips.
 *
 * Off by default: without other_config:ext-profile=true the hook is null and
 * no memory is taken.
 *
 * Thread safety: profile_snapshot() from any thread but PMD threads; the rest
 * is for the main thread. */

#include <stdbool.h>
#include <stddef.h>

#include "ovs-ext/profile/tp.h"

struct smap;

void profile_init(void);

/* Takes in other_config of the Open_vSwitch table: ext-profile*. */
void profile_configure(const struct smap *other_config);

/* Says whether the Interface named 'name' is an accelerator, as the monitor
 * judges: what comes back from one has been profiled on its way there. */
void profile_port_configure(const char *name, bool is_accelerator);

/* Another system needs profiles (the affinity agent does): the profiler runs
 * while the database or any system asks for it.  'who' is a string
 * constant. */
void profile_require(const char *who, bool wanted);

/* Stores a copy of all profiles, that of most bits/s first, into '*profiles'
 * (to be freed by the caller with free()) and their number into '*n'. */
void profile_snapshot(struct tp_profile **profiles, size_t *n);

#endif /* profile.h */
