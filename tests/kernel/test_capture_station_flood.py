"""Stations beside a flood of other packets."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from netfs.capture.stations import Frame, Stations
from tests.kernel.capture_case import RIGHTS, devices, listen, run, to_pod2
from tests.kernel.capture_place import Place, build, checksum, echo, echoes

FLOOD = str(Path(__file__).with_name("capture_flood.py"))


@pytest.fixture(scope="module", params=RIGHTS)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with Place(userns=request.param == "user namespace") as place:
        build(place)
        yield place


def test_four_stations_with_three_taps_each_open_quickly(place: Place) -> None:
    took = []
    for _ in range(5):
        begin = time.perf_counter()
        orders = {f"n{n}": place.order("pod1", "node1", "node2", program=echoes()) for n in range(4)}
        with Stations(orders) as stations:
            opened = stations.open()
            took.append((time.perf_counter() - begin) * 1000)
            assert [each.deaf for each in opened] == [{}] * 4
            assert [each.lost for each in stations.stop()] == [None] * 4
    print("ms:", *(f"{each:.1f}" for each in sorted(took)))
    assert min(took) < 500, "openings wait for each other"


def test_ten_probes_are_found_in_a_flood(place: Place) -> None:
    header = bytes.fromhex("4500005400000000401100000a0700030a070004")
    header = header[:10] + checksum(header).to_bytes(2) + header[12:]
    frame = bytes.fromhex("020000000004 020000000003 0800") + header + b"foreign!" * 8
    place.add("pod3")
    place.run(
        "node1",
        f"""
        ip link add veth3 type veth peer name eth0 netns {place.pid("pod3")}
        ip link add sink type vxlan id 9 dstport 4790 # sends to nobody
        for port in veth3 sink; do ip link set $port master cni0 up; done
        bridge fdb replace 02:00:00:00:00:03 dev veth3 master static
        bridge fdb replace 02:00:00:00:00:04 dev sink master static
        """,
    )
    place.run("pod3", "ip link set eth0 up")
    run(place, "pod1", sender=to_pod2(echo(9)))  # neighbours

    def passed() -> int:
        return int(json.loads(place.run("node1", "ip -s -j link show sink"))[0]["stats64"]["tx"]["dropped"])

    argv = [sys.executable, FLOOD, "eth0", "2.5", frame.hex()]
    flood = place.start("pod3", argv, stdout=subprocess.DEVNULL)
    try:
        time.sleep(0.3)
        orders = {
            "n1": place.order("pod1", "node1", program=echoes(), sender=to_pod2(*map(echo, range(10)), interval_s=0.1)),
            "n2": place.order("node2", "pod2", program=echoes()),
        }
        with Stations(orders) as stations:
            stations.open()
            before, begin = passed(), time.monotonic()
            frames, sent = listen(stations, 1.5)
            rate = (passed() - before) / (time.monotonic() - begin)
    finally:
        flood.kill()
        flood.wait()
        place.end("pod3")
        place.run("node1", "ip link delete sink")
    print(f"foreign packets/s: {rate:.0f}")
    assert rate > 10_000, "that is no flood"
    assert [one.error for one in sent] == [None] * 10
    assert len(frames) == 10 * 12
    for number in range(10):
        assert sum(b"netfs-%02d" % number in frame.data for frame in frames) == 12


def test_nothing_foreign_slips_in_before_the_filter(place: Place) -> None:
    frame = bytes.fromhex("ffffffffffff 02000000000b 88b5") + b"foreign!" * 8
    flood = place.start("pod1", [sys.executable, FLOOD, "eth0", "20", frame.hex()], stdout=subprocess.DEVNULL)
    try:
        for _ in range(10):
            with Stations({"n": place.order("pod1", "node1", program=echoes(), sender=to_pod2(echo(0)))}) as stations:
                stations.open()
                frames, _ = listen(stations, 0.03)
            assert [each for each in frames if b"netfs-00" not in each.data] == []
    finally:
        flood.kill()
        flood.wait()


def test_everything_foreign_is_caught_where_no_filter_is(place: Place) -> None:
    frame = bytes.fromhex("02000000000a 02000000000b 88b5") + b"foreign!" * 8
    names = devices(place, "node1")
    (port,) = [index for (_, index), name in names.items() if name == "node1/veth1"]
    with Stations({"n": place.order("node1", room=16 << 20)}) as stations:
        stations.open()
        argv = [sys.executable, FLOOD, "eth0", "1", frame.hex(), "200000"]
        with place.start("pod1", argv, stdout=subprocess.PIPE) as flood:
            heard = [record for record in stations.frames(1.5) if isinstance(record, Frame)]
            (ended,) = stations.stop()
            heard += [record for record in stations.frames(0) if isinstance(record, Frame)]
            sent = int(flood.communicate()[0])
    (tally,) = ended.posts.values()
    print(f"packets/s: {sent}; no room for {tally.dropped}")
    assert len(heard) == tally.received
    if not tally.dropped:
        assert sum(each.ifindex == port and each.data == frame for each in heard) == sent
    assert tally.dropped < sent / 10
