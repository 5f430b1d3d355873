"""What a filter has to answer, said slowly: headers read one after the other, and a probe looked for in them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

from netfs.capture.filter.level import ABSENT, Level
from netfs.capture.marker import Marker

IP_TYPES = (0x0800, 0x86DD)


class CutOffError(Exception):
    pass


@dataclass
class Headers:
    """What is known of one level. Offsets are into the whole frame."""

    tunnels: tuple[str, ...] = ()
    vni: int = ABSENT
    quoted: bool = False
    link: int | None = None
    tags: list[int] = field(default_factory=list)
    ethertype: int = ABSENT
    network: int | None = None
    proto: int = ABSENT
    transport: int = 0
    fragment: bool = False
    fragment_of: int = 0


class Reader:
    """Reads the levels of a frame. ``strict``: a header counts where it is whole; else as far as it is there."""

    def __init__(self, data: bytes, hatype: int, tunnels: tuple[int, ...], most: int, *, marked: bool) -> None:
        self.data = data
        self._hatype = hatype
        self._tunnels = tunnels
        self._most = most
        self._marked = marked
        """For a marker: quotations count as levels, and only what is read has to be there."""
        self.levels: list[Headers] = []

    def number(self, offset: int, size: int) -> int:
        if offset + size > len(self.data):
            raise CutOffError
        return int.from_bytes(self.data[offset : offset + size])

    def _whole(self, offset: int, size: int) -> None:
        if not self._marked and offset + size > len(self.data):
            raise CutOffError

    def read(self) -> list[Headers]:
        try:
            if self._hatype in {1, 772}:
                self._link(Headers(), 0)
            else:
                self._network(Headers(), 0)
        except CutOffError:
            pass
        return self.levels

    def _enter(self, headers: Headers) -> Headers:
        self.levels.append(headers)
        return headers

    def _link(self, headers: Headers, at: int) -> None:
        self._enter(headers)
        self._whole(at, 14)
        headers.link = at
        ethertype = self.number(at + 12, 2)
        while ethertype in {0x8100, 0x88A8} and len(headers.tags) < 2:
            self._whole(at, 18)
            at += 4
            tag = self.number(at + 10, 2) & 0xFFF
            headers.tags.append(tag)
            ethertype = self.number(at + 12, 2)
        if ethertype in IP_TYPES:
            self._network(headers, at + 14, entered=True)
            return
        if ethertype == 0x0806:
            self._whole(at + 14, 28)
        headers.ethertype, headers.network = ethertype, at + 14

    def _network(self, headers: Headers, at: int, *, entered: bool = False) -> None:
        if not entered:
            self._enter(headers)
        self._whole(at, 20)
        version = self.number(at, 1) >> 4
        if version == 4:
            self._ipv4(headers, at)
        elif version == 6:
            self._whole(at, 40)
            self._ipv6(headers, at)

    def _ipv4(self, headers: Headers, at: int) -> None:
        headers.ethertype, headers.network = 0x0800, at
        headers.proto = self.number(at + 9, 1)
        headers.fragment = self.number(at + 6, 2) & 0x1FFF != 0
        headers.transport = at + (self.number(at, 1) & 15) * 4
        self._transport(headers)

    def _ipv6(self, headers: Headers, at: int) -> None:
        headers.ethertype, headers.network = 0x86DD, at
        headers.transport = at + 40
        proto = self.number(at + 6, 1)
        for _ in range(3):
            if proto not in {0, 43, 44, 60}:
                break
            here = headers.transport
            self._whole(here, 8)
            following = self.number(here, 1)
            if proto == 44:
                headers.transport += 8
                if self.number(here + 2, 2) >> 3:
                    headers.fragment = True
                    proto = following
                    break
            else:
                headers.transport += 8 * (self.number(here + 1, 1) + 1)
            proto = following
        headers.proto = proto
        self._transport(headers)

    def _transport(self, headers: Headers) -> None:
        at = headers.transport
        if headers.fragment or len(self.levels) == self._most:
            return
        if headers.proto in {4, 41}:
            self._network(Headers(headers.tunnels, headers.vni, headers.quoted), at)
        elif headers.proto == 47:
            self._gre(headers, at)
        elif headers.proto == 17:
            self._udp(headers, at)
        elif self._marked and headers.proto in {1, 58}:
            errors = (3, 4, 5, 11, 12) if headers.proto == 1 else (1, 2, 3, 4)
            if self.number(at, 1) in errors:
                self._network(Headers(quoted=True), at + 8)

    def _inside(self, headers: Headers, at: int, ethertype: int) -> None:
        if ethertype == 0x6558:
            self._link(headers, at)
        elif ethertype in IP_TYPES:
            self._network(headers, at)
        else:
            self._enter(headers)

    def _gre(self, headers: Headers, at: int) -> None:
        self._whole(at, 4)
        flags = self.number(at, 2)
        ethertype = self.number(at + 2, 2)
        if flags & 0x4007:
            return
        size = 4 + 4 * sum(flags & bit != 0 for bit in (0x8000, 0x2000, 0x1000))
        self._inside(Headers(headers.tunnels, headers.vni, headers.quoted), at + size, ethertype)

    def _udp(self, headers: Headers, at: int) -> None:
        self._whole(at, 16)
        port = self.number(at + 2, 2)
        if port not in self._tunnels:
            return
        flags = self.number(at + 8, 1)
        vni = self.number(at + 12, 4) >> 8
        if port == 6081 and flags < 0x40:
            carried = Headers((*headers.tunnels, "geneve"), vni, headers.quoted)
            self._inside(carried, at + 16 + 4 * (flags & 0x3F), self.number(at + 10, 2))
        elif port != 6081 and flags & 8:
            self._link(Headers((*headers.tunnels, "vxlan"), vni, headers.quoted), at + 16)


def levels(data: bytes, hatype: int, tunnels: tuple[int, ...], most: int = 3, vlan: int | None = None) -> list[Level]:
    """The levels of a frame, for ``level.matches``."""
    reader = Reader(data, hatype, tunnels, most, marked=False)
    found = [_level(reader, headers) for headers in reader.read()]
    if vlan is not None:
        first = found[0]
        found[0] = Level(
            **{name: getattr(first, name) for name in first.__slots__} | {"vlans": (vlan & 0xFFF, *(first.vlans or ()))}
        )
    return found


def _level(reader: Reader, headers: Headers) -> Level:
    data = reader.data

    def mac(offset: int) -> str:
        return "" if headers.link is None else data[headers.link + offset : headers.link + offset + 6].hex(":")

    def address(place: int) -> str:
        if headers.network is None or headers.ethertype not in {0x0800, 0x0806, 0x86DD}:
            return ""
        first, second, size = {0x0800: (12, 16, 4), 0x0806: (14, 24, 4), 0x86DD: (8, 24, 16)}[headers.ethertype]
        start = headers.network + (first, second)[place]
        return socket.inet_ntop(socket.AF_INET if size == 4 else socket.AF_INET6, data[start : start + size])

    def port(offset: int) -> int:
        whole = headers.proto in {6, 17, 132} and not headers.fragment and headers.transport + 4 <= len(data)
        return reader.number(headers.transport + offset, 2) if whole else ABSENT

    return Level(
        src=address(0),
        dst=address(1),
        proto=headers.proto,
        sport=port(0),
        dport=port(2),
        vni=headers.vni,
        tunnels=headers.tunnels,
        ethertype=headers.ethertype,
        smac=mac(6),
        dmac=mac(0),
        vlans=tuple(headers.tags),
        length=len(data),
    )


def is_marked(marker: Marker, data: bytes, hatype: int) -> bool:
    """Whether a marker's probe, its answer or an error about either lies somewhere in a frame."""
    reader = Reader(data, hatype, marker.tunnels, 4, marked=True)
    return any(_bears(marker, reader, headers) for headers in reader.read())


