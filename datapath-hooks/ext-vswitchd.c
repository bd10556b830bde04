/* Copyright (c) 2026 The ovs-ext authors.
 *
 * SPDX-License-Identifier: Apache-2.0 */

/* Wires the systems of ovs-ext into ovs-vswitchd, in run()/wait() order. */

#include <config.h>

#include "datapath-hooks/ext-agent.h"
#include "datapath-hooks/ext-hooks.h"
#include "datapath-hooks/steering/steer.h"

static void
ext_run(void)
{
    steer_run();
}

static void
ext_wait(void)
{
    steer_wait();
}

static void
ext_exit(void)
{
    ext_agent_exit();
    steer_exit();
}

void
ext_vswitchd_init(void)
{
    ext_agent_init();
    steer_init();

    EXT_HOOK_SET(run, ext_run);
    EXT_HOOK_SET(wait, ext_wait);
    EXT_HOOK_SET(exit, ext_exit);
}
