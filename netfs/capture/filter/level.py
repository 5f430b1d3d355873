"""Whether an expression holds for headers that are known, or known in part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from netfs.capture.filter import expression as ask
from netfs.capture.filter.expression import Expression, Primitive
from netfs.model import ip

ABSENT = -1
"""A number that a packet does not have: the ports of ICMP or of a later fragment, the VNI outside of tunnels."""


@dataclass(frozen=True, slots=True)
class Level:
    """The headers of a frame, or of what a tunnel carries. None is not known; empty text and ``ABSENT``: has none."""

    src: str | None = None
    """IP address, or what ARP tells of its sender."""
    dst: str | None = None
    proto: int | None = None
    """IANA number; behind IPv6's extension headers."""
    sport: int | None = None
    """Of TCP, UDP and SCTP; not asked for where ``proto`` is another."""
    dport: int | None = None
    vni: int | None = None
    """Of the nearest tunnel around that has one."""
    tunnels: tuple[str, ...] | None = None
    """Kinds of all tunnels around."""
    ethertype: int | None = None
    """IPV4, IPV6, ARP, …; where not known, that of the addresses' family and ``proto``."""
    smac: str | None = None
    dmac: str | None = None
    vlans: tuple[int, ...] | None = None
    length: int | None = None
    """Bytes of the whole frame, the same at all levels."""

    @property
    def carries(self) -> int | None:
        """Its ethertype."""
        if self.ethertype is not None:
            return self.ethertype
        address = self.src or self.dst
        if not address or self.proto is None:
            return None
        return ask.IPV6 if ip.family_of(address) == 6 else ask.IPV4


def holds(expression: Expression, level: Level) -> bool | None:
    """Whether the expression holds for a packet of one level; None: that depends on what is not known."""
    return matches(expression, (level,))


def matches(expression: Expression, levels: Sequence[Level]) -> bool | None:
    """Whether the expression holds for a packet, outermost level first; None: that depends on what is not known."""
    return _Packet(tuple(levels)).somewhere(expression)


class _Packet:
    """A packet's levels, and what has been found out about them: a part that looks at levels of its own is asked of
    each level around it, and answers the same.
    """

    def __init__(self, levels: tuple[Level, ...]) -> None:
        self._levels = levels
        self._known: dict[int, bool | None] = {}

    def somewhere(self, expression: Expression) -> bool | None:
        if not ask.is_closed(expression):
            return _any(self._at(expression, level) for level in self._levels)
        if id(expression) not in self._known:
            self._known[id(expression)] = self._closed(expression)
        return self._known[id(expression)]

    def _closed(self, expression: Expression) -> bool | None:
        if isinstance(expression, ask.Not):
            return _not(self.somewhere(expression.item))
        assert isinstance(expression, ask.Outer | ask.Inner)
        levels = self._levels[:1] if isinstance(expression, ask.Outer) else self._levels[1:]
        return _Packet(levels).somewhere(expression.item) if levels else False

    def _at(self, expression: Expression, level: Level) -> bool | None:
        if isinstance(expression, ask.And):
            return _all(self._at(item, level) for item in expression.items)
        if isinstance(expression, ask.Or):
            return _any(self._at(item, level) for item in expression.items)
        if isinstance(expression, ask.Not | ask.Outer | ask.Inner):
            return self.somewhere(expression)
        return _ANSWERS[type(expression)](expression, level)


def _not(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


def _any(answers: Iterable[bool | None]) -> bool | None:
    known: bool | None = False
    for answer in answers:
        if answer:
            return True
        if answer is None:
            known = None
    return known


def _all(answers: Iterable[bool | None]) -> bool | None:
    return _not(_any(map(_not, answers)))


def _each_way(way: str, source: bool | None, destination: bool | None) -> bool | None:
    if way == ask.SOURCE:
        return source
    if way == ask.DESTINATION:
        return destination
    return _any((source, destination)) if way == ask.EITHER else _all((source, destination))


def _equal(known: int | None, number: int) -> bool | None:
    return None if known is None else known == number


def _net(net: ask.Net, level: Level) -> bool | None:
    def fits(address: str | None) -> bool | None:
        if address is None:
            return None
        if not address or ip.family_of(address) != net.family:
            return False
        shift = ip.BITS[net.family] - net.length
        return ip.to_int(address) >> shift == net.network >> shift

    header = True if net.within is None else _equal(level.carries, net.within)
    return _all((header, _each_way(net.way, fits(level.src), fits(level.dst))))


def _ports(ports: ask.Ports, level: Level) -> bool | None:
    def fits(port: int | None) -> bool | None:
        return None if port is None else ports.first <= port <= ports.last

    wanted = ask.WITH_PORTS if ports.proto is None else (ports.proto,)
    proto = None if level.proto is None else level.proto in wanted
    return _all((proto, _each_way(ports.way, fits(level.sport), fits(level.dport))))


def _protocol(protocol: ask.Protocol, level: Level) -> bool | None:
    proto = _equal(level.proto, protocol.number)
    if protocol.family is None:
        return proto
    return _all((proto, _equal(level.carries, ask.IPV4 if protocol.family == 4 else ask.IPV6)))


def _mac(mac: ask.Mac, level: Level) -> bool | None:
    def fits(address: str | None) -> bool | None:
        return None if address is None else _number(address) == mac.address

    return _each_way(mac.way, fits(level.smac), fits(level.dmac))


def _number(address: str) -> int:
    digits = address.replace(":", "")
    return int(digits, 16) if digits else ABSENT


def _vlan(vlan: ask.Vlan, level: Level) -> bool | None:
    if level.vlans is None:
        return None
    return bool(level.vlans) if vlan.number is None else vlan.number in level.vlans


def _within(within: ask.Within, level: Level) -> bool | None:
    return None if level.tunnels is None else within.kind in level.tunnels


def _length(length: ask.Length, level: Level) -> bool | None:
    if level.length is None:
        return None
    return length.least <= level.length and (length.most is None or level.length <= length.most)


_ANSWERS: dict[type[Primitive], Callable[..., bool | None]] = {
    ask.Net: _net,
    ask.Ports: _ports,
    ask.Protocol: _protocol,
    ask.EtherType: lambda asked, level: _equal(level.carries, asked.number),
    ask.Mac: _mac,
    ask.Vlan: _vlan,
    ask.Vni: lambda asked, level: _equal(level.vni, asked.number),
    ask.Within: _within,
    ask.Length: _length,
}
