"""What is collected of real namespaces is what ip(8) and bridge(8) say of them.

The networks are built in a user, network and mount namespace of their own, so that any user may run this
and nothing is left behind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from netfs.model.link import Link
from netfs.model.route import NextHop, Route
from netfs.model.snapshot import NetNs, NodeSnapshot, Snapshots
from netfs.sources import document
from tests.kernel.collect_place import inside

BUILD = """
ip netns add node; ip netns add pod-a; ip netns add pod-b; ip netns add wire
n="ip -n node"
$n link set lo up
$n link add br0 type bridge stp_state 0 ageing_time 20000 mcast_snooping 0 nf_call_iptables 1
$n link add vpa type veth peer name eth0 netns pod-a
$n link add vpb type veth peer name eth0 netns pod-b
$n link add eth0 type veth peer name far netns wire
$n link set vpa master br0 up; $n link set vpb master br0 up; $n link set br0 up; $n link set eth0 up
$n link set vpa type bridge_slave hairpin on learning off
$n link set vpb type bridge_slave isolated on flood off neigh_suppress on
$n link set vpa alias 'to pod-a'; $n link property add dev vpa altname the-veth-of-pod-a
ip -n wire link set far up
$n addr add 10.244.1.1/24 dev br0; $n addr add 192.0.2.1/24 dev eth0
$n addr add 198.51.100.1 peer 198.51.100.2/32 dev eth0
$n -6 addr add fd00::1/64 dev eth0 nodad
$n link add flannel.1 address 02:00:00:00:00:01 mtu 1450 type vxlan id 1 local 192.0.2.1 dev eth0 \
    dstport 8472 nolearning ttl 7 noudpcsum
$n link set flannel.1 up
$n link add vx6 type vxlan id 77 remote fd00::2 dev eth0 dstport 4789 l2miss l3miss df set srcport 5000 6000
$n link add mv0 link eth0 type macvlan mode bridge
$n route add 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink
$n route add 10.9.0.0/16 metric 5 nexthop via 192.0.2.7 weight 3 nexthop via 192.0.2.8
$n route add blackhole 10.8.0.0/16; $n route add unreachable 10.7.0.0/16 table 100
$n route add throw 10.6.0.0/16 table 100; $n route add prohibit 10.5.0.0/16
$n route add 10.4.0.0/16 dev eth0 src 192.0.2.1 mtu lock 1400
$n -6 route add fd01::/64 via fd00::2; $n -6 route add unreachable fd02::/64 metric 77
$n rule add priority 100 fwmark 0x4000/0xf000 iif eth0 lookup 100
$n rule add priority 200 not from 10.0.0.0/8 to 10.1.0.0/16 ipproto tcp dport 80-90 goto 300
$n rule add priority 300 lookup main suppress_prefixlength 0; $n -6 rule add priority 50 oif eth0 prohibit
$n neigh add 10.244.2.0 lladdr 02:00:00:00:00:02 dev flannel.1 nud permanent
$n neigh add proxy 192.0.2.99 dev eth0; $n -6 neigh add fd00::2 lladdr 02:00:00:00:00:03 dev eth0 nud stale
bridge -n node fdb add 02:00:00:00:00:02 dev flannel.1 dst 192.0.2.2
bridge -n node fdb append 00:00:00:00:00:00 dev flannel.1 dst 192.0.2.3 port 9999 vni 5
bridge -n node fdb add 02:00:00:00:00:44 dev vpa master static
for p in pod-a pod-b; do ip -n $p link set lo up; ip -n $p link set eth0 up; done
ip -n pod-a addr add 10.244.1.2/24 dev eth0; ip -n pod-a route add default via 10.244.1.1
ip -n pod-b addr add 10.244.1.3/24 dev eth0
ip netns exec node sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward; cd /proc/sys/net/ipv4/conf/; echo 2 > eth0/rp_filter
  echo 1 > all/arp_ignore; echo 1 > eth0/proxy_arp; echo 1 > eth0/arp_filter; echo 1 > vpa/route_localnet'
"""
ANSWER = """
import ctypes, json, os, socket, subprocess, sys
from netfs.collect import Target, collect, nsfs
from netfs.model.snapshot import Snapshots
from netfs.sources import document

def say(*words):
    return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout or "[]")

def listen():
    with nsfs.opened("/run/netns/pod-a") as fd:
        nsfs.enter(fd)
    tcp = socket.create_server(("0.0.0.0", 8080))
    six = socket.create_server(("::1", 8081), family=socket.AF_INET6)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("10.244.1.2", 53))
    busy = socket.create_connection(("127.0.0.1", 8080))
    return tcp, six, udp, busy

