"""The walk: takes a frame from stage to stage, over every namespace, until it ends.

Which function runs a stage is the table ``RUN``. What a packet teaches on its way (bridges learn, tunnels
learn, neighbours answer) is kept here, beside the snapshot, which never changes; what conntrack remembers of it is
kept by branch (``connection.Branch``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from netfs.cluster.netns import NetNsKey, NetNsView
from netfs.cluster.topology import Topology
from netfs.datapath import (
    bridge,
    bridge_nf,
    deliver,
    device,
    hooks,
    ipvs_in,
    macvlan,
    neighbour,
    output,
    route,
    vxlan,
)
from netfs.datapath.below_ip import question_hook
from netfs.datapath.frame import BROADCAST, Frame, Question
from netfs.datapath.position import Copies, End, Position, Step, Ways
from netfs.model import ip
from netfs.model.link import Link
from netfs.model.packet import Packet
from netfs.model.trace import DELIVERED, UNKNOWN

ANSWERED = "answered"
"""The end of a question: the answer came back to who asked."""

LIMIT = 20_000
"""Stages one packet may pass, its copies included, before the walk gives up."""

DEPTH = 100
"""How often a copy of a copy may be copied again."""

RUN: Mapping[str, Callable[[Walk, Position], Step]] = {
    "output": output.route_local,
    "local-out": hooks.output,
    "egress": output.leave,
    "postrouting": hooks.postrouting,
    "neighbour": neighbour.resolve,
    "unanswered": neighbour.unanswered,
    "transmit": device.transmit,
    "receive": device.receive,
    "bridge": bridge.ingress,
    "bridge-prerouting": bridge_nf.prerouting,
    "bridge-prerouted": bridge_nf.prerouted,
    "bridge-decide": bridge.decide,
    "bridge-forward": bridge_nf.forward,
    "bridge-postrouting": bridge_nf.postrouting,
    "bridge-leave": bridge.push,
    "bridge-output": bridge.from_device,
    "macvlan": macvlan.ingress,
    "macvlan-output": macvlan.transmit,
    "route": route.arrive,
    "prerouting": hooks.prerouting,
    "routed": route.routed,
    "forward": hooks.forward,
    "encapsulate": vxlan.encapsulate,
    "decapsulate": vxlan.decapsulate,
    "input": hooks.input_,
    "ipvs": ipvs_in.schedule,
    "ipvs-sent": ipvs_in.sent,
    "deliver": deliver.local,
}


class Walk:
    """One question's state: what was learned on the way, there and back."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.replying = False
        """The packet is the answer: its socket exists, its connection is known."""
        self.whole = False
        """The sender insists on Don't Fragment (IP_PMTUDISC_DO): too long for its own device is an error."""
        self.steps = 0
        self.depth = 0
        self._learned: dict[tuple[NetNsKey, int, str], int] = {}
        self._learned_remote: dict[tuple[NetNsKey, int, str], str] = {}
        self._heard: dict[tuple[NetNsKey, int, str], str] = {}
        self._answers: dict[tuple[NetNsKey, int, str, str], list[End]] = {}
        self._flooded: dict[tuple[NetNsKey, int, int], Frame] = {}

    def run(self, at: Position) -> list[End]:
        """Every way's end; of copies, the end of the one that got furthest."""
        if self.depth > DEPTH:
            return [End(at, UNKNOWN, "", f"copies of the frame make copies {DEPTH} times over: the frames circle")]
        self.depth += 1
        try:
            return self._run(at)
        finally:
            self.depth -= 1

    def _run(self, at: Position) -> list[End]:
        while True:
            self.steps += 1
            if self.steps > LIMIT:
                why = f"the walk did not end within {LIMIT} stages: the frames circle, or their ways are too many"
                return [End(at, UNKNOWN, "", why)]
            step = RUN[at.stage](self, at)
            if isinstance(step, Position):
                at = step
            elif isinstance(step, End):
                return [step]
            elif isinstance(step, Ways):
                return self._ways(step)
            else:
                return self._copies(step)

    def _ways(self, step: Ways) -> list[End]:
        """Every way's ends. A question that only some of them bring an answer to is answered by chance."""
        for way in step.positions:
            if isinstance(way, Position) and not step.known:
                way.branch = way.branch.parted(None)
        results = [[way] if isinstance(way, End) else self.run(way) for way in step.positions]
        first = step.positions[0]
        if isinstance(first, Position) and first.frame.asks:
            answered = [any(end.verdict == ANSWERED for end in ends) for ends in results]
            for end in (end for ends in results for end in ends if end.verdict == ANSWERED):
                end.by_chance = end.by_chance or not all(answered)
        return [end for ends in results for end in ends]

    def _copies(self, step: Copies) -> list[End]:
        results = [self.run(copy) for copy in step.positions]
        if step.positions[0].frame.asks:
            return [end for ends in results for end in ends]
        return max(results, key=_progress)

    def ask(self, view: NetNsView, link: Link, target: str, source: str) -> list[End]:
        """Send an ARP request or neighbour solicitation; every end of it and of its answers."""
        key = (view.key, link.index, target, source)
        if key not in self._answers:
            self._answers[key] = []  # what the question itself waits for gets no answer
            mac = link.mac or ""
            destination = BROADCAST if ":" not in target else solicited_node_mac(target)
            question = Question(target, source, mac)
            frame = Frame(Packet(source, target, size=46), mac, destination, question=question)
            start = Position("transmit", view, link, frame)
            lost = question_hook(start, "output")
            self._answers[key] = self.run(start) if lost is None else [lost]
        return self._answers[key]

    def hear(self, view: NetNsView, link: Link, address: str, mac: str) -> None:
        """Whoever is asked learns the asker (``neigh_event_ns``): not over permanent entries."""
        self._heard[view.key, link.index, address] = mac

    def heard(self, view: NetNsView, link: Link, address: str) -> str | None:
        """The MAC of a neighbour that asked during this walk."""
        return self._heard.get((view.key, link.index, address))

    def learn(self, view: NetNsView, bridge_link: Link, mac: str, port: Link) -> None:
        """A bridge learns that a MAC is behind a port (``br_fdb_update``): not over local or sticky entries."""
        self._learned[view.key, bridge_link.index, mac] = port.index

    def learned_port(self, view: NetNsView, bridge_link: Link, mac: str) -> Link | None:
        """The port that a bridge learned a MAC on during this walk."""
        index = self._learned.get((view.key, bridge_link.index, mac))
        return None if index is None else view.links.get(index)

    def learn_remote(self, view: NetNsView, link: Link, mac: str, remote: str) -> None:
        """A VXLAN device learns the tunnel end that a MAC is behind (``vxlan_snoop``)."""
        self._learned_remote[view.key, link.index, mac] = remote

    def learned_remote(self, view: NetNsView, link: Link, mac: str) -> str | None:
        """The tunnel end that a VXLAN device learned a MAC behind during this walk."""
        return self._learned_remote.get((view.key, link.index, mac))

    def circles(self, view: NetNsView, link: Link, frame: Frame) -> bool:
        """Whether this very frame came in by this port before: a loop in layer 2."""
        born = frame.born or frame
        key = (view.key, link.index, id(born))
        if key in self._flooded:
            return True
        self._flooded[key] = born
        return False


def solicited_node_mac(address: str) -> str:
    """The MAC of an IPv6 address's solicited-node group (RFC 4291 2.7.1, RFC 2464 7)."""
    low = ip.to_int(address) & 0xFFFFFF
    return f"33:33:ff:{low >> 16:02x}:{low >> 8 & 0xFF:02x}:{low & 0xFF:02x}"


def _progress(ends: list[End]) -> tuple[int, int]:
    """Delivered before unknown before dropped; a copy that was for somebody else comes last."""
    best = (-1, 0)
    for end in ends:
        length = end.at.trail.length if end.at.trail is not None else 0
        if end.verdict == DELIVERED:
            rank = 4
        elif end.verdict == UNKNOWN:
            rank = 3
        else:
            rank = 1 if end.reason == "OTHERHOST" else 2
        best = max(best, (rank, length))
    return best
