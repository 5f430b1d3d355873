"""What becomes of pod-a's packet to pod-b when one thing in the lab is changed.

Each case is an edit of the healthy lab and where the packet is then lost: direction, device, reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from netfs.cluster.endpoint import resolve
from netfs.datapath import request, trace
from netfs.model.address import NUD_FAILED, NUD_PERMANENT, FdbEntry, Neighbour
from netfs.model.link import IFF_NOARP
from netfs.model.route import Rule
from netfs.model.snapshot import NetNs
from netfs.model.trace import Direction, Trace
from tests.unit import clusters
from tests.unit.clusters import Edit


def traced(changes: Mapping[str, Any], source: str = "pod-a", destination: str = "pod-b", **wish: Any) -> Trace:
    """A trace over the lab with changes."""
    topology = clusters.two_nodes(**changes)
    return trace(topology, resolve(topology, source), resolve(topology, destination), request(**wish))


def lost(answer: Trace) -> tuple[str, str, str, str]:
    """(direction, namespace, device, reason) of the drop."""
    for name, way in (("forward", answer.forward), ("reverse", answer.reverse)):
        if way.drop is not None:
            return name, way.drop.netns, way.drop.device, way.drop.reason
    return "", "", "", answer.verdict


def retype(dst: str, kind: str) -> Edit:
    """Makes a route a blackhole, unreachable or prohibit one."""

    def edit(netns: NetNs) -> NetNs:
        routes = tuple(replace(r, type=kind, nexthops=()) if r.dst == dst else r for r in netns.routes)
        assert routes != netns.routes
        return replace(netns, routes=routes)

    return edit


def via(dst: str, gateway: str) -> Edit:
    """Sends a route to another next hop."""

    def edit(netns: NetNs) -> NetNs:
        routes = tuple(
            replace(r, nexthops=(replace(r.nexthops[0], gateway=gateway),)) if r.dst == dst else r for r in netns.routes
        )
        assert routes != netns.routes
        return replace(netns, routes=routes)

    return edit


VTEP2 = clusters.vtep_mac(2)

CASES: dict[str, tuple[dict[str, Any], tuple[str, str, str, str]]] = {
    "the pod has no default route": (
        {"pod_a": clusters.no_route("0.0.0.0/0")},
        ("forward", "pod-a", "eth0", "IP_OUTNOROUTES"),
    ),
    "the target pod has none: the answer is lost": (
        {"pod_b": clusters.no_route("0.0.0.0/0")},
        ("reverse", "pod-b", "eth0", "IP_OUTNOROUTES"),
    ),
    "the host's end of the veth is down": (
        {"node1": clusters.down("veth1x1")},
        ("forward", "pod-a", "eth0", "NEIGH_FAILED"),
    ),
    "the pod's port is on no bridge": (
        {"node2": clusters.link("veth2x1", master=None, port=None)},
        ("forward", "node2", "cni0", "NEIGH_FAILED"),
    ),
    "the pod's port is blocked": (
        {"node1": clusters.port("veth1x1", state=4)},
        ("forward", "pod-a", "eth0", "NEIGH_FAILED"),
    ),
    "no route to the other subnet, and the default leads out": (
        {"node1": [clusters.no_route("10.244.2.0/24"), clusters.no_route("0.0.0.0/0")]},
        ("forward", "node1", "cni0", "IP_INNOROUTES"),
    ),
    "the route is a blackhole": (
        {"node1": retype("10.244.2.0/24", "blackhole")},
        ("forward", "node1", "cni0", "EINVAL"),
    ),
    "the route is prohibited": (
        {"node1": retype("10.244.2.0/24", "prohibit")},
        ("forward", "node1", "cni0", "EACCES"),
    ),
    "the next hop is no tunnel end": (
        {"node1": via("10.244.2.0/24", "10.244.9.0")},
        ("forward", "node1", "flannel.1", "NEIGH_FAILED"),
    ),
    "the tunnel end has no neighbour entry": (
        {"node1": clusters.no_neighbour("10.244.2.0")},
        ("forward", "node1", "flannel.1", "NEIGH_FAILED"),
    ),
    "the tunnel end has no FDB entry": (
        {"node1": clusters.no_fdb(VTEP2)},
        ("forward", "node1", "flannel.1", "NO_TX_TARGET"),
    ),
    "node2 sends its answers nowhere": (
        {"node2": clusters.no_fdb(clusters.vtep_mac(1))},
        ("reverse", "node2", "flannel.1", "NO_TX_TARGET"),
    ),
    "the FDB entry leads to the node itself's peer that has another MAC": (
        {"node2": clusters.link("flannel.1", mac="02:42:00:ff:99:99")},
        ("forward", "node2", "flannel.1", "OTHERHOST"),
    ),
    "the VNIs differ": (
        {"node2": clusters.vxlan("flannel.1", vni=2)},
        ("forward", "node2", "flannel.1", "VXLAN_VNI_NOT_FOUND"),
    ),
    "the UDP ports differ": (
        {"node2": clusters.vxlan("flannel.1", port=4789)},
        ("forward", "node2", "eth0", "NO_SOCKET"),
    ),
    "node2 has no VXLAN device": (
        {"node2": clusters.no_link("flannel.1")},
        ("forward", "node2", "eth0", "NO_SOCKET"),
    ),
    "node2's VXLAN device is down": (
        {"node2": clusters.down("flannel.1")},
        ("forward", "node2", "eth0", "NO_SOCKET"),
    ),
    "node1 does not forward from cni0": (
        {"node1": clusters.conf4("cni0", forwarding=0)},
        ("forward", "node1", "cni0", "IP_INADDRERRORS"),
    ),
    "node2 does not forward from flannel.1": (
        {"node2": clusters.conf4("flannel.1", forwarding=0)},
        ("forward", "node2", "flannel.1", "IP_INADDRERRORS"),
    ),
    "the neighbour failed and nobody answers": (
        {
            "node2": clusters.add(neighbours=[Neighbour(3, 4, "10.244.2.2", state=NUD_FAILED)]),
            "pod_b": clusters.link("eth0", flags=clusters.ETHERNET | 0x80),
        },
        ("forward", "node2", "cni0", "NEIGH_FAILED"),
    ),
    "a static bridge entry points to another port": (
        {"node2": clusters.add(fdb=[FdbEntry(12, "02:42:00:02:01:02", state=0x40, flags=0x40, master=3)])},
        ("forward", "pod-d", "eth0", "OTHERHOST"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_packet_is_lost_where_the_kernel_would_lose_it(case: str) -> None:
    """Direction, namespace, device and reason of the drop."""
    changes, expected = CASES[case]
    assert lost(traced(changes)) == expected


def test_a_healthy_lab_delivers_both_ways() -> None:
    """Nothing is lost, and each way ends at the other pod's eth0."""
    answer = traced({})
    assert answer.verdict == "delivered"
    assert [(way.hops[-1].netns, way.hops[-1].device) for way in (answer.forward, answer.reverse)] == [
        ("pod-b", "eth0"),
        ("pod-a", "eth0"),
    ]


