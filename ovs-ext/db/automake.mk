# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
#
# Rows of the database OVS_Ext <-> values.  The only user of the generated
# interface besides the daemons and tools.
ovs_ext_libovsext_a_SOURCES += \
	ovs-ext/db/db-affinity.c \
	ovs-ext/db/db-affinity.h \
	ovs-ext/db/db-conn.c \
	ovs-ext/db/db-conn.h \
	ovs-ext/db/db-delta.c \
	ovs-ext/db/db-delta.h \
	ovs-ext/db/db-host-impl.h \
	ovs-ext/db/db-host-note.c \
	ovs-ext/db/db-host-session.c \
	ovs-ext/db/db-host-text.c \
	ovs-ext/db/db-host.c \
	ovs-ext/db/db-host.h \
	ovs-ext/db/db-policy.c \
	ovs-ext/db/db-policy.h \
	ovs-ext/db/db-rbac.c \
	ovs-ext/db/db-rbac.h \
	ovs-ext/db/db-rival.c \
	ovs-ext/db/db-rival.h \
	ovs-ext/db/db-session.c \
	ovs-ext/db/db-session.h
nodist_ovs_ext_libovsext_a_SOURCES += \
	ovs-ext/db/ovs-ext-idl.c \
	ovs-ext/db/ovs-ext-idl.h
