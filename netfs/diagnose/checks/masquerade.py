"""Group F: source translation of pods' packets: missing towards the outside, too much between pods.

Asked of each node's rules with a packet from one of its pods, through prerouting (which may mark it) and postrouting.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from shlex import quote

from netfs.cluster.netns import NetNsView
from netfs.datapath.netfilter import HookAnswer, RuleRef
from netfs.datapath.netfilter.remedy import PROGRAMS
from netfs.diagnose.commands import finding
from netfs.diagnose.evidence import Evidence
from netfs.diagnose.rules import has_rules, met, ways
from netfs.diagnose.site import PodBridge, site
from netfs.model import ip
from netfs.model.findings import Finding
from netfs.model.link import Link
from netfs.model.packet import Packet

OUTSIDE = {4: "192.0.2.1", 6: "2001:db8::1"}
"""Addresses that are nobody's (RFC 5737, RFC 3849)."""
SOURCES = frozenset({"snat", "masquerade"})


@dataclass(frozen=True, slots=True)
class Sample:
    """A pod of a node, and the bridge it is on."""

    bridge: PodBridge
    address: str
    subnet: str


def sample(evidence: Evidence, view: NetNsView, family: int) -> Sample | None:
    """The first pod of a node's first pod bridge of a family."""
    for bridge in evidence.bridges(view):
        subnet = bridge.subnet(family)
        for pod in bridge.pods if subnet is not None else ():
            for own in pod.view.netns.addresses:
                if own.family == family and own.scope == 0 and subnet is not None and ip.contains(subnet, own.local):
                    return Sample(bridge, own.local, subnet)
    return None


def masquerades(evidence: Evidence, view: NetNsView, family: int) -> bool | None:
    """Whether a node gives its pods' packets to the outside an address of its own; None: cannot be told."""
    key = f"diagnose.masquerades{family}"
    if key not in view.compiled:
        view.compiled[key] = _masquerades(evidence, view, family)
    known: bool | None = view.compiled[key]
    return known


def _masquerades(evidence: Evidence, view: NetNsView, family: int) -> bool | None:
    pod, out = sample(evidence, view, family), _way(view, OUTSIDE[family])
    if pod is None or out is None:
        return None
    if not has_rules(view):
        return None if view.gaps else False
    answers = _sent(view, _syn(pod.address, OUTSIDE[family]), pod.bridge.link, out)
    if any(answer.verdict == "unknown" for answer in answers):
        return None
    return all(answer.nat is not None and answer.nat.kind in SOURCES for answer in answers)


def _way(view: NetNsView, address: str) -> Link | None:
    route = site(view).fib.best(address)
    if route is None or not route.nexthops:
        return None
    return view.links.get(route.nexthops[0].index or 0)


def _syn(source: str, destination: str) -> Packet:
    return Packet(source, destination, "tcp", sport=40000, dport=443, size=60, tcp_flags="syn")


def _sent(view: NetNsView, packet: Packet, iif: Link, oif: Link) -> list[HookAnswer]:
    """The answers of postrouting to a packet that this node forwards."""
    found: list[HookAnswer] = []
    before = met(view, "prerouting", packet, iif=iif)
    for way in ways(before) if before is not None else ():
        after = met(view, "postrouting", way.packet, iif=iif, oif=oif)
        found += ways(after) if after is not None else ()
    return found


