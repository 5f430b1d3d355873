"""An expression asked of headers: same level for all of it, nowhere for what is negated, unknown where it is."""

from __future__ import annotations

import pytest

from netfs.capture.filter.level import ABSENT, Level, holds, matches
from netfs.capture.filter.parse import parse

NODE = Level("192.168.52.11", "192.168.52.12", 17, 50000, 8472, ABSENT, ())
POD = Level("10.244.1.2", "10.244.2.2", 6, 40000, 80, 1, ("vxlan",))
FLOW = Level("10.244.1.2", "10.244.2.2", 6, 40000, 80)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host 10.244.1.2", True),
        ("host 10.244.1.2 and port 80", True),
        ("host 10.244.1.2 and port 8472", False),
        ("host 192.168.52.11 and port 8472", True),
        ("port 80 or port 81", True),
        ("udp", True),
        ("udp and port 80", False),
        ("outer ( udp ) and inner ( port 80 )", True),
        ("outer ( port 80 )", False),
        ("inner ( udp )", False),
        ("inner ( inner ( tcp ) )", False),
        ("vni 1 and src host 10.244.1.2", True),
        ("vni 1 and host 192.168.52.11", False),
        ("vxlan", True),
        ("geneve", False),
        ("not vxlan", False),
        ("not geneve", True),
        ("not port 8472", False),
        ("not port 80", False),
        ("not (host 10.244.1.2 and port 8472)", True),
        ("host 192.168.52.11 and not port 22", True),
        ("host 192.168.52.11 and not port 80", False),
        ("host 192.168.52.11 and (port 1 or not port 80)", False),
        ("host 192.168.52.11 and (port 1 or not port 22)", True),
        ("not not tcp", True),
        ("", True),
    ],
)
def test_a_packet_in_a_tunnel(text: str, expected: bool) -> None:
    assert matches(parse(text), (NODE, POD)) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host 10.244.1.2", True),
        ("tcp port 80 and ip", True),
        ("udp", False),
        ("vxlan", None),
        ("vni 1", None),
        ("greater 100", None),
        ("ether host 02:00:00:00:00:0a", None),
        ("vlan 5", None),
        ("vlan 5 and udp", False),
        ("vlan 5 or tcp", True),
        ("not vlan 5", None),
        ("tcp and vlan", None),
        ("inner ( tcp )", False),
        ("", True),
    ],
)
def test_what_is_not_known_is_not_guessed(text: str, expected: bool | None) -> None:
    assert holds(parse(text), FLOW) is expected


@pytest.mark.parametrize(
    ("level", "text", "expected"),
    [
        (Level("10.0.0.1", "10.0.0.2", 1, ABSENT, ABSENT), "port 80", False),
        (Level("10.0.0.1", "10.0.0.2", 6, ABSENT, ABSENT), "port 80", False),
        (Level("10.0.0.1", "10.0.0.2", 6), "port 80", None),
        (Level("10.0.0.1", "10.0.0.2", 1), "port 80", False),
        (Level("10.0.0.1", None, 1), "host 10.0.0.1", True),
        (Level("10.0.0.1", None, 1), "host 10.0.0.2", None),
        (Level("10.0.0.1", None, 1), "src and dst host 10.0.0.2", False),
        (Level("10.0.0.1", "10.0.0.2", ABSENT, ethertype=0x0806), "arp host 10.0.0.1", True),
        (Level("10.0.0.1", "10.0.0.2", ABSENT, ethertype=0x0806), "ip host 10.0.0.1", False),
        (Level("fd00::1", "fd00::2", 58), "icmp6 and net fd00::/16", True),
        (Level("fd00::1", "fd00::2", 58), "icmp", False),
        (Level("fd00::1", "fd00::2", 58), "net 0.0.0.0/0", False),
        (Level(smac="02:00:00:00:00:0A", dmac=""), "ether host 2:0:0:0:0:a", True),
        (Level(smac="", dmac=""), "ether host 2:0:0:0:0:a", False),
        (Level(vlans=(5, 7)), "vlan 7 and vlan", True),
        (Level(vlans=()), "vlan", False),
        (Level(length=100), "greater 100 and less 100", True),
        (Level(length=100), "greater 101", False),
        (Level(ethertype=0x88CC), "ether proto 0x88cc and not ip", True),
    ],
)
def test_one_level(level: Level, text: str, expected: bool | None) -> None:
    assert holds(parse(text), level) is expected
