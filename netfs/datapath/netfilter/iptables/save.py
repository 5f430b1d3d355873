"""The text of iptables-save: tables and chains in one pass over its lines (iptables/iptables-restore.c).

A line is only sorted to its chain here; it becomes a rule when a packet first reaches it. A quoted string may go over
lines: a newline in a comment is printed as it is. What is not the text of iptables-save raises NotUnderstoodError with
line and column.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from netfs.datapath.netfilter.datatypes import NotUnderstoodError
from netfs.datapath.netfilter.index import LONG, RuleIndex, Rules
from netfs.datapath.netfilter.iptables.ipsets import IpSets
from netfs.datapath.netfilter.iptables.line import read_rule
from netfs.datapath.netfilter.iptables.options import Defect, Scope
from netfs.datapath.netfilter.iptables.recent import RecentLists
from netfs.datapath.netfilter.records import Chain, Rule, Table
from netfs.model import ip

HOOKS = {
    "PREROUTING": "prerouting",
    "INPUT": "input",
    "FORWARD": "forward",
    "OUTPUT": "output",
    "POSTROUTING": "postrouting",
}

PRIORITIES = {"raw": -300, "mangle": -150, "filter": 0, "security": 50}
"""Where each table stands on its hooks (``enum nf_ip_hook_priorities``)."""

SECURITY_OF_NFT = 150
"""Where iptables-nft puts table security, behind nat (iptables/nft.c, ``xtables_ipv4``)."""

NAT_PRIORITIES = {"prerouting": -100, "output": -100, "input": 100, "postrouting": 100}

POLICIES = {"ACCEPT": "accept", "DROP": "drop", "-": ""}

MAX_NAME = 64

_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_DEMANDS = re.compile(
    r"(?:\[\d+:\d+\] )?-A \S+"
    r"(?P<src> (?:! )?-s (?P<s>\S+))?"
    r"(?P<dst> (?:! )?-d (?P<d>\S+))?"
    r"(?: (?:! )?-[io] \S+){0,2}"
    r"(?: -p (?P<p>tcp|udp|sctp|dccp)"
    r'(?: -m comment --comment (?:"(?:[^"\\]|\\.)*"|[^\s"!]+))?'
    r" -m (?P=p)(?: --sport [\d:]+)? --dport (?P<port>[1-9]\d{0,4}))?(?= |$)"
)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*(?P<end>"?)')
_V4 = re.compile(rf"({_OCTET}(?:\.{_OCTET}){{3}})/32")

Line = tuple[int, str]


@dataclass(slots=True)
class _Section:
    """One table: its chains with their policies, and the lines of each."""

    policies: dict[str, str]
    lines: dict[str, list[Line]]


class Chains(Mapping[str, Chain]):
    """The chains of a table; each is made when it is first asked for."""

    def __init__(self, section: _Section, scope: Scope) -> None:
        self._section = section
        self._scope = scope
        self._chains: dict[str, Chain] = {}
        for name, lines in section.lines.items():
            if len(lines) >= LONG:
                self._chains[name] = self._made(name)

    def __getitem__(self, name: str) -> Chain:
        found = self._chains.get(name)
        if found is None:
            found = self._chains[name] = self._made(name)
        return found

    def __len__(self) -> int:
        return len(self._section.policies)

    def __iter__(self) -> Iterator[str]:
        return iter(self._section.policies)

    def __contains__(self, name: object) -> bool:
        return name in self._section.policies

    def _made(self, name: str) -> Chain:
        policy, lines = self._section.policies[name], self._section.lines[name]
        scope = self._scope
        rules = Rules(lines, self._read)
        index = RuleIndex(_demand(line, scope.family) for _, line in lines) if len(lines) >= LONG else None
        family = "ip6" if scope.family == 6 else "ip"
        if not policy:
            return Chain(family, scope.table, name, rules, program=scope.program, index=index)
        hook = HOOKS[name]
        kind = "nat" if scope.table == "nat" else "route" if (scope.table, hook) == ("mangle", "output") else "filter"
        priority = NAT_PRIORITIES[hook] if kind == "nat" else _priority(scope)
        return Chain(family, scope.table, name, rules, hook, kind, priority, policy, program=scope.program, index=index)

    def _read(self, numbered: Line) -> Rule:
        number, line = numbered
        return read_rule(line, number, self._scope)[0]

    def defects(self) -> Iterator[Defect]:
        """What is not understood in any rule."""
        for lines in self._section.lines.values():
            for number, line in lines:
                yield from read_rule(line, number, self._scope)[1]


def _priority(scope: Scope) -> int:
    legacy = scope.program.endswith("-legacy")
    return SECURITY_OF_NFT if scope.table == "security" and not legacy else PRIORITIES[scope.table]


def tables(text: str, family: int, program: str, sets: IpSets, recent: RecentLists | None = None) -> dict[str, Table]:
    """The tables of a save file by name. Raises NotUnderstoodError with line and column."""
    name = "ip6" if family == 6 else "ip"
    found: dict[str, Table] = {}
    for table, section in _sections(text, program).items():
        scope = Scope(family, program, table, section.policies, sets, recent or RecentLists(None))
        found[table] = Table(name, table, Chains(section, scope))
    return found


def base_chains(table: Table) -> list[Chain]:
    """The built-in chains of a table."""
    return [table.chains[name] for name in HOOKS if name in table.chains and table.chains[name].hook is not None]


def defects(text: str, family: int, program: str, sets: IpSets | None = None) -> tuple[Defect, ...]:
    """Everything in a save file that is not understood, rule by rule; empty where all is.

    A text that is no save file has one defect: the first place where it is none.
    """
    try:
        read = tables(text, family, program, sets or IpSets(None))
    except NotUnderstoodError as error:
        return (Defect(program, error.line or 1, error.column or 1, str(error)),)
    found = [defect for table in read.values() if isinstance(table.chains, Chains) for defect in table.chains.defects()]
    return tuple(sorted(found, key=lambda defect: (defect.line, defect.column)))


def _sections(text: str, program: str) -> dict[str, _Section]:
    """Every table of a text, its lines sorted by chain."""
    found: dict[str, _Section] = {}
    section: _Section | None = None
    lines: dict[str, list[Line]] = {}
    number = 0
    for number, line in _logical(text):
        start = 0
        if line.startswith("["):
            start = line.find("] ") + 2
        if section is not None and line.startswith("-A ", start):
            end = line.find(" ", start + 3)
            chain = lines.get(line[start + 3 : end] if end > 0 else line[start + 3 :])
            if chain is None:
                raise _error(program, number, start + 4, f"a rule of a chain that is not declared: {line[:60]!r}")
            chain.append((number, line))
        elif section is not None and line.startswith(":"):
            _declare(section, line, number, program, next(reversed(found)))
        elif line.startswith("*") and section is None:
            table = line[1:].rstrip()
            if table in found or (table != "nat" and table not in PRIORITIES):
                raise _error(program, number, 2, f"table {table[:60]!r}")
            lines = {}
            section = found[table] = _Section({}, lines)
        elif section is not None and line.rstrip() == "COMMIT":
            section = None
        elif line.strip() and not line.startswith("#"):
            raise _error(program, number, start + 1, f"{line[start : start + 60]!r}")
    if section is not None:
        raise _error(program, number, 1, "the end of the text within a table")
    return found


def _logical(text: str) -> Iterable[Line]:
    """The lines of a text by number; a rule whose quoted string goes over several has them all, as one."""
    lines = text.split("\n")
    escapes = "\\" in text
    odd = [at for at, line in enumerate(lines) if line.count('"') & 1 or (escapes and "\\" in line)]
    return _joined(lines, odd) if odd else enumerate(lines, 1)


def _joined(lines: list[str], odd: list[int]) -> Iterator[Line]:
    """The same, where a quote may be open at the end of the lines ``odd``; one that never ends takes its line alone."""
    done = 0
    for first in odd:
        if first < done or not lines[first].startswith(("-A ", "[")) or not _open(lines[first]):
            continue
        last = next((at for at in range(first + 1, len(lines)) if not _open(f'"{lines[at]}')), None)
        if last is None:  # nor does any that opens behind it
            break
        yield from enumerate(lines[done:first], done + 1)
        yield first + 1, "\n".join(lines[first : last + 1])
        done = last + 1
    yield from enumerate(lines[done:], done + 1)


def _open(line: str) -> bool:
    """Whether a quoted string begins on a line and does not end there."""
    end = '"'
    for quoted in _QUOTED.finditer(line):
        end = quoted["end"]
    return not end


def _declare(section: _Section, line: str, number: int, program: str, table: str) -> None:
    """``:CHAIN POLICY [PACKETS:BYTES]``."""
    words = line[1:].split()
    if len(words) < 2 or len(words[0]) > MAX_NAME or words[0] in section.policies:
        raise _error(program, number, 2, f"chain {line[1:61]!r}")
    name, policy = words[0], words[1]
    if policy not in POLICIES or (policy != "-" and name not in HOOKS):
        raise _error(program, number, len(name) + 3, f"policy {policy[:60]!r} of chain {name}")
    section.policies[name] = POLICIES[policy]
    section.lines[name] = []


def _error(program: str, line: int, column: int, what: str) -> NotUnderstoodError:
    return NotUnderstoodError(
        f"{program}, line {line}, column {column}: {what} is not understood", line=line, column=column
    )


def _demand(line: str, family: int) -> tuple[str, str | int] | None:
    """The one address or port that a packet must have to fulfil a rule, where its line names one."""
    match = _DEMANDS.match(line)
    if match is None:
        return None
    for kind in ("dst", "src"):
        words = match[kind]
        if words is not None and "!" not in words:
            address = _host(match[kind[0]], family)
            if address is not None:
                return kind, address
    port = match["port"]
    return ("dport", int(port)) if port is not None and int(port) <= 65535 else None


def _host(text: str, family: int) -> str | None:
    """The canonical address of ``ADDRESS/32`` or ``/128``; None where it is a network, or no address."""
    if family == 4:
        found = _V4.fullmatch(text)
        return found[1] if found is not None else None
    address, _, length = text.partition("/")
    try:
        return ip.to_text(ip.to_int(address), 6) if length == "128" and ":" in address else None
    except ValueError:
        return None
