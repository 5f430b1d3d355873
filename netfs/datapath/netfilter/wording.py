"""An expression as ``nft list ruleset`` prints it, from its JSON. What is not known is printed as JSON.

How a constant is printed depends on what it stands beside: names in quotes, marks in hexadecimal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

MAX_DEPTH = 40

Style: TypeAlias = "str | tuple[str, ...]"
"""How constants are printed: ``""``, ``quoted``, ``mark``, ``hex``, ``seconds``; of a concatenation, each part's."""

QUOTED = "quoted"

BARE_META = frozenset(("iif", "oif", "iifname", "oifname", "iifgroup", "oifgroup"))
"""Keys of meta that nft prints without the word."""

QUOTED_KEYS = BARE_META | {"ibrname", "obrname", "sdifname", "iifkind", "oifkind", "helper", "time", "day", "hour"}

BITS = frozenset(("&", "|", "^", "<<", ">>"))


def as_json(raw: Any) -> str:
    """What is not known, as it was read."""
    try:
        return json.dumps(raw, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        return "…"


def only(raw: Any) -> tuple[str, Any] | None:
    """The key and value of a JSON object of one member."""
    if isinstance(raw, dict) and len(raw) == 1:
        key, value = next(iter(raw.items()))
        return str(key), value
    return None


def style_of(raw: Any) -> Style:
    """How constants beside this expression are printed."""
    found = only(raw)
    if found is None:
        return ""
    name, content = found
    if name in ("meta", "ct", "socket") and isinstance(content, dict):
        key = str(content.get("key", ""))
        special = {"mark": "mark", "expiration": "seconds"}
        return QUOTED if key in QUOTED_KEYS else special.get(key, "")
    if name == "payload" and isinstance(content, dict) and "base" in content:
        return "hex"
    if name == "osf" or (name == "fib" and isinstance(content, dict) and content.get("result") != "type"):
        return QUOTED
    if name == "concat" and isinstance(content, list):
        return tuple(str(style) if isinstance(style := style_of(part), str) else "" for part in content)
    if name in BITS and isinstance(content, list) and content:
        return style_of(content[0])
    return ""


def masks_flags(left: Any) -> bool:
    """``tcp flags & …`` and ``ct state & …``, which nft prints as ``VALUE / MASK``."""
    found = only(left)
    if found is None or found[0] != "&" or not isinstance(found[1], list) or len(found[1]) != 2:
        return False
    subject = only(found[1][0])
    if subject is None or not isinstance(subject[1], dict):
        return False
    return subject[1].get("field") == "flags" or (subject[0] == "ct" and subject[1].get("key") in ("state", "status"))


def value(raw: Any, style: Style = "", depth: int = 0) -> str:
    """A constant, a list of flags, or an expression."""
    if depth > MAX_DEPTH:
        return "…"
    if isinstance(raw, bool):
        return "exists" if raw else "missing"
    if isinstance(raw, int):
        return {"mark": f"0x{raw:08x}", "hex": f"0x{raw:x}", "seconds": f"{raw}s"}.get(str(style), str(raw))
    if isinstance(raw, str):
        return f'"{raw}"' if style == QUOTED and not raw.startswith("@") else raw
    if isinstance(raw, list):
        return ",".join(value(part, style, depth + 1) for part in raw)
    found = only(raw)
    if found is None:
        return as_json(raw)
    printer = _EXPRESSIONS.get(found[0])
    return printer(found[1], style, depth + 1) if printer is not None else as_json(raw)


def flags_of(raw: Any) -> list[str]:
    """Flags, where one of them may stand alone."""
    return [raw] if isinstance(raw, str) else [str(flag) for flag in raw]


def _payload(raw: Any, style: Style, depth: int) -> str:
    return f"@{raw['base']},{raw['offset']},{raw['len']}" if "base" in raw else f"{raw['protocol']} {raw['field']}"


def _meta(raw: Any, style: Style, depth: int) -> str:
    return str(raw["key"]) if raw["key"] in BARE_META else f"meta {raw['key']}"


def _words(*first: str) -> Callable[[Any, Style, int], str]:
    def print_words(raw: Any, style: Style, depth: int) -> str:
        return " ".join(str(word) for word in (*first[:1], *(raw.get(key) for key in first[1:])) if word)

    return print_words


def _osf(raw: Any, style: Style, depth: int) -> str:
    return f"osf {'ttl ' + str(raw['ttl']) + ' ' if 'ttl' in raw else ''}{raw['key']}"


def _ipsec(raw: Any, style: Style, depth: int) -> str:
    number = f" spnum {raw['spnum']}" if raw.get("spnum") else ""
    return " ".join(("ipsec", f"{raw['dir']}{number}", *([raw["family"]] if "family" in raw else []), raw["key"]))


def _fib(raw: Any, style: Style, depth: int) -> str:
    order = ("saddr", "daddr", "mark", "iif", "oif")
    flags = flags_of(raw.get("flags", []))
    found = [flag for flag in order if flag in flags] + [flag for flag in flags if flag not in order]
    return f"fib {' . '.join(found)} {raw['result']}"


def _option(word: str) -> Callable[[Any, Style, int], str]:
    def print_option(raw: Any, style: Style, depth: int) -> str:
        if "base" in raw:
            whole = raw["offset"] == 0 and raw["len"] == 8
            return f"{word} {raw['base']}" if whole else f"{word} @{raw['base']},{raw['offset']},{raw['len']}"
        return f"{word} {raw['name']}" + (f" {raw['field']}" if "field" in raw else "")

    return print_option


def _exthdr(raw: Any, style: Style, depth: int) -> str:
    return f"{raw['name']} {raw['field']}" if "field" in raw else f"exthdr {raw['name']}"


def _prefix(raw: Any, style: Style, depth: int) -> str:
    return f"{value(raw['addr'], style, depth)}/{raw['len']}"


def _range(raw: Any, style: Style, depth: int) -> str:
    return "-".join(value(end, style, depth) for end in raw)


def _concat(raw: Any, style: Style, depth: int) -> str:
    styles = style if isinstance(style, tuple) and len(style) == len(raw) else (style,) * len(raw)
    return " . ".join(value(part, own, depth) for part, own in zip(raw, styles, strict=True))


def _set(raw: Any, style: Style, depth: int) -> str:
    return f"{{ {', '.join(_element(item, style, '', depth) for item in raw)} }}"


def _element(item: Any, style: Style, data: Style, depth: int) -> str:
    if isinstance(item, list) and len(item) == 2:
        return f"{value(item[0], style, depth)} : {value(item[1], data, depth)}"
    return value(item, style, depth)


def _elem(raw: Any, style: Style, depth: int) -> str:
    words = [value(raw["val"], style, depth)]
    words += [f"timeout {raw['timeout']}s"] if "timeout" in raw else []
    words += [f'comment "{raw["comment"]}"'] if "comment" in raw else []
    return " ".join(words)


def _map(word: str) -> Callable[[Any, Style, int], str]:
    def print_map(raw: Any, style: Style, depth: int) -> str:
        data, inner = raw["data"], style_of(raw["key"])
        content = data.get("set") if isinstance(data, dict) else None
        if isinstance(content, list):
            shown = f"{{ {', '.join(_element(item, inner, style, depth) for item in content)} }}"
        else:
            shown = value(data, inner, depth)
        return f"{value(raw['key'], inner, depth)} {word} {shown}"

    return print_map


def _numgen(raw: Any, style: Style, depth: int) -> str:
    return f"numgen {raw['mode']} mod {raw['mod']}{_offset(raw)}"


def _jhash(raw: Any, style: Style, depth: int) -> str:
    seed = f" seed 0x{raw['seed']:x}" if "seed" in raw else ""
    return f"jhash {value(raw['expr'], '', depth)} mod {raw['mod']}{seed}{_offset(raw)}"


def _symhash(raw: Any, style: Style, depth: int) -> str:
    return f"symhash mod {raw['mod']}{_offset(raw)}"


def _offset(raw: Mapping[str, Any]) -> str:
    return f" offset {raw['offset']}" if raw.get("offset") else ""


def _bits(op: str) -> Callable[[Any, Style, int], str]:
    def print_bits(raw: Any, style: Style, depth: int) -> str:
        shift = op in ("<<", ">>")
        return f" {op} ".join(value(part, "" if shift and at else style, depth) for at, part in enumerate(raw))

    return print_bits


def _verdict(word: str) -> Callable[[Any, Style, int], str]:
    def print_verdict(raw: Any, style: Style, depth: int) -> str:
        return f"{word} {raw['target']}" if isinstance(raw, dict) else word

    return print_verdict


_EXPRESSIONS: Mapping[str, Callable[[Any, Style, int], str]] = {
    "payload": _payload,
    "meta": _meta,
    "ct": _words("ct", "dir", "key"),
    "rt": _words("rt", "family", "key"),
    "socket": _words("socket", "key"),
    "osf": _osf,
    "ipsec": _ipsec,
    "fib": _fib,
    "exthdr": _exthdr,
    "ip option": _option("ip option"),
    "tcp option": _option("tcp option"),
    "sctp chunk": _option("sctp chunk"),
    "dccp option": _option("dccp option"),
    "prefix": _prefix,
    "range": _range,
    "concat": _concat,
    "set": _set,
    "elem": _elem,
    "map": _map("map"),
    "vmap": _map("vmap"),
    "numgen": _numgen,
    "jhash": _jhash,
    "symhash": _symhash,
    **{op: _bits(op) for op in BITS},
    **{word: _verdict(word) for word in ("accept", "drop", "return", "continue", "jump", "goto")},
}
