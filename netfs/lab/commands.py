"""The plan, said in iproute2's and sysctl's own words. Pure: lines in, nothing done.

Every namespace gets its sysctls first, then one ``ip -batch``, one ``bridge -batch``, and its rules (``rules.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from netfs.lab.plan import (
    FABRIC,
    GATEWAY,
    GATEWAY6,
    GATEWAY_MAC,
    OVERHEAD,
    OVERHEAD6,
    PORT,
    UNDERLAY_MTU,
    VNI,
    NodePlan,
    Plan,
    PodPlan,
)

_PLAIN = {
    "net.ipv4.ip_forward": "0",
    "net.ipv4.ping_group_range": "0 0",
    "net.ipv6.conf.all.forwarding": "0",
    **{
        f"net.ipv4.conf.{scope}.{name}": "0"
        for scope in ("all", "default")
        for name in ("rp_filter", "arp_ignore", "arp_filter", "arp_announce", "accept_local", "proxy_arp")
    },
    **{
        f"net.ipv6.conf.{scope}.{name}": "0"
        for scope in ("all", "default")
        for name in ("disable_ipv6", "accept_dad", "accept_ra", "router_solicitations")
    },
}
"""A new namespace copies IPv4 settings from the host (``devinet_init_net``): a lab is the same on every host."""

_ROUTER = {"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1"}
_BRIDGED = {f"net.bridge.bridge-nf-call-{name}": "1" for name in ("iptables", "ip6tables")}
_UNBRIDGED = {f"net.bridge.bridge-nf-call-{name}": "0" for name in ("iptables", "ip6tables", "arptables")}


def sysctls(kind: str) -> Mapping[str, str]:
    """Settings of a ``node``, ``pod`` or ``fabric``, in the order to write them."""
    if kind == "node":
        return {**_PLAIN, **_ROUTER, **_BRIDGED}
    return {**_PLAIN, **_ROUTER, **_UNBRIDGED} if kind == "fabric" else _PLAIN


def fabric(plan: Plan, pids: Mapping[str, int], published: Mapping[str, str]) -> Iterator[str]:
    """``ip`` lines for the underlay: a bridge that is everybody's switch and default gateway.

    It is the outside world too: ``published`` says which node it reaches each external address of a Service by.
    """
    yield "link set lo up"
    yield f"link add {FABRIC} address {GATEWAY_MAC} mtu {UNDERLAY_MTU} type bridge mcast_snooping 0"
    yield f"address add {GATEWAY}/24 dev {FABRIC}"
    if plan.ipv6:
        yield f"address add {GATEWAY6}/64 dev {FABRIC} nodad"
    yield f"link set {FABRIC} up"
    for node in plan.nodes:
        peer = f"peer name eth0 address {node.mac} netns {pids[node.name]}"
        yield f"link add {node.port} mtu {UNDERLAY_MTU} type veth {peer}"
        yield f"link set {node.port} master {FABRIC} up"
    yield from outside(plan, published)


def outside(plan: Plan, published: Mapping[str, str]) -> Iterator[str]:
    """The outside world's routes to the Services' external addresses; may be said again."""
    for address, name in published.items():
        node = next((one for one in plan.nodes if one.name == name), plan.nodes[0])
        if ":" not in address:
            yield f"route replace {address}/32 via {node.ip} dev {FABRIC}"
        elif plan.ipv6:
            yield f"route replace {address}/128 via {node.ip6} dev {FABRIC}"


def node(plan: Plan, this: NodePlan, pids: Mapping[str, int]) -> Iterator[str]:
    """``ip`` lines for a node, as flanneld and the bridge plugin program it."""
    yield from vxlan(plan, this)
    yield f"link add cni0 address {this.gateway_mac} mtu {plan.pod_mtu} type bridge"
    yield from node_addresses(plan, this)
    for pod in plan.pods_of[this.name]:
        yield from cable(plan, pod, pids[pod.name])
    yield from remotes(plan, this)


def node_addresses(plan: Plan, this: NodePlan) -> Iterator[str]:
    """Addresses, default route and state of ``eth0`` and ``cni0``; may be said again."""
    yield "link set lo up"
    yield f"address replace {this.ip}/24 dev eth0"
    yield f"address replace {this.gateway}/24 brd + dev cni0"
    if plan.ipv6:
        yield f"address replace {this.ip6}/64 dev eth0 nodad"
        yield f"address replace {this.gateway6}/64 dev cni0 nodad"
    yield "link set eth0 up"
    yield "link set cni0 up"
    yield f"route replace default via {GATEWAY} dev eth0"
    if plan.ipv6:
        yield f"route replace default via {GATEWAY6} dev eth0"


def vxlan(plan: Plan, this: NodePlan, changes: Mapping[str, str] | None = None) -> Iterator[str]:
    """The VXLAN devices as flanneld makes them; ``changes`` gives flannel.1 other words (``id``, ``df``)."""
    words = {"id": f"{VNI}", "local": this.ip, "dev": "eth0", "dstport": f"{PORT}", **(changes or {})}
    learning = words.pop("learning", "off")
    said = " ".join(f"{key} {value}" for key, value in words.items())
    said += " learning" if learning == "on" else " nolearning"
    yield f"link add flannel.1 address {this.vtep_mac} mtu {UNDERLAY_MTU - OVERHEAD} type vxlan {said}"
    yield f"address add {this.vtep_ip}/32 dev flannel.1"
    yield "link set flannel.1 up"
    if plan.ipv6 and not changes:
        said = f"id {VNI} local {this.ip6} dev eth0 dstport {PORT} nolearning"
        yield f"link add flannel-v6.1 address {this.vtep6_mac} mtu {UNDERLAY_MTU - OVERHEAD6} type vxlan {said}"
        yield f"address add {this.vtep6_ip}/128 dev flannel-v6.1 nodad"
        yield "link set flannel-v6.1 up"


def cable(plan: Plan, pod: PodPlan, pid: int) -> Iterator[str]:
    """A pod's veth pair; ``pid`` is the pod's first process as its node numbers it."""
    peer = f"peer name eth0 address {pod.mac} mtu {plan.pod_mtu} netns {pid}"
    yield f"link add {pod.hostveth} address {pod.hostveth_mac} mtu {plan.pod_mtu} type veth {peer}"
    yield from port(pod)
    yield f"link set {pod.hostveth} up"


def port(pod: PodPlan) -> Iterator[str]:
    """A pod's host veth as a port of cni0, with flannel's hairpinMode."""
    yield f"link set {pod.hostveth} master cni0"
    yield f"link set {pod.hostveth} type bridge_slave hairpin on"


def remotes(plan: Plan, this: NodePlan) -> Iterator[str]:
    """``ip`` lines for every other node's subnet; may be said again."""
    for other in plan.nodes:
        if other is not this:
            yield from _remote(plan, other)


