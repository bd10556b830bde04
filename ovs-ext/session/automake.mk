# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0

# Session table, header cache, prediction.
ovs_ext_libovsext_a_SOURCES += \
	ovs-ext/core/ext-pages.h \
	ovs-ext/core/ext-seqlock.h \
	ovs-ext/session/phc-filter.c \
	ovs-ext/session/phc-header.c \
	ovs-ext/session/phc-header.h \
	ovs-ext/session/phc-impl.h \
	ovs-ext/session/phc-lookup.c \
	ovs-ext/session/phc-record.c \
	ovs-ext/session/phc-record.h \
	ovs-ext/session/phc-restore.c \
	ovs-ext/session/phc-restore.h \
	ovs-ext/session/phc-template.c \
	ovs-ext/session/phc.c \
	ovs-ext/session/phc.h \
	ovs-ext/session/sess-decide.c \
	ovs-ext/session/sess-decide.h \
	ovs-ext/session/sess-fleet.c \
	ovs-ext/session/sess-fleet.h \
	ovs-ext/session/sess-icmp.c \
	ovs-ext/session/sess-icmp.h \
	ovs-ext/session/sess-key.c \
	ovs-ext/session/sess-key.h \
	ovs-ext/session/sess-numbers.c \
	ovs-ext/session/sess-owner.c \
	ovs-ext/session/sess-owner.h \
	ovs-ext/session/sess-plan.c \
	ovs-ext/session/sess-plan.h \
	ovs-ext/session/sess-table.c \
	ovs-ext/session/sess-table.h \
	ovs-ext/session/sess-tags.h \
	ovs-ext/session/tpam-features.c \
	ovs-ext/session/tpam-impl.h \
	ovs-ext/session/tpam-learn.c \
	ovs-ext/session/tpam-sim.c \
	ovs-ext/session/tpam-sim.h \
	ovs-ext/session/tpam-weights.inc \
	ovs-ext/session/tpam.c \
	ovs-ext/session/tpam.h

# Gossip.
ovs_ext_libovsext_a_SOURCES += \
	ovs-ext/session/gossip-addr.c \
	ovs-ext/session/gossip-impl.h \
	ovs-ext/session/gossip-keys.c \
	ovs-ext/session/gossip-keys.h \
	ovs-ext/session/gossip-ring.c \
	ovs-ext/session/gossip-seal.c \
	ovs-ext/session/gossip-seal.h \
	ovs-ext/session/gossip-spread.c \
	ovs-ext/session/gossip-store.c \
	ovs-ext/session/gossip-swim.c \
	ovs-ext/session/gossip-sync.c \
	ovs-ext/session/gossip-wire.c \
	ovs-ext/session/gossip-wire.h \
	ovs-ext/session/gossip.c \
	ovs-ext/session/gossip.h
