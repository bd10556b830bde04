# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
#
# "make check" runs the Autotest suite, one file a topic, on the macros of the
# Open vSwitch tree.  tests/bin/ovs-vswitchd is our daemon under the name that
# those macros call.

TESTSUITE_AT = \
	tests/testsuite.at \
	tests/ext-macros.at \
	tests/frame.at \
	tests/unit.at \
	tests/appctl.at \
	tests/config.at \
	tests/steering.at \
	tests/nic-model.at \
	tests/failure.at \
	tests/forecast.at \
	tests/db-macros.at \
	tests/db.at \
	tests/monitor.at \
	tests/profile.at \
	tests/offload.at \
	tests/onc.at \
	tests/affinity.at \
	tests/affinity-nic.at \
	tests/session.at \
	tests/session-agent.at \
	tests/session-dp.at \
	tests/session-ofproto.at \
	tests/session-icmp.at \
	tests/system-macros.at \
	tests/system.at \
	tests/session-fleet.at

EXTRA_DIST += \
	tests/test-util.h \
	$(TESTSUITE_AT) \
	tests/atlocal.in \
	tests/check-ovs.sh \
	tests/count-instructions.sh \
	tests/layer-lint.py \
	tests/tsan.supp

# Unit test programs, run by tests/unit.at.  Pure code needs no daemon.
check_PROGRAMS += \
	tests/count-profile \
	tests/count-steering \
	tests/fuzz-policy \
	tests/test-forecast \
	tests/test-forecast-input \
	tests/test-monitor \
	tests/test-offload \
	tests/test-offload-flows \
	tests/test-policy \
	tests/test-sim \
	tests/test-steer-moves \
	tests/test-steering
tests_fuzz_policy_SOURCES = \
	tests/fuzz-policy.c \
	tests/fuzz-util.c \
	tests/fuzz-util.h
tests_fuzz_policy_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
tests_test_offload_SOURCES = \
	tests/test-offload.c \
	tests/test-offload-world.c \
	tests/test-offload-world.h
tests_test_offload_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
tests_test_monitor_CPPFLAGS = $(AM_CPPFLAGS) $(DPDK_CFLAGS)
tests_test_monitor_SOURCES = \
	datapath-hooks/monitor/monitor-pci.c \
	tests/test-monitor.c \
	tests/test-monitor.h \
	tests/test-monitor-pci.c \
	tests/test-monitor-rates.c
tests_test_monitor_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
tests_test_forecast_SOURCES = tests/test-forecast.c tests/test-forecast.h
tests_test_forecast_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
tests_test_forecast_input_SOURCES = \
	tests/test-forecast-input.c \
	tests/test-forecast.h
tests_test_forecast_input_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
tests_test_sim_SOURCES = tests/test-sim.c tests/test-steering-util.h
tests_test_sim_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
OFFLOAD_FLOWS_SOURCES = \
	tests/test-offload-flows.c \
	tests/test-steering-util.h \
	datapath-hooks/offload/offload-api.c \
	datapath-hooks/offload/offload-flow.c \
	datapath-hooks/offload/offload-port.c \
	datapath-hooks/offload/offload-rule.c
tests_test_offload_flows_SOURCES = $(OFFLOAD_FLOWS_SOURCES)
tests_test_offload_flows_CPPFLAGS = $(AM_CPPFLAGS) $(DPDK_CFLAGS)
tests_test_offload_flows_LDADD = $(OVS_LIBS) $(DPDK_LIBS)
tests_test_policy_SOURCES = tests/test-policy.c tests/test-steering-util.h
tests_test_policy_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
tests_test_steer_moves_CPPFLAGS = $(AM_CPPFLAGS) $(DPDK_CFLAGS)
tests_test_steer_moves_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=dp_packet_uninit
STEER_MOVES_SOURCES = \
	tests/test-steer-moves.h \
	tests/test-steer-moves-fake.c \
	datapath-hooks/steering/steer-handoff.c \
	datapath-hooks/steering/steer-mask.c \
	datapath-hooks/steering/steer-move.c \
	datapath-hooks/steering/steer-packet.c \
	datapath-hooks/steering/steer-park.c \
	datapath-hooks/steering/steer-pmd.c \
	datapath-hooks/steering/steer-rxq.c \
	datapath-hooks/steering/steer-table.c \
	datapath-hooks/steering/steer-watch.c \
	ovs-ext/core/ext-headers.c
