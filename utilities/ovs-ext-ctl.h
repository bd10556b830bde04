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
struct ovsext_host;
struct svec;

/* The row of Ext_Global, inserted if there is none: not for commands that only
 * read. */
const struct ovsext_ext_global *ext_ctl_global(struct ctl_context *);

/* Has the IDL receive all of 'table'. */
void ext_ctl_monitor_table(struct ctl_context *,
                           const struct ovsdb_idl_table_class *table);

/* Reads a number from 'min' to 'max'.  Returns false and sets an error, which
 * names 'what' it is, if it is none. */
bool ext_ctl_get_number(struct ctl_context *, const char *what, const char *s,
                        double min, double max, double *x);

/* Prints 'lines', sorted, and empties it. */
void ext_ctl_show_sorted(struct ctl_context *, struct svec *lines);

/* ovs-ext-ctl-session.c: its part of "show". */
void ext_ctl_show_services(struct ctl_context *);
void ext_ctl_show_host_session(struct ctl_context *,
                               const struct ovsext_host *);

/* Commands, each list with an empty entry at its end. */
extern const struct ctl_command_syntax ext_ctl_affinity_commands[];
extern const struct ctl_command_syntax ext_ctl_access_commands[];
extern const struct ctl_command_syntax ext_ctl_policy_commands[];
extern const struct ctl_command_syntax ext_ctl_session_commands[];

#endif /* ovs-ext-ctl.h */
