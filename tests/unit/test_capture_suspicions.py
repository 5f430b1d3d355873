"""What is suspicious about flows: every kind is told where it is so, and nothing where it only looks so."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfs.capture.flows.names import named
from netfs.capture.flows.suspect.catalogue import SUSPICIONS
from netfs.capture.flows.suspicions import MANY, suspicions
from netfs.cluster.topology import Topology
from netfs.model.flows import Decoded, Flow, Suspicion, Tunnel, Warned
from netfs.model.link import Vxlan
from tests.unit import clusters
from tests.unit.flows import (
    NODE1,
    NODE2,
    POD_A,
    POD_B,
    POD_C,
    POD_D,
    SECOND,
    START,
    VXLAN,
    both,
    capture,
    error,
    flow,
    mirrored,
)

BACK = mirrored(VXLAN)
OTHER_VNI = replace(VXLAN, vni=2)
OTHER_PORT = replace(BACK, dport=4789)
CLIENT, SERVER = "203.0.113.7", "198.51.100.9"
LAST = START + 10 * SECOND
"""When the captures of this file end."""
MARKED = ("a", "b", "c")


def taps(packets: int) -> tuple[tuple[str, int], ...]:
    return tuple((name, packets) for name in MARKED)


def syns(number: int = 3, **facts: object) -> Flow:
    return flow(POD_A, POD_B, "tcp", 40000, 80, packets=number, syns=number, **facts)


def loses(**facts: int) -> Decoded:
    return capture(*both(POD_A, POD_B, "tcp", 40000, 80, packets=100, tunnel=VXLAN, **facts))


def both_ways(there: Tunnel, back: Tunnel) -> Decoded:
    """Two ends that ask each other, each in its own tunnel, and get no answer."""
    return capture(
        flow(POD_A, POD_B, "icmp", packets=3, echo_requests=3, tunnel=there),
        flow(POD_D, POD_C, "tcp", 40000, 80, packets=3, syns=3, tunnel=back),
    )


def half_answered(answer: Tunnel | None) -> Decoded:
    """A handshake that is answered in another tunnel, or outside of all."""
    return capture(
        flow(POD_A, POD_B, "tcp", 40000, 80, packets=6, syns=1, tunnel=VXLAN),
        flow(POD_B, POD_A, "tcp", 80, 40000, packets=6, syn_acks=1, tunnel=answer),
    )


TOLD: dict[str, Decoded] = {
    "syn-unanswered": capture(syns()),
    "echo-unanswered": capture(flow(POD_A, POD_B, "icmp", packets=2, echo_requests=2)),
    "dns-unanswered": capture(flow(POD_A, "10.96.0.10", "udp", 40000, 53)),
    "syn-ack-lost": capture(syns(), flow(POD_B, POD_A, "tcp", 80, 40000, packets=4, syn_acks=4)),
    "connection-refused": capture(syns(1), flow(POD_B, POD_A, "tcp", 80, 40000, resets=1)),
    "udp-unanswered": capture(flow(POD_A, POD_B, "udp", 40000, 9000, packets=2)),
    "arp-unanswered": capture(flow(NODE1, NODE2, "arp", packets=3, macs=("02:00:00:00:00:01",))),
    "echo-loss": capture(
        flow(POD_A, POD_B, "icmp", packets=10, echo_requests=10),
        flow(POD_B, POD_A, "icmp", packets=7, echo_replies=7),
    ),
    "one-direction-heard": capture(
        flow(POD_A, POD_B, "tcp", 40000, 80, packets=9, syns=1), *both(POD_C, POD_D, "tcp", 40000, 80)
    ),
    "unanswered-at-the-end": capture(syns(3, taps=taps(1), last_ns=LAST)),
    "capture-of-one-direction": capture(
        flow(POD_A, POD_B, "tcp", 40000, 80, packets=9), flow(POD_C, POD_B, "tcp", 40000, 80, packets=9)
    ),
    "answer-not-in-tunnel": half_answered(None),
    "vni-mismatch": both_ways(VXLAN, replace(BACK, vni=2)),
    "tunnel-port-mismatch": both_ways(VXLAN, OTHER_PORT),
    "tunnel-port-closed": capture(
        *both(POD_A, POD_B, tunnel=VXLAN), errors=(error(NODE2, 3, 3, NODE1, NODE2, "udp", dport=8472),)
    ),
    "address-of-two-tunnel-ends": capture(
        *both(POD_A, POD_B, "tcp", 40000, 80, tunnel=VXLAN),
        *both(POD_A, POD_B, "tcp", 40001, 80, tunnel=replace(VXLAN, src="192.168.52.13")),
    ),
    "address-of-two-macs": capture(
        flow(NODE1, NODE2, "arp", macs=("02:00:00:00:00:01",)),
        flow(NODE1, SERVER, "arp", macs=("02:00:00:00:00:02",)),
    ),
    "tunnel-too-big": capture(
        *both(POD_A, POD_B, tunnel=VXLAN), errors=(error(SERVER, 3, 4, NODE1, NODE2, "udp", dport=8472, mtu=1400),)
    ),
    "tunnel-fragments": capture(*both(POD_A, POD_B, tunnel=VXLAN, fragments=4, outer_fragments=4)),
    "too-big": capture(*both(POD_A, POD_B), errors=(error(SERVER, 3, 4, POD_A, POD_B, mtu=1400, flow=0),)),
    "segments-not-yet-cut": capture(*both(POD_A, POD_B, largest=65160)),
    "destination-unreachable": capture(syns(1, icmp_errors=1), errors=(error(SERVER, 3, 1, POD_A, POD_B, flow=0),)),
    "prohibited": capture(syns(1, icmp_errors=1), errors=(error(SERVER, 3, 13, POD_A, POD_B, flow=0),)),
    "port-unreachable": capture(
        flow(POD_A, POD_B, "udp", 40000, 9000, packets=3, icmp_errors=3),
        errors=(error(POD_B, 3, 3, POD_A, POD_B, "udp", sport=40000, dport=9000, flow=0, packets=3),),
    ),
    "ttl-exceeded": capture(
        syns(1, icmp_errors=1), errors=(error("fd00::1", 3, 0, "fd00::2", "fd00::3", proto="icmpv6"),)
    ),
    "redirect": capture(errors=(error(SERVER, 5, 1, POD_A, POD_B),)),
    "icmp-error": capture(errors=(error(SERVER, 12, 0, POD_A, POD_B),)),
    "retransmissions": loses(retransmissions=5),
    "segments-late": loses(gaps=5, late=5),
    "segments-missing": loses(gaps=5),
    "recording-dropped": capture(dropped=3),
    "recording-damaged": capture(warnings=(Warned(4711, "a block of 12 bytes"),)),
    "recording-truncated": capture(truncated=3),
}
"""A capture for each kind that needs no source."""

PLACED: dict[str, Decoded] = {
    "vni-unknown": capture(*both(POD_A, POD_B, tunnel=OTHER_VNI)),
    "tunnel-port-closed": capture(*both(POD_A, POD_B, tunnel=replace(VXLAN, dport=4789))),
    "tunnel-end-unknown": capture(
        *both(POD_B, "10.244.9.9", tunnel=replace(BACK, dst="192.168.52.99")),
        flow("10.244.9.9", POD_A, "udp", 1, 2, tunnel=replace(VXLAN, src="192.168.52.99")),
    ),
    "source-not-of-node": capture(*both(POD_D, POD_B, tunnel=VXLAN)),
    "outer-mtu-exceeded": capture(*both(POD_A, POD_B, "icmp", tunnel=VXLAN, largest=1501)),
}
"""A capture for each kind that is told by comparing with the nodes."""

SILENT: dict[str, Decoded] = {
    "nothing at all": capture(),
    "a handshake": capture(*both(POD_A, POD_B, "tcp", 40000, 80)),
    "a handshake in a tunnel, and before it": capture(
        *both(POD_A, POD_B, "tcp", 40000, 80), *both(POD_A, POD_B, "tcp", 40000, 80, tunnel=VXLAN)
    ),
    "echoes": capture(*both(POD_A, POD_B, "icmp", tunnel=VXLAN)),
    "the last of ten echoes": capture(
        flow(POD_A, POD_B, "icmp", packets=10, echo_requests=10, last_ns=LAST),
        flow(POD_B, POD_A, "icmp", packets=9, echo_replies=9, last_ns=LAST),
    ),
    "multicast": capture(flow(POD_A, "239.1.2.3", "udp", 40000, 9000, packets=50)),
    "IPv6 multicast": capture(flow("fd00::1", "ff02::fb", "udp", 40000, 9000, packets=50)),
    "broadcast": capture(flow(POD_A, "10.244.1.255", "udp", 40000, 9000, packets=50)),
    "an echo to all": capture(flow(POD_A, "224.0.0.1", "icmp", packets=3, echo_requests=3)),
    "syslog": capture(flow(POD_A, POD_B, "udp", 40000, 514, packets=50)),
    "a tunnel that was not unwrapped": capture(flow(NODE1, NODE2, "udp", 40000, 8472, packets=50)),
    "later fragments": capture(flow(POD_A, POD_B, "udp", None, None, packets=50, fragments=50)),
    "one datagram": capture(flow(POD_A, POD_B, "udp", 40000, 9000)),
    "one datagram at three taps": capture(flow(POD_A, POD_B, "udp", 40000, 9000, packets=3, taps=taps(1))),
    "the answers alone": capture(flow("10.96.0.10", POD_A, "udp", 53, 40000, packets=9)),
    "gratuitous ARP": capture(flow(NODE1, NODE1, "arp", packets=9)),
    "the same ARP question twice": capture(flow(NODE1, NODE2, "arp", packets=2)),
    "an ARP probe": capture(flow("0.0.0.0", NODE1, "arp", packets=3)),
    "ARP": capture(flow(NODE1, NODE2, "arp", packets=3), flow(NODE2, NODE1, "arp", packets=3)),
    "a handshake seen at three taps": capture(
        syns(3, taps=taps(1)),
        flow(POD_B, POD_A, "tcp", 80, 40000, packets=3, syn_acks=3, taps=taps(1)),
    ),
    "a second SYN that was answered, seen at three taps": capture(
        syns(6, taps=taps(2)),
        flow(POD_B, POD_A, "tcp", 80, 40000, packets=3, syn_acks=3, taps=taps(1)),
    ),
    "identities of Cilium": half_answered(replace(BACK, vni=2)),
    "a connection closed by a reset": capture(*both(POD_A, POD_B, resets=1)),
    "resets for nobody": capture(flow(POD_A, POD_B, "tcp", 80, 40000, packets=3, resets=3)),
    "few retransmissions": loses(retransmissions=2),
    "a small share of retransmissions": capture(*both(POD_A, POD_B, packets=10_000, retransmissions=50)),
    "gaps that were filled": loses(gaps=3, retransmissions=2),
    "jumbo frames": capture(*both(POD_A, POD_B, largest=9000)),
    "a recording that says it lost nothing": capture(dropped=0),
    "every address in one tunnel": capture(
        *both(POD_A, POD_B, tunnel=VXLAN), *both(POD_C, POD_D, "icmp", tunnel=VXLAN)
    ),
}
"""Captures of which nothing is told."""


def slugs(found: tuple[Suspicion, ...]) -> list[str]:
    return [each.slug for each in found]


def with_source(decoded: Decoded, topology: Topology) -> tuple[Suspicion, ...]:
    return suspicions(named(decoded, topology), topology)


@pytest.mark.parametrize("slug", TOLD)
def test_each_kind_is_told_where_it_is_so(slug: str) -> None:
    found = suspicions(TOLD[slug])
    assert slug in slugs(found)
    assert {each.severity for each in found if each.slug == slug} == {SUSPICIONS[slug].severity}
    assert all(each.look is None for each in found), "without a source nobody knows names"


@pytest.mark.parametrize("slug", PLACED)
def test_what_does_not_fit_the_nodes_is_told_with_a_source(slug: str) -> None:
    decoded = PLACED[slug]
    assert slug in slugs(with_source(decoded, clusters.two_nodes()))
    assert slug not in slugs(suspicions(decoded))


def test_every_kind_of_the_catalogue_has_a_case() -> None:
    assert {*TOLD, *PLACED} == set(SUSPICIONS)
    assert {slug for slug, kind in SUSPICIONS.items() if kind.source} == {*PLACED} - {*TOLD}


@pytest.mark.parametrize("name", SILENT)
def test_nothing_is_told_where_it_only_looks_so(name: str) -> None:
    assert slugs(suspicions(SILENT[name])) == []


@pytest.mark.parametrize(
    "asked",
    [
        syns(1, last_ns=LAST),
        syns(3, taps=taps(1), last_ns=LAST),
        flow(POD_A, POD_B, "icmp", echo_requests=1, last_ns=LAST),
        flow(POD_A, POD_B, "udp", 40000, 53, last_ns=LAST),
    ],
    ids=["SYN", "SYN at three taps", "echo", "DNS"],
)
def test_what_is_asked_just_before_the_end_may_be_answered_later(asked: Flow) -> None:
    assert slugs(suspicions(capture(asked))) == ["unanswered-at-the-end"]
    assert suspicions(capture(replace(asked, last_ns=LAST - 2 * SECOND)))[0].severity == "error"


def test_an_icmp_error_about_the_tunnel_is_an_answer() -> None:
    inside = syns(2, tunnel=VXLAN, icmp_errors=2)
    found = suspicions(capture(syns(2), inside, errors=(error(SERVER, 3, 1, NODE1, NODE2, "udp", flow=1),)))
    assert slugs(found) == ["destination-unreachable"]


def test_a_connection_that_moves_on_is_not_unanswered() -> None:
    assert slugs(suspicions(TOLD["one-direction-heard"])) == ["one-direction-heard"]


def test_gaps_of_a_recording_that_lost_packets_are_its_own() -> None:
    assert slugs(suspicions(replace(TOLD["segments-missing"], dropped=9))) == ["recording-dropped"]


def test_a_healthy_tunnel_fits_its_nodes() -> None:
    decoded = capture(*both(POD_A, POD_B, tunnel=VXLAN, largest=1500), *both(POD_C, POD_D, "icmp", tunnel=VXLAN))
    assert slugs(with_source(decoded, clusters.two_nodes())) == []


def test_a_device_of_the_other_family_does_not_take_a_vni() -> None:
    """flannel has a device for each family, with one VNI and one port."""
    device = clusters.device(99, "flannel-v6.1", "vxlan", vxlan=Vxlan(2, 8472, local="fd00::12", lower=2))
    other = clusters.add(links=[device])
    decoded = PLACED["vni-unknown"]
    assert slugs(with_source(decoded, clusters.two_nodes(node1=other, node2=other))) == ["vni-unknown"] * 2


def test_a_tunnel_packet_that_never_left_is_too_big_for_the_tunnel() -> None:
    found = suspicions(capture(errors=(error(NODE1, 3, 4, NODE1, NODE2, "udp", dport=8472, mtu=1400),)))
    assert slugs(found) == ["tunnel-too-big"]


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"dropped": 1, "packets": 300_000}, "1 packet (less than 0.1 %) was lost in recording"),
        ({"dropped": 50, "packets": 50}, "50 packets (50.0 %) were lost in recording"),
        ({"truncated": 50, "packets": 50}, "of 50 packets (100.0 %) too little was kept to tell a flow"),
    ],
)
def test_a_recording_that_lacks_something_is_a_warning(facts: dict[str, int], told: str) -> None:
    (found,) = suspicions(capture(**facts))
    assert found.severity == "warning"
    assert found.why.startswith(told)


def test_gaps_that_were_filled_are_late_not_missing() -> None:
    assert slugs(suspicions(loses(gaps=24, late=24))) == ["segments-late"]
    assert slugs(suspicions(loses(gaps=24, late=2))) == ["segments-missing"]


@pytest.mark.parametrize("facts", ["collect_metadata", "vnifilter"])
def test_a_device_that_takes_many_vnis_takes_this_one(facts: str) -> None:
    device = Vxlan(1, 8472, lower=2, collect_metadata=facts == "collect_metadata", vnifilter=facts == "vnifilter")
    taken = clusters.link("flannel.1", vxlan=device)
    topology = clusters.two_nodes(node1=taken, node2=taken)
    assert slugs(with_source(PLACED["vni-unknown"], topology)) == []


def test_tcp_is_recorded_before_it_is_cut() -> None:
    decoded = capture(*both(POD_A, POD_B, tunnel=VXLAN, largest=4000))
    assert slugs(with_source(decoded, clusters.two_nodes())) == []


def test_a_remote_end_that_the_fdb_names_is_known() -> None:
    alone = clusters.cluster()
    topology = Topology([node for node in alone if node.name == "node1"])
    decoded = capture(*both(POD_A, POD_B, tunnel=VXLAN))
    assert slugs(with_source(decoded, topology)) == []


@pytest.mark.parametrize(
    ("decoded", "look"),
    [
        (TOLD["syn-unanswered"], "netfs trace pod-a pod-b --port 80"),
        (TOLD["echo-unanswered"], "netfs trace pod-a pod-b"),
        (TOLD["udp-unanswered"], "netfs trace pod-a pod-b --proto udp --port 9000"),
        (TOLD["dns-unanswered"], "netfs trace pod-a 10.96.0.10 --proto udp --port 53"),
        (TOLD["arp-unanswered"], "netfs trace node1 node2"),
        (TOLD["too-big"], "netfs trace pod-a pod-b --size 100"),
        (TOLD["retransmissions"], "netfs trace pod-a pod-b --port 80 --size 1500"),
        (PLACED["vni-unknown"], "netfs doctor"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_next_step_can_be_typed(decoded: Decoded, look: str) -> None:
    assert look in [each.look for each in with_source(decoded, clusters.two_nodes())]


def test_a_name_cannot_smuggle_a_command() -> None:
    hostile = replace(capture(syns()).flows[0], src_name="default/$(reboot)", dst_name="default/b")
    (found,) = suspicions(capture(hostile), clusters.two_nodes())
    assert found.look == "netfs trace '$(reboot)' b --port 80"


def test_causes_come_before_what_they_lead_to() -> None:
    decoded = capture(
        syns(),
        flow(POD_A, POD_D, "udp", 40000, 9000, tunnel=OTHER_VNI),
        *both(POD_C, POD_D, packets=100, retransmissions=50, largest=65160),
    )
    assert slugs(with_source(decoded, clusters.two_nodes())) == [
        "vni-unknown",
        "syn-unanswered",
        "retransmissions",
        "segments-not-yet-cut",
    ]


@pytest.mark.parametrize("back", [replace(BACK, vni=2), OTHER_PORT], ids=["vni", "port"])
def test_one_fault_is_told_once(back: Tunnel) -> None:
    decoded = both_ways(VXLAN, back)
    assert len(suspicions(decoded)) == 1
    seen_before = replace(decoded.flows[0], tunnels=())
    assert len(suspicions(capture(*decoded.flows, seen_before))) == 1
    assert set(slugs(with_source(decoded, clusters.two_nodes()))) <= {"vni-unknown", "tunnel-port-closed"}


def test_what_no_tunnel_explains_is_told_beside_it() -> None:
    decoded = both_ways(VXLAN, OTHER_PORT)
    found = suspicions(capture(*decoded.flows, flow(POD_A, SERVER, "icmp", packets=3, echo_requests=3)))
    assert slugs(found) == ["tunnel-port-mismatch", "echo-unanswered"]


def test_a_packet_counts_once_though_it_is_seen_thrice_and_in_its_tunnel() -> None:
    plain = syns(6, taps=taps(2))
    decoded = capture(plain, replace(plain, tunnels=(VXLAN,), packets=2, syns=2, taps=(("a", 2),)))
    (found,) = suspicions(decoded)
    assert found.why.startswith(f"2 SYNs of {POD_A} to {POD_B}:80 in vxlan 1")
    assert found.why.endswith("seen at a, b, c")
    assert found.flows == (0, 1)


def test_a_scan_is_told_in_few_words() -> None:
    scan = capture(*(flow(POD_A, f"10.0.{n // 250}.{n % 250 + 1}", "tcp", 40000, 80, syns=1) for n in range(2000)))
    found = suspicions(scan)
    assert slugs(found) == ["syn-unanswered"] * (MANY + 1)
    assert found[-1].why == f"and {2000 - MANY} more of this kind, in {2000 - MANY} flows"
    assert {index for each in found for index in each.flows} == set(range(2000))


def test_both_vnis_are_named() -> None:
    (found, *_) = suspicions(TOLD["vni-mismatch"])
    assert f"{NODE1}→{NODE2} has VNI 1 and {NODE2}→{NODE1} has VNI 2" in found.why


def test_a_loop_is_seen_by_its_ttl() -> None:
    circles = syns(1, icmp_errors=1, ttl_least=1, ttl_most=63)
    (found,) = suspicions(capture(circles, errors=(error(SERVER, 11, 0, POD_A, POD_B, flow=0),)))
    assert "TTLs of one flow are 62 apart: it goes in circles" in found.why


NUMBERS = st.sampled_from([0, 1, 2, 3, 50])
ADDRESSES = st.sampled_from(
    [POD_A, POD_B, NODE1, "0.0.0.0", "255.255.255.255", "fd00::1", "ff02::1", "", "02:42:00:00:00:01"]
)
PORTS = st.sampled_from([None, 0, 53, 514, 8472, 40000])
TUNNELS = st.builds(
    Tunnel,
    st.sampled_from(["vxlan", "gre", "ipip"]),
    st.sampled_from([NODE1, NODE2, "192.168.52.99"]),
    st.sampled_from([NODE1, NODE2, "239.0.0.1"]),
    st.sampled_from([None, 1, 2]),
    PORTS,
    st.sampled_from([None, 8472, 4789]),
)
FLOWS = st.builds(
    Flow,
    ADDRESSES,
    ADDRESSES,
    st.sampled_from(["tcp", "udp", "icmp", "icmpv6", "arp", "0x88cc", "253"]),
    PORTS,
    PORTS,
    st.lists(TUNNELS, max_size=2).map(tuple),
    packets=NUMBERS,
    retransmissions=NUMBERS,
    gaps=NUMBERS,
    resets=NUMBERS,
    icmp_errors=NUMBERS,
    outer_fragments=NUMBERS,
    largest=st.sampled_from([0, 1400, 1600, 65535]),
    syns=NUMBERS,
    syn_acks=NUMBERS,
    echo_requests=NUMBERS,
    echo_replies=NUMBERS,
    ttl_least=st.sampled_from([None, 1]),
    ttl_most=st.sampled_from([None, 64]),
    macs=st.lists(st.sampled_from(["02:00:00:00:00:01", "02:00:00:00:00:02"]), max_size=2, unique=True).map(tuple),
    taps=st.lists(st.tuples(st.sampled_from(["a", "b"]), NUMBERS), max_size=2).map(tuple),
)
ERRORS = st.builds(
    error,
    ADDRESSES,
    st.integers(0, 255),
    st.integers(0, 20),
    ADDRESSES,
    ADDRESSES,
    st.sampled_from(["tcp", "udp", "gre", "253"]),
    proto=st.sampled_from(["icmp", "icmpv6"]),
    dport=PORTS,
    mtu=st.sampled_from([None, 0, 1400]),
)
WORLD = clusters.two_nodes()


@given(flows=st.lists(FLOWS, max_size=6), errors=st.lists(ERRORS, max_size=3), dropped=st.sampled_from([None, 0, 7]))
def test_any_flows_are_judged(flows: list[Flow], errors: list[object], dropped: int | None) -> None:
    decoded = capture(*flows, errors=tuple(errors), dropped=dropped)
    for found in (suspicions(decoded), with_source(decoded, WORLD)):
        for each in found:
            assert each.severity == SUSPICIONS[each.slug].severity
            assert each.why
            assert all(0 <= index < len(flows) for index in each.flows)
