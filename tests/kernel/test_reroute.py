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
