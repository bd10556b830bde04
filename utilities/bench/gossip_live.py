# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""Gossip between real processes on loopback: how long an update takes until
all have it, members wrongly declared dead, and CPU time (percent of one CPU, a
process).  The processes share a few CPUs, so the times hold waiting for
those."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

from bench import plot
from bench.lab import emit, fail, say, selected

BASE = 24000
KEY = "%064d" % 7
TICKS = os.sysconf("SC_CLK_TCK")


class Fleet:
    """Processes that gossip; the first is the seed of all."""

    def __init__(self, args, n, publish, every, more=(), base=BASE):
        self.dir = tempfile.mkdtemp(prefix="gossip.", dir=args.output_dir)
        self.n = n
        self.base = base
        self.nodes = []
        program = os.path.join(args.gossip_dir, "gossip-node")
        for i in range(n):
            with open(self.path(i), "w") as out:
                self.nodes.append(subprocess.Popen(
                    [program, "--name=node-%d" % i, "--key=" + KEY,
                     "--listen=" + self.address(i),
                     "--seed=" + self.address(0 if i else 1),
                     "--members=%d" % n, "--publish=%d" % publish,
                     "--every=%d" % every]
                    + [m.format(i=i, dir=self.dir) for m in more],
                    stdout=out, stderr=subprocess.STDOUT))

    def path(self, i):
        return os.path.join(self.dir, "node-%d" % i)

    def address(self, i):
        return "127.0.0.1:%d" % (self.base + i)

    def lines(self, i):
        with open(self.path(i)) as f:
            return f.read().splitlines()

    def wait(self, done, seconds, what):
        end = time.monotonic() + seconds
        while not all(done(i) for i in range(self.n)):
            if any(p.poll() is not None for p in self.nodes):
                self.stop()
                fail("a gossip-node ended, see " + self.dir)
            if time.monotonic() > end:
                self.stop()
                fail("gossip: waited in vain for %s, see %s"
                     % (what, self.dir))
            time.sleep(0.1)

    def wait_met(self, seconds=60):
        self.wait(lambda i: "m" in self.lines(i), seconds,
                  "%d members" % self.n)

    def counters(self, i):
        """The counters of node i now."""
        before = sum(l[:1] == "{" for l in self.lines(i))
        self.nodes[i].send_signal(signal.SIGUSR1)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            found = [l for l in self.lines(i) if l[:1] == "{"]
            if len(found) > before:
                return json.loads(found[-1])
            time.sleep(0.02)
        fail("gossip: node %d does not answer" % i)

    def cpu(self):
        """CPU seconds of all."""
        total = 0
        for p in self.nodes:
            with open("/proc/%d/stat" % p.pid) as f:
                fields = f.read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def stop(self):
        for p in self.nodes:
            if p.poll() is None:
                p.terminate()
        for p in self.nodes:
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()

    def remove(self):
        shutil.rmtree(self.dir, True)

    def received(self):
        """(publisher, number) to the latencies in us, one for each node."""
        updates = {}
        for i in range(self.n):
            for line in self.lines(i):
                if line[:2] == "u ":
                    _, publisher, number, us = line.split()
                    updates.setdefault((publisher, int(number)),
                                       []).append(int(us))
        return updates

    def published(self):
        return sum(l[:2] == "p " for i in range(self.n)
                   for l in self.lines(i))

    def deaths(self):
        return sum(l[:2] == "d " for i in range(self.n)
                   for l in self.lines(i))


def quantile(values, q):
    values = sorted(values)
    return values[min(int(q * len(values)), len(values) - 1)]


def measure(args, n):
    publish, every = 10, 2000
    fleet = Fleet(args, n, publish, every)
    try:
        begun = time.monotonic()
        fleet.wait_met()
        met = time.monotonic() - begun
        cpu, at = fleet.cpu(), time.monotonic()
        fleet.wait(lambda i: "p %d" % (publish - 1) in fleet.lines(i),
                   4 * publish * every / 1000, "updates")
        cpu = (fleet.cpu() - cpu) / (time.monotonic() - at)
        time.sleep(2)                   # The last update, on its way.
        idle, at = fleet.cpu(), time.monotonic()
        time.sleep(5)
        idle = (fleet.cpu() - idle) / (time.monotonic() - at)
    finally:
        fleet.stop()
    updates = fleet.received()
    full = [max(v) / 1e6 for v in updates.values() if len(v) == n - 1]
    line = {"bench": "gossip-live", "nodes": n,
            "updates": fleet.published(), "met_s": met,
            "p50_s": quantile(full, 0.5), "p99_s": quantile(full, 0.99),
            "max_s": max(full),
            "complete_share": len(full) / fleet.published(),
            "false_positives": fleet.deaths(),
            "cpu_percent": 100 * cpu / n, "idle_cpu_percent": 100 * idle / n}
    fleet.remove()
    return line


def run(args):
    lines = []
    for n in (32, 64):
        if selected(args, nodes=n):
            say("gossip-live: %d processes" % n)
            lines.append(measure(args, n))
            emit(lines[-1])
    if args.plot and lines:
        plot.bars(args, "gossip-live", [("%d, %s" % (l["nodes"], k), l[k])
                                        for l in lines
                                        for k in ("p50_s", "p99_s")], "s")
    return 0
