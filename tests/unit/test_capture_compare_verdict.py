"""Every verdict, by an example: what a tired operator reads."""

from __future__ import annotations

from dataclasses import replace

from netfs.capture.compare.points import expected
from netfs.capture.seen import Sent
from netfs.model.live import (
    AGREES,
    FURTHER,
    LOST,
    OTHER_PATH,
    STRAY,
    UNHEARD,
    KernelWord,
    Observation,
    Sighting,
)
from netfs.model.trace import KernelDrop
from tests.unit import clusters
from tests.unit.live_worlds import START_NS, broken, dropped_at, healthy, machines, taps, web


def test_seen_everywhere_agrees_and_every_hop_with_a_tap_says_when() -> None:
    world = healthy()
    answer = world.compared(world.all_seen())
    assert answer.live is not None
    assert (answer.live.forward.verdict, answer.live.reverse.verdict) == (AGREES, AGREES)
    assert answer.live.forward.why == "seen at all 12 taps of the way"
    assert answer.live.forward.latency_us == (11.0, 11.0, 11.0)
    observed = {hop.index: hop.observed for hop in answer.forward.hops if hop.observed is not None}
    assert [one.at_us for one in observed.values()] == [float(us) for us in range(12)]
    assert [one.outer is not None for one in observed.values()] == [False] * 4 + [True] * 4 + [False] * 4
    back = [hop.observed for hop in answer.reverse.hops if hop.observed is not None]
    assert back[0].at_us == 500.0, "the answer's times count from the probe's first tap"
    assert answer.live.clocks == ()
    assert answer.live.notes == ()


def test_lost_names_the_last_tap_the_next_one_and_the_hops_between() -> None:
    world = healthy()
    live = world.live(world.seen(world.there[:5]))
    assert live.forward.verdict == LOST
    assert live.forward.why == "seen at node1/eth0, not at fabric/port1"
    assert live.forward.last == world.tap("node1/eth0")
    assert live.forward.next == world.tap("fabric/port1")
    between = [hop.stage for hop in world.trace.forward.hops if hop.index in live.forward.hops]
    assert between == ["transmit", "bridge"]
    assert (live.forward.sent, live.forward.arrived) == (1, 0)
    assert (live.reverse.verdict, live.reverse.why) == (UNHEARD, "no answer was seen: the probe did not arrive")


def test_lost_before_the_first_tap() -> None:
    live = healthy().live([])
    assert live.forward.verdict == LOST
    assert live.forward.why == "seen nowhere, not even at node1/pod-a/eth0"
    assert live.forward.last is None


def test_the_kernels_word_makes_it_exact() -> None:
    world = healthy()
    word = dropped_at(world.tap("node2/eth0"), "NETFILTER_DROP", "nft_do_chain")
    live = world.live(world.seen(world.there[:8]), drops=(word,))
    assert live.forward.verdict == LOST
    assert live.forward.why == (
        "dropped at node2/eth0: NETFILTER_DROP in nft_do_chain; seen at node2/eth0, not at node2/flannel.1"
    )


def test_the_kernels_word_on_a_predicted_drop_stands_at_the_predicted_place() -> None:
    world = broken(node2=clusters.vxlan("flannel.1", vni=7))
    word = dropped_at(world.tap("node2/eth0"), "VXLAN_VNI_NOT_FOUND", "vxlan_rcv")
    answer = world.compared(world.seen(world.there), drops=(word,))
    assert answer.live is not None
    assert answer.live.forward.verdict == AGREES
    assert answer.live.forward.why.startswith("dropped at node2/flannel.1: VXLAN_VNI_NOT_FOUND in vxlan_rcv; ")
    assert answer.forward.drop is not None
    assert answer.forward.drop.kernel == KernelDrop("VXLAN_VNI_NOT_FOUND", "vxlan_rcv")
    assert answer.live.drops == (word,)


