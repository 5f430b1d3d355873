"""Chains of a device, where nft keeps to itself which device that is, and rules that ask for the Ethernet header."""

from __future__ import annotations

import json
from typing import Any

import pytest

from netfs.cluster.netns import NetNsView
from netfs.datapath.frame import Frame
from netfs.datapath.netfilter import HookContext, run_device_hook
from netfs.model.link import Link
from netfs.model.packet import Packet
from netfs.model.snapshot import Firewall, NetNs, NodeSnapshot

ETH0, ETH1 = Link(2, "eth0"), Link(3, "eth1")
PACKET = Packet("10.0.0.1", "10.0.0.2", "udp", 1000, 80)


def verdict(link: Link, told: str | None = None, **chain: Any) -> str:
    """Of a packet that comes in by a device, where one chain of an unnamed or named device drops everything."""
    base = {"family": "netdev", "table": "n", "name": "in", "handle": 1, "type": "filter", "hook": "ingress", "prio": 0}
    drop = {"family": "netdev", "table": "n", "chain": "in", "handle": 2, "expr": [{"drop": None}]}
    table = {"family": "netdev", "name": "n", "handle": 1}
    items = [{"table": table}, {"chain": base | {"policy": "accept"} | chain}, {"rule": drop}]
    firewall = Firewall(nft=json.dumps({"nftables": items}), nft_devices=told)
    netns = NetNs(1, "n1", links=(ETH0, ETH1), firewall=firewall)
    view = NetNsView(NodeSnapshot("n1", "kernel", 1, (netns,)), netns, None)
    return run_device_hook(view, "ingress", PACKET, HookContext(iif=link)).verdict


def test_a_chain_is_asked_on_its_device_alone() -> None:
    assert verdict(ETH0, dev="eth0") == "drop"
    assert verdict(ETH1, dev="eth0") == "accept"


def test_a_chain_of_a_device_that_nft_does_not_name_is_in_doubt() -> None:
    """nft 1.0.6 leaves it out of its JSON."""
    assert verdict(ETH0) == "unknown"
    assert verdict(ETH1) == "unknown"


@pytest.mark.parametrize("devices", ['device "eth0"', "device eth0", "devices = { lo, eth0 }", 'devices = { "eth0" }'])
def test_its_device_is_read_from_the_text(devices: str) -> None:
    chain = "\tchain in {{\n\t\ttype filter hook ingress {} priority filter; policy accept;\n\t}}\n"
    tables = ("netdev n", "\tchain other {\n\t}\n" + chain.format(devices)), ("inet n", chain.format('device "lo"'))
    told = "".join(f"table {name} {{\n{chains}}}\n" for name, chains in tables)
    assert verdict(ETH0, told) == "drop"
    assert verdict(ETH1, told) == "accept"


def test_rules_see_the_ethernet_header_and_may_change_it() -> None:
    frame = Frame(PACKET, "02:00:00:00:00:01", "02:00:00:00:00:02")
    seen = frame.visible()
    assert (seen.src_mac, seen.dst_mac) == ("02:00:00:00:00:01", "02:00:00:00:00:02")
    after = frame.after(seen)
    assert (after.packet, after.src_mac, after.dst_mac) == (PACKET, frame.src_mac, frame.dst_mac)
    assert Frame(PACKET).visible() is PACKET
