"""What was lost: on the way, by the recording, or in the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from netfs.capture.flows.suspect.catalogue import suspicion
from netfs.capture.flows.suspect.evidence import Evidence
from netfs.capture.flows.words import counted, end, tunnel
from netfs.model.flows import Flow, Suspicion

FEW = 3
"""Up to this many losses of a flow nobody looks for a cause."""
SHARE = 0.02
"""Nor where they are less than this of its packets."""


def retransmissions(evidence: Evidence) -> Iterator[Suspicion]:
    """TCP flows that repeat much."""
    found = _notable(evidence, _repeated)
    if found:
        rest = f", and {counted(len(found) - 1, 'other flow')} such a share" if len(found) > 1 else ""
        worst = evidence.flows[found[0]]
        why = (
            f"{_flow(worst)} repeats {_repeated(worst)} of {worst.packets} packets{rest}:"
            f" they are lost after this point, or their acknowledgements are"
        )
        yield suspicion("retransmissions", why, found, evidence.trace(worst, "--size 1500"))


def late(evidence: Evidence) -> Iterator[Suspicion]:
    """TCP flows of which much comes behind what follows it."""
    found = _notable(evidence, lambda flow: flow.late)
    if found:
        rest = f", {counted(len(found) - 1, 'other flow')} as well" if len(found) > 1 else ""
        worst = evidence.flows[found[0]]
        why = (
            f"{_flow(worst)}: {worst.late} of {worst.packets} packets come behind later ones{rest}: they were lost"
            " before this point and sent again, or overtaken"
        )
        yield suspicion("segments-late", why, found, evidence.trace(worst, "--size 1500"))


def gaps(evidence: Evidence) -> Iterator[Suspicion]:
    """TCP flows of which segments are missing, and did not come afterwards; the recording did not lose them."""
    if evidence.decoded.dropped:
        return
    found = _notable(evidence, lambda flow: flow.gaps - flow.late - flow.retransmissions)
    if found:
        rest = f", {counted(len(found) - 1, 'other flow')} as well" if len(found) > 1 else ""
        worst = evidence.flows[found[0]]
        why = (
            f"{_flow(worst)} jumps ahead {worst.gaps} times in {worst.packets} packets{rest}: the segments between were"
            " not recorded, or took another way"
        )
        yield suspicion("segments-missing", why, found)


def recording(evidence: Evidence) -> Iterator[Suspicion]:
    """What the file says of itself."""
    decoded = evidence.decoded
    if decoded.dropped:
        part = _part(decoded.dropped, decoded.dropped + decoded.packets)
        were = "was" if decoded.dropped == 1 else "were"
        why = f"{counted(decoded.dropped, 'packet')} ({part}) {were} lost in recording: counts are too small"
        yield suspicion("recording-dropped", why)
    if decoded.warnings:
        first = decoded.warnings[0]
        why = f"not all of the file could be read, from byte {first.offset}: counts are too small"
        yield suspicion("recording-damaged", why)
    if decoded.truncated:
        part = _part(decoded.truncated, decoded.packets)
        lacking = f"of {counted(decoded.truncated, 'packet')} ({part}) too little was kept to tell a flow"
        why = f"{lacking}: packets in a tunnel need a snap length of 128 and more"
        yield suspicion("recording-truncated", why)


def _part(number: int, of: int) -> str:
    """``6.9 %``."""
    share = 100 * number / max(of, 1)
    return f"{share:.1f} %" if share >= 0.1 else "less than 0.1 %"


def _repeated(flow: Flow) -> int:
    """Segments that are repeated; not those of a handshake, which has rules of its own (``answers``)."""
    return 0 if flow.packets in (flow.syns, flow.syn_acks) else flow.retransmissions


def _notable(evidence: Evidence, lost: Callable[[Flow], int]) -> list[int]:
    """Flows that lost more than few and more than a small share, the worst first."""
    found = [
        index
        for index, flow in enumerate(evidence.flows)
        if lost(flow) >= FEW and lost(flow) >= SHARE * max(flow.packets, 1)
    ]
    return sorted(found, key=lambda index: (-lost(evidence.flows[index]), index))


def _flow(flow: Flow) -> str:
    inside = f" in {tunnel(flow.tunnels[-1])}" if flow.tunnels else ""
    return f"{end(flow.src_name, flow.src, flow.sport)} to {end(flow.dst_name, flow.dst, flow.dport)}{inside}"
