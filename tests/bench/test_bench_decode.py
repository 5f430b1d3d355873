"""The bars of ``netfs decode``: on a VXLAN capture of 200,000 packets (117 MB) 20 times as many packets a second as
``tshark -T fields`` with the same fields, 10 times those of dpkt, 200 times those of ``scapy.PcapReader``; and memory
that does not grow with the file.

netfs, tshark and dpkt are whole processes, start-up included, in turn, the best of several. scapy's start-up is left
out, and it reads a part of the capture only: its time is that of its loop.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.captures import vxlan_capture

pytestmark = pytest.mark.bench

PACKETS = 200_000
OF_SCAPY = 5_000
ROUNDS = 5
FEW_ROUNDS = 2
NOISE = 0.85
"""Of a bar: what is demanded where other work shares the machine. The figure that is printed tells the rest."""
NETFS = [sys.executable, "-c", "from netfs_cli.main import main; raise SystemExit(main())", "decode", "-o", "json"]
FIELDS = (
    *("frame.time_epoch", "frame.len", "frame.interface_id", "vlan.id"),
    *("ip.src", "ip.dst", "ip.proto", "ip.len", "ip.ttl", "ip.flags.mf", "ip.frag_offset", "ipv6.src", "ipv6.dst"),
    *("udp.srcport", "udp.dstport", "vxlan.vni", "tcp.srcport", "tcp.dstport", "tcp.flags"),
    *("tcp.analysis.retransmission", "tcp.analysis.lost_segment", "icmp.type", "icmp.code", "icmp.mtu"),
)
"""What the flows of ``netfs decode`` are made of."""
DPKT = """
import socket, sys
import dpkt
flows = {}
with open(sys.argv[1], "rb") as file:
    for at, data in dpkt.pcap.Reader(file):
        outer = dpkt.ethernet.Ethernet(data).data
        udp = outer.data
        if udp.dport in (4789, 8472) and udp.data[0] & 8:
            vni = int.from_bytes(udp.data[4:7], "big")
            inner = dpkt.ethernet.Ethernet(udp.data[8:]).data
            upper = inner.data
            ports = (upper.sport, upper.dport) if inner.p in (6, 17) else (None, None)
            flags = upper.flags if inner.p == 6 else 0
            key = (outer.src, outer.dst, vni, inner.src, inner.dst, inner.p, *ports)
            flow = flows.setdefault(key, [0, 0, at, at, 0, 0])
            flow[0] += 1
            flow[1] += len(data)
            flow[3] = at
            flow[4] += flags >> 2 & 1
            flow[5] = max(flow[5], outer.len)
for key, flow in flows.items():
    print(*(socket.inet_ntoa(part) if isinstance(part, bytes) else part for part in key), *flow)
"""
SCAPY = """
import sys, time
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import bind_layers
from scapy.utils import PcapReader
bind_layers(UDP, VXLAN, dport=8472)
flows = {}
begin = time.perf_counter()
with PcapReader(sys.argv[1]) as packets:
    for count, packet in enumerate(packets, 1):
        inner = packet[VXLAN][IP]
        upper = inner.payload
        ports = (upper.sport, upper.dport) if isinstance(upper, (TCP, UDP)) else (None, None)
        key = (packet[IP].src, packet[IP].dst, packet[VXLAN].vni, inner.src, inner.dst, inner.proto, *ports)
        flow = flows.setdefault(key, [0, 0])
        flow[0] += 1
        flow[1] += len(packet)
        if count == int(sys.argv[2]):
            break
print(time.perf_counter() - begin)
"""
MEMORY = """
import sys
from netfs_cli.main import main
main()
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(peak, file=sys.stderr)
"""


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("decode") / "vxlan.pcap"
    vxlan_capture(path, PACKETS)
    return path


def seconds(command: list[str], output: Path, environment: dict[str, str]) -> float:
    with output.open("wb") as file:
        begin = time.perf_counter()
        subprocess.run(command, check=True, stdout=file, stderr=subprocess.DEVNULL, env=environment)
        return time.perf_counter() - begin


def test_bench_decode_against_tshark_dpkt_and_scapy(
    capture: Path, tmp_path: Path, environment: dict[str, str], require_program: Callable[[str], str]
) -> None:
    tshark = [require_program("tshark"), "-n", "-r", str(capture), "-d", "udp.port==8472,vxlan", "-T", "fields"]
    tshark += [part for name in FIELDS for part in ("-e", name)]
    commands = {
        "netfs": ([*NETFS, str(capture)], ROUNDS),
        "tshark": (tshark, FEW_ROUNDS),
        "dpkt": ([sys.executable, "-c", DPKT, str(capture)], FEW_ROUNDS),
    }
    best = dict.fromkeys(commands, float("inf"))
    for number in range(ROUNDS):
        for name, (command, rounds) in commands.items():
            if number < rounds:
                best[name] = min(best[name], seconds(command, tmp_path / name, environment))
    scapy = [sys.executable, "-c", SCAPY, str(capture), str(OF_SCAPY)]
    loop = float(subprocess.run(scapy, check=True, capture_output=True, text=True).stdout)
    best["scapy"] = loop * PACKETS / OF_SCAPY
    flows = json.loads((tmp_path / "netfs").read_text())["flows"]
    assert sum(flow["packets"] for flow in flows) == PACKETS
    assert len((tmp_path / "tshark").read_text().splitlines()) == PACKETS
    counted = [line.split() for line in (tmp_path / "dpkt").read_text().splitlines()]
    assert sorted(int(words[8]) for words in counted) == sorted(flow["packets"] for flow in flows)
    ratios = {name: best[name] / best["netfs"] for name in ("tshark", "dpkt", "scapy")}
    print(
        f"\ndecode of {PACKETS:,} packets in VXLAN: netfs {best['netfs']:.2f} s, {PACKETS / best['netfs']:,.0f}/s; "
        + ", ".join(f"{ratio:.0f} times {name} ({best[name]:.1f} s)" for name, ratio in ratios.items())
    )
    for name, bar in (("tshark", 20), ("dpkt", 10), ("scapy", 200)):
        assert ratios[name] >= bar * NOISE, name


def test_bench_decode_memory_is_flat(tmp_path: Path) -> None:
    """The peak of a whole process, for 30 MB and for 300 MB."""
    peaks = []
    for size in (30, 300):
        path = tmp_path / f"{size}.pcap"
        vxlan_capture(path, PACKETS * size // 117)
        command = [sys.executable, "-c", MEMORY, "decode", "-o", "json", str(path)]
        done = subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        peaks.append(int(done.stderr.split()[-1]) / 1024)
        path.unlink()
    print(f"\ndecode, peak memory: {peaks[0]:.0f} MB for a file of 30 MB, {peaks[1]:.0f} MB for one of 300 MB")
    assert peaks[1] < 200
    assert peaks[1] - peaks[0] < 30, "a tenth of what the file grew by"
