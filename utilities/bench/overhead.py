# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""What ovs-ext costs: packets/s of one PMD thread, 64-byte frames, stock and
ours side by side on the same traffic."""

from bench import plot
from bench.lab import (Switch, emit, median, pipeline_exact, say, selected,
                       taking_turns)

PAIRS = 7
SLICE_MS = 400
OFFERED = 40                    # Mpps, more than a core can take.


# Every flow a megaflow; in the exact match cache or not.
CASES = (("1k-emc", 1000, {"emc_insert_inv_prob": "1"}), ("10k-megaflows", 10000,
                                {"emc_insert_inv_prob": "0"}))


def builds(args):
    yield "stock", args.vswitchd_stock, None
    if args.vswitchd_debian:
        yield "debian", args.vswitchd_debian, None
    yield "ext-idle", args.vswitchd_ext, "off"
    yield "ext-steering", args.vswitchd_ext, "rl"
    yield "ext-profile", args.vswitchd_ext, "off"


def measure(args, case, flows, config):
    switches = {}
    for name, path, mode in builds(args):
        if selected(args, build=name):
            say("overhead %s: starting %s" % (case, name))
            for other in switches.values():
                other.pause()
            switch = Switch(args, path, mask=0x2, **config)
            switches[name] = switch
            # Two queues, so that there is a table to steer by.
            switch.ports(2, "scenario=balanced,flows=%d,seed=1" % flows,
                         pipeline_exact())
            switch.warm_up(1000, 1.0)
            if mode not in (None, "off"):
                switch.set_mode(mode)
            if name == "ext-profile":
                switch.configure(ext_profile="true")
    rates = {name: [] for name in switches}
    for pair in range(PAIRS):
        say("overhead %s: round %d of %d" % (case, pair + 1, PAIRS))
        order = list(switches)
        for name in order if pair % 2 else reversed(order):
            taking_turns(switches.values(), switches[name])
            stats = switches[name].traffic(SLICE_MS, OFFERED)
            rates[name].append(stats["delivered_mpps"] * 1e6)
    gen = stats["gen_ns_per_packet"] + stats["sink_ns_per_packet"]
    for switch in switches.values():
        switch.close()
    return rates, gen


def run(args):
    lines = []
    for case, flows, config in CASES:
        if not selected(args, case=case):
            continue
        rates, gen = measure(args, case, flows, config)
        for name in rates:
            ratios = [a / b for a, b in zip(rates[name], rates["stock"])]
            line = {"bench": "overhead", "build": name, "case": case,
                    "flows": flows, "pps": median(rates[name]),
                    "ratio_to_stock": median(ratios),
                    "ratio_min": min(ratios), "ratio_max": max(ratios),
                    "pairs": len(ratios), "model_ns_per_packet": gen}
            lines.append(line)
            emit(line)
    if args.plot:
        plot.bars(args, "overhead",
                  [("%s %s" % (l["case"], l["build"]), l["pps"] / 1e6)
                   for l in lines], "Mpps of one PMD thread")
    return 0