def test_a_word_on_another_packet_or_place_is_not_believed() -> None:
    world = healthy()
    strange = (
        dropped_at(world.tap("node1/eth0"), "NO_SOCKET", "udp_rcv"),
        dropped_at(world.tap("node2/eth0"), "NO_SOCKET", "udp_rcv", number=5),
        dropped_at(world.tap("node2/eth0"), "NO_SOCKET", "udp_rcv", role="answer"),
        KernelWord(None, "NO_SOCKET", "udp_rcv", START_NS, None, "probe"),
    )
    assert "dropped" not in world.live(world.seen(world.there[:8]), drops=strange).forward.why


def test_a_predicted_drop_agrees_when_nothing_came_after() -> None:
    world = broken(node1=clusters.no_fdb(clusters.vtep_mac(2)))
    live = world.live(world.seen(world.there))
    assert (live.forward.verdict, live.forward.arrived) == (AGREES, 0)
    assert live.forward.why == "seen up to node1/flannel.1, and nowhere after"
    assert (live.reverse.verdict, live.reverse.why) == (AGREES, "no answer was seen, and none was predicted")


def test_a_predicted_drop_that_did_not_happen_goes_further() -> None:
    real, world = healthy(), broken(node1=clusters.no_fdb(clusters.vtep_mac(2)))
    live = world.live(real.all_seen())
    assert live.forward.verdict == FURTHER
    assert live.forward.why == (
        "seen at node1/flannel.1, predicted to be dropped there (NO_TX_TARGET); it went on: "
        "node1/eth0 → fabric/port1 → fabric/port2 → node2/eth0 → … → node2/pod-b/eth0; it arrived"
    )
    assert live.forward.arrived == 1
    assert live.reverse.verdict == FURTHER
    assert live.reverse.arrived == 1


def test_a_drop_elsewhere_than_predicted_is_not_put_into_the_prediction() -> None:
    world = broken(node2=clusters.vxlan("flannel.1", vni=7))
    word = dropped_at(world.tap("node1/cni0"), "IP_RPFILTER", "ip_rcv_finish_core")
    answer = world.compared(world.seen(world.there[:3]), drops=(word,))
    assert answer.live is not None
    assert answer.live.forward.verdict == LOST
    assert answer.live.forward.why == (
        "dropped at node1/cni0: IP_RPFILTER in ip_rcv_finish_core; seen at node1/cni0, not at node1/flannel.1"
    )
    assert answer.forward.drop is not None
    assert answer.forward.drop.kernel is None
    real = healthy().all_seen()[:9]
    word = dropped_at(world.tap("node2/flannel.1"), "IP_RPFILTER", "ip_rcv_finish_core")
    answer = world.compared(real, drops=(word,))
    assert answer.live is not None
    assert answer.live.forward.verdict == FURTHER
    assert answer.live.forward.why.endswith(
        "it did not arrive; dropped at node2/flannel.1: IP_RPFILTER in ip_rcv_finish_core"
    )
    assert answer.forward.drop is not None
    assert answer.forward.drop.kernel is None


def test_another_path_says_where_it_went() -> None:
    world = healthy()
    probe = world.seen(world.there[:3])
    astray = [
        world.at("node1/eth0", "out", probe[-1], 10, ttl=63),
        world.at("fabric/port1", "in", probe[-1], 11, ttl=63),
    ]
    live = world.live([*probe, *astray])
    assert live.forward.verdict == OTHER_PATH
    assert live.forward.why == (
        "seen at node1/cni0, not at node1/flannel.1; it went node1/eth0 → fabric/port1 as 10.244.1.2 > 10.244.2.2, "
        "and it did not arrive"
    )


def test_a_frame_out_of_the_wrong_port_is_another_path_and_no_flood() -> None:
    world = healthy("pod-a", "pod-b")
    probe = world.seen(world.there[:10])
    live = world.live(
        [*probe, world.at("node2/veth2x2", "out", probe[-1]), world.at("node2/pod-d/eth0", "in", probe[-1])]
    )
    assert live.forward.verdict == OTHER_PATH
    assert live.forward.why == (
        "seen at node2/cni0, not at node2/veth2x1; it went node2/veth2x2 → node2/pod-d/eth0, and it did not arrive"
    )
    assert [one.tap.name for one in live.forward.elsewhere] == ["node2/veth2x2", "node2/pod-d/eth0"]


