"""From the JSON of one statement of a rule to its records (libnftables-json(5), STATEMENTS).

What is not understood becomes ``Opaque`` (a statement) or ``Chance`` (a match), with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from netfs.datapath.netfilter.datatypes import PROTOCOLS, SYMBOLS, NotUnderstoodError
from netfs.datapath.netfilter.expressions import expression, guarded, kinds_of
from netfs.datapath.netfilter.kinds import CLOCK_KEYS, CT_KINDS, META_KINDS, PAYLOAD_KINDS
from netfs.datapath.netfilter.patterns import VERDICTS, elements_of, pattern, verdict
from netfs.datapath.netfilter.records import (
    Chance,
    Ct,
    Elements,
    Exact,
    Expression,
    Inert,
    Mangle,
    Match,
    Meta,
    NoTrack,
    Opaque,
    Pattern,
    Reject,
    Statement,
    Touch,
    Translate,
    VerdictMap,
)
from netfs.datapath.netfilter.scope import Quota, Scope, number_of, single, text_of

Statements: TypeAlias = "tuple[Statement, ...]"

INERT = frozenset(
    ("counter", "log", "comment", "last", "secmark", "dup", "ct helper", "ct timeout", "ct expectation", "reset")
)
"""Statements that neither stop a packet nor change what later rules or routing look at."""

INERT_TARGETS = frozenset(
    ("meta priority", "meta nftrace", "meta secmark", "ct secmark", "ct label", "ct event", "ct helper")
) | {f"{protocol} checksum" for protocol in ("ip", "tcp", "udp", "udplite", "icmp", "icmpv6")}

INERT_XT = frozenset((("match", "comment"), ("target", "LOG"), ("target", "NFLOG"), ("target", "TRACE")))
"""iptables extensions whose arguments do not matter."""

CHANCES = {"limit": "limit", "ct count": "ct count", "connlimit": "ct count", "meter": "a meter"}

ENDS = {
    "queue": "queue hands the packet to a program",
    "tproxy": "tproxy hands the packet to a local socket",
    "fwd": "fwd sends the packet out by another device",
}
"""Statements that are understood and end what can be followed."""

BYTES = {"bytes": 1, "kbytes": 1 << 10, "mbytes": 1 << 20}

OPERATORS = ("==", "!=", "<", ">", "<=", ">=", "in", "!")

SET_CHANGE = re.compile(r"(add|update|delete) @(\S{1,256}) \{")
"""A map statement as nft 1.0.6 prints it: as text, amid the JSON."""

TCP = Match(Meta("l4proto", "inet_proto"), "==", Exact(PROTOCOLS["tcp"]))
"""What nft itself adds before a statement about TCP, and does not print."""


def statements(raw: Any, scope: Scope) -> Statements:
    """The records of one statement: most are one, some bring the condition with them that nft does not print."""
    if isinstance(raw, str) and (change := SET_CHANGE.match(raw)):
        return (Touch(change[2]),)
    try:
        name, content = single(raw)
    except NotUnderstoodError as error:
        return (Opaque(f"statement {error} is not understood"),)
    if name in CHANCES:
        return (Chance(f"{CHANCES[name]} depends on the traffic before"),)
    if name in ENDS:
        return (Opaque(ENDS[name]),)
    reader = _READERS.get(name)
    try:
        if name in INERT:
            return _inert(name, content, scope)
        if name in VERDICTS:
            return (verdict(raw),)
        if reader is None:
            return (Opaque(f"statement {name[:60]!r} is not understood"),)
        found = reader(content, scope)
        return found if isinstance(found, tuple) else (found,)
    except NotUnderstoodError as error:
        return ((Chance if name == "match" else Opaque)(f"{error} is not understood"),)


def _inert(name: str, raw: Any, scope: Scope) -> Statements:
    """A statement without effect; with a map of objects it ends the rule where the map has none for the packet."""
    if not isinstance(raw, dict) or not isinstance(chosen := raw.get("map"), dict):
        return (Inert(name),)
    key = expression(chosen.get("key"), scope)
    return Match(key, "==", elements_of(chosen.get("data"), scope, kinds_of(key), "string")), Inert(name)


def _match(raw: Any, scope: Scope) -> Statement:
    op = text_of(raw, "op")
    if op not in OPERATORS:
        raise NotUnderstoodError(f"operator {op[:60]!r}")
    left = expression(raw.get("left"), scope)
    if isinstance(left, Opaque):
        return Chance(left.reason)
    if isinstance(left, Meta) and left.key in CLOCK_KEYS:
        return Chance(f"meta {left.key} depends on the clock")
    try:
        return Match(left, op, _right(raw.get("right"), left, op, scope))
    except NotUnderstoodError as error:
        # The packet may still lack the field, and the rule with it.
        return Match(left, "==", Elements(None, defect=f"{error} is not understood"))


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


def _vmap(raw: Any, scope: Scope) -> Statement:
    if not isinstance(raw, dict):
        raise NotUnderstoodError("vmap")
    key = expression(raw.get("key"), scope)
    return VerdictMap(key, elements_of(raw.get("data"), scope, kinds_of(key), "verdict"))


def _mangle(raw: Any, scope: Scope) -> Statement:
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
        return TCP
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
    if isinstance(port, int):
        return port, port
    if isinstance(port, dict) and isinstance(ends := port.get("range"), list) and len(ends) == 2:
        low, high = ends
        if isinstance(low, int) and isinstance(high, int):
            return low, high
    return None


def _translation(kind: str) -> Callable[[Any, Scope], Statement]:
    def read(raw: Any, scope: Scope) -> Statement:
        raw = {} if raw is None else raw
        if not isinstance(raw, dict) or raw.keys() - _TRANSLATION_KEYS or raw.get("type_flags") not in (None, "prefix"):
            raise NotUnderstoodError(f"this form of {kind}")
        named = text_of(raw, "family") if "family" in raw else scope.family
        hint = "ipv6_addr" if named == "ip6" else "ipv4_addr"
        address = expression(raw["addr"], scope, hint) if "addr" in raw else None
        ports = _ports(raw)
        port = expression(raw["port"], scope, "inet_service") if "port" in raw and ports is None else None
        return Translate(kind, address, ports, _flags(raw), {"ip": 4, "ip6": 6}.get(named), port=port)

    return read


_TRANSLATION_KEYS = {"addr", "family", "port", "flags", "type_flags"}


def _reject(raw: Any, scope: Scope) -> Statement:
    if not isinstance(raw, dict):
        return Reject("icmp port-unreachable")
    kind, code = raw.get("type"), raw.get("expr")
    return Reject(f"{kind or 'icmp'} {code}" if code is not None else str(kind or "icmp port-unreachable"))


def _notrack(raw: Any, scope: Scope) -> Statement:
    return NoTrack()


def _set(raw: Any, scope: Scope) -> Statements:
    name = text_of(raw, "set").removeprefix("@")
    touch = Touch(name, _element(raw.get("elem"), scope), raw.get("op") != "delete")
    conditions = raw.get("stmt") or []
    conditions = conditions if isinstance(conditions, list) else [conditions]
    if all(isinstance(part, dict) and part.keys() <= {"counter", "last"} for part in conditions):
        return (touch,)
    return touch, Chance(f"a condition on the elements of set {name} depends on the traffic before")


def _element(raw: Any, scope: Scope) -> Expression:
    if isinstance(raw, dict) and isinstance(inner := raw.get("elem"), dict):
        raw = inner.get("val")
    return guarded(raw, scope)


def _map_update(raw: Any, scope: Scope) -> Statement:
    name = text_of(raw, "map").removeprefix("@")
    return Touch(name, _element(raw.get("elem"), scope), raw.get("op") != "delete")


def _quota(raw: Any, scope: Scope) -> Statement:
    """``quota``: judged by what it has let through when it was listed (``nft_overquota``)."""
    if isinstance(raw, str) and raw in scope.quotas:
        quota = scope.quotas[raw]
    elif isinstance(raw, dict) and "val" in raw:
        quota = Quota(_octets(raw, "val"), _octets(raw, "used"), raw.get("inv") is True)
    else:
        return Chance("quota depends on the traffic before")
    return Match(Meta("length", "integer"), ">" if quota.over else "<=", Exact(quota.limit - quota.used))


def _octets(raw: Mapping[str, Any], key: str) -> int:
    unit = text_of(raw, f"{key}_unit") if f"{key}_unit" in raw else "bytes"
    if unit not in BYTES:
        raise NotUnderstoodError(f"unit {unit[:60]!r}")
    return number_of(raw, key, 0) * BYTES[unit]


def _flow(raw: Any, scope: Scope) -> Statements:
    """``nft_flow_offload_eval``: a connection's first packet is not confirmed yet, and ends the rule."""
    new = Match(Ct("state", None, "ct_state"), "!", Exact(SYMBOLS["ct_state"]["new"]))
    return new, Chance("flow add depends on the traffic before")


def _synproxy(raw: Any, scope: Scope) -> Statements:
    return TCP, Opaque("synproxy answers in place of the server")


def _xt(raw: Any, scope: Scope) -> Statement:
    if not isinstance(raw, dict):
        return Opaque("an iptables extension that nft does not name")
    kind, name = str(raw.get("type"))[:20], str(raw.get("name"))[:60]
    if (kind, name) in INERT_XT:
        return Inert(name)
    reason = f"the arguments of the iptables {kind} {name} are not in what nft prints"
    return Chance(reason) if kind == "match" else Opaque(reason)


_READERS: Mapping[str, Callable[[Any, Scope], Statement | Statements]] = {
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
    "quota": _quota,
    "flow": _flow,
    "synproxy": _synproxy,
    "xt": _xt,
}
