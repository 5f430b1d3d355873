"""What a station and its starter say to each other; nothing that comes out of a pipe is believed."""

from __future__ import annotations

import json
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfs.capture.station import wire
from netfs.capture.station.block import Frame, frames
from netfs.capture.station.order import Datagram, Order, Post, Sender, Tracing
from netfs.capture.station.sockets import cut

READY = wire.Ready((None, "deaf"), None, "untold", 1, 2, 3, "little")
PROBE = Sender(0, 4, 1, "", "10.0.0.2", (Datagram(0, b"\x08\0"), Datagram(1, b"")), 0.2, None, 4711)
FULL = Order((Post("/proc/1/ns/net", 4026531840),), b"\x06" * 8, 96, Tracing(28, 1500), PROBE, 77, 1 << 20)


def whole(data: bytes, kinds: frozenset[int] = wire.FROM_STATION) -> list[tuple[int, bytes]]:
    incoming = wire.Incoming(kinds)
    incoming.feed(data)
    return list(incoming.messages())


@pytest.mark.parametrize("order", [FULL, Order(()), FULL._replace(tracing=None), FULL._replace(sender=None)])
def test_an_order_arrives_as_it_was_given(order: Order) -> None:
    there = wire.unpack_order(wire.pack_order(order))
    assert there == order
    assert all(isinstance(post, Post) for post in there.posts)
    assert there.sender is None or all(isinstance(each, Datagram) for each in there.sender.datagrams)


@given(st.lists(st.tuples(st.sampled_from(sorted(wire.FROM_STATION)), st.binary(max_size=40)), max_size=8), st.data())
def test_messages_arrive_whole_however_the_pipe_cuts_them(said: list[tuple[int, bytes]], data: st.DataObject) -> None:
    stream = b"".join(wire.message(kind, content) for kind, content in said)
    incoming = wire.Incoming(wire.FROM_STATION)
    heard: list[tuple[int, bytes]] = []
    while stream:
        piece = data.draw(st.integers(1, len(stream)))
        incoming.feed(stream[:piece])
        heard += incoming.messages()
        stream = stream[piece:]
    assert heard == said


def test_messages_that_are_not_taken_wait() -> None:
    incoming = wire.Incoming(wire.TO_STATION)
    incoming.feed(wire.message(wire.ORDER, b"x") + wire.message(wire.GO))
    assert next(incoming.messages()) == (wire.ORDER, b"x")
    incoming.feed(wire.message(wire.STOP)[:3])
    assert list(incoming.messages()) == [(wire.GO, b"")]
    incoming.feed(wire.message(wire.STOP)[3:])
    assert list(incoming.messages()) == [(wire.STOP, b"")]


@given(st.binary(max_size=200))
def test_any_bytes_are_messages_or_an_error(data: bytes) -> None:
    with suppress(wire.WireError):
        for kind, content in whole(data):
            assert kind in wire.FROM_STATION
            assert len(content) <= len(data)


def test_what_is_only_said_to_a_station_is_nothing_a_station_says() -> None:
    with pytest.raises(wire.WireError):
        whole(wire.message(wire.ORDER))
    with pytest.raises(wire.WireError):
        whole(wire.HEADER.pack(wire.BLOCK, wire.LARGEST + 1))


def test_a_stations_answer_arrives_as_it_was_given() -> None:
    assert wire.unpack_ready(wire.pack_ready(READY), 2) == READY
    assert wire.unpack_ended(wire.pack_ended([(3, 1), None]), 2) == ((3, 1), None)
    assert wire.unpack_sent(wire.SENT_HEAD.pack(5, 123) + b"EPERM") == (5, 123, "EPERM")
    assert wire.unpack_sent(wire.SENT_HEAD.pack(5, 123)) == (5, 123, None)


nonsense = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=20,
)


@given(nonsense)
def test_any_json_is_an_answer_or_an_error(value: object) -> None:
    data = json.dumps(value).encode()
    with suppress(wire.WireError):
        ready = wire.unpack_ready(data, 2)
        assert len(ready.posts) == 2
    with suppress(wire.WireError):
        for tally in wire.unpack_ended(data, 2):
            assert tally is None or [type(count) for count in tally] == [int, int]


@given(st.lists(st.integers(0, 6), max_size=2), nonsense)
def test_an_answer_with_one_wrong_part_is_none(at: list[int], value: object) -> None:
    parts = json.loads(wire.pack_ready(READY))
    for place in at:
        parts[place] = value
    with suppress(wire.WireError):
        ready = wire.unpack_ready(json.dumps(parts).encode(), 2)
        assert ready.byteorder in {"little", "big"}
        assert all(why is None or isinstance(why, str) for why in (*ready.posts, ready.sender, ready.tracing))


