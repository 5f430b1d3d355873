"""A packet's walk through the base chains of one hook: ``nft_do_chain`` (net/netfilter/nf_tables_core.c).

Chains are called in order. ``accept`` ends a base chain and goes on with the next; ``drop`` ends the walk;
``jump`` comes back, ``goto`` does not; the end of a base chain is its policy.

Where the walk cannot know (a doubt) or chance decides, it goes every way, and every way has an outcome.
A doubt costs nothing unless the rule would then do something: its other matches are looked at first.
"""

from __future__ import annotations

from dataclasses import replace

from netfs.datapath.netfilter.answer import ACCEPT, DROP, REJECT, UNKNOWN, HookContext, RuleRef
from netfs.datapath.netfilter.datatypes import SYMBOLS
from netfs.datapath.netfilter.elements import Unknown, candidates, find
from netfs.datapath.netfilter.fields import Answer, NoMatch, Sight, Spread, evaluate
from netfs.datapath.netfilter.mangle import NotSimulatedError, mangled
from netfs.datapath.netfilter.matches import holds
from netfs.datapath.netfilter.records import (
    Chain,
    Chance,
    Constant,
    Inert,
    Mangle,
    Match,
    NoTrack,
    Opaque,
    Reject,
    Ruleset,
    Statement,
    Touch,
    Translate,
    Verdict,
    VerdictMap,
)
from netfs.datapath.netfilter.translate import Translation
from netfs.datapath.netfilter.ways import Outcome, Way
from netfs.model.packet import Packet

CONNTRACK = -200
"""Priority of connection tracking at prerouting and output (``NF_IP_PRI_CONNTRACK``)."""

MAX_JUMPS = 16
"""Depth of the jump stack (``NFT_JUMP_STACK_SIZE``)."""

MAX_STEPS = 200_000
MAX_WAYS = 1024

