"""A connection that is in the kernel's table keeps its translation: the trace and the kernel say so alike."""

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

SERVICE, OLD, NEW = "10.96.7.2", "10.244.1.3", "10.244.1.4"
"""The Service's first backend is pod-b, its second pod-c."""
KNOWN, FRESH = 45001, 45002


def run(lab: LabState, member: str, command: str) -> None:
    assert netfs.lab.execute(lab.name, member, ["sh", "-c", command]) == 0, command


def serve(lab: LabState, backend: str) -> None:
    """The Service's one rule."""
    chain = (
        f"chain pre {{ type nat hook prerouting priority dstnat; ip daddr {SERVICE} udp dport 80 dnat to {backend}\n}}"
    )
    run(lab, "node1", f"nft 'table ip service {{ {chain}\n}}'")


def answered(lab: LabState, sport: int) -> bool:
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

    return inside.capture(lab, lab.member("pod-a"), work) == SERVICE


def traced(lab: LabState, sport: int) -> Trace:
    return netfs.load(f"lab:{lab.name}").trace("pod-a", SERVICE, proto="udp", port=80, sport=sport)


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
