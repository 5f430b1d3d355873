"""From the JSON of one expression to its record. The form is libnftables-json(5).

Each function raises NotUnderstoodError for what it does not know; the caller keeps the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netfs.datapath.netfilter.datatypes import NotUnderstoodError, constant
from netfs.datapath.netfilter.records import (
    Anything,
    Between,
    Binary,
    Concat,
    Constant,
    Ct,
    Data,
    Elements,
    Exact,
    Expression,
    Fib,
    Generator,
    Lookup,
    Meta,
    Opaque,
    Parts,
    Pattern,
    Payload,
    Prefixed,
    Present,
    Value,
    Verdict,
)

PAYLOAD_KINDS = {
    "ip": {
        "saddr": "ipv4_addr",
        "daddr": "ipv4_addr",
        "protocol": "inet_proto",
        "dscp": "dscp",
        "ecn": "ecn",
        **dict.fromkeys(("ttl", "length", "id", "frag-off", "checksum", "version", "hdrlength"), "integer"),
    },
    "ip6": {
        "saddr": "ipv6_addr",
        "daddr": "ipv6_addr",
        "nexthdr": "inet_proto",
        "dscp": "dscp",
        "ecn": "ecn",
        **dict.fromkeys(("hoplimit", "length", "flowlabel", "version"), "integer"),
    },
    "tcp": {
        "sport": "inet_service",
        "dport": "inet_service",
        "flags": "tcp_flag",
        **dict.fromkeys(("sequence", "ackseq", "doff", "window", "checksum", "urgptr"), "integer"),
    },
    "udp": {
        "sport": "inet_service",
        "dport": "inet_service",
        **dict.fromkeys(("length", "checksum"), "integer"),
    },
    "th": {"sport": "inet_service", "dport": "inet_service"},
    "icmp": {
        "type": "icmp_type",
        "code": "icmp_code",
        **dict.fromkeys(("checksum", "id", "sequence", "mtu"), "integer"),
    },
    "icmpv6": {
        "type": "icmpv6_type",
        "code": "icmpv6_code",
        **dict.fromkeys(("checksum", "id", "sequence", "mtu", "max-delay"), "integer"),
    },
    "ether": {"saddr": "ether_addr", "daddr": "ether_addr", "type": "ether_type"},
    **{name: {"sport": "inet_service", "dport": "inet_service"} for name in ("sctp", "dccp", "udplite")},
}

META_KINDS = {
    "iif": "ifindex",
    "oif": "ifindex",
    "iifname": "ifname",
    "oifname": "ifname",
    "ibrname": "ifname",
    "obrname": "ifname",
    "iiftype": "iface_type",
    "oiftype": "iface_type",
    "mark": "mark",
    "l4proto": "inet_proto",
    "nfproto": "nf_proto",
    "protocol": "ether_type",
    "pkttype": "pkt_type",
    **dict.fromkeys(("length", "skuid", "skgid", "cpu", "iifgroup", "oifgroup", "cgroup"), "integer"),
}

CT_KINDS = {
    "state": "ct_state",
    "direction": "ct_dir",
    "status": "ct_status",
    "mark": "mark",
    "ip saddr": "ipv4_addr",
    "ip daddr": "ipv4_addr",
    "ip6 saddr": "ipv6_addr",
    "ip6 daddr": "ipv6_addr",
    "protocol": "inet_proto",
    "l3proto": "nf_proto",
    "proto-src": "inet_service",
    "proto-dst": "inet_service",
}

FIB_KINDS = {"type": "fib_addrtype", "oif": "ifindex", "oifname": "ifname"}

OPERATORS = ("&", "|", "^", "<<", ">>")

VERDICTS = ("accept", "drop", "return", "continue", "jump", "goto")

MAX_DEPTH = 32
"""Nesting of expressions; what lies deeper is no rule that a kernel would take."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression may refer to: the named sets of its table, and devices by index."""

    sets: Mapping[str, Elements]
    devices: Mapping[int, str]

    def named(self, reference: str) -> Elements:
        """The set or map that ``@NAME`` refers to."""
        name = reference.removeprefix("@")
        found = self.sets.get(name)
        return found if found is not None else Elements(name, defect=f"set {name} was not read")