@given(st.binary(max_size=40))
def test_any_bytes_are_a_word_of_a_probe_or_an_error(data: bytes) -> None:
    with suppress(wire.WireError):
        number, at_ns, error = wire.unpack_sent(data)
        assert number >= 0
        assert at_ns >= 0
        assert error != ""
    for unpack in (wire.unpack_ready, wire.unpack_ended):
        with suppress(wire.WireError):
            unpack(data, 2)


# ------------------------------------------------------------------------------------- blocks of a ring


def laid(
    data: bytes,
    *,
    order: str = "<",
    step: int = 0,
    status: int = 0,
    tci: int = 0,
    tpid: int = 0,
    hatype: int = 1,
    pkttype: int = 4,
) -> bytes:
    """One frame as tpacket_rcv lays it: ``struct tpacket3_hdr``, ``struct sockaddr_ll``, a gap, the frame."""
    header = struct.pack(order + "6I2H", step, 1_700_000_000, 42, len(data), len(data) + 1000, status, 82, 96)
    variant = struct.pack(order + "IIHH8x", 0xABCD, tci, tpid, 0)
    address = struct.pack(order + "HHiHBB8s", 17, 0x0300, 9, hatype, pkttype, 6, b"")
    return (header + variant + address).ljust(82, b"\0") + data


@pytest.mark.parametrize(("order", "sign"), [("little", "<"), ("big", ">")])
def test_frames_are_read_in_the_nodes_byte_order(order: str, sign: str) -> None:
    first = laid(b"first", order=sign, step=96).ljust(96, b"\0")
    found = list(frames(first + laid(b"second", order=sign, pkttype=0), 2, order, "node1", 77))
    assert found == [
        Frame("node1", 77, 9, 4, 1, 1_700_000_000_000_000_042, 1005, b"first"),
        Frame("node1", 77, 9, 0, 1, 1_700_000_000_000_000_042, 1006, b"second"),
    ]


@pytest.mark.parametrize(
    ("status", "tag"),
    [(0, b""), (1 << 4, b"\x81\0\x60\x05"), (1 << 4 | 1 << 6, b"\x88\xa8\x60\x05"), (1 << 6, b"")],
)
def test_a_tag_that_the_kernel_took_out_is_put_back(status: int, tag: bytes) -> None:
    data = bytes(range(30))
    (frame,) = frames(laid(data, status=status, tci=0x6005, tpid=0x88A8), 1, "little", "n", 1)
    assert frame.data == data[:12] + tag + data[12:]
    assert frame.length == 1030 + len(tag)


@pytest.mark.parametrize(("data", "hatype"), [(b"short", 1), (bytes(30), 768)])
def test_a_tag_is_put_back_into_ethernet_alone(data: bytes, hatype: int) -> None:
    (frame,) = frames(laid(data, status=1 << 4, hatype=hatype), 1, "little", "n", 1)
    assert frame.data == data


@given(st.binary(max_size=300), st.integers(0, 5), st.sampled_from(["little", "big"]))
def test_any_bytes_are_frames_or_an_error(block: bytes, count: int, order: str) -> None:
    with suppress(wire.WireError):
        assert len(list(frames(block, count, order, "n", 1))) == count


@given(st.integers(0, 81), st.binary(min_size=1, max_size=4), st.integers(0, 3))
def test_a_damaged_block_is_frames_or_an_error(at: int, damage: bytes, count: int) -> None:
    block = bytearray((laid(b"first", step=96).ljust(96, b"\0") + laid(b"second")) * 2)
    block[at : at + len(damage)] = damage
    with suppress(wire.WireError):
        for frame in frames(bytes(block), count, "little", "n", 1):
            assert len(frame.data) <= len(block) + 4


def test_a_block_that_never_goes_on_ends_with_its_count() -> None:
    assert len(list(frames(laid(b"first"), 1000, "little", "n", 1))) == 1000


# --------------------------------------------------------------------------------------------- filters


def test_a_filter_keeps_no_more_than_is_asked_for() -> None:
    row = struct.Struct("=HBBI")
    program = row.pack(0x28, 0, 0, 999) + row.pack(0x06, 0, 0, 0xFFFFFFFF) + row.pack(0x06, 0, 0, 0)
    rows = list(row.iter_unpack(cut(program, 96)))
    assert rows == [(0x28, 0, 0, 999), (0x06, 0, 0, 96), (0x06, 0, 0, 0)]
    assert list(row.iter_unpack(cut(b"", 96))) == [(0x06, 0, 0, 96)]
