"""Phase 1: one namespace's state as the kernel's own bytes, nothing decoded.

The calling thread must be in the namespace. What cannot be read is noted as a gap; nothing is raised.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from struct import Struct
from typing import TypedDict

from netfs.collect import conntrack, counters, features, nsfs, questions, sysctls, xfrm
from netfs.collect.firewall import Parts, read_firewall, tracked
from netfs.collect.modules import present
from netfs.collect.netlink import (
    NETLINK_GENERIC,
    NETLINK_NETFILTER,
    NETLINK_ROUTE,
    NETLINK_SOCK_DIAG,
    RECEIVE,
    InterruptedDumpError,
    MalformedError,
    Netlink,
    attribute,
    messages,
    said,
)

RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETNEIGH = 18, 22, 26, 30
RTM_GETRULE, RTM_GETNEIGHTBL, RTM_GETNETCONF = 34, 66, 82
AF_BRIDGE = 7
NTF_PROXY = 8
IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN_COMPRESSED = 29, 4
BRIDGE_KIND, VXLAN_KIND = b"bridge\0", b"vxlan\0"
VLAN_FILTERING_ON = attribute(7, b"\x01")[:5]
"""The attribute IFLA_BR_VLAN_FILTERING with value 1, as it stands in a dump."""

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
FEATURES = features.request()
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
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
    """Reads namespaces one after the other, each by one socket of a protocol and one receive buffer."""

    def __init__(self) -> None:
        self._buffer = bytearray(RECEIVE)
        self._self = os.open("/proc/thread-self", FOLDER)
        self._net = -1
        """/proc/thread-self/net of the namespace being read."""
        self._own = os.open(nsfs.OWN, os.O_RDONLY | os.O_CLOEXEC)
        """The way back: once another namespace was entered, a path below /proc/self may lead elsewhere."""
        self._start = self._at = os.fstat(self._own).st_ino
        """The namespace the thread began in, and is in. The latter can be read without privilege: not entered again."""
        self._diag = present("tcp_diag") and present("udp_diag") and present("inet_diag")
        self._netfilter = Parts()
        self._xfrm = present("xfrm_user")
        self._ethtool = self._family()

    def _family(self) -> int | None:
        """Where it cannot be told, ``kernel_wide`` says why."""
        try:
            with Netlink(NETLINK_GENERIC, self._buffer) as generic:
                return features.ask_family(generic)
        except (OSError, InterruptedDumpError, MalformedError):
            return None

    def close(self) -> None:
        """Give back what reading needs."""
        os.close(self._self)
        os.close(self._own)

    def read(self, path: str, inode: int) -> Raw:
        """Enter the namespace at ``path`` and read it. Raises OSError where it cannot be entered or is another one."""
        fd = os.dup(self._own) if inode == self._start else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if os.fstat(fd).st_ino != inode:
                raise FileNotFoundError(2, "another namespace has taken its place")
            if inode != self._at:
                nsfs.enter(fd)
                self._at = inode
        finally:
            os.close(fd)
        raw = Raw(id=inode, dumps={}, files={}, sysctls={}, firewall={}, gaps=[])
        self._net = os.open("net", FOLDER, dir_fd=self._self)
        try:
            self._routing(raw)
            self._features_of(raw)
            self._firewall(raw)
            self._recent(raw)
            self._ipsec(raw)
            for name in counters.FILES:
                self._keep(raw, name, name)
            self._sysctls(raw)
            self._connections(raw)
        finally:
            os.close(self._net)
        return raw

    def _routing(self, raw: Raw) -> None:
        """Everything of rtnetlink, and who listens."""
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

    def _dump(self, raw: Raw, what: str, netlink: Netlink, kind: int, body: bytes) -> None:
        try:
            raw["dumps"][what] = netlink.dump(kind, body)
        except InterruptedDumpError as interrupted:
            raw["dumps"][what] = interrupted.data
            raw["gaps"].append((what, str(interrupted)))
        except (OSError, MalformedError) as failure:
            raw["gaps"].append((what, said(failure)))

    def _has_sockets(self) -> bool:
        """Whether the namespace has any socket but ours and the kernel's own; where that cannot be told, yes."""
        try:
            words = self._file("sockstat").split(None, 3)
            return words[:2] != [b"sockets:", b"used"] or int(words[2]) > OWN_SOCKETS
        except (OSError, ValueError, IndexError):
            return True

    def _listeners(self, raw: Raw) -> None:
        if self._diag:
            with Netlink(NETLINK_SOCK_DIAG, self._buffer) as diag:
                for what, body in questions.QUESTIONS:
                    self._dump(raw, what, diag, questions.SOCK_DIAG_BY_FAMILY, body)
            return
        for what, name in questions.TABLES.items():
            self._keep(raw, what, name)

    def _features_of(self, raw: Raw) -> None:
        if self._ethtool is None:
            return
        with Netlink(NETLINK_GENERIC, self._buffer) as generic:
            self._dump(raw, "features", generic, self._ethtool, FEATURES)

    def _firewall(self, raw: Raw) -> None:
        """Rules as their tools print them, and how many connections are tracked."""
        parts = self._netfilter
        if not parts.any:
            raw["firewall"] = read_firewall(None, parts, self._file, raw["gaps"])
            return
        with Netlink(NETLINK_NETFILTER, self._buffer) as netfilter:
            raw["firewall"] = read_firewall(netfilter, parts, self._file, raw["gaps"])
            if parts.conntrack:
                with suppress(OSError, MalformedError):  # the files of /proc/sys say the same
                    raw["sysctls"] |= tracked(netfilter)

    def _connections(self, raw: Raw) -> None:
        """Those that decide over packets to come, where any connection is tracked."""
        tracked = raw["sysctls"].get("net.netfilter.nf_conntrack_count", 0)
        if not tracked:
            return
        if not self._netfilter.conntrack:
            raw["gaps"].append(
                ("connections", "the part of the kernel that lists them is not loaded: nf_conntrack_netlink")
            )
            return
        with Netlink(NETLINK_NETFILTER, self._buffer) as netfilter:
            raw["dumps"]["connections"] = conntrack.read_connections(netfilter, tracked, raw["gaps"])

    def _recent(self, raw: Raw) -> None:
        """The lists of iptables' match recent, where a rule asks them."""
        if not any("-m recent" in text for field, text in raw["firewall"].items() if "tables" in field):
            return
        try:
            folder = os.open("xt_recent", FOLDER, dir_fd=self._net)
            try:
                names = sorted(os.listdir(folder))
            finally:
                os.close(folder)
            raw["firewall"]["recent"] = "".join(
                f"{' '.join(filter(None, (name, line)))}\n"
                for name in names
                for line in self._file(f"xt_recent/{name}").decode("ascii", "replace").splitlines() or [""]
            )
        except OSError as failure:
            raw["gaps"].append(("xt_recent", failure.strerror or str(failure)))

    def _ipsec(self, raw: Raw) -> None:
        """Whether policies decide on packets as well."""
        there = xfrm.look(self._buffer) if self._xfrm else None
        if there is not None:
            raw["gaps"].append(("xfrm", there))

    def _keep(self, raw: Raw, what: str, name: str) -> None:
        try:
            raw["files"][what] = self._file(name)
        except FileNotFoundError:
            return
        except OSError as failure:
            raw["gaps"].append((what, failure.strerror or str(failure)))

    def _file(self, name: str) -> bytes:
        """A file of /proc/thread-self/net. Raises OSError."""
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._net)
        try:
            data = os.read(fd, 1 << 16)
            while more := os.read(fd, 1 << 16):
                data += more
            return data
        finally:
            os.close(fd)

    def _sysctls(self, raw: Raw) -> None:
        links = raw["dumps"].get("links", b"")
        asked = [sysctls.EVERYWHERE]
        if raw["firewall"] or sum(1 for _ in messages(links)) > 2:
            asked.append(sysctls.CARRIERS)
        if BRIDGE_KIND in links:
            asked.append(sysctls.BRIDGE)
        if not raw["sysctls"]:
            asked.append(sysctls.CONNTRACK)
        if raw["firewall"]:
            asked.append(sysctls.TRACKING)
        for each in asked:
            for folder, settings in each.items():
                try:
                    sysctls.read_below(folder, settings, raw["sysctls"])
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
        note("features", said(failure))
    try:
        with Netlink(NETLINK_ROUTE, buffer) as route:
            found["neighbour_tables"] = route.dump(RTM_GETNEIGHTBL, bytes(4))
    except (OSError, InterruptedDumpError, MalformedError) as failure:
        note("neighbour table limits", said(failure))
    try:
        with open("/proc/thread-self/net/softnet_stat", "rb") as file:
            found["softnet"] = file.read()
    except OSError as failure:
        note("softnet_stat", failure.strerror or str(failure))
    return names, found
