"""The lab's plan: what flannel would program, as data and as commands."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfs.errors import UsageError
from netfs.lab import commands, flannel, plan


def test_pods_are_dealt_round_robin() -> None:
    whole = plan.make(2, 2, ipv6=False)
    assert [(pod.name, pod.node, pod.ip) for pod in whole.pods] == [
        ("pod-a", "node1", "10.244.1.2"),
        ("pod-b", "node2", "10.244.2.2"),
        ("pod-c", "node1", "10.244.1.3"),
        ("pod-d", "node2", "10.244.2.3"),
    ]
    assert [node.ip for node in whole.nodes] == ["192.168.52.11", "192.168.52.12"]


def test_names_go_on_after_z() -> None:
    assert [plan.letters(index) for index in (0, 25, 26, 27, 701, 702)] == ["a", "z", "aa", "ab", "zz", "aaa"]


@given(st.integers(1, 40), st.integers(0, 12))
def test_every_name_address_and_mac_is_unique_and_in_its_subnet(nodes: int, pods: int) -> None:
    whole = plan.make(nodes, pods, ipv6=True)
    addresses = [a for n in whole.nodes for a in (n.ip, n.ip6, n.vtep_ip, n.vtep6_ip, n.gateway, n.gateway6)]
    addresses += [a for p in whole.pods for a in (p.ip, p.ip6)] + [plan.GATEWAY, plan.GATEWAY6]
    assert len({ipaddress.ip_address(one) for one in addresses}) == len(addresses)
    macs = [m for n in whole.nodes for m in (n.mac, n.vtep_mac, n.vtep6_mac, n.gateway_mac)]
    macs += [m for p in whole.pods for m in (p.mac, p.hostveth_mac)]
    assert len(set(macs)) == len(macs)
    assert not any(int(mac[:2], 16) & 1 for mac in macs)
    assert len({pod.hostveth for pod in whole.pods}) == len(whole.pods)
    assert all(len(pod.hostveth) <= 15 for pod in whole.pods)
    for pod in whole.pods:
        node = whole.members[pod.node]
        assert isinstance(node, plan.NodePlan)
        assert ipaddress.ip_address(pod.ip) in ipaddress.ip_network(node.subnet)
        assert ipaddress.ip_address(pod.ip6) in ipaddress.ip_network(node.subnet6)


@pytest.mark.parametrize(("nodes", "pods"), [(0, 1), (-1, 1), (201, 1), (1, -1), (1, 201)])
def test_a_lab_that_cannot_be_is_refused(nodes: int, pods: int) -> None:
    with pytest.raises(UsageError, match="cannot be"):
        plan.make(nodes, pods, ipv6=False)


def test_a_node_is_programmed_as_flannel_does() -> None:
    whole = plan.make(2, 1, ipv6=False)
    lines = list(commands.node(whole, whole.nodes[0], {"pod-a": 7}))
    assert (
        "link add flannel.1 address 02:f4:0a:f4:01:00 mtu 1450 type vxlan id 1 local 192.168.52.11 dev eth0"
        " dstport 8472 nolearning"
    ) in lines
    assert "address add 10.244.1.0/32 dev flannel.1" in lines
    assert "address replace 10.244.1.1/24 brd + dev cni0" in lines
    assert "route replace 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink" in lines
    assert "neighbour replace 10.244.2.0 lladdr 02:f4:0a:f4:02:00 dev flannel.1 nud permanent" in lines
    assert list(commands.node_fdb(whole, whole.nodes[0])) == [
        "fdb replace 02:f4:0a:f4:02:00 dev flannel.1 dst 192.168.52.12"
    ]
    assert not any("fd00:" in line for line in lines)


def test_ipv6_has_a_tunnel_of_its_own_and_pods_fit_both() -> None:
    whole = plan.make(2, 1, ipv6=True)
    lines = list(commands.node(whole, whole.nodes[1], {"pod-b": 7}))
    assert any(line.startswith("link add flannel-v6.1 ") and "mtu 1430" in line for line in lines)
    assert "route replace fd00:10:244:1::/64 via fd00:10:244:1:: dev flannel-v6.1 onlink" in lines
    assert whole.pod_mtu == 1430
    assert plan.make(2, 1, ipv6=False).pod_mtu == 1450


def test_masquerading_spares_pod_to_pod_in_both_languages() -> None:
    node = plan.make(2, 1, ipv6=False).nodes[0]
    rules = [line.strip() for line in flannel.nftables(node, 4).splitlines()]
    spared = rules.index("ip saddr 10.244.1.0/24 ip daddr 10.244.0.0/16 return")
    assert spared < rules.index("ip saddr 10.244.0.0/16 ip daddr != 224.0.0.0/4 masquerade fully-random")
    said = '-m comment --comment "flanneld masq" -j'
    rules = flannel.iptables(node, 4).splitlines()
    spared = rules.index(f"-A FLANNEL-POSTRTG -s 10.244.1.0/24 -d 10.244.0.0/16 {said} RETURN")
    masqueraded = f"-A FLANNEL-POSTRTG -s 10.244.0.0/16 ! -d 224.0.0.0/4 {said} MASQUERADE --random-fully"
    assert spared < rules.index(masqueraded)


def test_the_outside_world_reaches_external_addresses_by_a_node() -> None:
    whole = plan.make(2, 1, ipv6=False)
    published = {"203.0.113.5": "", "203.0.113.6": "node2", "2001:db8::5": ""}
    assert list(commands.outside(whole, published)) == [
        "route replace 203.0.113.5/32 via 192.168.52.11 dev underlay",
        "route replace 203.0.113.6/32 via 192.168.52.12 dev underlay",
    ]
