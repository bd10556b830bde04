#!/bin/sh
# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
#
# usage: count-instructions.sh COUNT-STEERING
#
# Prints the instructions that steering adds to receiving and transmitting, by
# burst size, counted by callgrind: a count does not depend on what else the
# machine does.

set -e
program=$1
n=2000
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# count MODE BURST N: instructions inside count_region().
count() {
    valgrind --tool=callgrind --toggle-collect=count_region \
        --callgrind-out-file="$tmp/out" "$program" "$@" 2> "$tmp/err" || {
        cat "$tmp/err" >&2
        exit 1
    }
    sed -n 's/^==[0-9]*== Collected : *//p' "$tmp/err"
}

printf '%5s %18s %18s %12s\n' burst 'stock per packet' 'steering' 'difference'
for burst in 1 4 32; do
    stock=$(count stock $burst $n)
    steering=$(count steering $burst $n)
    echo "$burst $stock $steering $((burst * n))"
done | awk '{ printf "%5d %18.1f %18.1f %12.1f\n",
              $1, $2 / $4, $3 / $4, ($3 - $2) / $4 }'
