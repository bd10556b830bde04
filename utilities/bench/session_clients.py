# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""Clients of a lab (bench.session_lab): long and short connections and UDP
sessions (bench.session_traffic), downloads with curl, and iperf3 over TCP and
UDP."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

from bench import session_traffic
from bench.fleet import wait_for
from bench.lab import fail
from bench.session_lab import IPERF_PORTS, VIP, VIP_ONE


class Clients:
    def __init__(self, lab, tcp=300, udp=100, short=20, downloads=8,
                 iperf=True):
        self.lab = lab
        self.ending = False
        self.done = {"curl": 0, "iperf3 tcp": 0, "iperf3 udp": 0}
        self.faults = []
        self.threads = []
        self.iperfs = {}
        self.main = lab.client.popen(
            sys.executable, session_traffic.__file__, "client", VIP, tcp, udp,
            short, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for i in range(downloads):
            self.keep_doing("curl", self.download, i)
        if iperf:
            for protocol in IPERF_PORTS:
                self.keep_doing("iperf3 " + protocol, self.iperf, protocol)
        wait_for("sessions", lambda: self.ask("report")["answered"]
                 >= tcp + udp, 40, 0.3)

    def keep_doing(self, name, what, *argv):
        """Does 'what' again and again in a thread.  It returns the server's
        name and an error, or None."""
        def run():
            while not self.ending:
                try:
                    fault = what(*argv)
                except (OSError, ValueError):
                    return      # The lab has been closed.
                if fault:
                    self.faults.append((name,) + fault)
                    time.sleep(1)
                self.done[name] += 1

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.threads.append(thread)

    def download(self, number):
        """A download of some seconds."""
        path = os.path.join(self.lab.dir, "download-%d" % number)
        size = 500000 + 70000 * number
        curl = self.lab.client.popen(
            "curl", "-sS", "-o", path, "--limit-rate", "100k",
            "--speed-limit", "1", "--speed-time", session_traffic.STALL,
            "-w", "%header{x-server}", "http://%s/%d" % (VIP, size),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        server, said = curl.communicate()
        if curl.returncode:
            return server or "None", said.strip()
        return (None if session_traffic.verify(path, size)
                else (server, "wrong bytes"))

    def iperf(self, protocol):
        """One run that lasts until all end: its server takes one client at a
        time, and is not ready for the next one at once."""
        argv = ["iperf3", "-c", VIP_ONE, "-p", IPERF_PORTS[protocol],
                "-t", 3600, "-b", "5M", "--forceflush"]
        if protocol == "udp":
            argv += ["-u", "-l", "1200"]
        with open(self.iperf_path(protocol), "w") as out:
            run = self.lab.client.popen(*argv, stdout=out,
                                        stderr=subprocess.STDOUT)
        self.iperfs[protocol] = run
        run.wait()
        with open(self.iperf_path(protocol)) as f:
            said = [line for line in f if line.startswith("iperf3: ")]
        if said and "interrupt - the client has terminated" in said[-1]:
            return None
        return self.lab.backends[0].name, \
            said[-1].strip() if said else "ended by itself"

    def iperf_path(self, protocol):
        return os.path.join(self.lab.dir, "iperf-" + protocol)

    def iperf_moves(self, protocol):
        """In how many seconds so far something was transferred."""
        with open(self.iperf_path(protocol)) as f:
            return len(re.findall(r" sec +(?!0\.00)[0-9.]+ \w*Bytes",
                                  f.read()))

    def end_iperf(self):
        """Has all runs end, once they move."""
        moved = {p: self.iperf_moves(p) for p in self.iperfs}
        deadline = time.monotonic() + session_traffic.STALL
        for protocol, run in self.iperfs.items():
            while self.iperf_moves(protocol) == moved[protocol]:
                if time.monotonic() > deadline or run.poll() is not None:
                    self.faults.append(("iperf3 " + protocol,
                                        self.lab.backends[0].name, "stalled"))
                    break
                time.sleep(0.1)
            run.send_signal(signal.SIGINT)

    def ask(self, command):
        self.main.stdin.write(command + "\n")
        self.main.stdin.flush()
        line = self.main.stdout.readline()
        if not line:
            fail("the clients' process ended")
        return json.loads(line)

    def finish(self):
        """Ends all and returns what became of them."""
        self.ending = True
        report = self.ask("finish")
        self.end_iperf()
        for thread in self.threads:
            thread.join(60)
        report["done"] = self.done
        report["sessions"] += report["short"] + sum(self.done.values())
        report["broken"] += len(self.faults)
        for name, server, said in self.faults:
            fault = "%s %s: %s" % (name, server, said)
            report["faults"][fault] = report["faults"].get(fault, 0) + 1
            report["broken_of"][server] = \
                report["broken_of"].get(server, 0) + 1
        return report
