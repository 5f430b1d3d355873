"""Rules that stop what carries the overlay: its UDP port, and ICMP's word on sizes.

The evaluator is asked with the very packets that nodes send one another; a rule counts only where it surely drops one.
"""

from __future__ import annotations

from collections.abc import Iterator

from netfs.cluster.netns import NetNsView
from netfs.cluster.topology import Port
from netfs.datapath.netfilter import RuleRef
from netfs.datapath.netfilter.remedy import exception, in_turn, removal
from netfs.diagnose.commands import finding
from netfs.diagnose.evidence import Evidence
from netfs.diagnose.rules import has_rules, met, met_on_port, remove, stopped
from netfs.diagnose.site import PodBridge, Tunnel, site
from netfs.model.findings import Finding
from netfs.model.link import Link
from netfs.model.packet import Packet

TOO_BIG = {4: "frag-needed", 6: "packet-too-big"}
"""The message on sizes, as ``Packet.icmp_type`` names it."""
SIZE = {4: 576, 6: 1280}
"""Length of such a message (RFC 1812 4.3.2.3, RFC 4443 3.2)."""


def outer(_: Evidence, tunnel: Tunnel, peer: Tunnel) -> Iterator[Finding]:
    """`vxlan-outer-blocked`: rules of this node stop what a peer sends it, or what it sends the peer."""
    view, nic = tunnel.view, _lower(tunnel)
    if not has_rules(view) or tunnel.local is None or peer.local is None:
        return
    coming, going = _outer(peer, tunnel), _outer(tunnel, peer)
    rules = list(
        stopped(
            (
                met(view, "prerouting", coming, iif=nic),
                met(view, "input", coming, iif=nic),
                met(view, "output", going, oif=nic),
                met(view, "postrouting", going, oif=nic),
            )
        )
    )
    if rules:
        yield finding(
            "vxlan-outer-blocked",
            view,
            None,
            f"{_shown(rules)}: the outer packets of VXLAN between {view.name} and {peer.view.name} end here",
            " && ".join(dict.fromkeys(_opened(ref, coming.dport or 0) for ref in in_turn(rules))),
        )


def _opened(ref: RuleRef, port: int) -> str:
    """A rule on this port is taken away; before one that stops everything the port is let through."""
    if not ref.policy and ("udp" in ref.text or str(port) in ref.text):
        return removal(ref)
    return exception(ref, "udp", port)


def _outer(sender: Tunnel, receiver: Tunnel) -> Packet:
    vxlan = receiver.link.vxlan
    assert vxlan is not None
    return Packet(sender.local or "", receiver.local or "", "udp", dport=vxlan.port, size=134, df=False)


def _lower(tunnel: Tunnel) -> Link | None:
    """The device that outer packets leave by, where it lies in the tunnel's own namespace."""
    vxlan = tunnel.link.vxlan
    assert vxlan is not None
    if tunnel.link.link_netns is not None:
        return None
    if vxlan.lower:
        return tunnel.view.links.get(vxlan.lower)
    held = tunnel.view.owned.get(tunnel.local or "")
    return tunnel.view.links.get(held.index) if held is not None else None


def sizes(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`pmtu-icmp-blocked`: the word that a packet was too big does not get from or through this node to its pods."""
    if not has_rules(view) or not site(view).tunnels:
        return
    rules: list[RuleRef] = []
    for bridge in evidence.bridges(view):
        for family in (4, 6):
            for tunnel in site(view).tunnels:
                rules += _stopped_words(evidence, view, bridge, tunnel, family)
    if rules:
        yield finding(
            "pmtu-icmp-blocked",
            view,
            None,
            f"{_shown(rules)}: senders never learn that a packet was too big",
            remove(rules),
        )


def _stopped_words(
    evidence: Evidence, view: NetNsView, bridge: PodBridge, tunnel: Tunnel, family: int
) -> Iterator[RuleRef]:
    """The rules that stop an ICMP error to a pod: made here, or by a node beyond the tunnel."""
    own = bridge.gateway(family)
    pod = next(
        (a.local for p in bridge.pods for a in p.view.netns.addresses if a.family == family and a.scope == 0), None
    )
    if own is None or pod is None:
        return
    made = Packet(own, pod, "icmp", size=SIZE[family], icmp_type=TOO_BIG[family])
    yield from stopped((met(view, "output", made, oif=bridge.link, state="related"),))
    for peer in evidence.some_peers(tunnel)[:1]:
        other = evidence.vtep(peer, family)
        if other is None:
            continue
        through = Packet(other, pod, "icmp", size=SIZE[family], icmp_type=TOO_BIG[family])
        yield from stopped(
            (
                met(view, "prerouting", through, iif=tunnel.link, state="related"),
                met(view, "forward", through, iif=tunnel.link, oif=bridge.link, state="related"),
            )
        )


def between_nodes(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`underlay-drops-vxlan`: the network between the nodes was seen, and drops what their tunnels send."""
    if not has_rules(view):
        return
    for node in evidence.topology.nodes.values():
        for tunnel in site(node).tunnels:
            nic = _lower(tunnel)
            port = evidence.topology.peer(node, nic) if nic is not None else None
            if port is None or port.view is not view or tunnel.local is None:
                continue
            for peer in evidence.some_peers(tunnel):
                rules = list(_stopped_between(view, port, _outer(tunnel, peer))) if peer.local else []
                if rules:
                    yield finding(
                        "underlay-drops-vxlan",
                        view,
                        None,
                        f"{_shown(rules)}: the outer packets of VXLAN from {node.name} to {peer.view.name} end here",
                        remove(rules),
                    )


def _stopped_between(view: NetNsView, port: Port, packet: Packet) -> Iterator[RuleRef]:
    link = port.link
    bridge = view.links.get(link.master) if link.master is not None else None
    hooks = ("ingress",) if bridge is None else ("ingress", "prerouting", "forward", "postrouting")
    yield from stopped(met_on_port(view, hook, packet, link) for hook in hooks)
    called = bridge is None or view.sysctl("net.bridge.bridge-nf-call-iptables") == 1
    if called:
        iif = bridge or link
        yield from stopped(met(view, hook, packet, iif=iif) for hook in ("prerouting", "forward"))


def _shown(rules: list[RuleRef]) -> str:
    return "; ".join(dict.fromkeys(str(ref) for ref in rules))
