"""One packet from inside a member, and whether it is answered: the lab's own ping."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time

from netfs.lab import inside
from netfs.lab.state import LabState

_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _PMTUDISC_WANT = 10, 23, 1


def answered(
    lab: LabState,
    src: str,
    address: str,
    *,
    proto: str = "icmp",
    port: int | None = None,
    sport: int | None = None,
    size: int = 56,
    timeout: float = 1.0,
) -> bool:
    """Send one probe from member ``src``, with ``size`` bytes of payload; whether an answer came within ``timeout`` s.

    It goes as the kernel sends by default: whole and with DF where it fits the MTU known, in fragments where not.
    Raises LabError where the member has died.
    """

    def work() -> str:
        if proto == "icmp":
            return str(_echo(address, size, timeout))
        kind = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
        return str(_stream_or_datagram(kind, address, port or 80, sport or 0, size, timeout))

    return inside.capture(lab, lab.member(src), work) == "True"


def _stream_or_datagram(
    kind: socket.SocketKind, address: str, port: int, sport: int, size: int, timeout: float
) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, kind) as sender, contextlib.suppress(OSError):
        sender.settimeout(timeout)
        if sport:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sender.bind(("", sport))
        sender.connect((address, port))
        sender.sendall(bytes(max(size, 1)))
        return bool(sender.recv(65536))
    return False


def _echo(address: str, size: int, timeout: float) -> bool:
    """An echo request, and the wait for its reply."""
    six = ":" in address
    identifier = os.getpid() & 0xFFFF
    kind, reply = (128, 129) if six else (8, 0)
    payload = os.urandom(8)[: max(size, 0)].ljust(size, b"n")
    packet = struct.pack("!BBHHH", kind, 0, 0, identifier, 1) + payload
    if not six:
        packet = packet[:2] + struct.pack("!H", _checksum(packet)) + packet[4:]
    family, number = (socket.AF_INET6, socket.IPPROTO_ICMPV6) if six else (socket.AF_INET, socket.IPPROTO_ICMP)
    with socket.socket(family, socket.SOCK_RAW, number) as sender, contextlib.suppress(OSError):
        level, option = (socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER) if six else (socket.IPPROTO_IP, _IP_MTU_DISCOVER)
        sender.setsockopt(level, option, _PMTUDISC_WANT)
        sender.sendto(packet, (address, 0))
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            sender.settimeout(left)
            data, _ = sender.recvfrom(65536)
            answer = data if six else data[(data[0] & 15) * 4 :]
            if answer[:1] == bytes([reply]) and answer[4:8] == packet[4:8] and answer[8:] == payload:
                return True
    return False


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
