"""The look-up: from names and texts to numbers, and to the family's own rules."""

from __future__ import annotations

from netfs.cluster.netns import NetNsView
from netfs.datapath.routing import ipv4, ipv6
from netfs.datapath.routing.answer import Flow, RouteAnswer, RouteQuery
from netfs.datapath.routing.compiled import NO_DEVICE, Routing, routing
from netfs.model import ip


def lookup(view: NetNsView, query: RouteQuery) -> RouteAnswer:
    """What the namespace's rules and tables say of a packet (``ip route get``).

    Input checks (``martian_check``, ``reverse_check``) and whether forwarding is on are other questions.
    Raises ValueError where an address is none.
    """
    compiled = routing(view)
    flow = flow_of(compiled, query)
    for name, index in ((query.iif, flow.iif), (query.oif, flow.oif)):
        if index == NO_DEVICE:
            return RouteAnswer("none", considered=(f"no device {name} here",), error="ENODEV")
    return ipv4.lookup(compiled, flow) if flow.family == 4 else ipv6.lookup(compiled, flow)


def flow_of(compiled: Routing, query: RouteQuery) -> Flow:
    """The query in numbers."""
    family = ip.family_of(query.dst)
    received = query.iif is not None
    return Flow(
        family=family,
        dst=ip.to_int(query.dst),
        src=None if query.src is None else ip.to_int(query.src) or None,
        iif=compiled.index(query.iif) if received else compiled.loopback,
        oif=0 if received else compiled.index(query.oif),
        mark=query.mark,
        tos=query.tos,
        proto=query.proto or 0,
        sport=query.sport or 0,
        dport=query.dport or 0,
        uid=0 if received and family == 4 else query.uid,
    )
