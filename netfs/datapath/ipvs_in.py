"""IPVS on a packet's way: a packet for a virtual service is sent on to one of its real servers.

Mirrors ``ip_vs_in_hook``, ``ip_vs_schedule``, ``ip_vs_leave`` (net/netfilter/ipvs/ip_vs_core.c), ``ip_vs_nat_xmit``
(ip_vs_xmit.c) and ``ip_vs_update_conntrack`` (ip_vs_nfct.c). It stands at LOCAL_IN before the source's translation
and at LOCAL_OUT behind the destination's. A masqueraded packet is routed anew and meets LOCAL_OUT and POSTROUTING;
its answer gets the service's address back at FORWARD, LOCAL_IN or LOCAL_OUT. Leaves out: direct routing and
tunnelling to other hosts (``unknown``), cache bypass, thresholds, and IPVS without conntrack (``unknown``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from netfs.cluster.netns import NetNsView
from netfs.datapath.connection import Connection
from netfs.datapath.ipvs import RealServer, Table, VirtualService, table
from netfs.datapath.netfilter.datatypes import NotUnderstoodError
from netfs.datapath.output import size, unread
from netfs.datapath.position import End, Position, Step, Ways, drop, followed, unknown
from netfs.datapath.routing import RouteQuery, lookup
from netfs.model.packet import Packet

if TYPE_CHECKING:
    from netfs.datapath.walk import Walk

PLACE = {"input": 98, "output": -98}
"""Where on its hooks IPVS stands: ``NF_IP_PRI_NAT_SRC`` - 2, ``NF_IP_PRI_NAT_DST`` + 2."""
RESTORED = ("forward", "input", "output")
"""The hooks at which an answer gets the service's address back (``ip_vs_out_hook``)."""
CONNTRACK = "net.ipv4.vs.conntrack"


def wanted(view: NetNsView, packet: Packet) -> VirtualService | NotUnderstoodError | None:
    """The virtual service that takes a packet; an error where nobody can know."""
    services = table(view)
    if not isinstance(services, Table):
        return services
    if packet.proto == "icmp":
        return None
    return services.find(packet.proto, packet.dst, packet.dport, packet.mark)


def restored(connection: Connection, packet: Packet) -> Packet:
    """An answer with the address of the service that its client asked."""
    if connection.service is None:
        return packet
    address, port = connection.service
    return replace(packet, src=address, sport=port)


def schedule(_walk: Walk, at: Position) -> Step:
    """``ip_vs_schedule``: one of the real servers."""
    packet, view = at.frame.packet, at.view
    service = wanted(view, packet)
    if not isinstance(service, VirtualService):
        return unknown(at, "ipvs", f"the IPVS table of {view.name} cannot be read: {service}")
    if not view.sysctl(CONNTRACK, 1):
        return unknown(at, "ipvs", f"IPVS of {view.name} hides its connections from conntrack ({CONNTRACK} is 0)")
    shares = service.shares()
    if not shares:
        quiesced = "every real server has weight 0" if service.servers else "it has no real server"
        return drop(
            at,
            "ipvs",
            "NETFILTER_DROP",
            f"IPVS has nobody for {service.text}: {quiesced}; the sender is told icmp port-unreachable",
            evidence=service.text,
            slug="service-no-endpoints",
        )
    ways: list[Position | End] = []
    for server, share in shares:
        way = at.on("ipvs-sent")
        way.branch = way.branch.parted(share)
        ways.append(_assigned(way, service, server, share))
    return ways[0] if len(ways) == 1 else Ways(ways, known=True)


def _assigned(at: Position, service: VirtualService, server: RealServer, share: float | None) -> Position | End:
    """The packet with the address of its real server."""
    packet = at.frame.packet
    here = server.address in at.view.owned
    if server.method == "direct routing" and here:
        at.note("ipvs", "local", f"{service.text}: the real server {server.address} is here", evidence=server.text)
        return at.go("deliver", iif=at.iif, route=at.route)
    if server.method != "masquerading":
        return unknown(at, "ipvs", f"IPVS sends to {server.address} by {server.method}, which is not modelled")
    port = server.port or packet.dport
    connection = at.branch.connection(at.frame.tracked)
    if connection is not None:
        answer = connection.reply._replace(src=server.address, sport=port)
        vip = (packet.dst, packet.dport)
        at.branch = at.branch.with_connection(replace(connection, reply=answer, service=vip))
    at.frame = at.frame.change(dst=server.address, dport=port)
    kept = f"; a client keeps its server for {service.persistent} s" if service.persistent else ""
    odds = f" for {share:.0%} of connections" if share is not None and share < 1 else ""
    why = f"{service.text}: scheduled to {server.address}:{port}{odds}{kept}"
    at.note("ipvs", "rewrite", why, evidence=server.text)
    return at


def sent(_walk: Walk, at: Position) -> Step:
    """``ip_vs_nat_xmit``: routed as if it was made here; to a real server in this namespace it stays on its way."""
    view, packet = at.view, at.frame.packet
    missing = unread(view)
    if missing is not None:
        return unknown(at, "ipvs", missing)
    answer = lookup(view, RouteQuery(dst=packet.dst))
    if answer.kind == "unknown":
        return unknown(at, "ipvs", answer.unknown or "the routing tables cannot be decided")
    if answer.kind == "local":
        return at.go("local-out", link=at.link, route=answer.route) if at.iif is None else at.go("deliver", iif=at.iif)
    if answer.kind != "unicast":
        return drop(at, "ipvs", "IP_OUTNOROUTES", f"{view.name} has no route to the real server {packet.dst}")
    if at.iif is not None and packet.ttl <= 1:
        return drop(at, "ipvs", "IP_INHDR", f"the TTL ran out on {view.name}: ICMP time exceeded", slug="route-loop")
    frame = at.frame.change(ttl=packet.ttl - 1) if at.iif is not None else at.frame
    ways: list[Position | End] = []
    for hop in followed(answer.nexthops)[0]:
        out = view.links.get(hop.index or 0)
        if out is None:
            return unknown(at, "ipvs", f"the device of the route to {packet.dst} is not in the snapshot")
        way = at.go("local-out", link=out, frame=frame, next_hop=hop.gateway, route=answer.route)
        ways.append((size(way, at.iif) if at.iif is not None else None) or way)
    return ways[0] if len(ways) == 1 else Ways(ways)
