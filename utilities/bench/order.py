# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""Order: random buckets are moved as fast as moves complete, under traffic
whose every packet is checked at the sink."""

import time

from bench import plot
from bench.lab import Switch, emit, pipeline_plain, say, selected

MOVES = 1000000
RATE = 2.0                      # Mpps.

# Mechanism, queues of the port, its devargs, seconds at least and at most.
CASES = (("reta", 2, "reta=512", 10, 125), ("handoff", 1, "reta=128", 20, 20))


def churn(switch, least, most):
    """Forces moves for at least 'least' seconds and until there were MOVES,
    for 'most' seconds at the most.  Returns what steering-show says then."""
    started = time.time()
    switch.appctl("ext/steering-debug", "churn", 1000000000)
    while True:
        time.sleep(0.5)
        took = time.time() - started
        finished = switch.steering()["moves"]["finished"]
        if took >= most or (took >= least and finished >= MOVES):
            break
    switch.appctl("ext/steering-debug", "churn", 0)
    return switch.wait_for("the last moves", lambda show: not any(
        p["moving"] for p in show["ports"]))


def run_case(args, mechanism, n_rxq, devargs, least, most):
    switch = Switch(args, args.vswitchd_ext, (1 << args.pmds) - 1)
    switch.ports(n_rxq, "scenario=balanced,flows=2000,seed=3," + devargs,
                 pipeline_plain())
    switch.set_mode("static")
    switch.configure(ext_steering_tick="20")
    if mechanism == "handoff":
        switch.hand_off()
    switch.warm_up()
    switch.nic("start", "--rate", RATE)
    show = churn(switch, least, most)
    switch.nic("stop")
    switch.nic("wait", "--timeout", 20)
    stats = switch.stats()
    moves = show["moves"]
    drops = sum(c["handoff_drops"] for c in show["cores"])
    line = {"bench": "order", "mechanism": mechanism,
            "moves": moves["finished"], "packets": stats["delivered"],
            "reordered": stats["reordered"],
            # A virtual queue that is full drops as a device's does: that is
            # "missed", not lost by a move.
            "lost": stats["lost"] - drops,
            "duplicated": stats["duplicated"], "missed": stats["missed"],
            "parked": moves["parked"], "parked_max": moves["parked_max"],
            "called_off": moves["called_off"],
            "handoff_drops": drops,
            "late": sum(c["late"] for c in show["cores"])}
    switch.close()
    return line


def run(args):
    lines = []
    for case in CASES:
        if selected(args, mechanism=case[0]):
            say("order: %s, %d moves, in up to %d s"
                % (case[0], MOVES, case[-1]))
            lines.append(run_case(args, *case))
            emit(lines[-1])
    if args.plot:
        plot.bars(args, "order", [(l["mechanism"], l["moves"])
                                  for l in lines], "moves, all in order")
    return 1 if any(l["reordered"] or l["lost"] or l["duplicated"]
                    for l in lines) else 0
