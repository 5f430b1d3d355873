"""Bridges: which ports a frame leaves by.

Mirrors ``br_handle_frame``, ``br_handle_frame_finish`` (net/bridge/br_input.c), ``should_deliver``,
``br_forward`` and ``br_flood`` (br_forward.c), ``br_fdb_update`` (br_fdb.c), ``br_dev_xmit`` (br_device.c) and
``br_allowed_ingress``/``br_allowed_egress`` (br_vlan.c). Leaves out: multicast snooping where a querier is
present (frames to groups are flooded), VLAN tags (a frame that would leave tagged is ``unknown``), MRP, MST.
"""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from netfs.cluster.netns import NetNsView
from netfs.datapath import below_ip
from netfs.datapath.bridge_nf import calls_ip_tables, enter, leave, unmet
from netfs.datapath.bridge_ports import ports_of
from netfs.datapath.device import FORWARD_SLACK
from netfs.datapath.frame import ZERO_MAC
from netfs.datapath.position import Copies, End, Position, Step, drop, unknown
from netfs.model.address import NTF_STICKY, NUD_PERMANENT, FdbEntry
from netfs.model.link import BridgePort, Link

if TYPE_CHECKING:
    from netfs.datapath.walk import Walk

DISABLED, LISTENING, LEARNING, FORWARDING, BLOCKING = range(5)
NO_PORT = "NO_TX_TARGET"
"""``br_flood``: no port takes a copy (so named since Linux 6.14)."""
STATES = ("disabled", "listening", "learning", "forwarding", "blocking")


def ingress(walk: Walk, at: Position) -> Step:
    """A frame comes in by a port."""
    view, link, frame = at.view, at.link, at.frame
    bridge = view.links[link.master or 0]
    port = link.port
    if port is None or bridge.bridge is None:
        return unknown(at, "bridge", f"how {link.name} is set as a port of {bridge.name} could not be read")
    refused = _refused(at, bridge, port)
    if refused is not None:
        return refused
    vid = _ingress_vlan(view, bridge, link)
    if vid is None:
        return drop(at, "bridge", "VLAN_FILTER", f"{link.name} has no PVID: {bridge.name} takes no untagged frame")
    if walk.circles(view, link, frame):
        return End(at, "dropped", "OTHERHOST", f"the frame circles through {bridge.name}")
    own = ports_of(walk.topology, view, bridge).macs
    if port.learning and bridge.bridge.ageing_time and _may_learn(view, bridge, own, frame.src_mac):
        walk.learn(view, bridge, frame.src_mac or "", link)
    if port.state == LEARNING:
        return drop(at, "bridge", "BRIDGE_INGRESS_STP_STATE", f"{link.name} is still learning, not forwarding yet")
    if frame.question is not None and (port.proxy_arp or port.proxy_arp_wifi or port.neigh_suppress):
        return unknown(at, "bridge", f"{bridge.name} answers neighbour questions itself on {link.name}: not modelled")
    filtered = below_ip.bridge_hook(walk, at, "prerouting", bridge, link, None)
    if isinstance(filtered, End):
        return filtered
    way = at.go("bridge-decide", frame=filtered)
    if frame.question is None:
        if calls_ip_tables(view, bridge, frame):
            return enter(way)
        unmet(way, bridge)
    return way


def decide(walk: Walk, at: Position) -> Step:
    """``br_handle_frame_finish``: where a frame that came in by a port goes on to."""
    bridge = at.view.links[at.link.master or 0]
    return _decide(walk, at, bridge, at.link, _ingress_vlan(at.view, bridge, at.link) or 1)


def _refused(at: Position, bridge: Link, port: BridgePort) -> End | None:
    link, frame = at.link, at.frame
    source = frame.src_mac or ZERO_MAC
    if source == ZERO_MAC or int(source[1], 16) & 1:
        return drop(at, "bridge", "MAC_INVALID_SOURCE", f"{source} is no source address")
    if port.state not in (LEARNING, FORWARDING):
        return drop(
            at,
            "bridge",
            "BRIDGE_INGRESS_STP_STATE",
            f"port {link.name} of {bridge.name} is {STATES[port.state] if port.state < 5 else port.state}",
            fix=f"ip link set {quote(bridge.name)} up"
            if not bridge.up
            else f"bridge link set dev {quote(link.name)} state 3",
            slug="bridge-down" if not bridge.up else "bridge-port-blocked",
        )
    if port.locked and not _holds(at.view, bridge, source, link):
        return drop(at, "bridge", "BRIDGE_LOCKED", f"port {link.name} is locked and {source} is not in its table")
    return None


