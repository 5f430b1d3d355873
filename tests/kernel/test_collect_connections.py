"""The tracked connections that are collected: those that conntrack(8) calls translated, and UDP that nobody answered.

One node translates in front of two namespaces; what it has is compared entry by entry.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.kernel.collect_place import inside

BUILD = """
ip netns add node; ip netns add near; ip netns add far; ip netns add idle
for end in near far; do
  ip -n node link add $end type veth peer name eth0 netns $end
  ip -n node link set $end up; ip -n $end link set eth0 up; ip -n $end link set lo up
done
ip -n node link set lo up
ip -n node addr add 10.1.0.1/24 dev near; ip -n node addr add 10.2.0.1/24 dev far
ip -n node addr add fd01::1/64 dev near nodad; ip -n node addr add fd02::1/64 dev far nodad
ip -n near addr add 10.1.0.2/24 dev eth0; ip -n near route add default via 10.1.0.1
ip -n near addr add fd01::2/64 dev eth0 nodad; ip -n near route add default via fd01::1
ip -n far addr add 10.2.0.2/24 dev eth0
ip -n far route add default via 10.2.0.1; ip -n far addr add fd02::2/64 dev eth0 nodad
ip netns exec node sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
ip netns exec node nft -f - <<'RULES'
table inet t {
  chain pre { type nat hook prerouting priority dstnat
    ip daddr 10.1.0.1 udp dport 53 dnat ip to 10.2.0.2:5353
    ip daddr 10.1.0.1 tcp dport 80 meta mark set 7 ct mark set 7 dnat ip to 10.2.0.2:8080
    ip6 daddr fd01::1 udp dport 53 dnat ip6 to [fd02::2]:5353
  }
  chain post { type nat hook postrouting priority srcnat
    ip saddr 10.1.0.0/24 oifname far tcp dport 8080 masquerade
    ip protocol icmp oifname far masquerade
  }
}
RULES
for turn in $(seq 100); do
  ip -n near route get fd01::1 >/dev/null 2>&1 && ip -n node route get fd02::2 >/dev/null 2>&1 && break
  sleep 0.1
done
"""
ANSWER = """
import dataclasses, json, socket, subprocess, threading
from netfs.collect import Target, collect, nsfs

def enter(name):
    with open(f"/run/netns/{name}") as pin:
        nsfs.enter(pin.fileno())

enter("far")
server = socket.create_server(("0.0.0.0", 8080))
answering = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
answering.bind(("0.0.0.0", 5353))
plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
plain.bind(("10.2.0.2", 5354))
enter("near")
for family, address in ((socket.AF_INET, ("10.1.0.1", 53)), (socket.AF_INET6, ("fd01::1", 53)),
                        (socket.AF_INET, ("10.2.0.2", 9))):
    socket.socket(family, socket.SOCK_DGRAM).sendto(b"x", address)
data, asker = answering.recvfrom(10)
answering.sendto(data, asker)
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asking.sendto(b"x", ("10.2.0.2", 5354))
plain.sendto(b"y", plain.recvfrom(10)[1])
asking.recv(10)
kept = socket.create_connection(("10.1.0.1", 80))
subprocess.run(["ping", "-c1", "-W2", "10.2.0.2"], check=True, stdout=subprocess.DEVNULL)
enter("node")
def said(family):
    words = ["conntrack", "-L", "-f", family, "-o", "extended"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
listed = said("ipv4") + said("ipv6")
(node,) = collect([Target("node", "/run/netns/node", reach="all")])
found = {netns.name: [dataclasses.asdict(each) for each in netns.connections] for netns in node.namespaces}
(own,) = (netns for netns in node.namespaces if netns.id == node.netns)
print(json.dumps({"listed": listed, "found": found, "gaps": [(gap.where, gap.what) for gap in node.gaps],
                  "count": own.sysctls["net.netfilter.nf_conntrack_count"],
                  "broadcasts": own.sysctls["net.ipv4.icmp_echo_ignore_broadcasts"],
                  "liberal": own.sysctls["net.netfilter.nf_conntrack_tcp_be_liberal"]}))
"""
LINE = re.compile(r"(src|dst|sport|dport|mark)=(\S+)")


@pytest.fixture(scope="module")
def place(require_program: Callable[[str], str]) -> Any:
    for program in ("nft", "conntrack", "ping"):
        require_program(program)
    return inside(BUILD, ANSWER)


def decisive(line: str) -> tuple[Any, ...] | None:
    """An entry of conntrack(8), without its time left; None where its answers come as they were sent for, by TCP or
    already."""
    family, _, proto, _, _ = line.split()[:5]
    pairs = LINE.findall(line)
    there, back = dict(pairs[: len(pairs) // 2]), dict(pairs[len(pairs) // 2 :])
    ends = [there["src"], there.get("sport"), there["dst"], there.get("dport")]
    answered = [back["dst"], back.get("dport"), back["src"], back.get("sport")]
    if ends == answered and not (proto == "udp" and "[UNREPLIED]" in line):
        return None
    flags = tuple(name for word, name in (("[UNREPLIED]", "new"), ("[ASSURED]", "assured")) if word in line)
    return (family, proto, *ends, *answered, int(back["mark"]), *flags)


def recorded(one: dict[str, Any]) -> tuple[Any, ...]:
    def text(port: int | None) -> str | None:
        return None if port is None else str(port)

    flags = tuple(
        name
        for name, there in (("new", "seen-reply" not in one["status"]), ("assured", "assured" in one["status"]))
        if there
    )
    ends = (one["src"], text(one["sport"]), one["dst"], text(one["dport"]))
    answered = (one["reply_dst"], text(one["reply_dport"]), one["reply_src"], text(one["reply_sport"]))
    family = "ipv6" if ":" in one["src"] else "ipv4"
    return (family, one["proto"], *ends, *answered, one["mark"], *flags)


def test_they_are_those_that_conntrack_lists(place: Any) -> None:
    listed = [each for each in map(decisive, place["listed"]) if each is not None]
    assert sorted(map(repr, map(recorded, place["found"]["node"]))) == sorted(map(repr, listed))
    assert len(listed) == 5


def test_what_is_translated_is_in_the_status(place: Any) -> None:
    by_port = {one["dport"]: one for one in place["found"]["node"] if ":" not in one["src"]}
    assert {"dnat", "snat", "assured", "confirmed"} <= set(by_port[80]["status"])
    assert "snat" not in by_port[53]["status"]
    assert by_port[None]["proto"] == "icmp"
    assert 0 < by_port[53]["timeout"] <= 180
    assert not {"dnat", "snat", "seen-reply"} & set(by_port[9]["status"])


def test_others_are_counted_and_left_out(place: Any) -> None:
    assert place["count"] > len(place["found"]["node"])
    assert {name: len(found) for name, found in place["found"].items() if name != "node"} == {
        "near": 0,
        "far": 0,
        "idle": 0,
    }
    assert [what for _, what in place["gaps"] if what == "connections"] == []


def test_the_settings_of_tracking_come_with_the_rules(place: Any) -> None:
    assert (place["broadcasts"], place["liberal"]) == (1, 0)