def test_copies_of_a_flooded_frame_are_no_strays() -> None:
    world = healthy()
    sightings = world.all_seen()
    flooded = next(one for one in sightings if one.tap.name == "node2/veth2x1")
    live = world.live(
        [*sightings, world.at("node2/veth2x2", "out", flooded), world.at("node2/pod-d/eth0", "in", flooded)]
    )
    assert live.forward.verdict == AGREES
    assert live.forward.elsewhere == ()
    assert live.notes == ("there: it was flooded: copies were seen at node2/veth2x2, node2/pod-d/eth0",)


def test_what_a_tunnel_sends_to_all_its_ends_is_no_stray() -> None:
    world = healthy()
    sightings = world.all_seen()
    tunnelled = next(one for one in sightings if one.tap.name == "node1/eth0")
    assert tunnelled.packet.outer is not None
    other = replace(tunnelled.packet.outer, dst="192.168.52.13", sport=50001)
    copies = [
        world.at("node1/eth0", "out", tunnelled, 6, outer=other),
        world.at("fabric/port1", "in", tunnelled, 7, outer=other),
    ]
    live = world.live([*sightings, *copies])
    assert live.forward.verdict == AGREES
    assert live.notes == ("there: it was flooded: copies were seen at node1/eth0, fabric/port1",)


def test_a_packet_that_arrived_and_was_routed_elsewhere_too_is_a_stray() -> None:
    world = healthy()
    sightings = world.all_seen()
    live = world.live([*sightings, world.at("node2/pod-d/eth0", "in", sightings[11], ttl=9)])
    assert live.forward.verdict == STRAY
    assert live.forward.why == "it arrived as predicted, and was seen at node2/pod-d/eth0 too"
    assert live.forward.arrived == 1


def test_other_addresses_than_predicted_are_told() -> None:
    world = healthy()
    masked = [
        replace(one, packet=replace(one.packet, src="10.244.1.0")) if index > 2 else one
        for index, one in enumerate(world.seen(world.there))
    ]
    live = world.live(masked)
    assert live.forward.verdict == OTHER_PATH
    assert live.forward.why == (
        "at node1/flannel.1 it is 10.244.1.0 > 10.244.2.2, not 10.244.1.2 > 10.244.2.2; it arrived"
    )
    stages = {hop.stage for hop in world.trace.forward.hops if hop.index in live.forward.hops}
    assert {"route", "neighbour", "encapsulate"} <= stages


def test_flooded_to_the_right_pod_in_a_frame_for_another_is_lost_there() -> None:
    world = healthy()
    wrong = [
        replace(one, packet=replace(one.packet, dst_mac="02:42:00:00:00:99")) if index > 8 else one
        for index, one in enumerate(world.seen(world.there))
    ]
    live = world.live(wrong)
    assert (live.forward.verdict, live.forward.arrived) == (LOST, 0)
    assert live.forward.why == (
        "seen at node2/pod-b/eth0 in a frame for 02:42:00:00:00:99, which is not its own: ignored"
    )


def test_the_branch_that_was_taken_is_told_and_its_hops_alone_are_observed() -> None:
    world = web("10.244.1.3:80", "10.244.2.2:80")
    assert len(world.trace.forward.branches) == 1
    for branch, way in enumerate((world.trace.forward, *world.trace.forward.branches)):
        answer = world.compared(world.seen(expected(world.topology, way)))
        assert answer.live is not None
        assert (answer.live.forward.verdict, answer.live.forward.branch) == (AGREES, branch)
        found = [any(hop.observed for hop in one.hops) for one in (answer.forward, *answer.forward.branches)]
        assert found == [branch == 0, branch == 1]


