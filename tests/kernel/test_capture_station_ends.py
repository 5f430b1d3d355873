"""Stations in real namespaces: whatever happens, they end, and nothing they heard is lost."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from netfs.capture.stations import Frame, Lost, Record, Sent, Stations
from tests.kernel.capture_case import RIGHTS, listen, to_pod2
from tests.kernel.capture_place import ROOT, Place, build, echo, echoes


@pytest.fixture(scope="module", params=RIGHTS)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with Place(userns=request.param == "user namespace") as place:
        build(place)
        yield place


def children() -> set[int]:
    """Processes that this one started, those that are not reaped among them."""
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()}


def test_a_killed_station_is_a_gap_and_not_a_hang(place: Place) -> None:
    before = children()
    with Stations({"a": place.order("pod1"), "b": place.order("pod2")}) as stations:
        stations.open()
        first, _second = sorted(children() - before)
        os.kill(first, signal.SIGKILL)
        records: list[Record] = []
        for record in stations.frames(5, until=lambda: any(isinstance(each, Lost) for each in records)):
            records.append(record)  # noqa: PERF402  # what is gathered is asked for meanwhile
        ended = stations.stop()
    assert [each for each in records if isinstance(each, Lost)] == [Lost("a", "it died of signal 9")]
    assert [(each.node, each.lost) for each in ended] == [("a", "it died of signal 9"), ("b", None)]
    assert children() == before


def test_an_interrupt_at_the_terminal_leaves_stations_to_report(place: Place) -> None:
    before = children()
    with Stations({"a": place.order("pod1", sender=to_pod2(echo(0)))}) as stations:
        stations.open()
        (pid,) = children() - before
        os.kill(pid, signal.SIGINT)
        frames, sent = listen(stations)
    assert len(sent) == 1
    assert frames


def test_stations_end_with_the_process_that_started_them(place: Place) -> None:
    program = """if 1:
        import os, signal, sys
        from netfs.capture.station.order import Order, Post
        from netfs.capture.stations import Stations
        from netfs.sources.reach import Reach
        userns, path, inode = eval(sys.argv[1])
        order = (Reach("n", "k", userns), Order((Post(path, inode),)))
        with Stations({"a": order, "b": order}) as stations:
            print([each.deaf for each in stations.open()])
            print(open(f"/proc/self/task/{os.getpid()}/children").read(), flush=True)
            signal.pause()
    """
    post = place.post("pod1")
    argument = repr((place.reach.userns_pid, post.path, post.inode))
    argv = [sys.executable, "-c", program, argument]
    with subprocess.Popen(argv, text=True, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}) as own:
        assert own.stdout is not None
        assert own.stdout.readline() == "[{}, {}]\n"
        pids = [os.pidfd_open(int(pid)) for pid in own.stdout.readline().split()]
        own.kill()
    assert len(pids) == 2
    for pid in pids:
        assert select.select([pid], [], [], 5)[0], "a station lives on"
        os.close(pid)


def test_left_early_nothing_is_lost(place: Place) -> None:
    with Stations({"a": place.order("pod1", program=echoes(), sender=to_pod2(*map(echo, range(20))))}) as stations:
        stations.open()
        stations.go()
        records: list[Record] = []
        while len(records) < 30:
            for record in stations.frames(1.0):
                records.append(record)
                break
        stations.stop()
        records += stations.frames(0)
    assert len([record for record in records if isinstance(record, Frame)]) == 40
    assert [record.number for record in records if isinstance(record, Sent)] == list(range(20))


def test_what_was_heard_before_the_stop_is_handed_up(place: Place) -> None:
    with Stations({"a": place.order("pod1", program=echoes(), sender=to_pod2(echo(0)))}) as stations:
        stations.open()
        stations.go()
        records: list[Record] = []
        while not records:
            records += stations.frames(1.0, until=lambda: True)
        (ended,) = stations.stop()
        records += stations.frames(0)
    assert isinstance(records[0], Sent)
    assert len(records) - 1 == next(iter(ended.posts.values())).received == 2


@pytest.mark.parametrize("protocol", [socket.IPPROTO_TCP, socket.IPPROTO_UDP, socket.IPPROTO_ICMP])
def test_a_station_rests_while_nothing_happens(place: Place, protocol: int) -> None:
    before = children()
    sender = to_pod2(protocol=protocol, port=None if protocol == socket.IPPROTO_ICMP else 40126)
    with Stations({"n": place.order("pod1", sender=sender)}) as stations:
        stations.open()
        stations.go()
        (pid,) = children() - before
        begun = ticks(pid)
        time.sleep(0.5)
        assert ticks(pid) - begun < 0.1 * os.sysconf("SC_CLK_TCK")


def ticks(pid: int) -> int:
    """CPU time of a process (proc(5), ``/proc/PID/stat``, fields 14 and 15)."""
    return sum(map(int, Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[11:13]))
