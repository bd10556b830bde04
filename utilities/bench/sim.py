# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""The simulator of ovs-ext-train(1) against the NIC model.

For each scenario, service times are measured on a switch with the NIC model:
a light load says what a batch costs and how often the machine takes a core
away, saturation says what a packet costs in full batches.  Then the scenario
runs at another load, and the simulator meets the same packets (the table of
rates that "ovs-ext-nic rates" makes of the same device arguments) with the
measured times.

Rounds of measuring take turns; figures are medians of them, with the least and
the most.  The interruptions that the simulator is given are those of the two
quietest light loads."""

import json
import os
import subprocess

from bench import plot
from bench.lab import (Switch, emit, fail, median, pipeline_real, say,
                       selected)

ROUNDS = 5
MS = 1000
LIGHT_MPPS = 0.8
LIGHT_MS = 400
SATURATED_MS = 200
BATCH = 32
RING = 2048
FLOWS = 4000
ONSET_MS = 300                  # Of elephants.
NO_LOSS = 1e-4                  # Less counts as none.
LEADS_MS = (1, 3, 5, 7, 9)      # Traffic begins anywhere in a tick.
BUSY = 0.03                     # Interrupted for more of the time: a warning.
TAIL_US = 1.2                   # Longer ones are interruptions...
TAIL_STEP = 1.15                # ...in classes this far apart.
TAIL_MAX_US = 3000


class Scenario:
    def __init__(self, name, devargs, load, saturated, policies=("static",),
                 skip_ms=0):
        self.name = name
        self.devargs = devargs
        self.load = load        # Both: offered / balanced capacity.
        self.saturated = saturated
        self.policies = policies
        self.skip_ms = skip_ms  # Until traffic is what it is to be.


def scenarios(pmds):
    base = "flows=%d,seed=7,skew_queues=%d" % (FLOWS, pmds)
    return [
        Scenario("balanced", "scenario=balanced," + base, 0.65, 1.3),
        Scenario("skew90", "scenario=skew90," + base, 0.8, 0.9,
                 ("static", "rsspp"), 100),
        Scenario("elephants", "scenario=elephants,start_ms=%d,elephants=8,"
                 "elephant_share=0.7,%s" % (ONSET_MS, base), 1.15, 1.3,
                 ("static", "rsspp"), ONSET_MS + 100),
        Scenario("bursts", "scenario=bursts,burst_factor=25," + base, 0.5,
                 1.3),
        Scenario("zipf", "scenario=zipf," + base, 0.65, 1.3,
                 ("static", "rsspp"), 100),
    ]


# Measuring.

def traffic(switch, ms, mpps, skip_ms=0):
    """As switch.traffic(), with the histogram; what happens in the first
    'skip_ms' does not count."""
    switch.nic("start", "--ms", ms, "--rate", mpps)
    if skip_ms:
        switch.wait_for("%d ms of traffic" % skip_ms,
                        lambda _: switch.stats()["elapsed_s"] * 1e3
                        >= skip_ms)
        switch.nic("reset")
    switch.nic("wait", "--timeout", ms / 1000 * 4 + 60)
    return switch.stats("--histogram")


def packet_ns(switch, policy, scenario, mpps):
    """Measures what a packet costs in full batches, from the queues that
    are saturated; None if none is."""
    switch.set_mode(policy)
    stats = traffic(switch, scenario.skip_ms + SATURATED_MS, mpps,
                    scenario.skip_ms)
    seconds = (stats["offered"] / mpps / 1e6 if scenario.skip_ms
               else stats["elapsed_s"])
    times = [seconds / q["received"] * 1e9 for q in stats["queues"]
             if q["missed"] > 0.02 * q["offered"]]
    return median(times) if times else None


def light(switch, pmds):
    """Measures a light load: times of a batch with one packet."""
    switch.set_mode("static")
    stats = traffic(switch, LIGHT_MS, LIGHT_MPPS)
    show = switch.steering()
    batch = ((show["cycles_per_burst"] + show["cycles_per_packet"])
             / show["tsc_hz"] * 1e9)
    idle_polls = stats["polls"] - stats["received"]
    poll = ((pmds * stats["elapsed_s"] * 1e9 - stats["received"] * batch)
            / max(idle_polls, 1))
    p50 = stats["latency_us"]["p50"] * 1e3
    # Three times the mean of an exponential distribution is its p95.
    return {"batch1_ns": batch, "poll_ns": max(poll, 0), "p50_ns": p50,
            "jitter_ns": (stats["latency_us"]["p95"] * 1e3 - p50) / 3,
            "histogram": stats["latency_histogram"]}


def falling(classes):
    """Makes (value, width, end) fall from class to class by averaging
    neighbours that do not."""
    pool = []
    for value, width, end in classes:
        pool.append((value, width, end))
        while len(pool) > 1 and pool[-2][0] < pool[-1][0]:
            v1, w1, e1 = pool.pop()
            v0, w0, _ = pool.pop()
            pool.append(((v0 * w0 + v1 * w1) / (w0 + w1), w0 + w1, e1))
    return pool


def interruptions(histograms):
    """What takes a core away, as [(seconds, Hz)], from latencies at light
    load.  A packet that arrives when 'x' of an interruption is left has to
    wait for 'x', so the density of latencies at 'x' is the rate of
    interruptions longer than 'x'."""
    total = sum(n for h in histograms for _, n in h)
    edges = [TAIL_US]
    while edges[-1] < TAIL_MAX_US:
        edges.append(edges[-1] * TAIL_STEP)
    count = [0] * (len(edges) - 1)
    for histogram in histograms:
        for us, n in histogram:
            for i, low in enumerate(edges[:-1]):
                if low <= us < edges[i + 1]:
                    count[i] += n
    pool = falling([(n / total / (edges[i + 1] - edges[i]) * 1e6,
                     edges[i + 1] - edges[i], edges[i + 1])
                    for i, n in enumerate(count)])
    pool.append((0, 0, 0))
    return [(end * 1e-6, rate - pool[i + 1][0])
            for i, (rate, _, end) in enumerate(pool[:-1])
            if rate > pool[i + 1][0]]


def service_times(lights, full, stops):
    """Times of the simulator's core from those measured.  What interruptions
    take from a saturated core is not the packets'."""
    def of(key):
        return median([l[key] for l in lights])

    full *= 1 - sum(s * hz for s, hz in stops)
    packet = max((BATCH * full - of("batch1_ns")) / (BATCH - 1), 1)
    batch = max(BATCH * (full - packet), 0)
    after = of("batch1_ns") + of("poll_ns") / 2 - of("p50_ns")
    return {"service_ns": packet, "batch_ns": batch,
            "after_ns": min(max(after, 0), batch),
            "poll_ns": of("poll_ns"),
            "jitter_ns": min(max(of("jitter_ns"), 0), packet)}


