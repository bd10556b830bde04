# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0

dist_man_MANS += utilities/ovs-vswitchd-ext.8

EXTRA_DIST += \
	utilities/quickstart-lib.sh \
	utilities/ovs-ext-bench \
	utilities/bench/__init__.py \
	utilities/bench/decide.py \
	utilities/bench/demo.py \
	utilities/bench/handoff.py \
	utilities/bench/lab.py \
	utilities/bench/order.py \
	utilities/bench/overhead.py \
	utilities/bench/plot.py \
	utilities/bench/policy.py \
	utilities/bench/steering.py \
	utilities/bench/warm.py

bin_PROGRAMS += utilities/ovs-ext-train
utilities_ovs_ext_train_SOURCES = \
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
