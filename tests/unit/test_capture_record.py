"""A recording: where is listened, for what, in which order packets are written, and what is told at the end."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any, Self

import pytest

from netfs.capture import record as verb
from netfs.capture.filter import program
from netfs.capture.filter.expression import And, of_addresses
from netfs.capture.filter.parse import parse
from netfs.capture.recording import Progress, RecordWish
from netfs.capture.spool import ENOUGH, Spool
from netfs.capture.station.order import Order
from netfs.capture.stations import Ended, Frame, Lost, Opened, Tally
from netfs.cluster.topology import Topology
from netfs.errors import EndpointError, FilterError, SourceError
from netfs.model.gaps import Gap
from netfs.model.recorded import Recorded
from netfs.sources.reach import Reach
from tests.unit import clusters

NODE1, POD_A, POD_C, NODE2 = 4026531100, 4026531101, 4026531102, 4026531200
PODS2, FABRIC = (4026531201, 4026531202), 4026531000


class Script:
    """Stations that do as they are told by a test."""

    def __init__(self, *rounds: list[Any]) -> None:
        self.rounds = list(rounds)
        self.orders: dict[str, Order] = {}
        self.opened: dict[str, dict[str, Any]] = {}
        self.dropped: dict[tuple[str, int], int] = {}
        self.last: list[Any] = []
        self.closed = False

    def __call__(self, orders: Mapping[str, tuple[Reach, Order]]) -> Script:
        self.orders = {node: order for node, (_, order) in orders.items()}
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def open(self, timeout: float) -> tuple[Opened, ...]:
        return tuple(Opened(node, **self.opened.get(node, {})) for node in self.orders)

    def go(self) -> None:
        pass

    def batches(self, timeout: float, until: Callable[[], bool] | None = None) -> Iterator[list[Any]]:
        yield self.rounds.pop(0) if self.rounds else self.last

    def stop(self) -> tuple[Ended, ...]:
        return tuple(
            Ended(node, {post.inode: Tally(9, self.dropped.get((node, post.inode), 0)) for post in order.posts})
            for node, order in self.orders.items()
        )


class Book:
    """Takes packets as a file does."""

    def __init__(self) -> None:
        self.interfaces: list[tuple[str, int]] = []
        self.packets: list[tuple[str, int, str, bytes]] = []
        self.told: dict[str, tuple[int, int]] = {}
        self.flushed = 0

    def add_interface(self, name: str, linktype: int, snaplen: int, description: str) -> int:
        self.interfaces.append((name, linktype))
        return len(self.interfaces) - 1

    def write(self, interface: int, at_ns: int, data: bytes, length: int, *, way: str) -> None:
        self.packets.append((self.interfaces[interface][0], at_ns, way, data))

    def statistics(self, interface: int, received: int, dropped: int) -> None:
        self.told[self.interfaces[interface][0]] = (received, dropped)

    def flush(self) -> None:
        self.flushed += 1

    @property
    def times(self) -> list[int]:
        return [at for _, at, _, _ in self.packets]


def frame(at_ns: int, netns: int = NODE1, index: int = 3, *, pkttype: int = 0, hatype: int = 1) -> Frame:
    return Frame("node1" if netns < NODE2 else "node2", netns, index, pkttype, hatype, at_ns, 60, b"%d" % at_ns)


@pytest.fixture
def topology() -> Topology:
    return clusters.two_nodes()


@pytest.fixture
def reaches(topology: Topology) -> dict[str, Reach]:
    paths = {view.key.id: f"/proc/1/ns/{view.key.id}" for view in topology.views.values()}
    return {node.name: Reach(node.name, node.kernel, paths=paths) for node in topology.snapshots}


def run(
    monkeypatch: pytest.MonkeyPatch,
    reaches: Mapping[str, Reach],
    topology: Topology,
    script: Script,
    *,
    after: int = 1,
    **wish: Any,
) -> tuple[Recorded, Book]:
    """Record until it has been asked ``after`` times."""
    asked, book = count(1), Book()
    monkeypatch.setattr(verb, "Stations", script)
    recorded = verb.record(reaches, topology, RecordWish(**wish), lambda: book, lambda _: next(asked) >= after)
    assert script.closed
    return recorded, book


def test_everything_is_listened_to_by_one_station_a_node(
    monkeypatch: pytest.MonkeyPatch, reaches: dict[str, Reach], topology: Topology
) -> None:
    script = Script()
    recorded, book = run(monkeypatch, reaches, topology, script)
    posts = {node: {post.inode: post.path for post in order.posts} for node, order in script.orders.items()}
    assert {node: set(each) for node, each in posts.items()} == {
        "node1": {NODE1, POD_A, POD_C},
        "node2": {NODE2, *PODS2},
        "fabric": {FABRIC},
    }
    assert posts["node1"][POD_A] == f"/proc/1/ns/{POD_A}"
    assert all(order.program == b"" and order.tracing is None is order.sender for order in script.orders.values())
    names = [name for name, _ in book.interfaces]
    assert {"node1/cni0", "node1/pod-a/eth0", "fabric/br0"} < set(names)
    assert recorded.silent == len(names) == len(set(names))


def test_named_nodes_alone_are_listened_to(
    monkeypatch: pytest.MonkeyPatch, reaches: dict[str, Reach], topology: Topology
) -> None:
    script = Script()
    run(monkeypatch, reaches, topology, script, nodes=("node2", "fabric"))
    assert set(script.orders) == {"node2", "fabric"}


def test_packets_are_written_in_the_order_of_their_time(
    monkeypatch: pytest.MonkeyPatch, reaches: dict[str, Reach], topology: Topology
) -> None:
    script = Script(
        [frame(5), frame(9), frame(7, NODE2)],
        [frame(8, NODE2), frame(6, POD_A, 2), frame(20)],
        [frame(12, NODE2)],
    )
    script.last = [frame(23), frame(21, NODE2)]
    recorded, book = run(monkeypatch, reaches, topology, script, after=3)
    assert book.times == [5, 6, 7, 8, 9, 12, 20, 21, 23]
    assert (recorded.packets, recorded.bytes) == (9, 540)
    assert (recorded.first_ns, recorded.last_ns) == (5, 23)
    assert [(one.tap.name, one.packets) for one in recorded.taps] == [
        ("node1/cni0", 4),
        ("node2/cni0", 4),
        ("node1/pod-a/eth0", 1),
    ]


def test_what_is_held_back_is_written_one_round_later(
    monkeypatch: pytest.MonkeyPatch, reaches: dict[str, Reach], topology: Topology
) -> None:
    script, book = Script([frame(5)], [], []), Book()
    seen: list[int] = []

    def until(progress: Progress) -> bool:
        seen.append(progress.packets)
        return len(seen) == 3

    monkeypatch.setattr(verb, "Stations", script)
    verb.record(reaches, topology, RecordWish(), lambda: book, until)
    assert seen == [0, 1, 1]
    assert book.flushed >= 4


def test_a_count_is_met_exactly(monkeypatch: pytest.MonkeyPatch, reaches: dict[str, Reach], topology: Topology) -> None:
    script = Script([frame(at) for at in range(10)])
    script.last = [frame(30)]
    recorded, book = run(monkeypatch, reaches, topology, script, after=99, count=4)
    assert book.times == [0, 1, 2, 3]
    assert recorded.packets == 4


def test_a_duration_ends_it(monkeypatch: pytest.MonkeyPatch, reaches: dict[str, Reach], topology: Topology) -> None:
    recorded, _ = run(monkeypatch, reaches, topology, Script(), after=10**9, duration_s=0.01)
    assert recorded.seconds >= 0.01


def test_loopback_is_heard_once_and_tunnels_begin_with_ip(
    monkeypatch: pytest.MonkeyPatch, reaches: dict[str, Reach], topology: Topology
) -> None:
    there, back = frame(1, index=1, pkttype=4, hatype=772), frame(2, index=1, hatype=772)
    script = Script([there, back, frame(3, index=77, hatype=65534), frame(4, index=2, pkttype=4)])
    _, book = run(monkeypatch, reaches, topology, script)
    assert [(name, way) for name, _, way, _ in book.packets] == [
        ("node1/lo", "in"),
        ("node1/if77", "in"),
        ("node1/eth0", "out"),
    ]
    linktypes = dict(book.interfaces)
    assert (linktypes["node1/lo"], linktypes["node1/eth0"], linktypes["node1/if77"]) == (1, 1, 101)


def test_what_is_lost_is_told_once(
    monkeypatch: pytest.MonkeyPatch, reaches: dict[str, Reach], topology: Topology
) -> None:
    script = Script([frame(1, index=2), frame(2), frame(3)])
    script.dropped = {("node1", NODE1): 7, ("node2", PODS2[0]): 1}
    recorded, book = run(monkeypatch, reaches, topology, script)
    assert [(one.node, one.netns, one.packets) for one in recorded.missed] == [
        ("node1", "node1", 7),
        ("node2", "pod-b", 1),
    ]
    assert (book.told["node1/cni0"], book.told["node1/eth0"]) == ((2, 7), (1, 0))
    assert sum(dropped for _, dropped in book.told.values()) == 8


def test_what_cannot_be_listened_to_is_a_gap(
    monkeypatch: pytest.MonkeyPatch, reaches: dict[str, Reach], topology: Topology
) -> None:
    script = Script([frame(1)], [Lost("node2", "it died")])
    script.opened = {"node1": {"deaf": {POD_A: "no such process"}}, "fabric": {"lost": "not ready within 10 s"}}
    reaches["node2"] = Reach("node2", "k", paths={NODE2: "/proc/1/ns/net"})
    recorded, book = run(monkeypatch, reaches, topology, script, after=3)
    assert [(gap.where, gap.reason) for gap in recorded.gaps] == [
        ("node2/pod-b", f"no way into its namespace {PODS2[0]}: it may have ended"),
        ("node2/pod-d", f"no way into its namespace {PODS2[1]}: it may have ended"),
        ("node1/pod-a", "no such process"),
        ("fabric", "not ready within 10 s"),
        ("node2", "it died"),
    ]
    names = {name for name, _ in book.interfaces}
    assert "node1/cni0" in names
    assert not names & {"node1/pod-a/eth0", "node2/pod-b/eth0", "fabric/br0"}


def test_it_ends_when_every_station_is_lost(
    monkeypatch: pytest.MonkeyPatch, reaches: dict[str, Reach], topology: Topology
) -> None:
    script = Script([frame(1)], [Lost("node1", "it died")])
    recorded, book = run(monkeypatch, reaches, topology, script, after=10**9, nodes=("node1",))
    assert book.times == [1]
    assert recorded.gaps == (Gap("node1", "packets", "it died"),)


def test_a_saved_cluster_is_refused_and_no_file_begun(
    monkeypatch: pytest.MonkeyPatch, reaches: dict[str, Reach], topology: Topology
) -> None:
    monkeypatch.setattr(verb, "Stations", Script())
    saved = {name: Reach(name, "k", why_not="cannot be probed: it is a saved snapshot") for name in reaches}
    with pytest.raises(SourceError, match="node1: cannot be probed: it is a saved snapshot"):
        verb.record(saved, topology, RecordWish(), lambda: pytest.fail("a file"), lambda _: True)


def program_of(script: Script) -> bytes:
    return script.orders["node1"].program


def test_a_pods_packets_are_those_of_its_addresses(
    monkeypatch: pytest.MonkeyPatch, reaches: dict[str, Reach], topology: Topology
) -> None:
    script, topology = Script(), clusters.two_nodes(node1=clusters.vxlan("flannel.1", port=9999))
    pods = ("pod-a", "default/pod-b")
    run(monkeypatch, reaches, topology, script, pods=pods, expression="udp port 53", ports=(4790,))
    wanted = And((parse("udp port 53"), of_addresses(["10.244.1.2", "10.244.2.2"])))
    assert program_of(script) == program.for_expression(wanted, (4789, 4790, 6081, 8472, 9999))


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        ({"nodes": ("node9",)}, EndpointError),
        ({"pods": ("nobody",)}, EndpointError),
        ({"pods": ("node/node1",)}, EndpointError),
        ({"expression": "host host"}, FilterError),
    ],
)
def test_what_is_not_there_is_said_before_anything_is_opened(
    monkeypatch: pytest.MonkeyPatch,
    reaches: dict[str, Reach],
    topology: Topology,
    wish: dict[str, Any],
    error: type[Exception],
) -> None:
    monkeypatch.setattr(verb, "Stations", lambda _: pytest.fail("opened"))
    with pytest.raises(error):
        verb.record(reaches, topology, RecordWish(**wish), Book, lambda _: True)


def test_a_spool_hands_on_whole_writes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    handed: list[int] = []
    real = os.write

    def write(fd: int, data: Any) -> int:
        handed.append(len(data))
        return real(fd, data)

    with open(tmp_path / "spool", "wb", buffering=0) as file:
        spool = Spool(file.fileno())
        monkeypatch.setattr(os, "write", write)
        block = b"x" * 1000
        for _ in range(ENOUGH // 1000 + 10):
            spool.write(block)
        spool.flush()
        spool.flush()
    assert len(handed) == 2
    assert all(size % 1000 == 0 for size in handed)
    assert (tmp_path / "spool").stat().st_size == sum(handed)


def test_a_spool_goes_on_where_a_pipe_takes_a_part() -> None:
    receive, send = os.pipe()
    with open(receive, "rb") as reader, io.FileIO(send, "w") as writer:
        os.set_blocking(receive, True)
        spool = Spool(writer.fileno())
        spool.write(b"ab" * 10_000)
        spool.flush()
        assert reader.read(20_000) == b"ab" * 10_000


def test_a_full_disk_leaves_a_file_that_ends_where_a_packet_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, room = os.write, 2500

    def write(fd: int, data: bytes) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = real(fd, data[:room])
        room -= written
        return written

    with open(tmp_path / "full", "wb", buffering=0) as file:
        spool = Spool(file.fileno(), "full.pcapng")
        monkeypatch.setattr(os, "write", write)
        for size in (700, 700):
            spool.write(b"x" * size)
        spool.flush()
        for size in (700, 700, 700):
            spool.write(b"x" * size)
        with pytest.raises(OSError, match=r"No space left on device: 'full\.pcapng'"):
            spool.flush()
    assert (tmp_path / "full").stat().st_size == 3 * 700


def test_a_spool_notes_that_nobody_reads_even_without_packets() -> None:
    receive, send = os.pipe()
    with io.FileIO(send, "w") as writer:
        spool = Spool(writer.fileno())
        spool.flush()
        os.close(receive)
        with pytest.raises(BrokenPipeError):
            spool.flush()
