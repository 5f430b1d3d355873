"""A packet's way through the router of ``iptables_router``, by the evaluator alone: hook by hook, every branch.

Where the evaluator leaves it to chance (``branches``) or to doubt (``unknown`` with branches), every branch is
followed: the kernel must have gone one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from netfs.datapath.netfilter import HookAnswer, HookContext, run_hook
from netfs.datapath.netfilter.answer import Met
from netfs.model.packet import Packet
from tests.kernel.iptables_case import STATIONS
from tests.kernel.iptables_known import DEVICES, PLACES, Known


@dataclass(frozen=True)
class Connection:
    """What conntrack keeps of a packet's connection: the part that rules see of it."""

    state: str
    """``new``, ``established``, ``invalid`` or ``untracked``, as conntrack finds the packet."""
    original: Packet | None
    """The first packet, before any translation."""
    direction: str = "original"
    mark: int | None = 0
    status: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()
    """``snat`` and ``dnat``: what the nat chains were asked for already."""
    towards: Mapping[str, Packet] = field(default_factory=dict)
    """How an established packet is translated, by ``dnat`` (destination) and ``snat`` (source)."""
    reply: Packet | None = None
    """What the answer was when it came."""
    masquerade: str | None = None
    """The device whose address it got: by another one its packets do not leave (``nf_nat_oif_changed``)."""


@dataclass(frozen=True)
class Fate:
    """One possible end of a packet."""

    at: str | None
    """``client``, ``server``, ``third``, ``router``; None: it does not arrive."""
    packet: Packet
    last: HookAnswer
    """What ended it, or let it go."""
    share: float | None
    connection: Any
    """What the follower knows of its connection."""
    met: tuple[Met, ...] = ()
    """Every rule it met."""


class Follower(Protocol):
    """Says what becomes of packets, one after another."""

    def first(self, place: str, packet: Packet) -> list[Fate] | None:
        """Of the first packet of a connection, sent at a place: every possible fate. None: that is not known."""

    def answer(self, place: str, packet: Packet, original: Packet, fate: Fate) -> list[Fate]:
        """Of the answer to a packet that had a fate; ``original`` is that packet as it was sent."""

    def second(self, place: str, packet: Packet, first: dict[str, Any], fate: Fate) -> list[Fate] | None:
        """Of the next packet; ``first`` is what the kernel made of the first one. None: that is not known."""


@dataclass(frozen=True)
class Stand:
    """Where a packet is on its way."""

    packet: Packet
    connection: Connection
    iif: str | None
    oif: str | None = None
    physin: str | None = None
    physout: str | None = None
    looped: bool = False
    answers: tuple[HookAnswer, ...] = ()
    share: float | None = 1.0