def test_probes_that_took_both_branches_are_counted() -> None:
    world = web("10.244.1.3:80", "10.244.2.2:80")
    first, second = (expected(world.topology, way) for way in (world.trace.forward, *world.trace.forward.branches))
    sightings = [*world.seen(second), *world.seen(second, number=1), *world.seen(first, number=2)]
    live = world.live(sightings, sent=tuple(Sent(number, START_NS) for number in range(3)))
    assert (live.forward.verdict, live.forward.branch, live.forward.arrived) == (AGREES, 1, 3)
    assert live.notes[0] == "there: 1 of 3 took way 1 of those predicted"


def test_some_probes_lost() -> None:
    world = healthy()
    sightings = [one for number in range(7) for one in world.all_seen(number)]
    sightings += [one for number in range(7, 10) for one in world.seen(world.there[:7], number=number)]
    live = world.live(sightings, sent=tuple(Sent(number, START_NS) for number in range(10)))
    assert live.forward.verdict == LOST
    assert live.forward.why == "seen at fabric/port2, not at node2/eth0 (3 of 10; 7 arrived)"
    assert (live.forward.sent, live.forward.arrived) == (10, 7)
    assert (live.reverse.verdict, live.reverse.sent, live.reverse.arrived) == (AGREES, 7, 7)
    assert live.count == 10


def test_where_nobody_listens_nothing_is_told() -> None:
    world = healthy()
    here = tuple(tap for tap in taps(world.topology) if tap.node == "node1")
    seen = world.seen(world.there[:5])
    live = world.live(seen, taps=here, deaf=("node2: Permission denied",))
    assert live.forward.verdict == UNHEARD
    assert live.forward.why == "seen at node1/eth0; nobody listens at fabric/port1"
    assert live.notes == ("node2: Permission denied",)
    answered = [*seen, *[one for one in world.seen(world.back, "answer") if one.tap.node == "node1"]]
    live = world.live(answered, taps=here)
    assert (live.forward.verdict, live.forward.arrived) == (AGREES, 1)
    assert live.reverse.verdict == AGREES


def test_a_hop_at_a_deaf_tap_is_not_said_to_be_unseen() -> None:
    world = healthy()
    here = tuple(tap for tap in taps(world.topology) if tap.node == "node1")
    answer = world.compared(world.seen(world.there[:4]), taps=here)
    told = {hop.device: hop.observed for hop in answer.forward.hops if hop.stage in ("transmit", "bridge", "deliver")}
    assert told["port1"] is None
    assert answer.live is not None
    assert answer.live.forward.why == "seen at node1/flannel.1, not at node1/eth0"
    unseen = [hop for hop in answer.forward.hops if hop.observed == Observation(seen=False)]
    assert [hop.device for hop in unseen] == ["eth0"]


def test_a_refused_send_is_what_a_local_drop_predicted() -> None:
    world = broken(pod_a=clusters.no_route("0.0.0.0/0"))
    live = world.live([], sent=(Sent(0, START_NS, "ENETUNREACH"),))
    assert (live.forward.verdict, live.forward.sent) == (AGREES, 0)
    assert live.forward.why == "the kernel refused to send it: ENETUNREACH"
    live = healthy().live([], sent=(Sent(0, START_NS, "EPERM"),))
    assert (live.forward.verdict, live.forward.why) == (LOST, "nothing was sent: the kernel refused with EPERM")


def test_an_icmp_error_that_came_back_is_a_note() -> None:
    world = broken(node1=clusters.no_fdb(clusters.vtep_mac(2)))
    probe = world.seen(world.there)
    error = replace(probe[0], role="error", way="in", error="host unreachable (from 10.244.1.1)")
    live = world.live([*probe, error, replace(error, tap=world.tap("node1/cni0"), way="out")])
    assert live.forward.verdict == AGREES
    assert live.notes == ("ICMP: host unreachable (from 10.244.1.1)",)


