# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0

# The overlay network controller.
sbin_PROGRAMS += ovs-ext/controller/ovs-ext-controller
ovs_ext_controller_ovs_ext_controller_SOURCES = \
	ovs-ext/controller/onc-config.c \
	ovs-ext/controller/onc-host.c \
	ovs-ext/controller/onc-impl.h \
	ovs-ext/controller/onc-intake.c \
	ovs-ext/controller/onc-show.c \
	ovs-ext/controller/onc-sync.c \
	ovs-ext/controller/onc-write.c \
	ovs-ext/controller/onc.c \
	ovs-ext/controller/onc.h \
	ovs-ext/controller/ovs-ext-controller.c
ovs_ext_controller_ovs_ext_controller_LDADD = \
	ovs-ext/libovsext.a $(OVS_LIBS) -lm

dist_man_MANS += ovs-ext/controller/ovs-ext-controller.8
