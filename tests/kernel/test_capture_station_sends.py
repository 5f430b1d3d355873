"""Stations in real namespaces: what leaves, as the kernel lets it, and what its refusals are."""

from __future__ import annotations

import json
import socket
import statistics
import struct
import subprocess
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from netfs.capture.marker import Marker
from netfs.capture.probe import craft
from netfs.capture.station.order import Datagram
from netfs.capture.stations import Stations
from netfs.model.packet import Packet
from tests.kernel.capture_case import OUT, RIGHTS, listen, run, to_pod2
from tests.kernel.capture_place import Place, build, checksum, echo, echoes


@pytest.fixture(scope="module", params=RIGHTS)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with Place(userns=request.param == "user namespace") as place:
        build(place)
        yield place


def test_refusals_at_once_are_told_by_name(place: Place) -> None:
    place.run("pod1", "ip route replace prohibit 10.99.1.0/24; ip route replace unreachable 10.99.2.0/24")
    expected = {
        ("192.0.2.1", None, 40): "ENETUNREACH",
        ("10.99.1.1", None, 40): "EACCES",
        ("10.99.2.1", None, 40): "EHOSTUNREACH",
        ("10.7.0.2", True, 1480): "EMSGSIZE",
        ("10.7.0.2", False, 1480): None,
        ("10.7.0.2", None, 1480): None,
        ("10.7.0.2", True, 1400): None,
    }
    told = {}
    for destination, df, size in expected:
        _, sent = run(place, "pod1", seconds=0.05, sender=to_pod2(echo(0, size), destination=destination, df=df))
        told[destination, df, size] = sent[0].error
    assert told == expected


def test_tcp_is_refused_by_what_refuses_its_source(place: Place) -> None:
    """connect(2) asks for the route twice, without a source and with the one it found; sendto(2) once."""
    place.run("pod1", "ip rule add from 10.7.0.1 unreachable pref 10")
    try:
        told = {}
        for protocol, made in ((socket.IPPROTO_TCP, syn(40126, 7778)), (socket.IPPROTO_UDP, udp(40126, 7778))):
            _, sent = run(place, "pod1", seconds=0.05, sender=to_pod2(made, protocol=protocol))
            told[protocol] = sent[0].error
    finally:
        place.run("pod1", "ip rule del pref 10")
    assert told == {socket.IPPROTO_TCP: "ENETUNREACH", socket.IPPROTO_UDP: None}


def test_what_the_output_hook_drops_is_eperm(place: Place, require_program: Callable[[str], str]) -> None:
    require_program("nft")
    chain = "add table ip t; add chain ip t o { type filter hook output priority 0; }"
    place.run("pod1", f"nft '{chain}; add rule ip t o icmp type 8 drop'")
    try:
        frames, sent = run(place, "pod1", program=echoes(), sender=to_pod2(echo(0)))
    finally:
        place.run("pod1", "nft delete table ip t")
    assert [one.error for one in sent] == ["EPERM"]
    assert frames == []


def test_dont_fragment_is_as_asked(place: Place) -> None:
    bits = {}
    for df in (True, False, None):
        frames, _ = run(place, "pod1", program=echoes(), sender=to_pod2(echo(0), df=df))
        bits[df] = frames[0].data[20] >> 6
    assert bits == {True: 1, False: 0, None: 1}


def test_ipv6_is_cut_where_it_may_be(place: Place) -> None:
    ask = Datagram(0, bytes.fromhex("8000000000010000") + b"netfs-00" * 250)
    heard = {}
    for df in (True, False, None):
        sender = to_pod2(ask, family=6, protocol=socket.IPPROTO_ICMPV6, destination="fd07::2", df=df)
        frames, sent = run(place, "pod1", sender=sender)
        out = [frame for frame in frames if frame.pkttype == OUT and b"netfs-00" in frame.data]
        heard[df] = sent[0].error, len(out)
    assert heard == {True: ("EMSGSIZE", 0), False: (None, 2), None: (None, 2)}


def test_fragments_leave_where_the_kernel_may_cut(place: Place) -> None:
    frames, _ = run(place, "pod1", sender=to_pod2(echo(0, 3000), df=False))
    out = [frame for frame in frames if frame.pkttype == OUT and frame.data[12:14] == b"\x08\0"]
    assert [frame.length for frame in out] == [1458, 1458, 14 + 20 + 3008 - 2 * 1424]


def test_probes_keep_their_interval(place: Place) -> None:
    _, sent = run(place, "pod1", seconds=0.4, sender=to_pod2(*map(echo, range(4)), interval_s=0.05))
    steps = [(b.at_ns - a.at_ns) / 1e6 for a, b in pairwise(sent)]
    assert [one.number for one in sent] == [0, 1, 2, 3]
    assert 45 < statistics.median(steps) < 75


