# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""What a packet of a session costs a PMD thread, above being forwarded from
port to port: it is looked up, its owner determined, its header pushed.  A
thread, which has its CPU to itself, is offered more than it can take; the
difference of its rates says it."""

import time

from bench.fleet import wait_for
from bench.lab import leave_to_pmd, median, say, taking_turns
from bench.session_dut import PMD_MASK, Dut

SESSIONS = 2000
ROUNDS = 5
SLICE_MS = 400
OFFERED = 40                    # Mpps, more than a core can take.
PEERS = 4
SETTLE = 2.5                    # Seconds for which packets may go to former
                                 # owners.  Entries for those would crowd the
                                 # exact match cache for as long as it lasts.


def set_up(args, kind):
    dut = Dut(args, args.vswitchd_ext, SESSIONS, PEERS)
    if kind == "plain":
        dut.forward_plainly()
    elif kind == "tunnel":
        dut.tunnel(0)
    else:
        dut.serve(PEERS)
        for i in range(PEERS):
            dut.locate(i, i)
        time.sleep(SETTLE)
    wait_for("%s: packets delivered" % kind, lambda:
             dut.traffic(50, 0.01)["loss"] == 0, 20)
    return dut


def measure_all(args):
    """Returns the nanoseconds a packet of each kind of forwarding."""
    duts = {}
    for kind in ("plain", "tunnel", "session"):
        say("session: a PMD thread, %s" % kind)
        for other in duts.values():
            other.pause()
        duts[kind] = set_up(args, kind)
    ns = {kind: [] for kind in duts}
    for i in range(ROUNDS):
        order = list(duts)
        for kind in order if i % 2 else reversed(order):
            taking_turns(duts.values(), duts[kind])
            stats = duts[kind].traffic(SLICE_MS, OFFERED)
            ns[kind].append(1e3 / stats["delivered_mpps"])
    for dut in duts.values():
        dut.close()
    return {kind: median(values) for kind, values in ns.items()}


def measure(args):
    """Returns the nanoseconds that steering and encapsulating take."""
    with leave_to_pmd(PMD_MASK):
        ns = measure_all(args)
    say("session: ns/packet: "
        + ", ".join("%s %.0f" % item for item in ns.items()))
    return ns["session"] - ns["plain"]