def _bears(marker: Marker, reader: Reader, headers: Headers) -> bool:
    try:
        return any(_signs(marker, reader, headers))
    except CutOffError:
        return False


def _signs(marker: Marker, reader: Reader, headers: Headers) -> Iterator[bool]:
    at, data = headers.transport, reader.data
    if headers.fragment:
        yield marker.proto != "tcp" and any(data[at + phase :].startswith(marker.token) for phase in (0, 2, 4, 6))
    elif marker.proto == "icmp" and headers.proto in {1, 58}:
        echo = reader.number(at, 1) in ({0, 8} if headers.proto == 1 else {128, 129})
        yield echo and data[at + 8 :].startswith(marker.token)
    elif marker.proto == "udp" and headers.proto == 17:
        pair = reader.number(at, 2), reader.number(at + 2, 2)
        yield pair in marker.ports or pair[::-1] in marker.ports
        yield data[at + 8 :].startswith(marker.token)
    elif marker.proto == "tcp" and headers.proto == 6:
        wanted = marker.sequence(0)
        sequence = reader.number(at + 4, 4) & ~1023 == wanted
        yield sequence and headers.quoted
        flags = reader.number(at + 13, 1)
        yield sequence and flags & 0x06 != 0
        yield flags & 0x10 != 0 and reader.number(at + 8, 4) & ~1023 == wanted
