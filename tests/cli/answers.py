"""Answers of the library made by hand: a healthy trace, a dropped one, an undecided one, a hostile one."""

from __future__ import annotations

from dataclasses import replace

from netfs.model.findings import Finding
from netfs.model.gaps import Gap
from netfs.model.packet import Encapsulation, Packet
from netfs.model.trace import Direction, Drop, EndpointRef, Hop, RuleMet, Trace

POD_A = EndpointRef("default/pod-a", "node1", "10.244.1.2")
POD_B = EndpointRef("default/pod-b", "node2", "10.244.2.2")
REQUEST = Packet(POD_A.ip, POD_B.ip, icmp_type="echo-request")
REPLY = Packet(POD_B.ip, POD_A.ip, icmp_type="echo-reply")
TUNNEL = Encapsulation("vxlan", "192.168.52.11", "192.168.52.12", 1, None, 8472)
ESCAPE = "\x1b[2J\x1b]0;owned\x07\u202egpj.exe\nnetfs: all is well"


def hops(packet: Packet, steps: list[tuple[str, str, str, str, str, str]], tunnel: Encapsulation) -> tuple[Hop, ...]:
    """Hops from (node, netns, device, stage, action, why); the packet is inside ``tunnel`` between its ends."""
    found: list[Hop] = []
    current = packet
    for index, (node, netns, device, stage, action, why) in enumerate(steps, 1):
        if action == "encapsulate":
            current = replace(packet, outer=tunnel)
        elif action == "decapsulate":
            current = packet
        evidence = why.partition(": ")[0] if stage == "route" else None
        found.append(Hop(index, node, netns, device, stage, action, why, current, evidence))
    return tuple(found)


THERE = [
    ("node1", "pod-a", "eth0", "output", "forward", "default via 10.244.1.1 dev eth0"),
    ("node1", "pod-a", "eth0", "neighbour", "resolve", "10.244.1.1 is at 0a:58:0a:f4:01:01 (reachable)"),
    ("node1", "pod-a", "eth0", "transmit", "forward", "a veth hands it to its peer, vetha1b2c3 in node1"),
    ("node1", "node1", "vetha1b2c3", "bridge", "local", "port of cni0; 0a:58:0a:f4:01:01 is the bridge's own address"),
    ("node1", "node1", "cni0", "route", "forward", "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink"),
    ("node1", "node1", "flannel.1", "neighbour", "resolve", "10.244.2.0 is at 8a:00:00:00:00:02 (permanent)"),
    (
        "node1",
        "node1",
        "flannel.1",
        "encapsulate",
        "encapsulate",
        "8a:00:00:00:00:02 is behind 192.168.52.12 (static FDB)",
    ),
    ("node1", "node1", "eth0", "output", "forward", "192.168.52.0/24 dev eth0: the outer packet is routed on its own"),
    ("node1", "node1", "eth0", "transmit", "forward", "to port veth11 of br0"),
    ("underlay", "underlay", "br0", "bridge", "forward", "02:00:00:00:00:12 is on port veth12"),
    ("node2", "node2", "eth0", "route", "deliver", "192.168.52.12 is local; UDP 8472 is a VXLAN socket"),
    ("node2", "node2", "flannel.1", "decapsulate", "decapsulate", "VNI 1 is flannel.1's"),
    ("node2", "node2", "flannel.1", "route", "forward", "10.244.2.0/24 dev cni0"),
    ("node2", "node2", "cni0", "bridge-output", "forward", "0a:58:0a:f4:02:02 is on port vethd4e5f6"),
    ("node2", "pod-b", "eth0", "deliver", "deliver", "10.244.2.2 is local"),
]
BACK = [
    ("node2", "pod-b", "eth0", "output", "forward", "default via 10.244.2.1 dev eth0"),
    ("node2", "node2", "cni0", "route", "forward", "10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink"),
    (
        "node2",
        "node2",
        "flannel.1",
        "encapsulate",
        "encapsulate",
        "8a:00:00:00:00:01 is behind 192.168.52.11 (static FDB)",
    ),
    ("node2", "node2", "eth0", "transmit", "forward", "to port veth12 of br0"),
    ("node1", "node1", "flannel.1", "decapsulate", "decapsulate", "VNI 1 is flannel.1's"),
    ("node1", "pod-a", "eth0", "deliver", "deliver", "10.244.1.2 is local"),
]
RETURN = Encapsulation("vxlan", "192.168.52.12", "192.168.52.11", 1, None, 8472)

