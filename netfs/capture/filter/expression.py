"""What a filter asks for, as records.

A packet has levels: the frame as it is on the wire, and what each tunnel in it carries. A primitive is asked of one
level. ``And`` and ``Or`` ask all they hold of the same level, and some level has to answer yes. ``Not``, ``Outer`` and
``Inner`` look at levels of their own: what ``Not`` holds must hold at no level. So ``host a and not vxlan`` is: some
level has the address, and no tunnel is VXLAN.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from netfs.errors import FilterError
from netfs.model import ip

EITHER, SOURCE, DESTINATION, BOTH = "src or dst", "src", "dst", "src and dst"
"""Ways: which of a packet's two addresses or ports a primitive is about."""
IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD
"""Ethertypes (IEEE 802 numbers)."""
WITH_PORTS = (6, 17, 132)
"""TCP, UDP, SCTP: their header begins with two ports."""


@dataclass(frozen=True, slots=True)
class Net:
    """An address within a prefix. IPv4 addresses are found in ARP as well, as pcap-filter(7) does."""

    network: int
    length: int
    family: int
    way: str = EITHER
    within: int | None = None
    """IPV4, ARP or IPV6: the only header to look at."""


@dataclass(frozen=True, slots=True)
class Ports:
    """A port of TCP, UDP or SCTP, from ``first`` to ``last``."""

    first: int
    last: int
    way: str = EITHER
    proto: int | None = None


@dataclass(frozen=True, slots=True)
class Protocol:
    """What IP carries: the number behind IPv6's extension headers, where there are any."""

    number: int
    family: int | None = None


@dataclass(frozen=True, slots=True)
class EtherType:
    """What a frame carries, or a tunnel without frames; behind VLAN tags, where there are any."""

    number: int


@dataclass(frozen=True, slots=True)
class Mac:
    """A hardware address of an Ethernet frame."""

    address: int
    way: str = EITHER


@dataclass(frozen=True, slots=True)
class Vlan:
    """A VLAN tag, of this number where one is given."""

    number: int | None = None


@dataclass(frozen=True, slots=True)
class Vni:
    """The nearest tunnel around that has a network identifier has this one."""

    number: int


@dataclass(frozen=True, slots=True)
class Within:
    """Some tunnel around is of this kind: ``vxlan`` or ``geneve``."""

    kind: str


@dataclass(frozen=True, slots=True)
class Length:
    """Bytes of the whole frame; either bound may be missing."""

    least: int = 0
    most: int | None = None


@dataclass(frozen=True, slots=True)
class And:
    """All of them; of none: everything."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of them."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """It holds at no level."""

    item: Expression


@dataclass(frozen=True, slots=True)
class Outer:
    """It holds for the outermost level alone."""

    item: Expression


@dataclass(frozen=True, slots=True)
class Inner:
    """There is a tunnel, and it holds for what tunnels carry."""

    item: Expression


Primitive: TypeAlias = Net | Ports | Protocol | EtherType | Mac | Vlan | Vni | Within | Length
Expression: TypeAlias = Primitive | And | Or | Not | Outer | Inner
EVERYTHING = And(())


def is_closed(expression: Expression) -> bool:
    """Whether it looks at levels of its own."""
    return isinstance(expression, Not | Outer | Inner)


def is_open(expression: Expression) -> bool:
    """Whether one level alone answers it: nothing within looks at levels of its own."""
    if isinstance(expression, And | Or):
        return all(map(is_open, expression.items))
    return not is_closed(expression)


def primitives(expression: Expression) -> Iterable[Primitive]:
    """All of them, from left to right."""
    if isinstance(expression, And | Or):
        for item in expression.items:
            yield from primitives(item)
    elif isinstance(expression, Not | Outer | Inner):
        yield from primitives(expression.item)
    else:
        yield expression


def of_addresses(addresses: Iterable[str]) -> Expression:
    """Packets from or to one of these addresses, at any level.

    Raises FilterError where there are none, or one is no IP address.
    """
    try:
        nets = tuple(_host(address) for address in dict.fromkeys(addresses))
    except ValueError as error:
        raise FilterError(str(error)) from None
    if not nets:
        raise FilterError("there is no address to filter by")
    return nets[0] if len(nets) == 1 else Or(nets)


def _host(address: str) -> Net:
    family = ip.family_of(address)
    return Net(ip.to_int(address), ip.BITS[family], family)
