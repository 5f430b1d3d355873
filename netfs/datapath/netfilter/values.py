"""What an expression may yield beside a plain value, and all that a rule can look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from netfs.datapath.netfilter.answer import HookContext, SetChange
from netfs.datapath.netfilter.elements import Unknown
from netfs.datapath.netfilter.records import Between
from netfs.model.packet import Packet


@dataclass(frozen=True, slots=True)
class NoMatch:
    """The packet has no such field: the rule ends here (``NFT_BREAK``)."""


class UndrawnError(Exception):
    """A connection's hash decides, and is not settled yet: every one of ``count`` values is a way of its own."""

    def __init__(self, count: int) -> None:
        super().__init__(f"one of {count} values")
        self.count = count


@dataclass(frozen=True, slots=True)
class Spread:
    """One of several values; which one is not the packet's doing."""

    odds: tuple[tuple[Answer, float], ...]
    """Each value, and the part of all connections that gets it."""
    name: str

    def mapped(self, change: Callable[[Answer], Answer]) -> Spread | Unknown:
        """Every value changed; values that become equal are one."""
        found: dict[Answer, float] = {}
        for value, share in self.odds:
            other = change(value)
            if isinstance(other, Unknown | Spread):
                return other if isinstance(other, Unknown) else Unknown("a choice of choices")
            found[other] = found.get(other, 0.0) + share
        return Spread(tuple(found.items()), self.name)


Answer: TypeAlias = "int | str | Between | tuple[int | str | Unknown, ...] | Unknown | NoMatch | Spread"

NO_MATCH = NoMatch()

WHOLE = (Fraction(0), Fraction(1))

ARP = "arp"
"""``Packet.proto`` of what is no IP packet at all."""


def or_unknown(value: int | None, what: str) -> int | Unknown:
    """The value, or that it is not known."""
    return Unknown(f"{what} of the packet is not known") if value is None else value


@dataclass(frozen=True, slots=True)
class Sight:
    """All that a rule can look at."""

    hook: str
    packet: Packet
    context: HookContext
    tracked: bool
    """Connection tracking has seen the packet (its hook lies at priority -200)."""
    ct_state: str
    ct_mark: int | None
    ct_status: int
    original: Packet | None
    """The packet as the connection's first one was, before any translation."""
    hashed: tuple[Fraction, Fraction] = WHOLE
    """Where the connection's hash lies, of all its values; chance says so once, and all rules see the same."""
    changed: tuple[SetChange, ...] = ()
    """What this very packet changed in sets and maps of the table it is in, or in ipsets."""

    @property
    def touched(self) -> frozenset[str]:
        """The names of the sets that it changed."""
        return frozenset(change.name for change in self.changed)
