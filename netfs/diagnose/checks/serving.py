"""What a node's rules do with a packet for a Service: they are asked with it, as a client on the node would send it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from netfs.cluster.netns import NetNsView
from netfs.datapath.ipvs import Table, table
from netfs.datapath.netfilter import HookAnswer, RuleRef
from netfs.datapath.netfilter.answer import REJECT
from netfs.diagnose.checks.masquerade import sample
from netfs.diagnose.evidence import Evidence
from netfs.diagnose.rules import LOST, judged_elsewhere, met, stopped, ways
from netfs.model import ip
from netfs.model.kubernetes import ServicePort
from netfs.model.link import Link
from netfs.model.packet import Packet


@dataclass(frozen=True, slots=True)
class Sent:
    """What becomes of a packet to a Service's address on a node."""

    targets: Mapping[tuple[str, int | None], HookAnswer | None]
    """Where it may be sent to, each with what the rules answered; None: IPVS sends it there."""
    left: bool
    """It may leave prerouting as it came."""
    unknown: bool
    kept_by: RuleRef | None = None
    """What else than kube-proxy keeps it from being translated: a rule of table nat, or one that ends its tracking."""
    lost_by: RuleRef | None = None
    """The rule that drops or rejects it."""


class Client(NamedTuple):
    """Who sends a packet to a Service, as the node meets it."""

    address: str
    iif: Link | None
    """None: the node itself."""


def asked(
    evidence: Evidence, view: NetNsView, address: str, port: ServicePort, client: Client | None = None
) -> Sent | None:
    """What a node's rules do with a packet for an address and port; None: its rules are not all known.

    Without a client it is one of the node's pods that sends it, else the node.
    """
    firewall = view.netns.firewall
    if (firewall is None and view.gaps) or judged_elsewhere(view):
        return None
    if firewall is not None and firewall.ipvs:
        return _by_ipvs(view, address, port)
    if firewall is None:
        return Sent({}, left=True, unknown=False)
    client = client or client_of(evidence, view, ip.family_of(address))
    if client is None:
        return None
    packet = _first(client, address, port)
    answer = met(view, "prerouting" if client.iif is not None else "output", packet, iif=client.iif)
    if answer is None:
        return None
    possible = ways(answer)
    targets = {(way.packet.dst, way.packet.dport): way for way in possible if way.verdict not in LOST}
    before = (packet.dst, packet.dport)
    unknown = any(way.verdict == "unknown" for way in possible)
    left = before in targets and not unknown
    targets.pop(before, None)
    kept = next((found for way in possible if (found := _keeps(way)) is not None), None) if left else None
    lost = next((way.matched[-1] for way in possible if way.verdict in LOST and way.matched), None)
    return Sent(targets, left, unknown, kept, lost)


def _first(client: Client, address: str, port: ServicePort) -> Packet:
    flags = "syn" if port.protocol == "tcp" else None
    return Packet(client.address, address, port.protocol, 40000, port.port, size=60, tcp_flags=flags)


def of_proxy(ref: RuleRef) -> bool:
    """Whether kube-proxy wrote a rule: into its chains of iptables, its table of nftables."""
    return ref.table.startswith("kube-proxy") or ref.chain.startswith("KUBE-")


def translator(way: HookAnswer | None) -> RuleRef | None:
    """The rule that gave the packet another destination."""
    words = ("dnat", "redirect")
    if way is None:
        return None
    return next((ref for ref in reversed(way.matched) if any(word in ref.text.lower() for word in words)), None)


def _keeps(way: HookAnswer) -> RuleRef | None:
    """The rule by which no rule of kube-proxy's was asked: in iptables the first verdict of a table is the last."""
    for ref in way.matched:
        if of_proxy(ref) or ref.policy:
            continue
        if way.untracked and "notrack" in ref.text.lower():
            return ref
        if ref.program != "nft" and ref.table == "nat" and ref.text.endswith(" -j ACCEPT"):
            return ref
    return None


def client_of(evidence: Evidence, view: NetNsView, family: int) -> Client | None:
    """Who may be asked for: the first of the node's pods, else the node; None: it has no address of the family."""
    pod = sample(evidence, view, family)
    if pod is not None:
        return Client(pod.address, pod.bridge.link)
    address = view.address_of(family)
    return Client(address, None) if address is not None else None


def _by_ipvs(view: NetNsView, address: str, port: ServicePort) -> Sent | None:
    """The same of a node whose kube-proxy runs in IPVS mode."""
    known = table(view)
    if not isinstance(known, Table):
        return None
    service = known.find(port.protocol, address, port.port, 0)
    servers = service.shares() if service is not None else []
    return Sent({(server.address, server.port): None for server, _ in servers}, service is None, False)


def rejects(evidence: Evidence, node: NetNsView, address: str, port: ServicePort) -> bool:
    """Whether kube-proxy's rules on a node reject what its pods send to a Service's address."""
    client = client_of(evidence, node, ip.family_of(address))
    if client is None or judged_elsewhere(node):
        return False
    hook = "forward" if client.iif is not None else "output"
    answer = met(node, hook, _first(client, address, port), iif=client.iif)
    return answer is not None and answer.verdict == REJECT and bool(answer.matched) and of_proxy(answer.matched[-1])


def stops(node: NetNsView, client: Client, address: str, port: ServicePort) -> bool:
    """Whether kube-proxy drops what a client sends to one of the node's own addresses."""
    packet = _first(client, address, port)
    hooks = ("prerouting", "input") if client.iif is not None else ("output", "input")
    answers = [met(node, hook, packet, iif=client.iif) for hook in hooks]
    return any(of_proxy(ref) for ref in stopped(answers))
