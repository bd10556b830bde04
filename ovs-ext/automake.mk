# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0

# Pure decision logic: no DPDK, no provider headers, no threads, no clock.
noinst_LIBRARIES += ovs-ext/libovsext.a
ovs_ext_libovsext_a_CPPFLAGS = $(AM_CPPFLAGS) $(OVS_CPPFLAGS) $(GSL_CFLAGS)
ovs_ext_libovsext_a_SOURCES = \
	ovs-ext/core/ext-ewma.h \
	ovs-ext/core/ext-rng.h \
	ovs-ext/steering/sim-packets.c \
	ovs-ext/steering/sim-packets.h \
	ovs-ext/steering/sim-run.c \
	ovs-ext/steering/sim-run.h \
	ovs-ext/steering/sim-switch.c \
	ovs-ext/steering/sim-switch.h \
	ovs-ext/steering/sim-traffic.c \
	ovs-ext/steering/sim-traffic.h \
	ovs-ext/steering/steer-cand.c \
	ovs-ext/steering/steer-cand.h \
	ovs-ext/steering/steer-dump.c \
	ovs-ext/steering/steer-dump.h \
	ovs-ext/steering/steer-guard.c \
	ovs-ext/steering/steer-guard.h \
	ovs-ext/steering/steer-impl.h \
	ovs-ext/steering/steer-lpt.c \
	ovs-ext/steering/steer-model.c \
	ovs-ext/steering/steer-model.h \
	ovs-ext/steering/steer-net.c \
	ovs-ext/steering/steer-policy.c \
	ovs-ext/steering/steer-policy.h \
	ovs-ext/steering/steer-reward.c \
	ovs-ext/steering/steer-rl.c \
	ovs-ext/steering/steer-rsspp.c \
	ovs-ext/steering/steer-view.c
nodist_ovs_ext_libovsext_a_SOURCES = ovs-ext/steering/steer-model-data.inc

# The shipped policy compiled in: its bytes as a list of numbers.
BUILT_SOURCES += ovs-ext/steering/steer-model-data.inc
CLEANFILES += ovs-ext/steering/steer-model-data.inc
ovs-ext/steering/steer-model-data.inc: $(srcdir)/utilities/steering.policy
	$(AM_V_GEN)$(MKDIR_P) ovs-ext/steering && \
	od -An -v -tu1 $(srcdir)/utilities/steering.policy \
	    | sed 's/[0-9][0-9]*/&,/g' > $@.tmp && mv $@.tmp $@

include ovs-ext/core/automake.mk
include ovs-ext/monitor/automake.mk
include ovs-ext/profile/automake.mk
include ovs-ext/affinity/automake.mk
include ovs-ext/offload/automake.mk
include ovs-ext/session/automake.mk
include ovs-ext/db/automake.mk
include ovs-ext/controller/automake.mk
