"""Flows as conversations: both directions of a pair of ends together, and what is worth a note about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netfs.capture.flows.words import short, tunnel
from netfs.model.flows import Flow, Tunnel

_UNITS = ("kB", "MB", "GB", "TB", "PB")


@dataclass(frozen=True, slots=True)
class Conversation:
    """A flow and the one that answers it; the one that spoke first is ``first``."""

    first: Flow
    back: Flow | None

    @property
    def packets(self) -> int:
        """Of the one who spoke first."""
        return self.first.packets

    @property
    def packets_back(self) -> int:
        """Of the other."""
        return self.back.packets if self.back is not None else 0

    @property
    def bytes(self) -> int:
        """Of the one who spoke first."""
        return self.first.bytes

    @property
    def bytes_back(self) -> int:
        """Of the other."""
        return self.back.bytes if self.back is not None else 0

    @property
    def place(self) -> str:
        """The tunnels and VLANs it is in, the same words for both directions; empty: in none."""
        words = [f"vlan {each}" for each in self.first.vlans]
        return " in ".join([*(_between(each) for each in reversed(self.first.tunnels)), *words])

    @property
    def notes(self) -> list[str]:
        """What is worth a note, of both directions together."""
        return notes((self.first,) if self.back is None else (self.first, self.back))


def of(flows: Sequence[Flow]) -> list[Conversation]:
    """The conversations, in the order of the flow that comes first of each."""
    found = []
    taken: set[int] = set()
    for index, flow in enumerate(flows):
        if index in taken:
            continue
        taken.add(index)
        other = None
        if flow.reverse is not None and flow.reverse not in taken:
            taken.add(flow.reverse)
            other = flows[flow.reverse]
        found.append(
            Conversation(other, flow) if other is not None and _earlier(other, flow) else Conversation(flow, other)
        )
    return found


def notes(flows: Sequence[Flow]) -> list[str]:
    """``one way``, ``3 retrans``, … of one direction or both; the gravest first."""
    counts = [
        (sum(flow.retransmissions for flow in flows), "retrans", "retrans"),
        (sum(flow.gaps for flow in flows), "gap", "gaps"),
        (sum(flow.resets for flow in flows), "reset", "resets"),
        (sum(flow.icmp_errors - flow.too_big for flow in flows), "icmp error", "icmp errors"),
        (sum(flow.too_big for flow in flows), "too big", "too big"),
        (sum(flow.fragments for flow in flows), "fragment", "fragments"),
    ]
    told = [flow.too_big_mtu for flow in flows if flow.too_big_mtu is not None]
    found = ["one way"] if all(flow.reverse is None and not _tells(flow) for flow in flows) else []
    found += [f"{number} {one if number == 1 else many}" for number, one, many in counts if number > 0]
    return found + ([f"MTU {min(told)}"] if told else [])


def tunnels(flow: Flow) -> str:
    """Every tunnel and VLAN around a flow, outermost first: ``vlan 7, vxlan 1 node1→node2 :8472``."""
    ports = [f"{tunnel(each)}{f' :{each.dport}' if each.dport is not None else ''}" for each in flow.tunnels]
    return ", ".join([*(f"vlan {each}" for each in flow.vlans), *ports])


def size(number: int) -> str:
    """``900 B``, ``1.2 kB``, ``34 MB``: thousands, as a network counts."""
    if number < 1000:
        return f"{number} B"
    power = next((power for power in range(1, len(_UNITS)) if number < 999.5 * 1000**power), len(_UNITS))
    value = number / 1000**power
    return f"{value:.0f} {_UNITS[power - 1]}" if value >= 99.5 else f"{value:.1f} {_UNITS[power - 1]}"


def _tells(flow: Flow) -> bool:
    """ICMP that only tells something: errors, and questions of IPv6 about neighbours."""
    return flow.proto in ("icmp", "icmpv6") and not flow.echo_requests and not flow.echo_replies


def _earlier(one: Flow, other: Flow) -> bool:
    return (one.first_ns, -one.syns, -one.echo_requests) < (other.first_ns, -other.syns, -other.echo_requests)


def _between(one: Tunnel) -> str:
    ends = sorted([(one.src_node, one.src), (one.dst_node, one.dst)], key=lambda end: (end[0] or "", end[1]))
    names = [f"{short(name)} ({address})" if name is not None else address for name, address in ends]
    vni = f" {one.vni}" if one.vni is not None else ""
    port = f", port {one.dport}" if one.dport is not None else ""
    return f"{one.kind}{vni} between {names[0]} and {names[1]}{port}"
