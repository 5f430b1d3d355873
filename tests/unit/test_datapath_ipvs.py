"""IPVS from a snapshot: the table as ``ipvsadm -Sn`` prints it, and the way of a packet to its real servers.

No kernel at hand has IPVS: what is held here is ip_vs_core.c, ip_vs_xmit.c and ip_vs_nfct.c as read.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfs.cluster.endpoint import resolve
from netfs.cluster.topology import Topology
from netfs.datapath import ipvs, request, trace
from netfs.datapath.netfilter.datatypes import NotUnderstoodError
from netfs.model.gaps import Gap
from netfs.model.snapshot import Firewall, NetNs
from netfs.model.trace import Direction, Trace
from tests.unit import clusters
from tests.unit.clusters import Edit

KUBE_PROXY = """\
-A -t 10.96.0.1:443 -s rr
-a -t 10.96.0.1:443 -r 192.168.52.11:6443 -m -w 1
-A -t 10.96.0.10:80 -s rr -p 10800
-a -t 10.96.0.10:80 -r 10.244.1.3:80 -m -w 1
-a -t 10.96.0.10:80 -r 10.244.2.2:80 -m -w 1
-A -u [fd00:96::a]:53 -s wrr
-a -u [fd00:96::a]:53 -r [fd00::2]:53 -m -w 3
-a -u [fd00:96::a]:53 -r [fd00::3]:53 -m -w 1
-A -f 0x10 -s sh -b sh-port
-a -f 0x10 -r 10.244.1.3:0 -g -w 1
"""


def test_a_table_of_kube_proxy_is_read() -> None:
    table = ipvs.parse(KUBE_PROXY)
    web = table.find("tcp", "10.96.0.10", 80, 0)
    assert web is not None
    assert web.persistent == 10800
    assert [(server.address, server.port, server.method) for server in web.servers] == [
        ("10.244.1.3", 80, "masquerading"),
        ("10.244.2.2", 80, "masquerading"),
    ]
    assert table.find("udp", "10.96.0.10", 80, 0) is None
    assert table.find("tcp", "10.96.0.10", 81, 0) is None
    marked = table.find("tcp", "10.96.0.10", 81, 16)
    assert marked is not None
    assert marked.servers[0].method == "direct routing"


def test_a_service_of_port_zero_takes_every_port() -> None:
    table = ipvs.parse("-A -t 10.96.0.10:0 -s rr -p 60\n-a -t 10.96.0.10:0 -r 10.244.1.3:0 -m -w 1")
    assert table.find("tcp", "10.96.0.10", 8443, 0) is not None


@pytest.mark.parametrize(
    ("scheduler", "weights", "shares"),
    [
        ("rr", (1, 3), [0.5, 0.5]),
        ("wrr", (1, 3), [0.25, 0.75]),
        ("lc", (1, 3), [0.5, 0.5]),
        ("wlc", (1, 0, 1), [0.5, 0.5]),
        ("sh", (1, 1), [None, None]),
        ("mh", (1, 0), [1.0]),
        ("fo", (1, 7), [1.0]),
        ("rr", (0, 0), []),
        ("rr", (), []),
    ],
)
def test_shares_follow_scheduler_and_weight(
    scheduler: str, weights: tuple[int, ...], shares: list[float | None]
) -> None:
    servers = [f"-a -t 10.0.0.1:1 -r 10.0.1.{number}:1 -m -w {weight}" for number, weight in enumerate(weights)]
    service = ipvs.parse("\n".join([f"-A -t 10.0.0.1:1 -s {scheduler}", *servers])).find("tcp", "10.0.0.1", 1, 0)
    assert service is not None
    assert [share for _, share in service.shares()] == shares


@pytest.mark.parametrize(
    ("text", "line", "column", "word"),
    [
        ("-X -t 10.0.0.1:80", 1, 1, "-X"),
        ("\n-A -t 10.0.0.1:99999 -s rr", 2, 7, "99999"),
        ("-A -t", 1, 4, "no value"),
        ("-A -t 10.0.0.1:80 -s rr --colour red", 1, 25, "--colour"),
        ("-a -t 10.0.0.1:80 -r 10.0.0.2:80 -m", 1, 1, "not listed"),
        ("-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 10.0.0.2:80 -w many", 2, 37, "many"),
        ("-A -t 10.0.0:80", 1, 7, "10.0.0"),
        ("-A -s rr", 1, 1, "no service"),
    ],
)
def test_what_is_not_understood_is_named_with_its_place(text: str, line: int, column: int, word: str) -> None:
    with pytest.raises(NotUnderstoodError) as caught:
        ipvs.parse(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert word in str(caught.value)


WORDS = [*KUBE_PROXY.split(), "-A", "[", "]:", "\n", "\0", "9" * 40, "١", "-p", "-r"]


@given(st.lists(st.sampled_from(WORDS), max_size=30))
def test_a_mutilated_table_is_an_error_or_a_table(words: list[str]) -> None:
    found: ipvs.Table | NotUnderstoodError
    try:
        found = ipvs.parse(" ".join(words))
    except NotUnderstoodError as error:
        found = error
    assert isinstance(found, ipvs.Table) or (found.line is not None and found.column is not None)


def firewall(**texts: str) -> Edit:
    def edit(netns: NetNs) -> NetNs:
        return replace(netns, firewall=Firewall(**texts))

    return edit


def asked(source: str, table: str, *more: Edit, target: str = "10.96.0.10", **wish: Any) -> Trace:
    """A trace to a cluster IP that node1 holds on kube-ipvs0."""
    edits = [
        clusters.add(links=[clusters.device(20, "kube-ipvs0", "dummy", router=True)]),
        clusters.new_address("kube-ipvs0", "10.96.0.10/32"),
        firewall(ipvs=table),
        *more,
    ]
    topology = clusters.two_nodes(node1=edits)
    sent: dict[str, Any] = {"proto": "tcp", "port": 80} | wish
    return trace(topology, resolve(topology, source), resolve(topology, target), request(**sent))


def ways(way: Direction) -> dict[str, float | None]:
    every = (way, *way.branches)
    return {each.reached.name: each.share for each in every if each.reached is not None}


def test_a_pod_s_packet_is_scheduled_and_both_answers_come_from_the_service() -> None:
    answer = asked("pod-a", KUBE_PROXY)
    assert answer.verdict == "delivered"
    assert ways(answer.forward) == {"default/pod-c": 0.5, "default/pod-b": 0.5}
    for back in (answer.reverse, *answer.reverse.branches):
        assert (back.hops[-1].packet.src, back.hops[-1].packet.sport) == ("10.96.0.10", 80)
    hop = next(hop for hop in answer.forward.hops if hop.stage == "ipvs")
    assert "10800 s" in hop.why
    assert hop.packet.ttl == 64
    assert answer.forward.hops[-1].packet.ttl < 64


def test_without_bridge_nf_the_neighbour_s_answer_does_not_meet_ipvs() -> None:
    near = "-A -t 10.96.0.10:80 -s rr\n-a -t 10.96.0.10:80 -r 10.244.1.3:80 -m -w 1"
    answer = asked("pod-a", near, clusters.sysctl("net.bridge.bridge-nf-call-iptables", 0))
    assert answer.reverse.drop is not None
    assert answer.reverse.drop.slug == "bridge-nf-off"


def test_a_node_s_own_packet_is_scheduled_at_output() -> None:
    answer = asked("node/node1", "-A -t 10.96.0.10:80 -s rr\n-a -t 10.96.0.10:80 -r 10.244.1.3:80 -m -w 1")
    assert ways(answer.forward) == {"default/pod-c": None}


def test_a_quiesced_server_gets_nothing() -> None:
    answer = asked("pod-a", KUBE_PROXY.replace("-r 10.244.1.3:80 -m -w 1", "-r 10.244.1.3:80 -m -w 0"))
    assert ways(answer.forward) == {"default/pod-b": None}


@pytest.mark.parametrize("servers", ["", "-a -t 10.96.0.10:80 -r 10.244.1.3:80 -m -w 0"])
def test_without_a_server_the_sender_is_told(servers: str) -> None:
    answer = asked("pod-a", f"-A -t 10.96.0.10:80 -s rr\n{servers}")
    assert answer.forward.drop is not None
    assert answer.forward.drop.reason == "NETFILTER_DROP"
    assert "port-unreachable" in answer.forward.drop.why


@pytest.mark.parametrize(("option", "words"), [("-g", "direct routing"), ("-i", "tunnelling")])
def test_other_methods_are_unknown_by_their_name(option: str, words: str) -> None:
    answer = asked("pod-a", f"-A -t 10.96.0.10:80 -s rr\n-a -t 10.96.0.10:80 -r 10.244.1.3:80 {option} -w 1")
    assert answer.verdict == "unknown"
    assert words in (answer.forward.unknown or "")


def test_a_server_in_the_node_itself_is_delivered_to_its_own_port() -> None:
    answer = asked("pod-a", "-A -t 10.96.0.10:80 -s rr\n-a -t 10.96.0.10:80 -r 192.168.52.11:6443 -m -w 1")
    assert answer.forward.drop is not None
    assert "TCP 6443" in answer.forward.drop.why


def test_a_ping_of_a_cluster_ip_is_answered_by_the_node() -> None:
    answer = asked("pod-a", KUBE_PROXY, proto="icmp", port=None)
    assert answer.verdict == "delivered"
    assert [hop.stage for hop in answer.forward.hops].count("ipvs") == 0


def test_another_port_of_the_address_is_no_business_of_ipvs() -> None:
    answer = asked("pod-a", KUBE_PROXY, port=81)
    assert answer.forward.drop is not None
    assert answer.forward.drop.reason == "NO_SOCKET"


def test_a_table_that_cannot_be_read_leaves_the_packet_open() -> None:
    answer = asked("pod-a", "-A -t 10.96.0.10:80 --quantum")
    assert answer.verdict == "unknown"
    assert "line 1, column 21" in (answer.forward.unknown or "")


def test_a_table_that_was_not_read_leaves_open_what_becomes_of_a_local_packet() -> None:
    gap = Gap("node1", "ipvs", "ipvsadm is not installed", clusters.two_nodes().nodes["node1"].netns.id)
    snapshots = [
        replace(node, gaps=(gap,)) if node.name == "node1" else node for node in clusters.two_nodes().snapshots
    ]
    topology = Topology(snapshots)
    ends = resolve(topology, "pod-a"), resolve(topology, "10.244.1.1")
    assert trace(topology, *ends, request(proto="tcp", port=80)).verdict == "unknown"
    assert trace(topology, *ends, request()).verdict == "delivered"


def test_ipvs_without_conntrack_is_not_guessed() -> None:
    answer = asked("pod-a", KUBE_PROXY, clusters.sysctl("net.ipv4.vs.conntrack", 0))
    assert answer.verdict == "unknown"
    assert "net.ipv4.vs.conntrack" in (answer.forward.unknown or "")