def _remote(plan: Plan, other: NodePlan) -> Iterator[str]:
    """What flanneld adds for another node's lease (``vxlan_network.go``, EventAdded)."""
    yield f"neighbour replace {other.vtep_ip} lladdr {other.vtep_mac} dev flannel.1 nud permanent"
    yield f"route replace {other.subnet} via {other.vtep_ip} dev flannel.1 onlink"
    if plan.ipv6:
        yield f"neighbour replace {other.vtep6_ip} lladdr {other.vtep6_mac} dev flannel-v6.1 nud permanent"
        yield f"route replace {other.subnet6} via {other.vtep6_ip} dev flannel-v6.1 onlink"


def node_fdb(plan: Plan, this: NodePlan) -> Iterator[str]:
    """``bridge`` lines for a node: which node is behind which tunnel end's MAC."""
    for other in plan.nodes:
        if other is not this:
            yield f"fdb replace {other.vtep_mac} dev flannel.1 dst {other.ip}"
            if plan.ipv6:
                yield f"fdb replace {other.vtep6_mac} dev flannel-v6.1 dst {other.ip6}"


def pod(plan: Plan, this: PodPlan) -> Iterator[str]:
    """``ip`` lines for a pod, as the bridge plugin and host-local leave it; may be said again."""
    yield "link set lo up"
    yield f"address replace {this.ip}/24 brd + dev eth0"
    if plan.ipv6:
        yield f"address replace {this.ip6}/64 dev eth0 nodad"
    yield "link set eth0 up"
    yield f"route replace default via {this.gateway} dev eth0"
    if plan.ipv6:
        yield f"route replace default via {this.gateway6} dev eth0"
