"""`python3 forger.py INTERFACE FROM TO`: floods TO with heartbeats that nobody should believe.

First it takes down what FROM really sends to TO on this wire. Then, without end and with FROM as
the sender's address, it sends those again, and the same cut short, altered, and pure noise.
Standard library only: it runs inside a node.
"""

import os
import socket
import struct
import sys
import time

PORT = 7801
WANTED = 25
EVERY_S = 0.01


def main() -> None:
    """Captures, says so, and floods until it is killed."""
    interface, source, target = sys.argv[1:]
    kept = capture(interface, source, target)
    sys.stdout.write("captured\n")
    sys.stdout.flush()
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        number = 0
        while True:
            number += 1
            genuine = kept[number % len(kept)]
            for payload in (
                genuine,
                genuine[: len(genuine) // 2],
                altered(genuine, number),
                os.urandom(len(genuine)),
                os.urandom(1300),
                b"",
            ):
                raw.sendto(packet(source, target, payload), (target, 0))
            time.sleep(EVERY_S)


def capture(interface: str, source: str, target: str) -> list[bytes]:
    """The payloads of datagrams that really went from `source` to `target`."""
    wanted = socket.inet_aton(source) + socket.inet_aton(target)
    kept: list[bytes] = []
    every = socket.ntohs(0x0003)
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, every) as wire:
        wire.bind((interface, 0))
        while len(kept) < WANTED:
            data = wire.recv(65535)
            start = (data[0] & 0x0F) * 4
            if data[9] != socket.IPPROTO_UDP or data[12:20] != wanted:
                continue
            if struct.unpack("!H", data[start + 2 : start + 4])[0] == PORT:
                length = struct.unpack("!H", data[start + 4 : start + 6])[0]
                kept.append(data[start + 8 : start + length])
    return kept


def altered(payload: bytes, number: int) -> bytes:
    """One bit of it is another."""
    place = number % len(payload)
    return payload[:place] + bytes([payload[place] ^ 1]) + payload[place + 1 :]


def packet(source: str, target: str, payload: bytes) -> bytes:
    """A UDP datagram in IPv4; the kernel fills in the checksum of the header."""
    udp = struct.pack("!HHHH", PORT, PORT, 8 + len(payload), 0)
    ends = socket.inet_aton(source) + socket.inet_aton(target)
    total = 20 + len(udp) + len(payload)
    head = struct.pack("!BBHHHBBH", 0x45, 0, total, 0, 0, 64, socket.IPPROTO_UDP, 0)
    return head + ends + udp + payload


if __name__ == "__main__":
    main()
