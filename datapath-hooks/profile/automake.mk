# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
datapath_hooks_libexthooks_a_SOURCES += \
	datapath-hooks/profile/profile-impl.h \
	datapath-hooks/profile/profile-pmd.c \
	datapath-hooks/profile/profile-show.c \
	datapath-hooks/profile/profile.c \
	datapath-hooks/profile/profile.h