tests_test_steer_moves_SOURCES = \
	$(STEER_MOVES_SOURCES) \
	tests/test-steer-moves.c \
	tests/test-steer-moves-agent.c \
	tests/test-steer-moves-agent.h \
	tests/test-steer-moves-faults.c
tests_test_steer_moves_LDADD = $(OVS_LIBS) $(DPDK_LIBS)
tests_count_profile_CPPFLAGS = $(AM_CPPFLAGS) $(DPDK_CFLAGS)
tests_count_profile_SOURCES = \
	datapath-hooks/profile/profile-pmd.c \
	tests/count-profile.c \
	tests/count-util.h
tests_count_profile_LDADD = \
	ovs-ext/libovsext.a $(OVS_LIBS) $(DPDK_LIBS) -lm
tests_count_steering_CPPFLAGS = $(tests_test_steer_moves_CPPFLAGS)
tests_count_steering_LDFLAGS = $(tests_test_steer_moves_LDFLAGS)
tests_count_steering_SOURCES = \
	$(STEER_MOVES_SOURCES) tests/count-steering.c tests/count-util.h
tests_count_steering_LDADD = $(tests_test_steer_moves_LDADD)
tests_test_steering_SOURCES = tests/test-steering.c tests/test-steering-util.h
tests_test_steering_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm

check_PROGRAMS += \
	tests/fuzz-db \
	tests/test-db \
	tests/test-db-client
tests_fuzz_db_SOURCES = \
	tests/fuzz-db.c \
	tests/fuzz-util.c \
	tests/fuzz-util.h
tests_fuzz_db_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
tests_test_db_SOURCES = tests/test-db.c tests/test-steering-util.h
tests_test_db_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
tests_test_db_client_SOURCES = \
	tests/test-db-client.c \
	tests/test-db-client.h \
	tests/test-db-fleet.c \
	tests/test-db-host.c \
	tests/test-db-services.c \
	tests/test-db-session.c \
	tests/test-steering-util.h
tests_test_db_client_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm

# Captures are read by the NIC model.
if HAVE_DPDK_SOURCE
check_PROGRAMS += tests/fuzz-pcap
tests_fuzz_pcap_CPPFLAGS = $(NIC_MODEL_CPPFLAGS)
tests_fuzz_pcap_SOURCES = \
	$(NIC_MODEL_PURE) \
	tests/fuzz-pcap.c \
	tests/fuzz-util.c \
	tests/fuzz-util.h
tests_fuzz_pcap_LDADD = $(OVS_LIBS) $(DPDK_LIBS) -lpcap -lm
endif

# The traffic profiler, and what its sketch costs and finds.
check_PROGRAMS += \
	tests/fuzz-profile \
	tests/test-profile
tests_fuzz_profile_SOURCES = \
	tests/fuzz-profile.c \
	tests/fuzz-util.c \
	tests/fuzz-util.h
tests_fuzz_profile_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
tests_test_profile_SOURCES = \
	tests/test-profile.c \
	tests/test-profile.h \
	tests/test-profile-sketch.c \
	tests/test-steering-util.h
tests_test_profile_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
if HAVE_DPDK_SOURCE
noinst_PROGRAMS += tests/bench-sketch
tests_bench_sketch_CPPFLAGS = $(NIC_MODEL_CPPFLAGS) -DALLOW_EXPERIMENTAL_API
tests_bench_sketch_SOURCES = \
	$(NIC_MODEL_PURE) \
	tests/bench-sketch.c \
	tests/bench-sketch.h \
	tests/bench-sketch-traffic.c
tests_bench_sketch_LDADD = \
	ovs-ext/libovsext.a $(OVS_LIBS) $(DPDK_LIBS) -lpcap -lm
endif

# The affinity planner, and hosts for the controller that are not there.
check_PROGRAMS += tests/test-affinity
tests_test_affinity_SOURCES = \
	tests/test-affinity.c \
	tests/test-affinity-change.c \
	tests/test-affinity-learn.c \
	tests/test-affinity.h \
	tests/test-steering-util.h
tests_test_affinity_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
check_PROGRAMS += tests/wall-jump.so
tests_wall_jump_so_SOURCES = tests/wall-jump.c
tests_wall_jump_so_CFLAGS = $(AM_CFLAGS) -fPIC -fno-sanitize=all
tests_wall_jump_so_LDFLAGS = $(AM_LDFLAGS) -shared
tests_wall_jump_so_LDADD = -ldl
noinst_PROGRAMS += tests/onc-load
tests_onc_load_SOURCES = tests/onc-load.c
tests_onc_load_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm

