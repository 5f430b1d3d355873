"""Connection tracking: which connection a packet belongs to where it enters a namespace.

Mirrors ``nf_conntrack_in`` and ``resolve_normal_ct`` (net/netfilter/nf_conntrack_core.c), ``tcp_new`` and
``icmp_new`` of the protocols' files, and ``nf_confirm``. What was found on the way is remembered by branch
(``connection.Branch``); the entries that the snapshot brought are looked at behind that: for one of these no nat rule
is asked, whether it translates or not (``nf_nat_setup_info``). Leaves out: helpers, expectations, timeouts, zones, and
clashes, where a port is already taken and NAT chooses another.
"""

from __future__ import annotations

from dataclasses import replace

from netfs.cluster.netns import NetNsView
from netfs.datapath.connection import INVALID, Branch, Connection, FiveTuple, Tracked, five_tuple
from netfs.model.packet import Packet
from netfs.model.snapshot import Connection as Entry

COUNT, MAX = "net.netfilter.nf_conntrack_count", "net.netfilter.nf_conntrack_max"


def enter(view: NetNsView, branch: Branch, packet: Packet) -> tuple[Branch, Tracked]:
    """A packet meets conntrack, at prerouting or output: what is remembered then, and what the packet carries."""
    flow = five_tuple(packet)
    found = branch.find(view.key, flow)
    if found is None:
        found = _in_table(view, branch, flow)
    if found is None:
        if not _opens(packet):
            return branch, INVALID
        connection = Connection(len(branch.connections), view.key, packet, flow, flow.inverted)
        return branch.with_connection(connection), Tracked(connection.number, False, "new")
    connection, reply = found
    if reply and "seen-reply" not in connection.status:
        connection = replace(connection, status=connection.status | {"seen-reply"})
    state = "established" if "seen-reply" in connection.status else "new"
    return branch.with_connection(connection), Tracked(connection.number, reply, state)


def confirmed(branch: Branch, tracked: Tracked | None) -> Branch:
    """The packet leaves the namespace, or is taken: its connection is in the table from now on."""
    connection = branch.connection(tracked)
    if connection is None or "confirmed" in connection.status:
        return branch
    return branch.with_connection(replace(connection, status=connection.status | {"confirmed"}))


def full(view: NetNsView) -> str | None:
    """Why a new connection finds no place (``__nf_conntrack_alloc``), in words; None: there is room, or nobody knows.

    The kernel may still throw out an entry that was never assured (``early_drop``).
    """
    count, most = view.sysctl(COUNT), view.sysctl(MAX)
    if count is None or not most or count < most:
        return None
    return f"the connection table of {view.name} is full ({count:,} of {most:,}): a new connection finds no place"


def chosen_ports(port: int) -> tuple[int, int]:
    """Between which a source port lies that NAT chooses by itself (``nf_nat_l4proto_unique_tuple``)."""
    if port >= 1024:
        return 1024, 65535
    return (600, 1023) if port >= 512 else (1, 511)


def _opens(packet: Packet) -> bool:
    """Whether a packet may begin a connection: no echo reply, no SYN-ACK."""
    return packet.icmp_type != "echo-reply" and packet.tcp_flags != "syn-ack"


def _in_table(view: NetNsView, branch: Branch, flow: FiveTuple) -> tuple[Connection, bool] | None:
    """A connection that was there before the packet. ICMP's are not told apart by what a snapshot holds of them."""
    if not view.netns.connections or flow.sport is None:
        return None
    table = view.compiled.get("connections")
    if not isinstance(table, dict):
        table = view.compiled["connections"] = _table(view.netns.connections)
    found: tuple[Entry, bool] | None = table.get(flow)
    if found is None:
        return None
    entry, reply = found
    return _known(view, len(branch.connections), entry), reply


def _table(entries: tuple[Entry, ...]) -> dict[FiveTuple, tuple[Entry, bool]]:
    found: dict[FiveTuple, tuple[Entry, bool]] = {}
    for entry in entries:
        if entry.zone == 0:
            found[original_of(entry)] = entry, False
            found[reply_of(entry)] = entry, True
    return found


def original_of(entry: Entry) -> FiveTuple:
    """The flow of an entry's packets."""
    return FiveTuple(entry.proto, entry.src, entry.sport, entry.dst, entry.dport)


def reply_of(entry: Entry) -> FiveTuple:
    """The flow of the answers."""
    return FiveTuple(entry.proto, entry.reply_src, entry.reply_sport, entry.reply_dst, entry.reply_dport)


def _known(view: NetNsView, number: int, entry: Entry) -> Connection:
    original, reply = original_of(entry), reply_of(entry)
    status = {"confirmed", *entry.status}
    plain = original.inverted
    if (reply.src, reply.sport) != (plain.src, plain.sport):
        status.add("dnat")
    if (reply.dst, reply.dport) != (plain.dst, plain.dport):
        status.add("snat")
    first = Packet(entry.src, entry.dst, entry.proto, entry.sport, entry.dport)
    return Connection(number, view.key, first, original, reply, entry.mark, frozenset(status), True, True, entry=entry)
