"""What kube-proxy writes, in both languages: names as it hashes them, and rules for each kind of Service."""

from __future__ import annotations

import re

import pytest

from netfs.lab import plan, rules, services
from netfs.lab.proxy import iptables, naming, nftables
from netfs.model.kubernetes import Kubernetes

WHOLE = plan.make(2, 2, ipv6=True)
NODE1, NODE2 = WHOLE.nodes


def _objects(*texts: str) -> Kubernetes:
    return services.objects(WHOLE, texts)


def _iptables(*texts: str, node: plan.NodePlan = NODE1, family: int = 4, saved: str = "") -> list[str]:
    return iptables.text(_objects(*texts), rules.site(node, family), saved).splitlines()


def _nftables(*texts: str, node: plan.NodePlan = NODE1, family: int = 4) -> str:
    return "".join(nftables.parts(_objects(*texts), rules.site(node, family)))


def _chain(text: str, name: str) -> list[str]:
    """The rules of one chain of nftables."""
    found = re.search(rf"chain {re.escape(name)} {{\n(.*?)\n  }}", text, re.DOTALL)
    assert found is not None, name
    return [line.strip() for line in found[1].splitlines()]


@pytest.mark.parametrize(
    ("port", "protocol", "name"),
    [
        ("default/kubernetes:https", "tcp", "KUBE-SVC-NPX46M4PTMTKRN6Y"),
        ("kube-system/kube-dns:dns", "udp", "KUBE-SVC-TCOU7JCQXEZGVUNU"),
        ("kube-system/kube-dns:dns-tcp", "tcp", "KUBE-SVC-ERIFXISQEP7F7OF4"),
        ("kube-system/kube-dns:metrics", "tcp", "KUBE-SVC-JD5MR3NA4I4DYORP"),
        ("default/nginx", "tcp", "KUBE-SVC-2CMXP7HKUVJN7L6M"),
    ],
)
def test_a_chain_of_iptables_is_named_as_in_every_cluster(port: str, protocol: str, name: str) -> None:
    assert naming.iptables_service("SVC", port, protocol) == name


def test_an_endpoint_chain_of_iptables_is_named_by_its_backend() -> None:
    named = naming.iptables_endpoint("default/kubernetes:https", "tcp", "192.168.2.41:443")
    assert named == "KUBE-SEP-QOWY5WNKXGKKZOZD"


def test_chains_of_nftables_are_named_as_kube_proxy_does() -> None:
    assert naming.nftables_service("ns1", "svc1", "tcp", "p80") == "ULMVA6XW-ns1/svc1/tcp/p80"
    endpoint = naming.nftables_endpoint("ns1", "svc1", "tcp", "p80", "10.180.0.1", 80)
    assert endpoint == "5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80"
    six = naming.nftables_endpoint("n", "s", "tcp", "", "fd00::2", 80)
    assert six.endswith("-n/s/tcp/__fd00..2/80")
    assert len(naming.nftables_service("n" * 63, "s" * 63, "tcp", "p" * 200)) == 240


def test_three_backends_share_by_falling_odds() -> None:
    lines = _iptables("web=pod-a,pod-b,pod-c:80")
    odds = [line.partition("--probability ")[2].split()[0] for line in lines if "--probability" in line]
    assert odds == ["0.3333333333", "0.5000000000"]
    spread = [line for line in lines if "default/web -> " in line]
    assert len(spread) == 3
    assert "statistic" not in spread[-1]
    text = _nftables("web=pod-a,pod-b,pod-c:80")
    ways = ", ".join(
        f"{index} : goto endpoint-{naming.nftables_endpoint('default', 'web', 'tcp', '', ip, 80)}"
        for index, ip in enumerate(("10.244.1.2", "10.244.1.3", "10.244.2.2"))
    )
    service = f"service-{naming.nftables_service('default', 'web', 'tcp', '')}"
    assert _chain(text, service)[-1] == f"numgen random mod 3 vmap {{ {ways} }}"


