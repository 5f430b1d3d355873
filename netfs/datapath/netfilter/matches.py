"""Whether a rule's match holds for the packet in sight: yes, no, or unknown with the reason."""

from __future__ import annotations

from netfs.datapath.netfilter.elements import Subject, Unknown, find, fits
from netfs.datapath.netfilter.fields import NoMatch, Sight, Spread, evaluate
from netfs.datapath.netfilter.records import Anything, Ct, Elements, Exact, Match, Pattern

ASSURED = 4
"""The bit of ``ct status`` that depends on how long the connection has been used."""


def holds(match: Match, sight: Sight) -> bool | Unknown:
    """Evaluate one match."""
    if isinstance(match.left, Ct) and match.left.key == "status" and isinstance(match.right, Exact):
        return _status(match, match.right, sight)
    left = evaluate(match.left, sight)
    if isinstance(left, NoMatch):
        return False
    if isinstance(left, Spread):
        return Unknown(f"{left.name} chooses at random" if left.even else f"{left.name} is a hash that is not known")
    if isinstance(match.right, Elements):
        return _member(match, match.right, left, sight)
    if isinstance(left, Unknown) and not isinstance(match.right, Anything):
        return left
    return _compared(match.op, match.right, left)


def _member(match: Match, elements: Elements, left: Subject, sight: Sight) -> bool | Unknown:
    if elements.name is not None and elements.name in sight.touched:
        return Unknown(f"set {elements.name} was changed by this packet")
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
        return False
    if match.op not in ("in", "!") or not isinstance(right.value, int):
        return Unknown("ct status as a whole")
    if sight.ct_status & right.value:
        return match.op == "in"
    if right.value & ASSURED and sight.ct_state != "new":
        return Unknown("whether the connection is assured depends on the traffic before")
    return match.op == "!"
