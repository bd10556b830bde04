# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
datapath_hooks_libexthooks_a_SOURCES += \
	datapath-hooks/affinity/aff-agent.c \
	datapath-hooks/affinity/aff-agent.h \
	datapath-hooks/affinity/aff-apply.c \
	datapath-hooks/affinity/aff-fleet.c \
	datapath-hooks/affinity/aff-policy.c \
	datapath-hooks/affinity/aff-queue.c \
	datapath-hooks/affinity/aff-show.c \
	datapath-hooks/affinity/aff-watch.c \
	datapath-hooks/affinity/affinity.c \
	datapath-hooks/affinity/affinity.h \
	datapath-hooks/affinity/redirect-clock.c \
	datapath-hooks/affinity/redirect-context.c \
	datapath-hooks/affinity/redirect-flow.c \
	datapath-hooks/affinity/redirect-impl.h \
	datapath-hooks/affinity/redirect-packet.c \
	datapath-hooks/affinity/redirect-reval.c \
	datapath-hooks/affinity/redirect.c \
	datapath-hooks/affinity/redirect.h
