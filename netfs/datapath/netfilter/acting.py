"""What the statements of a rule do, once its matches are fulfilled: verdicts, marks, translations, sets.

Each function returns an outcome where the way ends, and whether it split into others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from netfs.datapath.netfilter.answer import DROP, REJECT, UNKNOWN, SetChange
from netfs.datapath.netfilter.datatypes import SYMBOLS
from netfs.datapath.netfilter.elements import MISS, Unknown, altered, candidates, find
from netfs.datapath.netfilter.fields import evaluate
from netfs.datapath.netfilter.mangle import NotSimulatedError, mangled
from netfs.datapath.netfilter.records import (
    Between,
    Constant,
    Mangle,
    NoTrack,
    Opaque,
    Reject,
    Statement,
    Touch,
    Translate,
    Verdict,
    VerdictMap,
)
from netfs.datapath.netfilter.values import Answer, NoMatch, Spread
from netfs.datapath.netfilter.ways import Outcome, Way

if TYPE_CHECKING:
    from netfs.datapath.netfilter.walk import Walker

Step: TypeAlias = "tuple[Outcome | None, bool]"
"""Where the way ended, or whether it split into others."""

MAX_JUMPS = 16
"""Depth of the jump stack (``NFT_JUMP_STACK_SIZE``)."""


def act(walker: Walker, statement: Statement, way: Way) -> Step:
    """Do what a statement says."""
    match statement:
        case Verdict():
            return _verdict(walker, statement, way), False
        case VerdictMap():
            return _verdict_map(walker, statement, way)
        case Mangle():
            return _mangle(walker, statement, way)
        case Translate():
            return _translate(walker, statement, way)
        case Reject():
            way.meet(decided=True)
            return Outcome(REJECT, way, f"rejected by {way.ref()}", statement.answer), False
        case NoTrack():
            if not walker.tracked(way):
                way.ct_state, way.sight = "untracked", None
            way.meet(decided=not walker.tracked(way))
        case Touch():
            _touch(walker, statement, way)
        case Opaque():
            return _unknown(walker, way, statement.reason), False
    return None, False


def _touch(walker: Walker, statement: Touch, way: Way) -> None:
    key = evaluate(statement.key, walker.sight(way))
    if isinstance(key, NoMatch):
        way.rest = ()
        return
    way.meet()
    known = _constant(key)
    value = known.value if known is not None and not isinstance(known.value, Between) else None
    change = SetChange(walker.sets_of(way), statement.name, value, statement.present)
    way.changed, way.sight = (*way.changed, change), None


def _unknown(walker: Walker, way: Way, reason: str) -> Outcome:
    way.meet(decided=True)
    return Outcome(UNKNOWN, way, f"{way.ref()}: {reason}")


def _verdict(walker: Walker, verdict: Verdict, way: Way) -> Outcome | None:
    way.rest = ()
    way.meet(decided=verdict.kind in ("accept", "drop"))
    match verdict.kind:
        case "accept":
            way.leave_base()
        case "drop":
            return Outcome(DROP, way, f"dropped by {way.ref()}")
        case "return":
            assert way.chain is not None
            way.index = len(way.chain.rules)
        case "jump" | "goto":
            return _jump(walker, verdict, way)
    return None


def _jump(walker: Walker, verdict: Verdict, way: Way) -> Outcome | None:
    chain = way.chain
    assert chain is not None
    table = walker.ruleset.table_of(chain)
    target = table.chains.get(verdict.target or "") if table is not None else None
    if target is None:
        return _unknown(walker, way, f"chain {verdict.target} was not listed")
    if verdict.kind == "jump":
        if len(way.frames) >= MAX_JUMPS:
            return _unknown(walker, way, "the chains jump deeper than a kernel would allow")
        way.frames += ((chain, way.index),)
    way.chain, way.index = target, 0
    return None


def _verdict_map(walker: Walker, statement: VerdictMap, way: Way) -> Step:
    key = evaluate(statement.key, walker.sight(way))
    if isinstance(key, NoMatch):
        way.rest = ()
        return None, False
    if statement.data.defect is not None:
        return _unknown(walker, way, statement.data.defect), False
    if isinstance(key, Spread):
        return _chosen_verdict(walker, statement, key, way)
    if isinstance(key, Between):
        return _unknown(walker, way, "a range of values"), False
    changed = altered(walker.sight(way).changed, statement.data, key)
    if changed is not None:
        return _unknown(walker, way, f"map {statement.data.name} was changed by this packet"), False
    hit = find(statement.data, key)
    if isinstance(hit, Unknown):
        walker.or_not(way, hit.reason)
        possible = dict.fromkeys(item for item in candidates(statement.data, key) if isinstance(item, Verdict))
        walker.pending += [way.arm(way.fork, 1.0, (item,)) for item in possible]
        return None, True
    way.rest = ()
    return (_verdict(walker, hit.data, way) if isinstance(hit.data, Verdict) else None), False


def _chosen_verdict(walker: Walker, statement: VerdictMap, spread: Spread, way: Way) -> Step:
    shares: dict[Verdict | None, float] = {}
    for value, share in spread.odds:
        hit = find(statement.data, value) if not isinstance(value, NoMatch | Spread | Between) else MISS
        if isinstance(hit, Unknown):
            return _unknown(walker, way, hit.reason), False
        data = hit.data if isinstance(hit.data, Verdict) else None
        shares[data] = shares.get(data, 0.0) + share
    arms = [((data,) if data is not None else (), share) for data, share in shares.items()]
    return walker.split(way, arms, spread)


def _mangle(walker: Walker, statement: Mangle, way: Way) -> Step:
    value = evaluate(statement.value, walker.sight(way))
    if isinstance(value, NoMatch):
        way.rest = ()
        if way.chain is not None and way.chain.program != "nft":
            way.meet()  # the matches are fulfilled; the target finds no connection (``connmark_tg``)
        return None, False
    if isinstance(value, Spread):
        rest = way.rest
        return walker.split(way, _each(value, lambda one: (replace(statement, value=one), *rest)), value)
    if not isinstance(value, int):
        reason = value.reason if isinstance(value, Unknown) else f"a value for {statement.target} that is no number"
        return _unknown(walker, way, reason), False
    if statement.target == "ct mark":
        way.meet(decided=True)
        if walker.tracked(way) and way.ct_state not in ("untracked", "invalid"):
            way.ct_mark, way.sight = value, None
        return None, False
    try:
        packet = mangled(way.packet, statement.target, value)
    except NotSimulatedError as error:
        return _unknown(walker, way, str(error)), False
    if packet is None:
        way.rest = ()
        return None, False
    way.meet(decided=True)
    way.change(packet)
    return None, False


def _translate(walker: Walker, statement: Translate, way: Way) -> Step:
    if statement.family is not None and statement.family != way.packet.family:
        return None, False
    if statement.hooks is not None and walker.hook not in statement.hooks:
        return None, False
    address = evaluate(statement.address, walker.sight(way)) if statement.address is not None else None
    port = evaluate(statement.port, walker.sight(way)) if statement.port is not None else None
    if isinstance(address, NoMatch) or isinstance(port, NoMatch):
        way.rest = ()
        return None, False
    if isinstance(address, Spread):
        return walker.split(way, _each(address, lambda value: (replace(statement, address=value),)), address)
    if isinstance(port, Spread):
        return walker.split(way, _each(port, lambda value: (replace(statement, port=value),)), port)
    result = walker.translation.apply(statement, address, port, way.packet)
    if isinstance(result, Unknown):
        return _unknown(walker, way, result.reason), False
    way.meet(decided=True)
    if result is None:
        return Outcome(DROP, way, f"{way.ref()}: the device has no address to translate to"), False
    packet, way.nat = result
    way.change(packet)
    way.ct_status |= SYMBOLS["ct_status"]["snat" if statement.kind in ("snat", "masquerade") else "dnat"]
    way.leave_base()
    return None, False


def _each(
    spread: Spread, change: Callable[[Constant], tuple[Statement, ...]]
) -> list[tuple[tuple[Statement, ...], float]]:
    """What is to be done for every value that chance may give; without one the rule ends."""
    arms: list[tuple[tuple[Statement, ...], float]] = []
    for value, share in spread.odds:
        if isinstance(value, NoMatch):
            arms.append(((), share))
        elif (constant := _constant(value)) is None:
            arms.append(((Opaque("a value that is not known"),), share))
        else:
            arms.append((change(constant), share))
    return arms


def _constant(value: Answer) -> Constant | None:
    if isinstance(value, int | str | Between):
        return Constant(value)
    if isinstance(value, tuple):
        known = tuple(part for part in value if not isinstance(part, Unknown))
        return Constant(known) if len(known) == len(value) else None
    return None
