"""Netfilter: what the packet meets between the routes. Pure, from records to records.

    rules = ruleset(view)                                    # read once per namespace
    answer = run_hook(view, "forward", packet, HookContext(iif=…, oif=…))

Evaluated: nftables of families ip, ip6, inet, arp, bridge, netdev. Rules of iptables are known by their place
alone and answer ``unknown`` when a packet reaches them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from netfs.datapath.netfilter.answer import HookAnswer, HookContext, Nat, RuleRef
from netfs.datapath.netfilter.hook import chains_on, run_arp_hook, run_bridge_hook, run_device_hook, run_hook

if TYPE_CHECKING:
    from netfs.datapath.netfilter.parse import ruleset as ruleset
    from netfs.datapath.netfilter.records import Ruleset as Ruleset

__all__ = [
    "HookAnswer",
    "HookContext",
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