# Redirection, on a datapath of the test's own.
check_PROGRAMS += tests/test-redirect
REDIRECT_SOURCES = \
	tests/test-redirect-dp.h \
	tests/test-redirect-dp.c \
	tests/test-redirect-ofproto.c \
	datapath-hooks/ext-chain.c \
	datapath-hooks/affinity/redirect-clock.c \
	datapath-hooks/affinity/redirect-context.c \
	datapath-hooks/affinity/redirect-flow.c \
	datapath-hooks/affinity/redirect-packet.c \
	datapath-hooks/affinity/redirect-reval.c \
	datapath-hooks/affinity/redirect.c
tests_test_redirect_CPPFLAGS = $(AM_CPPFLAGS) $(DPDK_CFLAGS)
tests_test_redirect_SOURCES = $(REDIRECT_SOURCES) tests/test-redirect.c
tests_test_redirect_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) $(DPDK_LIBS) -lm

# What it costs a packet in the real datapath: the daemon but for its main().
check_PROGRAMS += tests/count-redirect
tests_count_redirect_CPPFLAGS = $(AM_CPPFLAGS) $(DPDK_CFLAGS)
tests_count_redirect_SOURCES = tests/count-redirect.c tests/count-util.h
tests_count_redirect_LDFLAGS = $(datapath_hooks_ovs_vswitchd_ext_LDFLAGS)
tests_count_redirect_DEPENDENCIES = \
	$(datapath_hooks_ovs_vswitchd_ext_DEPENDENCIES)
tests_count_redirect_LDADD = \
	$(OVS_BUILDDIR)/vswitchd/bridge.o \
	$(OVS_BUILDDIR)/vswitchd/system-stats.o \
	datapath-hooks/libexthooks.a \
	ovs-ext/libovsext.a \
	$(OVS_LIBADD) \
	$(DPDK_LIBS)

check_PROGRAMS += tests/count-session
tests_count_session_CPPFLAGS = $(AM_CPPFLAGS) $(DPDK_CFLAGS)
tests_count_session_SOURCES = tests/count-session.c tests/count-util.h
tests_count_session_LDFLAGS = $(datapath_hooks_ovs_vswitchd_ext_LDFLAGS)
tests_count_session_DEPENDENCIES = $(tests_count_redirect_DEPENDENCIES)
tests_count_session_LDADD = $(tests_count_redirect_LDADD)

check_PROGRAMS += tests/test-session-entry
tests_test_session_entry_SOURCES = \
	datapath-hooks/session/session-entry.c \
	tests/test-session-entry.c
tests_test_session_entry_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm

check_PROGRAMS += tests/test-affinity-host
tests_test_affinity_host_SOURCES = tests/test-affinity-host.c
tests_test_affinity_host_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm

# Gossip: unit tests, a simulated network, a host over UDP and its enemy.
check_PROGRAMS += \
	tests/fuzz-gossip \
	tests/test-gossip \
	tests/test-gossip-records \
	tests/test-gossip-seal \
	tests/test-session-host
tests_fuzz_gossip_SOURCES = \
	tests/fuzz-gossip.c \
	tests/fuzz-util.c \
	tests/fuzz-util.h
tests_fuzz_gossip_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
GOSSIP_NET = \
	tests/test-gossip-net.c \
	tests/test-gossip-net.h \
	tests/test-steering-util.h
tests_test_gossip_SOURCES = $(GOSSIP_NET) tests/test-gossip.c
tests_test_gossip_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
tests_test_gossip_records_SOURCES = $(GOSSIP_NET) tests/test-gossip-records.c
tests_test_gossip_records_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
tests_test_gossip_seal_SOURCES = $(GOSSIP_NET) tests/test-gossip-seal.c
tests_test_gossip_seal_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
tests_test_session_host_SOURCES = \
	datapath-hooks/session/session-proc.c \
	datapath-hooks/session/session-proc.h \
	tests/test-session-host.c \
	tests/test-util.h
tests_test_session_host_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
noinst_PROGRAMS += \
	tests/gossip-node \
	tests/gossip-sim \
	tests/gossip-storm
GOSSIP_UDP = \
	datapath-hooks/session/gossip-udp.c \
	datapath-hooks/session/gossip-udp.h
