# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""Storms against one of four hosts that gossip: what it accepts of them, and
whether updates still come through.  The attacker has recorded what the victim
received (see tests/gossip-storm.c).  "accepted" counts what opened and came
from no member's address; "traffic_loss" is the share of (update, receiver)
pairs of the time of the storm that never came to be."""

import json
import os
import subprocess
import time

from bench import plot
from bench.gossip_live import KEY, Fleet, quantile
from bench.lab import emit, fail, say, selected

KINDS = ("none", "forged", "replayed", "old-key", "truncated", "oversized")
RATE = 100000
SECONDS = 5
NODES = 4
NEW_KEY = "%064d" % 8
VICTIM = 0


def storm(args, fleet, kind):
    if kind == "none":
        time.sleep(SECONDS)
        return {"sent": 0, "seconds": SECONDS}
    done = subprocess.run(
        [os.path.join(args.gossip_dir, "gossip-storm"), kind,
         fleet.address(VICTIM), os.path.join(fleet.dir, "capture-%d" % VICTIM),
         str(RATE), str(SECONDS), KEY],
        stdout=subprocess.PIPE, universal_newlines=True)
    if done.returncode:
        fail("gossip-storm %s failed" % kind)
    return json.loads(done.stdout)


def foreign(counters):
    return counters["strangers"] + counters["unknown"]


def measure(args, kind, base):
    more = ["--capture={dir}/capture-{i}"]
    if kind == "old-key":
        more.append("--rotate=1500:" + NEW_KEY)
    fleet = Fleet(args, NODES, 1000000, 50, more, base)
    try:
        fleet.wait_met()
        time.sleep(6 if kind == "old-key" else 2)
        before = fleet.counters(VICTIM)
        published = fleet.published()
        result = storm(args, fleet, kind)
        published = fleet.published() - published
        time.sleep(0.5)                 # What is under way, and published.
        after = fleet.counters(VICTIM)
    finally:
        fleet.stop()

    # Updates of the last second before the end may be on their way.
    numbers = {}
    for (publisher, number), got in fleet.received().items():
        numbers.setdefault(publisher, {})[number] = got
    expected = missing = 0
    latencies = []
    for got in numbers.values():
        for number in range(max(got) - 40):
            here = got.get(number, [])
            expected += NODES - 1
            missing += NODES - 1 - len(here)
            latencies += here
    line = {"bench": "gossip-hostile", "kind": kind,
            "sent_per_s": result["sent"] / result["seconds"],
            "arrived_per_s": (after["received"] - before["received"])
            / result["seconds"],
            "accepted": foreign(after) - foreign(before),
            "refused": {k: after[k] - before[k] for k in
                        ("truncated", "oversized", "format", "unknown-key",
                         "replayed", "forged", "earlier-epoch")
                        if after[k] != before[k]},
            "updates": published,
            "traffic_loss": missing / expected if expected else 1,
            "update_p99_s": quantile(latencies, 0.99) / 1e6,
            "false_positives": fleet.deaths()}
    fleet.remove()
    return line


def run(args):
    lines = []
    for i, kind in enumerate(KINDS):
        if selected(args, kind=kind):
            say("gossip-hostile: " + kind)
            lines.append(measure(args, kind, 25000 + 10 * i))
            emit(lines[-1])
    if args.plot and lines:
        plot.bars(args, "gossip-hostile",
                  [(l["kind"], l["update_p99_s"]) for l in lines],
                  "s until an update is at another host, p99")
    return 0