def test_a_policy_rule_that_refuses_by_itself_is_named_and_can_be_taken_away() -> None:
    """No route is to blame, and none is named."""
    refusing = Rule(family=4, priority=77, src="10.244.1.2/32", action="prohibit")
    answer = traced({"node1": lambda netns: replace(netns, rules=(refusing, *netns.rules))})
    assert lost(answer) == ("forward", "node1", "cni0", "EACCES")
    assert answer.forward.drop is not None
    assert answer.forward.drop.why == "the rule 77: from 10.244.1.2 prohibit refuses it"
    assert answer.forward.drop.fix == "ip rule del priority 77"


def test_every_hop_counts_from_one_and_says_why() -> None:
    """Indexes have no holes and no reason is empty."""
    for way in _ways(traced({})):
        assert [hop.index for hop in way.hops] == list(range(1, len(way.hops) + 1))
        assert all(hop.why for hop in way.hops)


def test_the_packet_is_encapsulated_between_the_nodes_only() -> None:
    """Outer headers are there from node1's eth0 to node2's, and nowhere else."""
    hops = traced({}).forward.hops
    wrapped = [(hop.netns, hop.device) for hop in hops if hop.packet.outer is not None]
    assert wrapped[0] == ("node1", "eth0")
    assert wrapped[-1] == ("node2", "eth0")
    outer = next(hop.packet.outer for hop in hops if hop.packet.outer is not None)
    assert outer is not None
    assert (outer.src, outer.dst, outer.vni, outer.dport) == ("192.168.52.11", "192.168.52.12", 1, 8472)


WIDE: dict[str, Any] = {
    "pod_a": clusters.link("eth0", mtu=1500),
    "node1": [clusters.link(name, mtu=1500) for name in ("cni0", "veth1x1", "flannel.1")],
}
"""A pod and its node that ignore the 50 bytes of VXLAN."""


