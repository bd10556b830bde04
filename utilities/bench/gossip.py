# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""Gossip in a simulated network: tests/gossip-sim runs the code that hosts run
with a clock, a network and random numbers of its own.  "memberlist" and "swim"
are that code with memberlist's parameters (random targets, every 200 ms, a
fixed number of times), "swim" without Lifeguard; memberlist's fallback to TCP
is not modelled.  "anti_entropy" says whether comparisons were on: where they
are off, updates arrive by gossip or not at all.

p50_s and p99_s are the times until all nodes have an update; null: more than
that share never got everywhere.  Of 10,000 nodes each knows 20 (its neighbours
in the ring, or random ones): 10^8 members do not fit into memory.  With
memberlist's parameters those do not get through the first seconds in which
all tell of themselves (stopped after 8 minutes, at 6.5 GB), so it is simulated
up to 1,000."""

import json
import os
import subprocess

from bench import plot
from bench.lab import emit, fail, say, selected

BOTH = ("ours", "memberlist")
ALL = ("ours", "memberlist", "swim")


def cases():
    """Yields (protocols, arguments)."""
    for loss in (0, 0.1, 0.3, 0.5):
        yield BOTH, {"nodes": 8, "loss": loss, "rate": 100,
                     "duration": 330 if loss == 0.3 else 63}
    for nodes, rate, duration in ((32, 10, 60), (100, 10, 60),
                                  (1000, 10, 9)):
        # A thousand at a loss of 0.5 take a minute, most of it suspicions.
        for loss in (0, 0.1, 0.3, 0.5)[:3 if nodes == 1000 else 4]:
            yield BOTH, {"nodes": nodes, "loss": loss, "rate": rate,
                         "duration": duration}
    yield ("ours",), {"nodes": 10000, "loss": 0, "rate": 5, "duration": 5,
                 "view": 20}
    # What it costs to say nothing.
    yield BOTH, {"nodes": 100, "rate": 0, "duration": 60, "sync": 1}
    for loss in (0, 0.1, 0.2, 0.3):
        yield ALL, {"nodes": 100, "loss": loss, "rate": 0, "duration": 400,
                    "scenario": "slow"}
    for scenario in ("flap", "partition"):
        for loss in (0, 0.1):
            yield BOTH, {"nodes": 100, "loss": loss, "rate": 10,
                         "duration": 120, "scenario": scenario, "sync": 1}


def simulate(args, protocol, case):
    program = os.path.join(args.gossip_dir, "gossip-sim")
    done = subprocess.run([program, "--protocol=" + protocol, "--seed=11"]
                          + ["--%s=%s" % kv for kv in case.items()],
                          stdout=subprocess.PIPE, universal_newlines=True)
    if done.returncode:
        fail("gossip-sim failed for %s, %s" % (protocol, case))
    return json.loads(done.stdout)


def run(args):
    lines = []
    for protocols, case in cases():
        for protocol in protocols:
            keys = dict({"scenario": "steady", "loss": 0}, **case)
            if not selected(args, protocol=protocol, nodes=keys["nodes"],
                            loss=keys["loss"], scenario=keys["scenario"]):
                continue
            line = simulate(args, protocol, case)
            lines.append(line)
            emit(line)
    summary(lines)
    if args.plot:
        draw(args, lines)
    return 0


def summary(lines):
    """Says what was aimed at, and what came out."""
    def find(protocol, nodes, loss, scenario="steady"):
        return [l for l in lines if l["updates"] or scenario == "slow"
                if (l["protocol"], l["nodes"], l["loss"], l["scenario"])
                == (protocol, nodes, loss, scenario)]

    for nodes, loss, key, aim in ((100, 0, "p99_s", 0.3),
                                  (100, 0.3, "p99_s", 0.5)):
        for l in find("ours", nodes, loss):
            say("%d nodes, loss %g: %s %s (at most %s): %s"
                % (nodes, loss, key, l[key], aim, "ok"
                   if l[key] is not None and l[key] <= aim else "MISSED"))
    for l in find("ours", 8, 0.3):
        say("8 nodes, loss 0.3: complete_share %s (at least 0.9999): %s"
            % (l["complete_share"],
               "ok" if l["complete_share"] >= 0.9999 else "MISSED"))
    ours = sum(l["false_positives"] for l in lines
               if l["scenario"] == "slow" and l["protocol"] == "ours")
    swim = sum(l["false_positives"] for l in lines
               if l["scenario"] == "slow" and l["protocol"] == "swim")
    if swim:
        say("false positives, slow nodes: ours %d, plain SWIM %d: %s"
            % (ours, swim, "ok" if ours <= swim / 50 else "MISSED"))


def draw(args, lines):
    steady = [l for l in lines if l["scenario"] == "steady" and l["updates"]]
    rows = []
    for nodes, loss in dict.fromkeys((l["nodes"], l["loss"]) for l in steady):
        found = {l["protocol"]: l["p99_s"] for l in steady
                 if (l["nodes"], l["loss"]) == (nodes, loss)}
        rows.append(("%d, %g %%" % (nodes, 100 * loss),
                     [found.get(p) for p in BOTH]))
    plot.groups(args, "gossip", BOTH, rows, "s until all have it, p99")