def missing(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`masquerade-missing`: other nodes masquerade what their pods send outside, this one does not."""
    for family in (4, 6):
        if masquerades(evidence, view, family) is not False or not evidence.clustered(view):
            continue
        others = [other for other in evidence.sample(view) if masquerades(evidence, other, family)]
        if others:
            yield unmasqueraded(
                evidence, view, family, f"{others[0].name} masquerades what its pods send outside, {view.name} does not"
            )


def unmasqueraded(evidence: Evidence, view: NetNsView, family: int, text: str, severity: str = "error") -> Finding:
    """The finding of that name, with the rule to add in the language that the node uses."""
    pod = sample(evidence, view, family)
    assert pod is not None
    subnets = [pod.subnet]
    for other in evidence.topology.nodes.values():
        subnets += [each for bridge in evidence.bridges(other) if bridge.pods for each in bridge.subnets]
    whole = _cover([each for each in subnets if ip.family_of(each) == family], family)
    return finding("masquerade-missing", view, None, text, _add(view, pod.subnet, whole), severity)


def _cover(subnets: list[str], family: int) -> str:
    """The smallest prefix that holds them all."""
    bits = ip.BITS[family]
    parsed = [ip.prefix(each) for each in subnets]
    length = min(each for _, each in parsed)
    while length and len({network >> bits - length for network, _ in parsed}) > 1:
        length -= 1
    return f"{ip.to_text(parsed[0][0] >> bits - length << bits - length, family)}/{length}"


def _add(view: NetNsView, subnet: str, whole: str) -> str:
    firewall = view.netns.firewall
    six = ":" in subnet
    name = "ip6tables" if six else "iptables"
    rule = f"-t nat -A POSTROUTING -s {quote(subnet)} ! -d {quote(whole)} -j MASQUERADE"
    if firewall is not None and (firewall.ip6tables if six else firewall.iptables):
        return f"{PROGRAMS[name]} {rule}"
    if firewall is not None and (firewall.ip6tables_legacy if six else firewall.iptables_legacy):
        return f"{name}-legacy {rule}"
    family = "ip6" if six else "ip"
    chain = f"{family} netfs-masquerade postrouting"
    return (
        f"nft add table {family} netfs-masquerade && "
        f"nft add chain {chain} '{{ type nat hook postrouting priority srcnat; }}' && "
        f"nft add rule {chain} {family} saddr {quote(subnet)} {family} daddr != {quote(whole)} masquerade"
    )


def between_pods(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`masquerade-pod-to-pod`: a packet from a pod here to a pod elsewhere, or back, gets another source address."""
    if not has_rules(view):
        return
    for other in evidence.sample(view)[:1]:
        for family in (4, 6):
            here, there = sample(evidence, view, family), sample(evidence, other, family)
            out = _way(view, there.address) if there is not None else None
            if here is None or there is None or out is None:
                continue
            going = _translated(view, _syn(here.address, there.address), here.bridge.link, out)
            if going is not None:
                yield _between(view, going, here, there)
            coming = _translated(view, _syn(there.address, here.address), out, here.bridge.link)
            if coming is not None and going is None:
                yield _between(view, coming, there, here)


def _translated(view: NetNsView, packet: Packet, iif: Link, oif: Link) -> HookAnswer | None:
    for answer in _sent(view, packet, iif, oif):
        if answer.nat is not None and answer.nat.kind in SOURCES and answer.matched:
            return answer
    return None


def _between(view: NetNsView, answer: HookAnswer, source: Sample, destination: Sample) -> Finding:
    ref = answer.matched[-1]
    return finding(
        "masquerade-pod-to-pod",
        view,
        None,
        f"{ref} sends packets of pods from {source.subnet} to pods in {destination.subnet} from another address",
        _except(ref, source.subnet, destination.subnet),
        "warning",
    )


def _except(ref: RuleRef, source: str, destination: str) -> str:
    """A rule before the one that translates, which lets these packets pass."""
    if ref.program == "nft":
        chain = " ".join(quote(word) for word in (ref.family, ref.table, ref.chain))
        family = "ip6" if ":" in source else "ip"
        return f"nft insert rule {chain} {family} saddr {quote(source)} {family} daddr {quote(destination)} accept"
    program = PROGRAMS.get(ref.program, ref.program)
    chain = quote(ref.chain)
    return f"{program} -t nat -I {chain} 1 -s {quote(source)} -d {quote(destination)} -j ACCEPT"
