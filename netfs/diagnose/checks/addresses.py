"""Group L: addresses that are missing, doubled, or in the wrong subnet."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from netfs.cluster.netns import NetNsView
from netfs.cluster.topology import Port
from netfs.diagnose.commands import default_via, finding, free_address, ip_tool, some
from netfs.diagnose.evidence import Evidence
from netfs.diagnose.site import Attachment, PodBridge, network, overlap, site
from netfs.model import ip
from netfs.model.findings import Finding

CNI_MAC = "0a:58:"
"""The CNI bridge plugin derives a pod's MAC from its IPv4 address: these two bytes, then the address."""


def pod_addresses(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`address-missing`, `prefix-wrong`, `address-outside-pod-cidr` of a pod."""
    for attached in evidence.attachments(view):
        bridge = attached.bridge or attached.wanted
        if bridge is None or not attached.link.up:
            continue
        for family in (4, 6):
            subnet = bridge.subnet(family)
            own = [a for a in view.addresses.get(attached.link.index, ()) if a.family == family and a.scope == 0]
            if subnet is None or (family == 6 and not bridge.addresses(6)):
                continue
            if own:
                for address in own:
                    yield from _pod_prefix(evidence, attached, bridge, address.local, address.prefixlen)
            elif not attached.link.ipv6.get("disable_ipv6", 0) or family == 4:
                yield from _pod_without_address(attached, bridge, family, subnet)


def _pod_without_address(attached: Attachment, bridge: PodBridge, family: int, subnet: str) -> Iterator[Finding]:
    siblings = [pod for pod in bridge.pods if pod.view is not attached.view]
    if siblings and not any(
        own.family == family and own.scope == 0 for pod in siblings for own in pod.view.netns.addresses
    ):
        return
    address, told = remembered_address(attached, bridge, family)
    evidence = f"{attached.link.name} has no IPv{family} address, while {bridge.link.name} serves {subnet}; {told}"
    yield finding("address-missing", attached.view, attached.link, evidence, give_address(attached, bridge, address))


def remembered_address(attached: Attachment, bridge: PodBridge, family: int) -> tuple[str | None, str]:
    """The address a pod without one had, and who remembers it; else a free one."""
    mac = attached.link.mac or ""
    for neighbour in bridge.view.neighbours.get(bridge.link.index, ()):
        if (neighbour.mac, neighbour.family) == (mac, family) and bridge.holds(neighbour.address):
            return neighbour.address, f"{bridge.view.name} remembers {neighbour.address} for {mac}"
    if family == 4 and mac.startswith(CNI_MAC):
        address = ".".join(str(int(byte, 16)) for byte in mac.split(":")[2:])
        if bridge.holds(address):
            return address, f"its MAC {mac} was made from {address}"
    free = free_address(bridge, family)
    return free, f"nobody remembers which it had; {free} is free" if free else "and no address is free"


def give_address(attached: Attachment, bridge: PodBridge, address: str | None) -> str:
    """The commands that give a pod an address, and its default route with it."""
    if address is None:
        return "# give the pod an address of the subnet: recreate its sandbox"
    family = ip.family_of(address)
    subnet = bridge.subnet(family) or ""
    command = (
        f"{ip_tool(address)} addr replace {quote(address)}/{subnet.partition('/')[2]} dev {quote(attached.link.name)}"
    )
    command += " nodad" if family == 6 else ""
    gateway = bridge.gateway(family)
    return f"{command} && {default_via(gateway, attached.link)}" if gateway else command


def _pod_prefix(
    evidence: Evidence, attached: Attachment, bridge: PodBridge, address: str, length: int
) -> Iterator[Finding]:
    family, link = ip.family_of(address), attached.link
    subnet = bridge.subnet(family) or ""
    right = int(subnet.partition("/")[2])
    dev, tool = quote(link.name), ip_tool(address)
    gateway = bridge.gateway(family)
    restore = f" && {default_via(gateway, link)}" if gateway else ""
    if not bridge.holds(address):
        inside = [own for own, _ in global_of(attached, family) if bridge.holds(own)]
        if not (evidence.clustered(bridge.view) and bridge.addresses(family)) or inside:
            return
        right_one, _ = remembered_address(attached, bridge, family)
        give = f" && {give_address(attached, bridge, right_one)}" if right_one else "  # then give it one of the subnet"
        yield finding(
            "address-outside-pod-cidr",
            attached.view,
            link,
            f"{address}/{length} is not in {subnet}, which {bridge.view.name}/{bridge.link.name} serves: "
            "other nodes send replies elsewhere",
            f"{tool} addr del {quote(address)}/{length} dev {dev}{give}",
        )
    elif length != right and not wrong_bridge_prefix(evidence, bridge, family):
        default = site(attached.view).fib.default(family)
        yield finding(
            "prefix-wrong",
            attached.view,
            link,
            f"{address}/{length}, while {bridge.view.name}/{bridge.link.name} serves {subnet}: "
            + ("it takes remote addresses for neighbours" if length < right else "it does not see its neighbours"),
            f"{tool} addr add {quote(address)}/{right} dev {dev} && {tool} addr del {quote(address)}/{length} dev {dev}"
            + restore,
            "error" if length < right or default is None else "warning",
        )


def global_of(attached: Attachment, family: int) -> list[tuple[str, int]]:
    """A pod device's global addresses with their lengths."""
    return [
        (own.local, own.prefixlen)
        for own in attached.view.addresses.get(attached.link.index, ())
        if own.family == family and own.scope == 0
    ]


def wrong_bridge_prefix(evidence: Evidence, bridge: PodBridge, family: int) -> int | None:
    """The prefix length a bridge should have, where its pods and its peers' routes agree against it."""
    own = bridge.addresses(family)
    if not own:
        return None
    address, length = own[0]
    votes: list[int] = []
    for vote in _votes(evidence, bridge, family, network(address, length)):
        if vote == length:
            return None
        votes.append(vote)
    return max(set(votes), key=votes.count) if len(votes) > 1 else None


def _votes(evidence: Evidence, bridge: PodBridge, family: int, subnet: str) -> Iterator[int]:
    """The prefix lengths that a bridge's pods have, then those that other nodes route to it."""
    for pod in bridge.pods:
        for own in pod.view.netns.addresses:
            if own.family == family and own.scope == 0 and own.index == pod.link.index:
                if ip.contains(subnet, own.local):
                    yield own.prefixlen
    for other in evidence.sample(bridge.view):
        for tunnel in site(bridge.view).tunnels:
            yield from _routed_lengths(other, tunnel.addresses, subnet)


def _routed_lengths(view: NetNsView, gateways: tuple[str, ...], subnet: str) -> list[int]:
    return [
        ip.prefix(route.dst)[1]
        for gateway in gateways
        for route in site(view).by_gateway.get(gateway, ())
        if overlap(route.dst, subnet)
    ]


def node_addresses(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`address-missing` of a tunnel device and `prefix-wrong` of a bridge."""
    for bridge in evidence.bridges(view):
        for family in (4, 6):
            right = wrong_bridge_prefix(evidence, bridge, family)
            if right is None:
                continue
            address, length = bridge.addresses(family)[0]
            dev, tool = quote(bridge.link.name), ip_tool(address)
            yield finding(
                "prefix-wrong",
                view,
                bridge.link,
                f"{address}/{length}, while its pods and the other nodes' routes say /{right}",
                f"{tool} addr add {quote(address)}/{right} dev {dev} && "
                f"{tool} addr del {quote(address)}/{length} dev {dev}",
            )
    for tunnel in site(view).tunnels:
        for family in (4, 6):
            if any(ip.family_of(address) == family for address in tunnel.addresses) or not tunnel.link.up:
                continue
            if vtep := evidence.vtep(tunnel, family):
                yield finding(
                    "address-missing",
                    view,
                    tunnel.link,
                    f"{tunnel.link.name} has no IPv{family} address; the other nodes hold {vtep} for its MAC",
                    f"{ip_tool(vtep)} addr add {quote(vtep)}/{ip.BITS[family]} dev {quote(tunnel.link.name)}",
                    "warning",
                )


def duplicates(evidence: Evidence, bridge: PodBridge) -> Iterator[Finding]:
    """`address-duplicate` and `mac-duplicate` on one bridge."""
    addresses: dict[str, list[Port]] = {}
    macs: dict[str, list[Port]] = {}
    ports = [*bridge.pods, Port(bridge.view, bridge.link)]
    for port in ports:
        if port.link.mac:
            macs.setdefault(port.link.mac, []).append(port)
        for own in port.view.netns.addresses:
            if own.index == port.link.index and own.scope == 0:
                addresses.setdefault(own.local, []).append(port)
    for address, owners in addresses.items():
        if len({(owner.view.key, owner.link.index) for owner in owners}) > 1:
            yield duplicate_address(evidence, address, owners)
    for mac, owners in macs.items():
        if len(owners) > 1:
            yield _duplicate_mac(bridge, mac, [port for port in owners if port.link is not bridge.link])


def duplicate_address(evidence: Evidence, address: str, owners: list[Port]) -> Finding:
    """The finding for one address on several devices; who should give way is learned from what else they hold."""
    names = some(sorted(f"{port.view.name}/{port.link.name}" for port in owners))

    def claim(port: Port) -> tuple[bool, bool, bool, bool, int]:
        others = [a for a in port.view.addresses.get(port.link.index, ()) if a.local != address and a.scope == 0]
        inside = any(each.wanted and each.wanted is each.bridge for each in evidence.attachments(port.view))
        made = (port.link.mac or "") == CNI_MAC + ":".join(f"{int(b):02x}" for b in address.split(".") if b.isdigit())
        return (port.view.pod is None, made, inside and not others, not others, -port.view.netns.id)

    victim = min(owners, key=claim)
    own = next(a for a in victim.view.addresses[victim.link.index] if a.local == address)
    command = f"{ip_tool(address)} addr del {quote(address)}/{own.prefixlen} dev {quote(victim.link.name)}"
    rest = [a for a in victim.view.addresses[victim.link.index] if a.local != address and a.scope == 0]
    attached = next((a for a in evidence.attachments(victim.view) if a.link is victim.link), None)
    bridge = attached.bridge if attached else None
    if attached is not None and bridge is not None:
        family = own.family
        keep = next((a.local for a in rest if a.family == family and bridge.holds(a.local)), None)
        new, _ = remembered_address(attached, bridge, family)
        wanted = keep or (new if new != address else free_address(bridge, family))
        command += f" && {give_address(attached, bridge, wanted)}"
    return finding(
        "address-duplicate",
        victim.view,
        victim.link,
        f"{address} is held by {names}: replies go to whoever answered last",
        command,
    )


def _duplicate_mac(bridge: PodBridge, mac: str, owners: list[Port]) -> Finding:
    names = some(sorted(f"{port.view.name}/{port.link.name}" for port in owners))
    remembered = {
        n.address: n.mac
        for n in bridge.view.netns.neighbours
        if n.index == bridge.link.index and n.mac and n.mac != mac
    }

    def rightful(port: Port) -> tuple[bool, int]:
        own = [a.local for a in port.view.addresses.get(port.link.index, ()) if a.family == 4]
        made = any(derived_mac(address) == mac for address in own)
        return (made, -port.view.netns.id)

    victim = min(owners, key=rightful)
    own = [a.local for a in victim.view.addresses.get(victim.link.index, ()) if a.scope == 0]
    new = next((remembered[address] for address in own if address in remembered), None)
    new = new or next((derived_mac(a) for a in own if ":" not in a and derived_mac(a) != mac), None)
    new = new or "02:" + ":".join(f"{byte:02x}" for byte in (victim.view.netns.id & (1 << 40) - 1).to_bytes(5, "big"))
    return finding(
        "mac-duplicate",
        victim.view,
        victim.link,
        f"{mac} is held by {names} on {bridge.view.name}/{bridge.link.name}: its forwarding entry moves to and fro",
        f"ip link set {quote(victim.link.name)} address {quote(new)}",
    )


def derived_mac(address: str) -> str:
    """The MAC the CNI bridge plugin derives from an IPv4 address."""
    return CNI_MAC + ":".join(f"{byte:02x}" for byte in ip.to_int(address).to_bytes(4, "big"))