@pytest.mark.parametrize("destination", ["fd07::2", "link-local"])
def test_the_kernel_fills_icmpv6s_checksum(place: Place, destination: str) -> None:
    if destination == "link-local":
        (link,) = json.loads(place.run("pod2", "ip -j addr show dev eth0"))
        destination = next(each["local"] for each in link["addr_info"] if each["scope"] == "link") + "%eth0"
    ask = Datagram(0, bytes.fromhex("800000000001 0000") + b"netfs-00" * 4)
    frames, sent = run(
        place, "pod1", sender=to_pod2(ask, family=6, protocol=socket.IPPROTO_ICMPV6, destination=destination)
    )
    kinds = [frame.data[54] for frame in frames if b"netfs-00" in frame.data]
    assert [one.error for one in sent] == [None]
    assert kinds == [128, 129]


def udp(sport: int, dport: int) -> Datagram:
    """Without a checksum, as IPv4 allows (RFC 768)."""
    return Datagram(0, struct.pack("!HHHH", sport, dport, 8 + 32, 0) + b"netfs-00" * 4)


def syn(sport: int, dport: int) -> Datagram:
    """As from pod1 to pod2."""
    header = struct.pack("!HHIIBBHHH", sport, dport, 0x12345678, 0, 5 << 4, 2, 64240, 0, 0)
    pseudo = socket.inet_aton("10.7.0.1") + socket.inet_aton("10.7.0.2") + struct.pack("!HH", 6, len(header))
    return Datagram(0, header[:16] + checksum(pseudo + header).to_bytes(2) + header[18:])


@pytest.fixture
def answering(place: Place) -> Iterator[None]:
    """pod2 answers UDP and accepts TCP on port 7777."""
    program = """if 1:
        import socket
        t = socket.create_server(("0.0.0.0", 7777))
        u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        u.bind(("::", 7777))
        print(flush=True)
        while True:
            data, who = u.recvfrom(2000)
            u.sendto(data, who)
    """
    with place.python("pod2", program, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "\n"
        yield
        server.kill()


@pytest.mark.usefixtures("answering")
@pytest.mark.parametrize("held", [True, False])
def test_an_answer_by_udp_is_refused_only_where_nobody_holds_the_port(place: Place, held: bool) -> None:
    sender = to_pod2(udp(40123, 7777), protocol=socket.IPPROTO_UDP, port=40123 if held else None)
    frames, _ = run(place, "pod1", sender=sender)
    kinds = [(frame.pkttype == OUT, frame.data[23]) for frame in frames if b"netfs-00" in frame.data]
    answered = [(True, socket.IPPROTO_UDP), (False, socket.IPPROTO_UDP)]
    assert kinds == (answered if held else [*answered, (True, socket.IPPROTO_ICMP)])


@pytest.mark.usefixtures("answering")
@pytest.mark.parametrize("family", [4, 6])
def test_the_checksum_is_right_whatever_source_the_kernel_chooses(place: Place, family: int) -> None:
    here, there, crafted = {4: ("10.7.0.1", "10.7.0.2", "10.9.9.9"), 6: ("fd07::1", "fd07::2", "fd09::9")}[family]
    probe = Packet(crafted, there, "udp", 40125, 7777, 120)
    made = craft.datagrams(Marker(b"netfs!", "udp", family, 40125, 7777), packet=probe, count=1)
    sender = to_pod2(
        *made, family=family, protocol=socket.IPPROTO_UDP, destination=there, port=40125, crafted=craft.source(probe)
    )
    frames, sent = run(place, "pod1", sender=sender)
    assert [one.error for one in sent] == [None]
    source, address = (slice(26, 30), socket.AF_INET) if family == 4 else (slice(22, 38), socket.AF_INET6)
    heard = [socket.inet_ntop(address, frame.data[source]) for frame in frames if b"netfs!" in frame.data]
    assert heard == [here, there]  # answered, so it was taken in


@pytest.mark.usefixtures("answering")
@pytest.mark.parametrize("source", ["", "10.7.0.1"])
def test_the_handshake_is_ended_by_the_kernels_own_reset(place: Place, source: str) -> None:
    sender = to_pod2(syn(40124, 7777), protocol=socket.IPPROTO_TCP, source=source, port=40124)
    frames, _ = run(place, "pod1", sender=sender)
    flags = [
        frame.data[47] for frame in frames if frame.data[23] == socket.IPPROTO_TCP and frame.data[12:14] == b"\x08\0"
    ]
    assert flags == [0x02, 0x12, 0x04]


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        ({"source": "10.7.0.99"}, "10.7.0.99: Cannot assign requested address"),
        ({"protocol": 17, "port": 40125}, "0.0.0.0 port 40125: Address already in use"),
        ({"family": 6, "protocol": 58, "destination": "fe80::1%nowhere"}, "nowhere: no such device"),
        ({"destination": "localhost"}, "localhost: is no address"),
    ],
)
def test_a_sender_that_cannot_send_says_why_and_the_taps_listen(
    place: Place, wish: dict[str, object], why: str
) -> None:
    program = "import socket; s = socket.socket(2, 2); s.bind(('0.0.0.0', 40125)); print(flush=True); input()"
    with place.python("pod1", program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "\n"
        with Stations({"n": place.order("pod1", sender=to_pod2(echo(0), **wish))}) as stations:
            (opened,) = stations.open()
            _, sent = listen(stations, 0.05)
        other.kill()
    assert (opened.lost, opened.deaf, opened.sender) == (None, {}, why)
    assert sent == []
