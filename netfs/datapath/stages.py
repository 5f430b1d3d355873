"""The stages of the datapath: where in the kernel a packet is at each hop.

Hops are named after this table, the documentation prints it, and a live capture listens by it: ``tap`` says
whether, at this stage, a tap on the hop's device sees the packet, and which way. Which function runs a stage is
``netfs.datapath.walk.RUN``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage."""

    name: str
    function: str
    """The kernel function it mirrors."""
    source: str
    """The file of the kernel's source that holds it."""
    tap: str | None
    """``in`` or ``out``: a tap on the hop's device sees the packet coming or going; None: it does not."""
    summary: str


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage("output", "ip_route_output_key_hash", "net/ipv4/route.c", None, "a local packet is routed"),
        Stage("netfilter", "nf_hook_slow", "net/netfilter/core.c", None, "rules on a hook changed or stopped it"),
        Stage("size", "ip_finish_output", "net/ipv4/ip_output.c", None, "its size is held against the MTU"),
        Stage("neighbour", "neigh_resolve_output", "net/core/neighbour.c", None, "the next hop's MAC is found"),
        Stage("queue", "__dev_queue_xmit", "net/core/dev.c", None, "a device that cannot send refuses it"),
        Stage("transmit", "dev_hard_start_xmit", "net/core/dev.c", "out", "it leaves by a device"),
        Stage("receive", "__netif_receive_skb_core", "net/core/dev.c", "in", "it arrives at a device"),
        Stage("bridge", "br_handle_frame", "net/bridge/br_input.c", "in", "a bridge's port takes it in"),
        Stage("bridge-output", "br_dev_xmit", "net/bridge/br_device.c", "out", "it leaves by the bridge device"),
        Stage("macvlan", "macvlan_handle_frame", "drivers/net/macvlan.c", "in", "a macvlan's lower device sorts it"),
        Stage("route", "ip_route_input_slow", "net/ipv4/route.c", "in", "an arrived packet is checked and routed"),
        Stage("encapsulate", "vxlan_xmit", "drivers/net/vxlan/vxlan_core.c", "out", "a tunnel wraps it"),
        Stage("decapsulate", "vxlan_rcv", "drivers/net/vxlan/vxlan_core.c", None, "a tunnel unwraps it"),
        Stage("ipvs", "ip_vs_in_hook", "net/netfilter/ipvs/ip_vs_core.c", None, "IPVS sends it to a real server"),
        Stage("deliver", "ip_local_deliver", "net/ipv4/ip_input.c", "in", "it is for this namespace"),
    )
}
