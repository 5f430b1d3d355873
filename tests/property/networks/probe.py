"""Sends the probe as a real packet of a real process, and watches where it goes.

Taps are AF_PACKET sockets, one for each namespace and bound to no device. That a packet was *delivered* is taken
from the stack itself, since a tap sees it before the input checks: ICMP by the namespace's count of echoes and
echo replies (/proc/net/snmp, snmp6), UDP by the listener and the answer it sends, TCP by the count of
segments where a listener is and by the connection that comes up.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.property.networks.build import Network
from tests.property.networks.spec import Probe
from tests.property.networks.wire import Pattern, innermost

WAIT = 0.09
"""Seconds for a probe whose answer does not come: more than ARP takes to give up, twice."""

_ETH_P_ALL = 0x0003
_SO_TIMESTAMPNS = 35
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _PMTUDISC_DO = 10, 23, 2
_IP_PKTINFO, _IPV6_RECVPKTINFO, _IPV6_PKTINFO = 8, 49, 50


@dataclass(frozen=True, slots=True)
class Sighting:
    """The probe or its answer, seen at a device."""

    netns: str
    device: str
    way: str
    """``in`` or ``out``."""
    own: bool
    """It came in with the device's own MAC as its destination (PACKET_HOST)."""
    tunnelled: bool = False
    """It was inside a tunnel's outer packet."""

    def __str__(self) -> str:
        arrow = {"in": "<", "out": ">"}[self.way]
        return f"{self.netns}/{self.device}{arrow}{'' if self.own or self.way == 'out' else '(other)'}"


@dataclass(frozen=True, slots=True)
class Observed:
    """What the kernel did."""

    delivered: tuple[str, ...] = ()
    """Namespaces in which the request was delivered."""
    answered: tuple[str, ...] = ()
    """Namespaces in which the answer was delivered."""
    request: tuple[Sighting, ...] = ()
    """Where the request was seen, in the order of the kernel's time stamps."""
    reply: tuple[Sighting, ...] = ()
    error: str | None = None
    """What the sending system call said, where it failed at once."""
    unsteady: bool = False
    """The second probe fared otherwise than the first."""


class Session:
    """Taps and listeners in a network that stands, before anything is sent."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.probe = network.spec.probe
        self.taps: dict[str, socket.socket] = {}
        self.listener: socket.socket | None = None
        self.ident = 0x4E00 | os.getpid() & 0xFF
        if self.probe.listening and self.probe.port is not None:
            with network.inside(self.probe.target):
                self.listener = _listen(self.probe)

    def close(self) -> None:
        """Closes every socket."""
        for sock in (*self.taps.values(), *([self.listener] if self.listener else [])):
            sock.close()

    def observe(self) -> Observed:
        """Sends the probe, twice where the first is lost, and returns what was seen of both."""
        for name in self.network.fds:
            with self.network.inside(name):
                self.taps[name] = _tap()
        first = self._attempt()
        runs = [first] if first[1] or first[2] is not None else [first, self._attempt()]
        request, reply = self._sightings()
        delivered = tuple(sorted({name for run in runs for name in run[0]}))
        answered = tuple(sorted({name for run in runs for name in run[1]}))
        unsteady = len(runs) == 2 and runs[0][:2] != runs[1][:2]
        return Observed(delivered, answered, request, reply, first[2], unsteady)

    def _attempt(self) -> tuple[frozenset[str], frozenset[str], str | None]:
        """(where delivered, where answered, error of the system call) of one probe."""
        before = self.counts()
        heard: set[str] = set()
        answered: set[str] = set()
        error = None
        with self.network.inside(self.probe.source):
            sock = _sender(self.probe)
        with sock:
            try:
                _send(sock, self.probe, self.ident)
            except BlockingIOError:
                pass
            except OSError as failed:
                error = os.strerror(failed.errno or 0)
            end = time.monotonic() + WAIT
            while error is None and not answered and (left := end - time.monotonic()) > 0:
                error = self._turn(sock, left, heard, answered)
            if self.probe.proto == "tcp":
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        after = self.counts()
        self._drain()
        rose = {name for name in after if after[name][0] > before[name][0]}
        if self.probe.proto == "icmp":
            heard = rose
            answered = {name for name in after if after[name][1] > before[name][1]}
        elif self.probe.proto == "tcp" and self.listener is not None:
            heard = rose & {self.probe.target}
        return frozenset(heard), frozenset(answered), error

    def _turn(self, sock: socket.socket, left: float, heard: set[str], answered: set[str]) -> str | None:
        """Waits for one event; returns the error that the socket met, if any."""
        poll = select.poll()
        tcp = self.probe.proto == "tcp"
        poll.register(sock, select.POLLOUT if tcp else select.POLLIN)
        if self.listener is not None and not tcp:
            poll.register(self.listener, select.POLLIN)
        for fd, _ in poll.poll(left * 1000):
            if self.listener is not None and fd == self.listener.fileno():
                heard.add(self.probe.target)
                with contextlib.suppress(OSError):
                    answer_one(self.listener, self.probe)
                continue
            failed = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if failed:
                return os.strerror(failed)
            if tcp or self._is_answer(sock):
                answered.add(self.probe.source)
        return None

    def _is_answer(self, sock: socket.socket) -> bool:
        try:
            data = sock.recv(65536)
        except OSError:
            return False
        if self.probe.proto == "udp":
            return True
        data = data[20:] if self.probe.family == 4 else data
        return data[0] in (0, 129) and data[4:6] == self.ident.to_bytes(2, "big")

    def _drain(self) -> None:
        """Forgets what came for the listener too late, so that the next probe starts clean."""
        if self.listener is None:
            return
        with contextlib.suppress(OSError):
            while True:
                if self.probe.proto == "tcp":
                    self.listener.accept()[0].close()
                else:
                    self.listener.recv(65536)

    def counts(self) -> dict[str, tuple[int, int]]:
        """(requests, answers) that each namespace's stack has taken in so far."""
        found = {}
        for name in self.network.fds:
            with self.network.inside(name):
                found[name] = _count(self.probe)
        return found

    def _sightings(self) -> tuple[tuple[Sighting, ...], tuple[Sighting, ...]]:
        """(request, reply) by time; each device and way once."""
        pattern = Pattern.of(self.probe, self.ident)
        events: list[tuple[int, int, str, Sighting]] = []
        for name, tap in self.taps.items():
            for at, device, kind, frame in _frames(tap):
                packet = innermost(frame)
                matched = pattern.match(packet)
                if packet is not None and matched is not None:
                    way = "out" if kind == socket.PACKET_OUTGOING else "in"
                    sighting = Sighting(name, device, way, kind == socket.PACKET_HOST, packet.tunnelled)
                    events.append((at, len(events), matched, sighting))
        events.sort(key=lambda event: event[:2])
        request = dict.fromkeys(event[3] for event in events if event[2] == "request")
        reply = dict.fromkeys(event[3] for event in events if event[2] == "reply")
        return tuple(request), tuple(reply)


