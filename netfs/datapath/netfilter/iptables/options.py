"""The words of a rule: options with their values, and the numbers, ports and addresses that stand in them.

Forms are those of xtables (libxtables/xtables.c, ``xtables_strtoui``, ``xtables_parse_interface``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from netfs.datapath.netfilter.datatypes import PROTOCOLS, NotUnderstoodError
from netfs.datapath.netfilter.iptables.ipsets import IpSets
from netfs.datapath.netfilter.iptables.recent import RecentLists
from netfs.datapath.netfilter.records import (
    Between,
    Chance,
    Constant,
    Elements,
    Exact,
    Expression,
    Match,
    Opaque,
    Pattern,
    Payload,
    Prefixed,
    Statement,
)
from netfs.model import ip

NUMBER = re.compile(r"0[xX][0-9a-fA-F]{1,16}|[0-9]{1,10}")

MARK_BITS = 0xFFFFFFFF

NEVER = Match(Constant(0), "==", Exact(1))
"""A match that no packet fulfils."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a match or target."""

    name: str
    negated: bool
    values: tuple[str, ...]
    column: int
    """Where it stands in its line, from 1."""
    known: bool = True

    @property
    def value(self) -> str:
        """Its only value."""
        return self.values[0]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a rule may refer to."""

    family: int
    """4 or 6."""
    program: str
    table: str
    chains: Container[str]
    sets: IpSets
    recent: RecentLists


@dataclass(frozen=True, slots=True)
class Defect:
    """Something in a save file that is not understood."""

    program: str
    line: int
    """From 1."""
    column: int
    """From 1."""
    what: str
    table: str = ""
    chain: str = ""
    rule: str = ""
    """The line, without its counters."""

    def __str__(self) -> str:
        return f"{self.program}, line {self.line}, column {self.column}: {self.what}"


@dataclass(slots=True)
class Reading:
    """The reading of one rule: where it is, and what was not understood of it."""

    scope: Scope
    line: int
    text: str
    """All of it; a quoted string may go over lines."""
    found: list[tuple[int, str]] = field(default_factory=list)
    """Columns and what is wrong there."""

    def doubt(self, what: str, column: int) -> Chance:
        """A match that is not understood."""
        return Chance(self._noted(what, column))

    def chance(self, what: str, column: int) -> Chance:
        """A match that is known, and depends on more than the packet."""
        return Chance(self._placed(what, column))

    def opaque(self, what: str, column: int) -> Opaque:
        """A target, or a whole rule, that is not understood."""
        return Opaque(self._noted(what, column))

    def _noted(self, what: str, column: int) -> str:
        self.found.append((column, what))
        return self._placed(what, column)

    def place(self, column: int) -> tuple[int, int]:
        """Line and column of what stands at a column of the rule."""
        before = self.text[: column - 1]
        return self.line + before.count("\n"), column - before.rfind("\n") - 1

    def _placed(self, what: str, column: int) -> str:
        line, column = self.place(column)
        return f"{what} (line {line}, column {column} of {self.scope.program}-save)"


Reader: TypeAlias = "Callable[[Option, Reading], Statement | None]"


@dataclass(frozen=True, slots=True)
class Extension:
    """A match: its options with the number of their values, and what they say together."""

    arities: Mapping[str, int]
    read: Callable[[tuple[Option, ...], Reading], Iterable[Statement]]


def each(readers: Mapping[str, tuple[int, Reader]]) -> Extension:
    """A match whose options are independent of one another."""

    def read(options: tuple[Option, ...], at: Reading) -> list[Statement]:
        made = [one(option, at, readers[option.name][1] if option.known else None) for option in options]
        return [statement for statement in made if statement is not None]

    return Extension({name: arity for name, (arity, _) in readers.items()}, read)


def one(option: Option, at: Reading, reader: Reader | None) -> Statement | None:
    """What one option says; a doubt where it is not understood."""
    if reader is None:
        return at.doubt(f"option {option.name[:60]} is not understood", option.column)
    try:
        return reader(option, at)
    except NotUnderstoodError as error:
        return at.doubt(f"{option.name} {error} is not understood", option.column)


def equal(left: Expression, option: Option, right: Pattern | Elements, *, absent: bool = False) -> Match:
    """``LEFT == RIGHT``, or ``!=`` where the option is negated."""
    return Match(left, "!=" if option.negated else "==", right, absent)


def number(text: str, most: int) -> int:
    """A number from 0 to ``most``, decimal or hexadecimal. Raises NotUnderstoodError."""
    if NUMBER.fullmatch(text):
        value = int(text, 16 if text[:2] in ("0x", "0X") else 10)
        if value <= most and (text[:2] in ("0x", "0X") or text[0] != "0" or value == 0):
            return value
    raise NotUnderstoodError(repr(text[:60]))


def masked(text: str, most: int = MARK_BITS) -> tuple[int, int]:
    """``VALUE[/MASK]``. Raises NotUnderstoodError."""
    value, slash, mask = text.partition("/")
    return number(value, most), number(mask, most) if slash else most


def span(text: str, between: str, most: int = 65535) -> tuple[int, int]:
    """``LOW``, ``LOW:HIGH``, ``:HIGH`` or ``LOW:``. Raises NotUnderstoodError."""
    low, found, high = text.partition(between)
    if not found:
        return number(low, most), number(low, most)
    if not low and not high:
        raise NotUnderstoodError(repr(text))
    return number(low, most) if low else 0, number(high, most) if high else most


def interval(low: int, high: int) -> Exact | Between:
    """A pattern for the numbers from ``low`` to ``high``."""
    return Exact(low) if low == high else Between(low, high)


def either(patterns: Iterable[Pattern]) -> Pattern | Elements:
    """One pattern, or a set of several."""
    made = list(patterns)
    if len(made) == 1:
        return made[0]
    exact = {pattern.value: None for pattern in made if isinstance(pattern, Exact)}
    loose = tuple((pattern, None) for pattern in made if not isinstance(pattern, Exact))
    return Elements(None, exact, loose)


def address(text: str, family: int) -> int:
    """An address of the family. Raises NotUnderstoodError."""
    try:
        if ip.family_of(text) == family:
            return ip.to_int(text)
    except ValueError:
        pass
    raise NotUnderstoodError(repr(text[:60]))


def prefix_or_mask(text: str, family: int) -> tuple[int, int]:
    """(value, mask) of ``ADDRESS[/LENGTH|/MASK]``. Raises NotUnderstoodError."""
    network, slash, length = text.partition("/")
    bits = ip.BITS[family]
    full = (1 << bits) - 1
    if not slash:
        mask = full
    elif "." in length or ":" in length:
        mask = address(length, family)
    else:
        mask = full >> (bits - size) << (bits - size) if (size := number(length, bits)) else 0
    return address(network, family) & mask, mask


def contiguous(mask: int, family: int) -> bool:
    """Whether a mask is that of a prefix."""
    rest = (1 << ip.BITS[family]) - 1 - mask
    return rest & (rest + 1) == 0


def network(field_name: str, family: int) -> Payload:
    """``saddr`` or ``daddr`` of the family, or another field of the IP header."""
    kind = f"ipv{family}_addr" if field_name in ("saddr", "daddr") else "integer"
    return Payload("ip6" if family == 6 else "ip", field_name, kind)


def device(text: str) -> Pattern:
    """A device's name, or its beginning and a ``+``. Raises NotUnderstoodError."""
    if not text or len(text) > 16 or "/" in text:
        raise NotUnderstoodError(repr(text[:60]))
    return Prefixed(text[:-1]) if text.endswith("+") else Exact(text)


NAMED_PROTOCOLS = PROTOCOLS | {"udplite": 136, "mh": 135, "mobility-header": 135, "ipip": 4, "l2tp": 115, "pim": 103}


def protocol(text: str) -> int:
    """A protocol's number; 0 for all. Raises NotUnderstoodError."""
    if text.lower() == "all":
        return 0
    known = NAMED_PROTOCOLS.get(text.lower())
    return number(text, 255) if known is None else known
