"""The command that takes a rule away, or lets a port pass before it: in its language, with the program that owns it.

Words of a rule were written by whoever wrote the rule: each is quoted for a shell. A rule whose text cannot be shown
as it is (``text.clean``) is deleted by its number.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from netfs.datapath.netfilter.answer import RuleRef

PROGRAMS = {"iptables": "iptables-nft", "ip6tables": "ip6tables-nft"}
"""The program that certainly writes to nftables: which one plain ``iptables`` is, distributions decide."""


def removal(ref: RuleRef) -> str:
    """What deletes the rule; for a chain's policy, what sets it to accept."""
    if ref.program == "nft":
        return _nft(ref)
    table = f"{PROGRAMS.get(ref.program, ref.program)} -t {shlex.quote(ref.table)}"
    if ref.policy:
        return f"{table} -P {shlex.quote(ref.chain)} ACCEPT"
    number = _number(ref)
    if number:
        return f"{table} -D {shlex.quote(ref.chain)} {number}"
    words = _words(ref.text)
    if words is None:
        return f"{table} -S {shlex.quote(ref.chain)}  # and delete the rule that reads: {ref.text}"
    return f"{table} -D {shlex.join(words)}"


def in_turn(rules: Iterable[RuleRef]) -> list[RuleRef]:
    """The order to mend rules in: a deletion or insertion moves what is behind it, so that by number comes first."""
    return sorted(rules, key=_number, reverse=True)


def exception(ref: RuleRef, protocol: str, port: int) -> str:
    """What accepts a protocol's port before the rule, or the policy, is asked."""
    if ref.program == "nft":
        chain = " ".join(shlex.quote(word) for word in (ref.family, ref.table, ref.chain))
        return f"nft insert rule {chain} {protocol} dport {port} accept"
    program = PROGRAMS.get(ref.program, ref.program)
    return (
        f"{program} -t {shlex.quote(ref.table)} -I {shlex.quote(ref.chain)} 1 "
        f"-p {protocol} -m {protocol} --dport {port} -j ACCEPT"
    )


def _number(ref: RuleRef) -> int:
    """The rule's place in its chain, from 1, where it is deleted by that; 0: by its words, or its handle."""
    if ref.program == "nft" or ref.rule is None or ref.text == ref.rule.source:
        return 0
    return next(number for number, rule in enumerate(ref.origin.rules, 1) if rule is ref.rule)


def _nft(ref: RuleRef) -> str:
    chain = " ".join(shlex.quote(word) for word in (ref.family, ref.table, ref.chain))
    if ref.policy:
        return f"nft add chain {chain} '{{ policy accept; }}'"
    return f"nft -a list chain {chain}" if ref.handle is None else f"nft delete rule {chain} handle {ref.handle}"


def _words(line: str) -> list[str] | None:
    """The words of ``-A CHAIN …`` after ``-A``, as iptables-save quotes them; None where it is no such line."""
    try:
        words = shlex.split(line)
    except ValueError:
        return None
    if words and words[0].startswith("["):
        words = words[1:]
    return words[1:] if len(words) > 1 and words[0] == "-A" else None
