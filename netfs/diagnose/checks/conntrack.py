"""Group C: the connection table: full, or full of what is gone."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from netfs.cluster import services
from netfs.cluster.netns import NetNsView
from netfs.diagnose.commands import finding
from netfs.diagnose.evidence import Evidence
from netfs.model.packet import Packet
from netfs.model.snapshot import Connection
from netfs.model.trace import Finding

NEAR = 0.9
"""Part of the limit from which on a table is nearly full."""


def table(_: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`conntrack-full`, `conntrack-near-full`: ``__nf_conntrack_alloc`` drops the first packet beyond the limit."""
    count, limit = view.sysctl("net.netfilter.nf_conntrack_count"), view.sysctl("net.netfilter.nf_conntrack_max")
    if count is None or not limit or count < NEAR * limit:
        return
    full = count >= limit
    yield finding(
        "conntrack-full" if full else "conntrack-near-full",
        view,
        None,
        f"{count:,} of {limit:,} connections are tracked"
        + (": the first packet of every new one is dropped" if full else ""),
        f"sysctl -w net.netfilter.nf_conntrack_max={2 * limit}",
        "error" if full else "warning",
    )


def stale(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`conntrack-stale-nat`: UDP flows that are still translated to a backend that is gone."""
    for connection in view.netns.connections:
        if connection.proto == "udp" and connection.reply_src != connection.dst:
            if why := _gone(evidence, connection):
                yield _told(view, connection, why)


def of_packet(evidence: Evidence, view: NetNsView, packet: Packet) -> Iterator[Finding]:
    """The same, of the entry that a packet would meet."""
    if packet.proto != "udp":
        return
    for connection in view.netns.connections:
        entry = (connection.proto, connection.src, connection.sport, connection.dst, connection.dport)
        if entry == (packet.proto, packet.src, packet.sport, packet.dst, packet.dport):
            if connection.reply_src != connection.dst and (why := _gone(evidence, connection)):
                yield _told(view, connection, why)


def _gone(evidence: Evidence, connection: Connection) -> str | None:
    """Why the address an entry translates to is nobody's any more; None: it may be somebody's."""
    target, topology = connection.reply_src, evidence.topology
    if topology.kubernetes is not None:
        match = services.of(topology).match(connection.dst, connection.proto, connection.dport)
        if match is not None:
            backends = {each.address for each in match.view.behind(match.port)}
            return None if target in backends else f"which is no endpoint of {match.view.name}"
    node = evidence.nobodys(target)
    return None if node is None else f"which no pod of {node.name} has"


def _told(view: NetNsView, connection: Connection, why: str) -> Finding:
    target = f"{connection.dst}:{connection.dport}"
    words = ["conntrack", "-D", "-p", "udp", "--orig-dst", quote(connection.dst)]
    words += ["--orig-port-dst", str(connection.dport)] if connection.dport is not None else []
    words += ["--reply-src", quote(connection.reply_src)]
    words += ["-f", "ipv6"] if ":" in connection.dst else []
    return finding(
        "conntrack-stale-nat",
        view,
        target,
        f"UDP from {connection.src} port {connection.sport} to {target} is still translated to "
        f"{connection.reply_src}, {why}",
        " ".join(words),
    )
