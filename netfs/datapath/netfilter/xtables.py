"""Rules of iptables as ``iptables-save`` prints them: just enough to know where they lie.

A rule is kept as its own line and answers ``unknown`` when a packet reaches it. Empty chains keep their policy.
"""

from __future__ import annotations

from netfs.datapath.netfilter.datatypes import NotUnderstoodError
from netfs.datapath.netfilter.records import Chain, Opaque, Rule

HOOKS = {
    "PREROUTING": "prerouting",
    "INPUT": "input",
    "FORWARD": "forward",
    "OUTPUT": "output",
    "POSTROUTING": "postrouting",
}

PRIORITIES = {"raw": -300, "mangle": -150, "filter": 0, "security": 50}
"""Where each table stands on its hooks (``enum nf_ip_hook_priorities``); nat has places of its own."""


def base_chains(text: str, family: str, program: str) -> tuple[Chain, ...]:
    """The built-in chains of every table in a save file. Raises NotUnderstoodError with the line's number."""
    chains: list[Chain] = []
    table: str | None = None
    policies: dict[str, str] = {}
    rules: dict[str, list[Rule]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or line.startswith("#"):
            continue
        if line.startswith("*") and table is None:
            table, policies, rules = line[1:].strip(), {}, {}
        elif line.startswith(":") and table is not None and len(words) >= 2:
            policies[words[0][1:]] = words[1]
        elif words[0] == "COMMIT" and table is not None:
            chains += _table(table, family, policies, rules)
            table = None
        elif table is not None and (rule := _rule(words, program)) is not None:
            rules.setdefault(rule[0], []).append(rule[1])
        else:
            raise NotUnderstoodError(f"{program}, line {number}: {line[:60]!r}")
    if table is not None:
        raise NotUnderstoodError(f"{program} ends within table {table[:60]!r}")
    return tuple(chains)


def _rule(words: list[str], program: str) -> tuple[str, Rule] | None:
    if words[0].startswith("["):
        words = words[1:]
    if len(words) < 2 or words[0] != "-A":
        return None
    return words[1], Rule(None, (Opaque(f"a rule of {program}"),), " ".join(words))


def _table(table: str, family: str, policies: dict[str, str], rules: dict[str, list[Rule]]) -> list[Chain]:
    return [
        Chain(
            family=family,
            table=table,
            name=name,
            rules=tuple(rules.get(name, ())),
            hook=HOOKS[name],
            type="nat" if table == "nat" else "filter",
            priority=PRIORITIES.get(table, 0),
            policy=policy.lower(),
        )
        for name, policy in policies.items()
        if name in HOOKS and (rules.get(name) or policy != "ACCEPT")
    ]
