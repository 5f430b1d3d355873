"""What is asked of a hook, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from netfs.model.link import Link
from netfs.model.packet import Packet

ACCEPT = "accept"
DROP = "drop"
REJECT = "reject"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class HookContext:
    """What is known of a packet beside its headers when it comes to a hook."""

    iif: Link | None = None
    """Device it came in by; None for locally made packets."""
    oif: Link | None = None
    """Device it leaves by; None where that is not yet decided (prerouting, input)."""
    ct_state: str = "new"
    """``new``, ``established``, ``related``, ``untracked`` or ``invalid``, as conntrack will find it."""
    ct_status: frozenset[str] = frozenset()
    """Known bits of ``ct status``: ``snat``, ``dnat``, ``seen-reply``, ``confirmed``, …"""
    ct_direction: str = "original"
    """``original`` or ``reply``."""
    ct_mark: int | None = 0
    """None: not known."""
    nat_done: bool = False
    """The connection has its translation (or none) for this hook already: nat chains are not asked."""
    original: Packet | None = None
    """The connection's first packet before any translation; None: this packet, where it is new."""
    masquerade_source: str | None = None
    """The address a masquerade would use on ``oif``; None: not known."""
    bridged: bool = False
    """The packet is a bridged frame that bridge-nf-call-* sent here."""
    physin: str | None = None
    physout: str | None = None
    """Ports of the bridge, for bridged frames, and for those that a bridge's port passed up (``physin``)."""
    ibrname: str | None = None
    obrname: str | None = None
    """Bridges of the ports, in family bridge."""
    fib: Callable[[str, frozenset[str], Packet], str | None] | None = None
    """Answers ``fib``: (result, flags, packet) to a type (``local``, ``unicast``, …) or a device's name
    ("" where there is no route); None: not known."""


@dataclass(frozen=True, slots=True)
class RuleRef:
    """A rule, or a chain's policy (handle None, text ``policy drop``), as evidence."""

    family: str
    table: str
    chain: str
    handle: int | None
    text: str
    program: str = "nft"
    """Whose language it is in: ``nft``, ``iptables``, ``ip6tables``, ``iptables-legacy``, ``ip6tables-legacy``."""
    counters: tuple[int, int] | None = None
    """Packets and bytes; None: it counts none."""

    @property
    def place(self) -> str:
        """The chain in its own language: ``inet filter forward``, ``nat KUBE-SERVICES``."""
        words = (self.table, self.chain) if self.program != "nft" else (self.family, self.table, self.chain)
        return " ".join(words)

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


@dataclass(frozen=True, slots=True)
class Met:
    """A rule whose matches the packet fulfilled."""

    rule: RuleRef
    decided: bool


@dataclass(frozen=True, slots=True)
class Nat:
    """A translation that a hook gave to the connection."""

    kind: str
    """``snat``, ``dnat``, ``masquerade`` or ``redirect``."""
    address_from: str
    address_to: str
    port_from: int | None
    port_to: int | None
    """None: not known (a random port), or a packet without ports."""


@dataclass(frozen=True, slots=True)
class HookAnswer:
    """What a hook did to a packet."""

    verdict: str
    """``accept``, ``drop``, ``reject`` or ``unknown``."""
    packet: Packet
    """As it leaves the hook: mark, translation and mangling applied."""
    why: str
    matched: tuple[RuleRef, ...] = ()
    """The rules that decided or changed something, in order; for ``unknown`` also those in doubt."""
    nat: Nat | None = None
    met: tuple[Met, ...] = ()
    """Every rule whose matches were fulfilled, in order, ``matched`` among them."""
    reject_with: str | None = None
    """What the sender is told: ``icmp port-unreachable``, ``tcp reset``, …"""
    ct_mark: int | None = 0
    untracked: bool = False
    """A ``notrack`` took the packet out of connection tracking."""
    share: float | None = None
    """Among ``branches``: the part of connections that go this way; None: not known."""
    branches: tuple[HookAnswer, ...] = ()
    """For ``unknown`` by choice or doubt: every answer that is possible."""
