# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""Warm moves: upcalls after 1,000 flows have moved, in four buckets, with and
without their being put on the new core first."""

import time

from bench import plot
from bench.lab import Switch, emit, fail, pipeline_exact, say

FLOWS = 16000                   # 250 for each of 64 buckets.
BUCKETS = (10, 12, 14, 16)      # All of queue 0.
RATE = 0.2                      # Mpps: each flow 12 times a second.


def upcalls(switch):
    return sum(c["upcalls"] for c in switch.steering()["cores"])


def move(args, warm):
    switch = Switch(args, args.vswitchd_ext, 0x3, flow_limit="200000",
                    emc_insert_inv_prob="0", ext_steering_warm=warm)
    switch.ports(2, "scenario=balanced,flows=%d,reta=64,seed=5,seqlen=%d"
                 % (FLOWS, FLOWS * 4), pipeline_exact())
    switch.set_mode("static")
    for _ in range(10):
        before = upcalls(switch)
        switch.warm_up(1000, RATE)
        if upcalls(switch) - before < FLOWS / 1000:
            break               # Every flow has been seen.
    flows = [p for p in switch.steering()["ports"] if p["name"] == "src"]
    known = switch.steering()["warm"]["flows"]
    before = upcalls(switch)
    put = switch.steering()["warm"]["put"]
    started = time.time()
    for bucket in BUCKETS:
        switch.appctl("ext/steering-debug", "move", "src", bucket,
                      1 - flows[0]["queue_of_bucket"][bucket])
    took = time.time() - started
    switch.traffic(2000, RATE)
    show = switch.steering()
    result = (upcalls(switch) - before, show["warm"]["put"] - put,
              known, took * 1e3)
    switch.close()
    return result


def run(args):
    say("warm: cold move")
    cold = move(args, "false")
    say("warm: warm move")
    warm = move(args, "true")
    if not cold[0]:
        fail("warm: the cold move caused no upcalls, nothing to compare")
    line = {"bench": "warm", "flows": warm[1], "flows_known": warm[2],
            "upcalls_cold": cold[0], "upcalls_warm": warm[0],
            "ratio": warm[0] / cold[0], "move_ms": warm[3]}
    emit(line)
    if args.plot:
        plot.bars(args, "warm", [("cold", cold[0]), ("warm", warm[0])],
                  "upcalls after a move")
    return 0