def single(raw: Any) -> tuple[str, Any]:
    """The key and value of a JSON object of one member."""
    if isinstance(raw, dict) and len(raw) == 1:
        key, value = next(iter(raw.items()))
        return str(key), value
    raise NotUnderstoodError(f"{str(raw)[:60]!r}")


def text_of(raw: Any, key: str) -> str:
    """The text under a key of a JSON object."""
    value = raw.get(key) if isinstance(raw, dict) else None
    if isinstance(value, str):
        return value
    raise NotUnderstoodError(f"no {key!r} in {str(raw)[:60]!r}")


def _payload(raw: Any, scope: Scope, hint: str, depth: int) -> Expression:
    protocol, field = text_of(raw, "protocol"), text_of(raw, "field")
    kind = PAYLOAD_KINDS.get(protocol, {}).get(field)
    if kind is None:
        raise NotUnderstoodError(f"header field {protocol} {field}")
    return Payload(protocol, field, kind)


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
    return _generator("numgen", raw, even=True)


def _jhash(raw: Any, scope: Scope, hint: str, depth: int) -> Expression:
    return _generator("jhash", raw, even=False)


def _symhash(raw: Any, scope: Scope, hint: str, depth: int) -> Expression:
    return _generator("symhash", raw, even=False)


def _generator(name: str, raw: Any, even: bool) -> Generator:
    count = raw.get("mod") if isinstance(raw, dict) else None
    offset = raw.get("offset", 0) if isinstance(raw, dict) else None
    if not isinstance(count, int) or not isinstance(offset, int) or count < 1:
        raise NotUnderstoodError(f"{name} {str(raw)[:60]!r}")
    return Generator(name, count, offset, even)


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
        case Payload() | Meta() | Ct() | Fib() | Binary():
            return found.kind
        case Generator():
            return "integer"
    return ""


def kinds_of(found: Expression) -> tuple[str, ...]:
    """The types of an expression's parts."""
    return tuple(kind_of(part) for part in found.parts) if isinstance(found, Concat) else (kind_of(found),)


def pattern(raw: Any, kinds: Sequence[str], scope: Scope, *, element: bool = False) -> Pattern:
    """What a value of the given types is compared with: a constant, an interval, a wildcard, a concatenation."""
    if isinstance(raw, dict) and "concat" in raw:
        parts = raw["concat"]
        if not isinstance(parts, list) or len(parts) != len(kinds):
            raise NotUnderstoodError("concatenation of another length")
        return _joined(tuple(pattern(part, (kind,), scope) for part, kind in zip(parts, kinds, strict=True)))
    if len(kinds) != 1:
        raise NotUnderstoodError("a single value against a concatenation")
    kind = kinds[0]
    if raw == "*" and element:
        return Anything()
    if isinstance(raw, bool) and kind in ("ifindex", "ifname"):
        return Present(raw)
    if isinstance(raw, dict) and ("prefix" in raw or "range" in raw):
        return _interval(raw, kind)
    if isinstance(raw, str) and kind == "ifname":
        return _device_name(raw)
    if isinstance(raw, int) and kind == "ifindex":
        return Exact(scope.devices.get(raw, str(raw)))
    if kind == "ifindex" and raw == "0":
        return Exact("")
    return Exact(constant(kind, raw))


def _joined(parts: tuple[Pattern, ...]) -> Pattern:
    values: list[int | str] = []
    for part in parts:
        if not isinstance(part, Exact) or isinstance(part.value, tuple):
            return Parts(parts)
        values.append(part.value)
    return Exact(tuple(values))


def _device_name(text: str) -> Pattern:
    if text.endswith("\\*"):
        return Exact(text[:-2] + "*")
    return Prefixed(text[:-1]) if text.endswith("*") else Exact(text)


