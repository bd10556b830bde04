# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""Affinity under faults: a host whose traffic the controller sends through one
of two accelerators, which then fails.

fault               what happens to the accelerator in use
none                nothing
degrade             it loses 20 % of the packets
dead                it swallows all packets
controller-killed   the controller is killed, then it dies
leader-lost         the leader of a cluster of three databases is killed, then
                    it dies

reassign_ms is the time from the fault until packets are served again, or for
"degrade" until they no longer go through that accelerator; moved_ms until the
controller's instruction names another resource and is carried out (null where
there is no controller to give one).  packets_lost are all those of the run
that did not arrive."""

import time

from bench import plot
from bench.fleet import Fleet, Host, wait_for
from bench.lab import emit, fail, pipeline_plain, say, selected

FAULTS = ("none", "degrade", "dead", "controller-killed", "leader-lost")
RATE = 0.05                     # Mpps: a machine of two cores runs it all.
WINDOW_MS = 10                  # Of the model, by default.
AFTER = {"leader-lost": 12.0}   # Seconds from the fault to the end...
AFTER_OTHERS = 4.0              # ...and of other faults.


def accelerator_of(host):
    """The accelerator that takes both profiles, or None."""
    used = {i["resource"] for i in host.affinity()["instructions"]
            if i["applied"]}
    if len(used) == 1 and next(iter(used)).startswith("port/acc"):
        return used.pop()[len("port/"):]
    return None


def is_off(host, accelerator):
    """No profile goes through 'accelerator'."""
    return not any(i["applied"] and i["resource"] == "port/" + accelerator
                   for i in host.affinity()["instructions"])


def is_on_other(host, accelerator):
    return all(i["applied"] and i["resource"]
               and i["resource"] != "port/" + accelerator
               for i in host.affinity()["instructions"])


def gap_ms(stats):
    """The time in which packets did not arrive, as the sink has it: from the
    first to the last interval that lacks more than half of them."""
    bad = [w["t_ms"] for w in stats["windows"]
           if w["delivered"] < w["offered"] / 2]
    return bad[-1] - bad[0] + WINDOW_MS if bad else 0


def strike(host, fleet, fault, accelerator):
    """Lets 'fault' happen.  Returns the time of the accelerator's."""
    if fault == "controller-killed":
        fleet.kill("onc")
    elif fault == "leader-lost":
        fleet.kill(wait_for("leader", fleet.leader))
    at = time.time()
    if fault == "degrade":
        host.inject(accelerator, "echo_loss=200")
    elif fault != "none":
        host.inject(accelerator, "rx_stall=1")
    return at


def watch(host, accelerator, at, fault):
    """Returns the milliseconds until the host took its traffic off the
    accelerator, and until another resource took it; None for not at all."""
    off = moved = None
    while time.time() < at + AFTER.get(fault, AFTER_OTHERS):
        if off is None and is_off(host, accelerator):
            off = (time.time() - at) * 1e3
        if moved is None and is_on_other(host, accelerator):
            moved = (time.time() - at) * 1e3
        time.sleep(0.01)
    return (None, None) if fault == "none" else (off, moved)


def one(args, fault):
    fleet = Fleet(args, servers=3 if fault == "leader-lost" else 1)
    fleet.start_controller()
    host = Host(args, fleet, "host1", 0x1)
    host.ports(1, "scenario=balanced,flows=1000", pipeline_plain())
    host.accelerator()
    host.accelerator()
    host.join()
    # Profiles form and instructions come while traffic flows.
    host.start_traffic(RATE)
    accelerator = wait_for("instructions", lambda: accelerator_of(host), 40)
    host.stop_traffic()
    host.nic("start", "--rate", RATE)
    time.sleep(1)
    at = strike(host, fleet, fault, accelerator)
    off, moved = watch(host, accelerator, at, fault)
    say("affinity: now at " + ", ".join(
        "%s (%s)" % (i["resource"] or "direct", i["reason"])
        for i in host.affinity()["instructions"]))
    host.stop_traffic()
    stats = host.stats("--windows")
    line = {"bench": "affinity", "fault": fault,
            "reassign_ms": None, "moved_ms": moved,
            "packets_lost": stats["offered"] - stats["delivered"],
            "packets": stats["offered"], "reordered": stats["reordered"]}
    if fault == "degrade":
        line["reassign_ms"] = off
    elif fault != "none":
        line["reassign_ms"] = gap_ms(stats)
    transactions = host.affinity()["transactions"]
    line["db_transactions"] = transactions
    host.close()
    fleet.close()
    return line


def run(args):
    lines = []
    for fault in FAULTS:
        if selected(args, fault=fault):
            say("affinity: %s" % fault)
            lines.append(one(args, fault))
            emit(lines[-1])
    if not lines:
        fail("affinity: no such fault")
    if args.plot:
        plot.bars(args, "affinity",
                  [(line["fault"], line["reassign_ms"] or 0)
                   for line in lines], "ms until served again")
    return 0
