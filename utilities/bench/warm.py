# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""Warm moves: upcalls after a bucket of 1,000 flows has moved, with and
without its flows being put on the new core first."""

import time

from bench import plot
from bench.lab import Switch, emit, fail, say

FLOWS = 64000                   # 1,000 for each of 64 buckets.
BUCKET = 10


def exact():
    """Megaflows that match one transport flow each."""
    return (["priority=0,actions=drop", "priority=5,in_port=1,"
             "actions=output:2"]
            + ["priority=9,in_port=1,%s,nw_src=192.0.2.%d,nw_dst=192.0.2.%d,"
               "tp_src=%d,tp_dst=%d,actions=drop"
               % (p, i + 1, i + 2, 1 << i, 1 << i)
               for i in range(16) for p in ("tcp", "udp")])


def upcalls(switch):
    return sum(c["upcalls"] for c in switch.steering()["cores"])


def move(args, warm):
    switch = Switch(args, args.vswitchd_ext, 0x3, flow_limit="200000",
                    emc_insert_inv_prob="0", ext_steering_warm=warm)
    switch.ports(2, "scenario=balanced,flows=%d,reta=64,seed=5,seqlen=%d"
                 % (FLOWS, FLOWS * 4), exact())
    switch.set_mode("static")
    switch.warm_up(4000, 0.2)   # Every flow has been seen.
    switch.warm_up(2000, 0.2)
    flows = [p for p in switch.steering()["ports"] if p["name"] == "src"]
    known = switch.steering()["warm"]["flows"]
    before = upcalls(switch)
    queue = flows[0]["queue_of_bucket"][BUCKET]
    put = switch.steering()["warm"]["put"]
    started = time.time()
    switch.appctl("ext/steering-debug", "move", "src", BUCKET, 1 - queue)
    took = time.time() - started
    switch.traffic(3000, 0.2)
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
