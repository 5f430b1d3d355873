"""Group B: ports, forwarding entries and the gateway of a pod bridge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from shlex import quote

from netfs.cluster.netns import NetNsView
from netfs.cluster.topology import Port
from netfs.diagnose.commands import default_via, finding, ip_tool
from netfs.diagnose.evidence import Evidence
from netfs.diagnose.site import Attachment, PodBridge, site
from netfs.model import ip
from netfs.model.address import NTF_STICKY, NUD_NOARP, NUD_PERMANENT, FdbEntry
from netfs.model.findings import Finding

PORT_STATES = {0: "disabled", 1: "listening", 2: "learning", 4: "blocking"}
"""BR_STATE_* that do not forward (include/uapi/linux/if_bridge.h)."""


def pod_port(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`bridge-port-detached`, `bridge-port-wrong`, `bridge-port-blocked`, `bridge-flood-off` of a pod's port."""
    for attached in evidence.attachments(view):
        host = attached.host
        if host is None or not host.link.up or not host.view.is_node:
            continue
        if attached.bridge is None:
            yield from _detached(attached, host)
        elif attached.wanted is not None and attached.wanted.link.index != attached.bridge.link.index:
            yield finding(
                "bridge-port-wrong",
                host.view,
                host.link,
                f"{host.link.name} of {view.name} is a port of {attached.bridge.link.name}, "
                f"but the pod's address belongs to {attached.wanted.link.name} ({', '.join(attached.wanted.subnets)})",
                _plug(host, attached.wanted),
            )
        elif attached.bridge.link.up and attached.link.up:
            yield from _port_state(attached, host, attached.bridge)


def _detached(attached: Attachment, host: Port) -> Iterator[Finding]:
    bridge, view = attached.wanted, host.view
    if bridge is None or host.link.master is not None:
        return
    if any(own.scope == 0 for own in view.addresses.get(host.link.index, ())):
        return
    own = [a.local for a in attached.view.addresses.get(attached.link.index, ()) if a.scope == 0]
    for address in own:
        route = site(view).fib.best(address)
        if route is not None and any(hop.index == host.link.index for hop in route.nexthops):
            return
    yield finding(
        "bridge-port-detached",
        view,
        host.link,
        f"{host.link.name} of {attached.view.name} is a port of no bridge, "
        f"but {', '.join(own)} belongs to {bridge.link.name}",
        _plug(host, bridge),
    )


def _plug(host: Port, bridge: PodBridge) -> str:
    """Make a device a port of a bridge, with hairpin where the other ports have it: a new port has not."""
    others = [port for port in host.view.ports.get(bridge.link.index, ()) if port.port and port is not host.link]
    command = f"ip link set {quote(host.link.name)} master {quote(bridge.link.name)}"
    if others and all(other.port and other.port.hairpin for other in others):
        command += f" && bridge link set dev {quote(host.link.name)} hairpin on"
    return command


def _port_state(attached: Attachment, host: Port, bridge: PodBridge) -> Iterator[Finding]:
    port, dev = host.link.port, quote(host.link.name)
    if port is None:
        return
    of = f"port {host.link.name} of {bridge.link.name} ({attached.view.name})"
    if port.state in PORT_STATES and host.link.carrier:
        yield finding(
            "bridge-port-blocked",
            host.view,
            host.link,
            f"{of} is in state {PORT_STATES[port.state]}: it forwards nothing",
            f"bridge link set dev {dev} state 3",
        )
    if port.isolated and _isolated_too(host, bridge):
        yield finding(
            "bridge-port-blocked",
            host.view,
            host.link,
            f"{of} is isolated: it reaches no other isolated port of the bridge",
            f"bridge link set dev {dev} isolated off",
            "warning",
        )
    off = [name for name, on in (("flood", port.flood), ("bcast_flood", port.bcast_flood)) if not on]
    needs_multicast = any(own.family == 6 and own.scope == 0 for own in attached.view.netns.addresses)
    if not port.mcast_flood and (off or needs_multicast):
        off.append("mcast_flood")
    if off:
        yield finding(
            "bridge-flood-off",
            host.view,
            host.link,
            f"{of} has {' and '.join(off)} off: "
            + (
                "who asks for the pod's MAC is not heard"
                if off != ["flood"]
                else "frames to a MAC not learned are lost"
            ),
            f"bridge link set dev {dev} {' '.join(f'{name} on' for name in off)}",
            "warning" if off == ["flood"] else "error",
        )


def _isolated_too(host: Port, bridge: PodBridge) -> bool:
    others = host.view.ports.get(bridge.link.index, ())
    return any(other.port and other.port.isolated for other in others if other.index != host.link.index)