def test_a_reset_is_no_answer() -> None:
    world = healthy(proto="tcp", port=81)
    assert world.trace.forward.drop is not None
    probe = world.seen(world.there)
    back = [
        replace(
            one,
            role="answer",
            way="in" if one.way == "out" else "out",
            packet=replace(one.packet, tcp_flags="rst-ack", src="10.244.2.2", dst="10.244.1.2"),
        )
        for one in probe[::-1]
    ]
    live = world.live([*probe, *back])
    assert (live.forward.verdict, live.reverse.verdict) == (AGREES, AGREES)
    assert live.reverse.why == "only a reset was seen: the port was refused"
    assert live.notes == ("a reset came back, not an answer (from 10.244.2.2)",)


def test_who_takes_a_datagram_need_not_answer() -> None:
    world = healthy(proto="udp", port=80)
    live = world.live(world.seen(world.there))
    assert (live.forward.verdict, live.reverse.verdict) == (AGREES, UNHEARD)
    live = healthy().live(healthy().seen(healthy().there))
    assert (live.reverse.verdict, live.reverse.why) == (LOST, "seen nowhere, not even at node2/pod-b/eth0")


def test_where_the_prediction_is_unknown_all_that_came_after_is_told() -> None:
    world = broken(node2=clusters.link("flannel.1", xdp=True))
    assert world.trace.forward.verdict == "unknown"
    live = world.live(healthy().all_seen())
    assert live.forward.verdict == FURTHER
    assert live.forward.why.endswith(
        "not predicted further; it went on: node2/cni0 → node2/veth2x1 → node2/pod-b/eth0; it arrived"
    )
    assert world.live(world.seen(world.there)).forward.verdict in (LOST, UNHEARD)


def test_a_tap_without_room_makes_no_loss() -> None:
    world = healthy()
    sightings = [one for one in world.all_seen() if one.tap.name != "node1/cni0"]
    assert world.live(sightings).forward.verdict == OTHER_PATH
    live = world.live(sightings, lost=3)
    assert live.forward.verdict == AGREES
    assert live.notes == ("the taps had no room for 3 packets: what was not seen may have passed",)


def test_later_fragments_are_no_sightings_of_their_own() -> None:
    world = healthy()
    sightings = world.all_seen()
    whole = world.compared(sightings)
    later = [replace(one, fragment=True, at_ns=one.at_ns - 1) for one in sightings if one.role == "probe"]
    of_the_tunnel = [
        replace(one, packet=replace(one.packet, src=one.packet.outer.src, dst=one.packet.outer.dst, outer=None))
        for one in later
        if one.packet.outer is not None
    ]
    assert world.compared([*of_the_tunnel, *later, *sightings]) == whole


def test_another_tunnel_end_than_predicted_is_told() -> None:
    world = healthy()
    probe = world.seen(world.there[:6])
    astray = [
        replace(one, packet=replace(one.packet, outer=replace(one.packet.outer, dst="192.168.52.99")))
        for one in probe
        if one.packet.outer is not None
    ]
    live = world.live([*probe[:4], *astray])
    assert live.forward.verdict == OTHER_PATH
    assert live.forward.last == world.tap("node1/flannel.1")
    assert live.forward.why == (
        "at node1/eth0 it is 10.244.1.2 > 10.244.2.2 in vxlan 1 to 192.168.52.99, not 10.244.1.2 > 10.244.2.2 "
        "in vxlan 1 to 192.168.52.12; it did not arrive"
    )


def test_clocks_of_machines_are_told_and_no_time_is_shown_that_they_do_not_tell() -> None:
    world = machines()
    ahead = {"node1": 0, "node2": -5_000_000_000, "node3": 0}

    def skewed(ones: list[Sighting]) -> list[Sighting]:
        return [replace(one, at_ns=one.at_ns + ahead[one.tap.node]) for one in ones]

    answer = world.compared(skewed(world.all_seen()))
    assert answer.live is not None
    clock = next(clock for clock in answer.live.clocks if clock.node == "node2")
    assert clock.offset_us is not None
    assert abs(clock.offset_us + 5_000_000) <= clock.uncertainty_us <= 1.1
    assert all(hop.observed.at_us is not None for hop in answer.forward.hops if hop.observed is not None)
    one_way = world.compared(skewed(world.seen(world.there)))
    assert one_way.live is not None
    assert next(clock for clock in one_way.live.clocks if clock.node == "node2").offset_us is None
    told = {hop.node: hop.observed.at_us is None for hop in one_way.forward.hops if hop.observed is not None}
    assert told == {"node1": False, "node2": True}
    assert one_way.live.forward.verdict == AGREES
    assert one_way.live.forward.latency_us is None