class Simulation:
    """Follows one packet every way."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.fates: list[Fate] = []

    @classmethod
    def of(cls, told: dict[str, Any], bridge: bool) -> Simulation:
        """Over what the router told of its rules."""
        return cls(Known.of(bridge, told["firewall"]))

    def first(self, place: str, packet: Packet) -> list[Fate]:
        """What conntrack makes of it: ``tcp_new``, ``nf_conntrack_icmp_packet``."""
        invalid = packet.tcp_flags in ("syn-ack", "rst") or packet.icmp_type == "echo-reply"
        return self.run(place, packet, Connection("invalid", None) if invalid else Connection("new", packet))

    def answer(self, place: str, packet: Packet, original: Packet, fate: Fate) -> list[Fate]:
        """Translated back; the answer to an untracked packet is the first of a connection of its own."""
        before: Connection = fate.connection
        if before.state == "untracked":
            return self.first(place, packet)
        back = Packet(original.dst, original.src, original.proto, original.dport, original.sport)
        towards = {"dnat": back, "snat": back}
        status = before.status | {"seen-reply"}
        now = Connection("established", original, "reply", before.mark, status, towards=towards)
        return self.run(place, packet, replace(now, reply=packet, masquerade=before.masquerade))

    def second(self, place: str, packet: Packet, first: dict[str, Any], fate: Fate) -> list[Fate] | None:
        """Translated as the first one was. After an answer that was not tracked, the connection has none yet."""
        before: Connection = fate.connection
        if before.state != "established":
            return None
        final = Packet(first["src"], first["dst"], packet.proto, first["sport"], first["dport"])
        towards = {"dnat": final, "snat": final}
        return self.run(place, packet, replace(before, direction="original", towards=towards))

    def run(self, place: str, packet: Packet, connection: Connection) -> list[Fate]:
        """Every possible fate of a packet sent at a place."""
        self.fates = []
        known = self.known
        if place == "router":
            stand = Stand(packet, connection, None, known.route(packet.dst, packet.mark))
            for after in self.hook("output", stand):
                device = known.route(after.packet.dst, after.packet.mark)
                if device is None:
                    self.ended(after, None)
                else:
                    self.leave(replace(after, oif=device))
            return self.fates
        device = DEVICES[place]
        port = device if known.links[device].master else None
        stand = Stand(packet, connection, "br0" if port else device, physin=port)
        for after in self.hook("prerouting", stand):
            self.arrive(after)
        return self.fates

    def arrive(self, stand: Stand) -> None:
        """After PREROUTING: here, onward, or through the bridge (``ip_rcv_finish``, ``br_handle_frame_finish``)."""
        known, packet = self.known, stand.packet
        if stand.physin is not None and packet.dst_mac in STATIONS.values():
            return self.bridge(stand)
        target = "lo" if stand.looped else known.route(packet.dst, packet.mark)
        if target is None:
            return self.ended(stand, None)
        if target == "lo":
            for after in self.hook("input", stand):
                self.ended(after, "router")
            return None
        onward = replace(stand, oif=target, packet=replace(packet, ttl=packet.ttl - 1))
        for after in self.hook("forward", onward):
            self.leave(after)
        return None

    def bridge(self, stand: Stand) -> None:
        """A frame between two ports (``br_nf_forward``)."""
        out = "s0" if stand.physin == "c0" else "c0"
        for after in self.hook("forward", replace(stand, oif="br0", physout=out)):
            for last in self.hook("postrouting", after):
                self.ended(last, PLACES[out])

    def leave(self, stand: Stand) -> None:
        """POSTROUTING, and out by a device; by ``lo`` it comes in again."""
        device, masquerade = stand.oif or "", stand.connection.masquerade
        for after in self.hook("postrouting", stand):
            if stand.connection.direction == "original" and masquerade not in (None, device):
                self.ended(after, None)
                continue
            if device != "lo":
                self.ended(after, self.known.place(device, stand.packet.dst))
                continue
            connection = replace(after.connection, status=after.connection.status | {"confirmed"})
            for again in self.hook(
                "prerouting", replace(after, connection=connection, iif="lo", oif=None, looped=True)
            ):
                self.arrive(again)

    def ended(self, stand: Stand, place: str | None) -> None:
        met = tuple(met for answer in stand.answers for met in answer.met)
        connection = replace(stand.connection, status=stand.connection.status | {"confirmed"})
        self.fates.append(Fate(place, stand.packet, stand.answers[-1], stand.share, connection, met))

    def hook(self, name: str, stand: Stand) -> Iterator[Stand]:
        """The ways that go on behind a hook; those that end at it become fates."""
        answer = run_hook(self.known.view, name, stand.packet, self.context(name, stand))
        chance = answer.verdict != "accept"
        for leaf in leaves(answer):
            share = stand.share if leaf is answer else times(stand.share, leaf.share) if chance else stand.share
            after = self.after(name, stand, leaf, share)
            if leaf.verdict == "accept":
                yield after
            else:
                self.ended(after, None)

    def context(self, name: str, stand: Stand) -> HookContext:
        known, connection = self.known, stand.connection
        unseen = name == "postrouting" and stand.physout is not None
        iif = known.links[stand.iif] if stand.iif and not unseen else None
        out = stand.oif if name in ("output", "forward", "postrouting") else None
        return HookContext(
            iif=iif,
            oif=known.links[out] if out else None,
            ct_state=connection.state,
            ct_status=connection.status,
            ct_direction=connection.direction,
            ct_mark=connection.mark,
            nat_done=connection.state != "new" or manip(name) in connection.asked,
            original=connection.original,
            reply=connection.reply,
            masquerade_source=known.masquerade(out, stand.packet) if out and name == "postrouting" else None,
            bridged=stand.physout is not None,
            physin=stand.physin,
            physout=stand.physout,
            fib=lambda result, flags, asked: known.fib(result, flags, asked, {"iif": stand.iif, "oif": out}),
            tracked=stand.looped,
            restore=lambda packet: translated(connection, name, packet),
            changed=stand.answers[-1].changed if stand.answers else (),
        )

    def after(self, name: str, stand: Stand, answer: HookAnswer, share: float | None) -> Stand:
        connection = replace(stand.connection, mark=answer.ct_mark)
        if answer.untracked:
            connection = replace(connection, state="untracked")
        elif connection.state == "new" and name != "forward":
            if answer.nat is not None and answer.nat.kind == "masquerade":
                connection = replace(connection, masquerade=stand.oif)
            kind = {"snat", "masquerade"} if manip(name) == "snat" else {"dnat", "redirect"}
            done = {manip(name)} if answer.nat is not None and answer.nat.kind in kind else set()
            connection = replace(connection, asked=connection.asked | {manip(name)}, status=connection.status | done)
        return replace(
            stand, packet=answer.packet, connection=connection, share=share, answers=(*stand.answers, answer)
        )


def leaves(answer: HookAnswer) -> Iterator[HookAnswer]:
    """The answer itself, or every branch of one that chance or doubt decides."""
    if not answer.branches:
        yield answer
    for branch in answer.branches:
        yield from leaves(branch)


def times(left: float | None, right: float | None) -> float | None:
    """The share of a share."""
    return None if left is None or right is None else left * right


def manip(hook: str) -> str:
    """What nat may change on a hook (``HOOK2MANIP``)."""
    return "dnat" if hook in ("prerouting", "output") else "snat"


def translated(connection: Connection, hook: str, packet: Packet) -> Packet:
    """The packet with its connection's translation for this hook (``nf_nat_manip_pkt``)."""
    towards = connection.towards.get(manip(hook)) if hook != "forward" else None
    if towards is None or connection.state == "untracked":
        return packet
    if manip(hook) == "dnat":
        return replace(packet, dst=towards.dst, dport=towards.dport)
    return replace(packet, src=towards.src, sport=towards.sport)
