# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0

ovs_ext_libovsext_a_SOURCES += \
	ovs-ext/monitor/hrm-registry.c \
	ovs-ext/monitor/hrm-registry.h \
	ovs-ext/monitor/hrm-state.c \
	ovs-ext/monitor/hrm-state.h \
	ovs-ext/monitor/hrm.c \
	ovs-ext/monitor/hrm.h