def from_device(walk: Walk, at: Position) -> Step:
    """The host sends by the bridge device itself."""
    bridge = at.link
    if bridge.bridge is None:
        return unknown(at, "bridge-output", f"how {bridge.name} is set could not be read")
    return _decide(walk, at, bridge, None, 1)


def _decide(walk: Walk, at: Position, bridge: Link, port: Link | None, vid: int) -> Step:
    """Up the stack, out of one port, or out of many."""
    view, frame = at.view, at.frame
    stage = "bridge" if port is not None else "bridge-output"
    if frame.multicast:
        copies, _ = _flood(walk, at, bridge, port, vid)
        if port is not None:
            own = _pass_up(walk, at, bridge, port)
            copies += [own] if isinstance(own, Position) else []
        return _copies(at, stage, copies, bridge, "is sent to a group")
    known, local, entry = _find(walk, view, bridge, frame.dst_mac or "", vid)
    if local and port is not None:
        at.note(stage, "local", f"{frame.dst_mac} is {bridge.name}'s own: up the stack", evidence=entry)
        return _pass_up(walk, at, bridge, port)
    if local and known is None:
        return drop(
            at,
            stage,
            "BRIDGE_NO_EGRESS",
            f"{frame.dst_mac} is the MAC of {bridge.name} itself: it sends nothing to itself",
        )
    if known is not None:
        refused = _refusal(view, bridge, port, known, vid)
        if refused is not None:
            reason, why, slug = refused
            return drop(at, stage, reason, f"{frame.dst_mac} is behind {known.name}, but {why}", slug=slug)
        at.note(stage, "forward", f"{frame.dst_mac} is behind port {known.name} of {bridge.name}", evidence=entry)
        return _out(walk, at, bridge, port, known)
    copies, quiet = _flood(walk, at, bridge, port, vid)
    if not copies and quiet:
        reason = "OTHERHOST" if frame.asks or _flooded(view, bridge, port, vid) else NO_PORT
        return drop(at, stage, reason, f"nobody behind {bridge.name} has the MAC {frame.dst_mac}")
    return _copies(at, stage, copies, bridge, f"is not in the table of {bridge.name}")


def _copies(at: Position, stage: str, copies: list[Position], bridge: Link, why: str) -> Step:
    if not copies:
        return drop(at, stage, NO_PORT, f"{at.frame.dst_mac} {why}, and no port of {bridge.name} takes it")
    if at.frame.question is None:
        at.note(stage, "flood", f"{at.frame.dst_mac} {why}: flooded to {len(copies)} port(s)")
        for copy in copies:
            copy.trail = at.trail
    return copies[0] if len(copies) == 1 else Copies(copies)


def _flood(walk: Walk, at: Position, bridge: Link, port: Link | None, vid: int) -> tuple[list[Position], bool]:
    """The copies of ``br_flood``, and whether some were left out because nobody there would take them."""
    view, frame, question = at.view, at.frame, at.frame.question
    behind = ports_of(walk.topology, view, bridge)
    if question is not None and not question.answer:
        ports = behind.for_address(question.target)
    elif not frame.multicast:
        ports = behind.for_mac(frame.dst_mac or "")
    else:
        ports = list(view.ports.get(bridge.index, ()))
    copies: list[Position] = []
    for out in ports:
        if out.port is None or not _floods(out.port, frame.broadcast, frame.multicast, port):
            continue
        if _refusal(view, bridge, port, out, vid) is None:
            step = _out(walk, at, bridge, port, out)
            if isinstance(step, Position):
                copies.append(step)
    return copies, len(ports) < len(view.ports.get(bridge.index, ()))


def _flooded(view: NetNsView, bridge: Link, port: Link | None, vid: int) -> bool:
    """Whether a frame for nobody known goes out of any port at all."""
    return any(
        out.port is not None
        and _floods(out.port, False, False, port)
        and _refusal(view, bridge, port, out, vid) is None
        for out in view.ports.get(bridge.index, ())
    )


def _floods(port: BridgePort, broadcast: bool, multicast: bool, source: Link | None) -> bool:
    """The flooding flags of ``br_flood``; frames of the bridge device itself pass those for groups."""
    if port.proxy_arp:
        return False
    if broadcast:
        return port.bcast_flood or source is None
    if multicast:
        return port.mcast_flood or source is None
    return port.flood


