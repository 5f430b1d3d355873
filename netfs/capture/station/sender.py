"""The probe, handed to the kernel from a namespace: a raw socket without IP_HDRINCL (raw(7)).

The kernel makes the IP header, routes it, runs its OUTPUT hooks, fragments it and asks for neighbours. Its refusals
are answers. A raw socket also hears what comes back: it lives for one datagram only, so that a pod's own traffic
never fills it, and what ICMP it may hear is kept from it. Nothing that is dropped there would be told from the
probe's own loss.
"""

from __future__ import annotations

import contextlib
import errno
import math
import socket
import time
from collections.abc import Callable

from netfs.capture.station.checksum import SUMMED, moved
from netfs.capture.station.entry import named
from netfs.capture.station.order import Datagram
from netfs.capture.station.order import Sender as Wanted

IP_MTU_DISCOVER = 10
IPV6_MTU_DISCOVER = 23
DISCOVERY = {False: 0, None: 1, True: 2}
"""IP_PMTUDISC_DONT, _WANT, _DO; IPV6_PMTUDISC_* alike (include/uapi/linux/in.h, in6.h)."""
SOL_RAW = 255
ICMP_FILTER = 1
ICMP6_FILTER = 1
IPPROTO_UDP = 17
MOST_AT_ONCE = 64
"""Packets taken out of a socket before anything else is looked at."""


class Sender:
    """Sends what it was given, one datagram after the other, in time."""

    def __init__(self, wanted: Wanted) -> None:
        """In the namespace to send from. Raises OSError; its ``filename`` is what could not be done."""
        self._wanted = wanted
        self._family = socket.AF_INET if wanted.family == 4 else socket.AF_INET6
        self._to = self._address(wanted.destination, 0)
        self._from = self._address(wanted.source, 0) if wanted.source else None
        self._left = list(reversed(wanted.datagrams))
        self._next = math.inf
        self._open().close()
        self.held = None if wanted.port is None else self._hold(wanted.port)

    def begin(self, now: float) -> None:
        """The first datagram is due; ``now`` as of time.monotonic."""
        if self._left and self._next == math.inf:
            self._next = now

    @property
    def due(self) -> float:
        """When the next datagram leaves, as of time.monotonic; infinite: none."""
        return self._next

    def send(self, mark: Callable[[int], None]) -> tuple[int, int, str]:
        """Send the next datagram: (its number, nanoseconds since the epoch just before, the errno's name or "").

        ``mark`` is called with the number just before the kernel is handed it.
        """
        datagram = self._left.pop()
        self._next = self._next + self._wanted.interval_s if self._left else math.inf
        try:
            own = self._open()
        except OSError as failure:
            return datagram.number, time.time_ns(), name(failure)
        try:
            mark(datagram.number)
            return self._sent(own, datagram)
        finally:
            drain(own)
            own.close()

    def _sent(self, own: socket.socket, datagram: Datagram) -> tuple[int, int, str]:
        at_ns = time.time_ns()
        try:
            if self._wanted.protocol == socket.IPPROTO_TCP and self._from is None:
                own.connect(self._to)  # ip_route_connect: TCP's route is asked for again from the source it found
            data = self._checked(datagram.data, own)
            at_ns = time.time_ns()
            own.sendto(data, self._to)
        except OSError as failure:
            return datagram.number, at_ns, name(failure)
        return datagram.number, at_ns, ""

    def _checked(self, data: bytes, own: socket.socket) -> bytes:
        """The datagram, its checksum right for the source that the kernel will choose.

        connect(2) asks for the route as sendto(2) does, without a source, and keeps the source that it finds
        (``ip_route_connect``, ``ip6_datagram_dst_update``). Where that fails, sending may still do: it stays as it is.
        """
        wanted = self._wanted
        if not wanted.crafted or self._from is not None or wanted.protocol not in SUMMED:
            return data
        if wanted.protocol == socket.IPPROTO_TCP:
            return moved(data, wanted.protocol, wanted.crafted, _source(own))
        with contextlib.suppress(OSError), socket.socket(self._family, socket.SOCK_RAW, wanted.protocol) as asking:
            asking.connect(self._to)
            return moved(data, wanted.protocol, wanted.crafted, _source(asking))
        return data

    def _open(self) -> socket.socket:
        """A raw socket as it was asked for. Raises OSError."""
        wanted = self._wanted
        with named("raw socket", "CAP_NET_RAW"):
            own = socket.socket(self._family, socket.SOCK_RAW, wanted.protocol)
        try:
            own.setblocking(False)
            if wanted.protocol == socket.IPPROTO_ICMP:
                own.setsockopt(SOL_RAW, ICMP_FILTER, b"\xff" * 4)
            elif wanted.protocol == socket.IPPROTO_ICMPV6:
                own.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, b"\xff" * 32)
            if wanted.family == 4:
                own.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, DISCOVERY[wanted.df])
            else:
                own.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, DISCOVERY[wanted.df])
            if self._from is not None:
                _bind(own, self._from)
        except BaseException:
            own.close()
            raise
        return own

    def _hold(self, port: int) -> socket.socket:
        """Take the port, of TCP without listening: the kernel itself then sends the reset. Raises OSError."""
        kind = socket.SOCK_DGRAM if self._wanted.protocol == IPPROTO_UDP else socket.SOCK_STREAM
        own = socket.socket(self._family, kind)
        try:
            own.setblocking(False)
            if self._wanted.family == 6:
                own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            _bind(own, self._address(self._wanted.source or ("0.0.0.0" if self._wanted.family == 4 else "::"), port))
        except BaseException:
            own.close()
            raise
        return own

    def _address(self, text: str, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
        """An address as a socket takes it, with the destination's zone where it has none (RFC 4007 section 11).

        Raises OSError, also for a name: nothing is asked of anybody.
        """
        address, _, zone = text.partition("%")
        try:
            socket.inet_pton(self._family, address)
        except (OSError, ValueError):
            raise OSError(errno.EINVAL, "is no address", address) from None
        if self._wanted.family == 4:
            return address, port
        return address, port, 0, _scope(zone or self._wanted.destination.partition("%")[2])

    def close(self) -> None:
        """Give the port back."""
        if self.held is not None:
            drain(self.held)
            self.held.close()


def _source(connected: socket.socket) -> str:
    """The address that a socket sends from."""
    return str(connected.getsockname()[0]).partition("%")[0]


def _scope(zone: str) -> int:
    """The index of the device that a zone names; 0: none is named. Raises OSError."""
    if not zone or zone.isdecimal():
        return int(zone or 0)
    try:
        return socket.if_nametoindex(zone)
    except OSError:
        raise OSError(errno.ENODEV, "no such device", zone) from None


def drain(own: socket.socket) -> None:
    """Take in silently what a socket has heard."""
    with contextlib.suppress(OSError):
        for _ in range(MOST_AT_ONCE):
            own.recv(1)


def name(failure: OSError) -> str:
    """The errno's name: ``EMSGSIZE``, ``ENETUNREACH``, …."""
    return errno.errorcode.get(failure.errno or 0, str(failure.errno))


def _bind(own: socket.socket, address: tuple[str, int] | tuple[str, int, int, int]) -> None:
    try:
        own.bind(address)
    except OSError as failure:
        raise OSError(
            failure.errno, failure.strerror, f"{address[0]} port {address[1]}" if address[1] else address[0]
        ) from None