def _interval(raw: Mapping[str, Any], kind: str) -> Pattern:
    if "range" in raw:
        ends = raw["range"]
        if not isinstance(ends, list) or len(ends) != 2:
            raise NotUnderstoodError("range without two ends")
        low, high = constant(kind, ends[0]), constant(kind, ends[1])
    else:
        prefix = raw["prefix"]
        length = prefix.get("len") if isinstance(prefix, dict) else None
        bits = {"ipv4_addr": 32, "ipv6_addr": 128}.get(kind)
        if bits is None or not isinstance(length, int) or not 0 <= length <= bits:
            raise NotUnderstoodError(f"prefix of type {kind}")
        address = constant(kind, prefix.get("addr"))
        if not isinstance(address, int):
            raise NotUnderstoodError(f"prefix of type {kind}")
        low = address >> (bits - length) << (bits - length)
        high = low + (1 << (bits - length)) - 1
    if isinstance(low, str) or isinstance(high, str):
        raise NotUnderstoodError(f"range of type {kind}")
    return Between(low, high)


def elements_of(raw: Any, scope: Scope, kinds: Sequence[str], data: str | None) -> Elements:
    """A set or map: ``@NAME``, or an anonymous ``{"set": […]}``.

    ``data`` is the type of a map's values: ``verdict``, a type of constants, or None for a set.
    """
    if isinstance(raw, str) and raw.startswith("@"):
        return scope.named(raw)
    name, content = single(raw)
    if name != "set":
        raise NotUnderstoodError(f"set {name[:60]!r}")
    return members(None, content, kinds, data, scope)


def members(name: str | None, raw: Any, kinds: Sequence[str], data: str | None, scope: Scope) -> Elements:
    """The elements of a set or map; one that is not understood spoils the whole, with the reason."""
    if not isinstance(raw, list):
        raw = [raw]
    exact: dict[Value, Data] = {}
    loose: list[tuple[Pattern, Data]] = []
    try:
        for item in raw:
            key, value = _pair(item, data, scope)
            found = pattern(_bare(key), kinds, scope, element=True)
            if isinstance(found, Exact):
                exact[found.value] = value
            else:
                loose.append((found, value))
    except NotUnderstoodError as error:
        return Elements(name, defect=f"{f'set {name}' if name else 'set'}: {error} is not understood")
    loose.sort(key=lambda entry: isinstance(entry[0], Anything))
    return Elements(name, exact, tuple(loose))


def _pair(item: Any, data: str | None, scope: Scope) -> tuple[Any, Data]:
    if data is None:
        return item, None
    if not isinstance(item, list) or len(item) != 2:
        raise NotUnderstoodError(f"element {str(item)[:60]!r}")
    return item[0], verdict(item[1]) if data == "verdict" else _value(item[1], data, scope)


def _bare(item: Any) -> Any:
    """An element without its comment, counter and timeout. A condition on it (``limit``) is not understood."""
    if not isinstance(item, dict) or "elem" not in item:
        return item
    inner = item["elem"]
    if not isinstance(inner, dict) or "val" not in inner:
        raise NotUnderstoodError(f"element {str(item)[:60]!r}")
    if inner.keys() - {"val", "comment", "counter", "timeout", "expires", "last"}:
        raise NotUnderstoodError("a condition on an element")
    return inner["val"]


def _value(raw: Any, data: str, scope: Scope) -> Value:
    kinds = [kind.strip() for kind in data.split(".")]
    if isinstance(raw, dict) and "concat" in raw and len(kinds) == 1 and data.endswith("_addr"):
        kinds = [data, "inet_service"]
    found = pattern(_bare(raw), kinds, scope)
    if isinstance(found, Exact):
        return found.value
    raise NotUnderstoodError(f"map value {str(raw)[:60]!r}")


def verdict(raw: Any) -> Verdict:
    """A verdict, as a statement or as the value of a verdict map."""
    name, content = single(raw)
    if name not in VERDICTS:
        raise NotUnderstoodError(f"verdict {name[:60]!r}")
    return Verdict(name, text_of(content, "target") if name in ("jump", "goto") else None)


def guarded(raw: Any, scope: Scope, hint: str = "") -> Expression:
    """An expression, or an Opaque one with the reason."""
    try:
        return expression(raw, scope, hint)
    except NotUnderstoodError as error:
        return Opaque(f"{error} is not understood")
