"""What became of one packet on one way: how far it was seen, where the chain broke, where it was seen besides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from netfs.capture.compare.align import Aligned, Heard, align
from netfs.capture.compare.flood import part
from netfs.capture.compare.ground import Key, Place, link_of, place_of
from netfs.capture.compare.points import IN, OUT, Point, expected
from netfs.cluster.netns import NetNsView
from netfs.cluster.topology import Topology
from netfs.model.live import AGREES, FURTHER, LOST, OTHER_PATH, STRAY, UNHEARD, KernelWord, Sighting
from netfs.model.trace import DELIVERED, DROPPED, Direction

GROUP = frozenset("13579bdfBDF")
"""The second digit of a MAC that is sent to a group or to all (IEEE 802.3 group bit)."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What all packets of one direction have in common."""

    topology: Topology
    answered: frozenset[int] = frozenset()
    """Probes of which something came back: they arrived, whatever the taps say."""
    overrun: bool = False
    """Taps had no room for some packets: one that was not seen may have passed."""
    goals: Mapping[Place, NetNsView] = field(default_factory=dict)
    """Namespaces that it may arrive in."""
    drops: tuple[KernelWord, ...] = ()
    """What the kernels told of drops of these packets."""


@dataclass(frozen=True, slots=True)
class Course:
    """One predicted way, and every packet beside it."""

    branch: int
    way: Direction
    points: tuple[Point, ...]
    heard: tuple[int, ...]
    """Indexes of the points that must be seen: somebody listens there, and the tap cannot be passed by."""
    runs: Mapping[int, Aligned]
    """By the probe's number."""

    @property
    def stage(self) -> str | None:
        """Where the prediction drops the packet."""
        return self.way.hops[-1].stage if self.way.drop is not None and self.way.hops else None

    def score(self, number: int) -> tuple[int, int]:
        """How well it tells what was seen of one packet."""
        run = self.runs[number]
        missing = sum(run.found[index] is None for index in self.heard)
        seen = sum(one is not None for one in run.found)
        return seen - 2 * len(run.altered) - missing - len(run.rest), run.likeness


def courses(
    topology: Topology,
    direction: Direction,
    packets: Mapping[int, Heard],
    listening: frozenset[Key],
    *,
    nameless: bool = False,
) -> list[Course]:
    """Every way of a direction, with every packet laid along it. ``listening``: the taps that were open.

    ``nameless``: they may be known by their ports alone. Where the ports cannot be told beforehand, such a packet was
    there unseen if it was seen later.
    """
    found: list[Course] = []
    for branch, way in enumerate(direction.ways):
        points = expected(topology, way)
        heard = tuple(index for index, point in enumerate(points) if point.sure and point.key in listening)
        runs = {number: align(points, ones) for number, ones in packets.items()}
        if nameless:
            heard = _told(points, heard, runs)
        found.append(Course(branch, way, points, heard, runs))
    return found


def _told(points: Sequence[Point], heard: tuple[int, ...], runs: Mapping[int, Aligned]) -> tuple[int, ...]:
    """The points that must be seen, but for those at which packets of ports that nobody knows passed unseen."""
    packets = {index: points[index].packet for index in heard}
    masked = {index for index, one in packets.items() if one.proto == "udp" and None in (one.sport, one.dport)}
    seen = [run for run in runs.values() if run.reach >= 0]
    if any(run.found[index] is not None for run in seen for index in masked):
        return heard
    reach = min((run.reach for run in seen), default=-1)
    return tuple(index for index in heard if index not in masked or index > reach)


