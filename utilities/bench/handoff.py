# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""What handing a packet to another PMD thread costs: processor time of both
threads for each packet, of a port with one queue, once with all buckets kept
and once with all of them handed over."""

import time

from bench import plot
from bench.lab import Switch, emit, fail, median, pipeline_plain, say

ROUNDS = 7
MS = 500
RATE = 8                        # Mpps, which one core can take.


def start(args):
    switch = Switch(args, args.vswitchd_ext, 0x3)
    switch.ports(1, "scenario=balanced,flows=1000,seed=1", pipeline_plain())
    switch.set_mode("static")
    switch.hand_off()
    return switch


def move_all(switch, queue):
    """Moves every bucket to 'queue'."""
    deadline = time.time() + 20
    while True:
        at = switch.port()["queue_of_bucket"]
        away = [b for b, q in enumerate(at) if q != queue]
        if not away:
            return
        if time.time() > deadline:
            fail("handoff: buckets did not move")
        for bucket in away[:32]:
            switch.appctl("ext/steering-debug", "move", "src", bucket, queue,
                          check=False)


def cost(switch):
    """Busy nanoseconds of all PMD threads for each packet delivered."""
    hz = switch.steering()["tsc_hz"]
    before = sum(c["busy_cycles"] for c in switch.steering()["cores"])
    stats = switch.traffic(MS, RATE)
    after = sum(c["busy_cycles"] for c in switch.steering()["cores"])
    return (after - before) / hz * 1e9 / stats["delivered"], stats


def run(args):
    switch = start(args)
    port = switch.port()
    switch.warm_up()
    other = [q["queue"] for q in port["rxqs"]
             if q["virtual"] and q["core"] != port["rxqs"][0]["core"]][0]
    kept, handed, reordered = [], [], 0
    for i in range(ROUNDS):
        say("handoff: round %d of %d" % (i + 1, ROUNDS))
        for queue, to in ((0, kept), (other, handed)):
            move_all(switch, queue)
            ns, stats = cost(switch)
            to.append(ns)
            reordered += stats["reordered"]
    differences = [h - k for h, k in zip(handed, kept)]
    line = {"bench": "handoff", "ns_per_packet": median(differences),
            "ns_min": min(differences), "ns_max": max(differences),
            "ns_kept": median(kept), "ns_handed": median(handed),
            "reordered": reordered, "rounds": ROUNDS,
            "handoff_drops": sum(c["handoff_drops"]
                                 for c in switch.steering()["cores"])}
    emit(line)
    switch.close()
    if args.plot:
        plot.bars(args, "handoff", [("kept", median(kept)),
                                    ("handed over", median(handed))],
                  "ns a packet, both threads")
    return 0