def _tap() -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.setblocking(False)
    return sock


def _frames(tap: socket.socket) -> Iterator[tuple[int, str, int, bytes]]:
    """(nanoseconds, device, PACKET_*, frame) of everything a tap holds."""
    while True:
        try:
            frame, control, _, address = tap.recvmsg(65536, 64)
        except BlockingIOError:
            return
        seconds, nanos = struct.unpack("qq", control[0][2]) if control else (0, 0)
        yield seconds * 1_000_000_000 + nanos, address[0], address[2], frame


def _family(probe: Probe) -> socket.AddressFamily:
    return socket.AF_INET6 if probe.family == 6 else socket.AF_INET


def _listen(probe: Probe) -> socket.socket:
    assert probe.port is not None
    sock = socket.socket(_family(probe), socket.SOCK_STREAM if probe.proto == "tcp" else socket.SOCK_DGRAM)
    if probe.family == 6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind(("", probe.port))
    sock.setblocking(False)
    if probe.proto == "tcp":
        sock.listen(8)
    elif probe.family == 6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    return sock


def _sender(probe: Probe) -> socket.socket:
    if probe.proto == "icmp":
        proto = socket.IPPROTO_ICMPV6 if probe.family == 6 else socket.IPPROTO_ICMP
        sock = socket.socket(_family(probe), socket.SOCK_RAW, proto)
    else:
        sock = socket.socket(_family(probe), socket.SOCK_STREAM if probe.proto == "tcp" else socket.SOCK_DGRAM)
    if probe.family == 6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_DO)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_DO)
    sock.setblocking(False)
    return sock


def _send(sock: socket.socket, probe: Probe, ident: int) -> None:
    """Hands the probe to the kernel. Raises OSError where it refuses at once."""
    if probe.proto == "tcp":
        sock.connect((probe.address, probe.port or 0))
        return
    payload = bytes(probe.size - (48 if probe.family == 6 else 28))
    if probe.proto == "icmp":
        head = struct.pack(">BBHHH", 128 if probe.family == 6 else 8, 0, 0, ident, 1)
        checksum = 0 if probe.family == 6 else _checksum(head)
        payload = struct.pack(">BBHHH", head[0], 0, checksum, ident, 1) + payload
    sock.sendto(payload, (probe.address, probe.port or 0))


def _checksum(head: bytes) -> int:
    """The Internet checksum (RFC 1071) of a header before a payload of zeros."""
    total = sum(struct.unpack(">4H", head))
    total = (total >> 16) + (total & 0xFFFF)
    return int(~(total + (total >> 16)) & 0xFFFF)


def answer_one(listener: socket.socket, probe: Probe) -> None:
    """Sends a UDP request back, from the very address it came to."""
    data, control, _, sender = listener.recvmsg(65536, 128)
    for level, kind, value in control:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            # struct in_pktinfo: ifindex, spec_dst, addr; the answer's source is spec_dst.
            info = struct.pack("i", 0) + value[8:12] + bytes(4)
            listener.sendmsg([data], [(socket.IPPROTO_IP, _IP_PKTINFO, info)], 0, sender)
        elif level == socket.IPPROTO_IPV6 and kind == _IPV6_PKTINFO:
            info = value[:16] + struct.pack("i", 0)
            listener.sendmsg([data], [(socket.IPPROTO_IPV6, _IPV6_PKTINFO, info)], 0, sender)


def _count(probe: Probe) -> tuple[int, int]:
    """(requests, answers) of the namespace the caller is in."""
    if probe.proto == "icmp" and probe.family == 6:
        text = Path("/proc/thread-self/net/snmp6").read_text(encoding="ascii")
        values = dict(line.split() for line in text.splitlines())
        return int(values["Icmp6InEchos"]), int(values["Icmp6InEchoReplies"])
    text = Path("/proc/thread-self/net/snmp").read_text(encoding="ascii")
    kind = "Icmp: " if probe.proto == "icmp" else "Tcp: "
    names, numbers = (line.split() for line in text.splitlines() if line.startswith(kind))
    values = dict(zip(names, numbers, strict=True))
    return (int(values["InEchos"]), int(values["InEchoReps"])) if probe.proto == "icmp" else (int(values["InSegs"]), 0)