def gateway(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`bridge-gateway-missing`: pods name a gateway that nobody on the bridge holds."""
    for bridge in evidence.bridges(view):
        if not bridge.pods or not bridge.closed:
            continue
        for family in (4, 6):
            subnet = None if bridge.addresses(family) else bridge.subnet(family)
            disabled = family == 6 and bridge.link.ipv6.get("disable_ipv6", 0)
            wanted = _wanted_gateway(bridge, family) if subnet is not None else None
            if wanted is None or subnet is None or disabled or _held(bridge, wanted) or wanted in view.owned:
                continue
            nodad = " nodad" if family == 6 else ""
            yield finding(
                "bridge-gateway-missing",
                view,
                bridge.link,
                f"{bridge.link.name} has no IPv{family} address, but its pods use {wanted} as their gateway: "
                "nobody answers for it",
                f"{ip_tool(wanted)} addr replace {quote(wanted)}/{subnet.partition('/')[2]} "
                f"dev {quote(bridge.link.name)}{nodad}",
            )


def _wanted_gateway(bridge: PodBridge, family: int) -> str | None:
    votes = Counter(
        hop.gateway
        for pod in bridge.pods
        if (route := site(pod.view).fib.default(family)) is not None
        for hop in route.nexthops
        if hop.gateway and hop.index == pod.link.index
    )
    return votes.most_common(1)[0][0] if votes else None


def _held(bridge: PodBridge, address: str) -> bool:
    return any(own.local == address for pod in bridge.pods for own in pod.view.netns.addresses)


def hairpins(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`bridge-hairpin-off`: one pod's port lacks what all the others' have."""
    for bridge in evidence.bridges(view):
        ports = [port for port in view.ports.get(bridge.link.index, ()) if port.port and port.kind == "veth"]
        off = [port for port in ports if port.port and not port.port.hairpin]
        if not bridge.pods or not off or len(off) * 2 > len(ports):
            continue
        for port in off:
            yield finding(
                "bridge-hairpin-off",
                view,
                port,
                f"hairpin is off on {port.name}, and on for the other ports of {bridge.link.name}: "
                "the pod behind it cannot reach itself by a Service",
                f"bridge link set dev {quote(port.name)} hairpin on",
                "warning",
            )


def stale_entries(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`bridge-fdb-stale`: an entry that sends a pod's frames to a port that is not the pod's."""
    for bridge in evidence.bridges(view):
        homes: dict[str, tuple[Port, int] | None] = {}
        for pod in bridge.pods:
            if pod.link.mac and pod.link.link_index is not None:
                known = pod.link.mac in homes
                homes[pod.link.mac] = None if known else (pod, pod.link.link_index)
        for mac, home in homes.items():
            if home is not None:
                for entry in view.bridge_fdb(bridge.link.index, mac):
                    yield from _stale_entry(bridge, entry, home)


def _stale_entry(bridge: PodBridge, entry: FdbEntry, home: tuple[Port, int]) -> Iterator[Finding]:
    pod, port = home
    fixed = bool(entry.state & (NUD_PERMANENT | NUD_NOARP)) or bool(entry.flags & NTF_STICKY)
    swallowed = bool(entry.state & NUD_PERMANENT)
    if entry.index == port and not swallowed:
        return
    names = site(bridge.view).names
    device = names.get(entry.index, f"if{entry.index}")
    kind = "permanent" if swallowed else "static" if fixed else "learned"
    where = "self" if entry.index == bridge.link.index else "master"
    vlan = f" vlan {entry.vlan}" if entry.vlan else ""
    yield finding(
        "bridge-fdb-stale",
        bridge.view,
        device,
        f"a {kind} entry of {bridge.link.name} says {entry.mac} is at {device}, "
        f"but {pod.view.name}, who has it, is behind {names.get(port, port)}",
        f"bridge fdb del {quote(entry.mac)} dev {quote(device)} {where}{vlan}",
        "error" if fixed else "warning",
    )


def reachable_gateway(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`route-wrong-nexthop` of a pod: its gateway is nobody on its bridge."""
    for attached in evidence.attachments(view):
        bridge = attached.bridge
        if bridge is None or not bridge.closed:
            continue
        for family in (4, 6):
            route = site(view).fib.default(family)
            right = bridge.addresses(family)
            if route is None or not right or len(route.nexthops) != 1:
                continue
            hop = route.nexthops[0]
            if hop.index != attached.link.index or not hop.gateway or ip.is_link_local(hop.gateway):
                continue
            if hop.gateway in {address for address, _ in right} or _held(bridge, hop.gateway):
                continue
            yield finding(
                "route-wrong-nexthop",
                view,
                attached.link,
                f"{site(view).route(route)}: nobody on {bridge.link.name} holds {hop.gateway}, "
                f"its address is {right[0][0]}",
                default_via(right[0][0], attached.link),
            )
