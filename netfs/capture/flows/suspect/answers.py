"""Requests, and whether anybody answers: TCP handshakes, echoes, UDP, ARP."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from netfs.capture.flows.suspect.catalogue import suspicion
from netfs.capture.flows.suspect.evidence import Evidence, grouped, is_for_many, per_tap
from netfs.capture.flows.words import counted, end, heard, senders, tunnel
from netfs.model.flows import Flow, Suspicion

NEVER_ANSWERED = frozenset(
    {67, 68, 162, 514, 520, 546, 547, 1900, 2003, 2055, 4729, 4739, 5353, 5355, 5514, 6343, 6831, 6832, 8125, 9995}
    | {9996, 12201, 24224, 25826, 137, 138, 4789, 6081, 8472, 51820, 3784, 8285}
)
"""UDP ports on which silence says nothing. DHCP, SNMP traps, syslog, RIP, SSDP, Graphite, NetFlow, IPFIX, mDNS, LLMNR,
sFlow, Jaeger, StatsD, GELF, Fluentd, collectd, NetBIOS; VXLAN, Geneve, WireGuard, BFD and flannel's udp backend, whose
two directions have ports of their own.
"""
DNS = 53
EPHEMERAL = 32768
"""Where Linux's own ports begin (net.ipv4.ip_local_port_range)."""


def unanswered(evidence: Evidence) -> Iterator[Suspicion]:
    """Requests that have no answer at all, by whom they are for.

    One that came shortly before the end may have been answered after it.
    """
    for slug, (wanted, what) in _REQUESTS.items():
        silent = [index for index, flow in enumerate(evidence.flows) if wanted(evidence, flow)]
        late = [index for index in silent if _is_late(evidence, evidence.flows[index])]
        for _, indexes in grouped(
            sorted({*silent} - {*late}), lambda i: (evidence.flows[i].dst, evidence.flows[i].dport)
        ):
            flows = [evidence.flows[i] for i in indexes]
            yield suspicion(slug, _silence(flows, what), indexes, evidence.trace(flows[0]))
        for _, indexes in grouped(late, lambda i: (evidence.flows[i].dst, evidence.flows[i].dport)):
            flows = [evidence.flows[i] for i in indexes]
            why = f"{_silence(flows, what)}; the capture ends less than a second after it"
            yield suspicion("unanswered-at-the-end", why, indexes, evidence.trace(flows[0]))


def refused(evidence: Evidence) -> Iterator[Suspicion]:
    """SYNs that resets answer (RFC 9293, 3.10.7.1)."""
    found = []
    for index, flow in enumerate(evidence.flows):
        if flow.syns and not flow.syn_acks:
            answers = [evidence.flows[i] for i in evidence.answers(flow)]
            if any(each.resets for each in answers) and not any(each.syn_acks for each in answers):
                found.append(index)
    for _, indexes in grouped(found, lambda i: (evidence.flows[i].dst, evidence.flows[i].dport)):
        flows = [evidence.flows[i] for i in indexes]
        why = f"{_to(flows[0])} answers {counted(_once(flows, _syns), 'SYN')} of {senders(flows)} with resets"
        yield suspicion("connection-refused", f"{why}: nobody listens there", indexes, evidence.trace(flows[0]))


def answers_lost(evidence: Evidence) -> Iterator[Suspicion]:
    """Handshakes of which both halves are repeated, and never the third part."""
    found = []
    for index, flow in enumerate(evidence.flows):
        if flow.syns == flow.packets and per_tap(flow.syns, flow) > 1:
            answers = [evidence.flows[i] for i in evidence.answers(flow)]
            if any(per_tap(each.syn_acks, each) > 1 for each in answers):
                found.append(index)
    for _, indexes in grouped(found, lambda i: (evidence.flows[i].dst, evidence.flows[i].dport)):
        flows = [evidence.flows[i] for i in indexes]
        why = (
            f"{_to(flows[0])} answers {senders(flows)}, and the answers do not reach the sender: SYN and SYN-ACK are"
            f" repeated, no ACK follows{heard(evidence.flows[i] for i in evidence.answers(flows[0]))}"
        )
        yield suspicion("syn-ack-lost", why, indexes, evidence.trace(flows[0]))


def echo_loss(evidence: Evidence) -> Iterator[Suspicion]:
    """Echoes of which a part is not answered."""
    seen: set[tuple[str, str]] = set()
    for index, flow in enumerate(evidence.flows):
        if not flow.echo_requests or (flow.src, flow.dst) in seen:
            continue
        seen.add((flow.src, flow.dst))
        asked = _once([evidence.flows[i] for i in evidence.same(flow)], _echoes)
        replies = [evidence.flows[i] for i in evidence.answers(flow)]
        told = _once(replies, _replies)
        lost = asked - told - (1 if evidence.at_edge(flow) else 0)
        if told and lost > 0:
            why = f"{end(flow.dst_name, flow.dst)} answers {told} of {asked} echo requests of {senders([flow])}"
            yield suspicion("echo-loss", why, [index], evidence.trace(flow))


