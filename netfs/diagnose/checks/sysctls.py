"""Group S: switches of the kernel that forbid what the cluster needs; and `arp-ignored`."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from netfs.cluster.netns import NetNsView
from netfs.cluster.topology import Port
from netfs.diagnose.checks.addresses import give_address, remembered_address
from netfs.diagnose.commands import finding, some, sysctl
from netfs.diagnose.evidence import Evidence
from netfs.diagnose.site import site
from netfs.model.findings import Finding
from netfs.model.link import Link


def _routers(evidence: Evidence, view: NetNsView) -> list[Link]:
    """The devices by which pod traffic enters a node to be forwarded."""
    if evidence.clustered(view):
        found = [bridge.link for bridge in evidence.bridges(view) if bridge.pods]
        found += [tunnel.link for tunnel in site(view).tunnels if tunnel.addresses]
    else:
        found = [b.link for b in evidence.bridges(view) if any(_sends_through(view, pod, 4) for pod in b.pods)]
    for link in view.netns.links:
        if link.kind == "veth" and link.master is None and (end := evidence.topology.peer(view, link)) is not None:
            if _sends_through(view, end, 4):
                found.append(link)
    return found


def _sends_through(view: NetNsView, end: Port, family: int) -> bool:
    """Whether a pod's default route leads by this device of its to an address of the node."""
    if end.view.pod is None or (default := site(end.view).fib.default(family)) is None:
        return False
    return any(hop.index == end.link.index and hop.gateway in view.owned for hop in default.nexthops)


