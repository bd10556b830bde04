# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0

dist_man_MANS += utilities/ovs-vswitchd-ext.8

EXTRA_DIST += \
	utilities/quickstart-lib.sh \
	utilities/ovs-ext-bench \
	utilities/bench/__init__.py \
	utilities/bench/affinity.py \
	utilities/bench/capture.py \
	utilities/bench/decide.py \
	utilities/bench/demo.py \
	utilities/bench/demo_affinity.py \
	utilities/bench/demo_session.py \
	utilities/bench/first_packet.py \
	utilities/bench/fleet.py \
	utilities/bench/forecast.py \
	utilities/bench/gossip.py \
	utilities/bench/gossip_hostile.py \
	utilities/bench/gossip_live.py \
	utilities/bench/handoff.py \
	utilities/bench/header_cache.py \
	utilities/bench/lab.py \
	utilities/bench/migration_predict.py \
	utilities/bench/net.py \
	utilities/bench/netns.py \
	utilities/bench/onc.py \
	utilities/bench/offload.py \
	utilities/bench/order.py \
	utilities/bench/overhead.py \
	utilities/bench/plot.py \
	utilities/bench/policy.py \
	utilities/bench/probe.py \
	utilities/bench/session.py \
	utilities/bench/session_clients.py \
	utilities/bench/session_cost.py \
	utilities/bench/session_dut.py \
	utilities/bench/session_events.py \
	utilities/bench/session_lab.py \
	utilities/bench/session_traffic.py \
	utilities/bench/sim.py \
	utilities/bench/sketch.py \
	utilities/bench/steering.py \
	utilities/bench/warm.py

bin_PROGRAMS += utilities/ovs-ext-train
utilities_ovs_ext_train_SOURCES = \
	utilities/option.h \
	utilities/ovs-ext-train.c \
	utilities/ovs-ext-train.h \
	utilities/ovs-ext-train-es.c \
	utilities/ovs-ext-train-eval.c \
	utilities/ovs-ext-train-util.c
utilities_ovs_ext_train_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lpcap -lm

dist_man_MANS += utilities/ovs-ext-train.1

# The shipped policy, also compiled in (see ovs-ext/automake.mk).
pkgdata_DATA += utilities/steering.policy
EXTRA_DIST += utilities/steering.policy

# The database's command line tool and its start-up script.
bin_PROGRAMS += utilities/ovs-ext-ctl
utilities_ovs_ext_ctl_SOURCES = \
	utilities/ovs-ext-ctl.c \
	utilities/ovs-ext-ctl.h \
	utilities/ovs-ext-ctl-access.c \
	utilities/ovs-ext-ctl-affinity.c \
	utilities/ovs-ext-ctl-policy.c \
	utilities/ovs-ext-ctl-session.c
utilities_ovs_ext_ctl_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm

dist_man_MANS += \
	utilities/ovs-ext-ctl.8 \
	utilities/ovs-ext-db.8

bashcompletiondir = $(datadir)/bash-completion/completions
EXTRA_DIST += utilities/ovs-ext-ctl-completion.bash
install-data-local: install-bash-completion
install-bash-completion:
	$(MKDIR_P) '$(DESTDIR)$(bashcompletiondir)'
	$(INSTALL_DATA) $(srcdir)/utilities/ovs-ext-ctl-completion.bash \
	    '$(DESTDIR)$(bashcompletiondir)/ovs-ext-ctl'
	ln -sf ovs-ext-ctl '$(DESTDIR)$(bashcompletiondir)/ovs-ext-db'
uninstall-local: uninstall-bash-completion
uninstall-bash-completion:
	rm -f '$(DESTDIR)$(bashcompletiondir)/ovs-ext-ctl' \
	    '$(DESTDIR)$(bashcompletiondir)/ovs-ext-db'
.PHONY: install-bash-completion uninstall-bash-completion

bin_SCRIPTS += utilities/ovs-ext-db
EXTRA_DIST += utilities/ovs-ext-db.in
CLEANFILES += utilities/ovs-ext-db
substitute_dirs = sed \
	-e 's|[@]OVS_RUNDIR[@]|$(OVS_RUNDIR)|g' \
	-e 's|[@]OVS_LOGDIR[@]|$(OVS_LOGDIR)|g' \
	-e 's|[@]OVS_DBDIR[@]|$(OVS_DBDIR)|g' \
	-e 's|[@]pkgdatadir[@]|$(pkgdatadir)|g' \
	-e 's|[@]bindir[@]|$(bindir)|g' \
	-e 's|[@]sbindir[@]|$(sbindir)|g' \
	-e 's|[@]VERSION[@]|$(VERSION)|g'
utilities/ovs-ext-db: utilities/ovs-ext-db.in $(top_builddir)/config.status
	@$(MKDIR_P) utilities
	$(AM_V_GEN)$(substitute_dirs) $(srcdir)/utilities/ovs-ext-db.in > $@.tmp && \
	chmod a+x $@.tmp && mv $@.tmp $@

# Units for systemd(1), where it looks for them if the prefix is /usr/local or
# /usr.  They do nothing until they are enabled.
systemdunitdir = $(prefix)/lib/systemd/system
units = \
	utilities/ovs-ext-controller.service \
	utilities/ovs-ext-db.service \
	utilities/ovs-ext-embed.service
nodist_systemdunit_DATA = $(units)
EXTRA_DIST += $(units:%=%.in)
CLEANFILES += $(units)
$(units): %.service: %.service.in $(top_builddir)/config.status
	@$(MKDIR_P) utilities
	$(AM_V_GEN)$(substitute_dirs) $< > $@.tmp && mv $@.tmp $@

# Forecasts of series from the command line, and what the bench measures.
bin_PROGRAMS += utilities/ovs-ext-forecast
utilities_ovs_ext_forecast_SOURCES = \
	utilities/option.h \
	utilities/ovs-ext-forecast.c \
	utilities/ovs-ext-forecast.h \
	utilities/ovs-ext-forecast-eval.c \
	utilities/ovs-ext-forecast-gen.c
utilities_ovs_ext_forecast_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm

dist_man_MANS += utilities/ovs-ext-forecast.1
