"""From the JSON of ``nft -j list ruleset`` to tables and chains (libnftables-json(5)).

What frames the rules must be readable, else the listing is no rule set (NotUnderstoodError); a rule, a statement or a
set that is not understood stays where it is, with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netfs.datapath.netfilter.datatypes import NotUnderstoodError
from netfs.datapath.netfilter.document import objects
from netfs.datapath.netfilter.expressions import expression, kinds_of
from netfs.datapath.netfilter.index import Rules
from netfs.datapath.netfilter.patterns import members
from netfs.datapath.netfilter.records import Chain, Chance, Elements, Opaque, Rule, Statement, Table, Verdict
from netfs.datapath.netfilter.scope import Quota, Scope, number_of, text_of
from netfs.datapath.netfilter.statements import statements

FAMILIES = ("ip", "ip6", "inet", "arp", "bridge", "netdev")

HOOKS = ("ingress", "prerouting", "input", "forward", "output", "postrouting", "egress")

HARMLESS = frozenset(("counter", "last"))
"""Statements of a set's elements that neither let a packet through nor stop it."""

FAMILY_PRIORITIES = {
    "bridge": {"dstnat": -300, "filter": -200, "out": 100, "srcnat": 300},
    "": {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100},
}


def listing(
    text: str,
    devices: Mapping[int, str],
    owned: Mapping[tuple[str, str], Table] | None = None,
    of_chains: Mapping[tuple[str, str, str], list[str]] | None = None,
) -> tuple[dict[tuple[str, str], Table], list[Chain]]:
    """Tables by (family, name), and the base chains in the order of listing. Raises NotUnderstoodError.

    ``devices``: the names of devices by index, since nft prints indexes where a device is gone. ``owned``: tables that
    were read from iptables-save, and whose chains stand in for those of the listing. ``of_chains``: devices of chains
    (family, table, name) whose device the listing does not name.
    """
    if not text.strip():
        return {}, []
    found = _Listing(devices, owned or {}, of_chains or {})
    for kind, content in objects(text, found.owned):
        found.add(kind, content)
    return found.tables()


