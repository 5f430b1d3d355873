"""Which namespaces are read, to whom they belong, and what is said of those that cannot be read."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netfs.collect import Target, TargetError, collect
from tests.kernel.another_user import PYTHON, readable_library
from tests.kernel.collect_place import inside

PAIR = """
for n in a b pod-a pod-b wire lonely; do ip netns add $n; done
ip -n a link add p type veth peer name eth0 netns pod-a; ip -n b link add p type veth peer name eth0 netns pod-b
ip -n a link add w type veth peer name a netns wire; ip -n b link add w type veth peer name b netns wire
ip -n pod-a addr add 10.0.0.2/24 dev eth0; ip -n pod-b addr add 10.0.1.2/24 dev eth0
"""
START = """
import json, os, sys
from netfs.collect import PodTarget, Target, collect, nsfs
def shown(nodes):
    return [{"name": n.name, "pods": sorted(p.name for p in n.pods), "namespaces": sorted(m.name for m in n.namespaces),
             "gaps": [[g.where, g.what, g.reason] for g in n.gaps if g.where != "/proc"]} for n in nodes]
"""


pytestmark = pytest.mark.kernel


@pytest.fixture(autouse=True)
def _programs(require_program: Callable[[str], str]) -> None:
    require_program("unshare")
    require_program("ip")


def test_each_namespace_goes_to_the_nearest_node_and_none_is_passed_through() -> None:
    nodes = inside(
        PAIR,
        START
        + """
nodes = collect([Target("a", "/run/netns/a", reach="veth"), Target("b", "/run/netns/b", reach="veth"),
                 Target("wire", "/run/netns/wire", role="fabric")])
print(json.dumps(shown(nodes)))""",
    )
    assert [(node["name"], node["pods"], node["namespaces"]) for node in nodes] == [
        ("a", ["pod-a"], ["a", "pod-a"]),
        ("b", ["pod-b"], ["b", "pod-b"]),
        ("wire", [], ["wire"]),
    ]
    assert [node["gaps"] for node in nodes] == [[], [], []]


def test_listed_pods_are_the_only_ones_and_their_ends_are_linked() -> None:
    answer = inside(
        PAIR,
        START
        + """
nodes = collect([Target("a", "/run/netns/a", pods=(PodTarget("first", "/run/netns/pod-a", "prod"),
                                                  PodTarget("gone", "/run/netns/no-such"))),
                 Target("wire", "/run/netns/wire", role="fabric")])
far = [link.link_netns for link in nodes[0].namespaces[0].links if link.name == "w"]
print(json.dumps([shown(nodes), far == [nodes[1].netns], [pod.namespace for pod in nodes[0].pods]]))""",
    )
    (node, wire), linked, namespaces = answer
    assert (node["pods"], wire["pods"], linked, namespaces) == (["first"], [], True, ["prod"])
    assert [gap[:2] for gap in node["gaps"]] == [["a/gone", "netns"]]


def test_reach_all_holds_every_namespace_and_calls_those_with_an_address_pods() -> None:
    (node,) = inside(PAIR, START + 'print(json.dumps(shown(collect([Target("a", "/run/netns/a", reach="all")]))))')
    assert {"a", "b", "pod-a", "pod-b", "wire", "lonely"} <= set(node["namespaces"])
    assert node["pods"] == ["pod-a", "pod-b"]


def test_a_second_process_reads_the_same_as_one_alone() -> None:
    alone, both = inside(
        PAIR,
        START
        + """
from netfs.collect import workers
ours = {nsfs.inode("/run/netns/" + name) for name in os.listdir("/run/netns")}
def steady(nodes):
    return [[n.id, n.name, [repr((l.name, l.link_netns, l.ipv4)) for l in n.links], repr((n.routes, n.addresses))]
            for n in nodes[0].namespaces if n.id in ours]
one = steady(collect([Target("a", "/run/netns/a", reach="all")]))
workers.WORTH_A_FORK = 2
workers.SHARE = 1
os.sched_getaffinity = lambda pid: {0, 1}
print(json.dumps([one, steady(collect([Target("a", "/run/netns/a", reach="all")]))]))""",
    )
    assert alone == both
    assert len(alone) == 6


def test_a_fork_finds_its_own_namespace_after_another() -> None:
    """/proc/self is the fork itself: once it entered another namespace, /proc/self/ns/net is that one."""
    nodes = inside(
        PAIR,
        START
        + """
from netfs.collect import workers
workers.WORTH_A_FORK = 2
os.sched_getaffinity = lambda pid: {0, 1}
print(json.dumps(shown(collect([Target("a", "/run/netns/a"), Target("me", "/proc/self/ns/net", reach="all")]))))""",
    )
    assert [node["name"] for node in nodes] == ["a", "me"]
    assert "me" in nodes[1]["namespaces"]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("policy add dir out src 10.0.0.1/32 dst 10.0.0.2/32 action block", "1 IPsec policy is there"),
        ("policy add dir fwd src fd00::/64 dst fd01::/64 action allow", "1 IPsec policy is there"),
        ("policy setdefault in block", "no IPsec policy matches are blocked"),
    ],
)
def test_ipsec_policies_are_a_gap_of_the_namespace_that_holds_them(command: str, says: str) -> None:
    known, nodes = inside(
        "ip netns add a; ip netns add b",
        START
        + f"""
