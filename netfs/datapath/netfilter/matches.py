"""Whether a rule's match holds for the packet in sight: yes, no, by chance, or unknown with the reason."""

from __future__ import annotations

from netfs.datapath.netfilter.elements import Subject, Unknown, altered, find, fits
from netfs.datapath.netfilter.fields import evaluate
from netfs.datapath.netfilter.records import Anything, Between, Ct, Elements, Exact, Match, Pattern, Random
from netfs.datapath.netfilter.values import NoMatch, Sight, Spread

ASSURED = 4
"""The bit of ``ct status`` that depends on how long the connection has been used."""


def holds(match: Match, sight: Sight) -> bool | Random | Unknown:
    """Evaluate one match."""
    if isinstance(match.left, Ct) and match.left.key == "status" and isinstance(match.right, Exact):
        return _status(match, match.right, sight)
    left = evaluate(match.left, sight)
    if isinstance(left, NoMatch):
        return match.absent
    if isinstance(left, Spread):
        return _by_chance(match, left, sight)
    return Unknown("a range of values") if isinstance(left, Between) else _of_value(match, left, sight)


def _of_value(match: Match, left: Subject, sight: Sight) -> bool | Unknown:
    if isinstance(match.right, Elements):
        return _member(match, match.right, left, sight)
    if isinstance(left, Unknown) and left.between is None and not isinstance(match.right, Anything):
        return left
    return _compared(match.op, match.right, left)


def _by_chance(match: Match, left: Spread, sight: Sight) -> bool | Random | Unknown:
    """The part of connections whose value fits."""
    total = 0.0
    for value, share in left.odds:
        answer = False if isinstance(value, NoMatch | Spread | Between) else _of_value(match, value, sight)
        if isinstance(answer, Unknown):
            return answer
        total += share if answer else 0.0
    return Random(total, left.name)


def _member(match: Match, elements: Elements, left: Subject, sight: Sight) -> bool | Unknown:
    changed = altered(sight.changed, elements, left)
    if changed is not None:
        return changed if isinstance(changed, Unknown) else changed == (match.op == "==")
    hit = find(elements, left)
    if isinstance(hit, Unknown):
        return hit
    return hit.found == (match.op == "==")


def _compared(op: str, right: Pattern, left: Subject) -> bool | Unknown:
    if op in ("==", "!="):
        answer = fits(right, left)
        if answer is None:
            return Unknown(next((part.reason for part in _parts(left) if isinstance(part, Unknown)), "part unknown"))
        return answer == (op == "==")
    if isinstance(left, Unknown) and left.between is not None:
        ends = {_compared(op, right, end) for end in left.between}
        return ends.pop() if len(ends) == 1 and op in ("<", ">", "<=", ">=") else left
    if not isinstance(right, Exact) or not isinstance(right.value, int) or not isinstance(left, int):
        return Unknown(f"operator {op} on values that are not single numbers")
    match op:
        case "<":
            return left < right.value
        case ">":
            return left > right.value
        case "<=":
            return left <= right.value
        case ">=":
            return left >= right.value
        case "in":
            return left & right.value != 0
    return left & right.value == 0


def _parts(value: Subject) -> tuple[int | str | Unknown, ...]:
    return value if isinstance(value, tuple) else (value,)


def _status(match: Match, right: Exact, sight: Sight) -> bool | Unknown:
    """``ct status`` bit by bit: some bits are known, and most rules ask for one (``IPS_*``)."""
    if not sight.tracked or sight.ct_state in ("untracked", "invalid"):
        return match.absent
    if match.op not in ("in", "!") or not isinstance(right.value, int):
        return Unknown("ct status as a whole")
    if sight.ct_status & right.value:
        return match.op == "in"
    if right.value & ASSURED and sight.ct_state != "new":
        return Unknown("whether the connection is assured depends on the traffic before")
    return match.op == "!"
