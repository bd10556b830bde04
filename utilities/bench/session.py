# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""Sessions in a fleet to which something happens, while clients talk to it:
four hosts behind one address (bench.session_lab), real TCP and UDP.

event        what happens
none         nothing
drain1       one of four hosts is drained
drain2       two are, one after the other
migrate      a backend moves to another host, and back
kill         a host and its backend are gone
rotate-key   gossip's key is replaced
partition    two hosts cannot reach the two others for some seconds
storm        100,000 datagrams a second to a host's gossip that it must not
             accept: forged, replayed, truncated, oversized, with an old key
full-disk    hosts cannot write, then a backend moves and back
corrupt      a daemon starts again with garbage on its disk

"broken" are sessions that were reset, stalled or got other bytes than theirs;
"own" those of them whose backend was killed.  "second_hop_share" is the share
of clients' packets that were passed on twice, from two seconds after the event
on, which in "kill" is when the others have taken the host for dead
("noticed_s"); "ns_per_packet" what steering and encapsulating costs a PMD thread
(bench.session_cost).  Mode "stock" is anycast without the session system."""

import time

from bench import plot, session_cost
from bench.lab import emit, fail, say, selected
from bench.session_clients import Clients
from bench.session_dut import DROPS
from bench.session_events import ACTIONS, NEEDS
from bench.session_lab import SessionLab

EVENTS = tuple(ACTIONS)
STOCK_EVENTS = ("none", "drain1", "drain2", "migrate", "kill")
# What becomes of a packet at a host, as ext/sessions-show names it.
OUTCOMES = ("local", "known", "original") + DROPS
BEFORE = 2                      # Seconds of traffic before the event...
SETTLED = 2                     # ...until fleet and counters have settled...
AFTER = 4                       # ...and until the end.
LIGHT = {"tcp": 80, "udp": 40, "short": 10, "downloads": 3}


def counters(lab):
    """What became of clients' packets, at all hosts that live."""
    total = {}
    for host in lab.hosts:
        if not host.dead:
            for name, n in host.show("sessions")["packets"].items():
                total[name] = total.get(name, 0) + n
    return total


def second_hops(before, after):
    """The share of clients' packets that were passed on twice."""
    n = {name: after[name] - before[name] for name in after}
    from_clients = sum(n[name] for name in OUTCOMES) - n["from_peer"]
    return n["second_hop"] / from_clients if from_clients else 0


def watch(lab, event, before=None, **load):
    """Lets 'event' happen while clients are at work, and 'before' be called
    ahead of it.  Returns what became of their sessions, with second hops after
    the event, and in all."""
    ext = lab.mode == "ext"
    clients = Clients(lab, **load)
    time.sleep(BEFORE)
    if before:
        before()
    count = counters(lab) if ext else None
    figures = ACTIONS[event](lab)
    time.sleep(SETTLED)
    settled = counters(lab) if ext else None
    time.sleep(AFTER)
    last = counters(lab) if ext else None
    report = clients.finish()
    report["figures"] = figures or {}
    report["own"] = 0
    if event == "kill":
        dead = lab.backends[-1].name
        report["own"] = report["broken_of"].get(dead, 0)
        report["broken"] -= report["own"]
    if ext:
        report["second_hop_share"] = second_hops(settled, last)
        if event != "kill":
            # The dead host's counters have gone with it.
            report["second_hop_share_all"] = second_hops(count, last)
    return report


def one(args, mode, event, ns_per_packet):
    lab = SessionLab(args, mode, **NEEDS.get(event, {}))
    lab.wait_ready()
    report = watch(lab, event, **(LIGHT if args.light else {}))
    warnings = lab.warnings()
    lab.close()
    for warning in warnings:
        say("session: " + warning)
    for fault, n in sorted(report["faults"].items()):
        say("session: %s, %s: %d times %s" % (mode, event, n, fault))
    line = {"bench": "session", "mode": mode, "event": event,
            "hosts": len(lab.hosts), "sessions": report["sessions"],
            "broken": report["broken"], "own": report["own"],
            "second_hop_share": report.get("second_hop_share"),
            "second_hop_share_all": report.get("second_hop_share_all"),
            "warnings": len(warnings),
            "longest_gap_s": report["longest_gap_s"],
            "ns_per_packet": ns_per_packet}
    line.update(report["figures"])
    return line


def run(args):
    lines = []
    cost = None
    for mode, events in (("ext", EVENTS), ("stock", STOCK_EVENTS)):
        for event in events:
            if not selected(args, mode=mode, event=event):
                continue
            if mode == "ext" and cost is None and not args.light:
                cost = session_cost.measure(args)
            say("session: %s, %s" % (mode, event))
            lines.append(one(args, mode, event,
                             cost if mode == "ext" else None))
            emit(lines[-1])
    if not lines:
        fail("session: no such event")
    if args.plot:
        plot.bars(args, "session",
                  [("%s %s" % (line["mode"], line["event"]), line["broken"])
                   for line in lines], "broken sessions")
    return 0
