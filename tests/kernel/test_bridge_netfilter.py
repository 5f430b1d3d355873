"""Translation on and off a bridge: what the kernel does with a Service is what the trace says.

One lab; each case loads the rules of a small Service into its nodes, sends a real connection, and asks the trace.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import netfs
import netfs.lab
from netfs.lab import probe
from netfs.lab.state import LabState
from netfs.model.trace import Direction, Trace

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(
        shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin") is None, reason="nft is not installed: rules go in by it"
    ),
]

SERVICE = "10.96.7.1"
HERE, NEAR, FAR = "10.244.1.2", "10.244.1.3", "10.244.2.2"
"""pod-a, its neighbour pod-c on the same bridge, and pod-b on the other node."""


@pytest.fixture(scope="module")
def lab() -> Iterator[LabState]:
    name = f"bridge-nf-{os.getpid()}"
    try:
        yield netfs.lab.up(name, nodes=2)
    finally:
        netfs.lab.down(name)


def run(lab: LabState, member: str, command: str) -> None:
    assert netfs.lab.execute(lab.name, member, ["sh", "-c", command]) == 0, command


@contextmanager
def rules(lab: LabState, member: str, text: str, nf: int = 1) -> Iterator[None]:
    """A table in a member, and bridge-nf-call-iptables as wanted, until the test ends."""
    lines = f"{text} }}".replace(" }", "\n}\n")
    run(lab, member, f"nft 'table ip service {{ {lines}'")
    run(lab, "node1", f"echo {nf} > /proc/sys/net/bridge/bridge-nf-call-iptables")
    try:
        yield
    finally:
        run(lab, member, "nft delete table ip service")
        run(lab, "node1", "echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables")


def hook(name: str, body: str) -> str:
    """A nat chain at its usual place."""
    place = {"prerouting": "dstnat", "output": "-100", "input": "100", "postrouting": "srcnat"}[name]
    return f"chain {name} {{ type nat hook {name} priority {place}; {body} }}"


def to(backend: str) -> str:
    return f"ip daddr {SERVICE} tcp dport 80 dnat to {backend}"


def asked(lab: LabState, source: str, target: str = SERVICE) -> tuple[bool, Trace]:
    """Whether the kernel's own connection is answered, and what the trace says."""
    kernel = probe.answered(lab, source, target, proto="tcp", port=80, timeout=0.7)
    return kernel, netfs.load(f"lab:{lab.name}").trace(source, target, proto="tcp", port=80)


def reached(way: Direction) -> str | None:
    return way.reached.name if way.reached is not None else None


def addresses(way: Direction, stage: str) -> list[tuple[str, str]]:
    return [(hop.packet.src, hop.packet.dst) for hop in way.hops if hop.stage == stage]


def test_a_service_on_one_bridge_is_translated_and_its_answer_translated_back(lab: LabState) -> None:
    with rules(lab, "node1", hook("prerouting", to(NEAR))):
        kernel, trace = asked(lab, "pod-a")
    assert kernel
    assert trace.verdict == "delivered"
    assert reached(trace.forward) == "default/pod-c"
    assert not any(hop.device == "cni0" and hop.stage == "route" for hop in trace.forward.hops), "it is bridged on"
    assert trace.reverse.hops[-1].packet.src == SERVICE


def test_without_bridge_nf_the_answer_bypasses_its_translation(lab: LabState) -> None:
    with rules(lab, "node1", hook("prerouting", to(NEAR)), nf=0):
        kernel, trace = asked(lab, "pod-a")
    assert not kernel
    assert trace.verdict == "dropped"
    assert reached(trace.forward) == "default/pod-c"
    assert trace.reverse.drop is not None
    assert trace.reverse.drop.slug == "bridge-nf-off"
    assert trace.reverse.drop.netns == "pod-a"


@pytest.mark.parametrize("nf", [0, 1])
def test_a_pod_reaches_itself_by_its_service_through_a_hairpin_where_it_is_bridged(lab: LabState, nf: int) -> None:
    """Without bridge-nf the packet is routed: it comes from the bridge device, and from no port."""
    text = hook("prerouting", to(HERE)) + hook("postrouting", f"ip saddr {HERE} ip daddr {HERE} masquerade")
    with rules(lab, "node1", text, nf=nf):
        for flag in (1, 0):
            run(lab, "node1", _hairpin(flag))
            kernel, trace = asked(lab, "pod-a")
            assert kernel is (bool(flag) or not nf)
            assert trace.verdict == ("delivered" if kernel else "dropped")
            if not kernel:
                assert trace.forward.drop is not None
                assert trace.forward.drop.slug == "bridge-hairpin-off"
        run(lab, "node1", _hairpin(1))


def _hairpin(flag: int) -> str:
    wish = ("off", "on")[flag]
    return f"for port in /sys/class/net/cni0/brif/*; do bridge link set dev ${{port##*/}} hairpin {wish}; done"


def test_a_translation_to_another_node_goes_up_the_bridge(lab: LabState) -> None:
    with rules(lab, "node1", hook("prerouting", to(FAR))):
        kernel, trace = asked(lab, "pod-a")
    assert kernel
    assert trace.verdict == "delivered"
    assert reached(trace.forward) == "default/pod-b"
    assert trace.reverse.hops[-1].packet.src == SERVICE


