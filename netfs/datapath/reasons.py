"""The names of drops: which are the kernel's, which are an error number's, which are netfs's own; and what the kernel
itself says (``skb:kfree_skb``) where it does not say the name that a trace predicts.

The kernel's are those of ``enum skb_drop_reason`` (include/net/dropreason-core.h) without their prefix.
"""

from __future__ import annotations

from dataclasses import dataclass

KERNEL = frozenset(
    {
        "BRIDGE_INGRESS_STP_STATE",
        "DEV_READY",
        "IPV6DISABLED",
        "IP_INADDRERRORS",
        "IP_INHDR",
        "IP_INNOROUTES",
        "IP_INVALID_DEST",
        "IP_INVALID_SOURCE",
        "IP_LOCALNET",
        "IP_LOCAL_SOURCE",
        "IP_OUTNOROUTES",
        "IP_RPFILTER",
        "LOCAL_MAC",
        "MAC_INVALID_SOURCE",
        "NEIGH_FAILED",
        "NETFILTER_DROP",
        "NOT_SPECIFIED",
        "NO_SOCKET",
        "NO_TX_TARGET",
        "OTHERHOST",
        "PKT_TOO_BIG",
        "VXLAN_ENTRY_EXISTS",
        "VXLAN_VNI_NOT_FOUND",
    }
)

OWN: dict[str, str] = {
    "BRIDGE_EGRESS_STATE": "the bridge's port it should leave by is not forwarding",
    "BRIDGE_ISOLATED": "the ports it came in by and should leave by are both isolated",
    "BRIDGE_LOCKED": "the port it came in by is locked, and does not know its sender",
    "BRIDGE_NO_EGRESS": "the bridge device sends a frame to itself",
    "BRIDGE_NO_HAIRPIN": "it would leave by the port it came in by",
    "ECHO_IGNORED": "a sysctl forbids to answer an echo request",
    "NO_CARRIER": "the other end of the device is down",
    "VLAN_FILTER": "the bridge's port is not in its VLAN",
    "WRONG_ENDPOINT": "somebody takes it in, but not who was named",
}
"""netfs's own names, and when they are given: the kernel has none for that."""

ERRNOS: dict[str, str] = {
    "EACCES": "a prohibit route or rule; a socket that may not send to a broadcast address",
    "EADDRNOTAVAIL": "there is no address to send from",
    "EHOSTUNREACH": "an unreachable route or rule",
    "EINVAL": "a blackhole route or rule; an address that cannot be a source",
    "ELOOP": "a tunnel's outer packet leads into the tunnel itself",
    "EMSGSIZE": "it is longer than its device's MTU, and its sender forbids to fragment it",
    "ENETDOWN": "the device is down",
    "ENETUNREACH": "TCP is not sent to a broadcast address",
    "ENODEV": "the device to leave by is not there",
}
"""The error numbers that drops are named after, and when: it is what the sender's call gets, or would."""


@dataclass(frozen=True, slots=True)
class Word:
    """What the kernel says of a drop that is predicted by another name."""

    predicted: str
    """Or what it begins with, before an asterisk."""
    told: str
    """SKB_DROP_REASON_* without its prefix; empty: nothing."""
    location: str
    """The function that frees it, or what that begins with, before an asterisk."""
    when: str

    def fits(self, predicted: str, told: str, location: str) -> bool:
        """Whether a drop of this name may be told so."""
        return _like(self.predicted, predicted) and self.told == told and _like(self.location, location)


WORDS: tuple[Word, ...] = (
    Word("BRIDGE_*", "NOT_SPECIFIED", "br_*", "what a bridge refuses, but by a port's state as it comes in"),
    Word("VLAN_FILTER", "NOT_SPECIFIED", "br_*", "the same"),
    Word("NEIGH_FAILED", "NOT_SPECIFIED", "neigh_invalidate", "IPv6"),
    Word("PKT_TOO_BIG", "NOT_SPECIFIED", "__dev_forward_skb2", "longer than the MTU of a veth's other end"),
    Word("PKT_TOO_BIG", "NOT_SPECIFIED", "ip_fragment", "the outer packet of a tunnel that sets Don't Fragment"),
    Word("NO_CARRIER", "QDISC_DROP", "__dev_queue_xmit", "its neighbour is known already"),
    Word("EINVAL", "NOT_SPECIFIED", "ip_error", "a blackhole, where it is forwarded"),
    Word("EINVAL", "NOT_SPECIFIED", "dst_discard*", "a blackhole, of IPv6, or where the packet is made"),
    Word("EACCES", "NOT_SPECIFIED", "ip_error", "prohibit, where it is forwarded"),
    Word("EACCES", "IP_INNOROUTES", "ip6_pkt_prohibit*", "the same of IPv6"),
    Word("EHOSTUNREACH", "NOT_SPECIFIED", "ip_error", "an unreachable route, where it is forwarded"),
    Word("EHOSTUNREACH", "IP_INNOROUTES", "ip_error", "a rule that says unreachable"),
    Word("EHOSTUNREACH", "IP_INNOROUTES", "ip6_pkt_discard*", "either, of IPv6"),
)
"""Where the kernel's word is another than the name that is predicted."""


def documented(predicted: str, told: str, location: str) -> bool:
    """Whether the kernel's word on a drop is known to be another than its name."""
    return any(word.fits(predicted, told, location) for word in WORDS)


def _like(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