# Simulating.

def table_of_rates(args, scenario, mpps):
    done = subprocess.run([args.nic_tool, "rates", scenario.devargs,
                           "--rate", "%.6f" % mpps, "--ms", str(MS)],
                          stdout=subprocess.PIPE, universal_newlines=True)
    if done.returncode:
        fail("no table of rates for", scenario.name)
    return done.stdout


def begin_later(table, ms, path):
    """Writes 'table' to 'path' so that it begins after 'ms' of nothing."""
    head, rows = table.split("\n", 1)
    nothing = " ".join("0" * int(head.split()[-1])) + "\n"
    with open(path, "w") as f:
        f.write(head + "\n" + nothing * ms + rows)


def simulate_once(args, policy, path, ms, times, stops, packets):
    argv = [args.trainer, "eval", "--policy=" + policy, "--traffic=none",
            "--cores=%d" % args.pmds, "--rates=" + path,
            "--flows=%d" % FLOWS, "--ring=%d" % RING, "--warmup=0",
            "--duration=%g" % (ms / 1e3), "--repeats=1",
            "--service-ns=%g" % times["service_ns"],
            "--batch-ns=%g" % times["batch_ns"], "--quiet"]
    if packets:
        argv += ["--packets", "--after-ns=%g" % times["after_ns"],
                 "--poll-ns=%g" % times["poll_ns"],
                 "--jitter-ns=%g" % times["jitter_ns"],
                 "--interrupts=" + ",".join("%.4g:%.4g" % s for s in stops)]
    done = subprocess.run(argv, stdout=subprocess.PIPE,
                          universal_newlines=True)
    if done.returncode:
        fail("the simulator failed:", " ".join(argv))
    return json.loads(done.stdout)


def simulate(args, policy, table, times, stops, packets=True):
    path = os.path.join(args.output_dir, "sim.rates")
    results = []
    for lead in LEADS_MS:
        begin_later(table, lead, path)
        results.append(simulate_once(args, policy, path, MS + lead, times,
                                     stops, packets))
    os.remove(path)
    return {key: median([r[key] for r in results])
            for key in ("loss", "p50_us", "p95_us", "p99_us")}


# Comparing.

def of_nic(stats):
    latency = stats["latency_us"]
    return {"offered_mpps": stats["offered_mpps"], "loss": stats["loss"],
            "p50_us": latency["p50"], "p95_us": latency["p95"],
            "p99_us": latency["p99"]}


