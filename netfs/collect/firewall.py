"""Raw firewall state, as the tools that own it print it; evaluated elsewhere.

A tool is started only in a namespace that holds rules or sets of its kind, which the kernel is asked first
(nfnetlink dumps, /proc/net/ip_tables_names), and asked only where that part of it is loaded already. Where all tables
of nf_tables are iptables-nft's, and its tools tell them whole, nft is not started: it would say the same, much slower.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from struct import Struct
from typing import NamedTuple

from netfs.collect.modules import present
from netfs.collect.netlink import (
    InterruptedDumpError,
    MalformedError,
    Netlink,
    attribute,
    attributes,
    messages,
    said,
    text,
)

NFT_MSG_GETTABLE = 10 << 8 | 1
NFTA_TABLE_NAME, NFTA_TABLE_FLAGS = 1, 2
IPSET_CMD_LIST = 6 << 8 | 7
IPSET_PROTOCOL = 6
IPSET_FLAG_LIST_SETNAME = 2
NLA_F_NET_BYTEORDER = 0x4000
NFGENMSG = Struct("=BBH")
NFPROTO_IPV4, NFPROTO_IPV6 = 2, 10
IPSET_LIST = (
    NFGENMSG.pack(NFPROTO_IPV4, 0, 0)
    + attribute(1, bytes([IPSET_PROTOCOL]))
    + attribute(6 | NLA_F_NET_BYTEORDER, IPSET_FLAG_LIST_SETNAME.to_bytes(4, "big"))
)
CT_MSG_GET_STATS = 1 << 8 | 5
CT_STATS = {1: "nf_conntrack_count", 2: "nf_conntrack_max"}
"""``CTA_STATS_GLOBAL_*`` (include/uapi/linux/netfilter/nfnetlink_conntrack.h)."""
OWNERS = {NFPROTO_IPV4: "iptables", NFPROTO_IPV6: "ip6tables"}
XTABLES = frozenset({"raw", "mangle", "nat", "filter", "security"})
"""Names of the tables that iptables-nft makes."""
REFUSALS = (OSError, InterruptedDumpError, MalformedError)
TIMEOUT = 20.0
"""Seconds a tool may take."""
SEARCH = "/usr/sbin:/sbin:/usr/bin:/bin"

COMMANDS = {
    "nft": ("nft", "-j", "list", "ruleset"),
    "nft_devices": ("nft", "list chains netdev; list chains inet"),
    "iptables": ("iptables-nft-save", "-c"),
    "ip6tables": ("ip6tables-nft-save", "-c"),
    "iptables_legacy": ("iptables-legacy-save", "-c"),
    "ip6tables_legacy": ("ip6tables-legacy-save", "-c"),
    "ipset": ("ipset", "save"),
    "ipvs": ("ipvsadm", "-Sn"),
}
"""By the field of ``Firewall``."""


DEVICE_CHAIN = re.compile(r'\{"chain": \{[^{}]*"hook": "(?:in|e)gress"[^{}]*\}')
IPVS_TABLE, IPVS_HEADINGS = "ip_vs", 3
"""The file of /proc/net that lists the virtual servers, and its lines where there is none."""
LEGACY = (("iptables_legacy", "ip_tables"), ("ip6tables_legacy", "ip6_tables"))
"""(field of ``Firewall``, the part of the kernel whose tables /proc/net/PART_names lists)."""


class Parts:
    """Which parts of the netfilter subsystem the kernel has by now: one answer for every namespace."""

    def __init__(self) -> None:
        self.nft = present("nf_tables")
        self.ipset = present("ip_set")
        self.conntrack = present("nf_conntrack_netlink")
        self.legacy = tuple(each for each in LEGACY if os.path.exists(f"/proc/thread-self/net/{each[1]}_names"))
        self.ipvs = os.path.exists(f"/proc/thread-self/net/{IPVS_TABLE}")
        self.any = self.nft or self.ipset or self.conntrack


def read_firewall(
    netfilter: Netlink | None, parts: Parts, file: Callable[[str], bytes], gaps: list[tuple[str, str]]
) -> dict[str, str]:
    """The output of every tool whose rules the calling thread's namespace holds; what failed goes to ``gaps``.

    ``file`` reads a file of /proc/thread-self/net.
    """
    wanted: list[str] = []
    tables = _Tables({}, others=False)
    if netfilter is not None and parts.nft:
        try:
            tables = _held(netfilter)
        except REFUSALS as refused:
            gaps.append(("nft", said(refused)))
    if tables.others:
        wanted.append("nft")
    wanted += tables.owned
    for field, module in parts.legacy:
        try:
            if file(f"{module}_names").strip():
                wanted.append(field)
        except OSError as refused:
            gaps.append((field, said(refused)))
    if netfilter is not None and parts.ipset:
        try:
            if _ipsets(netfilter):
                wanted.append("ipset")
        except REFUSALS as refused:
            gaps.append(("ipset", said(refused)))
    if parts.ipvs:
        try:
            if len(file(IPVS_TABLE).splitlines()) > IPVS_HEADINGS:
                wanted.append("ipvs")
        except OSError as refused:
            gaps.append(("ipvs", said(refused)))
    found = _run(wanted, gaps) if wanted else {}
    if not tables.others and not all(_whole(found.get(field, ""), names) for field, names in tables.owned.items()):
        found |= _run(["nft"], gaps)
    if _keeps_devices_back(found.get("nft", "")):
        found |= _run(["nft_devices"], gaps)
    return found


def _keeps_devices_back(listed: str) -> bool:
    """Whether nft listed a chain of a device without that device, as version 1.0.6 does."""
    if not any(f'"hook": "{hook}"' in listed for hook in ("ingress", "egress")):
        return False
    return any('"dev":' not in chain for chain in DEVICE_CHAIN.findall(listed))


class _Tables(NamedTuple):
    """The tables of the nf_tables subsystem."""

    owned: dict[str, set[str]]
    """The names of those that iptables-nft makes, by the field that its text is for."""
    others: bool
    """There are others, or flags that iptables does not tell (dormant)."""


def _held(netfilter: Netlink) -> _Tables:
    """Who owns the tables. Raises OSError, InterruptedDumpError, MalformedError."""
    data = netfilter.dump(NFT_MSG_GETTABLE, NFGENMSG.pack(0, 0, 0))
    owned: dict[str, set[str]] = {}
    others = False
    for _, start, end in messages(data):
        attrs = attributes(data, start + 4, end)
        name, owner = text(attrs.get(NFTA_TABLE_NAME)), OWNERS.get(data[start])
        if owner is not None and name in XTABLES:
            owned.setdefault(owner, set()).add(name)
            others = others or any(attrs.get(NFTA_TABLE_FLAGS, b""))
        else:
            others = True
    return _Tables(owned, others)


def _whole(saved: str, names: set[str]) -> bool:
    """Whether iptables-nft-save told everything of its tables.

    It says in a comment where it cannot ("contains incompatible base-chains, use 'nft' tool to list them").
    """
    lines = saved.splitlines()
    return names <= {line[1:] for line in lines if line.startswith("*")} and not any(
        line.startswith("#") and "incompatible" in line for line in lines
    )


def _ipsets(netfilter: Netlink) -> bool:
    """Whether the namespace has any ipset. Raises OSError, InterruptedDumpError, MalformedError."""
    data = netfilter.dump(IPSET_CMD_LIST, IPSET_LIST)
    return any(2 in attributes(data, start + 4, end) for _, start, end in messages(data))


def tracked(netfilter: Netlink) -> dict[str, int]:
    """Connections tracked in the namespace and their limit, as sysctls. Raises OSError, MalformedError."""
    answer = netfilter.ask(CT_MSG_GET_STATS, NFGENMSG.pack(0, 0, 0))
    found: dict[str, int] = {}
    for _, start, end in messages(answer):
        attrs = attributes(answer, start + 4, end)
        for code, name in CT_STATS.items():
            if code in attrs:
                found[f"net.netfilter.{name}"] = int.from_bytes(attrs[code], "big")
    return found


def _run(wanted: list[str], gaps: list[tuple[str, str]]) -> dict[str, str]:
    """Start the tools side by side in the calling thread's namespace, and gather what they print."""
    import shutil
    import subprocess

    environment = {"PATH": SEARCH, "LC_ALL": "C"}
    running: dict[str, subprocess.Popen[bytes]] = {}
    for field in wanted:
        program, *arguments = COMMANDS[field]
        path = shutil.which(program, path=f"{SEARCH}:{os.environ.get('PATH', '')}")
        if path is None:
            gaps.append((field, f"its state is there, but the program {program} is not installed"))
            continue
        try:
            running[field] = subprocess.Popen(
                [path, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
            )
        except OSError as failure:
            gaps.append((field, f"{program}: {failure.strerror}"))
    found: dict[str, str] = {}
    for field, process in running.items():
        program = COMMANDS[field][0]
        try:
            out, err = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            gaps.append((field, f"{program} did not end within {TIMEOUT:.0f} s"))
            continue
        if process.returncode:
            words = err.decode("utf-8", "replace").strip().splitlines()
            gaps.append((field, f"{program} ended with status {process.returncode}: {words[0] if words else ''}"))
        else:
            found[field] = out.decode("utf-8", "backslashreplace")
    return found
