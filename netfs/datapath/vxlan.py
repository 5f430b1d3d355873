"""VXLAN: into the tunnel and out of it (drivers/net/vxlan/vxlan_core.c).

Mirrors ``vxlan_xmit``, ``vxlan_xmit_one``, ``encap_bypass_if_local``, ``arp_reduce`` on the way in;
``vxlan_rcv``, ``vxlan_vs_find_vni``, ``vxlan_set_mac``, ``vxlan_snoop`` on the way out. A UDP socket belongs to a
port, a family and a namespace, never to a local address: ``local`` does not filter what is accepted. Leaves
out: metadata mode, VNI filters, nexthop groups, RSC (all ``unknown``), GBP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netfs.cluster.netns import NetNsView
from netfs.cluster.topology import Port
from netfs.datapath.frame import ZERO_MAC, Frame
from netfs.datapath.position import Copies, End, Position, Step, drop, unknown
from netfs.model import ip
from netfs.model.address import NUD_NOARP, NUD_PERMANENT, NUD_REACHABLE, FdbEntry
from netfs.model.link import Link, Vxlan
from netfs.model.packet import Packet

if TYPE_CHECKING:
    from netfs.datapath.walk import Walk

OVERHEAD = {4: 50, 6: 70}
"""Bytes that VXLAN adds to an IP packet: inner Ethernet 14, VXLAN 8, UDP 8, IP 20 or 40 (RFC 7348)."""

EPHEMERAL = (1024, 65535)
"""Where the source port of a tunnel lies that was told no range: ``net.ipv4.ip_local_port_range`` is above the
privileged ports on every machine that was left alone (``udp_flow_src_port``)."""

_ANY = (None, "0.0.0.0", "::")


def encapsulate(walk: Walk, at: Position) -> Step:
    """Find the tunnel ends for the frame's MAC and wrap it for each."""
    vxlan = at.link.vxlan
    if vxlan is None:
        return unknown(at, "encapsulate", f"how {at.link.name} is set could not be read")
    if vxlan.collect_metadata or vxlan.vnifilter or vxlan.rsc:
        return unknown(at, "encapsulate", f"{at.link.name} uses a mode of VXLAN that is not modelled")
    if vxlan.proxy and at.frame.question is not None:
        return _proxied(at)
    outer = walk.topology.underlay(at.view, at.link)
    if outer is None:
        return unknown(at, "encapsulate", f"the namespace that {at.link.name} sends in was not read")
    entries, evidence = _destinations(walk, at)
    if not entries:
        return _no_destination(at)
    if any(entry.nh_id is not None for entry in entries):
        return unknown(at, "encapsulate", f"{at.link.name} sends by a nexthop group: not modelled")
    copies = [_wrapped(walk, at, vxlan, outer, entry, evidence) for entry in entries]
    going = [copy for copy in copies if isinstance(copy, Position)]
    if len(copies) == 1 or not going:
        return copies[0]
    return Copies(going)


def _destinations(walk: Walk, at: Position) -> tuple[list[FdbEntry], str]:
    """The entries of the device's table that the frame is sent by, and the deciding one in words."""
    view, link, mac = at.view, at.link, at.frame.dst_mac or ""
    found = list(view.vxlan_fdb(link.index, mac))
    learned = walk.learned_remote(view, link, mac)
    if learned is not None and not any(entry.state & (NUD_PERMANENT | NUD_NOARP) for entry in found):
        found = [FdbEntry(link.index, mac, NUD_REACHABLE, 0x02, dst=learned)]
    if not found:
        found = list(view.vxlan_fdb(link.index, ZERO_MAC))
    if not found:
        return [], ""
    return found, "; ".join(describe(view, entry) for entry in found[:3])


def _no_destination(at: Position) -> End:
    gap = next((gap for gap in at.view.gaps if gap.what == "fdb"), None)
    if gap is not None:
        return unknown(at, "encapsulate", f"the FDB of {at.link.name} could not be read: {gap.reason}")
    return drop(
        at,
        "encapsulate",
        "NO_TX_TARGET",
        f"the FDB of {at.link.name} has no entry for {at.frame.dst_mac} and no default: which node to send to?",
        slug="vxlan-fdb-missing" if at.frame.question is None else None,
    )


