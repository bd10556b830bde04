/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef OFFLOAD_WISH_H
#define OFFLOAD_WISH_H 1

/* Wishes (offload.h), for the thread that decides and the command that shows.
 *
 * Thread safety: all under the mutex of 'offload_agent'. */

#include "datapath-hooks/offload/offload-agent.h"

struct ds;
struct json;

/* Begins an interval. */
void offload_wish_begin(void) OVS_REQUIRES(offload_agent.mutex);

/* Has the planner prefer 'flow', which it knows, if somebody wishes it, and
 * counts it. */
void offload_wish_flow(struct offload_plan *, struct offload_flow *)
    OVS_REQUIRES(offload_agent.mutex);

/* Ends it: the counts are those to show. */
void offload_wish_end(void) OVS_REQUIRES(offload_agent.mutex);

void offload_wish_format(struct ds *) OVS_REQUIRES(offload_agent.mutex);
struct json *offload_wish_json(void) OVS_REQUIRES(offload_agent.mutex);

#endif /* offload-wish.h */
