# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0

ovs_ext_libovsext_a_SOURCES += \
	ovs-ext/offload/offload-plan-impl.h \
	ovs-ext/offload/offload-plan.c \
	ovs-ext/offload/offload-plan.h \
	ovs-ext/offload/offload-rate.h \
	ovs-ext/offload/offload-select.c \
	ovs-ext/offload/offload-select.h \
	ovs-ext/offload/offload-update.c