def test_a_cluster_ip_leads_to_its_chain_and_masquerades_who_is_no_pod() -> None:
    lines = _iptables("web=pod-b:80:8080")
    chain = naming.iptables_service("SVC", "default/web", "tcp")
    cluster = '-m comment --comment "default/web cluster IP" -m tcp -p tcp -d 10.96.0.10 --dport 80'
    assert f"-A KUBE-SERVICES {cluster} -j {chain}" in lines
    assert f"-A {chain} {cluster} ! -s 10.244.0.0/16 -j KUBE-MARK-MASQ" in lines
    end = naming.iptables_endpoint("default/web", "tcp", "10.244.2.2:8080")
    comment = "-m comment --comment default/web"
    assert f"-A {end} {comment} -s 10.244.2.2 -j KUBE-MARK-MASQ" in lines
    assert f"-A {end} {comment} -m tcp -p tcp -j DNAT --to-destination 10.244.2.2:8080" in lines
    text = _nftables("web=pod-b:80:8080")
    base = naming.nftables_service("default", "web", "tcp", "")
    assert f"add element ip kube-proxy service-ips {{ 10.96.0.10 . tcp . 80 : goto service-{base} }}" in text
    assert _chain(text, f"service-{base}")[0] == (
        "ip daddr 10.96.0.10 tcp dport 80 ip saddr != 10.244.0.0/16 jump mark-for-masquerade"
    )
    assert _chain(text, f"endpoint-{naming.nftables_endpoint('default', 'web', 'tcp', '', '10.244.2.2', 8080)}") == [
        "ip saddr 10.244.2.2 jump mark-for-masquerade",
        "meta l4proto tcp dnat to 10.244.2.2:8080",
    ]


def test_a_service_without_ready_backends_is_refused_everywhere() -> None:
    wanted = "web=pod-b:80,notready=pod-b,node-port=30090,external-ip=203.0.113.5"
    lines = _iptables(wanted)
    none = '-m comment --comment "default/web has no endpoints"'
    assert f"-A KUBE-SERVICES {none} -m tcp -p tcp -d 10.96.0.10 --dport 80 -j REJECT" in lines
    assert f"-A KUBE-EXTERNAL-SERVICES {none} -m tcp -p tcp -d 203.0.113.5 --dport 80 -j REJECT" in lines
    node_port = f"{none} -m addrtype --dst-type LOCAL -m tcp -p tcp --dport 30090"
    assert f"-A KUBE-EXTERNAL-SERVICES {node_port} -j REJECT" in lines
    assert not [line for line in lines if "KUBE-SEP-" in line or "KUBE-EXT-" in line]
    text = _nftables(wanted)
    assert '10.96.0.10 . tcp . 80 comment "default/web" : goto reject-chain' in text
    assert 'tcp . 30090 comment "default/web" : goto reject-chain' in text
    assert "chain endpoint-" not in text


def test_who_still_serves_while_it_terminates_is_the_last_resort() -> None:
    assert any("10.244.2.2:80" in line for line in _iptables("web=pod-b:80,terminating=pod-b"))
    lines = _iptables("web=pod-b,pod-d:80,terminating=pod-b")
    assert not any("10.244.2.2:80" in line for line in lines)
    assert any("10.244.2.3:80" in line for line in lines)


def test_external_policy_local_keeps_the_source_and_drops_where_no_backend_is() -> None:
    wanted = "web=pod-b:80,type=NodePort,external=Local"
    here, there = _iptables(wanted, node=NODE2), _iptables(wanted, node=NODE1)
    external, local, cluster = (naming.iptables_service(one, "default/web", "tcp") for one in ("EXT", "SVL", "SVC"))
    assert f"-A {external} -j {local}" in here
    assert f"-A {external} -j {local}" not in there
    dropped = '-m comment --comment "default/web has no local endpoints" -m addrtype --dst-type LOCAL'
    assert f"-A KUBE-EXTERNAL-SERVICES {dropped} -m tcp -p tcp --dport 30080 -j DROP" in there
    pods = '-m comment --comment "pod traffic for default/web external destinations" -s 10.244.0.0/16'
    for lines in (here, there):
        assert f"-A {external} {pods} -j {cluster}" in lines
        assert not any("masquerade traffic for" in line for line in lines)
    text = _nftables(wanted, node=NODE1)
    assert 'tcp . 30080 comment "default/web" : drop' in text
    assert "local-" not in text
    assert "local-" in _nftables(wanted, node=NODE2)


def test_internal_policy_local_uses_the_nodes_own_backends() -> None:
    wanted = "web=pod-a,pod-b:80,internal=Local"
    for node, mine, other in ((NODE1, "10.244.1.2", "10.244.2.2"), (NODE2, "10.244.2.2", "10.244.1.2")):
        assert any(f"--to-destination {mine}:80" in line for line in _iptables(wanted, node=node))
        assert not any(f"--to-destination {other}:80" in line for line in _iptables(wanted, node=node))
        assert f"dnat to {mine}:80" in _nftables(wanted, node=node)
        assert f"dnat to {other}:80" not in _nftables(wanted, node=node)


