# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""The header cache and the session table: time an operation, hits, restart.

Level 1: from a session's key to the complete outer header in front of a
packet, in bursts of 32; entries looked up equally often ("uniform"), or the
flows of the NIC model, each put in the cache by its first packet.  There
"hit_ratio" is that of later packets, "hit_ratio_with_first_packets" of all.
Level "session" is the session table, with the maps of Open vSwitch (cmap) and
DPDK (rte_hash) beside it.  Level 2: the store on disk, gets and puts with
authentication, and the time from opening the file to level 1 being full."""

import json
import shutil
import subprocess
import tempfile

from bench import plot
from bench.lab import emit, fail, median, say, selected

ROUNDS = 3
# Owners, then entries.
UNIFORM = ((64, 8192), (1024, 8192), (8192, 8192), (64, 65536),
           (64, 1000000))
FLOWS = ((64, 16384), (8192, 16384))


def measure(args, argv, rounds=1):
    """The lines that bench-phc prints; the median of each time."""
    found = []
    for seed in range(1, rounds + 1):
        done = subprocess.run([args.header_cache] + [str(a) for a in argv]
                              + [str(seed)], stdout=subprocess.PIPE,
                              universal_newlines=True)
        if done.returncode:
            fail("header-cache: %s failed" % " ".join(map(str, argv)))
        found.append([json.loads(l) for l in done.stdout.splitlines()])
    lines = []
    for same in zip(*found):
        line = dict(same[0])
        for key in ("ns_per_op", "ms"):
            if key in line:
                line[key] = median([l[key] for l in same])
        for key in ("hit_ratio", "hit_ratio_with_first_packets"):
            if key in line:
                line[key] = min(l[key] for l in same)
        line["rounds"] = rounds
        lines.append(line)
    return [l for l in lines if selected(args, level=l["level"], op=l["op"])]


def run(args):
    lines = []

    def add(*argv, rounds=ROUNDS):
        for line in measure(args, argv, rounds):
            lines.append(line)
            emit(line)

    if selected(args, level="l1"):
        for owners, entries in UNIFORM:
            say("header-cache: %d entries, %d owners" % (entries, owners))
            add("l1", entries, owners, "uniform")
        for owners, entries in FLOWS:
            say("header-cache: flow mixtures, %d entries, %d owners"
                % (entries, owners))
            add("l1", entries, owners, "flow-model")
    if selected(args, level="session"):
        say("header-cache: 1,000,000 sessions")
        add("sess", 1000000)
    if selected(args, level="l2"):
        where = tempfile.mkdtemp(prefix="phc.", dir=args.output_dir)
        try:
            say("header-cache: 1,000,000 entries on disk")
            add("l2", 1000000, where, rounds=1)
        finally:
            shutil.rmtree(where)
    if args.plot:
        rows = [l for l in lines if l["level"] == "l1"
                and l["op"] == "lookup-push"]
        if rows:
            plot.groups(args, "header-cache", ["lookup and push"],
                        [("%s %dk/%d" % (l["traffic"], l["entries"] // 1000,
                                         l["owners"]), [l["ns_per_op"]])
                         for l in rows], "ns a packet")
    return 0
