"""Routes and policy rules (``RTM_NEWROUTE``, ``RTM_NEWRULE``)."""

from __future__ import annotations

from dataclasses import dataclass

RT_TABLE_DEFAULT = 253
RT_TABLE_MAIN = 254
RT_TABLE_LOCAL = 255

RT_SCOPE_UNIVERSE = 0
RT_SCOPE_SITE = 200
RT_SCOPE_LINK = 253
RT_SCOPE_HOST = 254
RT_SCOPE_NOWHERE = 255

RTNH_F_DEAD = 1
RTNH_F_PERVASIVE = 2
RTNH_F_ONLINK = 4
RTNH_F_OFFLOAD = 8
RTNH_F_LINKDOWN = 16

FIB_RULE_INVERT = 0x2


@dataclass(frozen=True, slots=True)
class NextHop:
    """One way out of a route."""

    index: int | None
    """Index of the outgoing device."""
    gateway: str | None = None
    """Next hop address; of the other family where ``RTA_VIA`` says so; None: on link."""
    weight: int = 1
    flags: int = 0
    """RTNH_F_*: dead, onlink, linkdown."""
    encap: str | None = None
    """Lightweight tunnel type (``RTA_ENCAP_TYPE``); what it does is not modelled."""


@dataclass(frozen=True, slots=True)
class Route:
    """One route of one table."""

    family: int
    dst: str
    """Destination prefix with its length: ``10.244.2.0/24``, ``0.0.0.0/0``."""
    table: int = RT_TABLE_MAIN
    type: str = "unicast"
    """``unicast``, ``local``, ``broadcast``, ``anycast``, ``multicast``, ``blackhole``, ``unreachable``,
    ``prohibit``, ``throw`` or ``nat``."""
    nexthops: tuple[NextHop, ...] = ()
    scope: int = RT_SCOPE_UNIVERSE
    protocol: int = 0
    metric: int = 0
    tos: int = 0
    prefsrc: str | None = None
    src: str | None = None
    """Source prefix (``RTA_SRC``, IPv6 subtrees)."""
    mtu: int | None = None
    mtu_locked: bool = False
    """``RTAX_LOCK`` holds the MTU: path MTU discovery is off for this route."""
    nh_id: int | None = None
    expires: bool = False
    pref: int = 0
    """RFC 4191 router preference: 0 medium, 1 high, 3 low."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One policy routing rule, in the order of ``ip rule``."""

    family: int
    priority: int
    action: str = "lookup"
    """``lookup``, ``goto``, ``nop``, ``blackhole``, ``unreachable`` or ``prohibit``."""
    table: int | None = None
    goto: int | None = None
    src: str | None = None
    dst: str | None = None
    iif: str | None = None
    oif: str | None = None
    fwmark: int | None = None
    fwmask: int = 0xFFFFFFFF
    tos: int = 0
    proto: int | None = None
    sport: tuple[int, int] | None = None
    dport: tuple[int, int] | None = None
    uid_range: tuple[int, int] | None = None
    suppress_prefixlength: int | None = None
    suppress_ifgroup: int | None = None
    l3mdev: bool = False
    tun_id: int | None = None
    flags: int = 0
    """FIB_RULE_*: 0x2 inverts the match (``not``), 0x8 / 0x10: iif / oif names no device now."""
    unknown: tuple[str, ...] = ()
    """Attributes of the rule that netfs does not know: a match that cannot be decided."""
