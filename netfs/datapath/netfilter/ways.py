"""One way of a packet through a hook, where it parted from others, and where it ended.

Ways part by a doubt (nobody can know whether a rule matches) or by chance (the odds are known). Behind a doubt all
ways must come to the same odds, or nothing is known; behind a chance the odds add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TypeAlias

from netfs.datapath.netfilter.answer import DROP, REJECT, UNKNOWN, Met, Nat, RuleRef, SetChange
from netfs.datapath.netfilter.records import Chain, Rule, Statement
from netfs.datapath.netfilter.values import WHOLE, Sight
from netfs.model.packet import Packet

Effect: TypeAlias = "tuple[object, ...]"
Odds: TypeAlias = "dict[Effect, float]"

Trail: TypeAlias = "tuple[Trail, Met] | None"
"""The rules met, newest first: ways share their beginning."""

EQUAL = 1e-9
"""Shares that differ by less are one share."""


@dataclass(slots=True, eq=False)
class Fork:
    """A place where ways part."""

    doubt: bool
    rule: RuleRef | None = None
    """The rule that is in doubt, or leaves it to chance; None: the beginning of all ways."""
    reason: str = ""
    parent: Fork | None = None
    weight: float = 1.0
    """The share of the parent's ways that came here."""
    arms: list[tuple[float, Odds | None]] = field(default_factory=list)
    """What became of the ways that part here, with the share of each."""

    def odds(self) -> Odds | None:
        """The odds of every effect behind this place; None: not known."""
        known = [(weight, arm) for weight, arm in self.arms if arm is not None]
        if not known or len(known) < len(self.arms):
            return None
        if self.doubt:
            first = known[0][1]
            return first if all(_equal(first, arm) for _, arm in known) else None
        total: Odds = {}
        for weight, arm in known:
            for effect, share in arm.items():
                total[effect] = total.get(effect, 0.0) + weight * share
        return total


def _equal(one: Odds, other: Odds) -> bool:
    return one.keys() == other.keys() and all(abs(share - other[effect]) < EQUAL for effect, share in one.items())


@dataclass(slots=True)
class Way:
    """Where the walk stands, and what became of the packet so far."""

    packet: Packet
    ct_state: str
    ct_mark: int | None
    ct_status: int
    fork: Fork
    """Where it parted from other ways last."""
    weight: float = 1.0
    """Its share of the ways that part there."""
    stage: int = 0
    """Index of the base chain."""
    chain: Chain | None = None
    """The chain it is in; None: before the base chain."""
    index: int = 0
    """The next rule of that chain."""
    rule: Rule | None = None
    rest: tuple[Statement, ...] = ()
    """What is still to be done of the rule it is in."""
    frames: tuple[tuple[Chain, int], ...] = ()
    nat: Nat | None = None
    changed: tuple[SetChange, ...] = ()
    came: Packet | None = None
    """As it came to the base chain it is in, or has just left."""
    routed: tuple[Packet, ...] = ()
    """As it was each time it was routed again."""
    trail: Trail = None
    restored: bool = False
    """The connection's own translation was applied."""
    meeting: bool = False
    """The rule it is in stands in ``trail`` already."""
    by_chance: bool = False
    """Chance led here."""
    hashed: tuple[Fraction, Fraction] = WHOLE
    """Where the hash of the connection lies, as far as chance has settled it."""
    sight: Sight | None = None
    """What rules see of it, until something changes."""

    def arm(self, fork: Fork, weight: float, rest: tuple[Statement, ...]) -> Way:
        """Another way that begins as this one and goes on with other statements."""
        return replace(self, fork=fork, weight=weight, rest=rest)

    def ref(self) -> RuleRef:
        """The rule it is in."""
        assert self.chain is not None
        return RuleRef(self.chain, self.rule)

    def meet(self, *, decided: bool = False) -> None:
        """The matches of the rule it is in are fulfilled; ``decided``: it decides or changes something."""
        if not self.meeting:
            self.trail = (self.trail, Met(self.ref(), decided))
            self.meeting = True
        elif decided and self.trail is not None and not self.trail[1].decided:
            self.trail = (self.trail[0], Met(self.trail[1].rule, True))

    def meet_policy(self, base: Chain) -> None:
        """The policy of a base chain decides."""
        self.trail = (self.trail, Met(RuleRef(base), True))

    @property
    def met(self) -> tuple[Met, ...]:
        """The rules whose matches are fulfilled, in order."""
        found: list[Met] = []
        at = self.trail
        while at is not None:
            found.append(at[1])
            at = at[0]
        return tuple(reversed(found))

    def last_matched(self) -> RuleRef | None:
        """The last rule that decided or changed something."""
        at = self.trail
        while at is not None:
            if at[1].decided:
                return at[1].rule
            at = at[0]
        return None

    def change(self, packet: Packet) -> None:
        """The packet changes; with its addresses or ports its hash does too."""
        before = self.packet
        if (packet.src, packet.dst, packet.sport, packet.dport) != (before.src, before.dst, before.sport, before.dport):
            self.hashed = WHOLE
        self.packet, self.sight = packet, None

    def take(self, rule: Rule) -> None:
        """Begin with a rule."""
        self.rule, self.rest, self.meeting = rule, rule.statements, False
        self.index += 1
        if not rule.statements:
            self.meet()

    def leave_base(self) -> None:
        """Go on with the next base chain."""
        self.stage += 1
        self.chain, self.rule, self.rest, self.frames, self.sight = None, None, (), (), None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a way ended."""

    verdict: str
    way: Way
    why: str
    reject_with: str | None = None

    @property
    def effect(self) -> Effect:
        """All that matters to what comes after the hook: equal effects are one outcome."""
        way = self.way
        if self.verdict in (DROP, REJECT):
            return self.verdict, self.reject_with
        return self.verdict, way.packet, way.nat, way.ct_mark, way.ct_state == "untracked", way.changed, way.routed


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Every outcome of a packet, first the one in which doubtful rules match, and the places where ways parted."""

    found: Sequence[Outcome]
    forks: Sequence[Fork]
    """A place stands behind the one it was reached from."""

    def odds(self) -> Odds | None:
        """The share of every effect; None: a doubt divides them, or the rules were not followed to the end."""
        for outcome in self.found:
            arm = None if outcome.verdict == UNKNOWN else {outcome.effect: 1.0}
            outcome.way.fork.arms.append((outcome.way.weight, arm))
        for fork in reversed(self.forks[1:]):
            assert fork.parent is not None
            fork.parent.arms.append((fork.weight, fork.odds()))
        return self.forks[0].odds()
