# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
datapath_hooks_libexthooks_a_SOURCES += \
	datapath-hooks/session/gossip-udp.c \
	datapath-hooks/session/gossip-udp.h \
	datapath-hooks/session/phc-check.c \
	datapath-hooks/session/phc-check.h \
	datapath-hooks/session/phc-l2.c \
	datapath-hooks/session/phc-l2.h \
	datapath-hooks/session/phc-store.c \
	datapath-hooks/session/phc-store.h \
	datapath-hooks/session/phc-store-file.c \
	datapath-hooks/session/phc-store-impl.h \
	datapath-hooks/session/session-admit.c \
	datapath-hooks/session/session-agent.c \
	datapath-hooks/session/session-agent.h \
	datapath-hooks/session/session-cache.c \
	datapath-hooks/session/session-file.c \
	datapath-hooks/session/session-debug.c \
	datapath-hooks/session/session-dp.c \
	datapath-hooks/session/session-dp.h \
	datapath-hooks/session/session-dp-impl.h \
	datapath-hooks/session/session-entry.c \
	datapath-hooks/session/session-flow.c \
	datapath-hooks/session/session-former.c \
	datapath-hooks/session/session-grace.c \
	datapath-hooks/session/session-gossip.c \
	datapath-hooks/session/session-hint.c \
	datapath-hooks/session/session-icmp.c \
	datapath-hooks/session/session-load.c \
	datapath-hooks/session/session-miss.c \
	datapath-hooks/session/session-mtu.c \
	datapath-hooks/session/session-own.c \
	datapath-hooks/session/session-packet.c \
	datapath-hooks/session/session-place.c \
	datapath-hooks/session/session-proc.c \
	datapath-hooks/session/session-proc.h \
	datapath-hooks/session/session-route.c \
	datapath-hooks/session/session-show-cache.c \
	datapath-hooks/session/session-show-gossip.c \
	datapath-hooks/session/session-show-hint.c \
	datapath-hooks/session/session-show.c \
	datapath-hooks/session/session-target.c \
	datapath-hooks/session/session-topo.c \
	datapath-hooks/session/session-way.c \
	datapath-hooks/session/session.c \
	datapath-hooks/session/session.h \
	datapath-hooks/session/session-impl.h
