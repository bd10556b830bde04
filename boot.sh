#! /bin/sh
# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
#
# Generates configure and Makefile.in from configure.ac and Makefile.am.
cd "$(dirname "$0")" || exit 1
autoreconf --install --force "$@"
