# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""The first packets after a migration: a backend goes from host to host, never
to one where it has been, and 2,000 sessions have a packet for it within 20 ms.
The host that steers them has not sent anything to the new place before.

mode         how the new place becomes known
hinted       a hint told of it before, so that the header is ready
unhinted     by the migration itself
stock        no session system: an OpenFlow rule sends everything through
             another tunnel from now on, and what the datapath knew is gone

Service time is from arrival until transmission in the PMD thread, of packets
sent within 20 ms from the first one on that went to the new place.  "p50_us"
and "p99_us" are medians over the migrations of what each has for its 2,000
packets, "pooled_p99_us" is of all packets of all migrations.  "floor"s are the
same of as many runs without a migration, with a command that does nothing in
its place: what the machine takes from the thread and its caches.  The thread
has its CPU to itself, but for what the hypervisor does with that: a stop of
1 ms takes 100 packets, so four in 100 migrations make the pooled p99.

"drops" are packets that did not arrive, within 0.4 s; "reasons" says why the
session system dropped some of them; "missed" are those that the NIC had no
room for, as the thread was late; "outage_ms" is how long, on average, none
arrived; "unmoved" counts migrations after which none went to the new place."""

import time

from bench import plot
from bench.fleet import wait_for
from bench.lab import emit, fail, leave_to_pmd, median, say, selected
from bench.session_dut import PMD_MASK, Dut, peer_address

MODES = ("hinted", "unhinted", "stock")
MIGRATIONS = 100
SESSIONS = 2000
RATE = 0.1                      # Mpps: each session every 20 ms.
LEAD_MS = 20                    # Of traffic before a migration...
AFTER_MS = 400                  # ...and after it.
COUNT_MS = 20                   # Those that count as first.
OUTER_DST = 30                  # Offset of the tunnel's IPv4 destination.


def has_header(dut, peer):
    """Whether the PMD thread has what a packet to 'peer' needs."""
    return any("dst=%s," % peer_address(peer) in line
               and "skb_priority(0x" in line and "tnl_push" in line
               for line in dut.appctl("dpctl/dump-flows").splitlines())


def prepare(dut, mode, peer):
    if mode == "hinted":
        dut.hint(0, peer)
        wait_for("header to " + peer_address(peer),
                 lambda: has_header(dut, peer))


def migrate(dut, mode, peer):
    if mode == "stock":
        dut.tunnel(peer)
        # Else the old tunnel would be used for some time to come.
        dut.appctl("revalidator/purge")
    else:
        dut.locate(0, peer)


def count(windows, start):
    """The service times of what was sent from 'start' ms on, a histogram."""
    histogram = {}
    for window in windows:
        if start <= window["t_ms"] < start + COUNT_MS:
            for us, n in window["latency_histogram"]:
                histogram[us] = histogram.get(us, 0) + n
    return histogram


def run_traffic(dut, after_ms, act):
    """Sends, and does 'act' after a while.  Returns the model's figures and
    when that was, ms."""
    dut.nic("start", "--rate", RATE, "--ms", LEAD_MS + after_ms)
    began = time.time()
    time.sleep(LEAD_MS / 1e3)
    at = (time.time() - began) * 1e3
    act()
    dut.nic("wait", "--timeout", 20)
    return dut.stats("--windows", "--histogram"), at


def stand_still(dut):
    """Service times as of a migration, without one."""
    stats, at = run_traffic(dut, 3 * COUNT_MS, lambda: dut.appctl("version"))
    return count(stats["windows"], round(at))


def one(dut, mode, peer):
    """A migration.  Returns how many packets were not delivered, how many the
    NIC missed as nobody polled it, and the service times of the first of those
    that went to the new place, empty if none did."""
    prepare(dut, mode, peer)
    stats, _ = run_traffic(dut, AFTER_MS, lambda: migrate(dut, mode, peer))
    moved = [window["t_ms"] for window in stats["windows"]
             if window["changes"]]
    missed = stats["missed"]
    return (stats["offered"] - missed - stats["delivered"], missed,
            count(stats["windows"], moved[0]) if moved else {})


def quantile(histogram, q):
    rest = q * sum(histogram.values())
    for us in sorted(histogram):
        rest -= histogram[us]
        if rest <= 0:
            return us
    return None                 # Nothing arrived.


def summary(histograms, prefix=""):
    """What the line of JSON says of the histograms of several runs."""
    pooled = {}
    for histogram in histograms:
        for us, n in histogram.items():
            pooled[us] = pooled.get(us, 0) + n
    figures = {}
    for name, q in ("p50_us", 0.5), ("p99_us", 0.99):
        each = [quantile(h, q) for h in histograms if h]
        figures[name] = median(each) if each else None
    figures["pooled_p99_us"] = quantile(pooled, 0.99)
    figures["max_us"] = max(pooled, default=None)
    return {prefix + name: value for name, value in figures.items()}


def measure(args, mode):
    dut = Dut(args, args.vswitchd_stock if mode == "stock"
              else args.vswitchd_ext, SESSIONS, MIGRATIONS + 1,
              watch=OUTER_DST)
    if mode == "stock":
        dut.tunnel(0)
    else:
        dut.serve()
        dut.locate(0, 0)
    wait_for("packets delivered",
             lambda: dut.traffic(50, RATE)["loss"] == 0, 20)
    upcalls, drops, missed, unmoved = dut.upcalls(), 0, 0, 0
    firsts, floors = [], []
    reasons = None if mode == "stock" else dut.dropped()
    for i in range(MIGRATIONS):
        floors.append(stand_still(dut))
        lost, unpolled, first = one(dut, mode, i + 1)
        firsts.append(first)
        drops += lost
        missed += unpolled
        unmoved += not first
    line = {"bench": "first-packet", "mode": mode, "migrations": MIGRATIONS,
            "sessions": SESSIONS,
            "packets": sum(sum(first.values()) for first in firsts),
            "upcalls": dut.upcalls() - upcalls, "drops": drops,
            "missed": missed, "unmoved": unmoved,
            "outage_ms": drops / MIGRATIONS / RATE / 1e3}
    line.update(summary(firsts))
    line.update(summary(floors, "floor_"))
    if reasons is not None:
        line["reasons"] = {name: n - reasons[name] for name, n
                           in dut.dropped().items() if n > reasons[name]}
    dut.close()
    return line


def run(args):
    lines = []
    for mode in MODES:
        if selected(args, mode=mode):
            say("first-packet: %s, %d migrations" % (mode, MIGRATIONS))
            with leave_to_pmd(PMD_MASK):
                lines.append(measure(args, mode))
            emit(lines[-1])
    if not lines:
        fail("first-packet: no such mode")
    if args.plot:
        plot.bars(args, "first-packet",
                  [(line["mode"], line["p99_us"]) for line in lines],
                  "us until a first packet was sent on, p99")
    return 0