def _wrapped(walk: Walk, at: Position, vxlan: Vxlan, outer: NetNsView, entry: FdbEntry, evidence: str) -> Step:
    """``vxlan_xmit_one``: the outer packet of one destination."""
    remote = entry.dst
    if remote is None or remote in _ANY:
        why = f"the entry {evidence} has no destination address"
        return drop(at, "encapsulate", "NO_TX_TARGET", why, slug="vxlan-fdb-missing")
    port = entry.port or vxlan.port
    vni = entry.vni if entry.vni is not None else vxlan.vni
    lower = outer.links.get(entry.via) if entry.via else None
    inner = at.frame
    packet = Packet(
        src=vxlan.local if vxlan.local not in _ANY and vxlan.local is not None else "",
        dst=remote,
        proto="udp",
        dport=port,
        size=inner.packet.size + OVERHEAD[ip.family_of(remote)],
        ttl=vxlan.ttl or (1 if ip.is_multicast(remote) else 64),
        df=vxlan.df == 1 or (vxlan.df == 2 and inner.packet.df),
        mark=inner.packet.mark,
    )
    outer_frame = Frame(packet, inner=inner, vni=vni, local=True)
    outer_frame.tunnel = (at.view.key, at.link.index)
    outer_frame.sports = (vxlan.port_low, vxlan.port_high) if vxlan.port_low else EPHEMERAL
    outer_frame.whole = whole(at.link, packet, inner)
    way = at.go(
        "output",
        view=outer,
        link=lower or at.link,
        frame=outer_frame,
        oif=lower.name if lower else None,
    )
    hop = Position("encapsulate", at.view, at.link, inner, at.trail, branch=at.branch)
    hop.note("encapsulate", "encapsulate", f"VXLAN to {remote} port {port} VNI {vni}", evidence=evidence)
    if vxlan.localbypass and remote in outer.owned and not ip.is_multicast(remote):
        return _bypassed(walk, hop, outer, packet, vni)
    way.trail = hop.trail
    return way


def whole(link: Link, outer: Packet, inner: Frame) -> bool:
    """Whether an outer packet that is too large is lost rather than sent in fragments.

    ``skb_tunnel_check_pmtu`` (net/ipv4/ip_tunnel_core.c) tells the inner packet's route the tunnel's MTU, and lets
    this packet go. A router of IPv4 never looks at that (``ip_dst_mtu_maybe_forward``); a local sender, and IPv6,
    are refused from the next packet on, which a snapshot does not show. A tunnel that is a bridge's port answers
    itself and drops. Over IPv6 no fragments were ever seen to leave.
    """
    if outer.df or outer.family == 6:
        return True
    return link.master is not None and (inner.packet.df or inner.packet.family == 6)


def _bypassed(walk: Walk, at: Position, outer: NetNsView, packet: Packet, vni: int) -> Step:
    """``encap_bypass_if_local``: a destination of this very namespace is handed to its device directly.

    As a packet for this host, whatever its MAC; and the device learns that its sender is behind 127.0.0.1.
    """
    tunnels = [port for port in walk.topology.tunnels.get(outer.key, ()) if port.link.vxlan is not None]
    for port in tunnels:
        if _listens(port.link, packet.dport or 0, packet.family) and port.link.vxlan is not None:
            if port.link.vxlan.vni == vni:
                if port.link.vxlan.learning and at.frame.src_mac is not None:
                    loopback = "127.0.0.1" if packet.family == 4 else "::1"
                    walk.learn_remote(port.view, port.link, at.frame.src_mac, loopback)
                return at.go("receive", view=port.view, link=port.link, frame=at.frame.handed(packet.mark))
    return drop(
        at,
        "encapsulate",
        "VXLAN_VNI_NOT_FOUND",
        f"{packet.dst} is {outer.name} itself, and it has no VXLAN device of VNI {vni} on port {packet.dport}",
        slug="vxlan-fdb-wrong-dst",
    )


def _proxied(at: Position) -> Step:
    """``arp_reduce``: a device with ``proxy`` answers from its own neighbours, and asks nobody."""
    question = at.frame.question
    assert question is not None
    entry = at.view.neighbour(at.link.index, question.target)
    if entry is not None and entry.mac is not None and entry.state & (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE):
        return End(at, "answered", why=entry.mac)
    return End(at, "dropped", "NO_TX_TARGET", f"{at.link.name} answers ARP itself and does not know {question.target}")


def decapsulate(walk: Walk, at: Position) -> Step:
    """An outer packet was delivered to UDP: find the socket, then the device of its VNI."""
    packet, vni, inner = at.frame.packet, at.frame.vni, at.frame.inner
    assert inner is not None
    assert vni is not None
    family = packet.family
    tunnels = [port for port in walk.topology.tunnels.get(at.view.key, ()) if port.link.vxlan is not None]
    open_ = [port for port in tunnels if _listens(port.link, packet.dport or 0, family)]
    if not open_:
        return _no_socket(at, tunnels, packet)
    if any(p.link.vxlan is not None and (p.link.vxlan.collect_metadata or p.link.vxlan.vnifilter) for p in open_):
        return unknown(at, "decapsulate", f"a VXLAN device of {at.view.name} takes any VNI: not modelled")
    tunnel = next((port for port in open_ if port.link.vxlan is not None and port.link.vxlan.vni == vni), None)
    if tunnel is None:
        return _no_vni(at, open_, vni)
    return _unwrap(walk, at, tunnel, inner)


