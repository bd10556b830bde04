# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""A stream of numbered packets to another host and back.

    probe.py ADDRESS PER-SECOND

sends ICMP echo requests, which the other host's kernel answers, until SIGINT;
then it waits for the last answers and prints one JSON object:

sent, lost, duplicated, reordered   packets
longest                             in the longest run of lost ones
rtt_us                              median, 99th percentile and maximum

While it runs it prints the number of answers, a line at a time.  A thread that
is held up sends what it owes, so the rate is right over any longer time."""

import json
import os
import select
import signal
import socket
import struct
import sys
import time

PATIENCE = 0.5                  # Seconds for the last answers.
REPORT = 0.02                   # Seconds between two lines.


def checksum(data):
    s = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff


class Probe:
    def __init__(self, address):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW,
                                    socket.IPPROTO_ICMP)
        self.socket.setblocking(False)
        self.socket.connect((address, 0))
        self.id = os.getpid() & 0xffff
        self.times = []         # When each packet was sent.
        self.rtts = {}          # By number of packet.
        self.last = -1
        self.duplicated = self.reordered = 0

    def send(self):
        n = len(self.times)
        body = struct.pack("!Q", n) + bytes(40)
        head = struct.pack("!BBHHH", 8, 0, 0, self.id, n & 0xffff)
        head = struct.pack("!BBHHH", 8, 0, checksum(head + body), self.id,
                           n & 0xffff)
        self.times.append(time.monotonic())
        try:
            self.socket.send(head + body)
        except OSError:
            pass                # Lost, as any other.

    def receive(self):
        while True:
            try:
                packet = self.socket.recv(2048)
            except BlockingIOError:
                return
            except OSError:
                continue        # What was unreachable was not answered.
            icmp = packet[(packet[0] & 15) * 4:]
            if len(icmp) < 16 or icmp[0] != 0 \
               or struct.unpack("!H", icmp[4:6])[0] != self.id:
                continue
            n = struct.unpack("!Q", icmp[8:16])[0]
            if n in self.rtts:
                self.duplicated += 1
            elif n < len(self.times):
                self.rtts[n] = (time.monotonic() - self.times[n]) * 1e6
                self.reordered += n < self.last
                self.last = max(self.last, n)

    def report(self):
        longest = run = 0
        for n in range(len(self.times)):
            run = 0 if n in self.rtts else run + 1
            longest = max(longest, run)
        rtts = sorted(self.rtts.values()) or [float("nan")]
        return {"sent": len(self.times),
                "lost": len(self.times) - len(self.rtts),
                "longest": longest, "duplicated": self.duplicated,
                "reordered": self.reordered,
                "rtt_us": {"p50": round(rtts[len(rtts) // 2], 1),
                           "p99": round(rtts[len(rtts) * 99 // 100], 1),
                           "max": round(rtts[-1], 1)}}


def main(address, rate):
    stop = []
    signal.signal(signal.SIGINT, lambda *_: stop.append(1))
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    probe = Probe(address)
    begin = time.monotonic()
    said = begin
    while not stop:
        now = time.monotonic()
        while len(probe.times) <= (now - begin) * rate:
            probe.send()
        probe.receive()
        if now - said >= REPORT:
            print(len(probe.rtts), flush=True)
            said = now
        due = begin + len(probe.times) / rate
        select.select([probe.socket], [], [], max(due - time.monotonic(), 0))
    end = time.monotonic() + PATIENCE
    while len(probe.rtts) < len(probe.times) and time.monotonic() < end:
        select.select([probe.socket], [], [], PATIENCE)
        probe.receive()
    print(json.dumps(probe.report()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
