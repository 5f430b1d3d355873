"""Where a walk stands, and what a stage may answer.

A stage is a function from (walk, position) to a ``Step``: the positions to go on from, or an end. Stages
never call each other; the walk does. ``Copies`` are frames that are all sent (a flood): the packet arrives
if one of them does. ``Ways`` are alternatives of which the kernel takes one: by a hash that cannot be known, or by
chance with known odds. What a way carries along beside its hops is its ``Branch``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netfs.cluster.netns import NetNsView
from netfs.datapath.connection import NOWHERE, Branch
from netfs.datapath.frame import Frame
from netfs.model.link import Link
from netfs.model.packet import Packet
from netfs.model.route import NextHop, Route
from netfs.model.trace import DROPPED, UNKNOWN, Hop, RuleMet


class Trail:
    """The hops so far, newest first: branches share their beginning."""

    __slots__ = ("hop", "length", "parent")

    def __init__(self, parent: Trail | None, hop: Hop) -> None:
        self.parent = parent
        self.hop = hop
        self.length: int = 1 if parent is None else parent.length + 1

    def hops(self) -> tuple[Hop, ...]:
        """The hops, oldest first."""
        found: list[Hop] = []
        trail: Trail | None = self
        while trail is not None:
            found.append(trail.hop)
            trail = trail.parent
        return tuple(reversed(found))


class Position:
    """A frame at a stage of the kernel: at a device of a namespace."""

    __slots__ = (
        "branch",
        "frame",
        "iif",
        "link",
        "next_hop",
        "oif",
        "port",
        "rerouted",
        "route",
        "stage",
        "trail",
        "view",
    )

    def __init__(
        self,
        stage: str,
        view: NetNsView,
        link: Link,
        frame: Frame,
        trail: Trail | None = None,
        *,
        iif: Link | None = None,
        oif: str | None = None,
        port: Link | None = None,
        next_hop: str | None = None,
        route: Route | None = None,
        rerouted: Packet | None = None,
        branch: Branch = NOWHERE,
    ) -> None:
        self.stage = stage
        self.view = view
        self.link = link
        self.frame = frame
        self.trail = trail
        self.iif = iif
        """The device a forwarded packet came in by; None: the packet was made here."""
        self.oif = oif
        """The device a local packet is bound to."""
        self.port = port
        """The bridge's port a frame came in by, once it is passed up on the bridge device, or bridged on."""
        self.next_hop = next_hop
        self.route = route
        self.rerouted = rerouted
        """As it was when the OUTPUT hook had it routed again: the tables are asked for that, and the hook is not met
        twice.
        """
        self.branch = branch

    def go(
        self,
        stage: str,
        *,
        view: NetNsView | None = None,
        link: Link | None = None,
        frame: Frame | None = None,
        iif: Link | None = None,
        oif: str | None = None,
        port: Link | None = None,
        next_hop: str | None = None,
        route: Route | None = None,
        rerouted: Packet | None = None,
    ) -> Position:
        """The next position on the same trail; what is not given stays (place, frame) or is cleared (the rest)."""
        return Position(
            stage,
            self.view if view is None else view,
            self.link if link is None else link,
            self.frame if frame is None else frame,
            self.trail,
            iif=iif,
            oif=oif,
            port=port,
            next_hop=next_hop,
            route=route,
            rerouted=rerouted,
            branch=self.branch,
        )

    def then(self, stage: str) -> Position:
        """This very position, at the next stage."""
        self.stage = stage
        return self

    def on(self, stage: str) -> Position:
        """Another position at the next stage, of which all else is known as it was."""
        return Position(
            stage,
            self.view,
            self.link,
            self.frame,
            self.trail,
            iif=self.iif,
            oif=self.oif,
            port=self.port,
            next_hop=self.next_hop,
            route=self.route,
            rerouted=self.rerouted,
            branch=self.branch,
        )

    def note(
        self,
        stage: str,
        action: str,
        why: str,
        *,
        evidence: str | None = None,
        frame: Frame | None = None,
        link: Link | None = None,
        rules: tuple[RuleMet, ...] = (),
    ) -> None:
        """Write a hop to the trail. Questions (ARP, NDISC) leave no hops."""
        shown = self.frame if frame is None else frame
        if shown.asks:
            return
        hop = Hop(
            1 if self.trail is None else self.trail.length + 1,
            self.view.node.name,
            self.view.name,
            (self.link if link is None else link).name,
            stage,
            action,
            why,
            shown.report(),
            evidence,
            self.view.netns.id,
            None,
            rules,
        )
        self.trail = Trail(self.trail, hop)


@dataclass(slots=True)
class Copies:
    """Frames that are all sent."""

    positions: list[Position]


@dataclass(slots=True)
class Ways:
    """Alternatives, one of which is taken."""

    positions: Sequence[Position | End]
    known: bool = False
    """By known odds, which stand in the branch of each."""


class End:
    """A leaf of the walk."""

    __slots__ = ("at", "by_chance", "fix", "reason", "slug", "verdict", "why")

    def __init__(
        self,
        at: Position,
        verdict: str,
        reason: str = "",
        why: str = "",
        fix: str | None = None,
        slug: str | None = None,
    ) -> None:
        self.at = at
        self.verdict = verdict
        self.reason = reason
        self.why = why
        self.fix = fix
        self.slug = slug
        self.by_chance = False
        """An answer that came back by one of several ways; by another it would not."""


Step = Position | Copies | Ways | End

FOLLOWED = 32
"""So many of a route's equal-cost ways are walked."""


def followed(hops: tuple[NextHop, ...]) -> tuple[tuple[NextHop, ...], str]:
    """The next hops to walk (one without a device where the route has none), and a word on those left out."""
    if len(hops) <= FOLLOWED:
        return hops or (NextHop(None),), ""
    return hops[:FOLLOWED], f"; only the first {FOLLOWED} of {len(hops):,} equal-cost ways are followed"


def drop(
    at: Position,
    stage: str,
    reason: str,
    why: str,
    *,
    evidence: str | None = None,
    fix: str | None = None,
    slug: str | None = None,
    link: Link | None = None,
    rules: tuple[RuleMet, ...] = (),
) -> End:
    """The packet is lost here: writes the last hop and ends the walk."""
    at.note(stage, "drop", why, evidence=evidence, link=link, rules=rules)
    if link is not None:
        at.link = link
    return End(at, DROPPED, reason, why, fix, slug)


def unknown(at: Position, stage: str, why: str, *, link: Link | None = None, rules: tuple[RuleMet, ...] = ()) -> End:
    """What happens next cannot be known: writes the last hop and ends the walk."""
    at.note(stage, "unknown", why, link=link, rules=rules)
    return End(at, UNKNOWN, "", why)
