"""From the JSON of constants to what values are compared with: patterns, and the elements of sets and maps.

Each function raises NotUnderstoodError for what it does not know; a set keeps the reason as its defect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netfs.datapath.netfilter.datatypes import NotUnderstoodError, constant
from netfs.datapath.netfilter.records import (
    Anything,
    Between,
    Data,
    Elements,
    Exact,
    Parts,
    Pattern,
    Prefixed,
    Present,
    Value,
    Verdict,
)
from netfs.datapath.netfilter.scope import Scope, single, text_of

PREFIX_BITS = {"ipv4_addr": 32, "ipv6_addr": 128, "mark": 32, "ether_addr": 48, "ct_label": 128}
"""Types of which nft prints intervals as prefixes, where they are such."""

VERDICTS = ("accept", "drop", "return", "continue", "jump", "goto")


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
    if isinstance(raw, bool) and kind in ("ifindex", "ifname", "integer", ""):
        return Present(raw)
    if isinstance(raw, dict) and ("prefix" in raw or "range" in raw):
        return interval(raw, kind)
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


def interval(raw: Mapping[str, Any], kind: str) -> Between:
    """``LOW-HIGH`` or ``ADDRESS/LENGTH``."""
    if "range" in raw:
        ends = raw["range"]
        if not isinstance(ends, list) or len(ends) != 2:
            raise NotUnderstoodError("range without two ends")
        low, high = constant(kind, ends[0]), constant(kind, ends[1])
    else:
        prefix = raw["prefix"]
        length = prefix.get("len") if isinstance(prefix, dict) else None
        bits = PREFIX_BITS.get(kind)
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


def _value(raw: Any, data: str, scope: Scope) -> Value | Between:
    kinds = [kind.strip() for kind in data.split(".")]
    if isinstance(raw, dict) and "concat" in raw and len(kinds) == 1 and data.endswith("_addr"):
        kinds = [data, "inet_service"]
    found = pattern(_bare(raw), kinds, scope)
    if isinstance(found, Exact):
        return found.value
    if isinstance(found, Between):
        return found
    raise NotUnderstoodError(f"map value {str(raw)[:60]!r}")


def verdict(raw: Any) -> Verdict:
    """A verdict, as a statement or as the value of a verdict map."""
    name, content = single(raw)
    if name not in VERDICTS:
        raise NotUnderstoodError(f"verdict {name[:60]!r}")
    return Verdict(name, text_of(content, "target") if name in ("jump", "goto") else None)
