"""Each fault that state alone shows: the finding of its name comes first, and nothing else is an error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from netfs import diagnose
from netfs.cluster.topology import Topology
from netfs.model.address import NUD_FAILED, NUD_NOARP, NUD_PERMANENT, NUD_REACHABLE, NUD_STALE, FdbEntry, Neighbour
from netfs.model.link import IFF_NOARP, Bridge
from netfs.model.route import Rule
from netfs.model.snapshot import Firewall, NetNs
from tests.unit.clusters import (
    ETHERNET,
    add,
    change,
    cluster,
    conf4,
    device,
    down,
    fdb,
    link,
    mac,
    new_address,
    no_address,
    no_carrier,
    no_fdb,
    no_link,
    no_neighbour,
    no_route,
    port,
    route,
    synthetic_snapshots,
    sysctl,
    two_nodes,
    vtep_mac,
    vxlan,
)

POD_B, POD_D = mac(0, 2, 1, 2), mac(0, 2, 1, 3)
NFT_DROP = (
    '{"nftables": [{"table": {"family": "ip", "name": "t", "handle": 1}},'
    ' {"chain": {"family": "ip", "table": "t", "name": "in", "handle": 1, "hook": "input", "type": "filter",'
    ' "prio": 0, "policy": "accept"}},'
    ' {"rule": {"family": "ip", "table": "t", "chain": "in", "handle": 7, "expr": [{"match": {"op": "==", "left":'
    ' {"payload": {"protocol": "udp", "field": "dport"}}, "right": 8472}}, {"drop": null}]}}]}'
)
NO_ONLINK = route("10.244.2.0/24", 4, "10.244.2.0")
FOREVER = Neighbour(3, 4, "10.244.2.2", "02:00:00:00:00:99", NUD_PERMANENT)


def _forwarding_off(netns: NetNs) -> NetNs:
    links = tuple(replace(each, ipv4={**each.ipv4, "forwarding": 0}) for each in netns.links)
    return replace(sysctl("net.ipv4.ip_forward", 0)(netns), links=links)


FAULTS = {
    "pod-link-down": ("pod-b/eth0", two_nodes(pod_b=down("eth0"), node2=no_carrier("veth2x1"))),
    "veth-host-down": ("node2/veth2x1", two_nodes(node2=down("veth2x1"), pod_b=no_carrier("eth0"))),
    "veth-peer-missing": ("pod-b", two_nodes(pod_b=no_link("eth0"), node2=no_link("veth2x1"))),
    "bridge-down": ("node2/cni0", two_nodes(node2=[down("cni0"), port("veth2x1", state=0), port("veth2x2", state=0)])),
    "underlay-link-down": ("node2/eth0", two_nodes(node2=down("eth0"), fabric=no_carrier("port2"))),
    "address-missing": ("pod-b/eth0", two_nodes(pod_b=[no_address("10.244.2.2"), no_route("0.0.0.0/0")])),
    "address-duplicate": ("pod-d/eth0", two_nodes(pod_d=new_address("eth0", "10.244.2.2/24"))),
    "mac-duplicate": ("node2/flannel.1", two_nodes(node2=link("flannel.1", mac=vtep_mac(1)))),
    "prefix-wrong": ("pod-a/eth0", two_nodes(pod_a=[no_address("10.244.1.2"), new_address("eth0", "10.244.1.2/16")])),
    "pod-cidr-overlap": ("node2/cni0", two_nodes(node2=new_address("cni0", "10.244.1.126/25"))),
    "address-outside-pod-cidr": (
        "pod-b/eth0",
        two_nodes(pod_b=[no_address("10.244.2.2"), new_address("eth0", "10.244.99.2/24")]),
    ),
    "route-default-missing": ("pod-a/eth0", two_nodes(pod_a=no_route("0.0.0.0/0"))),
    "route-remote-subnet-missing": ("node1/flannel.1", two_nodes(node1=no_route("10.244.2.0/24"))),
    "route-wrong-device": (
        "node1/flannel.1",
        two_nodes(node1=[no_route("10.244.2.0/24"), add(routes=[route("10.244.2.0/24", 3)])]),
    ),
    "route-wrong-nexthop": (
        "node1/flannel.1",
        two_nodes(node1=[no_route("10.244.2.0/24"), add(routes=[route("10.244.2.0/24", 2, "192.168.52.1")])]),
    ),
    "route-blackhole": ("node1", two_nodes(node1=add(routes=[route("10.244.2.2/32", type="blackhole")]))),
    "route-loop": (
        "node2/flannel.1",
        two_nodes(node2=add(routes=[route("10.244.2.2/32", 4, "10.244.1.0", onlink=True)])),
    ),
    "route-asymmetric": (
        "node2/eth0",
        two_nodes(
            node2=[no_route("10.244.1.0/24"), add(routes=[route("10.244.1.0/24", 2, "192.168.52.11")])],
            node1=conf4("eth0", rp_filter=1),
        ),
    ),
    "rule-shadows-main": (
        "node1",
        two_nodes(
            node1=add(
                routes=[route("0.0.0.0/0", 2, "192.168.52.1", table=100)],
                rules=[Rule(4, 100, table=100, src="10.244.1.0/24")],
            )
        ),
    ),
    "route-stale-pod": ("node1/cni0", two_nodes(node1=add(routes=[route("10.244.2.2/32", 3)]))),
    "source-address-wrong": (
        "pod-a/eth0",
        two_nodes(
            pod_a=[
                new_address("lo", "172.31.9.9/32"),
                no_route("10.244.1.0/24"),
                add(routes=[route("10.244.1.0/24", 2, protocol=2, prefsrc="172.31.9.9")]),
            ]
        ),
    ),
    "neighbour-failed": (
        "node1/eth0",
        two_nodes(
            node1=add(
                routes=[route("10.244.2.2/32", 2, "192.168.52.99")],
                neighbours=[Neighbour(2, 4, "192.168.52.99", None, NUD_FAILED)],
            )
        ),
    ),
    "neighbour-missing-vtep": ("node1/flannel.1", two_nodes(node1=no_neighbour("10.244.2.0"))),
    "neighbour-wrong-mac": ("node2/cni0", two_nodes(node2=add(neighbours=[FOREVER]))),
    "neighbour-stale-pod-mac": ("node2/cni0", two_nodes(node2=add(neighbours=[replace(FOREVER, state=NUD_STALE)]))),
    "arp-ignored": ("pod-b/eth0", two_nodes(pod_b=conf4("eth0", arp_ignore=8))),
    "vxlan-device-missing": ("node2/flannel.1", two_nodes(node2=no_link("flannel.1"))),
    "vxlan-device-down": ("node2/flannel.1", two_nodes(node2=[down("flannel.1"), no_neighbour("10.244.1.0")])),
    "vxlan-fdb-missing": ("node1/flannel.1", two_nodes(node1=no_fdb(vtep_mac(2)))),
    "vxlan-fdb-wrong-dst": ("node1/flannel.1", two_nodes(node1=fdb(vtep_mac(2), dst="192.168.52.1"))),
    "vxlan-vni-mismatch": ("node2/flannel.1", two_nodes(node2=vxlan("flannel.1", vni=2))),
    "vxlan-port-mismatch": ("node2/flannel.1", two_nodes(node2=vxlan("flannel.1", port=4789))),
    "vxlan-local-wrong": ("node2/flannel.1", two_nodes(node2=vxlan("flannel.1", local="192.168.52.99"))),
    "vxlan-lower-device-wrong": (
        "node2/flannel.1",
        two_nodes(node2=[vxlan("flannel.1", lower=3), link("flannel.1", link_index=3)]),
    ),
    "vxlan-vtep-mac-changed": ("node2/flannel.1", two_nodes(node2=link("flannel.1", mac="02:f4:00:00:00:99"))),
    "vxlan-outer-blocked": ("node2", two_nodes(node2=lambda netns: replace(netns, firewall=Firewall(nft=NFT_DROP)))),
    "vxlan-learning-poisoned": (
        "node1/flannel.1",
        two_nodes(node1=[vxlan("flannel.1", learning=True), fdb(vtep_mac(2), dst="192.168.52.1", state=NUD_REACHABLE)]),
    ),
    "vxlan-df-too-big": (
        "node1/flannel.1",
        two_nodes(node1=[vxlan("flannel.1", df=1), link("flannel.1", mtu=1500)]),
    ),
    "bridge-port-detached": ("node2/veth2x1", two_nodes(node2=link("veth2x1", master=None, port=None))),
    "bridge-port-wrong": (
        "node2/veth2x1",
        two_nodes(
            node2=[add(links=[device(30, "cni1", "bridge", router=True, bridge=Bridge())]), link("veth2x1", master=30)]
        ),
    ),
    "bridge-port-blocked": ("node2/veth2x1", two_nodes(node2=port("veth2x1", state=0))),
    "bridge-fdb-stale": ("node2/veth2x2", two_nodes(node2=add(fdb=[FdbEntry(12, POD_B, NUD_NOARP, master=3)]))),
    "bridge-gateway-missing": ("node1/cni0", two_nodes(node1=no_address("10.244.1.1"))),
    "bridge-flood-off": ("node2/veth2x1", two_nodes(node2=port("veth2x1", flood=False, bcast_flood=False))),
    "forwarding-off": ("node1", two_nodes(node1=_forwarding_off)),
    "rp-filter-strict": (
        "node2/flannel.1",
        two_nodes(
            node2=[
                no_route("10.244.1.0/24"),
                add(routes=[route("10.244.1.0/24", 2, "192.168.52.11")]),
                conf4("flannel.1", rp_filter=1),
            ]
        ),
    ),
    "accept-local-needed": ("node2/lo", two_nodes(node2=new_address("lo", "10.244.1.2/32"))),
    "martian-source": (
        "pod-a/eth0",
        two_nodes(
            pod_a=[
                no_route("0.0.0.0/0"),
                add(routes=[route("0.0.0.0/0", 2, "10.244.1.1", prefsrc="127.0.0.1")]),
            ]
        ),
    ),
    "mtu-overlay-too-big": (
        "pod-a/eth0",
        two_nodes(node1=[link("cni0", mtu=1500), link("veth1x1", mtu=1500)], pod_a=link("eth0", mtu=1500)),
    ),
    "mtu-mismatch-veth": ("pod-b/eth0", two_nodes(pod_b=link("eth0", mtu=1300))),
    "mtu-underlay-mismatch": ("node2/eth0", two_nodes(node2=link("eth0", mtu=1400))),
}
WARNINGS = {
    "route-onlink-missing": (
        "node1/flannel.1",
        two_nodes(node1=[no_route("10.244.2.0/24"), add(routes=[NO_ONLINK])]),
    ),
    "bridge-hairpin-off": (
        "node2/veth2x1",
        Topology(change(cluster(2, 3), "node2", port("veth2x2", hairpin=True), port("veth2x3", hairpin=True))),
    ),
    "bridge-nf-off": ("node1", two_nodes(node1=sysctl("net.bridge.bridge-nf-call-iptables", 0))),
    "address-missing": ("node2/flannel.1", two_nodes(node2=no_address("10.244.2.0"))),
    "neighbour-table-full": (
        "node1",
        two_nodes(
            node1=[
                sysctl("net.ipv4.neigh.default.gc_thresh3", 10),
                add(neighbours=[Neighbour(2, 4, f"192.168.52.{n}", mac(n)) for n in range(100, 109)]),
            ],
            node2=sysctl("net.ipv4.neigh.default.gc_thresh3", 1000),
        ),
    ),
    "vxlan-tx-checksum": (
        "node1/flannel.1",
        Topology(
            [
                replace(snapshot, release="5.4.20-generic" if snapshot.name == "node1" else "6.1.0")
                for snapshot in change(
                    cluster(2, 2), "node1", link("flannel.1", features={"tx-checksum-ip-generic": True})
                )
            ]
        ),
    ),
}


@pytest.mark.parametrize("make", [lambda: cluster(1, 2), lambda: cluster(2, 2), lambda: cluster(5, 3)])
def test_a_healthy_lab_has_no_finding(make: Callable[[], list[object]]) -> None:
    assert diagnose.examine(Topology(make())) == ()  # type: ignore[arg-type]


def test_a_healthy_cluster_of_machines_has_no_finding() -> None:
    assert diagnose.examine(Topology(synthetic_snapshots(20, 3))) == ()


@pytest.mark.parametrize("slug", FAULTS)
def test_one_fault_gives_its_own_error_first_and_alone(slug: str) -> None:
    where, topology = FAULTS[slug]
    found = diagnose.examine(topology)
    assert found, "nothing was found"
    assert (found[0].slug, found[0].object, found[0].severity) == (slug, where, "error")
    assert [f.slug for f in found if f.severity == "error"] == [slug], found
    assert found[0].fix


@pytest.mark.parametrize("slug", WARNINGS)
def test_a_risk_is_a_warning(slug: str) -> None:
    where, topology = WARNINGS[slug]
    assert [(f.slug, f.object, f.severity) for f in diagnose.examine(topology)] == [(slug, where, "warning")]


def test_two_faults_give_two_findings() -> None:
    both = two_nodes(node1=no_fdb(vtep_mac(2)), pod_b=conf4("eth0", arp_ignore=8))
    assert {f.slug for f in diagnose.examine(both)} == {"vxlan-fdb-missing", "arp-ignored"}


def test_the_majority_decides_who_has_the_wrong_vni() -> None:
    topology = Topology(change(cluster(4, 1), "node1", vxlan("flannel.1", vni=7), link("flannel.1")))
    assert [f.object for f in diagnose.examine(topology)] == ["node1/flannel.1"]


def test_an_arp_off_pod_is_named() -> None:
    found = diagnose.examine(two_nodes(pod_b=link("eth0", flags=ETHERNET | IFF_NOARP)))
    assert [f.slug for f in found] == ["arp-ignored"]


def test_a_fix_restores_what_the_kernel_forgot() -> None:
    _, topology = FAULTS["pod-link-down"]
    assert diagnose.examine(topology)[0].fix == (
        "ip link set eth0 up && ip route replace default via 10.244.2.1 dev eth0"
    )


def test_a_fix_quotes_what_came_from_a_node() -> None:
    evil = "a;reboot"
    found = diagnose.examine(two_nodes(node2=[link("veth2x1", name=evil), port(evil, state=4)]))
    assert found[0].fix == "bridge link set dev 'a;reboot' state 3"


def test_gone_nodes_in_a_large_cluster_are_found_by_their_entries() -> None:
    snapshots = change(synthetic_snapshots(40, 1), "node7", no_fdb(vtep_mac(30)))
    found = diagnose.examine(Topology(snapshots))
    assert [(f.slug, f.object) for f in found] == [("vxlan-fdb-missing", "node7/flannel.1")]
    assert vtep_mac(30) in found[0].fix
