"""A packet whose mark the OUTPUT hook changes is routed again, and does not meet the hook again."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

import netfs
import netfs.lab
from netfs.lab import probe

pytestmark = pytest.mark.kernel

RULES = (
    "nft add table ip t; "
    "nft add chain ip t o '{ type route hook output priority mangle; }'; "
    "nft add rule ip t o meta mark set meta mark '^' 1"
)


def test_a_mark_that_turns_at_every_pass_turns_once(require_program: Callable[[str], str]) -> None:
    """``ip_route_me_harder`` asks the tables, not the rules."""
    require_program("nft")
    name = f"reroute-{os.getpid()}"
    lab = netfs.lab.up(name, nodes=1)
    try:
        assert netfs.lab.execute(name, "pod-a", ["sh", "-c", RULES]) == 0
        target = lab.member("pod-b").ip or ""
        assert probe.answered(lab, "pod-a", target)
        trace = netfs.load(f"lab:{name}").trace("pod-a", "pod-b")
        assert trace.verdict == "delivered"
        met = [hop for hop in trace.forward.hops if hop.netns == "pod-a" and hop.stage == "netfilter"]
        assert len(met) == 1
    finally:
        netfs.lab.down(name)


ROUTING = "nft add chain ip t r '{ type route hook output priority mangle; }'"
LATER = "nft add chain ip t l '{ type route hook output priority 10; }'"
FILTER = "nft add chain ip t f '{ type filter hook output priority 20; }'"
SWALLOWED = "ip rule add fwmark 7 blackhole"
WAYS = {
    "a mark that leads nowhere": (f"{ROUTING}; nft add rule ip t r meta mark set 7", False),
    "one that a later chain takes back": (
        f"{ROUTING}; {LATER}; nft add rule ip t r meta mark set 7; nft add rule ip t l meta mark set 0",
        False,
    ),
    "one that a filter chain sets": (f"{ROUTING}; {FILTER}; nft add rule ip t f meta mark set 7", True),
    "one that a filter chain sets behind another": (
        f"{ROUTING}; {FILTER}; nft add rule ip t r meta mark set 8; nft add rule ip t f meta mark set 7",
        True,
    ),
}


@pytest.mark.parametrize("which", sorted(WAYS))
def test_a_packet_is_routed_again_behind_the_chain_that_marks_it(
    which: str, require_program: Callable[[str], str]
) -> None:
    """Where there is no way at that moment, the packet is lost, whatever later chains make of it."""
    require_program("nft")
    rules, arrives = WAYS[which]
    name = f"routed-{os.getpid()}"
    lab = netfs.lab.up(name, nodes=1)
    try:
        assert netfs.lab.execute(name, "pod-a", ["sh", "-ec", f"nft add table ip t; {rules}; {SWALLOWED}"]) == 0
        trace = netfs.load(f"lab:{name}").trace("pod-a", "pod-b")
        assert probe.answered(lab, "pod-a", lab.member("pod-b").ip or "") is arrives
        assert trace.forward.verdict == ("delivered" if arrives else "dropped")
    finally:
        netfs.lab.down(name)
