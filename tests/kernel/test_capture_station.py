"""Stations in real namespaces: what they hear."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Iterator

import pytest

from netfs.capture.station import wire
from netfs.capture.station.order import Order, Post
from netfs.capture.stations import Stations
from netfs.sources.reach import Reach
from tests.kernel.capture_case import OUT, RIGHTS, devices, listen, run, to_pod2
from tests.kernel.capture_place import ROOT, Place, build, echo, echoes


@pytest.fixture(scope="module", params=RIGHTS)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with Place(userns=request.param == "user namespace") as place:
        build(place)
        yield place


def test_every_device_hears_the_probe_with_its_way_in_the_order_it_went(place: Place) -> None:
    everywhere = ("pod1", "node1", "node2", "pod2")
    run(place, "pod1", sender=to_pod2(echo(9)))  # neighbours
    orders = {
        "n1": place.order("pod1", "node1", sender=to_pod2(echo(0))),
        "n2": place.order("node2", "pod2"),
    }
    with Stations(orders) as stations:
        opened = stations.open()
        assert [each.deaf for each in opened] == [{}, {}]
        frames, sent = listen(stations)

    names = devices(place, *everywhere)
    heard = sorted((frame for frame in frames if b"netfs-00" in frame.data), key=lambda frame: frame.at_ns)
    way = [f"{names[frame.netns, frame.ifindex]} {'out' if frame.pkttype == OUT else 'in'}" for frame in heard]
    there = [
        "pod1/eth0",
        "node1/veth1",
        "node1/vx1",
        "node1/under",
        "node2/under",
        "node2/vx1",
        "node2/veth2",
        "pod2/eth0",
    ]
    outwards = [name + (" out" if number in {0, 2, 3, 6} else " in") for number, name in enumerate(there)]
    back = [name + (" in" if number in {0, 2, 3, 6} else " out") for number, name in enumerate(there)]
    assert way == outwards + back[::-1]
    assert {frame.node for frame in heard} == {"n1", "n2"}
    assert {frame.length for frame in heard} == {len(frame.data) for frame in heard} == {82, 82 + 50}
    assert [(one.number, one.error) for one in sent] == [(0, None)]
    assert sent[0].at_ns <= heard[0].at_ns < sent[0].at_ns + 1_000_000_000
    clocks = opened[0].clocks
    assert clocks is not None
    assert abs(clocks.realtime_ns - sent[0].at_ns) < 10_000_000_000


@pytest.mark.parametrize("tpid", [0x8100, 0x88A8])
def test_a_vlan_tag_is_where_it_was_on_the_wire(place: Place, tpid: int) -> None:
    frame = bytes.fromhex("02000000000a02000000000b") + struct.pack("!HHH", tpid, 0xA123, 0x88B5) + b"tagged" * 10
    program = "import socket; s = socket.socket(17, 3, 0); s.bind(('eth0', 0)); s.send(bytes.fromhex('%s'))"
    with Stations({"n": place.order("pod1", "node1")}) as stations:
        stations.open()
        assert place.python("pod1", program % frame.hex()).wait() == 0
        frames, _ = listen(stations)
    names = devices(place, "pod1", "node1")
    heard = {names[each.netns, each.ifindex]: each for each in frames if b"taggedtagged" in each.data}
    assert heard["pod1/eth0"].data == frame
    assert heard["node1/veth1"].data == frame
    assert heard["node1/veth1"].length == len(frame)


def test_a_device_made_after_opening_is_heard(place: Place) -> None:
    place.add("late")
    try:
        with Stations({"n": place.order("late", program=echoes())}) as stations:
            stations.open()
            place.run("late", "ip link add new type veth peer name far; ip addr add 10.6.0.1/24 dev new")
            place.run(
                "late", "ip link set far up; ip link set new up; ip neigh add 10.6.0.2 lladdr 02:00:00:00:00:01 dev new"
            )
            with Stations({"m": place.order("late", sender=to_pod2(echo(0), destination="10.6.0.2"))}) as other:
                other.open()
                other.go()
                frames, _ = listen(stations)
        names = devices(place, "late")
        assert [names[each.netns, each.ifindex] for each in frames] == ["late/new", "late/far"]
    finally:
        place.end("late")


def test_snaplen_cuts_what_is_kept_and_not_what_is_told(place: Place) -> None:
    frames, _ = run(place, "pod1", program=echoes(), snaplen=50, sender=to_pod2(echo(0, 400)))
    assert [(len(frame.data), frame.length) for frame in frames] == [(50, 442), (50, 442)]


def test_a_namespace_that_has_ended_is_told_and_the_others_are_heard(place: Place) -> None:
    place.add("ended")
    gone, lives = place.post("ended"), place.post("pod1")
    place.end("ended")
    moved = Post(place.post("pod2").path, 7)
    with Stations({"n": (place.reach, Order((gone, lives, moved), sender=to_pod2(echo(0), post=1)))}) as stations:
        (opened,) = stations.open()
        frames, _ = listen(stations)
    assert opened.deaf[gone.inode] == f"{gone.path}: No such file or directory"
    assert opened.deaf[7].startswith(f"{moved.path}: is another namespace by now")
    assert set(opened.deaf) == {gone.inode, 7}
    assert any(b"netfs-00" in frame.data for frame in frames)


def test_a_user_namespace_that_has_ended_is_told(place: Place) -> None:
    with Stations({"n": (Reach("n", "k", userns_pid=2**22 - 1), Order((place.post("pod1"),)))}) as stations:
        (opened,) = stations.open()
    assert opened.deaf[place.post("pod1").inode].startswith("cannot enter its user namespace: /proc/4194303/ns/user")


def test_a_filter_the_kernel_refuses_is_told(place: Place) -> None:
    with Stations({"n": place.order("pod1", program=b"\0" * 16)}) as stations:
        (opened,) = stations.open()
    assert set(opened.deaf.values()) == {"filter: Invalid argument"}


def test_a_program_on_two_pipes_is_a_station_and_imports_little(place: Place) -> None:
    program = """if 1:
        import sys
        from netfs.capture.station.run import serve
        print(*sorted(name for name in sys.modules if name.startswith("netfs.")), file=sys.stderr)
        serve(0, 1)
    """
    argv = [sys.executable, "-c", program]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    order = place.order("pod1", sender=to_pod2(echo(0)))[1]._replace(userns_pid=place.reach.userns_pid)
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, env=environment) as own:
        told = wire.message(wire.ORDER, wire.pack_order(order))
        assert own.stdin is not None
        assert own.stderr is not None
        assert own.stdout is not None
        modules = own.stderr.readline().decode().split()
        own.stdin.write(told + wire.message(wire.GO) + wire.message(wire.STOP))
        own.stdin.flush()
        answer = own.stdout.read()
    incoming = wire.Incoming(wire.FROM_STATION)
    incoming.feed(answer)
    kinds = [kind for kind, _ in incoming.messages()]
    assert (kinds[0], kinds[-1]) == (wire.READY, wire.ENDED)
    assert {wire.SENT, wire.BLOCK} < set(kinds)
    travels = ("netfs.capture.station", "netfs.collect", "netfs.model")
    assert [name for name in modules if not name.startswith((*travels, "netfs.capture"))] == []
    assert [name for name in modules if name.startswith("netfs.capture.") and not name.startswith(travels)] == []
