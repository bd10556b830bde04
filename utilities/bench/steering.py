# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""What steering changes: loss and latency under traffic that RSS spreads
badly, by policy, with stock Open vSwitch in the same run."""

import re

from bench import plot
from bench.lab import (Switch, captures, emit, median, pipeline_real, say,
                       selected, taking_turns)

ROUNDS = 2
MS = 1000
LONG_MS = 2500                  # Where stock saturates: a reaction of 20 ms is
                                # less than 1 % of it.
LOAD = 0.8                      # Of what all cores take together.
FLOWS = 4000
BURSTS = 0.65                   # Of that: bursts add 60 % to it for a while.
ELEPHANTS = 1.2                 # Few flows cost less: caches hold them.
ONSET_MS = 300                  # Of elephants.

STOCK = ("stock", "stock-auto-lb")
EXT = ("static", "rsspp", "lpt", "rl")


def scenarios(pmds):
    base = "flows=%d,seed=7,skew_queues=%d" % (FLOWS, pmds)
    yield "balanced", "scenario=balanced," + base
    yield "skew90", "scenario=skew90," + base
    # Of the rate, 30 % are mice on all queues; the rest begins after a while,
    # in a few flows on one queue.
    yield "elephants", ("scenario=elephants,start_ms=%d,elephants=8,"
                        "elephant_share=0.7,%s" % (ONSET_MS, base))
    yield "bursts", "scenario=bursts," + base
    yield "flow-model", "scenario=flow-model,active=200," + base
    files = captures()
    if files:
        yield "captures", "scenario=captures,pcap=%s,%s" % (
            ":".join(files), base)
    else:
        say("steering: no captures in $OVS_EXT_DATA, scenario left out")


def calibrate(args, mask, source="scenario=balanced,seed=7,flows=%d" % FLOWS):
    """Returns the packets/s that all cores of stock take, in Mpps."""
    switch = Switch(args, args.vswitchd_stock, mask, emc_insert_inv_prob="0")
    switch.ports(args.pmds, source, pipeline_real())
    switch.warm_up(800)
    capacity = median([switch.traffic(400, 10 * args.pmds)["delivered_mpps"]
                       for _ in range(3)])
    switch.close()
    return capacity


def first_decision(switch, since):
    """Milliseconds from 'since', time.time(), to the first decision after."""
    day = since - since % 86400
    for line in switch.appctl("ext/steering-history", 1000).splitlines():
        match = re.match(r"(\d+):(\d+):(\d+\.\d+) ", line)
        if match:
            h, m, s = match.groups()
            when = day + int(h) * 3600 + int(m) * 60 + float(s)
            if when >= since:
                return (when - since) * 1e3
    return None


def prepare(switch, policy):
    """Brings 'switch' to the state in which a run of 'policy' begins."""
    if policy in STOCK:
        switch.configure(pmd_auto_lb="true" if policy == "stock-auto-lb"
                         else "false", pmd_auto_lb_rebal_interval="1",
                         pmd_auto_lb_load_threshold="50",
                         pmd_auto_lb_improvement_threshold="0")
    else:
        switch.set_mode(policy)


def one_run(switch, policy, scenario, rate):
    prepare(switch, policy)
    before = None if policy in STOCK else switch.steering()["moves"]
    stats = switch.traffic(LONG_MS if scenario in ("skew90", "elephants")
                           else MS, rate)
    started = switch.traffic_began
    latency = stats["latency_us"]
    line = {"offered_mpps": stats["offered_mpps"],
            "delivered_mpps": stats["delivered_mpps"], "loss": stats["loss"],
            "p50_us": latency["p50"], "p95_us": latency["p95"],
            "p99_us": latency["p99"], "p999_us": latency["p999"],
            "reordered": stats["reordered"],
            "duplicated": stats["duplicated"], "lost": stats["lost"],
            "moves": 0, "reaction_ms": None, "paused_ms": stats["paused_ms"]}
    if before is not None:
        onset = ONSET_MS / 1e3 if scenario == "elephants" else 0
        line["moves"] = switch.steering()["moves"]["started"] \
            - before["started"]
        line["reaction_ms"] = first_decision(switch, started + onset)
    return line


def combine(runs):
    """Medians of what varies, sums of what must be nought."""
    line = {}
    for key in runs[0]:
        values = [r[key] for r in runs if r[key] is not None]
        if key in ("reordered", "duplicated", "lost"):
            line[key] = sum(values)
        else:
            line[key] = median(values) if values else None
    line["loss_min"] = min(r["loss"] for r in runs)
    line["loss_max"] = max(r["loss"] for r in runs)
    line["p99_min_us"] = min(r["p99_us"] for r in runs)
    line["p99_max_us"] = max(r["p99_us"] for r in runs)
    line["rounds"] = len(runs)
    return line


def run_scenario(args, scenario, source, mask, rate):
    policies = [p for p in STOCK + EXT if selected(args, policy=p)]
    stock = Switch(args, args.vswitchd_stock, mask, emc_insert_inv_prob="0")
    ext = Switch(args, args.vswitchd_ext, mask, emc_insert_inv_prob="0")
    switches = (stock, ext)
    for switch in switches:
        taking_turns(switches, switch)
        switch.ports(args.pmds, source, pipeline_real())
        if switch is ext:
            switch.set_mode("static")
        switch.warm_up(1000)
    runs = {p: [] for p in policies}
    for n in range(ROUNDS):
        for policy in policies if n % 2 else reversed(policies):
            if policy == "stock-auto-lb" and n:
                continue        # It acts once a minute at most.
            switch = stock if policy in STOCK else ext
            taking_turns(switches, switch)
            runs[policy].append(one_run(switch, policy, scenario, rate))
    for switch in switches:
        switch.close()
    return {p: combine(r) for p, r in runs.items()}


def run(args):
    mask = (1 << args.pmds) - 1
    capacity = calibrate(args, mask)
    rate = LOAD * capacity
    say("steering: %d cores take %.2f Mpps, offering %.2f"
        % (args.pmds, capacity, rate))
    rows = []
    for scenario, source in scenarios(args.pmds):
        if not selected(args, scenario=scenario):
            continue
        say("steering: " + scenario)
        here = rate
        if scenario == "captures":
            # Longer packets that take other ways through the pipeline.
            here = LOAD * calibrate(args, mask, source)
        elif scenario == "elephants":
            here = rate * ELEPHANTS
        elif scenario == "bursts":
            here = rate * BURSTS
        results = run_scenario(args, scenario, source, mask, here)
        for policy, line in results.items():
            emit(dict({"bench": "steering", "policy": policy,
                       "scenario": scenario, "pmds": args.pmds}, **line))
        rows.append((scenario, results))
    if args.plot and rows:
        titles = list(rows[0][1])
        for key, ylabel in (("p99_us", "p99 latency, us"),
                            ("loss", "loss")):
            plot.groups(args, "steering-" + key.replace("_us", ""), titles,
                        [(s, [max(r[t][key], 1e-7) for t in titles])
                         for s, r in rows], ylabel, log=True)
    return 0
