"""A packet's walk through the base chains of one hook: ``nft_do_chain`` (net/netfilter/nf_tables_core.c).

Chains are called in order. ``accept`` ends a base chain and goes on with the next; ``drop`` ends the walk;
``jump`` comes back, ``goto`` does not; the end of a base chain is its policy.

Where the walk cannot know (a doubt) or chance decides, it goes every way, and every way has an outcome (``ways.py``).
A doubt costs nothing unless the rule would then do something: its other matches are looked at first.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import ceil, floor

from netfs.datapath.netfilter.acting import act
from netfs.datapath.netfilter.answer import ACCEPT, DROP, UNKNOWN, HookContext, SetChange
from netfs.datapath.netfilter.datatypes import SYMBOLS
from netfs.datapath.netfilter.elements import Unknown
from netfs.datapath.netfilter.matches import holds
from netfs.datapath.netfilter.parse import NAT_POSITIONS
from netfs.datapath.netfilter.records import (
    Chain,
    Chance,
    Inert,
    Match,
    Random,
    Ruleset,
    Statement,
    Verdict,
)
from netfs.datapath.netfilter.translate import Translation
from netfs.datapath.netfilter.values import Sight, Spread, UndrawnError
from netfs.datapath.netfilter.ways import Fork, Outcome, Outcomes, Way
from netfs.model.packet import Packet

CONNTRACK = -200
"""Priority of connection tracking at prerouting and output (``NF_IP_PRI_CONNTRACK``)."""

MAX_STEPS = 200_000
MAX_WAYS = 4096

ENOUGH = 32
"""Ways followed where doubts alone divide them: more would only tell again that the verdict is unknown."""

UNDECIDED = "several rules are in doubt"
ENDLESS = "the rules take more steps than can be followed"


class Walker:
    """Walks every way of one packet through one hook."""

    def __init__(
        self, ruleset: Ruleset, chains: tuple[Chain, ...], hook: str, context: HookContext, translation: Translation
    ) -> None:
        self.ruleset = ruleset
        self.chains = chains
        self.hook = hook
        self.context = context
        self.translation = translation
        self.original = context.original
        self.pending: list[Way] = []
        self.forks = [Fork(doubt=False)]
        self.steps = 0

    def outcomes(self, packet: Packet) -> Outcomes:
        """Every outcome; first the one in which doubtful rules match."""
        context = self.context
        if self.original is None and context.ct_state == "new":
            self.original = packet
        status = sum(SYMBOLS["ct_status"].get(name, 0) for name in context.ct_status)
        self.pending = [Way(packet, context.ct_state, context.ct_mark, status, self.forks[0], changed=context.changed)]
        found: list[Outcome] = []
        while self.pending:
            way = self.pending.pop()
            outcome = self._follow(way)
            if outcome is not None:
                found.append(outcome)
            if len(found) + len(self.pending) > MAX_WAYS:
                found.append(Outcome(UNKNOWN, way, ENDLESS))
                break
            if len(found) >= ENOUGH and not way.by_chance and len({known.effect for known in found}) > 1:
                found.append(Outcome(UNKNOWN, way, UNDECIDED))
                break
        return Outcomes(found, self.forks)

    def _follow(self, way: Way) -> Outcome | None:
        """To the end of a way; None where it split into others."""
        while self.steps < MAX_STEPS:
            self.steps += 1
            if way.rest:
                try:
                    outcome, split = self._rule(way)
                except UndrawnError as undrawn:
                    outcome, split = self._draw(way, undrawn.count)
                if outcome is not None or split:
                    return outcome
            elif way.chain is None:
                self._route(way)
                if way.stage == len(self.chains):
                    self._restore(way)
                    last = way.last_matched()
                    return Outcome(ACCEPT, way, f"accepted by {last}" if last is not None else "no rule drops it")
                self._enter(way, self.chains[way.stage])
            elif (index := way.chain.next_after(way.index, way.packet)) < len(way.chain.rules):
                way.index = index
                way.take(way.chain.rules[index])
            elif (outcome := self._end(way)) is not None:
                return outcome
        return Outcome(UNKNOWN, way, ENDLESS)

    def _restore(self, way: Way) -> None:
        """``nf_nat_inet_fn`` translates the packets of a known connection where it would ask the nat chains."""
        if self.context.restore is not None and not way.restored and way.ct_state != "untracked":
            before, way.packet = way.packet, self.context.restore(way.packet)
            way.restored, way.sight = True, None
            if self.hook == "output" and before.dst != way.packet.dst:
                way.routed += (way.packet,)

    def _route(self, way: Way) -> None:
        """A local packet is routed again behind the base chain that changed what its route depends on
        (``nf_route_table_hook4``, ``ipt_mangle_out``), or its destination (``nf_nat_ipv4_local_fn``).
        """
        before, after, way.came = way.came, way.packet, None
        if self.hook != "output" or before is None or before is after:
            return
        base = self.chains[way.stage - 1]
        changed = before.dst != after.dst
        if base.type == "route" or (base.table == "mangle" and base.program != "nft"):
            changed = changed or (before.src, before.mark, before.tos) != (after.src, after.mark, after.tos)
        elif base.type != "nat":
            return
        if changed:
            way.routed += (after,)

    def _enter(self, way: Way, base: Chain) -> None:
        if base.type == "nat" or base.priority > NAT_POSITIONS.get(self.hook, base.priority):
            self._restore(way)
        if self._asked(base, way):
            way.chain, way.index, way.came = base, 0, way.packet
        else:
            way.stage += 1

    def _asked(self, base: Chain, way: Way) -> bool:
        if self.context.before is not None:
            place = NAT_POSITIONS.get(self.hook, base.priority) if base.type == "nat" else base.priority
            if place >= self.context.before:
                return False
        if base.type == "nat":
            done = self.context.nat_done or way.nat is not None
            return not done and way.ct_state in ("new", "related")
        if base.devices:
            device = self.context.oif if base.hook == "egress" else self.context.iif
            return device is not None and device.name in base.devices
        return True

    def _end(self, way: Way) -> Outcome | None:
        """The end of a chain: back to the caller, or the policy."""
        if way.frames:
            (way.chain, way.index), way.frames = way.frames[-1], way.frames[:-1]
            return None
        base = self.chains[way.stage]
        if base.policy == "drop":
            way.meet_policy(base)
            return Outcome(DROP, way, f"no rule of {base.family} {base.table} {base.name} accepts it: policy drop")
        way.leave_base()
        return None

    def _rule(self, way: Way) -> tuple[Outcome | None, bool]:
        """The rest of one rule. An outcome, or whether the way split."""
        doubt: str | None = None
        odds: list[Random] = []
        for position, statement in enumerate(way.rest):
            match statement:
                case Inert():
                    continue
                case Match():
                    answer = holds(statement, self.sight(way))
                    if answer is False:
                        way.rest = ()
                        return None, False
                    if isinstance(answer, Unknown):
                        doubt = doubt or answer.reason
                    elif isinstance(answer, Random):
                        odds.append(answer)
                    continue
                case Chance():
                    doubt = doubt or statement.reason
                    continue
                case Random():
                    odds.append(statement)
                    continue
                case Verdict(kind="continue"):
                    break
            return self._reached(way, position, doubt, odds)
        way.rest = ()
        if doubt is None and not odds:
            way.meet()
        return None, False

    def _reached(self, way: Way, position: int, doubt: str | None, odds: list[Random]) -> tuple[Outcome | None, bool]:
        """A statement that does something: by then doubt and chance matter."""
        if doubt is not None:
            self.or_not(way, doubt)
        share = 1.0
        for chance in odds:
            share *= min(max(chance.probability, 0.0), 1.0)
        if share == 0.0:
            way.rest = ()
            return None, False
        if share < 1.0:
            fork = self.fork(way, f"{odds[0].name} holds for {share:.2%} of connections", doubt=False)
            self.pending.append(way.arm(fork, 1.0 - share, ()))
            way.fork, way.weight = fork, share
        rest = way.rest[position:]
        way.rest = rest[1:]
        try:
            return act(self, rest[0], way)
        except UndrawnError as undrawn:
            way.rest = rest
            return self._draw(way, undrawn.count)

    def _draw(self, way: Way, count: int) -> tuple[None, bool]:
        """Settle the connection's hash: every part of what is left of it goes on by itself, from where it was asked."""
        low, high = way.hashed
        fork = self.fork(way, f"symhash chooses one of {count}", doubt=False)
        for value in reversed(range(floor(low * count), ceil(high * count))):
            part = max(low, Fraction(value, count)), min(high, Fraction(value + 1, count))
            arm = way.arm(fork, float((part[1] - part[0]) / (high - low)), way.rest)
            arm.hashed, arm.sight = part, None
            self.pending.append(arm)
        return None, True

    def fork(self, way: Way, reason: str, *, doubt: bool) -> Fork:
        """A place where the way parts."""
        fork = Fork(doubt, way.ref(), reason, way.fork, way.weight)
        self.forks.append(fork)
        way.by_chance = way.by_chance or not doubt
        return fork

    def or_not(self, way: Way, reason: str) -> None:
        """The rule may match or not: leave another way that goes on behind it."""
        fork = self.fork(way, reason, doubt=True)
        self.pending.append(way.arm(fork, 1.0, ()))
        way.fork, way.weight = fork, 1.0

    def split(self, way: Way, arms: Iterable[tuple[tuple[Statement, ...], float]], spread: Spread) -> tuple[None, bool]:
        """Chance decides: every choice is a way of its own, with its share of the connections."""
        arms = list(arms)
        if len(arms) == 1:
            way.rest = arms[0][0]
            return None, False
        fork = self.fork(way, f"{spread.name} chooses one of {len(arms)}", doubt=False)
        self.pending += [way.arm(fork, share, rest) for rest, share in reversed(arms)]
        return None, True

    def tracked(self, way: Way) -> bool:
        """Whether conntrack was called before the base chain the way is in."""
        if self.context.tracked or self.hook not in ("prerouting", "output"):
            return True
        base = self.chains[way.stage]
        return base.type == "nat" or base.priority >= CONNTRACK

    def sets_of(self, way: Way) -> tuple[str, str]:
        """Where the sets of the chain it is in live: in its table, or among the namespace's ipsets."""
        base = self.chains[way.stage]
        return (base.family, base.table) if base.program == "nft" else ("", "ipset")

    def _changed(self, way: Way) -> tuple[SetChange, ...]:
        """What the packet changed in the sets that the table it is in refers to."""
        table = self.sets_of(way)
        return tuple(change for change in way.changed if change.table == table)

    def sight(self, way: Way) -> Sight:
        """What rules see of the packet."""
        if way.sight is None:
            way.sight = Sight(
                hook=self.hook,
                packet=way.packet,
                context=self.context,
                tracked=self.tracked(way),
                ct_state=way.ct_state,
                ct_mark=way.ct_mark,
                ct_status=way.ct_status,
                original=self.original,
                hashed=way.hashed,
                changed=self._changed(way),
            )
        return way.sight