def one_direction(evidence: Evidence) -> Iterator[Suspicion]:
    """Connections that move on, of which the other direction was not recorded."""
    streams = [i for i, flow in enumerate(evidence.flows) if flow.proto == "tcp" and _moves(flow)]
    alone = [i for i in streams if not evidence.answers(evidence.flows[i])]
    if len(alone) > 1 and len(alone) == len(streams):
        why = f"none of {len(alone)} TCP flows has its other direction in here, and they move on: one was recorded"
        yield suspicion("capture-of-one-direction", why, alone)
        return
    for _, indexes in grouped(alone, lambda i: (evidence.flows[i].src, evidence.flows[i].dst)):
        flows = [evidence.flows[i] for i in indexes]
        ways = f" in {tunnel(flows[0].tunnels[0])}" if flows[0].tunnels else ""
        why = (
            f"{end(flows[0].src_name, flows[0].src, flows[0].sport)} sends to {_to(flows[0])}{ways}, nothing comes back"
            f" this way and it goes on: the other direction takes a way that was not recorded{heard(flows)}"
        )
        yield suspicion("one-direction-heard", why, indexes, evidence.trace(flows[0]))


def _syn(evidence: Evidence, flow: Flow) -> bool:
    """SYNs alone; those about which an ICMP error tells are no riddle."""
    alone = flow.syns > 0 and flow.syns == flow.packets
    return alone and not evidence.answers(flow) and not _is_told(evidence, flow)


def _echo(evidence: Evidence, flow: Flow) -> bool:
    if not flow.echo_requests or is_for_many(flow.dst) or _is_told(evidence, flow):
        return False
    return not any(evidence.flows[i].echo_replies for i in evidence.answers(flow))


def _silent_udp(evidence: Evidence, flow: Flow) -> bool:
    if flow.proto != "udp" or flow.sport is None or flow.dport is None or is_for_many(flow.dst):
        return False
    if flow.sport < flow.dport and flow.sport < EPHEMERAL <= flow.dport:
        return False
    return not evidence.answers(flow) and not _is_told(evidence, flow)


def _dns(evidence: Evidence, flow: Flow) -> bool:
    return flow.dport == DNS and _silent_udp(evidence, flow)


def _udp(evidence: Evidence, flow: Flow) -> bool:
    known = {flow.sport, flow.dport} & NEVER_ANSWERED
    return flow.dport != DNS and not known and per_tap(flow.packets, flow) > 1 and _silent_udp(evidence, flow)


def _arp(evidence: Evidence, flow: Flow) -> bool:
    if flow.proto != "arp" or flow.src in (flow.dst, "0.0.0.0") or evidence.answers(flow):
        return False
    return per_tap(flow.packets, flow) >= 3


def _is_told(evidence: Evidence, flow: Flow) -> bool:
    """Whether an ICMP error is what came back, to the flow or to what it is inside its tunnels."""
    return any(evidence.flows[i].icmp_errors for i in evidence.same(flow))


def _is_late(evidence: Evidence, flow: Flow) -> bool:
    return per_tap(_requests(flow), flow) == 1 and evidence.at_edge(flow)


def _moves(flow: Flow) -> bool:
    """Whether a TCP flow is more than attempts to connect, and more than resets."""
    return flow.packets > flow.syns + flow.resets and flow.packets > flow.syn_acks


def _silence(flows: list[Flow], what: str) -> str:
    """``2 SYNs of pod-a (10.244.1.2) to pod-b:80 (10.244.2.2) have no answer``, and where they were seen."""
    number = _once(flows, _requests)
    ways = dict.fromkeys(tunnel(each) for flow in flows for each in flow.tunnels[-1:])
    inside = f" in {next(iter(ways))}" if len(ways) == 1 else ""
    has = "has" if number == 1 else "have"
    return f"{counted(number, what)} of {senders(flows)} to {_to(flows[0])}{inside} {has} no answer{heard(flows)}"


_REQUESTS: dict[str, tuple[Callable[[Evidence, Flow], bool], str]] = {
    "syn-unanswered": (_syn, "SYN"),
    "echo-unanswered": (_echo, "echo request"),
    "dns-unanswered": (_dns, "DNS packet"),
    "udp-unanswered": (_udp, "UDP packet"),
    "arp-unanswered": (_arp, "ARP request"),
}
"""How each kind of question is recognised, and what it is called."""


def _requests(flow: Flow) -> int:
    return flow.syns or flow.echo_requests or flow.packets


def _syns(flow: Flow) -> int:
    return flow.syns


def _echoes(flow: Flow) -> int:
    return flow.echo_requests


def _replies(flow: Flow) -> int:
    return flow.echo_replies


def _once(flows: Iterable[Flow], count: Callable[[Flow], int]) -> int:
    """Packets of several flows, each counted once though it was seen at several places and inside its tunnels."""
    most: dict[tuple[str, str, int | None, int | None], int] = {}
    for flow in flows:
        key = (flow.src, flow.dst, flow.sport, flow.dport)
        most[key] = max(most.get(key, 0), per_tap(count(flow), flow))
    return sum(most.values())


def _to(flow: Flow) -> str:
    return end(flow.dst_name, flow.dst, flow.dport)
