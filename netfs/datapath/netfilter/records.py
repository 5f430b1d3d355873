"""A rule set as typed records: what ``nft -j list ruleset`` says, once it was read.

The vocabulary is nftables': expressions yield values, matches compare them, statements do something.
What was not understood stays in its place as ``Opaque`` with a reason; the walk decides whether it matters.
Constants are already in the form that evaluation compares: addresses, ports and marks as integers,
device names as text, concatenations as tuples. A named set is one object, shared by every rule that uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from netfs.model.packet import Packet

if TYPE_CHECKING:
    from netfs.datapath.netfilter.values import Answer, Sight

Scalar: TypeAlias = "int | str"
Value: TypeAlias = "int | str | tuple[Scalar, ...]"


@dataclass(frozen=True, slots=True)
class Payload:
    """A header field: ``ip saddr``, ``tcp dport``, ``icmp type``."""

    protocol: str
    field: str
    kind: str


@dataclass(frozen=True, slots=True)
class Raw:
    """Bits of a header by their place: ``@nh,96,32``."""

    base: str
    """``ll``, ``nh``, ``th`` or ``ih``."""
    offset: int
    length: int
    kind: str = "integer"


@dataclass(frozen=True, slots=True)
class Option:
    """An option or extension header: ``exthdr frag``, ``ip option rr``, ``tcp option maxseg size``."""

    protocol: str
    """``ip6``, ``ip``, ``tcp``, ``sctp``, …"""
    name: str
    field: str | None
    """None: whether it is there."""
    kind: str = "integer"


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
    """``type``, ``oif``, ``oifname`` or ``check``."""
    flags: frozenset[str]
    kind: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that the rule names itself."""

    value: Value | Between


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
    """``numgen`` and hashes with a secret: one of ``count`` values from ``offset`` on, by chance."""

    name: str
    count: int
    offset: int
    steady: bool = False
    """A packet gets one value, however often it is asked for (``symhash``)."""


@dataclass(frozen=True, slots=True)
class Hash:
    """``jhash`` with a seed: one of ``count`` values from ``offset`` on, by the packet."""

    key: Expression
    kinds: tuple[str, ...]
    """The types of the key's parts."""
    seed: int
    count: int
    offset: int


@dataclass(frozen=True, slots=True)
class Lookup:
    """``KEY map { … }``: a value found by another."""

    key: Expression
    data: Elements


@dataclass(frozen=True, slots=True)
class Asked:
    """A value that has no name in nftables: membership in an ipset, a port of the bridge."""

    name: str
    answer: Callable[[Sight], Answer] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Opaque:
    """An expression or statement that is not understood. As a statement it may do anything."""

    reason: str


Expression: TypeAlias = (
    "Payload | Raw | Option | Meta | Ct | Fib | Constant | Binary | Concat | Generator | Hash | Lookup | Asked | Opaque"
)


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


Data: TypeAlias = "Value | Between | Verdict | None"


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
    absent: bool = False
    """The answer where the packet has no such field; nft always says no, iptables not always."""


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
    hooks: frozenset[str] | None = None
    """The hooks at which it acts; at others packets pass by (``NETMAP``). None: all."""
    port: Expression | None = None
    """Yields a port, where no constant says it."""


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
    """``add @SET …``, ``delete @SET …``: the set's elements are no longer those that were read."""

    name: str
    key: Expression = Opaque("which element changes is not known")
    present: bool = True


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
    counters: tuple[int, int] | None = field(default=None, compare=False)
    """Packets and bytes, where the rule counts."""
    printed: dict[str, str] = field(default_factory=dict, compare=False, repr=False)
    """The text, once it was made: a rule is named far more often than it is read."""


@dataclass(frozen=True, slots=True)
class Chain:
    """One chain. A base chain has a hook; the others are jumped to."""

    family: str
    table: str
    name: str
    rules: Sequence[Rule]
    hook: str | None = None
    type: str = "filter"
    """``filter``, ``nat`` or ``route``."""
    priority: int = 0
    policy: str = "accept"
    devices: tuple[str, ...] = ()
    """Devices of an ingress or egress chain."""
    program: str = "nft"
    """Whose chain it is: ``nft``, ``iptables``, ``ip6tables``, ``iptables-legacy``, ``ip6tables-legacy``."""
    index: Callable[[int, Packet], int] | None = field(default=None, compare=False, repr=False)
    """Answers ``next_after`` without a look at every rule, where the chain is long."""

    def next_after(self, position: int, packet: Packet) -> int:
        """The first rule from ``position`` on that the packet may fulfil; beyond the last where there is none."""
        return position if self.index is None else self.index(position, packet)


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
    legacy: Mapping[tuple[str, str], Table] = field(default_factory=dict)
    """The tables of iptables-legacy, which may have the names of others."""

    def table_of(self, chain: Chain) -> Table | None:
        """The table that a chain stands in."""
        tables = self.legacy if chain.program.endswith("-legacy") else self.tables
        return tables.get((chain.family, chain.table))