kept = nsfs.apart(listen)
def ask():
    return {
        ns: {
            "links": say("ip", "-n", ns, "-j", "-d", "link"),
            "addresses": say("ip", "-n", ns, "-j", "addr"),
            "routes4": say("ip", "-n", ns, "-4", "-j", "-d", "route", "show", "table", "all"),
            "routes6": say("ip", "-n", ns, "-6", "-j", "-d", "route", "show", "table", "all"),
            "rules4": say("ip", "-n", ns, "-j", "rule"),
            "neighbours": say("ip", "-n", ns, "-j", "neigh"),
            "fdb": say("bridge", "-n", ns, "-j", "-d", "fdb"),
        }
        for ns in ("node", "pod-a")
    }

def settled(answers):
    return [[value for key, value in each.items() if key != "links"] for each in answers.values()]

before = nsfs.inode(nsfs.OWN)
for _ in range(20):
    ip = ask()
    nodes = collect([Target("node", "/run/netns/node", reach="veth", source="netns:node")])
    if settled(ip) == settled(ask()):  # duplicate address detection goes on for a second or two after links came up
        break
assert nsfs.inode(nsfs.OWN) == before, "the caller was left in another namespace"
confs = {}
for ns in ("node", "pod-a"):
    for family in ("ipv4", "ipv6"):
        text = subprocess.run(
            ["ip", "netns", "exec", ns, "sh", "-c", f"cd /proc/sys/net/{family}/conf && grep -sH . */*"],
            capture_output=True, text=True).stdout
        confs[f"{ns} {family}"] = dict(line.split(":", 1) for line in text.splitlines())
inodes = {name: os.stat(f"/run/netns/{name}").st_ino for name in os.listdir("/run/netns")}
sockets = [os.fstat(each.fileno()).st_ino for each in kept[:3]]
ours = document.encode(Snapshots(nodes)).decode()
print(json.dumps({"ours": ours, "ip": ip, "confs": confs, "inodes": inodes, "sockets": sockets}))
"""


class Place:
    """What was collected, and what the tools said."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.node: NodeSnapshot = document.decode(answer["ours"].encode()).nodes[0]
        self.ip: dict[str, dict[str, list[dict[str, Any]]]] = answer["ip"]
        self.confs: dict[str, dict[str, str]] = answer["confs"]
        self.inodes: dict[str, int] = answer["inodes"]
        self.sockets: list[int] = answer["sockets"]

    def netns(self, name: str) -> NetNs:
        return next(netns for netns in self.node.namespaces if netns.name == name)

    def link(self, netns: str, name: str) -> Link:
        return next(link for link in self.netns(netns).links if link.name == name)


pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def place(require_program: Callable[[str], str]) -> Place:
    for program in ("unshare", "ip", "bridge"):
        require_program(program)
    return Place(inside(BUILD, ANSWER))


NAMES = ["node", "pod-a"]


@pytest.mark.parametrize("name", NAMES)
def test_links_are_those_of_ip(place: Place, name: str) -> None:
    theirs = {
        (
            link["ifindex"],
            link["ifname"],
            link["mtu"],
            link.get("address"),
            link.get("qdisc"),
            link["operstate"].lower(),
        )
        for link in place.ip[name]["links"]
    }
    ours = {(link.index, link.name, link.mtu, link.mac, link.qdisc, link.operstate) for link in place.netns(name).links}
    assert ours == theirs
    kinds = {link["ifname"]: link.get("linkinfo", {}).get("info_kind") for link in place.ip[name]["links"]}
    assert {link.name: link.kind for link in place.netns(name).links} == kinds


@pytest.mark.parametrize("name", NAMES)
def test_addresses_are_those_of_ip(place: Place, name: str) -> None:
    theirs = {
        (link["ifindex"], each["local"], each["prefixlen"], each.get("address"), each.get("broadcast"))
        for link in place.ip[name]["addresses"]
        for each in link["addr_info"]
    }
    ours = {(each.index, each.local, each.prefixlen, each.peer, each.broadcast) for each in place.netns(name).addresses}
    assert ours == theirs


def hop_of(index: dict[str, int], entry: dict[str, Any]) -> tuple[Any, ...]:
    return index.get(entry.get("dev", "")), entry.get("gateway"), entry.get("weight", 1), "onlink" in entry["flags"]