class _Listing:
    """The objects of one listing, sorted by kind and table."""

    def __init__(
        self,
        devices: Mapping[int, str],
        owned: Mapping[tuple[str, str], Table],
        of_chains: Mapping[tuple[str, str, str], list[str]],
    ) -> None:
        self.devices = devices
        self.owned = owned
        self.of_chains = of_chains
        self.flags: dict[tuple[str, str], str] = {}
        self.sets: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.chains: list[dict[str, Any]] = []
        self.rules: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
        self.quotas: dict[tuple[str, str], dict[str, Quota]] = {}
        self.counters: dict[tuple[str, str, str], tuple[int, int] | None] = {}

    def add(self, kind: str, content: Any) -> None:
        if kind not in ("table", "chain", "rule", "set", "map", "counter", "quota"):
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
        elif kind == "counter":
            self.counters[family, table, text_of(content, "name")] = _counted(content)
        elif kind == "quota":
            self.quotas.setdefault((family, table), {})[text_of(content, "name")] = _quota(content)
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
            saved = self.owned[key].chains if key in self.owned else {}
            if raw["name"] in saved and "hook" not in raw:
                continue
            chain = saved[raw["name"]] if raw["name"] in saved else self._chain(raw, scopes[key])
            members_of[key][chain.name] = chain
            if chain.hook is not None and "dormant" not in self.flags[key]:
                base.append(chain)
        listed = {(raw["family"], raw["table"], raw["name"]) for raw in self.chains}
        for key_of_rules in self.rules:
            if key_of_rules not in listed:
                raise NotUnderstoodError(f"rule of chain {key_of_rules[2][:60]!r}, which was not listed")
        return {key: self.owned.get(key) or Table(*key, found) for key, found in members_of.items()}, base

    def _scope(self, key: tuple[str, str]) -> Scope:
        bare = Scope({}, self.devices, key[0])
        sets = {raw["name"]: _named_set(raw, bare) for raw in self.sets.get(key, ())}
        return Scope(sets, self.devices, key[0], self.quotas.get(key, {}))

    def _chain(self, raw: dict[str, Any], scope: Scope) -> Chain:
        family, table, name = raw["family"], raw["table"], raw["name"]
        rules: Sequence[Rule] = Rules(self.rules.get((family, table, name), ()), lambda rule: self._rule(rule, scope))
        flags = self.flags[family, table]
        if flags and not any(known in flags for known in ("dormant", "owner", "persist")) and "hook" in raw:
            rules = (Rule(None, (Opaque("the flags of the table are not understood"),), f"flags {flags}"), *rules)
        if "hook" not in raw:
            return Chain(family, table, name, rules)
        hook, kind, policy = raw.get("hook"), raw.get("type", "filter"), raw.get("policy", "accept")
        if hook not in HOOKS or kind not in ("filter", "nat", "route") or policy not in ("accept", "drop"):
            raise NotUnderstoodError(f"base chain {name[:60]!r}")
        devices = raw.get("dev", self.of_chains.get((family, table, name), []))
        devices = [devices] if isinstance(devices, str) else devices
        if not isinstance(devices, list) or not all(isinstance(device, str) for device in devices):
            raise NotUnderstoodError(f"devices of chain {name[:60]!r}")
        if hook in ("ingress", "egress") and not devices:
            elsewhere = Chance("nft does not print of which device the chain is"), Verdict("accept")
            rules = (Rule(None, elsewhere, f"chain {name} of a device"), *rules)
        return Chain(
            family, table, name, rules, hook, kind, _priority(raw.get("prio", 0), family), policy, tuple(devices)
        )

    def _rule(self, raw: dict[str, Any], scope: Scope) -> Rule:
        handle, comment, parts = raw.get("handle"), raw.get("comment"), raw.get("expr", [])
        if not isinstance(parts, list):
            found: tuple[Statement, ...] = (Opaque("the rule is not a list of statements"),)
        else:
            found = tuple(record for part in parts for record in statements(part, scope))
        return Rule(
            handle if isinstance(handle, int) else None,
            found,
            parts,
            comment if isinstance(comment, str) else None,
            self._counters(raw, parts),
        )

    def _counters(self, raw: Mapping[str, Any], parts: Any) -> tuple[int, int] | None:
        """What the rule's own counter, or the named one it uses, has counted."""
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict) and "counter" in part:
                counter = part["counter"]
                if isinstance(counter, str):
                    return self.counters.get((raw["family"], raw["table"], counter))
                return _counted(counter)
        return None


def _counted(raw: Any) -> tuple[int, int] | None:
    packets, octets = (raw.get("packets"), raw.get("bytes")) if isinstance(raw, dict) else (None, None)
    return (packets, octets) if isinstance(packets, int) and isinstance(octets, int) else None


def _quota(raw: Any) -> Quota:
    return Quota(number_of(raw, "bytes"), number_of(raw, "used", 0), raw.get("inv") is True)


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
        data = _map_type(raw["map"], scope) if "map" in raw else None
    except NotUnderstoodError as error:
        return Elements(name, defect=f"set {name}: {error} is not understood")
    if any(not isinstance(part, dict) or part.keys() - HARMLESS for part in _list(raw.get("stmt", []))):
        return Elements(name, defect=f"set {name}: a condition on its elements depends on the traffic before")
    return members(name, raw.get("elem", []), kinds, data, scope)


def _list(raw: Any) -> list[Any]:
    return raw if isinstance(raw, list) else [raw]


def _set_kinds(raw: Any, scope: Scope) -> tuple[str, ...]:
    if isinstance(raw, str):
        return (raw,)
    if isinstance(raw, list) and all(isinstance(kind, str) for kind in raw):
        return tuple(raw)
    if isinstance(raw, dict) and "typeof" in raw:
        return kinds_of(expression(raw["typeof"], scope))
    raise NotUnderstoodError(f"type {str(raw)[:60]!r}")


def _map_type(raw: Any, scope: Scope) -> str:
    if isinstance(raw, dict) and "typeof" in raw:
        return " . ".join(kinds_of(expression(raw["typeof"], scope)))
    if isinstance(raw, list) and all(isinstance(kind, str) for kind in raw):
        return " . ".join(raw)
    if isinstance(raw, str):
        return raw
    raise NotUnderstoodError(f"map type {str(raw)[:60]!r}")
