# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0

datapath_hooks_libexthooks_a_SOURCES += \
	datapath-hooks/monitor/monitor-dev.c \
	datapath-hooks/monitor/monitor-impl.h \
	datapath-hooks/monitor/monitor-pci.c \
	datapath-hooks/monitor/monitor-pmd.c \
	datapath-hooks/monitor/monitor-port.c \
	datapath-hooks/monitor/monitor-show.c \
	datapath-hooks/monitor/monitor.c \
	datapath-hooks/monitor/monitor.h