import subprocess
done = subprocess.run("ip -n a xfrm {command}".split(), capture_output=True)
nodes = collect([Target("a", "/run/netns/a"), Target("b", "/run/netns/b")])
print(json.dumps([done.returncode == 0, shown(nodes)]))""",
    )
    if not known:
        pytest.skip("this kernel, or this ip, knows no such IPsec policy")
    assert [gap[:2] for gap in nodes[0]["gaps"]] == [["a", "xfrm"]]
    assert says in nodes[0]["gaps"][0][2]
    assert nodes[1]["gaps"] == []


def test_a_reader_that_dies_is_replaced() -> None:
    (node,) = inside(
        PAIR,
        START
        + """
from netfs.collect import workers
workers.WORTH_A_FORK = 2
os.sched_getaffinity = lambda pid: {0, 1}
parent, real = os.getpid(), workers.Reader.read
def dies(self, path, inode):
    if os.getpid() != parent:
        os._exit(9)
    return real(self, path, inode)
workers.Reader.read = dies
print(json.dumps(shown(collect([Target("a", "/run/netns/a", reach="all")]))))""",
    )
    assert {"a", "b", "pod-a", "pod-b", "wire", "lonely"} <= set(node["namespaces"])


def test_what_vanishes_while_it_is_read_is_a_gap() -> None:
    (node,) = inside(
        PAIR,
        START
        + """
import subprocess
from netfs.collect import beginning
real = beginning.read_all
def vanishing(wanted):
    if len(wanted) > 1:
        subprocess.run(["umount", "/run/netns/pod-a"], check=True)
    return real(wanted)
beginning.read_all = vanishing
print(json.dumps(shown(collect([Target("a", "/run/netns/a", reach="veth")]))))""",
    )
    assert "pod-a" not in node["pods"]
    assert "wire" in node["pods"]
    assert [gap[:2] for gap in node["gaps"] if gap[1] == "netns"] == [["a/pod-a", "netns"]]


def test_what_reach_all_cannot_enter_is_one_gap_for_each_reason() -> None:
    """Pins that a later mount hides are seen in the mount table, and cannot be opened."""
    (node,) = inside(
        PAIR + "mount -t tmpfs tmpfs /run/netns; ip netns add last",
        START + 'print(json.dumps(shown(collect([Target("last", "/run/netns/last", reach="all")]))))',
    )
    (gap,) = (gap for gap in node["gaps"] if gap[1] == "netns")
    assert gap[0] == "last"
    assert "not read, the first at /" in gap[2]
    assert int(gap[2].split()[0]) >= 6


def test_a_peer_in_a_namespace_that_cannot_be_seen_is_a_gap() -> None:
    """Only an open file keeps it: no process is in it, and no mount shows it."""
    (node,) = inside(
        PAIR,
        START
        + """
import subprocess
held = os.open("/run/netns/pod-a", os.O_RDONLY)
subprocess.run(["umount", "--lazy", "/run/netns/pod-a"], check=True)
nodes = collect([Target("a", "/run/netns/a", reach="veth")])
assert [link.link_netns for link in nodes[0].namespaces[0].links if link.name == "p"] == [None]
print(json.dumps(shown(nodes)))""",
    )
    assert "pod-a" not in node["pods"]
    assert [gap[1] for gap in node["gaps"]] == ["link-netns"]
    assert node["gaps"][0][2].startswith("p: ")


def test_a_target_that_is_not_there_is_refused() -> None:
    with pytest.raises(TargetError, match="/no/such"):
        collect([Target("n", "/no/such/namespace")])


def test_a_namespace_of_another_user_is_refused_and_not_guessed(tmp_path: Path) -> None:
    """An ordinary user may read the own namespace; another's is refused with the kernel's reason."""
    code = """
import os
from netfs.collect import Target, TargetError, collect
(node,) = collect([Target("me", "/proc/self/ns/net", reach="all")])
assert any(link.name == "lo" for link in node.namespaces[0].links), node
assert any("may not be looked at" in gap.reason for gap in node.gaps), node.gaps
assert len([gap for gap in node.gaps if gap.what == "namespaces by process"]) == 1
print("read")
"""
    command = [PYTHON, "-c", code]
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", *command]
    with readable_library() as library:
        environment = {"PYTHONPATH": str(library), "PATH": os.environ["PATH"]}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd="/")
    assert done.stdout == "read\n", done.stderr


def test_counters_are_read_where_nothing_ever_happened() -> None:
    """One that is missing is zero, so no file may go unread, not even in a namespace without a socket."""
    files, tracked = inside(
        "ip netns add quiet",
        """