def test_a_load_balancer_lets_its_source_ranges_pass_and_its_node_too() -> None:
    wanted = "web=pod-b:80,lb-ip=203.0.113.80,lb-from=192.168.52.0/24+198.51.100.0/24"
    lines = _iptables(wanted)
    fence, external = (naming.iptables_service(one, "default/web", "tcp") for one in ("FW", "EXT"))
    passed = [
        line.partition(" -s ")[2].split()[0] for line in lines if line.startswith(f"-A {fence}") and " -s " in line
    ]
    assert passed == ["192.168.52.0/24", "198.51.100.0/24", "203.0.113.80"]
    assert all(f"-j {external}" in line for line in lines if line.startswith(f"-A {fence}") and " -s " in line)
    assert any(line.startswith("-A KUBE-PROXY-FIREWALL") and line.endswith("-j DROP") for line in lines)
    text = _nftables(wanted)
    firewall = f"firewall-{naming.nftables_service('default', 'web', 'tcp', '')}"
    assert _chain(text, firewall) == ["ip saddr != { 192.168.52.0/24, 198.51.100.0/24, 203.0.113.80 } drop"]
    assert f"203.0.113.80 . tcp . 80 : goto {firewall}" in text


def test_affinity_asks_for_the_backend_of_before_and_remembers_it() -> None:
    lines = _iptables("web=pod-a,pod-b:80,affinity=600")
    end = naming.iptables_endpoint("default/web", "tcp", "10.244.1.2:80")
    asked = next(index for index, line in enumerate(lines) if f"--name {end} --rcheck --seconds 600 --reap" in line)
    assert asked < next(index for index, line in enumerate(lines) if "statistic" in line)
    assert any(f"-m recent --name {end} --set" in line and "DNAT" in line for line in lines)
    text = _nftables("web=pod-a,pod-b:80,affinity=600")
    name = naming.nftables_endpoint("default", "web", "tcp", "", "10.244.1.2", 80)
    assert f"set affinity-{name} {{\n    type ipv4_addr\n    flags dynamic,timeout\n    timeout 600s\n" in text
    assert _chain(text, f"endpoint-{name}")[1] == f"update @affinity-{name} {{ ip saddr }}"


def test_a_headless_service_has_no_rule() -> None:
    assert _iptables("web=pod-b:80,headless") == _iptables()
    assert _nftables("web=pod-b:80,headless") == _nftables()


def test_ports_of_one_service_have_chains_of_their_own() -> None:
    lines = _iptables("dns=pod-b:53:8080/udp+53:8080")
    assert any('"default/dns:udp-53 cluster IP" -m udp -p udp -d 10.96.0.10 --dport 53' in line for line in lines)
    assert any('"default/dns:tcp-53 cluster IP" -m tcp -p tcp -d 10.96.0.10 --dport 53' in line for line in lines)


def test_ipv6_says_the_same_in_its_own_family() -> None:
    lines = _iptables("web=pod-b:80", family=6)
    assert any(line.endswith("--to-destination [fd00:10:244:2::2]:80") for line in lines)
    assert any("-d fd00:10:96::a --dport 80 ! -s fd00:10:244::/48 -j KUBE-MARK-MASQ" in line for line in lines)
    assert any("--dst-type LOCAL ! -d ::1/128 -j KUBE-NODEPORTS" in line for line in lines)
    assert not any("10.244." in line or "127.0.0.0" in line for line in lines)
    text = _nftables("web=pod-b:80", family=6)
    assert "table ip6 kube-proxy {" in text
    assert "dnat to [fd00:10:244:2::2]:80" in text
    assert "ipv4" not in text


def test_a_second_sync_leaves_the_jumps_and_removes_chains_of_services_that_are_gone() -> None:
    gone = naming.iptables_service("SVC", "default/old", "tcp")
    jump = '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
    saved = f"*nat\n:PREROUTING ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\n:{gone} - [0:0]\n:OTHER - [0:0]\n{jump}\nCOMMIT\n"
    lines = _iptables("web=pod-b:80", saved=saved)
    assert f"-I {jump[3:]}" not in lines
    assert f":{gone} - [0:0]" in lines
    assert f"-X {gone}" in lines
    assert "-X OTHER" not in lines
    assert f"-I {jump[3:]}" in _iptables("web=pod-b:80")


def test_cleaning_up_removes_what_is_ours_and_nothing_else() -> None:
    jump = '-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
    saved = (
        f"*nat\n:OUTPUT ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\n:DOCKER - [0:0]\n-A OUTPUT -j DOCKER\n{jump}\nCOMMIT\n"
    )
    lines = iptables.removal(saved).splitlines()
    nat = lines[lines.index("*nat") :]
    assert nat[: nat.index("COMMIT")] == ["*nat", ":KUBE-SERVICES - [0:0]", f"-D {jump[3:]}", "-X KUBE-SERVICES"]
    kubelets = "*filter\n:INPUT ACCEPT [0:0]\n:KUBE-FIREWALL - [0:0]\n-A INPUT -j KUBE-FIREWALL\nCOMMIT\n"
    assert "KUBE-FIREWALL" not in iptables.removal(kubelets)
