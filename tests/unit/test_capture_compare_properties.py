"""What holds for every prediction, whatever the order, the noise and the clocks of what was seen."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfs.capture.compare.compare import compare
from netfs.capture.compare.points import expected
from netfs.capture.seen import Seen, Sent
from netfs.cluster.topology import Topology
from netfs.model.live import AGREES, LOST, STRAY, UNHEARD, KernelWord, Sighting, TapRef
from netfs.model.packet import Encapsulation, Packet
from netfs.model.trace import DELIVERED, Trace
from tests.unit import clusters
from tests.unit.live_worlds import START_NS, World, broken, healthy, machines, taps, web, world
from tests.unit.test_capture_compare_points import pool

SENT = (Sent(0, START_NS),)


@cache
def worlds() -> dict[str, World]:
    """Predictions of one way, each delivered or dropped."""
    made = {
        "lab": healthy(),
        "same node": healthy("pod-a", "pod-c"),
        "itself": healthy("pod-a", "pod-a"),
        "from a node": healthy("node/node1", "pod-b"),
        "to a node": healthy("pod-a", "node/node2"),
        "tcp": healthy(proto="tcp", port=80),
        "machines": machines(),
        "service": web("10.244.2.2:80"),
        "no route": broken(pod_a=clusters.no_route("0.0.0.0/0")),
        "not forwarded": broken(node1=clusters.conf4("cni0", forwarding=0)),
        "no tunnel end": broken(node1=clusters.no_fdb(clusters.vtep_mac(2))),
        "wrong network identifier": broken(node2=clusters.vxlan("flannel.1", vni=7)),
        "no port": healthy(proto="tcp", port=81),
    }
    for name, topology, answer in pool()[9::7]:
        if answer.forward.verdict != "unknown" and not answer.forward.branches and not answer.reverse.branches:
            made.setdefault(name, World(topology, answer))
    return made


NAMES = sorted(worlds())


def everything(one: World) -> list[Sighting]:
    """What is seen if all goes as predicted."""
    return one.all_seen() if one.trace.forward.verdict == DELIVERED else one.seen(one.there)


@pytest.mark.parametrize("name", NAMES)
def test_all_as_predicted_agrees_both_ways(name: str) -> None:
    one = worlds()[name]
    live = one.live(everything(one))
    assert live.forward.verdict == AGREES, live
    if one.trace.reverse.verdict != "unknown":
        assert live.reverse.verdict == AGREES, live
    assert live.forward.elsewhere == live.reverse.elsewhere == ()


@pytest.mark.parametrize("name", NAMES)
def test_cut_anywhere_it_is_lost_right_there(name: str) -> None:
    one = worlds()[name]
    sure = [index for index, point in enumerate(one.there) if point.sure]
    for cut in range(len(sure)):
        kept = sure[:cut]
        way = one.live(one.seen([one.there[index] for index in kept])).forward
        assert way.verdict == LOST, (cut, way)
        assert way.next == one.there[sure[cut]].tap
        assert way.last == (one.there[kept[-1]].tap if kept else None)
        assert way.arrived == 0
        assert way.hops
        assert set(one.there[sure[cut]].hops[:1]) <= set(way.hops)


@pytest.mark.parametrize("name", NAMES)
def test_the_answer_cut_anywhere_is_lost_right_there(name: str) -> None:
    one = worlds()[name]
    if one.trace.reverse.verdict != DELIVERED:
        return
    for cut in range(1, len(one.back)):
        live = one.live([*one.seen(one.there), *one.seen(one.back[:cut], "answer")])
        assert live.forward.verdict == AGREES
        if all(point.sure for point in one.back):
            assert (live.reverse.verdict, live.reverse.next) == (LOST, one.back[cut].tap), cut


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_neither_order_nor_noise_nor_doubles_change_the_answer(data: st.DataObject) -> None:
    one = worlds()[data.draw(st.sampled_from(NAMES))]
    sightings = everything(one)
    kept = sightings[: data.draw(st.integers(0, len(sightings)))]
    before = one.compared(kept)
    assert one.compared(data.draw(st.permutations(kept))) == before
    noisy = [replace(each, at_ns=each.at_ns + data.draw(st.integers(-999, 999))) for each in kept]
    assert before.live is not None
    after = one.live(noisy)
    ways = zip((before.live.forward, before.live.reverse), (after.forward, after.reverse), strict=True)
    for was, now in ways:
        assert replace(now, latency_us=None) == replace(was, latency_us=None, elsewhere=now.elsewhere)
        assert [each.tap for each in now.elsewhere] == [each.tap for each in was.elsewhere]
    doubles = (
        [replace(each, at_ns=each.at_ns + 1_000_000) for each in data.draw(st.lists(st.sampled_from(kept)))]
        if kept
        else []
    )
    assert one.compared([*kept, *doubles]) == before


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_foreign_sighting_is_a_stray(data: st.DataObject) -> None:
    one = worlds()[data.draw(st.sampled_from([name for name in NAMES if worlds()[name].trace.verdict == DELIVERED]))]
    sightings = everything(one)
    tap = data.draw(st.sampled_from(taps(one.topology)))
    way = data.draw(st.sampled_from(("in", "out")))
    like = data.draw(st.sampled_from([each for each in sightings if each.role == "probe"]))
    foreign = replace(like, tap=tap, way=way, packet=replace(like.packet, ttl=1, src_mac="02:00:00:00:00:77"))
    live = one.live([*sightings, foreign])
    assert live.forward.verdict == STRAY, "even at a tap of the way: no packet passes it with that TTL"
    assert [each.tap for each in live.forward.elsewhere] == [tap]
    assert live.forward.arrived == 1


def test_every_branch_is_found_by_what_was_seen() -> None:
    one = web("10.244.1.3:80", "10.244.2.2:80", "10.244.2.3:80")
    assert len(one.trace.forward.branches) == 2
    for branch, way in enumerate((one.trace.forward, *one.trace.forward.branches)):
        live = one.live(one.seen(expected(one.topology, way)))
        assert (live.forward.verdict, live.forward.branch) == (AGREES, branch)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(-(10**16), 10**16), min_size=2, max_size=2),
    st.lists(st.lists(st.integers(0, 3_000_000), min_size=24, max_size=24), min_size=1, max_size=4),
)
def test_whatever_the_clocks_no_time_is_negative_and_the_truth_is_within_the_uncertainty(
    skews: list[int], delays: list[list[int]]
) -> None:
    one = worlds()["machines"]
    ahead = {"node1": 0, "node2": skews[0], "node3": skews[1]}
    sightings: list[Sighting] = []
    for number, steps in enumerate(delays):
        now = START_NS + number * 10**9
        for each, step in zip(one.all_seen(number), steps, strict=False):
            now += step
            sightings.append(replace(each, at_ns=now + ahead[each.tap.node]))
    answer = one.compared(sightings, sent=tuple(Sent(number, START_NS) for number in range(len(delays))))
    assert answer.live is not None
    assert answer.live.forward.verdict == answer.live.reverse.verdict == AGREES
    clock = next(each for each in answer.live.clocks if each.node == "node2")
    assert clock.offset_us is not None
    assert abs(clock.offset_us - skews[0] / 1000) <= clock.uncertainty_us + 0.01
    for way in (answer.forward, answer.reverse):
        times = [hop.observed.at_us for hop in way.hops if hop.observed is not None]
        assert all(each is None or each >= 0 for each in times)
        known = [each for each in times if each is not None]
        assert all(later >= sooner - 0.01 for sooner, later in pairwise(known))
    for told in (answer.live.forward.latency_us, answer.live.reverse.latency_us):
        assert told is None or min(told) >= 0


ADDRESSES = st.sampled_from(
    ["10.244.1.2", "10.244.2.2", "10.96.0.10", "0.0.0.0", "", "fd00::1", "no address", "192.168.52.12"]
)
MACS = st.none() | st.sampled_from(["02:42:00:01:01:02", "ff:ff:ff:ff:ff:ff", "", "x", "0"])
SMALL = st.integers(-1, 300)


def encapsulations(depth: int = 2) -> st.SearchStrategy[Encapsulation | None]:
    if not depth:
        return st.none()
    made = st.builds(
        Encapsulation,
        kind=st.sampled_from(["vxlan", "geneve", "\x1b[2J"]),
        src=ADDRESSES,
        dst=ADDRESSES,
        vni=SMALL,
        sport=st.none() | SMALL,
        dport=SMALL,
        dst_mac=MACS,
        outer=encapsulations(depth - 1),
    )
    return st.none() | made


PACKETS = st.builds(
    Packet,
    src=ADDRESSES,
    dst=ADDRESSES,
    proto=st.sampled_from(["icmp", "tcp", "253"]),
    sport=st.none() | SMALL,
    dport=st.none() | SMALL,
    ttl=SMALL,
    src_mac=MACS,
    dst_mac=MACS,
    icmp_type=st.none() | st.text(max_size=4),
    tcp_flags=st.none() | st.sampled_from(["rst", "syn-ack", ""]),
    outer=encapsulations(),
)


def any_tap(one: World) -> st.SearchStrategy[TapRef]:
    strange = st.builds(
        TapRef, st.sampled_from(["node1", "nobody"]), st.text(max_size=3), SMALL, st.text(max_size=3), SMALL
    )
    return st.sampled_from(taps(one.topology)) | strange


def any_sighting(one: World) -> st.SearchStrategy[Sighting]:
    """Anything: a true sighting with a field or two changed, or nothing true at all."""
    fields: dict[str, st.SearchStrategy[Any]] = {
        "tap": any_tap(one),
        "way": st.sampled_from(["in", "out", ""]),
        "at_ns": st.integers(-(2**63), 2**63),
        "number": st.integers(-1, 3),
        "role": st.sampled_from(["probe", "answer", "error", "reset", ""]),
        "packet": PACKETS,
        "length": SMALL,
        "fragment": st.booleans(),
    }
    made = st.builds(Sighting, **fields)
    true = everything(one)
    if not true:
        return made
    changes = st.fixed_dictionaries({}, optional=fields)
    return made | st.builds(lambda each, changed: replace(each, **changed), st.sampled_from(true), changes)


def any_seen(one: World) -> st.SearchStrategy[Seen]:
    return st.builds(
        Seen,
        sent=st.lists(
            st.builds(Sent, st.integers(-1, 3), st.integers(0, 9), st.none() | st.sampled_from(["EPERM", ""])),
            max_size=4,
        ).map(tuple),
        sightings=st.lists(any_sighting(one), max_size=30).map(tuple),
        taps=st.lists(any_tap(one), max_size=20).map(tuple) | st.just(taps(one.topology)),
        drops=st.lists(
            st.builds(
                KernelWord,
                st.none() | any_tap(one),
                st.text(max_size=4),
                st.text(max_size=4),
                st.integers(0, 9),
                st.none() | st.integers(-1, 3),
                st.none() | st.sampled_from(["probe", "answer"]),
            ),
            max_size=4,
        ).map(tuple),
        lost=st.integers(0, 2),
    )


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_anything_may_have_been_seen(data: st.DataObject) -> None:
    one = worlds()[data.draw(st.sampled_from(NAMES))]
    answer = compare(one.topology, one.trace, data.draw(any_seen(one)))
    sane(answer)
    assert forgotten(answer) == one.trace, "nothing of the prediction was changed"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_topology_that_knows_nothing_of_the_trace_is_survived(data: st.DataObject) -> None:
    one = worlds()[data.draw(st.sampled_from(NAMES))]
    sane(compare(Topology([]), one.trace, data.draw(any_seen(one))))


def sane(answer: Trace) -> None:
    assert answer.live is not None
    for way, direction in ((answer.live.forward, answer.forward), (answer.live.reverse, answer.reverse)):
        assert way.verdict
        assert way.why
        assert "None" not in way.why
        assert 0 <= way.branch <= len(direction.branches)
        taken = (direction, *direction.branches)[way.branch]
        assert set(way.hops) <= {hop.index for hop in taken.hops}
        assert way.arrived >= 0
        assert way.latency_us is None or min(way.latency_us) >= 0
        for one in (direction, *direction.branches):
            for hop in one.hops:
                seen = hop.observed
                assert seen is None or seen.at_us is None or seen.at_us >= 0
                assert seen is None or seen.seen == (seen.count > 0)


def forgotten(answer: Trace) -> Trace:
    """The prediction alone."""

    def bare(way: Any) -> Any:
        hops = tuple(replace(hop, observed=None) for hop in way.hops)
        drop = None if way.drop is None else replace(way.drop, kernel=None)
        return replace(way, hops=hops, drop=drop, branches=tuple(bare(each) for each in way.branches))

    return replace(answer, forward=bare(answer.forward), reverse=bare(answer.reverse), live=None)


def test_many_branches_and_many_probes_are_compared_in_time() -> None:
    one = web(*(f"10.244.2.{number}:80" for number in range(2, 8)))
    sightings = [each for number in range(100) for each in one.seen(one.there, number=number)]
    live = one.live(sightings, sent=tuple(Sent(number, START_NS) for number in range(100)))
    assert live.forward.sent == 100
    assert live.forward.verdict in (AGREES, UNHEARD)


def test_a_large_cluster_is_compared() -> None:
    one = world(Topology(clusters.synthetic_snapshots(50, 5)), "pod-a", "pod-b")
    assert one.live(one.all_seen()).forward.verdict == AGREES
