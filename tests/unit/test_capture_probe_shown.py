"""A packet in one line; and that scapy, which reads it, does nothing else."""

from __future__ import annotations

import subprocess
import sys

from netfs.capture.probe import shown
from tests.unit.probe_frames import NODE1, NODE2, ether, ip, kit, marker, probe, vxlan


def told(frame: bytes, *, ethernet: bool = True) -> str:
    return shown.line(frame, len(frame), ethernet=ethernet)


def test_a_packet_in_a_tunnel_is_told_with_its_tunnel() -> None:
    frame = bytes(ether(vxlan(ether(probe(marker("icmp"))), vni=77)))
    assert told(frame).endswith(f"in vxlan vni 77 {NODE1} > {NODE2}")


def test_the_innermost_tunnel_comes_first() -> None:
    inner = ether(vxlan(ether(probe(marker("icmp")))))
    line = told(bytes(vxlan(inner, vni=2, src="fd00::1", dst="fd00::2")), ethernet=False)
    assert line.endswith(f"{NODE1} > {NODE2}, in vxlan vni 2 fd00::1 > fd00::2")


def test_gre_and_ipip_are_named() -> None:
    packet = bytes(probe(marker("icmp")))
    gre = ip(NODE1, NODE2, proto=47, flags="DF") / kit().GRE(key_present=1, key=5, proto=0x800) / packet
    assert "gre" in told(bytes(gre), ethernet=False)
    assert "ipip" in told(bytes(ip(NODE1, NODE2, proto=4) / packet), ethernet=False)


def test_what_is_no_ip_is_told_by_its_length() -> None:
    assert told(b"\xff" * 60).endswith("60 bytes")


IMPORTED = """
import logging
from netfs.capture.probe.layers import layers
layers()
from scapy.config import conf
assert conf.route.routes == [] and conf.route6.routes == []
assert conf.route_autoload and conf.route6_autoload
assert not logging.getLogger("scapy.runtime").disabled
"""


def test_scapy_reads_no_routes_and_says_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
