#!/bin/sh
# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
#
# usage: count-instructions.sh PROGRAM MODE...
#
# Prints the instructions that each mode of PROGRAM (tests/count-util.h) takes
# for a packet, and how many more than the first mode that is, by burst size,
# counted by callgrind: a count does not depend on what else the machine does.

set -e
program=$1
shift
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

echo "${program##*/}, instructions per packet:"
printf '%5s %12s' burst "$1"
first=$1
shift
printf ' %12s %11s' $(for mode; do echo "$mode" more; done)
echo
for burst in 1 4 32; do
    for mode in "$first" "$@"; do
        count "$mode" $burst $n
    done | awk -v burst=$burst -v n=$((burst * n)) '
        NR == 1 { first = $1; printf "%5d %12.1f", burst, first / n }
        NR > 1 { printf " %12.1f %11.1f", $1 / n, ($1 - first) / n }
        END { print "" }'
done
