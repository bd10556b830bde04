# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
ovs_ext_libovsext_a_SOURCES += \
	ovs-ext/affinity/aff-explain.c \
	ovs-ext/affinity/aff-host.c \
	ovs-ext/affinity/aff-impl.h \
	ovs-ext/affinity/aff-learn.c \
	ovs-ext/affinity/aff-learn.h \
	ovs-ext/affinity/aff-plan.c \
	ovs-ext/affinity/aff-score.c \
	ovs-ext/affinity/aff.h
ovs_ext_libovsext_a_SOURCES += \
	ovs-ext/affinity/aff-host-key.c \
	ovs-ext/affinity/aff-host-key.h
ovs_ext_libovsext_a_SOURCES += \
	ovs-ext/affinity/aff-host-watch.c \
	ovs-ext/affinity/aff-host-watch.h
