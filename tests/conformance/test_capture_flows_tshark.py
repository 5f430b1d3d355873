"""``netfs decode`` beside tshark: the same packets, bytes, resets, ICMP errors in the same flows.

Retransmissions are compared where the two mean the same. They differ in this:

- tshark calls a segment below the highest number a retransmission, out of order, fast or spurious retransmission, by
  its time (out of order within a round trip) and by what the other side has acknowledged. netfs asks whether its bytes
  had been seen: what fills a gap is late, not repeated, however late it is.
- tshark calls a repeated byte just below the highest number a keep-alive; netfs calls it a retransmission.
- tshark knows one sequence for each pair of addresses and ports in a file; netfs one for each tap and tunnel.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from netfs.capture.flows.decode import decode
from netfs.model.flows import Flow
from tests.captures import conversations, vxlan_capture, write_pcap

FIELDS = (
    "frame.len",
    "frame.protocols",
    "ip.src",
    "ip.dst",
    "ip.proto",
    "ipv6.src",
    "ipv6.dst",
    "udp.srcport",
    "udp.dstport",
    "tcp.srcport",
    "tcp.dstport",
    "vxlan.vni",
    "geneve.vni",
    "gre.key",
    "vlan.id",
    "tcp.flags.reset",
    "icmp.type",
    "icmpv6.type",
    "tcp.analysis.retransmission",
    "tcp.analysis.lost_segment",
    "arp.src.proto_ipv4",
    "arp.dst.proto_ipv4",
    "eth.src",
    "eth.dst",
    "eth.type",
)
Tuple = tuple[object, ...]


class Row:
    """What tshark says of one packet."""

    def __init__(self, line: str) -> None:
        values = line.rstrip("\n").split("\t")
        self.all = {name: value.split(",") if value else [] for name, value in zip(FIELDS, values, strict=True)}
        self.octets = int(self.all["frame.len"][0])
        self.tuple = self._tuple()

    def has(self, name: str) -> bool:
        return any(value not in {"", "0", "False"} for value in self.all[name])

    def _tuple(self) -> Tuple:
        """Walks along the protocols; each occurrence of a field is of the next header of its kind."""
        left = {name: list(values) for name, values in self.all.items()}
        tunnels: list[Tuple] = []
        vlans = tuple(int(value) for value in left["vlan.id"])
        addresses: Tuple = ()
        flow: Tuple = ()
        for name in self.all["frame.protocols"][0].split(":"):
            if name in {"ip", "ipv6"}:
                if flow and flow[2] in {"4", "41"}:
                    tunnels.append(("ipip", *addresses))
                addresses = left[f"{name}.src"].pop(0), left[f"{name}.dst"].pop(0)
                number = left["ip.proto"].pop(0) if name == "ip" else ""
                flow = (
                    *addresses,
                    {"1": "icmp", "6": "tcp", "17": "udp", "132": "sctp"}.get(number, number),
                    None,
                    None,
                )
            elif name in {"tcp", "udp"}:
                ports = (int(left[f"{name}.{side}port"].pop(0)) for side in ("src", "dst"))
                flow = (*addresses, name, *ports)
            elif name in {"vxlan", "geneve"}:
                tunnels.append((name, *addresses, int(left[f"{name}.vni"].pop(0), 0), flow[4]))
                flow = ()
            elif name == "gre":
                key = left["gre.key"].pop(0) if left["gre.key"] else None
                tunnels.append((name, *addresses, key and int(key, 0)))
                flow = ()
            elif name == "arp":
                flow = (left["arp.src.proto_ipv4"][0], left["arp.dst.proto_ipv4"][0], "arp", None, None)
            elif name == "eth":
                macs = left["eth.src"].pop(0), left["eth.dst"].pop(0)
                kind = left["eth.type"].pop(0) if left["eth.type"] else ""
                flow = (*macs, kind, None, None)
            elif name in {"icmp", "icmpv6"}:
                flow = (*addresses, name, None, None)
                break
        return (*flow, tuple(tunnels), vlans)


def of_tshark(tshark: str, path: Path) -> list[Row]:
    command = [tshark, "-n", "-r", str(path), "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=,"]
    command += ["-d", "udp.port==8472,vxlan", "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"]
    for name in FIELDS:
        command += ["-e", name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [Row(line) for line in done.stdout.splitlines()]


def tuple_of(flow: Flow) -> Tuple:
    tunnels: list[Tuple] = []
    for one in flow.tunnels:
        words: dict[str, Tuple] = {"ipip": (), "gre": (one.vni,)}
        tunnels.append((one.kind, one.src, one.dst, *words.get(one.kind, (one.vni, one.dport))))
    return (flow.src, flow.dst, flow.proto, flow.sport, flow.dport, tuple(tunnels), flow.vlans)


def count(rows: list[Row], *fields: str) -> Counter[Tuple]:
    return Counter(row.tuple for row in rows if any(row.has(name) for name in fields))


def of_netfs(flows: tuple[Flow, ...], field: str) -> Counter[Tuple]:
    counted: Counter[Tuple] = Counter()
    for flow in flows:
        if getattr(flow, field):
            counted[tuple_of(flow)] += getattr(flow, field)
    return counted


def compare(rows: list[Row], flows: tuple[Flow, ...]) -> None:
    assert of_netfs(flows, "packets") == Counter(row.tuple for row in rows)
    octets: Counter[Tuple] = Counter()
    for row in rows:
        octets[row.tuple] += row.octets
    assert of_netfs(flows, "bytes") == octets
    assert of_netfs(flows, "resets") == count(rows, "tcp.flags.reset")


@pytest.mark.parametrize(("port", "format"), [(8472, "pcap"), (4789, "pcapng")])
def test_vxlan_flow_by_flow(tmp_path: Path, require_program: Callable[[str], str], port: int, format: str) -> None:
    path = tmp_path / "a"
    vxlan_capture(path, 8000, flows=60, nodes=3, port=port, format=format)
    rows = of_tshark(require_program("tshark"), path)
    answer = decode(str(path))
    assert len(rows) == answer.packets == 8000
    compare(rows, answer.flows)
    assert len(answer.flows) == 60
    assert all(flow.tunnels[0].kind == "vxlan" for flow in answer.flows)


def mixed(random: Random) -> list[Any]:
    """Packets of all that both programs read alike."""
    from scapy.contrib.geneve import GENEVE
    from scapy.layers.inet import ICMP, IP, TCP, UDP
    from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6PacketTooBig, IPv6, IPv6ExtHdrDestOpt
    from scapy.layers.l2 import ARP, GRE, Dot1Q, Ether
    from scapy.layers.vxlan import VXLAN

    mac = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")

    def inner() -> Any:
        four = IP(src=f"10.1.0.{random.randrange(4)}", dst=f"10.2.0.{random.randrange(4)}")
        six = IPv6(src=f"fd00::{random.randrange(1, 4)}", dst=f"fd00::1:{random.randrange(1, 4)}")
        sport, dport = random.randrange(50000, 50003), random.choice((9000, 9001))
        flags = random.choice(("S", "SA", "R", "RA"))
        return random.choice(
            (
                four / TCP(sport=sport, dport=dport, flags=flags),
                six / TCP(sport=sport, dport=dport, flags=flags),
                four / UDP(sport=sport, dport=dport) / b"payload",
                six / IPv6ExtHdrDestOpt() / UDP(sport=sport, dport=dport) / b"payload",
                four / ICMP(type=random.choice((0, 8))),
                six / ICMPv6EchoRequest(),
                four / ICMP(type=3, code=random.choice((1, 3, 4))) / four / UDP(sport=sport, dport=dport),
                six / ICMPv6PacketTooBig(mtu=1400) / six / TCP(sport=sport, dport=dport),
            )
        )

    def outer(payload: Any) -> Any:
        node = IP(src=f"172.18.0.{random.randrange(2, 4)}", dst="172.18.0.9")
        node6 = IPv6(src="fd01::1", dst="fd01::2")
        hashed = random.randrange(40000, 60000)
        return random.choice(
            (
                node / UDP(sport=hashed, dport=8472) / VXLAN(vni=random.randrange(3), flags=8) / mac / payload,
                node6 / UDP(sport=hashed, dport=4789) / VXLAN(vni=7, flags=8) / mac / payload,
                node / UDP(sport=hashed, dport=6081) / GENEVE(vni=7, options=b"\x01\x02\x00\x01abcd") / mac / payload,
                node / GRE(key_present=1, key=random.randrange(3), proto=0x6558) / mac / payload,
                node / payload,
            )
        )

    frames = []
    for _ in range(1500):
        packet = mac / Dot1Q(vlan=5) if random.random() < 0.2 else mac
        draw = random.random()
        if draw < 0.05:
            frames.append(packet / ARP(psrc="10.0.0.1", pdst="10.0.0.2"))
        elif draw < 0.4:
            frames.append(packet / inner())
        else:
            frames.append(packet / outer(inner()))
    return frames


def test_everything_else_flow_by_flow(tmp_path: Path, require_program: Callable[[str], str]) -> None:
    path = tmp_path / "a.pcap"
    write_pcap(path, [(number * 10**6, 0, bytes(frame)) for number, frame in enumerate(mixed(Random(1)))])
    rows = of_tshark(require_program("tshark"), path)
    answer = decode(str(path))
    compare(rows, answer.flows)
    assert not answer.truncated
    # What the errors are about is in the capture in part only; each error is told all the same.
    four = sum(row.all["icmp.type"] == ["3"] for row in rows)
    six = sum(row.all["icmpv6.type"] == ["2"] for row in rows)
    assert four > 10
    assert six > 10
    assert sum(error.packets for error in answer.errors if error.proto == "icmp") == four
    assert sum(error.packets for error in answer.errors if error.proto == "icmpv6") == six
    assert sum(flow.icmp_errors for flow in answer.flows) == sum(e.packets for e in answer.errors if e.flow is not None)


def test_retransmissions_and_gaps(tmp_path: Path, require_program: Callable[[str], str]) -> None:
    """Segments are lost for good, and repeated after a second."""
    path, random = tmp_path / "a.pcap", Random(3)
    talks = [talk for talk in conversations(40) if talk.proto == 6]
    frames: list[tuple[int, int, bytes]] = []
    now = 0

    def send(frame: bytes, wait_ns: int = 10_000) -> None:
        nonlocal now
        now += wait_ns
        frames.append((now, 0, frame))

    for talk in talks:
        assert talk.answer is not None
        for frame in (talk.frame(0, 2), talk.answer.frame(0, 0x12), talk.frame(0)):
            send(frame)
    for talk in talks * 20:
        sent = [talk.frame(random.randrange(2, 1398)) for _ in range(10)]
        for number, frame in enumerate(sent):
            if random.random() < 0.9 or number == 0:
                send(frame)
        if random.random() < 0.5:
            send(sent[0], 10**9)
    write_pcap(path, frames)
    rows = of_tshark(require_program("tshark"), path)
    answer = decode(str(path))
    compare(rows, answer.flows)
    assert sum(flow.gaps for flow in answer.flows) > 100
    assert of_netfs(answer.flows, "gaps") == count(rows, "tcp.analysis.lost_segment")
    assert sum(flow.retransmissions for flow in answer.flows) > 100
    assert of_netfs(answer.flows, "retransmissions") == count(rows, "tcp.analysis.retransmission")
