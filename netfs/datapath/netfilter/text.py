"""A rule as ``nft list ruleset`` prints it, from its JSON. What is not known is printed as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from netfs.datapath.netfilter.records import Rule
from netfs.datapath.netfilter.wording import as_json, flags_of, masks_flags, only, style_of, value

OBJECTS = {"ct helper": "ct helper set", "ct timeout": "ct timeout set", "ct expectation": "ct expectation set"}
"""Statements that name an object of their table."""


def rule_text(rule: Rule) -> str:
    """One line, without anything a terminal would obey."""
    if "text" not in rule.printed:
        rule.printed["text"] = clean(_rule(rule))
    return rule.printed["text"]


def _rule(rule: Rule) -> str:
    if isinstance(rule.source, str):
        return rule.source
    if not isinstance(rule.source, list):
        return as_json(rule.source)
    words = [_statement(part) for part in rule.source]
    if rule.comment is not None:
        words.append(f'comment "{rule.comment}"')
    return " ".join(word for word in words if word)


def clean(text: str) -> str:
    """The text without anything a terminal would obey, cut to a length one can read."""
    shown = "".join(char if char.isprintable() else "?" for char in text[:2000])
    return shown if len(text) <= 2000 else shown + "…"


def _statement(raw: Any) -> str:
    found = only(raw)
    if found is None:
        return raw if isinstance(raw, str) else as_json(raw)
    name, content = found
    printer = _STATEMENTS.get(name)
    try:
        if name in OBJECTS:
            return f'{OBJECTS[name]} "{content}"' if isinstance(content, str) else as_json(raw)
        if printer is not None:
            return printer(content)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError):
        return as_json(raw)
    return name if content is None else as_json(raw)


def _match(raw: Any) -> str:
    left, op, right = raw["left"], raw["op"], raw["right"]
    style = style_of(left)
    if op == "==" and masks_flags(left):
        subject, mask = left["&"]
        return f"{value(subject)} {value(right)} / {value(mask)}"
    computed = isinstance(left, dict) and bool(left.keys() & {"&", "|", "^", "<<", ">>"})
    if op == "in" or (op == "==" and not computed):
        return f"{value(left, style)} {value(right, style)}"
    return f"{value(left, style)} {op} {value(right, style)}"


def _counter(raw: Any) -> str:
    if isinstance(raw, dict) and "packets" in raw:
        return f"counter packets {raw['packets']} bytes {raw['bytes']}"
    return "counter" if raw is None else f"counter {_named(raw)}"


def _named(raw: Any) -> str:
    """The object that a statement uses: by its name, or by a map."""
    return f'name "{raw}"' if isinstance(raw, str) else f"name {value(raw, 'quoted')}"


def _mangle(raw: Any) -> str:
    style = style_of(raw["key"])
    return f"{value(raw['key'], style)} set {value(raw['value'], style)}"


def _vmap(raw: Any) -> str:
    return value({"vmap": raw})


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _target(raw: Mapping[str, Any]) -> str:
    address = raw.get("addr")
    if "port" not in raw:
        return value(address) if address is not None else ""
    if isinstance(address, dict) and "range" in address:
        shown = "-".join(_bracketed(value(end)) for end in address["range"])
    else:
        shown = _bracketed(value(address)) if address is not None else ""
    return f"{shown}:{value(raw['port'])}"


def _nat(kind: str) -> Callable[[Any], str]:
    def print_nat(raw: Any) -> str:
        raw = raw or {}
        family = f" {raw['family']}" if "family" in raw else ""
        prefix = " prefix" if raw.get("type_flags") == "prefix" else ""
        target = _target(raw)
        flags = ",".join(flag for flag in flags_of(raw.get("flags", [])) if flag != "netmap")
        return f"{kind}{family}{prefix}{' to ' + target if target else ''}{' ' + flags if flags else ''}"

    return print_nat


def _reject(raw: Any) -> str:
    if not isinstance(raw, dict) or (raw.get("expr") == "port-unreachable" and raw.get("type") != "icmpv6"):
        return "reject"
    kind = raw.get("type", "icmp")
    return f"reject with {kind} {raw['expr']}" if "expr" in raw else f"reject with {kind}"


def _limit(raw: Any) -> str:
    if isinstance(raw, str) or "rate" not in raw:
        return f"limit {_named(raw)}"
    over = "over " if raw.get("inv") else ""
    unit = f" {raw['rate_unit']}/" if "rate_unit" in raw else "/"
    burst = raw.get("burst")
    shown = "" if burst is None or (burst == 5 and "burst_unit" not in raw) else f" burst {burst} "
    return f"limit rate {over}{raw['rate']}{unit}{raw['per']}{shown}{raw.get('burst_unit', 'packets') if shown else ''}"


def _ct_count(raw: Any) -> str:
    return f"ct count {'over ' if raw.get('inv') else ''}{raw['val']}"


def _quota(raw: Any) -> str:
    if isinstance(raw, str) or "val" not in raw:
        return f"quota {_named(raw)}"
    used = f" used {raw['used']} {raw['used_unit']}" if raw.get("used") else ""
    return f"quota {'over ' if raw.get('inv') else ''}{raw['val']} {raw['val_unit']}{used}"


def _log(raw: Any) -> str:
    if not isinstance(raw, dict):
        return "log"
    words = ["log"]
    words += [f'prefix "{raw["prefix"]}"'] if "prefix" in raw else []
    words += [f"{key} {raw[key]}" for key in ("group", "snaplen", "queue-threshold", "level") if key in raw]
    words += [f"flags {','.join(flags_of(raw['flags']))}"] if "flags" in raw else []
    return " ".join(words)


def _set(raw: Any) -> str:
    conditions = raw.get("stmt", [])
    shown = "".join(f" {_element_statement(part)}" for part in conditions)
    if "data" in raw:
        return f"{raw['op']} {raw['map']} {{ {value(raw['elem'])} : {value(raw['data'])}{shown} }}"
    return f"{raw['op']} {raw['set']} {{ {value(raw['elem'])}{shown} }}"


def _element_statement(raw: Any) -> str:
    return "counter" if raw == {"counter": None} else _statement(raw)


def _meter(raw: Any) -> str:
    size = f" size {raw['size']}" if "size" in raw else ""
    return f"meter {raw['name']}{size} {{ {value(raw['key'])} {_element_statement(raw['stmt'])} }}"


def _sent_to(word: str) -> Callable[[Any], str]:
    def print_sent(raw: Any) -> str:
        address, device = raw.get("addr"), raw.get("dev")
        family = f" {raw['family']}" if "family" in raw else ""
        if isinstance(address, str) and not set(address) <= set("0123456789abcdef.:"):
            address, device = None, address
        if address is None:
            return f'{word}{family} to "{device}"'
        return f"{word}{family} to {value(address)}" + (f' device "{device}"' if device is not None else "")

    return print_sent


def _synproxy(raw: Any) -> str:
    if isinstance(raw, str):
        return f"synproxy {_named(raw)}"
    words = [f"{key} {raw[key]}" for key in ("mss", "wscale") if key in (raw or {})]
    return " ".join(["synproxy", *words, *flags_of((raw or {}).get("flags", []))])


def _queue(raw: Any) -> str:
    raw = raw or {}
    flags = f" flags {','.join(flags_of(raw['flags']))}" if raw.get("flags") else ""
    return f"queue{flags} to {value(raw.get('num', 0))}"


def _flow(raw: Any) -> str:
    return f"flow {raw['op']} {raw['flowtable']}"


def _reset(raw: Any) -> str:
    return f"reset {value(raw)}"


def _xt(raw: Any) -> str:
    return f'xt {raw["type"]} "{raw["name"]}"' if isinstance(raw, dict) else "xt"


def _to_chain(name: str) -> Callable[[Any], str]:
    def print_target(raw: Any) -> str:
        return f"{name} {raw['target']}"

    return print_target


_STATEMENTS: Mapping[str, Callable[[Any], str]] = {
    "match": _match,
    "counter": _counter,
    "mangle": _mangle,
    "vmap": _vmap,
    "jump": _to_chain("jump"),
    "goto": _to_chain("goto"),
    "masquerade": _nat("masquerade"),
    "snat": _nat("snat"),
    "dnat": _nat("dnat"),
    "redirect": _nat("redirect"),
    "tproxy": _nat("tproxy"),
    "reject": _reject,
    "limit": _limit,
    "quota": _quota,
    "ct count": _ct_count,
    "log": _log,
    "set": _set,
    "map": _set,
    "meter": _meter,
    "dup": _sent_to("dup"),
    "fwd": _sent_to("fwd"),
    "synproxy": _synproxy,
    "queue": _queue,
    "flow": _flow,
    "reset": _reset,
    "xt": _xt,
}
