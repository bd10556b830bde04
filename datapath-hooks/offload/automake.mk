# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0

datapath_hooks_libexthooks_a_SOURCES += \
	datapath-hooks/offload/offload-agent.c \
	datapath-hooks/offload/offload-agent.h \
	datapath-hooks/offload/offload-api.c \
	datapath-hooks/offload/offload-config.c \
	datapath-hooks/offload/offload-flow.c \
	datapath-hooks/offload/offload-flow.h \
	datapath-hooks/offload/offload-port.c \
	datapath-hooks/offload/offload-queue.c \
	datapath-hooks/offload/offload-queue.h \
	datapath-hooks/offload/offload-round.c \
	datapath-hooks/offload/offload-rte.c \
	datapath-hooks/offload/offload-rte.h \
	datapath-hooks/offload/offload-rule.c \
	datapath-hooks/offload/offload-show.c \
	datapath-hooks/offload/offload-wish.c \
	datapath-hooks/offload/offload-wish.h \
	datapath-hooks/offload/offload.h

EXT_WRAPPED += \
	netdev_register_flow_api_provider netdev_dpdk_rte_flow_create \
	netdev_reconfigure
