"""From the texts of a namespace's firewall to one ``Ruleset``, with the kernel's order of chains on each hook.

Nothing here raises: a text that cannot be read gives a rule set with a defect, a rule that is not
understood stays where it is as an opaque one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from netfs.cluster.netns import NetNsView
from netfs.datapath.netfilter import xtables
from netfs.datapath.netfilter.datatypes import NotUnderstoodError
from netfs.datapath.netfilter.expressions import Scope, expression, kinds_of, members, single, text_of
from netfs.datapath.netfilter.records import Chain, Elements, Opaque, Rule, Ruleset, Table
from netfs.datapath.netfilter.statements import statement

FAMILIES = ("ip", "ip6", "inet", "arp", "bridge", "netdev")

HOOKS = ("ingress", "prerouting", "input", "forward", "output", "postrouting", "egress")

NAT_POSITIONS = {"prerouting": -100, "output": -100, "input": 100, "postrouting": 100}
"""The one place per hook where every nat chain is called, whatever its own priority (``nf_nat_register_fn``)."""

FAMILY_PRIORITIES = {
    "bridge": {"dstnat": -300, "filter": -200, "out": 100, "srcnat": 300},
    "": {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100},
}

GAPS = frozenset(("firewall", "nft", "iptables_legacy", "ip6tables_legacy"))
"""Gaps that may hide rules. What iptables-nft holds is in what nft prints as well."""


def ruleset(view: NetNsView) -> Ruleset | None:
    """The rule set of a namespace, read once; None where it holds no rules."""
    if "netfilter" not in view.compiled:
        view.compiled["netfilter"] = _of_view(view)
    found: Ruleset | None = view.compiled["netfilter"]
    return found


def _of_view(view: NetNsView) -> Ruleset | None:
    for gap in view.gaps:
        if gap.what in GAPS:
            return Ruleset(defect=f"the firewall was not read: {gap.reason}")
    firewall = view.netns.firewall
    if firewall is None:
        return None
    saves = [
        (firewall.iptables_legacy, "ip", "iptables-legacy"),
        (firewall.ip6tables_legacy, "ip6", "ip6tables-legacy"),
    ]
    if firewall.nft is None:
        saves += [(firewall.iptables, "ip", "iptables"), (firewall.ip6tables, "ip6", "ip6tables")]
    try:
        tables, chains = _nft(firewall.nft, view) if firewall.nft is not None else ({}, [])
        for text, family, program in saves:
            if text:
                chains += xtables.base_chains(text, family, program)
    except NotUnderstoodError as error:
        return Ruleset(defect=str(error))
    except RecursionError:
        return Ruleset(defect="what nft printed is nested too deeply")
    hooks = _hooks(chains)
    return Ruleset(tables, hooks) if hooks else None


def _nft(text: str, view: NetNsView) -> tuple[dict[tuple[str, str], Table], list[Chain]]:
    if not text.strip():
        return {}, []
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotUnderstoodError(f"what nft printed is not JSON: {str(error)[:80]}") from None
    items = document.get("nftables") if isinstance(document, dict) else None
    if not isinstance(items, list):
        raise NotUnderstoodError("what nft printed holds no list 'nftables'")
    listing = _Listing({link.index: link.name for link in view.netns.links})
    for item in items:
        listing.add(item)
    return listing.tables()


class _Listing:
    """The objects of one listing, sorted by kind and table."""

    def __init__(self, devices: Mapping[int, str]) -> None:
        self.devices = devices
        self.flags: dict[tuple[str, str], str] = {}
        self.sets: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.chains: list[dict[str, Any]] = []
        self.rules: dict[tuple[str, str, str], list[dict[str, Any]]] = {}

    def add(self, item: Any) -> None:
        kind, content = single(item)
        if kind not in ("table", "chain", "rule", "set", "map"):
            return
        family, table = text_of(content, "family"), text_of(content, "name" if kind == "table" else "table")
        if family not in FAMILIES:
            raise NotUnderstoodError(f"table family {family[:60]!r}")
        if kind == "table":
            self.flags[family, table] = str(content.get("flags", ""))
        elif (family, table) not in self.flags:
            raise NotUnderstoodError(f"{kind} of table {table[:60]!r}, which was not listed")
        elif kind == "chain":
            text_of(content, "name")
            self.chains.append(content)
        elif kind == "rule":
            self.rules.setdefault((family, table, text_of(content, "chain")), []).append(content)
        else:
            text_of(content, "name")
            self.sets.setdefault((family, table), []).append(content)

    def tables(self) -> tuple[dict[tuple[str, str], Table], list[Chain]]:
        """Tables, and their base chains in the order of listing; dormant tables have none."""
        scopes = {key: self._scope(key) for key in self.flags}
        members_of: dict[tuple[str, str], dict[str, Chain]] = {key: {} for key in self.flags}
        base: list[Chain] = []
        for raw in self.chains:
            key = raw["family"], raw["table"]
            chain = self._chain(raw, scopes[key])
            members_of[key][chain.name] = chain
            if chain.hook is not None and "dormant" not in self.flags[key]:
                base.append(chain)
        for family, table, name in self.rules:
            if name not in members_of[family, table]:
                raise NotUnderstoodError(f"rule of chain {name[:60]!r}, which was not listed")
        return {key: Table(*key, found) for key, found in members_of.items()}, base

    def _scope(self, key: tuple[str, str]) -> Scope:
        bare = Scope({}, self.devices)
        return Scope({raw["name"]: _named_set(raw, bare) for raw in self.sets.get(key, ())}, self.devices)

    def _chain(self, raw: dict[str, Any], scope: Scope) -> Chain:
        family, table, name = raw["family"], raw["table"], raw["name"]
        rules = [_rule(rule, scope, family) for rule in self.rules.get((family, table, name), ())]
        flags = self.flags[family, table]
        if flags and not any(known in flags for known in ("dormant", "owner", "persist")) and "hook" in raw:
            rules.insert(0, Rule(None, (Opaque("the flags of the table are not understood"),), f"flags {flags}"))
        if "hook" not in raw:
            return Chain(family, table, name, tuple(rules))
        hook, kind, policy = raw.get("hook"), raw.get("type", "filter"), raw.get("policy", "accept")
        if hook not in HOOKS or kind not in ("filter", "nat", "route") or policy not in ("accept", "drop"):
            raise NotUnderstoodError(f"base chain {name[:60]!r}")
        devices = raw.get("dev", [])
        devices = [devices] if isinstance(devices, str) else devices
        if not isinstance(devices, list) or not all(isinstance(device, str) for device in devices):
            raise NotUnderstoodError(f"devices of chain {name[:60]!r}")
        return Chain(
            family, table, name, tuple(rules), hook, kind, _priority(raw.get("prio", 0), family), policy, tuple(devices)
        )


def _priority(raw: Any, family: str) -> int:
    if isinstance(raw, int):
        return raw
    names = FAMILY_PRIORITIES.get(family, FAMILY_PRIORITIES[""])
    if isinstance(raw, str) and raw in names:
        return names[raw]
    raise NotUnderstoodError(f"chain priority {str(raw)[:60]!r}")


def _named_set(raw: Mapping[str, Any], scope: Scope) -> Elements:
    name = raw["name"]
    try:
        kinds = _set_kinds(raw.get("type"), scope)
        data = _map_type(raw["map"]) if "map" in raw else None
    except NotUnderstoodError as error:
        return Elements(name, defect=f"set {name}: {error} is not understood")
    return members(name, raw.get("elem", []), kinds, data, scope)


def _set_kinds(raw: Any, scope: Scope) -> tuple[str, ...]:
    if isinstance(raw, str):
        return (raw,)
    if isinstance(raw, list) and all(isinstance(kind, str) for kind in raw):
        return tuple(raw)
    if isinstance(raw, dict) and "typeof" in raw:
        return kinds_of(expression(raw["typeof"], scope))
    raise NotUnderstoodError(f"type {str(raw)[:60]!r}")


def _map_type(raw: Any) -> str:
    if isinstance(raw, list) and all(isinstance(kind, str) for kind in raw):
        return " . ".join(raw)
    if isinstance(raw, str):
        return raw
    raise NotUnderstoodError(f"map type {str(raw)[:60]!r}")


def _rule(raw: Mapping[str, Any], scope: Scope, family: str) -> Rule:
    handle, comment, parts = raw.get("handle"), raw.get("comment"), raw.get("expr", [])
    statements = (
        tuple(statement(part, scope, family) for part in parts)
        if isinstance(parts, list)
        else (Opaque("the rule is not a list of statements"),)
    )
    return Rule(
        handle if isinstance(handle, int) else None,
        statements,
        parts,
        comment if isinstance(comment, str) else None,
    )


def _hooks(chains: list[Chain]) -> dict[tuple[str, str], tuple[Chain, ...]]:
    found: dict[tuple[str, str], list[Chain]] = {}
    for chain in chains:
        for layer in _layers(chain):
            found.setdefault((layer, str(chain.hook)), []).append(chain)
    return {key: _ordered(key[1], on_hook) for key, on_hook in found.items()}


def _layers(chain: Chain) -> tuple[str, ...]:
    if chain.hook in ("ingress", "egress"):
        return ("netdev",)
    return ("ip", "ip6") if chain.family == "inet" else (chain.family,)


def _ordered(hook: str, chains: list[Chain]) -> tuple[Chain, ...]:
    """By priority; of equal ones the one registered last is called first (``nf_hook_entries_grow``).

    The nat chains are called together, at the place of the first that was registered (``nf_nat_register_fn``).
    """
    first_nat = next((index for index, chain in enumerate(chains) if chain.type == "nat"), 0)

    def place(entry: tuple[int, Chain]) -> tuple[int, int, int, int]:
        index, chain = entry
        if chain.type == "nat" and hook in NAT_POSITIONS:
            return NAT_POSITIONS[hook], -first_nat, chain.priority, -index
        return chain.priority, -index, 0, 0

    return tuple(chain for _, chain in sorted(enumerate(chains), key=place))