def our_hop(hop: NextHop) -> tuple[Any, ...]:
    return hop.index, hop.gateway, hop.weight, bool(hop.flags & 4)


TABLES = {"main": 254, "local": 255, "default": 253}


def route_of(index: dict[str, int], entry: dict[str, Any], family: int) -> tuple[Any, ...]:
    dst = entry["dst"]
    if dst == "default":
        dst = "0.0.0.0/0" if family == 4 else "::/0"
    elif "/" not in dst:
        dst = f"{dst}/{32 if family == 4 else 128}"
    table = entry.get("table", "main")
    hops = [hop_of(index, hop) for hop in entry.get("nexthops", [entry] if "dev" in entry else [])]
    metrics = (entry.get("metrics") or [{}])[0]
    return (
        dst,
        TABLES.get(table) or int(table),
        entry["type"],
        entry.get("metric", 0),
        entry.get("prefsrc"),
        metrics.get("mtu"),
        tuple(hops),
    )


def our_route(route: Route) -> tuple[Any, ...]:
    hops = tuple(our_hop(hop) for hop in route.nexthops)
    return route.dst, route.table, route.type, route.metric, route.prefsrc, route.mtu, hops


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("family", [4, 6])
def test_routes_of_every_table_are_those_of_ip(place: Place, name: str, family: int) -> None:
    index = {link.name: link.index for link in place.netns(name).links}
    theirs = sorted(map(str, (route_of(index, entry, family) for entry in place.ip[name][f"routes{family}"])))
    ours = sorted(map(str, (our_route(route) for route in place.netns(name).routes if route.family == family)))
    assert ours == theirs


def test_a_locked_mtu_is_marked(place: Place) -> None:
    (route,) = (route for route in place.netns("node").routes if route.dst == "10.4.0.0/16")
    assert (route.mtu, route.mtu_locked) == (1400, True)


def test_rules_are_those_that_were_added(place: Place) -> None:
    rules = {(rule.family, rule.priority): rule for rule in place.netns("node").rules}
    assert [rule["priority"] for rule in place.ip["node"]["rules4"]] == [prio for family, prio in rules if family == 4]
    marked = rules[4, 100]
    assert (marked.fwmark, marked.fwmask, marked.iif, marked.table) == (0x4000, 0xF000, "eth0", 100)
    jump = rules[4, 200]
    assert (jump.action, jump.goto, jump.src, jump.dst) == ("goto", 300, "10.0.0.0/8", "10.1.0.0/16")
    assert (jump.proto, jump.dport, jump.flags & 2, jump.unknown) == (6, (80, 90), 2, ())
    assert rules[4, 300].suppress_prefixlength == 0
    assert rules[4, 32766].suppress_prefixlength is None
    assert (rules[6, 50].action, rules[6, 50].oif) == ("prohibit", "eth0")


def test_neighbours_are_those_of_ip_and_proxies_are_marked(place: Place) -> None:
    index = {link.name: link.index for link in place.netns("node").links}
    shown = {
        (n.index, n.address, n.mac) for n in place.netns("node").neighbours if not n.flags & 8 and not n.state & 0x40
    }
    assert shown == {(index[n["dev"]], n["dst"], n.get("lladdr")) for n in place.ip["node"]["neighbours"]}
    assert [n.address for n in place.netns("node").neighbours if n.flags & 8] == ["192.0.2.99"]


def test_forwarding_entries_are_those_of_bridge(place: Place) -> None:
    index = {link.name: link.index for link in place.netns("node").links}
    theirs = sorted(
        str(
            (
                index[each["ifname"]],
                each["mac"],
                each.get("dst"),
                each.get("port"),
                each.get("vni"),
                index.get(each.get("master", "")),
                each["state"] == "permanent",
            )
        )
        for each in place.ip["node"]["fdb"]
    )
    ours = sorted(
        str((each.index, each.mac, each.dst, each.port, each.vni, each.master, bool(each.state & 0x80)))
        for each in place.netns("node").fdb
    )
    assert ours == theirs


