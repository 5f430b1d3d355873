"""A connection in the kernel's table keeps its translation, or that it has none: trace and kernel say so alike."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

import pytest

import netfs
import netfs.lab
from netfs.lab import inside
from netfs.lab.state import LabState
from netfs.model.trace import Trace

pytestmark = pytest.mark.kernel

SERVICE, OLD, NEW = "10.112.7.2", "10.244.1.3", "10.244.1.4"
"""The Service's first backend is pod-b, its second pod-c; its address is none that the lab's own rules guard."""
HOOKS = ("prerouting", "output")
KNOWN, FRESH = 45001, 45002


def run(lab: LabState, member: str, command: str) -> None:
    assert netfs.lab.execute(lab.name, member, ["sh", "-c", command]) == 0, command


def serve(lab: LabState, backend: str) -> None:
    """The Service's one rule."""
    rule = f"ip daddr {SERVICE} udp dport 80 dnat to {backend}"
    chains = "".join(f"chain {hook} {{ type nat hook {hook} priority -100; {rule}\n}}\n" for hook in HOOKS)
    run(lab, "node1", f"nft 'table ip service {{ {chains}}}'")


def answered(lab: LabState, sport: int, client: str = "pod-a") -> bool:
    """Whether a datagram from that very port is answered."""

    def work() -> str:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.settimeout(0.7)
            sender.bind(("0.0.0.0", sport))
            sender.sendto(b"there?", (SERVICE, 80))
            try:
                return str(sender.recvfrom(2048)[1][0])
            except OSError:
                return ""

    return inside.capture(lab, lab.member(client), work) == SERVICE


def traced(lab: LabState, sport: int, client: str = "pod-a") -> Trace:
    return netfs.load(f"lab:{lab.name}").trace(client, SERVICE, proto="udp", port=80, sport=sport)


def test_a_stale_entry_sends_to_the_backend_that_is_gone(require_program: Callable[[str], str]) -> None:
    require_program("nft")
    name = f"entries-{os.getpid()}"
    lab = netfs.lab.up(name, nodes=1, pods=3)
    try:
        serve(lab, OLD)
        assert answered(lab, KNOWN)
        run(lab, "node1", "nft delete table ip service")
        serve(lab, NEW)
        known, fresh = traced(lab, KNOWN), traced(lab, FRESH)
        assert (known.verdict, fresh.verdict) == ("delivered", "delivered")
        assert known.forward.reached is not None
        assert fresh.forward.reached is not None
        assert (known.forward.reached.name, fresh.forward.reached.name) == ("default/pod-b", "default/pod-c")

        run(lab, "pod-b", "ip link set eth0 down")
        assert (answered(lab, KNOWN), answered(lab, FRESH)) == (False, True)
        known, fresh = traced(lab, KNOWN), traced(lab, FRESH)
        assert (known.verdict, fresh.verdict) == ("dropped", "delivered")
    finally:
        netfs.lab.down(name)


@pytest.mark.parametrize("client", ["pod-a", "node1"])
def test_who_asked_before_the_rule_was_written_is_never_translated(
    client: str, require_program: Callable[[str], str]
) -> None:
    require_program("nft")
    name = f"early-{client}-{os.getpid()}"
    lab = netfs.lab.up(name, nodes=1, pods=3)
    try:
        chains = "".join(f"chain {hook} {{ type filter hook {hook} priority 0; ct state new\n}}\n" for hook in HOOKS)
        run(lab, "node1", f"nft 'table ip watch {{ {chains}}}'")
        assert not answered(lab, KNOWN, client)
        serve(lab, OLD)
        assert (answered(lab, KNOWN, client), answered(lab, FRESH, client)) == (False, True)
        known, fresh = traced(lab, KNOWN, client), traced(lab, FRESH, client)
        assert (known.verdict, fresh.verdict) == ("dropped", "delivered")
        assert any("holds" in hop.why and "no nat rule is asked" in hop.why for hop in known.forward.hops)
        assert {hop.packet.dst for hop in known.forward.hops} == {SERVICE}
    finally:
        netfs.lab.down(name)
