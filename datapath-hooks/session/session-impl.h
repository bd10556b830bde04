/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef SESSION_IMPL_H
#define SESSION_IMPL_H 1

/* What the files of the session system share.
 *
 * The agent (ext-agent's thread) decides who owns what and makes plans; the
 * datapath part carries them out.  See session-dp.h for that. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "openvswitch/thread.h"
#include "ovs-ext/session/phc.h"
#include "ovs-ext/session/sess-decide.h"
#include "ovs-ext/session/sess-plan.h"
#include "ovs-ext/session/sess-table.h"

/* Serializes the writers of the header cache: the agent and, for templates,
 * the main thread. */
extern struct ovs_mutex session_phc_mutex;

#endif /* session-impl.h */
