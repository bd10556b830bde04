# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""The demo: one host, two PMD threads, skewed traffic with the statistics of
real flows, stock Open vSwitch and ours in the same run."""

import os

from bench import plot
from bench.lab import (Switch, fail, median, pipeline_real, say,
                       taking_turns)
from bench.steering import calibrate

ROUNDS = 3
MS = 2500
LOAD = 0.8                      # Of what both cores take together.


def traffic(args):
    """Returns a title and the devargs of the demo's traffic."""
    if args.pcap:
        for path in args.pcap:
            if ":" in path or "," in path:
                fail("demo: %s: a path with a colon or comma cannot be "
                     "passed to the NIC model" % path)
        return ("captures: " + " ".join(map(os.path.basename, args.pcap)),
                "scenario=captures,pcap=%s,seed=7" % ":".join(args.pcap))
    return ("flows that come and go, lengths as in 4 billion flows of a "
            "campus network; 90 % of the load on one queue",
            "scenario=flow-model,flow_skew=0.9,active=1000,seed=7")


def switches_up(args, devargs):
    stock = Switch(args, args.vswitchd_stock, emc_insert_inv_prob="0")
    ext = Switch(args, args.vswitchd_ext, emc_insert_inv_prob="0")
    both = {"stock": stock, "ext-steering": ext}
    for name, switch in both.items():
        say("demo: setting up %s" % name)
        taking_turns(both.values(), switch)
        switch.ports(2, devargs, pipeline_real())
        if switch is ext:
            switch.set_mode("static")
        switch.warm_up(1500)
    return both


def one_round(both, name, rate):
    switch = both[name]
    taking_turns(both.values(), switch)
    if name != "stock":
        switch.set_mode("rl")
        before = switch.steering()["moves"]["started"]
    stats = switch.traffic(MS, rate, windows=True)
    stats["moves"] = (0 if name == "stock" else
                      switch.steering()["moves"]["started"] - before)
    return stats


ROWS = (("offered", "Mpps", lambda s: s["offered_mpps"], "%.2f"),
        ("delivered", "Mpps", lambda s: s["delivered_mpps"], "%.2f"),
        ("lost", "%", lambda s: 100 * s["loss"], "%.3f"),
        ("p50", "us", lambda s: s["latency_us"]["p50"], "%.1f"),
        ("p95", "us", lambda s: s["latency_us"]["p95"], "%.1f"),
        ("p99", "us", lambda s: s["latency_us"]["p99"], "%.1f"),
        ("p99.9", "us", lambda s: s["latency_us"]["p999"], "%.1f"),
        ("reordered", "packets", lambda s: s["reordered"], "%d"),
        ("buckets moved", "", lambda s: s["moves"], "%d"))


def table(runs):
    print("%-14s %-8s %14s %14s" % ("", "", "stock", "ext-steering"))
    for title, unit, value, form in ROWS:
        print("%-14s %-8s %14s %14s" % (
            (title, unit) + tuple(form % median([value(s) for s in runs[n]])
                                  for n in ("stock", "ext-steering"))))


def draw(args, runs):
    """Loss and p99 over time, of each switch's last round."""
    series = {}
    for name, stats in runs.items():
        series[name] = [(w["t_ms"],
                         100.0 * w["missed"] / max(w["offered"], 1),
                         max(w["p99_us"] or 0.1, 0.1))
                        for w in stats[-1]["windows"]]
    return plot.lines(args, "demo", series, "milliseconds",
                      (("missed, %", False), ("p99 latency, us", True)))


def run(args):
    title, devargs = traffic(args)
    say("demo: measuring what two cores take")
    rate = LOAD * calibrate(args, 0x3)
    both = switches_up(args, devargs)
    if args.pcap:
        # Captured packets are longer and their pipeline another one.
        rate = LOAD * both["stock"].traffic(400, 20)["delivered_mpps"]
    runs = {name: [] for name in both}
    for i in range(ROUNDS):
        for name in both:
            say("demo: round %d of %d, %s" % (i + 1, ROUNDS, name))
            runs[name].append(one_round(both, name, rate))
    print("\nTraffic: %s.\nTwo PMD threads on two queues of the NIC model, "
          "80 %% of what both take; medians of %d rounds of %.1f s.\n"
          % (title, ROUNDS, MS / 1e3))
    table(runs)
    print("\nThe last decisions, from ovs-appctl ext/steering-history:")
    print(both["ext-steering"].appctl("ext/steering-history", 3).rstrip())
    path = draw(args, runs)
    print("\nPlot: %s" % (path or "none, gnuplot is not installed"))
    print("The NIC is a model; what is compared is the switch behind it.")
    for switch in both.values():
        switch.close()
    return 0