tests_gossip_node_SOURCES = $(GOSSIP_UDP) tests/gossip-node.c
tests_gossip_node_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
tests_gossip_sim_SOURCES = tests/gossip-sim.c
tests_gossip_sim_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
tests_gossip_storm_SOURCES = $(GOSSIP_UDP) tests/gossip-storm.c
tests_gossip_storm_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm

# Session table, header cache, prediction of migrations.
PHC_STORE_SOURCES = \
	datapath-hooks/session/phc-check.c \
	datapath-hooks/session/phc-check.h \
	datapath-hooks/session/phc-l2.c \
	datapath-hooks/session/phc-l2.h \
	datapath-hooks/session/phc-store.c \
	datapath-hooks/session/phc-store.h \
	datapath-hooks/session/phc-store-file.c \
	datapath-hooks/session/phc-store-impl.h
check_PROGRAMS += \
	tests/fuzz-icmp \
	tests/fuzz-phc \
	tests/test-phc \
	tests/test-phc-store \
	tests/test-sess \
	tests/test-sess-icmp \
	tests/test-sess-plan \
	tests/test-tpam
tests_fuzz_icmp_SOURCES = \
	tests/fuzz-icmp.c \
	tests/fuzz-util.c \
	tests/fuzz-util.h
tests_fuzz_icmp_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
tests_fuzz_phc_SOURCES = \
	datapath-hooks/session/phc-check.c \
	tests/fuzz-phc.c \
	tests/fuzz-util.c \
	tests/fuzz-util.h
tests_fuzz_phc_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
tests_test_phc_store_SOURCES = \
	$(PHC_STORE_SOURCES) \
	tests/test-phc-l2.c \
	tests/test-phc-restore.c \
	tests/test-phc-store.c \
	tests/test-phc-store.h \
	tests/test-steering-util.h
tests_test_phc_store_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
tests_test_phc_SOURCES = \
	tests/test-phc.c \
	tests/test-phc.h \
	tests/test-phc-header.c \
	tests/test-phc-race.c \
	tests/test-sess.h
tests_test_phc_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
tests_test_sess_SOURCES = tests/test-sess.c tests/test-sess.h
tests_test_sess_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
tests_test_sess_icmp_SOURCES = tests/test-sess-icmp.c tests/test-util.h
tests_test_sess_icmp_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
tests_test_sess_plan_SOURCES = \
	tests/test-sess-decide.c \
	tests/test-sess-hosts.c \
	tests/test-sess-hosts.h \
	tests/test-sess-plan.c \
	tests/test-sess.h
tests_test_sess_plan_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
tests_test_tpam_SOURCES = tests/test-tpam.c
tests_test_tpam_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
noinst_PROGRAMS += tests/bench-tpam
tests_bench_tpam_SOURCES = tests/bench-tpam.c
tests_bench_tpam_LDADD = ovs-ext/libovsext.a $(OVS_LIBS) -lm
if HAVE_DPDK_SOURCE
noinst_PROGRAMS += tests/bench-phc
tests_bench_phc_CPPFLAGS = $(NIC_MODEL_CPPFLAGS) -DALLOW_EXPERIMENTAL_API
tests_bench_phc_SOURCES = \
	$(NIC_MODEL_PURE) \
	$(PHC_STORE_SOURCES) \
	tests/bench-phc.c \
	tests/bench-sketch.h \
	tests/bench-sketch-traffic.c
tests_bench_phc_LDADD = \
	ovs-ext/libovsext.a $(OVS_LIBS) $(DPDK_LIBS) -lpcap -lm
endif

## Autotest suite.

TESTSUITE = tests/testsuite
AUTOTEST = $(AUTOM4TE) --language=autotest
OVS_MACROS_AT = \
	$(OVS_SRCDIR)/tests/ovs-macros.at \
	$(OVS_SRCDIR)/tests/ovsdb-macros.at \
	$(OVS_SRCDIR)/tests/ofproto-macros.at

# Ours before Open vSwitch's.
EXT_AUTOTEST_PATH = $(abs_top_builddir)/tests/bin:$(abs_top_builddir)/tests:$(abs_top_builddir)/utilities:$(abs_top_builddir)/ovs-ext/controller:$(abs_top_builddir)/datapath-hooks:$(abs_top_builddir)/datapath-hooks/nic-model:$(OVS_BUILDDIR)/utilities:$(OVS_BUILDDIR)/vswitchd:$(OVS_BUILDDIR)/ovsdb:$(OVS_BUILDDIR)/tests