def test_kinds_tell_what_was_configured(place: Place) -> None:
    bridge = place.link("node", "br0").bridge
    assert bridge is not None
    assert (bridge.stp, bridge.ageing_time, bridge.mcast_snooping, bridge.nf_call_iptables) == (
        False,
        20000,
        False,
        True,
    )
    port_a, port_b = place.link("node", "vpa").port, place.link("node", "vpb").port
    assert port_a is not None
    assert port_b is not None
    assert (port_a.hairpin, port_a.learning, port_a.isolated, port_a.flood) == (True, False, False, True)
    assert (port_b.hairpin, port_b.isolated, port_b.flood, port_b.neigh_suppress) == (False, True, False, True)
    flannel = place.link("node", "flannel.1").vxlan
    assert flannel is not None
    assert (flannel.vni, flannel.port, flannel.local, flannel.group) == (1, 8472, "192.0.2.1", None)
    assert (flannel.learning, flannel.ttl, flannel.udp_csum) == (False, 7, False)
    assert flannel.lower == place.link("node", "eth0").index
    six = place.link("node", "vx6").vxlan
    assert six is not None
    assert (six.group, six.l2miss, six.l3miss, six.df, six.learning) == ("fd00::2", True, True, 1, True)
    assert (six.port_low, six.port_high) == (5000, 6000)
    macvlan = place.link("node", "mv0").macvlan
    assert macvlan is not None
    assert macvlan.mode == "bridge"
    assert place.link("node", "mv0").link_index == place.link("node", "eth0").index
    vpa = place.link("node", "vpa")
    assert (vpa.alias, vpa.altnames) == ("to pod-a", ("the-veth-of-pod-a",))


def test_veth_ends_find_each_other_by_index_and_namespace(place: Place) -> None:
    for end, netns in (("vpa", "pod-a"), ("vpb", "pod-b"), ("eth0", "wire")):
        here = place.link("node", end)
        assert here.link_netns == place.inodes[netns]
        (there,) = (link for link in place.netns(netns).links if link.index == here.link_index)
        assert (there.link_netns, there.link_index) == (place.inodes["node"], here.index)


def test_what_veth_reaches_are_the_pods(place: Place) -> None:
    assert sorted(pod.name for pod in place.node.pods) == ["pod-a", "pod-b", "wire"]
    assert place.node.netns == place.inodes["node"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_settings_of_each_device_are_those_of_proc(place: Place, name: str, family: str) -> None:
    files = place.confs[f"{name} {family}"]
    compared = 0
    for link in place.netns(name).links:
        for key, value in (link.ipv4 if family == "ipv4" else link.ipv6).items():
            if f"{link.name}/{key}" in files:
                assert value == int(files[f"{link.name}/{key}"]), f"{link.name}/{key}"
                compared += 1
    assert compared > 20


@pytest.mark.parametrize("name", NAMES)
def test_settings_of_all_devices_are_those_of_proc(place: Place, name: str) -> None:
    for key, value in place.netns(name).sysctls.items():
        _, family, *rest = key.split(".")
        file = place.confs.get(f"{name} {family}", {}).get("/".join(rest[1:])) if rest[0] == "conf" else None
        assert file is None or value == int(file), key
    sysctls = place.netns("node").sysctls
    assert (sysctls["net.ipv4.ip_forward"], sysctls["net.ipv4.conf.all.arp_ignore"]) == (1, 1)
    assert sysctls["net.ipv4.neigh.default.gc_thresh3"] > 0
    eth0 = place.link("node", "eth0")
    assert (eth0.ipv4["rp_filter"], eth0.ipv4["proxy_arp"], eth0.ipv4["arp_filter"]) == (2, 1, 1)


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_read_of_every_namespace_alike(place: Place, name: str) -> None:
    sysctls = place.netns(name).sysctls
    for key in ("send_redirects", "accept_local", "arp_filter", "arp_ignore", "route_localnet"):
        assert f"net.ipv4.conf.all.{key}" in sysctls
    assert {"net.ipv6.conf.all.disable_ipv6", "net.ipv6.conf.all.use_oif_addrs_only"} <= set(sysctls)


def test_listeners_are_those_that_accept(place: Place) -> None:
    listeners = place.netns("pod-a").listeners
    assert listeners is not None
    assert sorted((each.proto, each.family, each.address, each.port) for each in listeners) == [
        ("tcp", 4, "0.0.0.0", 8080),
        ("tcp", 6, "::1", 8081),
        ("udp", 4, "10.244.1.2", 53),
    ]
    assert sorted(each.inode for each in listeners) == sorted(place.sockets)
    assert place.netns("pod-b").listeners == ()


def test_offloads_are_told(place: Place) -> None:
    assert place.link("node", "flannel.1").features["tx-checksum-ip-generic"] in (True, False)
    assert place.link("pod-a", "lo").features["vlan-challenged"] is True


def test_the_document_gives_back_what_was_collected(place: Place) -> None:
    snapshots = Snapshots((place.node,))
    assert document.decode(document.encode(snapshots, compress=True)) == snapshots
