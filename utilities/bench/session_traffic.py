# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""Servers and clients whose connections can tell whether they were broken.
Run as a program, in the network namespace of a backend or of the clients:

    session_traffic.py server NAME ADDRESS
    session_traffic.py client ADDRESS TCP UDP SHORT-PER-S

A server echoes what comes over TCP and UDP to port 7007, and sends as many
bytes as wanted over HTTP.  It knows a UDP client from its first datagram on:
each answer carries a number that it has chosen then, so that a session that
another server takes over is found out.

A client keeps TCP connections and UDP sessions open, sends a record over each
a few times a second and compares what comes back; it also opens and closes
SHORT-PER-S connections a second.  On stdin it understands "report" and
"finish": each has it print one line of JSON, the latter when all that was sent
has come back or STALL seconds have passed.

A TCP connection is broken if it is reset, closed, delivers other bytes than
were sent, or still waits for bytes when the client ends.  A UDP session is
broken if another server answers."""

import asyncio
import collections
import json
import os
import random
import resource
import sys
import time

ECHO_PORT = 7007
HTTP_PORT = 80
INTERVAL = 0.4                  # Seconds between records of a connection.
STALL = 20                      # Seconds to wait for what is missing.


def pattern(offset, size):
    """The bytes at 'offset' of what every server sends."""
    first = offset // 16
    text = b"".join(b"%015x\n" % i
                    for i in range(first, (offset + size) // 16 + 1))
    return text[offset - first * 16:][:size]


# Server.

class DatagramEcho(asyncio.DatagramProtocol):
    def __init__(self, name):
        self.name = name
        self.clients = {}

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        cookie = self.clients.setdefault(addr, random.getrandbits(64))
        self.transport.sendto(b"%s %016x " % (self.name, cookie) + data, addr)


async def echo(name, reader, writer):
    writer.write(b"%-16s" % name)
    try:
        while True:
            data = await reader.read(65536)
            if not data:
                break
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()


async def http(name, reader, writer):
    """Answers "GET /N" with N bytes."""
    try:
        request = await reader.readuntil(b"\r\n\r\n")
        size = int(request.split()[1].lstrip(b"/"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n"
                     b"X-Server: %s\r\nConnection: close\r\n\r\n"
                     % (size, name))
        at = 0
        while at < size:
            n = min(16384, size - at)
            writer.write(pattern(at, n))
            await writer.drain()
            at += n
    except (OSError, ValueError, asyncio.IncompleteReadError):
        pass
    writer.close()


async def server(name, address):
    loop = asyncio.get_running_loop()
    name = name.encode()
    await asyncio.start_server(lambda r, w: echo(name, r, w), address,
                               ECHO_PORT, backlog=1024)
    await asyncio.start_server(lambda r, w: http(name, r, w), address,
                               HTTP_PORT, backlog=1024)
    await loop.create_datagram_endpoint(lambda: DatagramEcho(name),
                                        local_addr=(address, ECHO_PORT))
    print("ready", flush=True)
    await asyncio.Event().wait()


# Client.

class Tcp:
    """A connection.  'pending' are the bytes that have to come back."""

    def __init__(self, client):
        self.client = client
        self.server = self.port = None
        self.fault = None
        self.hello = b""
        self.pending = bytearray()
        self.waiting_since = None
        self.gap = 0
        self.records = 0

    def came_back(self, data):
        if self.server is None:
            self.hello += data
            if len(self.hello) < 16:
                return
            self.server = self.hello[:16].decode().strip()
            data = self.hello[16:]
        if bytes(self.pending[:len(data)]) != data:
            self.fault = self.fault or "wrong bytes"
            return
        del self.pending[:len(data)]
        now = time.monotonic()
        if self.waiting_since is not None:
            self.gap = max(self.gap, now - self.waiting_since)
        self.waiting_since = now if self.pending else None

    async def read(self, reader):
        try:
            while True:
                data = await reader.read(65536)
                if not data:
                    break
                self.came_back(data)
            if not self.client.ended:
                self.fault = self.fault or "closed"
        except OSError as e:
            self.fault = self.fault or "reset (%s)" % e.strerror

    def send(self, writer):
        size = random.choice((64, 300, 1400, 4000))
        data = pattern(16 * random.randrange(1 << 24), size)
        self.pending += data
        if self.waiting_since is None:
            self.waiting_since = time.monotonic()
        self.records += 1
        writer.write(data)

    async def run(self):
        self.waiting_since = time.monotonic()
        try:
            reader, writer = await asyncio.wait_for(
                asyncio.open_connection(self.client.address, ECHO_PORT), STALL)
        except (OSError, asyncio.TimeoutError) as e:
            self.fault = "not opened (%s)" % (getattr(e, "strerror", None)
                                              or "timeout")
            return
        self.port = writer.get_extra_info("sockname")[1]
        reading = asyncio.create_task(self.read(reader))
        await asyncio.sleep(random.random() * INTERVAL)
        while not self.client.ending and not self.fault:
            self.send(writer)
            await asyncio.sleep(INTERVAL * random.uniform(0.5, 1.5))
        end = time.monotonic() + STALL
        while (self.pending or not self.server) and not self.fault:
            if time.monotonic() > end:
                self.fault = "stalled"
            await asyncio.sleep(0.05)
        reading.cancel()
        writer.transport.abort() if self.fault else writer.close()


class Udp(asyncio.DatagramProtocol):
    def __init__(self, client):
        self.client = client
        self.server = self.cookie = self.fault = None
        self.sent = self.received = 0

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        name, cookie, text = data.split(b" ", 2)
        number = int(text[:8], 16)
        if text != self.text(number):
            self.fault = self.fault or "wrong bytes"
        elif self.cookie is None:
            self.server, self.cookie = name.decode(), cookie
        elif self.cookie != cookie:
            self.fault = self.fault or "answered by %s, not %s" % (
                name.decode(), self.server)
        self.received += 1

    def error_received(self, exc):
        self.fault = self.fault or "error (%s)" % exc

    @staticmethod
    def text(number):
        return b"%08x" % number + pattern(number * 16, 64 + number % 1000)

    async def run(self):
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(
            lambda: self, remote_addr=(self.client.address, ECHO_PORT))
        await asyncio.sleep(random.random() * INTERVAL)
        while not self.client.ending and not self.fault:
            self.transport.sendto(self.text(self.sent))
            self.sent += 1
            await asyncio.sleep(INTERVAL * random.uniform(0.5, 1.5))
        await asyncio.sleep(1)
        if not self.received:
            self.fault = self.fault or "no answer"
        self.transport.close()


class Client:
    def __init__(self, address, n_tcp, n_udp, short_per_s):
        self.address = address
        self.ending = self.ended = False
        self.tcp = [Tcp(self) for _ in range(n_tcp)]
        self.udp = [Udp(self) for _ in range(n_udp)]
        self.short_per_s = short_per_s
        self.short = self.short_open = 0
        self.short_faults = []

    async def one_short(self):
        """A connection that ends as soon as it has been served."""
        self.short_open += 1
        conn = Tcp(self)
        try:
            reader, writer = await asyncio.wait_for(
                asyncio.open_connection(self.address, ECHO_PORT), STALL)
            conn.send(writer)
            while (conn.pending or not conn.server) and not conn.fault:
                data = await asyncio.wait_for(reader.read(65536), STALL)
                if not data:
                    conn.fault = "closed"
                conn.came_back(data)
            writer.close()
        except asyncio.TimeoutError:
            conn.fault = "stalled"
        except OSError as e:
            conn.fault = "reset (%s)" % e.strerror
        self.short += 1
        self.short_open -= 1
        if conn.fault:
            self.short_faults.append("%s %s" % (conn.server, conn.fault))

    async def shorts(self):
        running = set()
        while not self.ending and self.short_per_s:
            task = asyncio.create_task(self.one_short())
            running.add(task)
            task.add_done_callback(running.discard)
            await asyncio.sleep(random.expovariate(self.short_per_s))
        if running:
            await asyncio.wait(running)

    def report(self):
        everything = self.tcp + self.udp
        faults = collections.Counter(
            "%s %s: %s" % ("tcp" if isinstance(s, Tcp) else "udp",
                           s.server, s.fault) for s in everything if s.fault)
        faults.update("short " + f for f in self.short_faults)
        now = time.monotonic()
        return {"sessions": len(everything),
                "answered": sum(s.server is not None for s in everything),
                "servers": collections.Counter(s.server for s in everything),
                "broken": sum(s.fault is not None for s in everything)
                + len(self.short_faults),
                "broken_of": collections.Counter(
                    [str(s.server) for s in everything if s.fault]
                    + [f.split()[0] for f in self.short_faults]),
                "faults": faults,
                "records": sum(s.records for s in self.tcp),
                "short": self.short,
                "waiting_ports": [s.port for s in self.tcp
                                  if s.waiting_since is not None
                                  and now - s.waiting_since > 1
                                  and not s.fault],
                "longest_gap_s": max([s.gap for s in self.tcp] or [0]),
                "datagrams": sum(s.sent for s in self.udp),
                "datagrams_lost": sum(s.sent - s.received for s in self.udp)}

    def tell(self):
        print(json.dumps(self.report()), flush=True)

    async def commands(self):
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while True:
            line = await reader.readline()
            if line == b"report\n":
                self.tell()
            else:
                self.ending = True
                return

    async def run(self):
        tasks = [asyncio.create_task(s.run()) for s in self.tcp + self.udp]
        tasks.append(asyncio.create_task(self.shorts()))
        await self.commands()
        await asyncio.wait(tasks)
        for task in tasks:
            task.result()
        self.ended = True
        self.tell()


def verify(path, size):
    """Whether a file is what a server sends for "GET /size"."""
    if os.path.getsize(path) != size:
        return False
    with open(path, "rb") as f:
        at = 0
        while at < size:
            data = f.read(65536)
            if data != pattern(at, len(data)):
                return False
            at += len(data)
    return True


def main(argv):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    if argv[0] == "server":
        asyncio.run(server(*argv[1:]))
    else:
        asyncio.run(Client(argv[1], *map(int, argv[2:])).run())


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        pass