def _unwrap(walk: Walk, at: Position, tunnel: Port, inner: Frame) -> Step:
    link, source = tunnel.link, at.frame.packet.src
    at.note("deliver", "local", f"the outer packet is for {at.view.name}: UDP {at.frame.packet.dport} is VXLAN's")
    inner = inner.scrubbed(at.frame.packet.mark)
    here = Position("decapsulate", tunnel.view, link, inner, at.trail, branch=at.branch)
    if inner.src_mac == link.mac:
        return drop(here, "decapsulate", "LOCAL_MAC", f"the inner frame claims to come from {link.name} itself")
    vxlan = link.vxlan
    if vxlan is not None and vxlan.learning and inner.src_mac is not None:
        entries = tunnel.view.vxlan_fdb(link.index, inner.src_mac)
        fixed = next((entry for entry in entries if entry.state & (NUD_PERMANENT | NUD_NOARP)), None)
        if fixed is not None and fixed.dst != source:
            return drop(
                here,
                "decapsulate",
                "VXLAN_ENTRY_EXISTS",
                f"{inner.src_mac} came from {source}, but a permanent entry says {fixed.dst}",
                evidence=describe(tunnel.view, fixed),
                slug="vxlan-fdb-wrong-dst",
            )
        walk.learn_remote(tunnel.view, link, inner.src_mac, source)
    here.note("decapsulate", "decapsulate", f"VNI {at.frame.vni} is {link.name}: the inner frame comes out")
    if not link.up:
        return drop(here, "decapsulate", "DEV_READY", f"{link.name} is down", slug="vxlan-device-down")
    return here.go("receive")


def _listens(link: Link, port: int, family: int) -> bool:
    """Whether a device that is up holds a socket on a port (``vxlan_open``)."""
    vxlan = link.vxlan
    if vxlan is None or vxlan.port != port or not link.up:
        return False
    if vxlan.collect_metadata:
        return True
    return _six(link) == (family == 6)


def _six(link: Link) -> bool:
    """Whether a device sends its outer packets by IPv6."""
    vxlan = link.vxlan
    addresses = (vxlan.local, vxlan.group) if vxlan is not None else ()
    return any(address not in _ANY and ":" in (address or "") for address in addresses)


def _no_socket(at: Position, tunnels: list[Port], packet: Packet) -> End:
    view, port = at.view, packet.dport
    tunnels = [tunnel for tunnel in tunnels if _six(tunnel.link) == (packet.family == 6)]
    if not tunnels:
        why, slug = f"{view.name} has no VXLAN device", "vxlan-device-missing"
    elif all(not tunnel.link.up for tunnel in tunnels):
        why, slug = f"{tunnels[0].link.name} on {view.name} is down", "vxlan-device-down"
    else:
        ports = sorted({t.link.vxlan.port for t in tunnels if t.link.vxlan is not None and t.link.up})
        why = f"{view.name} listens for VXLAN on UDP {', '.join(map(str, ports))}"
        slug = "vxlan-port-mismatch"
    return drop(
        at,
        "deliver",
        "NO_SOCKET",
        f"nothing on {view.name} takes UDP {port}: {why}; it answers ICMP port unreachable",
        slug=slug,
    )


def _no_vni(at: Position, tunnels: list[Port], vni: int) -> End:
    here = Position("decapsulate", tunnels[0].view, tunnels[0].link, at.frame, at.trail, branch=at.branch)
    have = ", ".join(f"{t.link.name} VNI {t.link.vxlan.vni}" for t in tunnels if t.link.vxlan is not None)
    return drop(
        here,
        "decapsulate",
        "VXLAN_VNI_NOT_FOUND",
        f"the packet carries VNI {vni}, but {at.view.name} has {have}",
        slug="vxlan-vni-mismatch",
    )


def describe(view: NetNsView, entry: FdbEntry) -> str:
    """The entry as ``bridge fdb`` prints it."""
    link = view.links.get(entry.index)
    parts = [entry.mac, "dev", link.name if link is not None else f"if{entry.index}"]
    if entry.dst is not None:
        parts += ["dst", entry.dst]
    if entry.port is not None:
        parts += ["port", str(entry.port)]
    if entry.vni is not None:
        parts += ["vni", str(entry.vni)]
    parts += ["self"] if entry.flags & 2 else []
    parts += ["permanent"] if entry.state & NUD_PERMANENT else []
    return " ".join(parts)