import json, os
from netfs.collect import nsfs
from netfs.collect.read import Reader
raw = Reader().read("/run/netns/quiet", nsfs.inode("/run/netns/quiet"))
nowhere = not os.path.exists("/proc/sys/net/netfilter/nf_conntrack_count")
print(json.dumps([sorted(raw["files"]), nowhere or raw["sysctls"]["net.netfilter.nf_conntrack_count"] == 0]))""",
    )
    assert files == ["netstat", "snmp", "snmp6"]
    assert tracked


FIREWALL = """
ip netns add fw; ip netns add plain
ip netns exec fw nft -f - <<'RULES'
table inet mine { chain input { type filter hook input priority 0; udp dport 8472 counter drop; }; }
RULES
ip netns exec fw iptables-nft -A FORWARD -s 10.244.0.0/16 -j ACCEPT
"""


def test_rules_are_read_where_they_are_and_no_table_appears_elsewhere(require_program: Callable[[str], str]) -> None:
    for program in ("nft", "iptables-nft", "iptables-nft-save"):
        require_program(program)
    answer: dict[str, Any] = inside(
        FIREWALL,
        START
        + """
import subprocess
nodes = collect([Target("fw", "/run/netns/fw"), Target("plain", "/run/netns/plain")])
held = nodes[0].namespaces[0].firewall
listing = ["ip", "netns", "exec", "plain", "nft", "list", "ruleset"]
after = subprocess.run(listing, capture_output=True, text=True).stdout
print(json.dumps({"nft": held.nft, "iptables": held.iptables, "ip6tables": held.ip6tables,
                  "plain": nodes[1].namespaces[0].firewall, "after": after}))""",
    )
    assert "8472" in answer["nft"]
    assert "-A FORWARD -s 10.244.0.0/16 -j ACCEPT" in answer["iptables"]
    assert (answer["ip6tables"], answer["plain"], answer["after"]) == (None, None, "")


@pytest.mark.parametrize(
    ("added", "asked"),
    [
        ("", ["iptables"]),
        ("add table inet mine", ["iptables", "nft"]),
        ("add table ip nat { flags dormant; }", ["iptables", "nft"]),
        ("add chain ip filter mine { type filter hook input priority 5; }", ["iptables", "nft"]),
    ],
    ids=("iptables alone", "another table", "a dormant table", "another base chain"),
)
def test_what_iptables_tells_whole_is_not_asked_of_nft(
    added: str, asked: list[str], require_program: Callable[[str], str]
) -> None:
    for program in ("nft", "iptables-nft", "iptables-nft-save"):
        require_program(program)
    held = inside(
        f"""
ip netns add fw
ip netns exec fw iptables-nft -A FORWARD -s 10.244.0.0/16 -j ACCEPT
ip netns exec fw nft '{added}'
""",
        START
        + """
held = collect([Target("fw", "/run/netns/fw")])[0].namespaces[0].firewall
print(json.dumps(sorted(name for name in ("nft", "iptables", "ip6tables") if getattr(held, name) is not None)))""",
    )
    assert held == asked


def test_a_missing_tool_is_a_gap_that_names_it(require_program: Callable[[str], str]) -> None:
    require_program("nft")
    (node,) = inside(
        FIREWALL,
        START
        + """
import shutil
shutil.which = lambda name, path=None: None
print(json.dumps(shown(collect([Target("fw", "/run/netns/fw")]))))""",
    )
    assert [(gap[1], "program nft is not installed" in gap[2]) for gap in node["gaps"]] == [
        ("nft", True),
        ("iptables", False),
    ]


def test_namespaces_in_another_users_hands_are_read_from_inside_their_user_namespace() -> None:
    """A user namespace of its own, as a rootless lab has: joined by a child, read there, handed back."""
    code = """
import json, os, subprocess, sys
from netfs.collect import Target
from netfs.collect.target import TargetError
from netfs.errors import SourceError
from netfs.sources.userns import collect_inside
script = "ip link add v type veth peer name w; echo up; exec sleep 60"
holder = subprocess.Popen(["unshare", "-Urn", "sh", "-c", script], stdout=subprocess.PIPE)
holder.stdout.readline()
try:
    before = os.readlink("/proc/self/ns/user"), os.readlink("/proc/self/ns/net")
    (node,) = collect_inside(holder.pid, [Target("n", f"/proc/{holder.pid}/ns/net")], timeout=30)
    assert before == (os.readlink("/proc/self/ns/user"), os.readlink("/proc/self/ns/net"))
    try:
        collect_inside(holder.pid, [Target("n", "/no/such")], timeout=30)
    except SourceError as refused:
        reason = str(refused)
    print(json.dumps([sorted(link.name for link in node.namespaces[0].links if link.name in "vw"), reason]))
finally:
    holder.kill()
    holder.wait()
"""
    names, reason = inside("", code)
    assert names == ["v", "w"]
    assert "/no/such" in reason
