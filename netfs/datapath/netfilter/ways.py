"""One way of a packet through a hook, and where it ended."""

from __future__ import annotations

from dataclasses import dataclass, replace

from netfs.datapath.netfilter.answer import DROP, REJECT, Nat, RuleRef
from netfs.datapath.netfilter.records import Chain, Rule, Statement
from netfs.datapath.netfilter.text import rule_text
from netfs.model.packet import Packet


@dataclass(slots=True)
class Way:
    """Where the walk stands, and what became of the packet so far."""

    packet: Packet
    ct_state: str
    ct_mark: int | None
    ct_status: int
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
    touched: frozenset[str] = frozenset()
    matched: tuple[RuleRef, ...] = ()
    doubts: tuple[tuple[RuleRef, str], ...] = ()
    share: float | None = 1.0

    def fork(self, rest: tuple[Statement, ...]) -> Way:
        """Another way that begins as this one and goes on with other statements."""
        return replace(self, rest=rest)

    def ref(self) -> RuleRef:
        """The rule it is in."""
        assert self.chain is not None
        assert self.rule is not None
        chain, rule = self.chain, self.rule
        return RuleRef(chain.family, chain.table, chain.name, rule.handle, rule_text(rule))

    def note(self) -> None:
        """The rule it is in decided or changed something."""
        ref = self.ref()
        if not self.matched or self.matched[-1] != ref:
            self.matched += (ref,)

    def leave_base(self) -> None:
        """Go on with the next base chain."""
        self.stage += 1
        self.chain, self.rule, self.rest, self.frames = None, None, (), ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a way ended."""

    verdict: str
    way: Way
    why: str
    reject_with: str | None = None

    @property
    def effect(self) -> tuple[object, ...]:
        """All that matters to what comes after the hook: equal effects are one outcome."""
        way = self.way
        if self.verdict in (DROP, REJECT):
            return self.verdict, self.reject_with
        return self.verdict, way.packet, way.nat, way.ct_mark, way.ct_state == "untracked"
