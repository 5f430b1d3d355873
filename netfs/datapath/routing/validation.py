"""Whether a received packet's addresses are believed, before and after the route is known.

IPv4: ``ip_route_input_slow`` (net/ipv4/route.c) and ``fib_validate_source`` (net/ipv4/fib_frontend.c).
IPv6: ``ip6_rcv_core`` (net/ipv6/ip6_input.c); it has no reverse path filter of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from netfs.cluster.netns import NetNsView
from netfs.datapath.routing.answer import Flow, RouteAnswer
from netfs.datapath.routing.compiled import Routing, routing
from netfs.datapath.routing.ipv4 import LIMITED_BROADCAST, fib_lookup, is_multicast
from netfs.datapath.routing.text import describe
from netfs.model import ip
from netfs.model.link import Link


@dataclass(frozen=True, slots=True)
class Martian:
    """Why a received packet's addresses are refused."""

    reason: str
    """The kernel's drop reason (``SKB_DROP_REASON_*``)."""
    why: str


@dataclass(frozen=True, slots=True)
class ReverseCheck:
    """Whether a received packet's source is believed."""

    ok: bool | None
    """None: not known."""
    reason: str | None
    """The kernel's drop reason: ``IP_RPFILTER``, ``IP_LOCAL_SOURCE``, ``IP_INVALID_SOURCE``."""
    why: str
    evidence: str | None = None
    """The route back, or the setting that decided."""


def conf(view: NetNsView, link: Link, name: str, *, join: str = "or") -> int:
    """A setting of ``net.ipv4.conf`` as the kernel joins ``all`` and the device: ``or``, ``max`` or ``dev``.

    (``IN_DEV_ORCONF``, ``IN_DEV_MAXCONF``, ``IN_DEV_CONF_GET`` in include/linux/inetdevice.h.)
    """
    own = link.ipv4.get(name, 0)
    if join == "dev":
        return own
    everywhere = view.sysctl(f"net.ipv4.conf.all.{name}", 0) or 0
    return max(own, everywhere) if join == "max" else int(bool(own or everywhere))


def martian_check(view: NetNsView, iif: Link, src: str, dst: str) -> Martian | None:
    """Whether the addresses of a received packet are refused whatever the routes say; None: they are not."""
    if ":" in dst:
        return _martian6(iif, src, dst)
    source, target = ip.to_int(src), ip.to_int(dst)
    if is_multicast(source) or source == LIMITED_BROADCAST:
        return Martian("IP_INVALID_SOURCE", f"source {src} is a multicast or broadcast address")
    if target == LIMITED_BROADCAST or (source == 0 and target == 0):
        return None
    if source == 0:
        return Martian("IP_INVALID_SOURCE", "the source is 0.0.0.0")
    if target == 0:
        return Martian("IP_INVALID_DEST", "the destination is 0.0.0.0")
    if conf(view, iif, "route_localnet"):
        return None
    for role, address in (("destination", target), ("source", source)):
        if address >> 24 == 127:
            text = dst if role == "destination" else src
            return Martian("IP_LOCALNET", f"{role} {text} is a loopback address and route_localnet is 0 on {iif.name}")
    return None


def _martian6(iif: Link, src: str, dst: str) -> Martian | None:
    """``ip6_rcv_core``; the kernel counts these as header errors (``IP_INHDR``)."""
    source, target = ip.to_int(src), ip.to_int(dst)
    if iif.loopback:
        return None
    if source == 1 or target == 1:
        return Martian("IP_INHDR", "the loopback address ::1 never comes from a wire")
    if target >> 120 == 0xFF and target >> 112 & 0xF in (0, 1):
        return Martian("IP_INHDR", f"destination {dst} must not leave its interface")
    if source >> 120 == 0xFF:
        return Martian("IP_INHDR", f"source {src} is a multicast address")
    return None


def reverse_check(
    view: NetNsView,
    iif: Link,
    src: str,
    dst: str,
    mark: int = 0,
    tos: int = 0,
    *,
    out: int = 0,
    proto: int = 0,
    sport: int = 0,
    dport: int = 0,
) -> ReverseCheck:
    """``fib_validate_source``: whether a packet to ``src`` would be routed, and by this device.

    ``out`` is the index of the device the packet is forwarded to, 0 where it is delivered here.
    """
    if ":" in src:
        return ReverseCheck(True, None, "IPv6 has no reverse path filter")
    compiled = routing(view)
    mode = conf(view, iif, "rp_filter", join="max")
    redirects = iif.ipv4.get("send_redirects", 1) or view.sysctl("net.ipv4.conf.all.send_redirects", 1)
    if not mode and (iif.index != out or not redirects):
        quick = _without_filter(view, compiled, iif, src)
        if quick is not None:
            return quick
    flow = Flow(
        family=4,
        dst=ip.to_int(src),
        src=ip.to_int(dst),
        iif=out or compiled.loopback,
        oif=0,
        mark=mark if conf(view, iif, "src_valid_mark") else 0,
        tos=tos,
        proto=proto,
        sport=dport,
        dport=sport,
        uid=0,
    )
    return _judge(view, iif, src, mode, fib_lookup(compiled, flow))


def _without_filter(view: NetNsView, compiled: Routing, iif: Link, src: str) -> ReverseCheck | None:
    """rp_filter is off; None: the full check is needed all the same."""
    if conf(view, iif, "accept_local"):
        return ReverseCheck(True, None, "rp_filter is 0, accept_local is 1", "accept_local")
    if compiled.custom_local or compiled.custom4:
        return None
    if src in view.owned:
        why = f"source {src} is an address of this host"
        return ReverseCheck(False, "IP_LOCAL_SOURCE", why, f"accept_local is 0 on {iif.name}")
    return ReverseCheck(True, None, "rp_filter is 0")


def _judge(view: NetNsView, iif: Link, src: str, mode: int, back: RouteAnswer) -> ReverseCheck:
    evidence = describe(back.route, view) if back.route is not None else " / ".join(back.considered[-1:])
    if back.kind == "unknown":
        return ReverseCheck(None, None, back.unknown or "", evidence)
    if not back.usable:
        return _last_resort(src, mode, evidence)
    if back.kind not in ("unicast", "local"):
        return ReverseCheck(False, "IP_INVALID_SOURCE", f"source {src} is a {back.kind} address here", evidence)
    if back.kind == "local" and not conf(view, iif, "accept_local"):
        return ReverseCheck(False, "IP_LOCAL_SOURCE", f"source {src} is an address of this host", evidence)
    hops = back.route.nexthops if back.route is not None else ()
    if any(hop.index == iif.index for hop in hops) or (back.kind == "local" and iif.loopback):
        return ReverseCheck(True, None, f"the route back to {src} leaves by {iif.name}", evidence)
    if not any(address.family == 4 for address in view.addresses.get(iif.index, ())):
        return _last_resort(src, mode, evidence)
    if mode == 1:
        why = f"rp_filter is 1 (strict) and the route back to {src} does not leave by {iif.name}"
        return ReverseCheck(False, "IP_RPFILTER", why, evidence)
    return ReverseCheck(True, None, f"rp_filter is {mode} and {src} is routed", evidence)


def _last_resort(src: str, mode: int, evidence: str) -> ReverseCheck:
    """No route back, or a device without an address: any filter refuses."""
    if mode:
        return ReverseCheck(False, "IP_RPFILTER", f"rp_filter is {mode} and no route leads back to {src}", evidence)
    return ReverseCheck(True, None, "rp_filter is 0", evidence)