def combine(lines):
    line = {key: median([l[key] for l in lines]) for key in lines[0]}
    for key in ("loss", "p99_us"):
        line[key + "_min"] = min(l[key] for l in lines)
        line[key + "_max"] = max(l[key] for l in lines)
    line["rounds"] = len(lines)
    return line


def difference(simulated, measured, key, floor=0.0):
    a, b = simulated[key], measured[key]
    if a <= floor and b <= floor:
        return 0.0
    return (a - b) / max(b, floor)


def measure(args, scenario, capacity):
    """Returns what ROUNDS of 'scenario' give: light loads, quietest first,
    packet times and runs, the latter two by policy."""
    lights = []
    full = {p: [] for p in scenario.policies}
    runs = {p: [] for p in scenario.policies}
    switch = Switch(args, args.vswitchd_ext, (1 << args.pmds) - 1,
                    emc_insert_inv_prob="0")
    switch.ports(args.pmds, scenario.devargs, pipeline_real(), RING)
    switch.set_mode("static")
    switch.warm_up(800)
    for _ in range(ROUNDS):
        lights.append(light(switch, args.pmds))
        for policy in scenario.policies:
            # Where steering spreads the load, it takes more to saturate.
            more = scenario.saturated if policy == "static" else 1.3
            full[policy].append(packet_ns(switch, policy, scenario,
                                          more * capacity))
            switch.set_mode(policy)
            runs[policy].append(of_nic(traffic(switch, MS, scenario.load
                                               * capacity)))
    switch.close()
    lights.sort(key=lambda l: sum(us * n for us, n in l["histogram"]
                                  if us > TAIL_US))
    return lights, full, runs


def compare(args, scenario, policy, mpps, measured):
    """Emits the lines of one scenario and policy at the nominal rate 'mpps'.
    Returns those of the NIC model and of the simulator, or None."""
    lights, full, runs = measured
    head = {"bench": "sim", "scenario": scenario.name, "policy": policy}
    known = [ns for ns in full[policy] if ns]
    if not known:
        say("sim: %s, %s: no queue was saturated" % (scenario.name, policy))
        return None
    stops = interruptions([l["histogram"] for l in lights[:2]])
    interrupted = sum(s * hz for s, hz in stops)
    if interrupted > BUSY:
        say("sim: something else takes %.0f %% of the cores: the figures of "
            "%s will not compare" % (100 * interrupted, scenario.name))
    times = service_times(lights, median(known), stops)
    nic = combine(runs[policy])
    table = table_of_rates(args, scenario, mpps)
    emit(dict(head, source="calibration",
              interrupts_hz=sum(hz for _, hz in stops),
              interrupted=interrupted, full_batch_ns_min=min(known),
              full_batch_ns_max=max(known),
              **times))
    emit(dict(head, source="nic-model", **nic))
    for source, packets in (("simulator-fluid", False), ("simulator", True)):
        line = simulate(args, policy, table, times, stops, packets)
        emit(dict(head, source=source, offered_mpps=nic["offered_mpps"],
                  **line))
        loss = difference(line, nic, "loss", NO_LOSS)
        p99 = difference(line, nic, "p99_us")
        emit(dict(head, source="difference", of=source, loss_difference=loss,
                  p99_difference=p99,
                  within_15_percent=max(abs(loss), abs(p99)) <= 0.15))
    return nic, line


def run(args):
    mask = (1 << args.pmds) - 1
    wanted = [s for s in scenarios(args.pmds)
              if selected(args, scenario=s.name)]
    switch = Switch(args, args.vswitchd_ext, mask, emc_insert_inv_prob="0")
    switch.ports(args.pmds, scenarios(args.pmds)[0].devargs, pipeline_real(),
                 RING)
    switch.warm_up(800)
    capacity = median([switch.traffic(300, 10 * args.pmds)["delivered_mpps"]
                       for _ in range(3)])
    switch.close()
    say("sim: %d cores take %.2f Mpps" % (args.pmds, capacity))

    rows = []
    for scenario in wanted:
        say("sim: " + scenario.name)
        measured = measure(args, scenario, capacity)
        for policy in scenario.policies:
            if selected(args, policy=policy):
                pair = compare(args, scenario, policy,
                               scenario.load * capacity, measured)
                if pair:
                    rows.append(("%s, %s" % (scenario.name, policy), pair))
    if args.plot and rows:
        for key, label in (("p99_us", "p99 latency, us"), ("loss", "loss")):
            plot.groups(args, "sim-" + key.replace("_us", ""),
                        ["NIC model", "simulator"],
                        [(name, [max(x[key], 1e-7) for x in pair])
                         for name, pair in rows], label, log=True)
    return 0