ENOUGH = 32
"""Ways followed where doubts alone divide them: more would only tell again that the verdict is unknown."""

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
        self.steps = 0

    def outcomes(self, packet: Packet) -> list[Outcome]:
        """Every outcome; first the one in which doubtful rules match."""
        context = self.context
        if self.original is None and context.ct_state == "new":
            self.original = packet
        status = sum(SYMBOLS["ct_status"].get(name, 0) for name in context.ct_status)
        self.pending = [Way(packet, context.ct_state, context.ct_mark, status)]
        found: list[Outcome] = []
        while self.pending:
            way = self.pending.pop()
            outcome = self._follow(way)
            if outcome is not None:
                found.append(outcome)
            if len(found) >= ENOUGH and way.share is None and len({known.effect for known in found}) > 1:
                return found
            if len(found) + len(self.pending) > MAX_WAYS:
                return [*found, Outcome(UNKNOWN, way, ENDLESS)]
        return found

    def _follow(self, way: Way) -> Outcome | None:
        """To the end of a way; None where it split into others."""
        while self.steps < MAX_STEPS:
            self.steps += 1
            if way.rest:
                outcome, split = self._rule(way)
                if outcome is not None or split:
                    return outcome
            elif way.chain is None:
                if way.stage == len(self.chains):
                    why = f"accepted by {way.matched[-1]}" if way.matched else "no rule drops it"
                    return Outcome(ACCEPT, way, why)
                self._enter(way, self.chains[way.stage])
            elif way.index < len(way.chain.rules):
                way.rule = way.chain.rules[way.index]
                way.rest = way.rule.statements
                way.index += 1
            elif (outcome := self._end(way)) is not None:
                return outcome
        return Outcome(UNKNOWN, way, ENDLESS)

    def _enter(self, way: Way, base: Chain) -> None:
        if self._asked(base, way):
            way.chain, way.index = base, 0
        else:
            way.stage += 1

    def _asked(self, base: Chain, way: Way) -> bool:
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
            way.matched += (RuleRef(base.family, base.table, base.name, None, "policy drop"),)
            return Outcome(DROP, way, f"no rule of {base.family} {base.table} {base.name} accepts it: policy drop")
        way.leave_base()
        return None

    def _rule(self, way: Way) -> tuple[Outcome | None, bool]:
        """The rest of one rule. An outcome, or whether the way split."""
        doubt: Unknown | None = None
        for position, statement in enumerate(way.rest):
            match statement:
                case Inert():
                    continue
                case Match():
                    answer = holds(statement, self._sight(way))
                    if answer is False:
                        break
                    doubt = doubt or (answer if isinstance(answer, Unknown) else None)
                    continue
                case Chance():
                    doubt = doubt or Unknown(statement.reason)
                    continue
                case Verdict(kind="continue"):
                    break
            if doubt is not None:
                self._or_not(way, doubt.reason)
            way.rest = way.rest[position + 1 :]
            return self._act(statement, way)
        way.rest = ()
        return None, False

    def _or_not(self, way: Way, reason: str) -> None:
        """The rule may match or not: leave another way that goes on behind it."""
        way.doubts += ((way.ref(), reason),)
        way.share = None
        self.pending.append(way.fork(()))

    def _act(self, statement: Statement, way: Way) -> tuple[Outcome | None, bool]:
        match statement:
            case Verdict():
                return self._verdict(statement, way), False
            case VerdictMap():
                return self._verdict_map(statement, way)
            case Mangle():
                return self._mangle(statement, way)
            case Translate():
                return self._translate(statement, way)
            case Reject():
                way.note()
                return Outcome(REJECT, way, f"rejected by {way.ref()}", statement.answer), False
            case NoTrack():
                if not self._tracked(way):
                    way.ct_state = "untracked"
                    way.note()
            case Touch():
                way.touched |= {statement.name}
            case Opaque():
                return self._unknown(way, statement.reason), False
        return None, False

    def _unknown(self, way: Way, reason: str) -> Outcome:
        way.note()
        return Outcome(UNKNOWN, way, f"{way.ref()}: {reason}")

    def _verdict(self, verdict: Verdict, way: Way) -> Outcome | None:
        way.rest = ()
        match verdict.kind:
            case "accept":
                way.note()
                way.leave_base()
            case "drop":
                way.note()
                return Outcome(DROP, way, f"dropped by {way.ref()}")
            case "return":
                assert way.chain is not None
                way.index = len(way.chain.rules)
            case "jump" | "goto":
                return self._jump(verdict, way)
        return None

    def _jump(self, verdict: Verdict, way: Way) -> Outcome | None:
        chain = way.chain
        assert chain is not None
        table = self.ruleset.tables.get((chain.family, chain.table))
        target = table.chains.get(verdict.target or "") if table is not None else None
        if target is None:
            return self._unknown(way, f"chain {verdict.target} was not listed")
        if verdict.kind == "jump":
            if len(way.frames) >= MAX_JUMPS:
                return self._unknown(way, "the chains jump deeper than a kernel would allow")
            way.frames += ((chain, way.index),)
        way.chain, way.index = target, 0
        return None

    def _verdict_map(self, statement: VerdictMap, way: Way) -> tuple[Outcome | None, bool]:
        key = evaluate(statement.key, self._sight(way))
        if isinstance(key, NoMatch):
            way.rest = ()
            return None, False
        if statement.data.defect is not None:
            return self._unknown(way, statement.data.defect), False
        if statement.data.name is not None and statement.data.name in way.touched:
            return self._unknown(way, f"map {statement.data.name} was changed by this packet"), False
        if isinstance(key, Spread):
            found = [find(statement.data, value) for value in key.values if isinstance(value, int)]
            data = [hit.data if not isinstance(hit, Unknown) else None for hit in found]
            chosen = tuple((item,) if isinstance(item, Verdict) else () for item in data)
            return self._split(way, chosen, key)
        hit = find(statement.data, key)
        if isinstance(hit, Unknown):
            self._or_not(way, hit.reason)
            possible = dict.fromkeys(item for item in candidates(statement.data, key) if isinstance(item, Verdict))
            self.pending += [way.fork((item,)) for item in possible]
            return None, True
        way.rest = ()
        return (self._verdict(hit.data, way) if isinstance(hit.data, Verdict) else None), False

    def _split(self, way: Way, rests: tuple[tuple[Statement, ...], ...], spread: Spread) -> tuple[None, bool]:
        """Chance decides: every choice is a way of its own, with its share of the connections."""
        way.doubts += ((way.ref(), f"{spread.name} chooses one of {len(rests)}"),)
        way.share = way.share / len(rests) if way.share is not None and spread.even else None
        self.pending += [way.fork(rest) for rest in reversed(rests)]
        return None, True

    def _mangle(self, statement: Mangle, way: Way) -> tuple[Outcome | None, bool]:
        value = evaluate(statement.value, self._sight(way))
        if isinstance(value, NoMatch):
            way.rest = ()
            return None, False
        if isinstance(value, Spread):
            return self._split(way, _each(statement, value, way.rest), value)
        if not isinstance(value, int):
            reason = value.reason if isinstance(value, Unknown) else f"a value for {statement.target} that is no number"
            return self._unknown(way, reason), False
        way.note()
        if statement.target == "ct mark":
            if self._tracked(way) and way.ct_state not in ("untracked", "invalid"):
                way.ct_mark = value
            return None, False
        try:
            way.packet = mangled(way.packet, statement.target, value)
        except NotSimulatedError as error:
            return self._unknown(way, str(error)), False
        return None, False

    def _translate(self, statement: Translate, way: Way) -> tuple[Outcome | None, bool]:
        if statement.family is not None and statement.family != way.packet.family:
            return None, False
        address = evaluate(statement.address, self._sight(way)) if statement.address is not None else None
        if isinstance(address, NoMatch):
            way.rest = ()
            return None, False
        if isinstance(address, Spread):
            return self._split(way, _each(statement, address, ()), address)
        result = self.translation.apply(statement, address, way.packet)
        if isinstance(result, Unknown):
            return self._unknown(way, result.reason), False
        way.note()
        if result is None:
            return Outcome(DROP, way, f"{way.ref()}: the device has no address to translate to"), False
        way.packet, way.nat = result
        way.ct_status |= SYMBOLS["ct_status"]["snat" if statement.kind in ("snat", "masquerade") else "dnat"]
        way.leave_base()
        return None, False

    def _tracked(self, way: Way) -> bool:
        """Whether conntrack was called before the base chain the way is in."""
        base = self.chains[way.stage]
        return self.hook not in ("prerouting", "output") or base.type == "nat" or base.priority >= CONNTRACK

    def _sight(self, way: Way) -> Sight:
        return Sight(
            hook=self.hook,
            packet=way.packet,
            context=self.context,
            tracked=self._tracked(way),
            ct_state=way.ct_state,
            ct_mark=way.ct_mark,
            ct_status=way.ct_status,
            original=self.original,
            touched=way.touched,
        )


def _each(
    statement: Mangle | Translate, spread: Spread, rest: tuple[Statement, ...]
) -> tuple[tuple[Statement, ...], ...]:
    """The statement once for every value that chance may put into it; without one the rule ends."""
    ways: list[tuple[Statement, ...]] = []
    for value in spread.values:
        if isinstance(value, NoMatch):
            ways.append(())
        elif (constant := _constant(value)) is None:
            ways.append((Opaque("a value that is not known"),))
        elif isinstance(statement, Mangle):
            ways.append((replace(statement, value=constant), *rest))
        else:
            ways.append((replace(statement, address=constant), *rest))
    return tuple(ways)


def _constant(value: Answer) -> Constant | None:
    if isinstance(value, int | str):
        return Constant(value)
    if isinstance(value, tuple):
        known = tuple(part for part in value if not isinstance(part, Unknown))
        return Constant(known) if len(known) == len(value) else None
    return None
