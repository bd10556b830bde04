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
