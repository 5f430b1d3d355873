"""Connection tracking: the table that was there before, its limit, and what it makes of packets and answers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from netfs.cluster.endpoint import resolve
from netfs.cluster.netns import NetNsKey
from netfs.datapath import request, trace
from netfs.datapath.connection import NOWHERE, Connection, FiveTuple
from netfs.datapath.conntrack import enter
from netfs.model.packet import Packet
from netfs.model.snapshot import Connection as Entry
from netfs.model.snapshot import Firewall, NetNs
from netfs.model.trace import Trace
from tests.unit import clusters
from tests.unit.clusters import Edit
from tests.unit.netfilter_views import chain, field, match, rule, table, view

SYN = Packet("10.244.1.2", "10.96.0.10", "tcp", 40000, 80, tcp_flags="syn")
STALE = Entry("tcp", "10.244.1.2", "10.96.0.10", "10.244.1.77", "10.244.1.2", 40000, 80, 8080, 40000, ("dnat",))


def rules(*objects: dict[str, Any]) -> Edit:
    text = json.dumps({"nftables": [table(), *objects]})

    def edit(netns: NetNs) -> NetNs:
        return replace(netns, firewall=Firewall(nft=text))

    return edit


def dnat(to: str) -> tuple[dict[str, Any], ...]:
    """The cluster IP's translation at prerouting."""
    statement = {"dnat": {"addr": to, "port": 80}}
    return (
        chain("pre", "prerouting", type="nat", prio=-100),
        rule("pre", match(field("ip daddr"), "10.96.0.10"), statement),
    )


def asked(*edits: Edit, target: str = "10.96.0.10", **wish: Any) -> Trace:
    topology = clusters.two_nodes(node1=list(edits))
    sent: dict[str, Any] = {"proto": "tcp", "port": 80} | wish
    return trace(topology, resolve(topology, "pod-a"), resolve(topology, target), request(**sent))


def test_a_connection_that_is_known_keeps_its_translation() -> None:
    fresh = asked(rules(*dnat("10.244.2.2")), clusters.add(connections=[STALE]), sport=41000)
    assert fresh.forward.reached is not None
    assert fresh.forward.reached.name == "default/pod-b"
    stale = asked(rules(*dnat("10.244.2.2")), clusters.add(connections=[STALE]), sport=40000)
    assert stale.verdict == "dropped"
    assert stale.forward.drop is not None
    assert stale.forward.drop.reason == "NEIGH_FAILED"
    assert stale.forward.drop.slug == "conntrack-stale-nat"
    hop = next(hop for hop in stale.forward.hops if hop.stage == "netfilter")
    assert (hop.packet.dst, hop.packet.dport) == ("10.244.1.77", 8080)
    assert "connection table" in hop.why


def test_a_connection_that_began_before_the_rule_is_not_translated() -> None:
    early = Entry("udp", "10.244.1.2", "10.96.0.10", "10.96.0.10", "10.244.1.2", 40000, 80, 80, 40000, ("confirmed",))
    edits = rules(*dnat("10.244.2.2")), clusters.add(connections=[early])
    lost, fresh = (asked(*edits, proto="udp", sport=sport) for sport in (40000, 41000))
    assert (lost.verdict, fresh.forward.verdict) == ("dropped", "delivered")
    assert {hop.packet.dst for hop in lost.forward.hops} == {"10.96.0.10"}
    assert "not translated: no nat rule is asked" in next(h.why for h in lost.forward.hops if h.stage == "netfilter")


@pytest.mark.parametrize(
    ("count", "limit", "verdict"), [(100, 100, "dropped"), (99, 100, "delivered"), (100, 0, "delivered")]
)
def test_a_full_table_takes_no_new_connection(count: int, limit: int, verdict: str) -> None:
    edits = (
        rules(*dnat("10.244.2.2")),
        clusters.sysctl("net.netfilter.nf_conntrack_count", count),
        clusters.sysctl("net.netfilter.nf_conntrack_max", limit),
    )
    answer = asked(*edits)
    assert answer.verdict == verdict
    if verdict == "dropped":
        assert answer.forward.drop is not None
        assert (answer.forward.drop.reason, answer.forward.drop.slug) == ("NETFILTER_DROP", "conntrack-full")