# Made here and not shipped: it contains Open vSwitch's macros.
CLEANFILES += $(TESTSUITE) tests/package.m4 tests/testsuite.log
$(TESTSUITE): tests/package.m4 $(TESTSUITE_AT) $(OVS_MACROS_AT)
	$(AM_V_GEN)$(AUTOTEST) -I tests -I $(srcdir) -I '$(OVS_SRCDIR)' \
	    -o $@.tmp $(srcdir)/tests/testsuite.at && mv $@.tmp $@

tests/package.m4: $(top_builddir)/config.status
	@$(MKDIR_P) tests
	$(AM_V_GEN){ \
	  echo 'm4_define([AT_PACKAGE_NAME], [$(PACKAGE_NAME)])' && \
	  echo 'm4_define([AT_PACKAGE_TARNAME], [$(PACKAGE_TARNAME)])' && \
	  echo 'm4_define([AT_PACKAGE_VERSION], [$(PACKAGE_VERSION)])' && \
	  echo 'm4_define([AT_PACKAGE_STRING], [$(PACKAGE_STRING)])' && \
	  echo 'm4_define([AT_PACKAGE_BUGREPORT], [the ovs-ext authors])'; \
	} > $@

CLEANFILES += tests/bin/ovs-vswitchd
tests/bin/ovs-vswitchd: datapath-hooks/ovs-vswitchd-ext$(EXEEXT)
	@$(MKDIR_P) tests/bin
	$(AM_V_GEN)ln -sfn ../../datapath-hooks/ovs-vswitchd-ext$(EXEEXT) $@

DISTCLEANFILES += tests/atconfig tests/atlocal

# TESTSUITEFLAGS as in Open vSwitch: "-j2", "-k steering", "5-9", "-v".
TESTSUITEFLAGS = -j2
check-local: $(TESTSUITE) tests/bin/ovs-vswitchd tests/atconfig tests/atlocal \
		$(check_PROGRAMS) $(check_DATA)
	$(SHELL) $(TESTSUITE) -C tests \
	    AUTOTEST_PATH='$(EXT_AUTOTEST_PATH)' $(TESTSUITEFLAGS)

clean-local:
	test ! -f $(TESTSUITE) || $(SHELL) $(TESTSUITE) -C tests --clean
	rm -rf tests/bin tests/check-ovs.dir tests/tsan.dir

# Layer rules, see ARCHITECTURE.rst.  "make check" runs it too.
check-layers:
	$(PYTHON3_SYS) $(srcdir)/tests/layer-lint.py $(srcdir)

## Open vSwitch's own suite with our daemon in place of stock.
##
##   make check-ovs CHECK_OVS_FLAGS="--mode=steering --subset=fast"
CHECK_OVS_FLAGS = --mode=idle --mode=steering --subset=all
CHECK_OVS = $(SHELL) $(srcdir)/tests/check-ovs.sh \
	--ovs-source='$(OVS_SRCDIR)' --ovs-build='$(OVS_BUILDDIR)' \
	--vswitchd='$(abs_top_builddir)/datapath-hooks/ovs-vswitchd-ext' \
	--dir='$(abs_top_builddir)/tests/check-ovs.dir'
check-ovs: datapath-hooks/ovs-vswitchd-ext$(EXEEXT)
	$(CHECK_OVS) $(CHECK_OVS_FLAGS)
check-fast-ovs: datapath-hooks/ovs-vswitchd-ext$(EXEEXT)
	$(CHECK_OVS) --mode=idle --mode=steering --subset=fast

## The lock-free parts of steering and of the profiler under ThreadSanitizer.  DPDK's rings in the
## C11 memory model, whose order the sanitizer can see.
STEER_MOVES_TESTS = reta handoff straggler preempted no-buffers \
	idle-old-queue park-full reta-error pmd-exit port-close unpolled-new-queue \
	no-slot sleep silent-dispatcher unpolled-virtual-queue
