"""Phase 1: one namespace's state as the kernel's own bytes, nothing decoded.

The calling thread must be in the namespace. What cannot be read is noted as a gap; nothing is raised.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from socket import AF_INET6
from struct import Struct
from typing import TypedDict

from netfs.collect import counters, features, listeners, nsfs, sysctls
from netfs.collect.firewall import read_firewall
from netfs.collect.modules import present
from netfs.collect.netlink import (
    NETLINK_GENERIC,
    NETLINK_ROUTE,
    NETLINK_SOCK_DIAG,
    RECEIVE,
    InterruptedDumpError,
    MalformedError,
    Netlink,
    attribute,
    messages,
)

RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETNEIGH = 18, 22, 26, 30
RTM_GETRULE, RTM_GETNEIGHTBL, RTM_GETNETCONF = 34, 66, 82
AF_BRIDGE = 7
NTF_PROXY = 8
IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN_COMPRESSED = 29, 4
BRIDGE_KIND, VXLAN_KIND = b"bridge\0", b"vxlan\0"
VLAN_FILTERING_ON = b"\x05\0\x07\0\x01"
"""The attribute IFLA_BR_VLAN_FILTERING with value 1, as it stands in a dump (little endian)."""

NDMSG = Struct("=BxxxIHBB")
DUMPS = (
    ("links", RTM_GETLINK, bytes(16)),
    ("addresses", RTM_GETADDR, bytes(8)),
    ("routes", RTM_GETROUTE, bytes(12)),
    ("rules", RTM_GETRULE, bytes(12)),
    ("neighbours", RTM_GETNEIGH, bytes(12)),
    ("proxies", RTM_GETNEIGH, NDMSG.pack(0, 0, 0, NTF_PROXY, 0)),
    ("netconf", RTM_GETNETCONF, bytes(4)),
)
FDB = NDMSG.pack(AF_BRIDGE, 0, 0, 0, 0)
EXT_MASK = Struct("=I").pack(RTEXT_FILTER_BRVLAN_COMPRESSED)
BRIDGE_VLANS = bytes([AF_BRIDGE]) + bytes(15) + attribute(IFLA_EXT_MASK, EXT_MASK)
OWN_SOCKETS = 1
"""Sockets of ours in the namespace while ``sockstat`` is read: the rtnetlink one."""


class Raw(TypedDict):
    """What was read of one namespace; built of types that ``marshal`` carries."""

    id: int
    dumps: dict[str, bytes]
    files: dict[str, bytes]
    sysctls: dict[str, int]
    firewall: dict[str, str]
    gaps: list[tuple[str, str]]


class Reader:
    """Reads namespaces one after the other, each by one rtnetlink socket and one receive buffer."""

    def __init__(self, names: features.Names | None) -> None:
        self._buffer = bytearray(RECEIVE)
        self._features = None if names is None else (names.family, features.request())
        self._self = os.open("/proc/thread-self", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._at = nsfs.inode(nsfs.OWN)
        """The namespace the thread is in. Its own can be read without privilege, so it is not entered again."""
        self._diag = present("tcp_diag") and present("udp_diag") and present("inet_diag")

    def close(self) -> None:
        """Give back what reading needs."""
        os.close(self._self)

    def read(self, path: str, inode: int) -> Raw:
        """Enter the namespace at ``path`` and read it. Raises OSError where it cannot be entered or is another one."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if os.fstat(fd).st_ino != inode:
                raise FileNotFoundError(2, "another namespace has taken its place")
            if inode != self._at:
                nsfs.enter(fd)
                self._at = inode
        finally:
            os.close(fd)
        raw = Raw(id=inode, dumps={}, files={}, sysctls={}, firewall={}, gaps=[])
        sockets = self._routing(raw)
        self._features_of(raw)
        raw["firewall"] = read_firewall(self._buffer, self._file, raw["gaps"])
        node = bool(raw["firewall"]) or self._carries(raw["dumps"].get("links", b""))
        self._counters(raw, sockets or node)
        self._sysctls(raw, node)
        return raw

    def _routing(self, raw: Raw) -> bool:
        """Everything of rtnetlink; whether the namespace has sockets."""
        with Netlink(NETLINK_ROUTE, self._buffer) as route:
            for what, kind, body in DUMPS:
                self._dump(raw, what, route, kind, body)
            links = raw["dumps"].get("links", b"")
            if BRIDGE_KIND in links or VXLAN_KIND in links:
                self._dump(raw, "fdb", route, RTM_GETNEIGH, FDB)
            if VLAN_FILTERING_ON in links:
                self._dump(raw, "bridge_vlans", route, RTM_GETLINK, BRIDGE_VLANS)
            sockets = VXLAN_KIND in links or self._has_sockets()
        if sockets:
            self._listeners(raw)
        return sockets

    def _carries(self, links: bytes) -> bool:
        """Whether the namespace may carry packets for others: it has more than loopback and one device."""
        return sum(1 for _ in messages(links)) > 2

    def _dump(self, raw: Raw, what: str, netlink: Netlink, kind: int, body: bytes) -> None:
        try:
            raw["dumps"][what] = netlink.dump(kind, body)
        except InterruptedDumpError as interrupted:
            raw["dumps"][what] = interrupted.data
            raw["gaps"].append((what, str(interrupted)))
        except (OSError, MalformedError) as failure:
            raw["gaps"].append((what, str(failure)))

    def _has_sockets(self) -> bool:
        """Whether the namespace has any socket but ours and the kernel's own; where that cannot be told, yes."""
        try:
            words = self._file("net/sockstat").split(None, 3)
            return words[:2] != [b"sockets:", b"used"] or int(words[2]) > OWN_SOCKETS
        except (OSError, ValueError, IndexError):
            return True

    def _listeners(self, raw: Raw) -> None:
        if self._diag:
            with Netlink(NETLINK_SOCK_DIAG, self._buffer) as diag:
                for what, body in listeners.QUESTIONS:
                    self._dump(raw, what, diag, listeners.SOCK_DIAG_BY_FAMILY, body)
            return
        for what, name in listeners.TABLES.items():
            self._keep(raw, what, f"net/{name}")

    def _features_of(self, raw: Raw) -> None:
        if self._features is None:
            return
        family, body = self._features
        with Netlink(NETLINK_GENERIC, self._buffer) as generic:
            self._dump(raw, "features", generic, family, body)

    def _speaks_ipv6(self, addresses: bytes) -> bool:
        return any(addresses[start] == AF_INET6 for _, start, _ in messages(addresses))

    def _counters(self, raw: Raw, used: bool) -> None:
        """Where nothing sends, receives or forwards, the short file tells what little there is."""
        for name in counters.FILES if used else counters.FILES[:1]:
            self._keep(raw, name, f"net/{name}")

    def _keep(self, raw: Raw, what: str, name: str) -> None:
        try:
            raw["files"][what] = self._file(name)
        except FileNotFoundError:
            return
        except OSError as failure:
            raw["gaps"].append((what, failure.strerror or str(failure)))

    def _file(self, name: str) -> bytes:
        """A file of /proc/thread-self. Raises OSError."""
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._self)
        try:
            data = os.read(fd, 1 << 16)
            while more := os.read(fd, 1 << 16):
                data += more
            return data
        finally:
            os.close(fd)

    def _sysctls(self, raw: Raw, node: bool) -> None:
        links = raw["dumps"].get("links", b"")
        asked: list[tuple[str, tuple[str, ...]]] = [("ipv4", sysctls.NODE_IPV4 if node else sysctls.IPV4)]
        if node:
            asked += [("ipv6", sysctls.NODE_IPV6), ("netfilter", sysctls.CONNTRACK)]
        elif not self._speaks_ipv6(raw["dumps"].get("addresses", b"")):
            asked.append(("ipv6", sysctls.IPV6))
        if BRIDGE_KIND in links:
            asked.append(("bridge", sysctls.BRIDGE))
        for folder, names in asked:
            try:
                sysctls.read_below(folder, names, raw["sysctls"])
            except OSError as failure:
                raw["gaps"].append((f"sysctls of net.{folder}", failure.strerror or str(failure)))


def kernel_wide(
    buffer: bytearray, note: Callable[[str, str], None]
) -> tuple[features.Names | None, Mapping[str, bytes]]:
    """What is the same in every namespace: (ethtool's names, dump and file by name); failures go to ``note``."""
    names: features.Names | None = None
    found: dict[str, bytes] = {}
    try:
        names = features.ask_names(buffer)
    except (OSError, InterruptedDumpError, MalformedError) as failure:
        note("features", str(failure))
    try:
        with Netlink(NETLINK_ROUTE, buffer) as route:
            found["neighbour_tables"] = route.dump(RTM_GETNEIGHTBL, bytes(4))
    except (OSError, InterruptedDumpError, MalformedError) as failure:
        note("neighbour table limits", str(failure))
    try:
        with open("/proc/thread-self/net/softnet_stat", "rb") as file:
            found["softnet"] = file.read()
    except OSError as failure:
        note("softnet_stat", failure.strerror or str(failure))
    return names, found
