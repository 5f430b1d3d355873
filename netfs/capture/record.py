"""One recording: taps opened everywhere, and what they hear written in the order of its time until somebody says stop.

topology ─► places, filter ─► stations ─► frames ─► by time ─► writer
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from netfs.capture.filter import expression, parse, program
from netfs.capture.marker import TUNNELS
from netfs.capture.recording import ROUND_S, Place, Progress, Recording, RecordWish, Writer
from netfs.capture.station.order import Order, Post
from netfs.capture.stations import Opened, Stations
from netfs.cluster.endpoint import resolve
from netfs.cluster.netns import NetNsView
from netfs.cluster.topology import Topology
from netfs.errors import EndpointError, SourceError
from netfs.model import ip
from netfs.model.gaps import Gap
from netfs.model.recorded import Recorded
from netfs.sources.reach import Reach

OPENING_S = 10.0
"""How long stations may take to open their taps."""
LEAST_ROOM, MOST_ROOM, NODE_ROOM = 2 << 20, 32 << 20, 128 << 20
"""Bytes of a namespace's ring, and about what all of a node take together."""


def record(
    reaches: Mapping[str, Reach],
    topology: Topology,
    wish: RecordWish,
    writer: Callable[[], Writer],
    until: Callable[[Progress], bool],
) -> Recorded:
    """Record until ``until``, which is asked a few times a second, says so, or the wish has its fill.

    ``reaches`` is what ``netfs.sources.reach.reach`` answers for the snapshots of the topology. ``writer`` is called
    once something is listened to: no file need be opened before. Raises EndpointError for a node or pod that is not
    there, FilterError, SourceError where nothing can be listened to, and OSError of the writer.
    """
    views = {(view.node.name, view.key.id): view for view in _views(topology, wish.nodes)}
    orders, gaps = _orders(reaches, views, _program(topology, wish), wish.snaplen)
    with Stations({node: (reaches[node], order) for node, order in orders.items()}) as stations:
        opened = stations.open(OPENING_S)
        gaps += [gap for one in opened for gap in _deaf(one, views)]
        heard = _heard(opened, orders)
        if not heard:
            raise _nothing(gaps)
        recording = Recording([views[place] for place in heard], wish, writer())
        stations.go()
        lost = {one.node for one in opened if one.lost is not None}
        while len(lost) < len(orders):
            for batch in stations.batches(ROUND_S, until=lambda: recording.due):
                lost |= recording.take(batch, gaps)
            recording.write_settled()
            if recording.full or until(recording.progress):
                break
        ended = stations.stop()
        for batch in stations.batches(0):
            recording.take(batch, gaps)
        recording.write_rest()
    dropped = {(one.node, netns): tally.dropped for one in ended for netns, tally in one.posts.items()}
    recording.write_statistics(dropped)
    return recording.recorded(dropped, gaps)


def _views(topology: Topology, nodes: tuple[str, ...]) -> list[NetNsView]:
    """The namespaces to listen in. Raises EndpointError."""
    named = {resolve(topology, f"node/{name}").name for name in nodes}
    return [view for view in topology.views.values() if not named or f"node/{view.node.name}" in named]


def _program(topology: Topology, wish: RecordWish) -> bytes:
    """The filter for the kernel; empty: every packet. Raises EndpointError, FilterError."""
    asked = [parse.parse(wish.expression)] if wish.expression.strip() else []
    if wish.pods:
        asked.append(expression.of_addresses(_addresses(topology, wish)))
    if not asked:
        return b""
    return program.for_expression(expression.And(tuple(asked)), tunnels(topology, wish))


def tunnels(topology: Topology, wish: RecordWish) -> tuple[int, ...]:
    """The ports behind which tunnels are looked for: the usual ones, those of devices, those wished for."""
    devices = {link.vxlan.port for view in topology.views.values() for link in view.netns.links if link.vxlan}
    return tuple(sorted({*TUNNELS, *devices, *wish.ports}))


def _addresses(topology: Topology, wish: RecordWish) -> list[str]:
    """Of the wished pods: what their namespaces hold, and what their orchestrator gave them."""
    found: list[str] = []
    for name in wish.pods:
        view = resolve(topology, name, wish.namespace).view
        if view is None or view.pod is None:
            raise EndpointError(f"{name} is no pod", hint="netfs get pods -A lists them")
        held = [one.local for one in view.netns.addresses if not _is_everywhere(one.local)]
        if not held and not view.pod.ips:
            raise EndpointError(f"{name} has no address to tell its packets by")
        found += [*held, *view.pod.ips]
    return found


def _is_everywhere(address: str) -> bool:
    return ip.is_loopback(address) or ip.is_link_local(address)


def _orders(
    reaches: Mapping[str, Reach], views: Mapping[Place, NetNsView], filtered: bytes, snaplen: int
) -> tuple[dict[str, Order], list[Gap]]:
    """What each node's station is to do, and where it cannot listen."""
    posts: dict[str, list[Post]] = {}
    gaps: list[Gap] = []
    for (node, netns), view in views.items():
        try:
            posts.setdefault(node, []).append(Post(reaches[node].path(netns), netns))
        except SourceError as why:
            gaps.append(Gap(_where(node, view), "packets", why.what, netns))
    orders = {
        node: Order(tuple(each), filtered, snaplen, room=max(LEAST_ROOM, min(MOST_ROOM, NODE_ROOM // len(each))))
        for node, each in posts.items()
        if each
    }
    return orders, gaps


def _heard(opened: Iterable[Opened], orders: Mapping[str, Order]) -> list[Place]:
    """The namespaces that are listened in."""
    return [
        (one.node, post.inode)
        for one in opened
        if one.lost is None
        for post in orders[one.node].posts
        if post.inode not in one.deaf
    ]


def _deaf(opened: Opened, views: Mapping[Place, NetNsView]) -> list[Gap]:
    """What a station could not open."""
    if opened.lost is not None:
        return [Gap(opened.node, "packets", opened.lost)]
    return [
        Gap(_where(opened.node, views[opened.node, netns]), "packets", why, netns) for netns, why in opened.deaf.items()
    ]


def _nothing(gaps: list[Gap]) -> SourceError:
    first = gaps[0] if gaps else Gap("", "packets", "no namespaces were found")
    return SourceError(first.reason, where=first.where)


def _where(node: str, view: NetNsView) -> str:
    return node if view.is_node else f"{node}/{view.name}"
