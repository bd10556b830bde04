# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
ovs_ext_libovsext_a_SOURCES += \
	ovs-ext/profile/tp-flow.c \
	ovs-ext/profile/tp-flow.h \
	ovs-ext/profile/tp-merge.c \
	ovs-ext/profile/tp-merge.h \
	ovs-ext/profile/tp-profile.c \
	ovs-ext/profile/tp-profile.h \
	ovs-ext/profile/tp-sketch.c \
	ovs-ext/profile/tp-sketch-impl.h \
	ovs-ext/profile/tp-sketch-read.c \
	ovs-ext/profile/tp-sketch.h \
	ovs-ext/profile/tp.c \
	ovs-ext/profile/tp.h
