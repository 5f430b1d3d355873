"""What is asked of a hook, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netfs.model.link import Link
from netfs.model.packet import Packet

if TYPE_CHECKING:
    from netfs.datapath.netfilter.records import Chain, Rule

ACCEPT = "accept"
DROP = "drop"
REJECT = "reject"
UNKNOWN = "unknown"
BRANCHES = "branches"
"""Chance alone decides, and the odds are known: ``HookAnswer.branches`` has every effect with its share."""


@dataclass(frozen=True, slots=True)
class SetChange:
    """An element that a rule put into a set or map, or took out of it, for this packet."""

    table: tuple[str, str]
    """Family and name."""
    name: str
    key: int | str | tuple[int | str, ...] | None
    """None: not known."""
    present: bool


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
    reply: Packet | None = None
    """Addresses and ports of the connection's answers as they come, where it is not new; None: not known."""
    masquerade_source: str | None = None
    """The address a masquerade would use on ``oif``; None: not known."""
    bridged: bool = False
    """The packet is a bridged frame that bridge-nf-call-* sent here."""
    socketless: bool = False
    """It was made here, but by no socket: a tunnel's packet around one that is passed on."""
    physin: str | None = None
    physout: str | None = None
    """Ports of the bridge, for bridged frames, and for those that a bridge's port passed up (``physin``)."""
    ibrname: str | None = None
    obrname: str | None = None
    """Bridges of the ports, in family bridge."""
    changed: tuple[SetChange, ...] = ()
    """What the packet changed in sets at the hooks before, as their answers said."""
    fib: Callable[[str, frozenset[str], Packet], str | None] | None = None
    """Answers ``fib``: (result, flags, packet) to a type (``local``, ``unicast``, …) or a device's name
    ("" where there is no route); None: not known."""
    tracked: bool = False
    """Conntrack knew the packet before it came to this hook: it came back by ``lo`` (``nf_conntrack_in``)."""
    restore: Callable[[Packet], Packet] | None = None
    """What the connection's own translation makes of its packets, where the nat chains are called; None: nothing."""
    sports: tuple[int, int] | None = None
    """Between which the source port lies where it is not known (a tunnel's, a masquerade's at random)."""
    dports: tuple[int, int] | None = None
    """The same of the destination port, in answers."""
    before: int | None = None
    """Only the chains below this priority are called: then something else takes the packet (IPVS)."""


@dataclass(frozen=True, slots=True, eq=False)
class RuleRef:
    """A rule, or a chain's policy, as evidence. Its text is made when somebody asks for it."""

    origin: Chain
    rule: Rule | None = None
    """None: the policy of the chain."""

    @property
    def family(self) -> str:
        """``ip``, ``ip6``, ``inet``, ``arp``, ``bridge`` or ``netdev``."""
        return self.origin.family

    @property
    def table(self) -> str:
        """The table's name."""
        return self.origin.table

    @property
    def chain(self) -> str:
        """The chain's name."""
        return self.origin.name

    @property
    def policy(self) -> bool:
        """No rule decided, but the chain's policy."""
        return self.rule is None

    @property
    def handle(self) -> int | None:
        """The rule's handle; None for a policy, and for rules of iptables."""
        return None if self.rule is None else self.rule.handle

    @property
    def program(self) -> str:
        """Whose language it is in: ``nft``, ``iptables``, ``ip6tables``, ``iptables-legacy``, ``ip6tables-legacy``."""
        return self.origin.program

    @property
    def counters(self) -> tuple[int, int] | None:
        """Packets and bytes; None: it counts none."""
        return None if self.rule is None else self.rule.counters

    @property
    def text(self) -> str:
        """The rule as the operator wrote it; ``policy drop``, or ``-P FORWARD DROP``, for a policy."""
        if self.rule is None:
            chain = self.origin
            return f"policy {chain.policy}" if chain.program == "nft" else f"-P {chain.name} {chain.policy.upper()}"
        from netfs.datapath.netfilter.text import rule_text

        return rule_text(self.rule)

    @property
    def place(self) -> str:
        """The chain in its own language: ``inet filter forward``, ``nat KUBE-SERVICES``."""
        words = (self.table, self.chain) if self.program != "nft" else (self.family, self.table, self.chain)
        return " ".join(words)

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"

    def _key(self) -> tuple[object, ...]:
        return self.program, self.family, self.table, self.chain, self.handle

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RuleRef):
            return NotImplemented
        same = self.rule is other.rule and self.origin is other.origin
        return same or (self._key() == other._key() and self.text == other.text)

    def __hash__(self) -> int:
        # Rules without handles are told apart by their text alone.
        return hash((self._key(), self.text if self.handle is None else None))


@dataclass(frozen=True, slots=True)
class Met:
    """A rule whose matches the packet fulfilled."""

    rule: RuleRef
    decided: bool
    """It decided over the packet, changed it, or is in doubt; other rules only led on."""


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
    """``accept``, ``drop``, ``reject``, ``branches`` or ``unknown``."""
    packet: Packet
    """As it leaves the hook: mark, translation and mangling applied. For ``branches`` and ``unknown``: as it came."""
    why: str
    matched: tuple[RuleRef, ...] = ()
    """The rules that decided or changed something, in order; for ``unknown`` also those in doubt, for ``branches``
    those that leave it to chance."""
    nat: Nat | None = None
    met: tuple[Met, ...] = ()
    """Every rule whose matches were fulfilled, in order, ``matched`` among them."""
    reject_with: str | None = None
    """What the sender is told: ``icmp port-unreachable``, ``tcp reset``, …"""
    ct_mark: int | None = 0
    untracked: bool = False
    """A ``notrack`` took the packet out of connection tracking."""
    changed: tuple[SetChange, ...] = ()
    """What the packet has changed in sets so far; the next hook wants to know."""
    routed: tuple[Packet, ...] = ()
    """At ``output``: as the packet was each time that the hook had it routed again, by then."""
    share: float | None = None
    """Among ``branches``: the part of connections that go this way; None: not known."""
    branches: tuple[HookAnswer, ...] = ()
    """For ``branches``: every effect with its share, in sum one. For ``unknown``: every answer that is possible."""
