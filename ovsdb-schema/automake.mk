# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
#
# ovs-ext(5) is made from the description of the columns, as OVS makes
# ovs-vswitchd.conf.db(5) from its own.

EXTRA_DIST += \
	ovsdb-schema/column-docs.py \
	ovsdb-schema/ovs-ext-other-config.xml

man_MANS += ovsdb-schema/ovs-ext.5
CLEANFILES += ovsdb-schema/ovs-ext.5
ovsdb-schema/ovs-ext.5: \
		ovsdb-schema/ovs-ext-other-config.xml \
		ovsdb-schema/column-docs.py
	@$(MKDIR_P) ovsdb-schema
	$(AM_V_GEN)$(PYTHON3_SYS) $(srcdir)/ovsdb-schema/column-docs.py \
	    $(srcdir)/ovsdb-schema/ovs-ext-other-config.xml \
	    '$(PACKAGE_VERSION)' > $@.tmp && mv $@.tmp $@

# The database OVS_Ext: its schema, and the C interface that ovsdb-idlc of the
# Open vSwitch tree makes of it.
PYTHON3_OVS = PYTHONPATH='$(OVS_SRCDIR)/python' PYTHONDONTWRITEBYTECODE=yes \
	$(PYTHON3_SYS)
OVSDB_IDLC = $(PYTHON3_OVS) '$(OVS_SRCDIR)/ovsdb/ovsdb-idlc.in'

pkgdata_DATA += ovsdb-schema/ovs-ext.ovsschema
EXTRA_DIST += \
	ovs-ext/db/ovs-ext-idl.ann \
	ovsdb-schema/ovs-ext.ovsschema

OVS_EXT_IDL = \
	ovs-ext/db/ovs-ext-idl.c \
	ovs-ext/db/ovs-ext-idl.h
BUILT_SOURCES += $(OVS_EXT_IDL)
CLEANFILES += $(OVS_EXT_IDL) ovs-ext/db/ovs-ext-idl.ovsidl
ovs-ext/db/ovs-ext-idl.ovsidl: \
		ovsdb-schema/ovs-ext.ovsschema \
		ovs-ext/db/ovs-ext-idl.ann
	@$(MKDIR_P) ovs-ext/db
	$(AM_V_GEN)$(OVSDB_IDLC) annotate \
	    $(srcdir)/ovsdb-schema/ovs-ext.ovsschema \
	    $(srcdir)/ovs-ext/db/ovs-ext-idl.ann > $@.tmp && mv $@.tmp $@
ovs-ext/db/ovs-ext-idl.c: ovs-ext/db/ovs-ext-idl.ovsidl
	$(AM_V_GEN)$(OVSDB_IDLC) c-idl-source \
	    ovs-ext/db/ovs-ext-idl.ovsidl > $@.tmp && mv $@.tmp $@
ovs-ext/db/ovs-ext-idl.h: ovs-ext/db/ovs-ext-idl.ovsidl
	$(AM_V_GEN)$(OVSDB_IDLC) c-idl-header \
	    ovs-ext/db/ovs-ext-idl.ovsidl > $@.tmp && mv $@.tmp $@

# ovs-ext-db(5).  ovsdb-doc takes every schema for one of Open vSwitch's, and
# writes "in" for inches where roff has "i".
EXTRA_DIST += ovsdb-schema/ovs-ext-db.xml
man_MANS += ovsdb-schema/ovs-ext-db.5
CLEANFILES += ovsdb-schema/ovs-ext-db.5
ovsdb-schema/ovs-ext-db.5: \
		ovsdb-schema/ovs-ext.ovsschema \
		ovsdb-schema/ovs-ext-db.xml
	@$(MKDIR_P) ovsdb-schema
	$(AM_V_GEN)$(PYTHON3_OVS) '$(OVS_SRCDIR)/ovsdb/ovsdb-doc' \
	    --version='$(PACKAGE_VERSION)' \
	    $(srcdir)/ovsdb-schema/ovs-ext.ovsschema \
	    $(srcdir)/ovsdb-schema/ovs-ext-db.xml > $@.tmp && \
	sed -e '/^\.TH /s/Open vSwitch/ovs-ext/g' \
	    -e '/^ *\.\(TQ\|IP\|  RS\)/s/\([0-9]\)in\>/\1i/' $@.tmp > $@.tmp2 && \
	rm -f $@.tmp && mv $@.tmp2 $@
