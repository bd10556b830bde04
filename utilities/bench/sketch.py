# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""The heavy-hitter sketch of the traffic profiler: time a packet, how many of
the true 100 largest flows it finds, memory; DPDK's rte_member beside it.

Traffic: sizes as 1/rank (Zipf), the NIC model's flow mixtures, and, where
there are such data, other measured mixtures and real captures.  The window is
the number of packets after which the 100 largest are asked for."""

import json
import os
import subprocess

from bench import plot
from bench.lab import captures, emit, fail, median, say, selected

ROUNDS = 3
SKETCHES = ("ext", "rte-member:1", "rte-member:0.01")


def mixtures():
    """Files with measured mixtures of flow lengths, if there are any."""
    top = os.environ.get("OVS_EXT_DATA") or os.path.join(
        os.path.dirname(os.path.realpath(__file__)), "../../../shared/data")
    names = ("all", "tcp", "udp")
    paths = [(n, os.path.join(top, "flow-models",
                              "agh2015-%s-length-flows.json" % n))
             for n in names]
    return [(n, os.path.realpath(p)) for n, p in paths if os.path.exists(p)]


def cases():
    """Yields (name, generator, its arguments, packets)."""
    for window in (1, 4, 16):
        yield "zipf-1.0-200k", "zipf", "1.0,200000", window * 10 ** 6
    for window in (1, 4):
        yield ("flow-model", "flow-model", "active=10000",
               window * 10 ** 6)
    for name, path in mixtures():
        yield "mixture-" + name, "mixture", path, 4 * 10 ** 6
    pcaps = captures()
    if pcaps:
        yield ("captures", "captures", "copies=40,pcap=" + ":".join(pcaps),
               10 ** 6)


def measure(args, sketch, generator, argument, packets):
    """Runs one case with several seeds, of which the median counts."""
    lines = []
    for seed in range(1, ROUNDS + 1):
        done = subprocess.run([args.sketch, sketch, generator, argument,
                               str(packets), str(seed)],
                              stdout=subprocess.PIPE,
                              universal_newlines=True)
        if done.returncode:
            fail("sketch: %s with %s failed" % (sketch, generator))
        lines.append(json.loads(done.stdout))
    line = lines[0]
    line["ns_per_packet"] = median([l["ns_per_packet"] for l in lines])
    line["top100_min"] = min(l["top100"] for l in lines)
    line["top100"] = int(median([l["top100"] for l in lines]))
    line["rounds"] = ROUNDS
    return line


def run(args):
    lines = []
    for name, generator, argument, packets in cases():
        for sketch in SKETCHES:
            if not selected(args, traffic=name, sketch=sketch):
                continue
            if sketch != "ext" and packets > 4 * 10 ** 6:
                continue            # Takes long and shows nothing new.
            say("sketch: %s, %s, %d packets" % (sketch, name, packets))
            line = measure(args, sketch, generator, argument, packets)
            line["traffic"] = name
            lines.append(line)
            emit(line)
    if args.plot and lines:
        names = sorted({l["sketch"] for l in lines})
        groups = []
        for traffic in dict.fromkeys((l["traffic"], l["packets"])
                                     for l in lines):
            found = {l["sketch"]: l["ns_per_packet"] for l in lines
                     if (l["traffic"], l["packets"]) == traffic}
            groups.append(("%s %.0fM" % (traffic[0], traffic[1] / 1e6),
                           [found.get(n) for n in names]))
        plot.groups(args, "sketch", names, groups, "ns a packet")
    return 0
