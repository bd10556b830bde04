# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
#
# The NIC model: a DPDK driver that stock Open vSwitch loads too, its control
# tool, and the unit test of its pure parts.  The driver is a shared object
# without a version; EAL loads it by path (-d).

NIC_MODEL_CPPFLAGS = \
	$(AM_CPPFLAGS) \
	-DALLOW_INTERNAL_API \
	-isystem $(DPDK_SRCDIR)/lib/ethdev \
	-isystem $(DPDK_SRCDIR)/lib/eal/include \
	-isystem $(DPDK_SRCDIR)/drivers/bus/vdev \
	$(DPDK_CFLAGS)

# Traffic, arguments and RSS: what the unit test links too.
NIC_MODEL_PURE = \
	datapath-hooks/nic-model/extnic-args.c \
	datapath-hooks/nic-model/extnic-args.h \
	datapath-hooks/nic-model/extnic-flowmodel.c \
	datapath-hooks/nic-model/extnic-hist.h \
	datapath-hooks/nic-model/extnic-order.h \
	datapath-hooks/nic-model/extnic-pcap.c \
	datapath-hooks/nic-model/extnic-rng.h \
	datapath-hooks/nic-model/extnic-rss.c \
	datapath-hooks/nic-model/extnic-rss.h \
	datapath-hooks/nic-model/extnic-scenario.c \
	datapath-hooks/nic-model/extnic-traffic.c \
	datapath-hooks/nic-model/extnic-traffic.h

nicmodeldir = $(pkglibdir)
nicmodel_PROGRAMS = datapath-hooks/nic-model/librte_net_extnic.so
datapath_hooks_nic_model_librte_net_extnic_so_SOURCES = \
	$(NIC_MODEL_PURE) \
	datapath-hooks/nic-model/extnic-clock.c \
	datapath-hooks/nic-model/extnic-clock.h \
	datapath-hooks/nic-model/extnic-dev.h \
	datapath-hooks/nic-model/extnic-echo.c \
	datapath-hooks/nic-model/extnic-echo.h \
	datapath-hooks/nic-model/extnic-ethdev.c \
	datapath-hooks/nic-model/extnic-flow.c \
	datapath-hooks/nic-model/extnic-flow-impl.h \
	datapath-hooks/nic-model/extnic-flow-parse.c \
	datapath-hooks/nic-model/extnic-flow-table.c \
	datapath-hooks/nic-model/extnic-flow.h \
	datapath-hooks/nic-model/extnic-link.c \
	datapath-hooks/nic-model/extnic-link.h \
	datapath-hooks/nic-model/extnic-map.c \
	datapath-hooks/nic-model/extnic-map.h \
	datapath-hooks/nic-model/extnic-match.c \
	datapath-hooks/nic-model/extnic-match.h \
	datapath-hooks/nic-model/extnic-run.c \
	datapath-hooks/nic-model/extnic-run.h \
	datapath-hooks/nic-model/extnic-shm.h \
	datapath-hooks/nic-model/extnic-sink.c \
	datapath-hooks/nic-model/extnic-sink.h \
	datapath-hooks/nic-model/extnic-source-ctl.c \
	datapath-hooks/nic-model/extnic-source.c \
	datapath-hooks/nic-model/extnic-source.h \
	datapath-hooks/nic-model/extnic-stats.c \
	datapath-hooks/nic-model/extnic-tuple.c \
	datapath-hooks/nic-model/extnic-tuple.h
datapath_hooks_nic_model_librte_net_extnic_so_CPPFLAGS = $(NIC_MODEL_CPPFLAGS)
datapath_hooks_nic_model_librte_net_extnic_so_CFLAGS = \
	$(AM_CFLAGS) -fPIC -fvisibility=hidden
datapath_hooks_nic_model_librte_net_extnic_so_LDFLAGS = $(AM_LDFLAGS) -shared
datapath_hooks_nic_model_librte_net_extnic_so_LDADD = \
	$(DPDK_PMDS_DIR)/librte_bus_vdev.so.23 \
	$(DPDK_LIBS) -lpcap -lm

sbin_PROGRAMS += datapath-hooks/nic-model/ovs-ext-nic
datapath_hooks_nic_model_ovs_ext_nic_SOURCES = \
	$(NIC_MODEL_PURE) \
	datapath-hooks/nic-model/extnic-rates.c \
	datapath-hooks/nic-model/extnic-rates.h \
	datapath-hooks/nic-model/extnic-report.c \
	datapath-hooks/nic-model/extnic-report.h \
	datapath-hooks/nic-model/extnic-shm.h \
	datapath-hooks/nic-model/ovs-ext-nic.c
datapath_hooks_nic_model_ovs_ext_nic_CPPFLAGS = $(NIC_MODEL_CPPFLAGS)
datapath_hooks_nic_model_ovs_ext_nic_LDADD = $(DPDK_LIBS) -lpcap -lm

check_PROGRAMS += datapath-hooks/nic-model/test-extnic
datapath_hooks_nic_model_test_extnic_SOURCES = \
	$(NIC_MODEL_PURE) \
	datapath-hooks/nic-model/test-extnic-cdf.h \
	datapath-hooks/nic-model/test-extnic.c
datapath_hooks_nic_model_test_extnic_CPPFLAGS = $(NIC_MODEL_CPPFLAGS)
datapath_hooks_nic_model_test_extnic_LDADD = $(DPDK_LIBS) -lpcap -lm

dist_man_MANS += datapath-hooks/nic-model/ovs-ext-nic.8
