"""From the JSON of one statement of a rule to its record (libnftables-json(5), "STATEMENTS")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from netfs.datapath.netfilter.datatypes import NotUnderstoodError
from netfs.datapath.netfilter.expressions import (
    CT_KINDS,
    META_KINDS,
    PAYLOAD_KINDS,
    VERDICTS,
    Scope,
    elements_of,
    expression,
    guarded,
    kinds_of,
    pattern,
    single,
    text_of,
    verdict,
)
from netfs.datapath.netfilter.records import (
    Chance,
    Elements,
    Exact,
    Expression,
    Inert,
    Mangle,
    Match,
    NoTrack,
    Opaque,
    Pattern,
    Reject,
    Statement,
    Touch,
    Translate,
    VerdictMap,
)

INERT = frozenset(
    ("counter", "log", "comment", "last", "secmark", "dup", "ct helper", "ct timeout", "ct expectation", "reset")
)
"""Statements that neither stop a packet nor change what later rules or routing look at."""

INERT_TARGETS = frozenset(
    ("meta priority", "meta nftrace", "meta secmark", "ct secmark", "ct label", "ct event", "ct helper")
)

INERT_XT = frozenset((("match", "comment"), ("target", "LOG"), ("target", "NFLOG"), ("target", "TRACE")))
"""iptables extensions whose arguments do not matter."""

CHANCES = {"limit": "limit", "quota": "quota", "ct count": "ct count", "connlimit": "ct count", "flow": "flow add"}

OPERATORS = ("==", "!=", "<", ">", "<=", ">=", "in", "!")


def statement(raw: Any, scope: Scope, family: str) -> Statement:
    """One statement; what is not understood becomes Opaque (a statement) or Chance (a match)."""
    try:
        name, content = single(raw)
    except NotUnderstoodError as error:
        return Opaque(f"statement {error} is not understood")
    if name in INERT:
        return Inert(name)
    if name in CHANCES:
        return Chance(f"{CHANCES[name]} depends on the traffic before")
    reader = _READERS.get(name)
    try:
        if name in VERDICTS:
            return verdict(raw)
        if reader is None:
            return Opaque(f"statement {name[:60]!r} is not understood")
        return reader(content, scope, family)
    except NotUnderstoodError as error:
        return (Chance if name == "match" else Opaque)(f"{error} is not understood")


def _match(raw: Any, scope: Scope, family: str) -> Statement:
    op = text_of(raw, "op")
    if op not in OPERATORS:
        raise NotUnderstoodError(f"operator {op[:60]!r}")
    left = expression(raw.get("left"), scope)
    return Match(left, op, _right(raw.get("right"), left, op, scope))


def _right(raw: Any, left: Expression, op: str, scope: Scope) -> Pattern | Elements:
    kinds = kinds_of(left)
    if (isinstance(raw, str) and raw.startswith("@")) or (isinstance(raw, dict) and "set" in raw):
        if op not in ("==", "!="):
            raise NotUnderstoodError(f"operator {op} with a set")
        return elements_of(raw, scope, kinds, None)
    found = pattern(raw, kinds, scope)
    if op in ("<", ">", "<=", ">=", "in", "!") and not (isinstance(found, Exact) and isinstance(found.value, int)):
        raise NotUnderstoodError(f"operator {op} with {str(raw)[:60]!r}")
    return found


def _vmap(raw: Any, scope: Scope, family: str) -> Statement:
    if not isinstance(raw, dict):
        raise NotUnderstoodError("vmap")
    key = expression(raw.get("key"), scope)
    return VerdictMap(key, elements_of(raw.get("data"), scope, kinds_of(key), "verdict"))


def _mangle(raw: Any, scope: Scope, family: str) -> Statement:
    if not isinstance(raw, dict):
        raise NotUnderstoodError("mangle")
    name, content = single(raw.get("key"))
    if name in ("meta", "ct"):
        target = f"{name} {text_of(content, 'key')}"
        kind = (META_KINDS if name == "meta" else CT_KINDS).get(target.partition(" ")[2], "string")
    elif name == "payload":
        protocol, field = text_of(content, "protocol"), text_of(content, "field")
        target, kind = f"{protocol} {field}", PAYLOAD_KINDS.get(protocol, {}).get(field, "string")
    elif name == "tcp option":
        return Inert("tcp option")
    else:
        raise NotUnderstoodError(f"setting {name[:60]!r}")
    return Inert(target) if target in INERT_TARGETS else Mangle(target, guarded(raw.get("value"), scope, kind))


def _flags(raw: Any) -> frozenset[str]:
    flags = raw.get("flags", [])
    flags = [flags] if isinstance(flags, str) else flags
    if not isinstance(flags, list) or not all(isinstance(flag, str) for flag in flags):
        raise NotUnderstoodError("flags of a translation")
    return frozenset(flags)


def _ports(raw: Any) -> tuple[int, int] | None:
    port = raw.get("port")
    if port is None:
        return None
    if isinstance(port, int):
        return port, port
    if isinstance(port, dict) and isinstance(ends := port.get("range"), list) and len(ends) == 2:
        low, high = ends
        if isinstance(low, int) and isinstance(high, int):
            return low, high
    raise NotUnderstoodError("the port of a translation")


def _translation(kind: str) -> Callable[[Any, Scope, str], Statement]:
    def read(raw: Any, scope: Scope, family: str) -> Statement:
        raw = {} if raw is None else raw
        if not isinstance(raw, dict) or raw.get("type_flags") or raw.keys() - _TRANSLATION_KEYS:
            raise NotUnderstoodError(f"this form of {kind}")
        named = text_of(raw, "family") if "family" in raw else family
        hint = "ipv6_addr" if named == "ip6" else "ipv4_addr"
        address = expression(raw["addr"], scope, hint) if "addr" in raw else None
        return Translate(kind, address, _ports(raw), _flags(raw), {"ip": 4, "ip6": 6}.get(named))

    return read


_TRANSLATION_KEYS = {"addr", "family", "port", "flags", "type_flags"}


def _reject(raw: Any, scope: Scope, family: str) -> Statement:
    if not isinstance(raw, dict):
        return Reject("icmp port-unreachable")
    kind, code = raw.get("type"), raw.get("expr")
    return Reject(f"{kind or 'icmp'} {code}" if code is not None else str(kind or "icmp port-unreachable"))


def _notrack(raw: Any, scope: Scope, family: str) -> Statement:
    return NoTrack()


def _set(raw: Any, scope: Scope, family: str) -> Statement:
    name = text_of(raw, "set").removeprefix("@")
    if raw.get("stmt"):
        return Chance(f"a condition on the elements of set {name} depends on the traffic before")
    return Touch(name)


def _map_update(raw: Any, scope: Scope, family: str) -> Statement:
    return Touch(text_of(raw, "map").removeprefix("@"))


def _xt(raw: Any, scope: Scope, family: str) -> Statement:
    if not isinstance(raw, dict):
        return Opaque("an iptables extension that nft does not name")
    kind, name = str(raw.get("type"))[:20], str(raw.get("name"))[:60]
    if (kind, name) in INERT_XT:
        return Inert(name)
    reason = f"the arguments of the iptables {kind} {name} are not in what nft prints"
    return Chance(reason) if kind == "match" else Opaque(reason)


_READERS: Mapping[str, Callable[[Any, Scope, str], Statement]] = {
    "match": _match,
    "vmap": _vmap,
    "mangle": _mangle,
    "masquerade": _translation("masquerade"),
    "snat": _translation("snat"),
    "dnat": _translation("dnat"),
    "redirect": _translation("redirect"),
    "reject": _reject,
    "notrack": _notrack,
    "set": _set,
    "map": _map_update,
    "xt": _xt,
}
