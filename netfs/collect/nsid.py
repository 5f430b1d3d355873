"""Phase 2: which namespace each ``link-netnsid`` names.

A number means something only in the namespace that was asked. ``RTM_GETNSID`` with a namespace's file
(``NETNSA_FD``) tells that namespace's number there (net/core/net_namespace.c), so candidates are asked for
one after the other: first the namespaces whose veth ends fit, then those that were not read. The two ends of
a veth pair name each other, so one answer serves both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from struct import Struct
from typing import TYPE_CHECKING

from netfs.collect import nsfs
from netfs.collect.netlink import NETLINK_ROUTE, MalformedError, Netlink, attribute, attributes, messages

if TYPE_CHECKING:
    from netfs.model.link import Link
    from netfs.model.snapshot import NetNs

RTM_GETNSID = 90
NETNSA_NSID, NETNSA_FD = 1, 3
NOT_ASSIGNED = -1
S32, U32 = Struct("=i"), Struct("=I")


class Numbering:
    """Namespaces by (asking namespace, number)."""

    def __init__(self) -> None:
        self.known: dict[int, dict[int, int]] = {}
        self._buffer = bytearray(1 << 13)
        self._asked: dict[int, set[int]] = {}
        """Candidates each namespace has already been asked about."""

    def resolve(self, read: Mapping[int, NetNs], paths: Mapping[int, str]) -> None:
        """Find what every number in ``read`` stands for, among the namespaces at ``paths``.

        The calling thread goes from namespace to namespace. What cannot be opened or asked stays unknown.
        """
        missing = {inode: wanted for inode, netns in read.items() if (wanted := self._missing(netns))}
        if not missing:
            return
        for inode in tuple(self.known):
            if inode in read:
                self._mirror(read[inode], read)
        ends = _veth_ends(read)
        for inode in sorted(missing, key=lambda inode: -len(missing[inode])):
            wanted = self._missing(read[inode])
            if wanted and inode in paths:
                self._ask(inode, wanted, paths, _candidates(read[inode], wanted, ends, read, paths))
                self._mirror(read[inode], read)

    def namespace(self, inode: int, link: Link) -> int | None:
        """The namespace that a link's number names; None: unknown, or none is named."""
        if link.link_netnsid is None:
            return None
        return self.known.get(inode, {}).get(link.link_netnsid)

    def _missing(self, netns: NetNs) -> set[int]:
        known = self.known.get(netns.id, {})
        return {
            link.link_netnsid
            for link in netns.links
            if link.link_netnsid is not None and link.link_netnsid >= 0 and link.link_netnsid not in known
        }

    def _ask(self, inode: int, wanted: set[int], paths: Mapping[int, str], candidates: Iterator[int]) -> None:
        known = self.known.setdefault(inode, {})
        asked = self._asked.setdefault(inode, set())
        try:
            if nsfs.inode(nsfs.OWN) != inode:
                with nsfs.opened(paths[inode]) as own:
                    nsfs.enter(own)
            with Netlink(NETLINK_ROUTE, self._buffer) as route:
                for candidate in candidates:
                    if candidate in asked:
                        continue
                    asked.add(candidate)
                    number = _number(route, paths[candidate])
                    if number is not None:
                        known[number] = candidate
                        wanted.discard(number)
                        if not wanted:
                            return
        except OSError:
            return

    def _mirror(self, netns: NetNs, read: Mapping[int, NetNs]) -> None:
        """Note the numbers that the far ends of this namespace's veth pairs give it."""
        for link in netns.links:
            far = self.namespace(netns.id, link) if link.kind == "veth" else None
            if far is None or far not in read or not self._missing(read[far]):
                continue
            for other in read[far].links:
                if (other.index, other.link_index) == (link.link_index, link.index) and other.kind == "veth":
                    if other.link_netnsid is not None and other.link_netnsid >= 0:
                        self.known.setdefault(far, {})[other.link_netnsid] = netns.id


def number_of(route: Netlink, fd: int) -> int | None:
    """The number that the namespace ``fd`` is open on has where ``route`` asks; None: none, or it is gone."""
    try:
        answer = route.ask(RTM_GETNSID, bytes(4) + attribute(NETNSA_FD, U32.pack(fd)))
        for _, start, end in messages(answer):
            value = attributes(answer, start + 4, end).get(NETNSA_NSID, b"")
            if len(value) == 4 and (number := S32.unpack(value)[0]) != NOT_ASSIGNED:
                return int(number)
    except (OSError, MalformedError):
        pass
    return None


def how_many(route: Netlink) -> int:
    """How many namespaces have a number where ``route`` asks. Raises OSError, InterruptedDumpError, MalformedError."""
    return sum(1 for _ in messages(route.dump(RTM_GETNSID, bytes(4))))


def _number(route: Netlink, path: str) -> int | None:
    """As ``number_of``, of the namespace at ``path``."""
    try:
        with nsfs.opened(path) as fd:
            return number_of(route, fd)
    except OSError:
        return None


def _veth_ends(read: Mapping[int, NetNs]) -> dict[tuple[int, int], list[int]]:
    """Namespaces that hold a veth end leading elsewhere, by (its index, the far end's index)."""
    found: dict[tuple[int, int], list[int]] = {}
    for inode, netns in read.items():
        for link in netns.links:
            if link.kind == "veth" and link.link_netnsid is not None and link.link_index is not None:
                found.setdefault((link.index, link.link_index), []).append(inode)
    return found


def _candidates(
    netns: NetNs,
    wanted: set[int],
    ends: Mapping[tuple[int, int], list[int]],
    read: Mapping[int, NetNs],
    paths: Mapping[int, str],
) -> Iterator[int]:
    plain_veth = True
    for link in netns.links:
        if link.link_netnsid in wanted:
            if link.kind == "veth" and link.link_index is not None:
                yield from (each for each in ends.get((link.link_index, link.index), ()) if each in paths)
            else:
                plain_veth = False
    yield from (each for each in paths if each not in read)
    if not plain_veth:
        yield from (each for each in paths if each in read)
