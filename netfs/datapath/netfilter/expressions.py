"""From the JSON of one expression to its record. The form is libnftables-json(5), EXPRESSIONS.

Each function raises NotUnderstoodError for what it does not know; the caller keeps the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from netfs.datapath.netfilter.datatypes import NotUnderstoodError, constant
from netfs.datapath.netfilter.kinds import CT_KINDS, FIB_KINDS, META_KINDS, OPTION_KINDS, PAYLOAD_KINDS
from netfs.datapath.netfilter.patterns import elements_of, interval
from netfs.datapath.netfilter.records import (
    Binary,
    Concat,
    Constant,
    Ct,
    Expression,
    Fib,
    Generator,
    Hash,
    Lookup,
    Meta,
    Opaque,
    Option,
    Payload,
    Raw,
)
from netfs.datapath.netfilter.scope import Scope, number_of, single, text_of

OPERATORS = ("&", "|", "^", "<<", ">>")

MAX_DEPTH = 32
"""Nesting of expressions; what lies deeper is no rule that a kernel would take."""

MAX_BITS = 1 << 16

UNKNOWABLE = {
    "socket": "the socket of a packet",
    "osf": "the operating system that sent a packet",
    "rt": "what routing keeps for a packet (rt)",
    "ipsec": "the IPsec state of a packet",
    "tunnel": "the tunnel's data of a packet",
    "xfrm": "the IPsec state of a packet",
}
"""Expressions about what neither a packet here nor a snapshot holds."""


def _payload(raw: Any, scope: Scope, hint: str, depth: int) -> Expression:
    if isinstance(raw, dict) and "base" in raw:
        base, offset, length = text_of(raw, "base"), number_of(raw, "offset"), number_of(raw, "len")
        if base not in ("ll", "nh", "th", "ih") or not 0 < length <= MAX_BITS or not 0 <= offset <= MAX_BITS:
            raise NotUnderstoodError(f"header bits {base[:60]},{offset},{length}")
        return Raw(base, offset, length)
    if isinstance(raw, dict) and raw.keys() - {"protocol", "field"}:
        raise NotUnderstoodError(f"header field {str(raw)[:60]!r}")
    protocol, field = text_of(raw, "protocol"), text_of(raw, "field")
    kind = PAYLOAD_KINDS.get(protocol, {}).get(field)
    if kind is None:
        raise NotUnderstoodError(f"header field {protocol} {field}")
    return Payload(protocol, field, kind)


def _option(protocol: str) -> Callable[[Any, Scope, str, int], Expression]:
    def read(raw: Any, scope: Scope, hint: str, depth: int) -> Expression:
        if not isinstance(raw, dict):
            raise NotUnderstoodError(f"{protocol} option {str(raw)[:60]!r}")
        name = str(raw["base"]) if "base" in raw else text_of(raw, "name")
        field = raw.get("field")
        if field is not None and not isinstance(field, str):
            raise NotUnderstoodError(f"{protocol} option {str(raw)[:60]!r}")
        return Option(protocol, name[:60], field, OPTION_KINDS.get(field or "", "integer"))

    return read


def _unknowable(reason: str) -> Callable[[Any, Scope, str, int], Expression]:
    def read(raw: Any, scope: Scope, hint: str, depth: int) -> Expression:
        return Opaque(f"{reason} is not known to a simulation")

    return read


def _range(raw: Any, scope: Scope, hint: str, depth: int) -> Expression:
    return Constant(interval({"range": raw}, hint))


def _prefix(raw: Any, scope: Scope, hint: str, depth: int) -> Expression:
    return Constant(interval({"prefix": raw}, hint))


def _meta(raw: Any, scope: Scope, hint: str, depth: int) -> Expression:
    key = text_of(raw, "key")
    return Meta(key, META_KINDS.get(key, "string"))


def _ct(raw: Any, scope: Scope, hint: str, depth: int) -> Expression:
    key = text_of(raw, "key")
    direction = raw.get("dir")
    if direction not in (None, "original", "reply"):
        raise NotUnderstoodError(f"ct direction {str(direction)[:60]!r}")
    kind = CT_KINDS.get(key, "string")
    return Ct(key, direction, kind)


def _fib(raw: Any, scope: Scope, hint: str, depth: int) -> Expression:
    result = text_of(raw, "result")
    flags = raw.get("flags", [])
    flags = [flags] if isinstance(flags, str) else flags
    if result not in FIB_KINDS or not isinstance(flags, list) or not all(isinstance(f, str) for f in flags):
        raise NotUnderstoodError(f"fib {result[:60]!r}")
    return Fib(result, frozenset(flags), FIB_KINDS[result])


def _concat(raw: Any, scope: Scope, hint: str, depth: int) -> Expression:
    if not isinstance(raw, list) or not raw:
        raise NotUnderstoodError(f"concatenation {str(raw)[:60]!r}")
    hints = [part.strip() for part in hint.split(".")] if "." in hint else [hint] * len(raw)
    if len(hints) != len(raw):
        raise NotUnderstoodError("concatenation of another length")
    return Concat(tuple(expression(part, scope, part_hint, depth) for part, part_hint in zip(raw, hints, strict=True)))


def _numgen(raw: Any, scope: Scope, hint: str, depth: int) -> Expression:
    return _generator("numgen", raw)


def _jhash(raw: Any, scope: Scope, hint: str, depth: int) -> Expression:
    generator = _generator("jhash", raw)
    key = expression(raw.get("expr"), scope, "", depth)
    if "seed" not in raw:
        return generator
    return Hash(key, kinds_of(key), number_of(raw, "seed") & 0xFFFFFFFF, generator.count, generator.offset)


def _symhash(raw: Any, scope: Scope, hint: str, depth: int) -> Expression:
    return replace(_generator("symhash", raw), steady=True)


def _generator(name: str, raw: Any) -> Generator:
    count, offset = number_of(raw, "mod"), number_of(raw, "offset", 0)
    if count < 1 or offset < 0:
        raise NotUnderstoodError(f"{name} {str(raw)[:60]!r}")
    return Generator(name, count, offset)


def _map(raw: Any, scope: Scope, hint: str, depth: int) -> Expression:
    if not isinstance(raw, dict) or "key" not in raw or "data" not in raw:
        raise NotUnderstoodError(f"map {str(raw)[:60]!r}")
    key = expression(raw["key"], scope, "", depth)
    return Lookup(key, elements_of(raw["data"], scope, kinds_of(key), hint))


_READERS: Mapping[str, Callable[[Any, Scope, str, int], Expression]] = {
    "payload": _payload,
    "meta": _meta,
    "ct": _ct,
    "fib": _fib,
    "concat": _concat,
    "numgen": _numgen,
    "jhash": _jhash,
    "symhash": _symhash,
    "map": _map,
    "range": _range,
    "prefix": _prefix,
    "exthdr": _option("ip6"),
    "ip option": _option("ip"),
    "tcp option": _option("tcp"),
    "sctp chunk": _option("sctp"),
    "dccp option": _option("dccp"),
    **{name: _unknowable(reason) for name, reason in UNKNOWABLE.items()},
}


def expression(raw: Any, scope: Scope, hint: str = "", depth: int = 0) -> Expression:
    """An expression. ``hint`` is the type of a bare constant, where its place tells it."""
    if depth > MAX_DEPTH:
        raise NotUnderstoodError("an expression nested too deeply")
    if not isinstance(raw, dict):
        return Constant(constant(hint, raw))
    name, content = single(raw)
    if name in OPERATORS:
        return _binary(name, content, scope, hint, depth + 1)
    reader = _READERS.get(name)
    if reader is None:
        raise NotUnderstoodError(f"expression {name[:60]!r}")
    return reader(content, scope, hint, depth + 1)


def _binary(op: str, raw: Any, scope: Scope, hint: str, depth: int) -> Expression:
    if not isinstance(raw, list) or len(raw) < 2:
        raise NotUnderstoodError(f"operator {op}")
    left = expression(raw[0], scope, hint, depth)
    for operand in raw[1:]:
        kind = kind_of(left) or hint
        right = expression(operand, scope, "integer" if op in ("<<", ">>") else kind, depth)
        left = Binary(op, left, right, kind)
    return left


def kind_of(found: Expression) -> str:
    """The type of an expression's value; empty where it has none of its own."""
    match found:
        case Payload() | Raw() | Option() | Meta() | Ct() | Fib() | Binary():
            return found.kind
        case Generator() | Hash():
            return "integer"
    return ""


def kinds_of(found: Expression) -> tuple[str, ...]:
    """The types of an expression's parts."""
    return tuple(kind_of(part) for part in found.parts) if isinstance(found, Concat) else (kind_of(found),)


def guarded(raw: Any, scope: Scope, hint: str = "") -> Expression:
    """An expression, or an Opaque one with the reason."""
    try:
        return expression(raw, scope, hint)
    except NotUnderstoodError as error:
        return Opaque(f"{error} is not understood")
