"""A rule set as typed records: what ``nft -j list ruleset`` says, once it was read.

The vocabulary is nftables': expressions yield values, matches compare them, statements do something.
What was not understood stays in its place as ``Opaque`` with a reason; the walk decides whether it matters.
Constants are already in the form that evaluation compares: addresses, ports and marks as integers,
device names as text, concatenations as tuples. A named set is one object, shared by every rule that uses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Scalar: TypeAlias = "int | str"
Value: TypeAlias = "int | str | tuple[Scalar, ...]"


@dataclass(frozen=True, slots=True)
class Payload:
    """A header field: ``ip saddr``, ``tcp dport``, ``icmp type``."""

    protocol: str
    field: str
    kind: str


@dataclass(frozen=True, slots=True)
class Meta:
    """``meta KEY``."""

    key: str
    kind: str


@dataclass(frozen=True, slots=True)
class Ct:
    """``ct [DIRECTION] KEY``."""

    key: str
    direction: str | None
    kind: str


@dataclass(frozen=True, slots=True)
class Fib:
    """``fib FLAGS RESULT``: a routing look-up."""

    result: str
    """``type``, ``oif`` or ``oifname``."""
    flags: frozenset[str]
    kind: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that the rule names itself."""

    value: Value


@dataclass(frozen=True, slots=True)
class Binary:
    """``LEFT & RIGHT`` and its kin: ``&``, ``|``, ``^``, ``<<``, ``>>``."""

    op: str
    left: Expression
    right: Expression
    kind: str


@dataclass(frozen=True, slots=True)
class Concat:
    """``A . B . C``."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Generator:
    """``numgen`` and the hashes: one of ``count`` values from ``offset`` on."""

    name: str
    count: int
    offset: int
    even: bool
    """Every value is equally likely over many connections (``numgen``); a hash depends on the packet."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """``KEY map { … }``: a value found by another."""

    key: Expression
    data: Elements


@dataclass(frozen=True, slots=True)
class Opaque:
    """An expression or statement that is not understood. As a statement it may do anything."""

    reason: str


Expression: TypeAlias = "Payload | Meta | Ct | Fib | Constant | Binary | Concat | Generator | Lookup | Opaque"


@dataclass(frozen=True, slots=True)
class Exact:
    """Equal to one value."""

    value: Value


@dataclass(frozen=True, slots=True)
class Between:
    """From ``low`` to ``high``, both included; a prefix is such an interval."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Prefixed:
    """A device name that begins so: ``"eth*"``."""

    text: str


@dataclass(frozen=True, slots=True)
class Anything:
    """The catch-all element ``*``."""


@dataclass(frozen=True, slots=True)
class Present:
    """``exists`` and ``missing``."""

    wanted: bool


@dataclass(frozen=True, slots=True)
class Parts:
    """A concatenation with an interval in it."""

    parts: tuple[Pattern, ...]


Pattern: TypeAlias = "Exact | Between | Prefixed | Anything | Present | Parts"


@dataclass(frozen=True, slots=True)
class Verdict:
    """``accept``, ``drop``, ``return``, ``continue``, ``jump CHAIN``, ``goto CHAIN``."""

    kind: str
    target: str | None = None


Data: TypeAlias = "Value | Verdict | None"


@dataclass(frozen=True, slots=True)
class Elements:
    """The elements of a set (data None) or map, named or anonymous."""

    name: str | None
    exact: Mapping[Value, Data] = field(default_factory=dict)
    """Elements that are one value each: found by their key."""
    loose: tuple[tuple[Pattern, Data], ...] = ()
    """Intervals, wildcards and catch-all, in this order."""
    defect: str | None = None
    """Why the elements could not be read; None where they could."""


@dataclass(frozen=True, slots=True)
class Match:
    """``LEFT OP RIGHT``."""

    left: Expression
    op: str
    """``==``, ``!=``, ``<``, ``>``, ``<=``, ``>=``; ``in`` (some bit of RIGHT is set), ``!`` (none is)."""
    right: Pattern | Elements


@dataclass(frozen=True, slots=True)
class VerdictMap:
    """A verdict map: ``KEY vmap …``."""

    key: Expression
    data: Elements


@dataclass(frozen=True, slots=True)
class Mangle:
    """Setting a field: ``meta mark``, ``ct mark``, ``ip ttl``, and so on."""

    target: str
    value: Expression


@dataclass(frozen=True, slots=True)
class Translate:
    """``snat``, ``dnat``, ``masquerade`` or ``redirect``."""

    kind: str
    address: Expression | None = None
    """Yields an address, or a tuple of address and port; None: masquerade, redirect, or ports alone."""
    ports: tuple[int, int] | None = None
    flags: frozenset[str] = frozenset()
    family: int | None = None
    """4 or 6: packets of the other family pass by (``nft_nat_inet_eval``). None: either."""


@dataclass(frozen=True, slots=True)
class Reject:
    """``reject``: drop, and tell the sender."""

    answer: str
    """What the sender is told: ``icmp port-unreachable``, ``tcp reset``, …"""


@dataclass(frozen=True, slots=True)
class NoTrack:
    """``notrack``."""


@dataclass(frozen=True, slots=True)
class Touch:
    """``add @SET …``: the set's elements are no longer those that were read."""

    name: str


@dataclass(frozen=True, slots=True)
class Inert:
    """A statement without influence on the packet, as ``counter`` and ``log``."""

    name: str


@dataclass(frozen=True, slots=True)
class Chance:
    """A match whose outcome depends on more than the packet: ``limit``, ``quota``, an unknown match."""

    reason: str


@dataclass(frozen=True, slots=True)
class Random:
    """A match that holds for a known part of all connections: ``-m statistic``."""

    probability: float
    name: str


Statement: TypeAlias = (
    "Match | Verdict | VerdictMap | Mangle | Translate | Reject | NoTrack | Touch | Inert | Chance | Random | Opaque"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of one chain."""

    handle: int | None
    statements: tuple[Statement, ...]
    source: Any = field(compare=False, repr=False)
    """The rule as it was read (JSON, or a line of iptables-save), from which its text is made."""
    comment: str | None = None
    printed: dict[str, str] = field(default_factory=dict, compare=False, repr=False)
    """The text, once it was made: a rule is named far more often than it is read."""


@dataclass(frozen=True, slots=True)
class Chain:
    """One chain. A base chain has a hook; the others are jumped to."""

    family: str
    table: str
    name: str
    rules: tuple[Rule, ...]
    hook: str | None = None
    type: str = "filter"
    """``filter``, ``nat`` or ``route``."""
    priority: int = 0
    policy: str = "accept"
    devices: tuple[str, ...] = ()
    """Devices of an ingress or egress chain."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table: the chains that may jump to one another."""

    family: str
    name: str
    chains: Mapping[str, Chain]


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Everything that netfilter holds in one namespace."""

    tables: Mapping[tuple[str, str], Table] = field(default_factory=dict)
    """By (family, name)."""
    hooks: Mapping[tuple[str, str], tuple[Chain, ...]] = field(default_factory=dict)
    """Base chains by (``ip`` | ``ip6`` | ``bridge`` | ``netdev``, hook), in the order the kernel calls them."""
    defect: str | None = None
    """Why the rule set could not be read as a whole; every hook then answers ``unknown``."""
