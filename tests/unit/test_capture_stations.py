"""Stations that misbehave: told as lost, never waited for without end, never left behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from netfs.capture.station import process, wire
from netfs.capture.station.order import Order, Post, Sender
from netfs.capture.station.process import Process
from netfs.capture.stations import Lost, Stations
from netfs.sources.reach import Reach

REACH = Reach("n", "k")
SENDER = Sender(0, 4, 1, "", "10.0.0.2", (), 0.0, None)
ORDER = Order((Post("/nowhere", 7),), sender=SENDER)
READY = wire.message(wire.READY, wire.pack_ready(wire.Ready((None,), None, None, 1, 2, 3, "little")))
ENDED = wire.message(wire.ENDED, wire.pack_ended([(4, 1)]))

Behaviour = Callable[[int, int], None]


@pytest.fixture
def playing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Behaviour], list[int]]:
    """Have stations behave so; their pids."""

    def play(behave: Behaviour) -> list[int]:
        pids = []

        def start() -> Process:
            hear, send = os.pipe()
            receive, tell = os.pipe()
            pid = os.fork()
            if pid == 0:
                try:
                    os.close(hear)
                    os.close(tell)
                    behave(receive, send)
                finally:
                    os._exit(0)
            os.close(send)
            os.close(receive)
            pids.append(pid)
            return Process(pid, tell, hear)

        monkeypatch.setattr(process, "start", start)
        return pids

    return play


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def dies(_receive: int, _send: int) -> None:
    return


def is_killed(receive: int, _send: int) -> None:
    os.read(receive, 1)
    os.kill(os.getpid(), signal.SIGKILL)


def is_silent(_receive: int, _send: int) -> None:
    time.sleep(60)


def babbles(receive: int, send: int) -> None:
    os.read(receive, 1 << 16)
    os.write(send, b"GET / HTTP/1.1\r\n" * 100)
    time.sleep(60)


def fails(receive: int, send: int) -> None:
    os.read(receive, 1 << 16)
    os.write(send, wire.message(wire.FAILED, "no memory \udcff".encode(errors="replace")))
    time.sleep(60)


def blocks_too_early(receive: int, send: int) -> None:
    os.read(receive, 1 << 16)
    os.write(send, wire.message(wire.BLOCK, wire.BLOCK_HEAD.pack(0, 1) + bytes(200)))
    time.sleep(60)


@pytest.mark.parametrize(
    ("behave", "why"),
    [
        (dies, "it died"),
        (is_killed, "it died of signal 9"),
        (is_silent, "not ready within 0.2 s"),
        (babbles, "it talks nonsense: no message: kind 71, 790647877 bytes"),
        (fails, "no memory ?"),
        (blocks_too_early, "it talks nonsense: a block before the station is ready"),
    ],
)
def test_a_station_that_is_never_ready(playing: Callable[[Behaviour], list[int]], behave: Behaviour, why: str) -> None:
    pids = playing(behave)
    begin = time.monotonic()
    with Stations({"n": (REACH, ORDER)}) as stations:
        (opened,) = stations.open(0.2)
        assert (opened.node, opened.lost) == ("n", why)
        stations.go()
        assert list(stations.frames(5)) == [Lost("n", why)]
        (ended,) = stations.stop()
        assert (ended.lost, ended.posts, ended.events) == (why, {}, b"")
    assert time.monotonic() - begin < 3
    assert all(map(gone, pids))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (wire.message(wire.BLOCK, b"x"), "a block of no post"),
        (wire.message(wire.BLOCK, wire.BLOCK_HEAD.pack(1, 0)), "a block of no post"),
        (wire.message(wire.BLOCK, wire.BLOCK_HEAD.pack(0, 2) + b"x" * 70), "a frame of"),
        (wire.message(wire.SENT, b"x"), "no word of a probe"),
        (wire.message(wire.ENDED, b"[]"), "no array of 1"),
    ],
)
def test_a_station_that_begins_to_talk_nonsense(
    playing: Callable[[Behaviour], list[int]], said: bytes, why: str
) -> None:
    def behave(receive: int, send: int) -> None:
        os.read(receive, 1 << 16)
        os.write(send, READY)
        os.read(receive, 1 << 16)
        os.write(send, said)
        time.sleep(60)

    playing(behave)
    with Stations({"n": (REACH, ORDER)}) as stations:
        assert stations.open()[0].lost is None
        stations.go()
        (lost,) = stations.frames(5)
        assert isinstance(lost, Lost)
        assert lost.why.startswith(f"it talks nonsense: {why}")


def test_a_station_that_does_not_stop_is_killed(playing: Callable[[Behaviour], list[int]]) -> None:
    def behave(receive: int, send: int) -> None:
        os.read(receive, 1 << 16)
        os.write(send, READY)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)

    pids = playing(behave)
    with Stations({"n": (REACH, ORDER)}) as stations:
        stations.open()
        (ended,) = stations.stop(0.1)
        assert ended.lost == "did not end within 0.1 s"
    assert all(map(gone, pids))


def test_one_that_is_lost_does_not_end_the_others(playing: Callable[[Behaviour], list[int]]) -> None:
    def behave(receive: int, send: int) -> None:
        order = wire.Incoming(wire.TO_STATION)
        order.feed(os.read(receive, 1 << 16))
        ((_, content),) = order.messages()
        if wire.unpack_order(content).snaplen == 1:
            return
        os.write(send, READY)
        os.read(receive, 1 << 16)
        os.write(send, wire.message(wire.EVENTS, b"told") + ENDED)

    playing(behave)
    with Stations({"bad": (REACH, ORDER._replace(snaplen=1)), "good": (REACH, ORDER)}) as stations:
        assert [each.lost for each in stations.open()] == ["it died", None]
        bad, good = stations.stop()
    assert bad.lost == "it died"
    assert (good.lost, good.events) == (None, b"told")
    assert [(netns, tally.received, tally.dropped) for netns, tally in good.posts.items()] == [(7, 4, 1)]


def test_a_large_order_to_a_deaf_station_is_no_hang(playing: Callable[[Behaviour], list[int]]) -> None:
    playing(is_silent)
    with Stations({"n": (REACH, ORDER._replace(program=bytes(1 << 20)))}) as stations:
        assert stations.open(0.2)[0].lost == "it does not listen"


def test_where_no_process_can_be_made_the_node_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    before = len(os.listdir("/proc/self/fd"))
    with Stations({"n": (REACH, ORDER)}) as stations:
        assert stations.open()[0].lost == "no process: Resource temporarily unavailable"
        assert stations.stop()[0].lost == "no process: Resource temporarily unavailable"
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_error_of_the_caller_ends_the_stations(playing: Callable[[Behaviour], list[int]]) -> None:
    def behave(receive: int, _send: int) -> None:
        while os.read(receive, 1 << 16):
            pass

    pids = playing(behave)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(KeyboardInterrupt), Stations({"a": (REACH, ORDER), "b": (REACH, ORDER)}):
        raise KeyboardInterrupt
    assert len(pids) == 2
    assert all(map(gone, pids))
    assert len(os.listdir("/proc/self/fd")) == before
