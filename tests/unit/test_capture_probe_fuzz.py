"""Whatever bytes a tap hands up: a sighting, or none; a line, or none. Never an exception."""

from __future__ import annotations

import random
from functools import cache
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfs.capture.probe import recognise
from netfs.model.live import Sighting
from tests.unit.probe_frames import NODE1, NODE2, POD_A, TAP, Heard, ether, ip, kit, marker, probe, vxlan

CASES = [(proto, family) for proto in ("icmp", "tcp", "udp") for family in (4, 6)]
PORTS = frozenset({(40000, 80), (80, 40000)})


@cache
def specimens() -> tuple[bytes, ...]:
    """One of each shape that is looked into."""
    found: list[bytes] = []
    for proto, family in CASES:
        packet = probe(marker(proto, family), 3)
        found += [bytes(packet), bytes(ether(packet)), bytes(ether(vxlan(ether(packet))))]
        found.append(bytes(ether(vxlan(ether(vxlan(ether(packet)))))))
        found.append(bytes(ether(ip(NODE1, POD_A) / kit().ICMP(type=3, code=4) / bytes(packet))))
        found.append(bytes(ether(ip(NODE1, NODE2, proto=47) / kit().GRE(key_present=1, key=5) / bytes(packet))))
        found.append(bytes(ether(ip("fd00::1", "fd00::2", nh=44) / (bytes([0, 0, 0, 1, 0, 0, 0, 7]) + bytes(packet)))))
        geneve = bytes([2, 0, 0x65, 0x58, 0, 0, 9, 0]) + bytes(8) + bytes(ether(packet))
        found.append(bytes(ether(ip(NODE1, NODE2) / kit().UDP(dport=6081) / geneve)))
    return tuple(found)


def look(data: bytes, hatype: int) -> None:
    for proto, family in CASES:
        mark = marker(proto, family, ports=PORTS)
        heard = Heard(data, hatype=hatype)
        found = recognise.sighting(mark, heard, TAP, "in")
        assert found is None or isinstance(found, Sighting)
        assert recognise.sightings(mark, [(heard, TAP, "in")] * 2) == (() if found is None else (found, found))


@given(data=st.binary(max_size=200), hatype=st.sampled_from([1, 772, 65534]))
@settings(max_examples=150, deadline=None)
def test_any_bytes(data: bytes, hatype: int) -> None:
    look(data, hatype)


def mutated(dice: random.Random, data: bytes) -> bytes:
    """Bytes changed, cut out, doubled, cut off; most often in the headers."""
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 8))):
        at = dice.randrange(min(len(changed), dice.choice((40, 140)))) if changed else 0
        act = dice.randrange(5)
        if act <= 1 and changed:
            changed[at] = dice.choice((0, 0xFF, 0x80, changed[at] ^ 1 << dice.randrange(8), dice.randrange(256)))
        elif act == 2:
            del changed[at : at + dice.randrange(1, 20)]
        elif act == 3:
            changed[at:at] = changed[at : at + dice.randrange(1, 20)]
        else:
            del changed[dice.randrange(len(changed) + 1) :]
    return bytes(changed)


def play(seed: int, rounds: int) -> None:
    dice = random.Random(seed)
    for _ in range(rounds):
        look(mutated(dice, dice.choice(specimens())), dice.choice((1, 1, 772, 65534)))


def test_mutated_frames() -> None:
    play(1, 1500)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 10))
def test_many_mutated_frames(seed: int) -> None:
    play(seed, 20_000)


def test_every_prefix_of_every_shape() -> None:
    for data in specimens()[:16:2]:
        for end in range(len(data)):
            look(data[:end], 1)


def test_a_frame_is_read_in_time() -> None:
    """The bar is 150 µs; a machine that is busy with other tests gets four times that, the best of many counts."""
    mark = marker("icmp")
    heard = Heard(bytes(ether(vxlan(ether(probe(mark))))))
    best = float("inf")
    for _ in range(200):
        begun = perf_counter()
        recognise.sighting(mark, heard, TAP, "in")
        best = min(best, perf_counter() - begun)
    assert best < 600e-6