def test_a_forwarded_packet_too_large_for_the_tunnel_goes_on_in_outer_fragments() -> None:
    """A router of IPv4 does not look at the learned path MTU; the next device that is too small refuses."""
    answer = traced(WIDE, size=1500)
    assert any(hop.action == "fragment" and hop.packet.outer is not None for hop in answer.forward.hops)
    assert lost(answer) == ("forward", "node2", "cni0", "PKT_TOO_BIG")
    assert traced(WIDE, size=1400).verdict == "delivered"


def test_a_tunnel_that_sets_df_refuses_what_does_not_fit() -> None:
    """1500 bytes and 50 of VXLAN do not fit 1500."""
    answer = traced(WIDE | {"node1": [*WIDE["node1"], clusters.vxlan("flannel.1", df=1)]}, size=1500)
    assert answer.forward.drop is not None
    assert (answer.forward.drop.reason, answer.forward.drop.slug) == ("PKT_TOO_BIG", "vxlan-df-too-big")


def test_a_large_packet_without_df_is_fragmented() -> None:
    """A router fragments IPv4 unless told not to."""
    answer = traced({"pod_a": clusters.link("eth0", mtu=1500), "node1": clusters.link("veth1x1", mtu=1500)}, size=1500)
    assert answer.forward.drop is not None
    answer = traced({"pod_a": clusters.link("eth0", mtu=1500)}, size=1452, df=False)
    assert any(hop.action == "fragment" for hop in answer.forward.hops)


def test_strict_reverse_path_filtering_refuses_a_source_from_elsewhere() -> None:
    """node2 knows 10.244.1.0/24 by another way than flannel.1."""
    changes = {
        "node2": [
            clusters.conf4("flannel.1", rp_filter=1),
            clusters.no_route("10.244.1.0/24"),
        ]
    }
    answer = traced(changes)
    assert answer.forward.drop is not None
    assert (answer.forward.drop.device, answer.forward.drop.reason) == ("flannel.1", "IP_RPFILTER")


def test_two_nodes_that_send_to_each_other_end_in_a_loop() -> None:
    """node2 sends its own subnet back to node1: the TTL runs out, and the trace says so."""
    back = clusters.route("10.244.2.0/24", 4, "10.244.1.0", onlink=True)
    answer = traced({"node2": [clusters.no_route("10.244.2.0/24"), clusters.add(routes=[back])]})
    assert answer.forward.drop is not None
    assert (answer.forward.drop.reason, answer.forward.drop.slug) == ("IP_INHDR", "route-loop")


@pytest.mark.parametrize(
    ("port", "verdict", "reason"), [(80, "delivered", ""), (81, "dropped", "NO_SOCKET")], ids=["open", "closed"]
)
def test_tcp_asks_whether_anything_listens(port: int, verdict: str, reason: str) -> None:
    """A SYN to a closed port is answered by a reset."""
    answer = traced({}, proto="tcp", port=port)
    assert answer.verdict == verdict
    assert (answer.forward.drop.reason if answer.forward.drop is not None else "") == reason


def test_unread_sockets_leave_the_verdict_open() -> None:
    """What could not be read is never guessed."""
    answer = traced({"pod_b": lambda netns: replace(netns, listeners=None)}, proto="tcp", port=80)
    assert answer.verdict == "unknown"
    assert "could not be read" in (answer.forward.unknown or "")


def test_a_peer_that_was_not_read_leaves_the_verdict_open() -> None:
    """A pod whose host end is in an unseen namespace: the trace stops there, and says so."""
    answer = traced({"pod_a": clusters.link("eth0", link_netns=4)})
    assert answer.verdict == "unknown"


def test_a_wrong_permanent_neighbour_sends_to_nobody() -> None:
    """The frame is flooded and everybody ignores it."""
    changes = {"node2": clusters.add(neighbours=[Neighbour(3, 4, "10.244.2.2", "02:00:00:00:00:99", NUD_PERMANENT)])}
    assert lost(traced(changes))[3] == "OTHERHOST"


def test_a_tunnel_end_that_is_the_node_itself_takes_the_frame_in_and_routes_it_again_until_its_ttl_ends() -> None:
    """``vxlan_encap_bypass`` sets PACKET_HOST: nobody looks at the MAC, which is the other node's."""
    answer = traced({"node1": clusters.fdb(VTEP2, dst=clusters.node_address(1))})
    assert lost(answer) == ("forward", "node1", "flannel.1", "IP_INHDR")
    assert sum(hop.stage == "encapsulate" for hop in answer.forward.hops) == 63


