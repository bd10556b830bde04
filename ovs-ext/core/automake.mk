# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
ovs_ext_libovsext_a_SOURCES += \
	ovs-ext/core/ext-headers.c \
	ovs-ext/core/ext-headers.h
ovs_ext_libovsext_a_SOURCES += \
	ovs-ext/core/ext-change.h \
	ovs-ext/core/ext-series.h \
	ovs-ext/core/forecast-ar.c \
	ovs-ext/core/forecast-arima.c \
	ovs-ext/core/forecast-create.c \
	ovs-ext/core/forecast-env.c \
	ovs-ext/core/forecast-fit.c \
	ovs-ext/core/forecast-guess.c \
	ovs-ext/core/forecast-harmonic.c \
	ovs-ext/core/forecast-impl.h \
	ovs-ext/core/forecast-mlp.c \
	ovs-ext/core/forecast-naive.c \
	ovs-ext/core/forecast-nlms.c \
	ovs-ext/core/forecast-season.c \
	ovs-ext/core/forecast-smooth.c \
	ovs-ext/core/forecast-state.h \
	ovs-ext/core/forecast-states.c \
	ovs-ext/core/forecast-track.c \
	ovs-ext/core/forecast-track.h \
	ovs-ext/core/forecast.c \
	ovs-ext/core/forecast.h
