"""A rule as ``nft list ruleset`` prints it, from its JSON. What is not known is printed as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from netfs.datapath.netfilter.records import Rule

MAX_DEPTH = 40

QUOTED = frozenset(("iif", "oif", "iifname", "oifname", "ibrname", "obrname", "helper"))
"""Keys whose constants nft prints in quotes."""

BARE_META = frozenset(("iif", "oif", "iifname", "oifname", "iifgroup", "oifgroup"))
"""Keys of meta that nft prints without the word."""


def rule_text(rule: Rule) -> str:
    """One line, without anything a terminal would obey."""
    if "text" not in rule.printed:
        rule.printed["text"] = clean(_rule(rule))
    return rule.printed["text"]


def _rule(rule: Rule) -> str:
    if isinstance(rule.source, str):
        return rule.source
    if not isinstance(rule.source, list):
        return _json(rule.source)
    words = [_statement(part) for part in rule.source]
    if rule.comment is not None:
        words.append(f'comment "{rule.comment}"')
    return " ".join(word for word in words if word)


def clean(text: str) -> str:
    """The text without anything a terminal would obey, cut to a length one can read."""
    shown = "".join(char if char.isprintable() else "?" for char in text[:2000])
    return shown if len(text) <= 2000 else shown + "…"


def _json(raw: Any) -> str:
    try:
        return json.dumps(raw, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        return "…"


def _only(raw: Any) -> tuple[str, Any] | None:
    if isinstance(raw, dict) and len(raw) == 1:
        key, value = next(iter(raw.items()))
        return str(key), value
    return None


def _statement(raw: Any) -> str:
    found = _only(raw)
    if found is None:
        return _json(raw)
    name, content = found
    printer = _STATEMENTS.get(name)
    try:
        if printer is not None:
            return printer(content)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError):
        return _json(raw)
    return name if content is None else _json(raw)


def _match(raw: Any) -> str:
    left, op, right = raw["left"], raw["op"], raw["right"]
    key = _constant_key(left)
    masked = isinstance(left, dict) and "&" in left
    if op == "==" and masked and not key and isinstance(right, str | list):
        subject, mask = left["&"]
        return f"{_value(subject)} {_value(right)} / {_value(mask)}"
    if op in ("==", "in") and not (masked and op == "=="):
        return f"{_value(left, key)} {_value(right, key)}"
    return f"{_value(left, key)} {op} {_value(right, key)}"


def _constant_key(left: Any) -> str:
    """What a constant beside this expression is a value of: decides quotes and hexadecimal."""
    found = _only(left)
    if found is None:
        return ""
    name, content = found
    if name in ("meta", "ct") and isinstance(content, dict):
        return str(content.get("key", ""))
    if name in ("&", "|", "^", "<<", ">>") and isinstance(content, list) and content:
        return _constant_key(content[0])
    return "fib" if name == "fib" else ""


def _value(raw: Any, key: str = "", depth: int = 0) -> str:
    if depth > MAX_DEPTH:
        return "…"
    if isinstance(raw, bool):
        return ("exists" if raw else "missing") if key == "fib" else str(int(raw))
    if isinstance(raw, int):
        return f"0x{raw:08x}" if key == "mark" else str(raw)
    if isinstance(raw, str):
        return f'"{raw}"' if key in QUOTED and not raw.startswith("@") else raw
    if isinstance(raw, list):
        return ",".join(_value(part, key, depth + 1) for part in raw)
    found = _only(raw)
    if found is None:
        return _json(raw)
    return _expression(*found, key, depth + 1)


def _expression(name: str, raw: Any, key: str, depth: int) -> str:
    if name in ("payload", "meta", "ct", "fib", "prefix", "range", "elem"):
        return _leaf(name, raw, key, depth)
    match name:
        case "concat":
            return " . ".join(_value(part, _constant_key(part) or key, depth) for part in raw)
        case "set":
            return f"{{ {', '.join(_element(item, key, depth) for item in raw)} }}"
        case "map" | "vmap":
            inner = _constant_key(raw["key"])
            return f"{_value(raw['key'], inner, depth)} {name} {_value(raw['data'], inner, depth)}"
        case "numgen":
            return f"numgen {raw['mode']} mod {raw['mod']}" + _offset(raw)
        case "jhash":
            return f"jhash {_value(raw['expr'], '', depth)} mod {raw['mod']}" + _offset(raw)
        case "symhash":
            return f"symhash mod {raw['mod']}" + _offset(raw)
        case "&" | "|" | "^" | "<<" | ">>":
            shift = name in ("<<", ">>")
            return f" {name} ".join(_value(part, "" if shift and at else key, depth) for at, part in enumerate(raw))
        case "accept" | "drop" | "return" | "continue":
            return name
        case "jump" | "goto":
            return f"{name} {raw['target']}"
    return _json({name: raw})


def _leaf(name: str, raw: Any, key: str, depth: int) -> str:
    match name:
        case "payload":
            return f"{raw['protocol']} {raw['field']}" if "protocol" in raw else _json({name: raw})
        case "meta":
            return str(raw["key"]) if raw["key"] in BARE_META else f"meta {raw['key']}"
        case "ct":
            return " ".join(str(word) for word in ("ct", raw.get("dir"), raw["key"]) if word)
        case "fib":
            flags = raw.get("flags", [])
            return f"fib {' . '.join(_fib_order([flags] if isinstance(flags, str) else flags))} {raw['result']}"
        case "prefix":
            return f"{_value(raw['addr'], key, depth)}/{raw['len']}"
        case "range":
            return "-".join(_value(end, key, depth) for end in raw)
    return _value(raw["val"], key, depth)


def _fib_order(flags: list[str]) -> list[str]:
    order = ("saddr", "daddr", "mark", "iif", "oif")
    return [flag for flag in order if flag in flags] + [flag for flag in flags if flag not in order]


def _offset(raw: Mapping[str, Any]) -> str:
    return f" offset {raw['offset']}" if raw.get("offset") else ""


def _element(item: Any, key: str, depth: int) -> str:
    if isinstance(item, list) and len(item) == 2:
        return f"{_value(item[0], key, depth)} : {_value(item[1], '', depth)}"
    return _value(item, key, depth)


def _counter(raw: Any) -> str:
    if isinstance(raw, dict):
        return f"counter packets {raw['packets']} bytes {raw['bytes']}"
    return "counter" if raw is None else f'counter name "{raw}"'


def _mangle(raw: Any) -> str:
    key = _constant_key(raw["key"])
    return f"{_value(raw['key'], key)} set {_value(raw['value'], key)}"


def _vmap(raw: Any) -> str:
    return _expression("vmap", raw, "", 0)


def _flags(raw: Mapping[str, Any]) -> str:
    flags = raw.get("flags", [])
    return "".join(f" {flag}" for flag in ([flags] if isinstance(flags, str) else flags))


def _nat(kind: str) -> Callable[[Any], str]:
    def print_nat(raw: Any) -> str:
        raw = raw or {}
        family = f" {raw['family']}" if "family" in raw else ""
        prefix = " prefix" if raw.get("type_flags") == "prefix" else ""
        target = _value(raw["addr"]) if "addr" in raw else ""
        if "port" in raw:
            target = f"[{target}]" if ":" in target else target
            target += f":{_value(raw['port'])}"
        flags = "" if prefix else _flags(raw)
        return f"{kind}{family}{prefix}{' to ' + target if target else ''}{flags}"

    return print_nat


def _reject(raw: Any) -> str:
    if not isinstance(raw, dict) or (raw.get("expr") == "port-unreachable" and raw.get("type") != "icmpv6"):
        return "reject"
    kind = "icmpx" if raw.get("type") == "icmpx" else raw.get("type", "icmp")
    return f"reject with {kind} {raw['expr']}" if "expr" in raw else f"reject with {kind}"


def _limit(raw: Any) -> str:
    over = "over " if raw.get("inv") else ""
    unit = f"{raw['rate_unit']}/" if "rate_unit" in raw else "/"
    rate = f"{raw['rate']} {unit}{raw['per']}" if "rate_unit" in raw else f"{raw['rate']}/{raw['per']}"
    return f"limit rate {over}{rate}"


def _ct_count(raw: Any) -> str:
    return f"ct count {'over ' if raw.get('inv') else ''}{raw['val']}"


def _quota(raw: Any) -> str:
    return f"quota {'over ' if raw.get('inv') else ''}{raw['val']} {raw['val_unit']}"


def _log(raw: Any) -> str:
    if not isinstance(raw, dict):
        return "log"
    words = ["log"]
    words += [f'prefix "{raw["prefix"]}"'] if "prefix" in raw else []
    words += [f"{key} {raw[key]}" for key in ("group", "level") if key in raw]
    return " ".join(words)


def _set(raw: Any) -> str:
    element = raw["elem"]
    timeout = ""
    if isinstance(element, dict) and isinstance(element.get("elem"), dict):
        inner = element["elem"]
        timeout = f" timeout {inner['timeout']}s" if "timeout" in inner else ""
    return f"{raw['op']} {raw['set']} {{ {_value(element)}{timeout} }}"


def _xt(raw: Any) -> str:
    return f'xt {raw["type"]} "{raw["name"]}"' if isinstance(raw, dict) else "xt"


def _target(name: str) -> Callable[[Any], str]:
    def print_target(raw: Any) -> str:
        return f"{name} {raw['target']}"

    return print_target


_STATEMENTS: Mapping[str, Callable[[Any], str]] = {
    "match": _match,
    "counter": _counter,
    "mangle": _mangle,
    "vmap": _vmap,
    "jump": _target("jump"),
    "goto": _target("goto"),
    "masquerade": _nat("masquerade"),
    "snat": _nat("snat"),
    "dnat": _nat("dnat"),
    "redirect": _nat("redirect"),
    "reject": _reject,
    "limit": _limit,
    "quota": _quota,
    "ct count": _ct_count,
    "log": _log,
    "set": _set,
    "xt": _xt,
}
