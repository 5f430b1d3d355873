"""Rules that ask for a socket's owner, met by a tunnel's packet around one that is passed on: no socket made it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

import netfs
import netfs.lab
from netfs.lab import probe
from netfs.lab.state import LabState

pytestmark = pytest.mark.kernel

CASES = {
    "an owner of iptables": ("iptables -I OUTPUT 1 -m owner --uid-owner 0 -j DROP", True),
    "anybody else of iptables": ("iptables -I OUTPUT 1 -m owner ! --uid-owner 0 -j DROP", False),
    "an owner of nft": ("nft add rule ip t o meta skuid '>= 0' drop", True),
    "anybody else of nft": ("nft add rule ip t o meta skuid != 5 drop", True),
}
CHAIN = "nft add table ip t; nft add chain ip t o '{ type filter hook output priority 0; }'"
CLEAN = "nft delete table ip t; iptables -F OUTPUT"


@pytest.fixture(scope="module")
def lab(require_program: Callable[[str], str]) -> Iterator[LabState]:
    """Two nodes with a tunnel between them."""
    require_program("nft")
    require_program("iptables")
    name = f"owners-{os.getpid()}"
    yield netfs.lab.up(name, pods=1)
    netfs.lab.down(name)


@pytest.mark.parametrize("which", sorted(CASES))
def test_what_is_passed_on_through_a_tunnel_has_no_owner(which: str, lab: LabState) -> None:
    """iptables' negated match holds without a socket, nft's does not."""
    rule, arrives = CASES[which]
    assert netfs.lab.execute(lab.name, "node1", ["sh", "-ec", f"{CHAIN}; {rule}"]) == 0
    try:
        answer = netfs.load(f"lab:{lab.name}").trace("pod-a", "pod-b")
        assert probe.answered(lab, "pod-a", lab.member("pod-b").ip or "") is arrives
        assert answer.verdict == ("delivered" if arrives else "dropped")
    finally:
        netfs.lab.execute(lab.name, "node1", ["sh", "-c", CLEAN])
