"""Netfilter: what the packet meets between the routes. Pure, from records to records.

    rules = ruleset(view)                                    # read once per namespace
    answer = run_hook(view, "forward", packet, HookContext(iif=…, oif=…))

Evaluated: nftables of families ip, ip6, inet, bridge, netdev. Rules of iptables are known by their place
alone and answer ``unknown`` when a packet reaches them.
"""

from __future__ import annotations

from netfs.datapath.netfilter.answer import HookAnswer, HookContext, Nat, RuleRef
from netfs.datapath.netfilter.hook import chains_on, run_bridge_hook, run_device_hook, run_hook
from netfs.datapath.netfilter.parse import ruleset
from netfs.datapath.netfilter.records import Ruleset

__all__ = [
    "HookAnswer",
    "HookContext",
    "Nat",
    "RuleRef",
    "Ruleset",
    "chains_on",
    "ruleset",
    "run_bridge_hook",
    "run_device_hook",
    "run_hook",
]