def likeliest(ways: Sequence[Course]) -> Course:
    """The way that was taken: the one that tells best what was seen of all packets, of equals the first."""

    def total(course: Course) -> tuple[int, int]:
        scores = [course.score(number) for number, run in course.runs.items() if run.reach >= 0 or run.rest]
        return sum(score for score, _ in scores), sum(likeness for _, likeness in scores)

    return max(ways, key=total)


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one packet."""

    number: int
    verdict: str
    arrived: bool
    run: Aligned
    last: int | None = None
    """The point where it was seen last, before the chain broke; None: at none."""
    next: int | None = None
    """The point where it should have been seen next; None: none was predicted."""
    off: tuple[Sighting, ...] = ()
    """Where it was seen and should not have been."""
    copies: tuple[Sighting, ...] = ()
    """Where copies of it were seen that a bridge must make."""


def fate(scene: Scene, course: Course, number: int) -> Fate:
    """What became of one packet on one way."""
    run, points = course.runs[number], course.points
    parted = part(scene.topology, points, run, course.way.drop, course.stage)
    altered = min(run.altered, default=None)
    missing = next((index for index in course.heard if run.found[index] is None), altered)
    if altered is not None and missing is not None:
        missing = min(altered, missing)
    before = range(len(points) if missing is None else missing)
    last = max((index for index in before if run.found[index] is not None), default=None)
    answered = number in scene.answered
    ignored = not answered and _ignored(scene, course, run)
    arrived = not ignored and (answered or _arrived(scene, course, run))
    if missing is None and ignored:
        verdict = LOST
    elif missing is None:
        verdict = _whole(scene, course, run, arrived=arrived, answered=answered, off=bool(parted.off))
        arrived = arrived and not (verdict == AGREES and course.way.verdict == DROPPED)
    elif parted.off or altered == missing:
        verdict = OTHER_PATH
    elif run.reach > missing:
        verdict = AGREES if scene.overrun else OTHER_PATH
    elif scene.overrun and arrived:
        verdict = AGREES
    else:
        verdict = LOST
    return Fate(number, verdict, arrived, run, last, missing, parted.off, parted.copies)


def _whole(scene: Scene, course: Course, run: Aligned, *, arrived: bool, answered: bool, off: bool) -> str:
    """The verdict where every point that somebody listens at was passed as predicted."""
    way = course.way
    ends = _ends(course, run)
    if way.verdict == DELIVERED:
        if off:
            return STRAY
        return AGREES if arrived or (ends and run.reach >= 0) else UNHEARD
    if off or (arrived and way.verdict != DROPPED) or (answered and course.stage != "deliver"):
        return FURTHER
    if way.verdict == DROPPED:
        return AGREES if ends else UNHEARD
    return UNHEARD if not ends or _leaves(scene, course) else LOST


def _ends(course: Course, run: Aligned) -> bool:
    """Whether the last point that was seen is the last there is."""
    return not any(point.sure for point in course.points[run.reach + 1 :])


def _leaves(scene: Scene, course: Course) -> bool:
    """Whether the way leads out of what was read, or into what has no taps."""
    if not course.points:
        return True
    last = course.points[-1]
    link = link_of(scene.topology, last.tap)
    return last.way == OUT and (link is None or link.kind != "vxlan")


def _ignored(scene: Scene, course: Course, run: Aligned) -> bool:
    """Whether it came to its end in a frame for somebody else, flooded there by a bridge (``OTHERHOST``)."""
    last = run.found[-1] if run.found else None
    if course.way.verdict != DELIVERED or last is None or last.way != IN:
        return False
    link, carried = link_of(scene.topology, last.tap), last.packet.dst_mac
    if link is None or link.mac is None or carried is None or carried[1:2] in GROUP:
        return False
    return carried not in (link.mac, course.points[-1].packet.dst_mac)


def _arrived(scene: Scene, course: Course, run: Aligned) -> bool:
    """Whether it was seen where the prediction ends, or coming in for one of those it may be for."""
    if course.way.verdict == DELIVERED and run.found and run.found[-1] is not None:
        return True
    return any(_taken_in(scene, one) for one in (*run.found, *run.rest) if one is not None)


def _taken_in(scene: Scene, one: Sighting) -> bool:
    view, packet = scene.goals.get(place_of(one.tap)), one.packet
    if view is None or one.way != IN or packet.outer is not None or packet.dst not in view.owned:
        return False
    link = view.links.get(one.tap.index)
    return link is None or packet.dst_mac in (None, link.mac) or link.loopback
