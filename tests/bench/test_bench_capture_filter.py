"""The bar of filters: what does not pass costs a tap no more than a tap costs anyway.

Each program is attached to 16 taps of one device, and frames are sent past them. What is compared is the time of the
CPU for a frame and a tap, against a program that returns 0 at once.
"""

from __future__ import annotations

from collections.abc import Callable

from netfs.capture.filter import program
from netfs.capture.filter.expression import of_addresses
from netfs.capture.filter.parse import parse
from netfs.capture.marker import Marker
from tests.bench.slack import SLACK
from tests.kernel.test_capture_filter_kernel import TOKEN, asked
from tests.unit.filter_frames import HOSTS, MACS, kit

TAPS = 16
FRAMES = 10_000


def frames() -> dict[str, bytes]:
    k = kit()
    ether = k.l2.Ether(src=MACS[0], dst=MACS[1])
    inner = k.inet.IP(src=HOSTS[4][0], dst=HOSTS[4][1]) / k.inet.TCP(flags="A", seq=7) / k.Raw(bytes(200))
    outer = k.inet.IP(src="192.168.52.11", dst="192.168.52.12") / k.inet.UDP(sport=5, dport=8472)
    return {"plain": bytes(ether / inner), "vxlan": bytes(ether / outer / k.VXLAN(flags=8, vni=1) / ether / inner)}


def programs() -> dict[str, bytes]:
    made = {proto: program.for_marker(Marker(TOKEN, proto, 4)) for proto in ("icmp", "udp", "tcp")}
    made["one host"] = program.for_expression(parse("host 10.9.9.9"))
    made["110 pods"] = program.for_expression(of_addresses(f"10.9.9.{pod}" for pod in range(110)))
    return made


def test_what_does_not_pass_costs_little(require_program: Callable[[str], str]) -> None:
    require_program("unshare")
    codes = programs()
    answers = asked(*(("cost", (list(codes.values()), frame, FRAMES, TAPS)) for frame in frames().values()))
    for kind, (tap, *added) in zip(frames(), answers, strict=True):
        for (name, code), more in zip(codes.items(), added, strict=True):
            print(f"{kind}: a tap {tap:.0f} ns; {name}, {len(code) // 8} instructions: {more:+.0f} ns")
            assert kind != "plain" or more < tap * SLACK, name
