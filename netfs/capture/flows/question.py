"""A filter's expression, asked of flows."""

from __future__ import annotations

from collections.abc import Callable

from netfs.capture.filter import expression as ask
from netfs.capture.filter.level import ABSENT, Level, matches
from netfs.capture.filter.parse import parse
from netfs.capture.flows.keys import PROTOCOLS
from netfs.errors import FilterError
from netfs.model.flows import Flow

NUMBERS = {name: number for number, name in PROTOCOLS.items()}
UDP, GRE, IN_IPV4, IN_IPV6 = 17, 47, 4, 41


def of(text: str) -> Callable[[Flow], bool]:
    """What tells whether an expression holds for a flow, at any level of its packets.

    Raises FilterError where it is no expression, or asks what no flow keeps.
    """
    expression = parse(text)
    for primitive in ask.primitives(expression):
        if isinstance(primitive, ask.Mac | ask.Length):
            what = "hardware addresses" if isinstance(primitive, ask.Mac) else "lengths"
            raise FilterError(
                f"a flow does not keep the {what} of its packets", where=text, hint="ask for host, port, …"
            )
    return lambda flow: matches(expression, levels(flow)) is True


def levels(flow: Flow) -> tuple[Level, ...]:
    """A flow's headers as a filter looks at them, outermost first."""
    found = []
    inside: tuple[str, ...] = ()
    vni = ABSENT
    carried = [*(each.src for each in flow.tunnels[1:]), flow.src]
    for each, inner in zip(flow.tunnels, carried, strict=False):
        number = {"gre": GRE, "ipip": IN_IPV6 if ":" in inner else IN_IPV4}.get(each.kind, UDP)
        sport, dport = (None, each.dport) if number == UDP else (ABSENT, ABSENT)
        found.append(Level(each.src, each.dst, number, sport, dport, vni, inside, vlans=flow.vlans))
        inside += (each.kind,)
        vni = each.vni if each.vni is not None else vni
    return (*found, _innermost(flow, inside, vni))


def _innermost(flow: Flow, inside: tuple[str, ...], vni: int) -> Level:
    if flow.proto == "arp":
        return Level(flow.src, flow.dst, ABSENT, ABSENT, ABSENT, vni, inside, ask.ARP, vlans=flow.vlans)
    number = NUMBERS.get(flow.proto) or (int(flow.proto) if flow.proto.isdecimal() else None)
    if number is None:
        ethertype = int(flow.proto, 16) if flow.proto.startswith("0x") else ABSENT
        return Level("", "", ABSENT, ABSENT, ABSENT, vni, inside, ethertype, flow.src, flow.dst, vlans=flow.vlans)
    sport = flow.sport if flow.sport is not None else ABSENT
    dport = flow.dport if flow.dport is not None else ABSENT
    return Level(flow.src, flow.dst, number, sport, dport, vni, inside, vlans=flow.vlans)
