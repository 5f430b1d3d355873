"""Netfilter: what the packet meets between the routes. Pure, from records to records.

    rules = ruleset(view)                                    # read once per namespace
    answer = run_hook(view, "forward", packet, HookContext(iif=…, oif=…))

Evaluated: nftables of families ip, ip6, inet, arp, bridge, netdev, and iptables and ip6tables, legacy and on top of
nftables. What is not understood answers ``unknown`` where a packet reaches it, and names the rule.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from netfs.datapath.netfilter.answer import BRANCHES, HookAnswer, HookContext, Met, Nat, RuleRef
from netfs.datapath.netfilter.hook import chains_on, run_arp_hook, run_bridge_hook, run_device_hook, run_hook

if TYPE_CHECKING:
    from netfs.datapath.netfilter.parse import ruleset as ruleset
    from netfs.datapath.netfilter.records import Ruleset as Ruleset

__all__ = [
    "BRANCHES",
    "HookAnswer",
    "HookContext",
    "Met",
    "Nat",
    "RuleRef",
    "Ruleset",
    "chains_on",
    "ruleset",
    "run_arp_hook",
    "run_bridge_hook",
    "run_device_hook",
    "run_hook",
]

_LATE = {"Ruleset": "records", "ruleset": "parse"}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