def test_a_full_table_has_room_for_what_is_in_it_and_for_what_is_not_tracked() -> None:
    full = (
        clusters.sysctl("net.netfilter.nf_conntrack_count", 9),
        clusters.sysctl("net.netfilter.nf_conntrack_max", 9),
    )
    known = replace(STALE, reply_src="10.244.1.3", reply_sport=80)
    assert asked(rules(*dnat("10.244.1.3")), clusters.add(connections=[known]), *full).verdict == "delivered"
    raw = (chain("raw", "prerouting", prio=-300), rule("raw", {"notrack": None}))
    answer = asked(rules(*raw), *full, target="pod-c")
    assert answer.verdict == "delivered"


@pytest.mark.parametrize(
    ("packet", "state"),
    [
        (SYN, "new"),
        (replace(SYN, tcp_flags="syn-ack"), "invalid"),
        (Packet("10.0.0.1", "10.0.0.2", icmp_type="echo-request"), "new"),
        (Packet("10.0.0.1", "10.0.0.2", icmp_type="echo-reply"), "invalid"),
        (Packet("10.0.0.1", "10.0.0.2", "udp", 53, 40000), "new"),
    ],
)
def test_what_opens_a_connection_is_what_the_kernel_lets_open_one(packet: Packet, state: str) -> None:
    _, tracked = enter(view(), NOWHERE, packet)
    assert tracked.state == state


def test_an_answer_is_established_and_so_is_what_follows_it() -> None:
    branch, first = enter(view(), NOWHERE, SYN)
    again = enter(view(), branch, SYN)[1]
    assert (first.state, again.state) == ("new", "new")
    answer = replace(SYN, src=SYN.dst, dst=SYN.src, sport=80, dport=40000, tcp_flags="syn-ack")
    branch, back = enter(view(), branch, answer)
    assert (back.state, back.reply) == ("established", True)
    assert enter(view(), branch, SYN)[1].state == "established"


def test_another_namespace_knows_nothing_of_it() -> None:
    branch, _ = enter(view(), NOWHERE, SYN)
    elsewhere = replace(view().node, kernel="another")
    stranger = view()
    stranger.key = NetNsKey(elsewhere.kernel, 1)
    answer = replace(SYN, src=SYN.dst, dst=SYN.src, sport=80, dport=40000, tcp_flags="syn-ack")
    assert enter(stranger, branch, answer)[1].state == "invalid"


@pytest.mark.parametrize(
    ("hook", "reply", "expected"),
    [
        ("prerouting", False, ("10.244.2.2", 8080)),
        ("output", False, ("10.244.2.2", 8080)),
        ("postrouting", False, ("192.168.52.11", 1024)),
        ("input", False, ("192.168.52.11", 1024)),
        ("prerouting", True, ("10.244.1.2", 40000)),
        ("postrouting", True, ("10.96.0.10", 80)),
    ],
)
def test_both_translations_meet_both_directions_at_their_hooks(
    hook: str, reply: bool, expected: tuple[str, int]
) -> None:
    flow = FiveTuple("tcp", "10.244.1.2", 40000, "10.96.0.10", 80)
    connection = Connection(0, NetNsKey("k", 1), SYN, flow, flow.inverted)
    both = connection.with_nat("prerouting", "10.244.2.2", 8080).with_nat("postrouting", "192.168.52.11", 1024)
    goal = both.translated(hook, reply=reply)
    assert goal is not None
    assert ((goal.dst, goal.dport) if hook in ("prerouting", "output") else (goal.src, goal.sport)) == expected


def test_a_translation_to_the_same_is_none() -> None:
    flow = FiveTuple("tcp", "10.244.1.2", 40000, "10.96.0.10", 80)
    connection = Connection(0, NetNsKey("k", 1), SYN, flow, flow.inverted)
    assert connection.with_nat("postrouting", "10.244.1.2", 40000).status == frozenset()


@pytest.mark.parametrize(("prio", "verdict"), [(-150, "dropped"), (-50, "delivered")])
def test_chains_before_the_nat_hook_see_an_answer_as_it_came(prio: int, verdict: str) -> None:
    """``NF_IP_PRI_NAT_DST`` is where an answer gets its client's address back."""
    to_node = (match(field("tcp sport"), 80), match(field("ip daddr"), "10.244.1.1"))
    masquerade = (chain("post", "postrouting", type="nat", prio=100), rule("post", {"masquerade": None}))
    late = (chain("late", "prerouting", prio=prio), rule("late", *to_node, {"drop": None}))
    answer = asked(rules(*masquerade, *late), target="pod-c")
    assert answer.forward.hops[-1].packet.src == "10.244.1.1"
    assert answer.verdict == verdict