def forwarding(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`forwarding-off`: the ingress device's own switch decides (``IN_DEV_FORWARD`` in ``ip_route_input_slow``)."""
    whole = view.sysctl("net.ipv4.ip_forward", view.sysctl("net.ipv4.conf.all.forwarding"))
    if not any(link.ipv4.get("forwarding", whole) == 0 for link in view.netns.links):
        return
    off = [link for link in _routers(evidence, view) if link.ipv4.get("forwarding", whole) == 0]
    if not off:
        return
    if whole == 0:
        names = some([link.name for link in off])
        yield finding(
            "forwarding-off",
            view,
            None,
            f"net.ipv4.ip_forward = 0 on {view.name}: what arrives on {names} for another host is dropped",
            "sysctl -w net.ipv4.ip_forward=1",
        )
        return
    for link in off:
        yield finding(
            "forwarding-off",
            view,
            link,
            f"net.ipv4.conf.{link.name}.forwarding = 0: what arrives on {link.name} for another host is dropped",
            sysctl(4, link.name, "forwarding", 1),
        )


def forwarding6(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`ipv6-forwarding-off`: conf/all decides (``ip6_forward``)."""
    if view.sysctl("net.ipv6.conf.all.forwarding") != 0:
        return
    clustered = evidence.clustered(view)
    served = [
        bridge
        for bridge in evidence.bridges(view)
        if bridge.addresses(6) and any(clustered or _sends_through(view, pod, 6) for pod in bridge.pods)
    ]
    if served:
        yield finding(
            "ipv6-forwarding-off",
            view,
            None,
            f"net.ipv6.conf.all.forwarding = 0 on {view.name}, which serves {served[0].subnet(6)} to pods",
            "sysctl -w net.ipv6.conf.all.forwarding=1",
        )


def ipv6_disabled_pod(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`ipv6-disabled` in a pod whose bridge serves IPv6."""
    for attached in evidence.attachments(view):
        bridge = attached.bridge
        if bridge is None or not bridge.addresses(6) or not attached.link.ipv6.get("disable_ipv6", 0):
            continue
        address, _ = remembered_address(attached, bridge, 6)
        yield finding(
            "ipv6-disabled",
            view,
            attached.link,
            f"net.ipv6.conf.{attached.link.name}.disable_ipv6 = 1, while {bridge.link.name} serves {bridge.subnet(6)}",
            f"{_enable6(view, attached.link)} && {give_address(attached, bridge, address)}",
        )


def ipv6_disabled_node(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`ipv6-disabled` on a bridge whose pods have IPv6 addresses."""
    for bridge in evidence.bridges(view):
        subnet = bridge.subnet(6)
        if not bridge.link.ipv6.get("disable_ipv6", 0) or subnet is None or bridge.addresses(6):
            continue
        gateway = bridge.gateway(6)
        give = (
            f" && ip -6 addr replace {quote(gateway)}/{subnet.partition('/')[2]} dev {quote(bridge.link.name)} nodad"
            if gateway
            else ""
        )
        yield finding(
            "ipv6-disabled",
            view,
            bridge.link,
            f"net.ipv6.conf.{bridge.link.name}.disable_ipv6 = 1, while its pods have addresses of {subnet}",
            _enable6(view, bridge.link) + give,
        )


def _enable6(view: NetNsView, link: Link) -> str:
    if view.sysctl("net.ipv6.conf.all.disable_ipv6"):
        return f"sysctl -w net.ipv6.conf.all.disable_ipv6=0 {quote(f'net/ipv6/conf/{link.name}/disable_ipv6=0')}"
    return sysctl(6, link.name, "disable_ipv6", 0)


def bridge_netfilter(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`bridge-nf-off`: kube-proxy's rules are there, and bridged packets do not meet them."""
    if view.sysctl("net.bridge.bridge-nf-call-iptables") != 0 or not _translates_services(evidence, view):
        return
    bridges = [bridge for bridge in evidence.bridges(view) if bridge.pods]
    if any(bridge.link.bridge and not bridge.link.bridge.nf_call_iptables for bridge in bridges):
        yield finding(
            "bridge-nf-off",
            view,
            None,
            "net.bridge.bridge-nf-call-iptables = 0, while Services are translated here: "
            "replies between pods of this node are not translated back",
            "sysctl -w net.bridge.bridge-nf-call-iptables=1",
            "warning",
        )


def _translates_services(evidence: Evidence, view: NetNsView) -> bool:
    """kube-proxy's chains are here, or the other nodes of the cluster all have the switch on."""
    firewall = view.netns.firewall
    if firewall is not None and any("KUBE-S" in text for text in (firewall.iptables, firewall.nft) if text):
        return True
    others = [other.sysctl("net.bridge.bridge-nf-call-iptables") for other in evidence.sample(view)]
    return bool(others) and all(value == 1 for value in others) and evidence.clustered(view)


def arp_of_pod(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`arp-ignored` on a pod's device."""
    for attached in evidence.attachments(view):
        if attached.bridge is not None and attached.link.up:
            yield from _arp(view, attached.link)


def arp_of_node(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`arp-ignored` on a pod bridge."""
    for bridge in evidence.bridges(view):
        if bridge.pods and bridge.link.up and bridge.addresses(4):
            yield from _arp(view, bridge.link)
    for tunnel in site(view).tunnels:
        lower = view.links.get(tunnel.link.vxlan.lower) if tunnel.link.vxlan and tunnel.link.vxlan.lower else None
        if lower is not None and lower.up:
            yield from _arp(view, lower)


def _arp(view: NetNsView, link: Link) -> Iterator[Finding]:
    """``arp_ignore`` in ``net/ipv4/arp.c``: the larger of conf/all and the device's; 8 answers nothing."""
    dev = quote(link.name)
    if link.noarp:
        yield finding(
            "arp-ignored",
            view,
            link,
            f"{link.name} is set to arp off: it neither asks for addresses nor answers for its own",
            f"ip link set {dev} arp on",
        )
    every, own = view.sysctl("net.ipv4.conf.all.arp_ignore") or 0, link.ipv4.get("arp_ignore", 0)
    if max(every, own) >= 3:
        commands = [sysctl(4, name, "arp_ignore", 0) for name, value in (("all", every), (link.name, own)) if value]
        yield finding(
            "arp-ignored",
            view,
            link,
            f"arp_ignore = {max(every, own)} on {link.name}: it does not answer for its addresses",
            " && ".join(commands),
            "error" if max(every, own) == 8 else "warning",
        )