def test_a_packet_on_its_way_to_the_next_device_was_not_dropped_by_the_last_one() -> None:
    world = healthy()
    word = dropped_at(world.tap("node1/flannel.1"), "TC_EGRESS", "__dev_queue_xmit")
    live = world.live(world.seen(world.there[:4]), drops=(word,))
    assert live.forward.why == (
        "dropped behind node1/flannel.1: TC_EGRESS in __dev_queue_xmit; seen at node1/flannel.1, not at node1/eth0"
    )


def test_a_reset_that_did_not_come_back_is_not_said_to_have() -> None:
    world = healthy(proto="tcp", port=80)
    resets = [
        replace(one, packet=replace(one.packet, tcp_flags="rst-ack")) for one in world.seen(world.back[:3], "answer")
    ]
    live = world.live([*world.seen(world.there), *resets], sent=tuple(Sent(number, START_NS) for number in range(3)))
    assert "a reset was sent, not an answer (from 10.244.2.2, for 1 of 3 probes)" in live.notes
    resets = [replace(one, packet=replace(one.packet, tcp_flags="rst-ack")) for one in world.seen(world.back, "answer")]
    assert "a reset came back, not an answer (from 10.244.2.2)" in world.live([*world.seen(world.there), *resets]).notes


def test_an_answer_of_another_port_is_told() -> None:
    world = healthy(proto="udp", port=80, sport=40000)
    back = [replace(one, packet=replace(one.packet, sport=5555)) for one in world.seen(world.back, "answer", at_us=500)]
    live = world.live([*world.seen(world.there), *back])
    assert live.notes == (
        "an answer came from 10.244.2.2 port 5555, not 10.244.2.2 port 80: a connected socket refuses it",
    )


def test_a_namespace_that_translates_back_itself_knows_its_answer() -> None:
    """Its tap hears the answer as the backend sent it."""
    world = healthy(proto="udp", port=80, sport=40000)
    back = world.trace.reverse
    backend = tuple(replace(hop, packet=replace(hop.packet, sport=8080)) for hop in back.hops)
    world = replace(world, trace=replace(world.trace, reverse=replace(back, hops=backend)))
    assert world.live(world.all_seen()).notes == ()


def test_answers_of_ports_that_nobody_knows_pass_unseen() -> None:
    """They repeat nothing of the probe, and a port was chosen at random: until it is put back they look like any."""
    world = healthy(proto="udp", port=80, sport=40000)
    masked = tuple(
        replace(hop, packet=replace(hop.packet, dport=None))
        if hop.index < world.trace.reverse.hops[-1].index - 3
        else hop
        for hop in world.trace.reverse.hops
    )
    world = replace(world, trace=replace(world.trace, reverse=replace(world.trace.reverse, hops=masked)))
    known = [point for point in world.back if point.packet.dport is not None]
    assert 0 < len(known) < len(world.back)
    there = world.seen(world.there)
    live = world.live([*there, *world.seen(known, "answer", at_us=500)])
    assert (live.reverse.verdict, live.reverse.arrived) == (AGREES, 1)
    live = world.live([*there, *world.seen(known[:1], "answer", at_us=500)])
    assert live.reverse.verdict == LOST
    live = world.live([*there, *world.seen([*world.back[:3], *known], "answer", at_us=500)])
    assert live.reverse.verdict == OTHER_PATH, "those that can be told apart must be seen everywhere"
