"""Group C: the connection table: full, or full of what is gone."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from netfs.cluster import services
from netfs.cluster.netns import NetNsView
from netfs.datapath.netfilter import chains_on
from netfs.diagnose.commands import finding
from netfs.diagnose.evidence import Evidence
from netfs.model.findings import Finding
from netfs.model.packet import Packet
from netfs.model.snapshot import Connection

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
    """`conntrack-stale-nat`: UDP flows that are translated to a backend that is gone, or too old to be translated."""
    flows = [each for each in view.netns.connections if each.proto == "udp"]
    known = services.of(evidence.topology).all if any(map(_plain, flows)) else ()
    served = {address for each in known for address in each.service.cluster_ips}
    for connection in flows:
        if not _plain(connection) or connection.dst in served:
            if why := _wrong(evidence, view, connection):
                yield _told(view, connection, why)


def of_packet(evidence: Evidence, view: NetNsView, packet: Packet) -> Iterator[Finding]:
    """The same, of the entry that a packet would meet."""
    if packet.proto != "udp":
        return
    for connection in view.netns.connections:
        entry = (connection.proto, connection.src, connection.sport, connection.dst, connection.dport)
        if entry == (packet.proto, packet.src, packet.sport, packet.dst, packet.dport):
            if why := _wrong(evidence, view, connection):
                yield _told(view, connection, why)


def _plain(connection: Connection) -> bool:
    """Whether its destination is not translated."""
    return connection.reply_src == connection.dst


def _wrong(evidence: Evidence, view: NetNsView, connection: Connection) -> str | None:
    """What is wrong with an entry; None: nothing that is known."""
    if _plain(connection):
        return _too_old(evidence, view, connection)
    why = _gone(evidence, connection)
    return None if why is None else f"is still translated to {connection.reply_src}, {why}"


def _too_old(evidence: Evidence, view: NetNsView, connection: Connection) -> str | None:
    """A flow to a Service that began without its rules: they translate it no more (``nf_nat_setup_info``)."""
    layer = "ip6" if ":" in connection.dst else "ip"
    if "seen-reply" in connection.status or not view.is_node or connection.zone:
        return None
    if not any(chain.type == "nat" for chain in chains_on(view, layer, "prerouting")):
        return None
    match = services.of(evidence.topology).match(connection.dst, connection.proto, connection.dport)
    if match is None or match.by != "cluster-ip" or not match.view.behind(match.port):
        return None
    return f"is not translated: it began before the rules of {match.view.name} were there"


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
        f"UDP from {connection.src} port {connection.sport} to {target} {why}",
        " ".join(words),
    )