def test_chance_gives_every_backend_its_share_and_its_own_way_back(lab: LabState) -> None:
    text = hook(
        "prerouting", f"ip daddr {SERVICE} tcp dport 80 dnat to numgen random mod 2 map {{0: {NEAR}, 1: {FAR}}}"
    )
    with rules(lab, "node1", text):
        answers = [asked(lab, "pod-a") for _ in range(3)]
    assert all(kernel for kernel, _ in answers)
    trace = answers[0][1]
    assert trace.verdict == "delivered"
    ways = (trace.forward, *trace.forward.branches)
    assert {(reached(way), way.share) for way in ways} == {("default/pod-c", 0.5), ("default/pod-b", 0.5)}
    back = (trace.reverse, *trace.reverse.branches)
    assert {way.hops[-1].packet.src for way in back} == {SERVICE}
    assert sorted(way.share or 0 for way in back) == [0.5, 0.5]


@pytest.mark.parametrize(
    ("target", "who"), [(NEAR, "default/pod-c"), (FAR, "default/pod-b"), (HERE, "default/pod-a"), ("10.244.1.1", None)]
)
def test_a_node_s_own_packet_is_translated_and_routed_again(lab: LabState, target: str, who: str | None) -> None:
    with rules(lab, "node1", hook("output", to(target))):
        kernel, trace = asked(lab, "node1")
    assert trace.verdict == ("delivered" if kernel else "dropped")
    if who is not None:
        assert reached(trace.forward) == who
        assert trace.reverse.hops[-1].packet.src == SERVICE


def test_a_pod_s_own_rules_translate_to_itself(lab: LabState) -> None:
    """A DNAT to a local address at OUTPUT turns the packet round to loopback."""
    with rules(lab, "pod-a", hook("output", to(HERE))):
        kernel, trace = asked(lab, "pod-a")
    assert kernel
    assert trace.verdict == "delivered"
    assert trace.forward.hops[-1].device == "lo"


def test_a_service_without_a_route_to_it_is_never_translated(lab: LabState) -> None:
    """The packet is routed before it meets OUTPUT: a cluster IP needs a default route."""
    with rules(lab, "pod-a", hook("output", to(NEAR))):
        run(lab, "pod-a", "ip route del default")
        try:
            kernel, trace = asked(lab, "pod-a")
        finally:
            run(lab, "pod-a", "ip route add default via 10.244.1.1")
    assert not kernel
    assert trace.forward.drop is not None
    assert trace.forward.drop.reason == "IP_OUTNOROUTES"


def test_a_mark_of_a_filter_chain_changes_no_route(lab: LabState) -> None:
    """Only chains of type route, and mangle of iptables, have the tables asked again."""
    for kind, verdict in (("route", False), ("filter", True)):
        text = f"chain o {{ type {kind} hook output priority mangle; ip daddr {NEAR} meta mark set 7 }}"
        with rules(lab, "pod-a", text):
            run(lab, "pod-a", "ip rule add fwmark 7 blackhole")
            try:
                kernel, trace = asked(lab, "pod-a", NEAR)
            finally:
                run(lab, "pod-a", "ip rule del fwmark 7 blackhole")
        assert kernel is verdict
        assert trace.verdict == ("delivered" if verdict else "dropped")


@pytest.mark.parametrize("verdict", ["accept", "drop"])
def test_a_tunnel_s_packet_may_go_untracked(lab: LabState, verdict: str) -> None:
    """``notrack`` on the tunnel's port, as many clusters have it: later hooks see it as untracked."""
    text = (
        "chain r { type filter hook output priority raw; udp dport 8472 notrack } "
        f"chain f {{ type filter hook postrouting priority 0; udp dport 8472 ct state untracked {verdict} }}"
    )
    with rules(lab, "node1", text):
        kernel, trace = asked(lab, "pod-a", FAR)
    assert kernel is (verdict == "accept")
    assert trace.verdict == ("delivered" if kernel else "dropped")
    shown = [rule.rule for hop in trace.forward.hops for rule in hop.rules]
    assert any("notrack" in rule for rule in shown)
    assert any("untracked" in rule for rule in shown)


@pytest.mark.parametrize("state", ["new", "established", "invalid"])
def test_the_state_of_an_answer_is_the_kernel_s(lab: LabState, state: str) -> None:
    """Dropping one state at FORWARD of the far node, which sees both ways, or of one that sees the answer alone."""
    text = f"chain f {{ type filter hook forward priority 0; tcp sport 80 ct state {state} drop }}"
    with rules(lab, "node2", text):
        kernel, trace = asked(lab, "pod-a", FAR)
    assert kernel is (state != "established")
    assert trace.verdict == ("delivered" if kernel else "dropped")


def test_a_mark_of_the_connection_comes_back_with_the_answer(lab: LabState) -> None:
    text = (
        "chain m { type filter hook forward priority mangle; tcp dport 80 ct mark set 42 } "
        "chain f { type filter hook forward priority 0; tcp sport 80 ct mark 42 drop }"
    )
    with rules(lab, "node2", text):
        kernel, trace = asked(lab, "pod-a", FAR)
    assert not kernel
    assert trace.forward.verdict == "delivered"
    assert trace.reverse.drop is not None
    assert trace.reverse.drop.slug == "firewall-rule-drops"


def test_what_a_bridge_forwards_meets_its_ports_by_name(lab: LabState) -> None:
    """An answer that never came by the bridge's IP hooks is known by no physical port."""
    with rules(lab, "node1", f"chain f {{ type filter hook forward priority 0; ip daddr {NEAR} iifname cni0 drop }}"):
        kernel, trace = asked(lab, "pod-a", NEAR)
    assert not kernel
    assert trace.forward.drop is not None
    assert trace.forward.drop.reason == "NETFILTER_DROP"
    with rules(lab, "node1", f"chain f {{ type filter hook forward priority 0; ip daddr {NEAR} drop }}", nf=0):
        kernel, trace = asked(lab, "pod-a", NEAR)
    assert kernel
    assert trace.verdict == "delivered"
