"""The flows of a capture, indexed for the rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from shlex import quote
from typing import TYPE_CHECKING, TypeVar

from netfs.capture.flows.words import short
from netfs.model import ip
from netfs.model.flows import Decoded, Flow

if TYPE_CHECKING:
    from netfs.cluster.topology import Topology

K = TypeVar("K")
Inner = tuple[str, str, str, int | None, int | None]
"""(src, dst, proto, sport, dport)."""

EDGE_NS = 1_000_000_000
"""What is asked this shortly before the end may have been answered after it: TCP's first timeout (RFC 6298, 2.1)."""


@dataclass(frozen=True)
class Evidence:
    """What the rules look at."""

    decoded: Decoded
    topology: Topology | None = None

    @property
    def flows(self) -> tuple[Flow, ...]:
        """The flows of the capture."""
        return self.decoded.flows

    @cached_property
    def by_inner(self) -> dict[Inner, list[int]]:
        """Indexes of flows by their innermost addresses and ports, whatever tunnels they are in."""
        found: dict[Inner, list[int]] = defaultdict(list)
        for index, flow in enumerate(self.flows):
            found[flow.src, flow.dst, flow.proto, flow.sport, flow.dport].append(index)
        return dict(found)

    def same(self, flow: Flow) -> list[int]:
        """The flows of the same innermost tuple: this one, before and inside its tunnels."""
        return self.by_inner.get((flow.src, flow.dst, flow.proto, flow.sport, flow.dport), [])

    def answers(self, flow: Flow) -> list[int]:
        """The flows of the opposite innermost tuple, whatever tunnels they are in."""
        return self.by_inner.get((flow.dst, flow.src, flow.proto, flow.dport, flow.sport), [])

    @cached_property
    def tunnel_pairs(self) -> dict[tuple[str, str, str], list[int]]:
        """Indexes of flows by (kind, src, dst) of each of their tunnels."""
        found: dict[tuple[str, str, str], list[int]] = defaultdict(list)
        for index, flow in enumerate(self.flows):
            for each in flow.tunnels:
                found[each.kind, each.src, each.dst].append(index)
        return dict(found)

    @cached_property
    def names(self) -> dict[str, str]:
        """Names by address, as far as the flows have them."""
        found: dict[str, str] = {}
        for flow in self.flows:
            for one in flow.tunnels:
                found |= {one.src: f"node/{one.src_node}"} if one.src_node is not None else {}
                found |= {one.dst: f"node/{one.dst_node}"} if one.dst_node is not None else {}
            found |= {flow.src: flow.src_name} if flow.src_name is not None else {}
            found |= {flow.dst: flow.dst_name} if flow.dst_name is not None else {}
        return found

    def at_edge(self, flow: Flow) -> bool:
        """Whether a flow's last packet lies so near the end that its answer may have come later."""
        end = self.decoded.last_ns
        return end is not None and end - flow.last_ns < EDGE_NS

    @property
    def doctor(self) -> str | None:
        """The command that looks for what is wrong with the nodes; None where no source is given."""
        return None if self.topology is None else "netfs doctor"

    def trace(self, flow: Flow, *more: str) -> str | None:
        """The command that asks netfs for the path of a flow; None where no source knows the sender."""
        if self.topology is None or flow.src_name is None or "svc/" in flow.src_name:
            return None
        words = ["netfs trace", quote(short(flow.src_name)), quote(short(flow.dst_name or flow.dst))]
        if flow.proto in ("tcp", "udp"):
            words += ["--proto udp"] if flow.proto == "udp" else []
            words += [f"--port {flow.dport}"] if flow.dport else []
        return " ".join([*words, *more])


def per_tap(count: int, flow: Flow) -> int:
    """Of packets of a flow, the most that one interface can have seen, where several saw each."""
    return min(count, max((packets for _, packets in flow.taps), default=count))


def is_for_many(address: str) -> bool:
    """Multicast or broadcast; of IPv4 ``.255`` is taken for one. False for what is no IP address."""
    if ":" not in address and address.endswith(".255"):
        return True
    try:
        return ip.is_multicast(address)
    except ValueError:
        return False


def grouped(indexes: Iterable[int], key: Callable[[int], K]) -> Iterator[tuple[K, list[int]]]:
    """Indexes by a key, in the order in which the keys come first."""
    found: dict[K, list[int]] = {}
    for index in indexes:
        found.setdefault(key(index), []).append(index)
    yield from found.items()
