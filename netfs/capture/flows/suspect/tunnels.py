"""Tunnels whose two ends do not fit together, told from the packets alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from netfs.capture.flows.suspect.catalogue import suspicion
from netfs.capture.flows.suspect.evidence import Evidence, is_for_many
from netfs.capture.flows.words import counted, end, senders, tunnel
from netfs.model.flows import Flow, Suspicion, Tunnel


def vnis(evidence: Evidence) -> Iterator[Suspicion]:
    """Ends that send to each other under different VNIs.

    Cilium writes the sender's identity where the VNI stands: both ends take what they get. So what is answered across
    two VNIs is no mismatch.
    """
    for there, back, indexes in _apart(evidence, lambda each: each.vni):
        why = f"{_way(there)} and {_way(back)}: the kernel drops a VNI that it has no device for (VXLAN_VNI_NOT_FOUND)"
        yield suspicion("vni-mismatch", why, indexes, evidence.doctor)


def ports(evidence: Evidence) -> Iterator[Suspicion]:
    """Ends that send to each other on different UDP ports."""
    for there, back, indexes in _apart(evidence, lambda each: each.dport):
        why = (
            f"{there[0].kind} {_ends(there[0])} goes to port {_listed(each.dport for each in there)}, the way back to"
            f" port {_listed(each.dport for each in back)}: a device listens on the port that it sends to"
        )
        yield suspicion("tunnel-port-mismatch", why, indexes, evidence.doctor)


def answers_outside(evidence: Evidence) -> Iterator[Suspicion]:
    """Packets in a tunnel whose answers are in none, or in another kind of tunnel."""
    told: set[tuple[str, str]] = set()
    for index, flow in enumerate(evidence.flows):
        if not flow.tunnels or flow.reverse is not None or (flow.src, flow.dst) in told:
            continue
        kinds = _kinds(flow)
        answers = [evidence.flows[i] for i in evidence.answers(flow)]
        everywhere = {_kinds(evidence.flows[i]) for i in evidence.same(flow)}
        if answers and not any(_kinds(each) in everywhere for each in answers):
            told.add((flow.src, flow.dst))
            how = f"in {tunnel(answers[0].tunnels[-1])}" if answers[0].tunnels else "outside of any tunnel"
            why = (
                f"{senders([flow])} to {end(flow.dst_name, flow.dst, flow.dport)} travels in {'+'.join(kinds)}"
                f" ({tunnel(flow.tunnels[-1])}), the answer {how}"
            )
            yield suspicion("answer-not-in-tunnel", why, [index], evidence.trace(flow))


def moved(evidence: Evidence) -> Iterator[Suspicion]:
    """Inner source addresses that come from several tunnel ends."""
    ends: dict[str, dict[str, list[int]]] = {}
    for index, flow in enumerate(evidence.flows):
        if flow.tunnels and flow.src not in ("0.0.0.0", "::") and not is_for_many(flow.src):
            ends.setdefault(flow.src, {}).setdefault(flow.tunnels[-1].src, []).append(index)
    for address, found in ends.items():
        if len(found) > 1:
            names = " and ".join(end(evidence.names.get(each), each) for each in sorted(found))
            who = end(evidence.names.get(address), address)
            why = f"{who} sends from behind {counted(len(found), 'tunnel end')}: {names}"
            indexes = sorted(index for each in found.values() for index in each)
            yield suspicion("address-of-two-tunnel-ends", why, indexes)


def claims(evidence: Evidence) -> Iterator[Suspicion]:
    """IP addresses for which ARP tells several hardware addresses (RFC 5227)."""
    macs: dict[str, set[str]] = {}
    flows: dict[str, list[int]] = {}
    for index, flow in enumerate(evidence.flows):
        if flow.proto == "arp" and flow.src != "0.0.0.0":
            macs.setdefault(flow.src, set()).update(flow.macs)
            flows.setdefault(flow.src, []).append(index)
    for address, found in macs.items():
        if len(found) > 1:
            why = f"ARP tells {counted(len(found), 'MAC')} for {end(evidence.names.get(address), address)}"
            yield suspicion("address-of-two-macs", f"{why}: {', '.join(sorted(found))}", flows[address])


Apart = tuple[list[Tunnel], list[Tunnel], list[int]]


def _apart(evidence: Evidence, part: Callable[[Tunnel], int | None]) -> Iterator[Apart]:
    """Pairs of ends that send both ways, and have nothing in common in a part of the header; nor any answers."""
    for (kind, src, dst), indexes in evidence.tunnel_pairs.items():
        backwards = evidence.tunnel_pairs.get((kind, dst, src))
        if src > dst or backwards is None:
            continue
        there, back = _of(evidence, indexes, kind, src), _of(evidence, backwards, kind, dst)
        values, others = {part(each) for each in there}, {part(each) for each in back}
        if None in values | others or values & others:
            continue
        if not any(_answers(evidence, evidence.flows[i], set(backwards)) for i in indexes):
            yield there, back, sorted({*indexes, *backwards})


def _of(evidence: Evidence, indexes: Iterable[int], kind: str, src: str) -> list[Tunnel]:
    tunnels = (each for i in indexes for each in evidence.flows[i].tunnels)
    return list(dict.fromkeys(each for each in tunnels if (each.kind, each.src) == (kind, src)))


def _answers(evidence: Evidence, flow: Flow, among: set[int]) -> bool:
    """Whether one of some flows proves that its sender got a packet of ``flow``, or the other way round."""
    for index in set(evidence.answers(flow)) & among:
        both = (flow, evidence.flows[index])
        if any(each.echo_replies or each.syn_acks or each.resets for each in both):
            return True
        if all(each.packets > each.syns and each.proto not in ("icmp", "icmpv6") for each in both):
            return True
    return False


def _kinds(flow: Flow) -> tuple[str, ...]:
    return tuple(each.kind for each in flow.tunnels)


def _way(ways: list[Tunnel]) -> str:
    return f"{_ends(ways[0])} has VNI {_listed(each.vni for each in ways)}"


def _ends(one: Tunnel) -> str:
    return f"{one.src_node or one.src}→{one.dst_node or one.dst}"


def _listed(numbers: Iterable[int | None]) -> str:
    distinct = sorted({each for each in numbers if each is not None})
    return ", ".join(map(str, distinct[:4])) + (" …" if len(distinct) > 4 else "")
