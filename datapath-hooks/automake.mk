# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0

# Functions of OVS that ext-hooks.c stands in front of.
EXT_WRAPPED = \
	netdev_rxq_recv netdev_send netdev_rxq_open netdev_rxq_close \
	netdev_n_rxq netdev_rxq_enabled dpif_register_upcall_cb \
	dpif_set_config dpif_port_set_config dpif_close dpif_operate \
	dpif_flow_dump_create dpif_flow_dump_next dpif_flow_dump_destroy \
	dpif_get_dp_stats dpif_flow_get dpif_port_add dpif_port_del \
	netdev_has_tunnel_push_pop netdev_pop_header netdev_push_header \
	ovsdb_idl_omit pmd_perf_stats_init pmd_perf_end_iteration \
	xnanosleep_no_quiesce seq_destroy bridge_init \
	bridge_run bridge_wait bridge_exit ovs_print_version

noinst_LIBRARIES += datapath-hooks/libexthooks.a
datapath_hooks_libexthooks_a_CPPFLAGS = $(AM_CPPFLAGS) $(DPDK_CFLAGS)
datapath_hooks_libexthooks_a_SOURCES = \
	datapath-hooks/ext-agent.c \
	datapath-hooks/ext-agent.h \
	datapath-hooks/ext-config.c \
	datapath-hooks/ext-config.h \
	datapath-hooks/ext-chain.c \
	datapath-hooks/ext-chain.h \
	datapath-hooks/ext-flows.c \
	datapath-hooks/ext-flows.h \
	datapath-hooks/ext-hooks.c \
	datapath-hooks/ext-hooks.h \
	datapath-hooks/ext-ufid.h \
	datapath-hooks/ext-vswitchd.c \
	datapath-hooks/steering/steer-act.c \
	datapath-hooks/steering/steer-agent.c \
	datapath-hooks/steering/steer-agent.h \
	datapath-hooks/steering/steer-config.c \
	datapath-hooks/steering/steer-config.h \
	datapath-hooks/steering/steer-debug.c \
	datapath-hooks/steering/steer-dev.c \
	datapath-hooks/steering/steer-dp.h \
	datapath-hooks/steering/steer-handoff.c \
	datapath-hooks/steering/steer-mask.c \
	datapath-hooks/steering/steer-move.c \
	datapath-hooks/steering/steer-observe.c \
	datapath-hooks/steering/steer-observe.h \
	datapath-hooks/steering/steer-packet.c \
	datapath-hooks/steering/steer-park.c \
	datapath-hooks/steering/steer-pmd.c \
	datapath-hooks/steering/steer-rxq.c \
	datapath-hooks/steering/steer-show.c \
	datapath-hooks/steering/steer-source.c \
	datapath-hooks/steering/steer-table.c \
	datapath-hooks/steering/steer-warm.c \
	datapath-hooks/steering/steer-watch.c \
	datapath-hooks/steering/steer-warm.h \
	datapath-hooks/steering/steer.c \
	datapath-hooks/steering/steer.h

include datapath-hooks/monitor/automake.mk
include datapath-hooks/profile/automake.mk
include datapath-hooks/offload/automake.mk
include datapath-hooks/session/automake.mk
include datapath-hooks/affinity/automake.mk

sbin_PROGRAMS += datapath-hooks/ovs-vswitchd-ext
datapath_hooks_ovs_vswitchd_ext_SOURCES =
datapath_hooks_ovs_vswitchd_ext_LDFLAGS = \
	$(AM_LDFLAGS) $(OVS_VSWITCHD_LDFLAGS) \
	$(EXT_WRAPPED:%=-Wl,--wrap=%)
datapath_hooks_ovs_vswitchd_ext_LDADD = \
	$(OVS_VSWITCHD_OBJS) \
	datapath-hooks/libexthooks.a \
	ovs-ext/libovsext.a \
	$(OVS_LIBADD) \
	$(DPDK_LIBS)
datapath_hooks_ovs_vswitchd_ext_DEPENDENCIES = \
	$(OVS_VSWITCHD_DEPS) \
	datapath-hooks/libexthooks.a \
	ovs-ext/libovsext.a

if HAVE_DPDK_SOURCE
include datapath-hooks/nic-model/automake.mk
endif
