"""One namespace with two devices, made by hand, for the tests of the routing look-up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netfs.cluster.netns import NetNsView
from netfs.model.address import Address, Neighbour
from netfs.model.link import Link
from netfs.model.route import NextHop, Route, Rule
from netfs.model.snapshot import NetNs, NodeSnapshot

UP = 0x11043
LO = Link(1, "lo", flags=0x10049)
ETH0 = Link(2, "eth0", flags=UP)
ETH1 = Link(3, "eth1", flags=UP, group=5)

ADDRESSES = (
    Address(2, 4, "10.0.0.2", 24),
    Address(3, 4, "10.1.0.2", 24),
    Address(2, 6, "fd00::2", 64),
    Address(3, 6, "fd01::2", 64),
    Address(3, 6, "fe80::3", 64, scope=253),
)
BASE = (
    Route(4, "10.0.0.0/24", scope=253, nexthops=(NextHop(2),), protocol=2, prefsrc="10.0.0.2"),
    Route(4, "10.1.0.0/24", scope=253, nexthops=(NextHop(3),), protocol=2, prefsrc="10.1.0.2"),
    Route(4, "10.0.0.2/32", 255, "local", (NextHop(2),), scope=254, protocol=2, prefsrc="10.0.0.2"),
    Route(4, "10.1.0.2/32", 255, "local", (NextHop(3),), scope=254, protocol=2, prefsrc="10.1.0.2"),
    Route(4, "127.0.0.0/8", 255, "local", (NextHop(1),), scope=254, protocol=2, prefsrc="127.0.0.1"),
    Route(6, "fd00::/64", nexthops=(NextHop(2),), metric=256),
    Route(6, "fd01::/64", nexthops=(NextHop(3),), metric=256),
)
RULES4 = (Rule(4, 0, table=255), Rule(4, 32766, table=254), Rule(4, 32767, table=253))


def via(dst: str, gateway: str | None, index: int = 2, **more: object) -> Route:
    """A route through one gateway (or on link), of the destination's family."""
    return Route(6 if ":" in dst else 4, dst, nexthops=(NextHop(index, gateway),), **more)  # type: ignore[arg-type]


def namespace(
    *routes: Route,
    rules: Sequence[Rule] = (),
    links: Sequence[Link] = (LO, ETH0, ETH1),
    addresses: Sequence[Address] = ADDRESSES,
    neighbours: Sequence[Neighbour] = (),
    sysctls: Mapping[str, int] | None = None,
) -> NetNsView:
    """The namespace with its connected routes and those given."""
    netns = NetNs(
        1,
        "n",
        links=tuple(links),
        addresses=tuple(addresses),
        routes=BASE + routes,
        rules=tuple(rules),
        neighbours=tuple(neighbours),
        sysctls=dict(sysctls or {}),
    )
    return NetNsView(NodeSnapshot("n", "k", 1, (netns,)), netns, None)