def _refusal(view: NetNsView, bridge: Link, source: Link | None, out: Link, vid: int) -> tuple[str, str, str] | None:
    """Why ``should_deliver`` says no: (reason, words, slug)."""
    port = out.port
    if port is None:
        return "NOT_SPECIFIED", f"how {out.name} is set could not be read", ""
    if source is not None and source.index == out.index and not port.hairpin:
        return "BRIDGE_NO_HAIRPIN", f"it came in by {out.name} and hairpin is off there", "bridge-hairpin-off"
    if port.state != FORWARDING:
        state = STATES[port.state] if port.state < 5 else str(port.state)
        return "BRIDGE_EGRESS_STATE", f"port {out.name} is {state}", "bridge-port-blocked"
    if source is not None and source.port is not None and source.port.isolated and port.isolated:
        return "BRIDGE_ISOLATED", f"both {source.name} and {out.name} are isolated ports", "bridge-port-blocked"
    if bridge.bridge is not None and bridge.bridge.vlan_filtering:
        if not any(v.index == out.index and v.vid == vid for v in view.netns.bridge_vlans):
            return "VLAN_FILTER", f"port {out.name} is not in VLAN {vid}", "bridge-port-blocked"
    return None


def _pass_up(walk: Walk, at: Position, bridge: Link, port: Link) -> Step:
    """``br_pass_frame_up``."""
    result = below_ip.bridge_hook(walk, at, "input", bridge, port, None)
    return result if isinstance(result, End) else at.go("receive", link=bridge, port=port, frame=result)


def _out(walk: Walk, at: Position, bridge: Link, port: Link | None, out: Link) -> Step:
    """``__br_forward``: the rules of family bridge, and those of IP where the frame met them as it came."""
    for hook in ("output" if port is None else "forward", "postrouting"):
        result = below_ip.bridge_hook(walk, at, hook, bridge, port, out)
        if isinstance(result, End):
            return result
    way = at.go("bridge-leave", link=out, port=port)
    return way if leave(way) else push(walk, way)


def push(_walk: Walk, at: Position) -> Step:
    """``br_dev_queue_push_xmit``: the frame must fit the port it leaves by."""
    frame, out = at.frame, at.link
    if at.port is not None and frame.packet.size > out.mtu and frame.physin is not None:
        if not frame.packet.df and frame.packet.family == 4:
            at.note("bridge", "fragment", "bridge-nf-call-iptables: the bridge sends it in fragments")
            return at.go("transmit", frame=frame.change(size=out.mtu))
    if frame.packet.size > out.mtu + FORWARD_SLACK:
        return drop(
            at,
            "bridge",
            "PKT_TOO_BIG",
            f"{at.frame.packet.size} bytes do not fit port {out.name} (MTU {out.mtu}): a bridge drops without a word",
            slug="mtu-mismatch-veth",
        )
    return at.go("transmit")


def _find(walk: Walk, view: NetNsView, bridge: Link, mac: str, vid: int) -> tuple[Link | None, bool, str | None]:
    """(port, is the bridge's own, the entry in words) of a MAC."""
    entries = view.bridge_fdb(bridge.index, mac)
    own = mac in ports_of(walk.topology, view, bridge).macs
    local = next((entry for entry in entries if _is_local(bridge, entry)), None)
    if own or local is not None:
        port = view.links.get(local.index) if local is not None and local.index != bridge.index else None
        return port, True, f"{mac} permanent" if local is not None else None
    entry = next((entry for entry in entries if entry.vlan in (None, vid)), None)
    learned = walk.learned_port(view, bridge, mac)
    if learned is not None and not (entry is not None and entry.flags & NTF_STICKY):
        return learned, False, None
    if entry is None or (bridge.bridge is not None and not bridge.bridge.ageing_time and not entry.state & 0xC0):
        return None, False, None
    port = view.links.get(entry.index)
    return port, False, f"{mac} dev {port.name} master {bridge.name}" if port is not None else None


def _is_local(bridge: Link, entry: FdbEntry) -> bool:
    """BR_FDB_LOCAL shows as a permanent entry, or one on the bridge itself."""
    return entry.index == bridge.index or bool(entry.state & NUD_PERMANENT)


def _may_learn(view: NetNsView, bridge: Link, own: frozenset[str], mac: str | None) -> bool:
    """Not over the bridge's own addresses, nor over sticky entries."""
    if mac in own:
        return False
    entries = view.bridge_fdb(bridge.index, mac or "")
    return not any(_is_local(bridge, entry) or entry.flags & NTF_STICKY for entry in entries)


def _holds(view: NetNsView, bridge: Link, mac: str, port: Link) -> bool:
    """Whether the table holds a MAC behind a port (``BR_PORT_LOCKED``)."""
    entries = view.bridge_fdb(bridge.index, mac)
    return any(entry.index == port.index and not _is_local(bridge, entry) for entry in entries)


def _ingress_vlan(view: NetNsView, bridge: Link, port: Link) -> int | None:
    """The VLAN of an untagged frame; None: the port takes none. 1 where the bridge does not filter."""
    if bridge.bridge is None or not bridge.bridge.vlan_filtering:
        return 1
    return next((vlan.vid for vlan in view.netns.bridge_vlans if vlan.index == port.index and vlan.pvid), None)