@pytest.mark.parametrize("entry", ["none", "failed", "another's"])
def test_a_device_without_arp_uses_the_entry_that_there_is(entry: str) -> None:
    """``neigh_lookup`` comes before ``arp_constructor``: only an entry that is made anew gets the device's MAC."""
    noarp = clusters.link("eth0", flags=clusters.ETHERNET | IFF_NOARP)
    records = {
        "none": [],
        "failed": [Neighbour(2, 4, "10.244.1.1", state=NUD_FAILED)],
        "another's": [Neighbour(2, 4, "10.244.1.1", "02:ff:00:00:00:01", NUD_PERMANENT)],
    }
    expected = {"none": "BRIDGE_NO_HAIRPIN", "failed": "NEIGH_FAILED", "another's": "OTHERHOST"}
    answer = traced({"pod_a": [noarp, clusters.no_neighbour("10.244.1.1"), clusters.add(neighbours=records[entry])]})
    assert answer.forward.drop is not None
    assert answer.forward.drop.reason == expected[entry]
    assert ("02:ff:00:00:00:01" in answer.forward.drop.why) == (entry == "another's")


def test_pods_of_one_node_meet_on_the_bridge() -> None:
    """pod-a and pod-c never leave node1."""
    answer = traced({}, destination="pod-c")
    assert answer.verdict == "delivered"
    assert {hop.node for hop in answer.forward.hops} == {"node1"}


BROADCASTS = "net.ipv4.icmp_echo_ignore_broadcasts"


def test_an_echo_request_to_a_broadcast_address_is_not_answered() -> None:
    """The switch was not read here: the kernel's default is taken, and the answer says so."""
    answer = traced({}, destination="10.244.2.255")
    assert lost(answer) == ("forward", "node2", "flannel.1", "ECHO_IGNORED")
    assert answer.forward.drop is not None
    assert "broadcast address" in answer.forward.drop.why
    assert f"{BROADCASTS}, taken to be 1, the default" in answer.forward.drop.why


@pytest.mark.parametrize(("proto", "reason"), [("icmp", "EACCES"), ("udp", "EACCES"), ("tcp", "ENETUNREACH")])
def test_a_socket_does_not_send_to_its_own_broadcast_address(proto: str, reason: str) -> None:
    """Nothing leaves: ping says 'Do you want to ping broadcast?'."""
    assert lost(traced({}, destination="10.244.1.255", proto=proto)) == ("forward", "pod-a", "eth0", reason)


def test_an_echo_request_to_a_broadcast_address_arrives_where_the_switch_is_off() -> None:
    answer = traced({"node2": clusters.sysctl(BROADCASTS, 0)}, destination="10.244.2.255")
    assert answer.forward.verdict == "delivered"


def test_isolated_ports_do_not_talk() -> None:
    """Both ends isolated: the ARP question never arrives."""
    changes = {"node1": [clusters.port("veth1x1", isolated=True), clusters.port("veth1x2", isolated=True)]}
    assert lost(traced(changes, destination="pod-c")) == ("forward", "pod-a", "eth0", "NEIGH_FAILED")


def _ways(answer: Trace) -> tuple[Direction, Direction]:
    return answer.forward, answer.reverse


@pytest.mark.parametrize(("proto", "reason"), [("icmp", ""), ("udp", "PKT_TOO_BIG")])
def test_an_answer_by_udp_sets_df_as_its_socket_does_and_an_echo_reply_does_not(proto: str, reason: str) -> None:
    """``ip_dont_fragment``: sockets begin with IP_PMTUDISC_WANT; that of ``icmp_reply`` with IP_PMTUDISC_DONT."""
    narrow = [
        replace(one, mtu=1300) for one in clusters.cluster()[1].namespaces[0].routes if one.dst == "10.244.1.0/24"
    ]
    assert narrow

    def edit(netns: NetNs) -> NetNs:
        return replace(netns, routes=tuple(narrow[0] if r.dst == "10.244.1.0/24" else r for r in netns.routes))

    answer = traced({"node2": edit}, proto=proto, port=None if proto == "icmp" else 80, size=1400)
    assert answer.forward.verdict == "delivered"
    assert (answer.reverse.drop.reason if answer.reverse.drop else "") == reason
