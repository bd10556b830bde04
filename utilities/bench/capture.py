# Copyright (c) 2026 The ovs-ext authors.
# SPDX-License-Identifier: Apache-2.0
"""Stores UDP datagrams that come in by an interface, as someone who hears the
network would:

    capture.py INTERFACE PORT FILE COUNT

stores the payloads of the next COUNT datagrams to PORT, each after its length
in two bytes, and ends.  This is what tests/gossip-storm reads."""

import socket
import struct
import sys

ETH_P_IP = 0x0800


def payload(frame, port):
    """The UDP payload of a frame to 'port', or None."""
    ip = frame[14:]
    if len(ip) < 28 or frame[12:14] != b"\x08\x00" or ip[9] != 17:
        return None
    udp = ip[(ip[0] & 15) * 4:]
    _, dport, length, _ = struct.unpack("!HHHH", udp[:8])
    return udp[8:length] if dport == port else None


def main(interface, port, path, count):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                         socket.htons(ETH_P_IP))
    sock.bind((interface, ETH_P_IP))
    stored = 0
    with open(path, "wb") as f:
        while stored < int(count):
            frame, sender = sock.recvfrom(65536)
            data = payload(frame, int(port))
            if data is not None and sender[2] != socket.PACKET_OUTGOING:
                f.write(struct.pack("!H", len(data)) + data)
                stored += 1


if __name__ == "__main__":
    main(*sys.argv[1:])