check-tsan:
	@$(MKDIR_P) tests/tsan.dir
	cd '$(abs_top_srcdir)' && $(CC) $(tests_test_steer_moves_CPPFLAGS) \
	    -I'$(abs_top_builddir)' -DRTE_USE_C11_MEM_MODEL \
	    $(OVS_CFLAGS) -O1 -g -fsanitize=thread \
	    $(filter %.c,$(tests_test_steer_moves_SOURCES)) \
	    -Wl,--wrap=dp_packet_uninit \
	    -o '$(abs_top_builddir)/tests/tsan.dir/test-steer-moves' \
	    $(tests_test_steer_moves_LDADD) $(LIBS)
	for test in $(STEER_MOVES_TESTS); do \
	    TSAN_OPTIONS='suppressions=$(abs_top_srcdir)/tests/tsan.supp halt_on_error=1' \
	        tests/tsan.dir/test-steer-moves $$test || exit 1; \
	done
	cd '$(abs_top_srcdir)' && $(CC) $(DEFS) $(AM_CPPFLAGS) \
	    -I'$(abs_top_builddir)' $(OVS_CFLAGS) -O1 -g -fsanitize=thread \
	    $(filter %.c,$(tests_test_profile_SOURCES)) \
	    ovs-ext/profile/tp*.c ovs-ext/core/ext-headers.c \
	    -o '$(abs_top_builddir)/tests/tsan.dir/test-profile' \
	    $(OVS_LIBS) -lm $(LIBS)
	TSAN_OPTIONS='halt_on_error=1' tests/tsan.dir/test-profile race
	cd '$(abs_top_srcdir)' && $(CC) $(tests_test_offload_flows_CPPFLAGS) \
	    -I'$(abs_top_builddir)' $(OVS_CFLAGS) -O1 -g -fsanitize=thread \
	    $(filter %.c,$(OFFLOAD_FLOWS_SOURCES)) '$(OVS_SRCDIR)/lib/cmap.c' \
	    -o '$(abs_top_builddir)/tests/tsan.dir/test-offload-flows' \
	    $(tests_test_offload_flows_LDADD) $(LIBS)
	TSAN_OPTIONS='suppressions=$(abs_top_srcdir)/tests/tsan.supp halt_on_error=1' \
	    tests/tsan.dir/test-offload-flows stress
	for test in phc sess; do \
	    case $$test in \
	    phc) files='$(filter %.c,$(tests_test_phc_SOURCES))' ;; \
	    sess) files='$(filter %.c,$(tests_test_sess_SOURCES))' ;; \
	    esac; \
	    (cd '$(abs_top_srcdir)' && $(CC) $(DEFS) $(AM_CPPFLAGS) \
	        -I'$(abs_top_builddir)' $(OVS_CFLAGS) -O1 -g \
	        -fsanitize=thread $$files ovs-ext/session/phc*.c \
	        ovs-ext/session/sess-key.c ovs-ext/session/sess-owner.c \
	        ovs-ext/session/sess-table.c ovs-ext/core/ext-headers.c \
	        -o '$(abs_top_builddir)/tests/tsan.dir/test-'$$test \
	        $(OVS_LIBS) -lm $(LIBS)) || exit 1; \
	    TSAN_OPTIONS='suppressions=$(abs_top_srcdir)/tests/tsan.supp halt_on_error=1' \
	        tests/tsan.dir/test-$$test race || exit 1; \
	done
	cd '$(abs_top_srcdir)' && $(CC) $(tests_test_redirect_CPPFLAGS) \
	    -I'$(abs_top_builddir)' $(OVS_CFLAGS) -O1 -g -fsanitize=thread \
	    $(filter %.c,$(tests_test_redirect_SOURCES)) \
	    -o '$(abs_top_builddir)/tests/tsan.dir/test-redirect' \
	    '$(abs_top_builddir)/ovs-ext/libovsext.a' \
	    $(OVS_LIBS) $(DPDK_LIBS) -lm $(LIBS)
	TSAN_OPTIONS='suppressions=$(abs_top_srcdir)/tests/tsan.supp halt_on_error=1' \
	    tests/tsan.dir/test-redirect stress

# Instructions per packet of the packet path, with and without steering, with
# and without redirection, with and without sessions.
check-instructions: tests/count-steering$(EXEEXT) \
    tests/count-profile$(EXEEXT) \
    tests/count-redirect$(EXEEXT) tests/count-session$(EXEEXT)
	$(SHELL) $(srcdir)/tests/count-instructions.sh tests/count-steering \
	    stock steering
	$(SHELL) $(srcdir)/tests/count-instructions.sh tests/count-profile \
	    stock 1000-flows 10000-flows
	$(SHELL) $(srcdir)/tests/count-instructions.sh tests/count-redirect \
	    stock armed redirected
	$(SHELL) $(srcdir)/tests/count-instructions.sh tests/count-session \
	    stock simple other local reply
	$(SHELL) $(srcdir)/tests/count-instructions.sh tests/count-session \
	    tunnel original known
.PHONY: check-tsan check-instructions
