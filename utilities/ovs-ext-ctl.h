/* Copyright (c) 2026 The ovs-ext authors.
 * SPDX-License-Identifier: Apache-2.0 */

#ifndef OVS_EXT_CTL_H
#define OVS_EXT_CTL_H 1

/* The parts of ovs-ext-ctl: its main program and what its commands do.  The
 * commands that work on any table are those of Open vSwitch's db-ctl-base.
 *
 * One thread. */

#include "db-ctl-base.h"

struct ovsext_ext_global;

/* The row of Ext_Global, inserted if there is none: not for commands that only
 * read. */
const struct ovsext_ext_global *ext_ctl_global(struct ctl_context *);

/* Commands, each list with an empty entry at its end. */
extern const struct ctl_command_syntax ext_ctl_affinity_commands[];
extern const struct ctl_command_syntax ext_ctl_access_commands[];
extern const struct ctl_command_syntax ext_ctl_policy_commands[];

#endif /* ovs-ext-ctl.h */
