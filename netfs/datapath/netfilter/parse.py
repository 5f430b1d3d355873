"""From the texts of a namespace's firewall to one ``Ruleset``, with the kernel's order of chains on each hook.

A table that iptables-nft owns stands in two texts. It is read from iptables-save, since nft hides the arguments of
its extensions; where that text is missing, what nft tells of it stays.

Nothing here raises: a text that cannot be read gives a rule set with a defect, a rule that is not
understood stays where it is as an opaque one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from netfs.cluster.netns import NetNsView
from netfs.datapath.netfilter import iptables
from netfs.datapath.netfilter.chain_devices import chain_devices
from netfs.datapath.netfilter.datatypes import NotUnderstoodError
from netfs.datapath.netfilter.listing import listing
from netfs.datapath.netfilter.records import Chain, Ruleset, Table
from netfs.model.snapshot import Firewall

NAT_POSITIONS = {"prerouting": -100, "output": -100, "input": 100, "postrouting": 100}
"""The one place per hook where every nat chain is called, whatever its own priority (``nf_nat_register_fn``)."""

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
    devices = {link.index: link.name for link in view.netns.links}
    asked = iptables.IpSets(firewall.ipset), iptables.RecentLists(firewall.recent)
    try:
        owned = _saved(((firewall.iptables, 4, "iptables"), (firewall.ip6tables, 6, "ip6tables")), *asked)
        tables, chains = _joined(firewall, devices, owned)
        legacy = _saved(
            (
                (firewall.iptables_legacy, 4, "iptables-legacy"),
                (firewall.ip6tables_legacy, 6, "ip6tables-legacy"),
            ),
            *asked,
        )
        chains += [chain for table in legacy.values() for chain in _decisive(table)]
    except NotUnderstoodError as error:
        return Ruleset(defect=str(error))
    except RecursionError:
        return Ruleset(defect="what nft printed is nested too deeply")
    hooks = _hooks(chains)
    return Ruleset(tables, hooks, legacy=legacy) if hooks else None


def _saved(
    texts: Iterable[tuple[str | None, int, str]], sets: iptables.IpSets, recent: iptables.RecentLists
) -> dict[tuple[str, str], Table]:
    """The tables of several save files, by (family, name). Raises NotUnderstoodError."""
    found: dict[tuple[str, str], Table] = {}
    for text, family, program in texts:
        for table in iptables.tables(text, family, program, sets, recent).values() if text else ():
            found[table.family, table.name] = table
    return found


def _joined(
    firewall: Firewall, devices: Mapping[int, str], owned: Mapping[tuple[str, str], Table]
) -> tuple[dict[tuple[str, str], Table], list[Chain]]:
    """What nft and iptables-nft hold together. Raises NotUnderstoodError."""
    told = chain_devices(firewall.nft_devices or "")
    tables, chains = listing(firewall.nft, devices, owned, told) if firewall.nft is not None else ({}, [])
    for key, table in owned.items():
        if key not in tables:
            chains += _decisive(table)
            tables[key] = table
    return tables, chains


def _decisive(table: Table) -> list[Chain]:
    """The built-in chains in which a packet can meet something."""
    return [chain for chain in iptables.base_chains(table) if chain.rules or chain.policy != "accept"]


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
