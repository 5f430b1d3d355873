"""Live answers made by hand: as predicted, lost between two taps, seen elsewhere, undecided but seen, hostile."""

from __future__ import annotations

from dataclasses import replace

from netfs.datapath.stages import STAGES
from netfs.model.live import Clock, KernelWord, Live, LiveWay, Observation, Sighting, TapRef
from netfs.model.trace import Direction, Hop, KernelDrop, Trace
from tests.cli import answers

ETH0 = TapRef("node1", "node1", 5, "eth0", 2)
BR0 = TapRef("underlay", "underlay", 1, "br0", 3)
STRAY = TapRef("node2", "pod-d", 8, "eth0", 2)


def watched(direction: Direction, start_us: float, seen: int = 99) -> Direction:
    """The direction with every hop that a tap sees observed, but for those behind hop ``seen``."""

    def observed(hop: Hop) -> Hop:
        if STAGES[hop.stage].tap is None:
            return hop
        if hop.index > seen:
            return replace(hop, observed=Observation(False))
        outer = replace(hop.packet.outer, sport=41234) if hop.packet.outer is not None else None
        return replace(hop, observed=Observation(True, start_us + 7.25 * (hop.index - 1), outer, 1))

    return replace(direction, hops=tuple(observed(hop) for hop in direction.hops))


AGREES = replace(
    answers.DELIVERED,
    forward=watched(answers.DELIVERED.forward, 0),
    reverse=watched(answers.DELIVERED.reverse, 110.5),
    live=Live(
        LiveWay("agrees", "", sent=3, arrived=3, latency_us=(96.0, 101.5, 140.25)),
        LiveWay("agrees", "", sent=3, arrived=3, latency_us=(40.0, 44.0, 51.0)),
        count=3,
        marker="3f2a9c00d1e2",
        taps=(ETH0, BR0, STRAY),
    ),
)
LOST = replace(
    answers.DELIVERED,
    forward=watched(answers.DELIVERED.forward, 0, seen=9),
    reverse=replace(answers.DELIVERED.reverse),
    live=Live(
        LiveWay("lost", "seen at node1/eth0, not at underlay/br0", sent=1, last=ETH0, next=BR0, hops=(9, 10)),
        LiveWay("unheard", ""),
        count=1,
        marker="3f2a9c00d1e2",
        taps=(ETH0, BR0),
        unheard="tracefs belongs to root",
        notes=("10.244.1.1 says: time exceeded",),
    ),
)
ELSEWHERE = replace(
    answers.DROPPED,
    live=Live(
        LiveWay(
            "other-path",
            "it left node1/eth0 and came out at node2/pod-d/eth0",
            sent=1,
            elsewhere=(Sighting(STRAY, "in", 5, 0, "probe", answers.REQUEST, 98),),
        ),
        LiveWay("unheard", ""),
        count=1,
        marker="00",
        drops=(KernelWord(STRAY, "OTHERHOST", "ip_rcv_core", 7, 0, "probe"),),
        clocks=(Clock("node2", -15.25, 3.5), Clock("node3", None, 0)),
    ),
)
HOSTILE_TAP = TapRef("node\x1b[2J", "pod\u202eb", 7, "eth\n0", 2)
HOSTILE = replace(
    answers.HOSTILE,
    live=Live(
        LiveWay("lost", answers.ESCAPE, sent=1, last=HOSTILE_TAP, next=HOSTILE_TAP),
        LiveWay("unheard", answers.ESCAPE),
        count=1,
        marker="00",
        taps=(HOSTILE_TAP,),
        drops=(KernelWord(HOSTILE_TAP, answers.ESCAPE, answers.ESCAPE, 0),),
        unheard=answers.ESCAPE,
        notes=(answers.ESCAPE,),
    ),
)


def dropped_as_said() -> Trace:
    """A predicted drop that was seen, and that the kernel told of."""
    forward = watched(answers.DROPPED.forward, 0)
    assert forward.drop is not None
    kernel = KernelDrop("VXLAN_VNI_NOT_FOUND", "vxlan_rcv")
    return replace(
        answers.DROPPED,
        forward=replace(forward, drop=replace(forward.drop, kernel=kernel)),
        live=Live(
            LiveWay("agrees", "seen up to node2/eth0, and nowhere behind", sent=1, last=ETH0, hops=(11, 12)),
            LiveWay("unheard", ""),
            count=1,
            marker="00",
            drops=(KernelWord(TapRef("node2", "node2", 6, "flannel.1", 4), kernel.reason, kernel.location, 5, 0),),
        ),
    )