DELIVERED = Trace(
    "delivered",
    POD_A,
    POD_B,
    Direction("delivered", hops(REQUEST, THERE, TUNNEL)),
    Direction("delivered", hops(REPLY, BACK, RETURN)),
)

_WRONG_VNI = "node1 sends VNI 1, but node2's device on port 8472 has VNI 2: no tunnel here takes the packet"
_FIX = "ip link del flannel.1 && ip link add flannel.1 type vxlan id 1 dstport 8472 local 192.168.52.12 dev eth0"
DROPPED = Trace(
    "dropped",
    POD_A,
    POD_B,
    Direction(
        "dropped",
        hops(REQUEST, [*THERE[:11], ("node2", "node2", "flannel.1", "decapsulate", "drop", _WRONG_VNI)], TUNNEL),
        Drop(
            12,
            "node2",
            "node2",
            "flannel.1",
            "VXLAN_VNI_NOT_FOUND",
            _WRONG_VNI,
            fix=_FIX,
            slug="vxlan-vni-mismatch",
        ),
    ),
    Direction("unknown"),
    findings=(
        Finding(
            "vxlan-vni-mismatch",
            "error",
            "node2/flannel.1",
            "VNI 2, while flannel.1 of node1 has VNI 1 on the same port 8472",
            _FIX,
            "node2",
            "node2",
        ),
        Finding(
            "mtu-mismatch-veth",
            "warning",
            "pod-b/eth0",
            "MTU 1400 here, 1450 at vethd4e5f6",
            "ip link set eth0 mtu 1450",
            "node2",
            "pod-b",
        ),
    ),
)

LOST_ANSWER = replace(
    DELIVERED,
    verdict="dropped",
    reverse=Direction(
        "dropped",
        (
            *hops(REPLY, BACK[:1], RETURN),
            replace(hops(REPLY, BACK[:2], RETURN)[1], action="drop", why="net.ipv4.conf.cni0.forwarding is 0"),
        ),
        Drop(
            2,
            "node2",
            "node2",
            "cni0",
            "IP_INADDRERRORS",
            "node2 does not forward packets that arrive on cni0",
            fix="sysctl -w net.ipv4.conf.cni0.forwarding=1",
        ),
    ),
)

UNKNOWN = Trace(
    "unknown",
    POD_A,
    EndpointRef("10.244.9.9", None, "10.244.9.9"),
    Direction(
        "unknown", hops(REQUEST, THERE[:5], TUNNEL), unknown="the links of node1 could not be read (permission denied)"
    ),
    Direction("unknown"),
    gaps=(Gap("node1", "links", "permission denied", 4026531840),),
)

HOSTILE = Trace(
    "dropped",
    EndpointRef(f"default/{ESCAPE}", ESCAPE, "10.0.0.1"),
    EndpointRef(ESCAPE, None, "10.0.0.2"),
    Direction(
        "dropped",
        (Hop(1, ESCAPE, ESCAPE, ESCAPE, ESCAPE, ESCAPE, ESCAPE, replace(REQUEST, proto=ESCAPE, src=ESCAPE), ESCAPE),),
        Drop(1, ESCAPE, ESCAPE, ESCAPE, ESCAPE, ESCAPE, fix=ESCAPE, slug=ESCAPE),
    ),
    Direction("unknown", unknown=ESCAPE),
    findings=(Finding(ESCAPE, ESCAPE, ESCAPE, ESCAPE, ESCAPE, ESCAPE, ESCAPE),),
    gaps=(Gap(ESCAPE, ESCAPE, ESCAPE),),
)

