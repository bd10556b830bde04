# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""Which flows the NIC's flow table holds: the share of packets that match in
hardware while the popularity of flows changes, stock and ours on the same
traffic, against an oracle that knows the busiest flows of each phase."""

import json
import re
import time

from bench import plot
from bench.lab import (Switch, emit, median, pipeline_exact, say,
                       selected)

FLOWS = 100000
RATE = 0.5                      # Mpps.
TABLES = (1000, 8000)
SHIFT_MS = 6000                 # Popularity changes as often...
N_SHIFTS = 4                    # ...and this is its number of phases.
WINDOW_MS = 100                 # Step of the curve.
SET_UP_S = 15                   # At most.
SET_UP = 0.95                   # Of the flows; the rest send too seldom.
SETTLED = 0.95                  # Of the oracle's share.
POLICIES = ("stock", "ext")


def start(args, policy, table):
    program = args.vswitchd_stock if policy == "stock" else args.vswitchd_ext
    more = {} if policy == "stock" else {"ext_offload": "on"}
    # One PMD thread: the other core is for revalidators, the offload thread
    # and, in ours, the agent.
    switch = Switch(args, program, mask=0x2, hw_offload="true",
                    flow_limit="200000", **more)
    switch.ports(1, "scenario=zipf,zipf=1,flows=%d,seqlen=1048576,rate=%g,"
                 "seed=1,flow_max=%d,shift_ms=%d"
                 % (FLOWS, RATE, table, SHIFT_MS),
                 pipeline_exact(), n_rxq_desc=4096)
    return switch


def megaflows(switch):
    """Flows in the datapath."""
    return int(re.search(r"\(current (\d+)\)",
                         switch.appctl("upcall/show")).group(1))


def set_up_flows(switch):
    """Sends until there is a megaflow for nearly each flow.  Left to itself,
    Open vSwitch would begin with 10,000 and allow 1,000 more twice a
    second."""
    switch.appctl("upcall/set-flow-limit", 2 * FLOWS)
    switch.nic("start", "--ms", SET_UP_S * 1000)
    deadline = time.time() + SET_UP_S
    while time.time() < deadline and megaflows(switch) < SET_UP * FLOWS:
        time.sleep(0.2)
    say("%d megaflows" % megaflows(switch))
    switch.nic("stop")
    switch.nic("wait")


def cycles_busy(switch):
    """Busy cycles of the PMD thread so far."""
    busy = 0
    for line in switch.appctl("dpif-netdev/pmd-stats-show").splitlines():
        if line.strip().startswith("processing cycles:"):
            busy += int(line.split(":")[1].split()[0])
    return busy


def measure(switch, seconds):
    """Sends for 'seconds'; returns the model's figures and busy cycles."""
    before = cycles_busy(switch)
    figures = switch.traffic(seconds * 1000, windows=True)
    return figures, cycles_busy(switch) - before


def shares(figures):
    """Lists (time in s, packets, packets matched in hardware), in steps of
    WINDOW_MS."""
    bins = {}
    for w in figures["windows"]:
        step = bins.setdefault(int(w["t_ms"] / WINDOW_MS + 0.01), [0, 0])
        # What rules take away does not count as offered.
        step[0] += w["offered"] + w["nic_dropped"]
        step[1] += w["flow_hits"]
    return [(n * WINDOW_MS / 1000, packets, hits)
            for n, (packets, hits) in sorted(bins.items()) if packets]


def settle_time(points, begin, end, oracle):
    """Seconds from 'begin' until the share, over the last half second, is
    SETTLED of the oracle's and stays so until 'end'; None if never."""
    settled = None
    for t, _, _ in points:
        if not begin + 0.5 <= t + WINDOW_MS / 1000 <= end:
            continue
        last = [p for p in points if t - 0.45 < p[0] < t + 0.05]
        share = sum(p[2] for p in last) / max(sum(p[1] for p in last), 1)
        if share < SETTLED * oracle:
            settled = None
        elif settled is None:
            settled = t + WINDOW_MS / 1000 - begin
    return settled


def late_share(points, begin, end):
    """Share from 3 s after a change until the next one."""
    part = [p for p in points if begin + 3 <= p[0] < end]
    return sum(p[2] for p in part) / max(sum(p[1] for p in part), 1)


def lines(policy, table, figures, busy):
    points = shares(figures)
    phase = SHIFT_MS / 1000
    end = points[-1][0]
    tops = [p["top_share"] for p in figures["phases"]]
    settles, shares_, oracles = [], [], []
    n = 0
    while (n + 1) * phase <= end + 0.2:
        oracle = tops[n % len(tops)]
        shares_.append(late_share(points, n * phase, (n + 1) * phase))
        oracles.append(oracle)
        if n:                   # There was no change before the first.
            settles.append(settle_time(points, n * phase, (n + 1) * phase,
                                       oracle))
        n += 1
    rte = figures["rte_flow"]
    return {
        "bench": "offload", "policy": policy, "table": table, "flows": FLOWS,
        "share": median(shares_[1:]), "oracle_share": median(oracles[1:]),
        "share_before": shares_[0],
        "of_oracle": min(s / o for s, o in zip(shares_[1:], oracles[1:])),
        "settle_s": (max(settles) if settles and None not in settles
                     else None),
        "rule_updates_per_s": (rte["inserted"] + rte["removed"]) / end,
        "rejected": rte["rejected"],
        "cycles_per_packet": busy / max(sum(p[1] for p in points), 1),
        "changes": len(settles), "rules": rte["rules"],
        "missed": figures["missed"], "scenario": "zipf",
    }


def run_one(args, policy, table):
    switch = start(args, policy, table)
    say(policy, "table of", table)
    set_up_flows(switch)
    base = switch.stats()["rte_flow"]
    figures, busy = measure(switch, SHIFT_MS / 1000 * N_SHIFTS)
    for key in ("inserted", "removed", "rejected"):
        figures["rte_flow"][key] -= base[key]
    line = lines(policy, table, figures, busy)
    line["megaflows"] = megaflows(switch)
    if policy == "ext":
        show = json.loads(switch.appctl("ext/offload-show", "--json"))
        line["tick_ms"] = show["tick_us"] / 1000
    switch.close()
    return line, shares(figures), [p["top_share"] for p in figures["phases"]]


def run(args):
    history = {}
    oracle = {}
    for table in TABLES:
        for policy in POLICIES:
            if not selected(args, policy=policy, table=table):
                continue
            line, points, tops = run_one(args, policy, table)
            emit(line)
            history[(policy, table)] = points
            oracle[table] = tops
    if args.plot:
        draw(args, history, oracle)
    return 0


def draw(args, history, oracle):
    phase = SHIFT_MS / 1000
    for table, tops in oracle.items():
        series = {policy: [(t, hits / packets) for t, packets, hits
                           in history[(policy, table)]]
                  for policy in POLICIES if (policy, table) in history}
        series["oracle"] = [(t, tops[int(t / phase) % len(tops)])
                            for t, _, _ in next(iter(history.values()))]
        plot.lines(args, "offload-%d" % table, series,
                   "time (s); popularity changes every %g s" % phase,
                   [("share in hardware, table of %d" % table, False)])