EQUAL_COST = replace(
    DELIVERED,
    verdict="dropped",
    forward=replace(
        DROPPED.forward,
        branches=(DELIVERED.forward,),
    ),
    reverse=Direction("unknown"),
)

_INNER = replace(TUNNEL, outer=Encapsulation("vxlan", "172.16.0.1", "172.16.0.2", 99, 40000, 4789))
NESTED = replace(
    DELIVERED,
    forward=Direction(
        "delivered",
        (
            *DELIVERED.forward.hops[:8],
            *(
                Hop(9 + number, "host", "host", device, stage, action, why, replace(REQUEST, outer=_INNER))
                for number, (device, stage, action, why) in enumerate(
                    (
                        ("vxlan99", "encapsulate", "encapsulate", "the node's own wire is a tunnel"),
                        ("ens3", "transmit", "forward", "to the wire"),
                    )
                )
            ),
            replace(DELIVERED.forward.hops[10], index=11),
            replace(DELIVERED.forward.hops[14], index=12),
        ),
    ),
)

_SYN = Packet(POD_A.ip, "10.96.0.10", proto="tcp", sport=40000, dport=80, size=60, tcp_flags="syn")
_SERVICES = (
    '-A KUBE-SERVICES -d 10.96.0.10/32 -p tcp -m comment --comment "default/web" -m tcp --dport 80 -j KUBE-SVC-X'
)
_HALF = "-A KUBE-SVC-X -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-B"


def _by_service(backend: EndpointRef, choice: str) -> Direction:
    """The way through a Service's rules to one of two backends."""
    dnat = f"-A KUBE-SEP -p tcp -m tcp -j DNAT --to-destination {backend.ip}:80"
    after = replace(_SYN, dst=backend.ip)
    hops = (
        Hop(1, "node1", "pod-a", "eth0", "output", "forward", "default via 10.244.1.1 dev eth0", _SYN),
        Hop(
            2,
            "node1",
            "node1",
            "cni0",
            "netfilter",
            "rewrite",
            f"prerouting: to {backend.ip}:80",
            after,
            dnat,
            rules=(
                RuleMet("nat PREROUTING", "-A PREROUTING -j KUBE-SERVICES", packets=31, bytes=1860),
                RuleMet("nat KUBE-SERVICES", _SERVICES, packets=1, bytes=60),
                RuleMet("nat KUBE-SVC-X", choice),
                RuleMet("nat KUBE-SEP", dnat, decided=True, packets=1, bytes=60),
            ),
        ),
        Hop(3, "node1", "node1", "cni0", "route", "forward", "10.244.2.0/24 via 10.244.2.0 dev flannel.1", after),
        Hop(
            4,
            "node1",
            "node1",
            "flannel.1",
            "netfilter",
            "accept",
            "forward: no rule drops it",
            after,
            rules=(RuleMet("filter FORWARD", "-A FORWARD -j KUBE-FORWARD"),),
        ),
        Hop(
            5, backend.node or "", backend.name.partition("/")[2], "eth0", "deliver", "deliver", "TCP 80 listens", after
        ),
    )
    return Direction("delivered", hops, share=0.5, reached=backend)


_POD_D = EndpointRef("default/pod-d", "node2", "10.244.2.3")
SERVICE = Trace(
    "delivered",
    POD_A,
    EndpointRef("default/svc/web", None, "10.96.0.10"),
    replace(_by_service(POD_B, _HALF), branches=(_by_service(_POD_D, "-A KUBE-SVC-X -j KUBE-SEP-D"),)),
    Direction("delivered", DELIVERED.reverse.hops),
)
