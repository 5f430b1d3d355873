"""The words of a filter: what each primitive takes, and what it becomes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from netfs.capture.filter import expression as ask
from netfs.capture.filter.expression import Expression
from netfs.model import ip

FAMILIES = {"ip": ask.IPV4, "arp": ask.ARP, "ip6": ask.IPV6}
TRANSPORTS = {"tcp": 6, "udp": 17, "sctp": 132}
ALONE: dict[str, Expression] = {
    **{word: ask.EtherType(number) for word, number in FAMILIES.items()},
    **{word: ask.Protocol(number) for word, number in TRANSPORTS.items()},
    "icmp": ask.Protocol(1, 4),
    "icmp6": ask.Protocol(58, 6),
    "vlan": ask.Vlan(),
    "vxlan": ask.Within("vxlan"),
    "geneve": ask.Within("geneve"),
}
"""Words that are a primitive without a value."""
PROTOCOLS = {
    "icmp": 1,
    "igmp": 2,
    "ipip": 4,
    "tcp": 6,
    "udp": 17,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "icmp6": 58,
    "ospf": 89,
    "sctp": 132,
}
"""What ``proto`` knows by name (IANA, assigned Internet protocol numbers)."""
WAYS = {"src": ask.SOURCE, "dst": ask.DESTINATION}
KINDS = ("host", "net", "port", "portrange", "proto")
QUALIFIERS = {*FAMILIES, *TRANSPORTS, *WAYS, *KINDS, "ether"}
LOGIC = {"and": "and", "&&": "and", "or": "or", "||": "or", "not": "not", "!": "not"}
SCOPES: dict[str, type[ask.Outer | ask.Inner]] = {"outer": ask.Outer, "inner": ask.Inner}
NUMBERED = ("vlan", "vni", "vxlan", "geneve", "greater", "less")
"""Words that a number may follow, or has to."""
ALL = sorted({*QUALIFIERS, *ALONE, *LOGIC, *SCOPES, *NUMBERED, "mask"})

_MAC = re.compile(r"[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}")
_SHORT_NET = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}")


class UnfitError(ValueError):
    """A value is none of those that its words take: the message says what, ``hint`` what would be."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before a value: ``tcp src port``."""

    proto: str = ""
    way: str = ask.EITHER
    kind: str = ""

    def of(self, value: str) -> Expression:
        """The primitive with this value. Raises UnfitError."""
        return _KINDS[self._kind(value)](self, value)

    def _kind(self, value: str) -> str:
        if self.kind:
            return self.kind
        if self.proto == "ether":
            return "host"
        return "net" if "/" in value else "host"


def number(text: str, most: int, what: str, least: int = 0) -> int:
    """A decimal number from ``least`` to ``most``. Raises UnfitError."""
    if not (text.isascii() and text.isdigit() and len(text) < 12 and least <= int(text) <= most):
        raise UnfitError(f"{what} is a number from {least} to {most}")
    return int(text)


def numbered(word: str, value: str) -> Expression:
    """``vlan 5``, ``vni 1``, ``vxlan 1``, ``geneve 1``, ``greater 100``, ``less 100``. Raises UnfitError."""
    if word == "vlan":
        return ask.Vlan(number(value, 4095, "a VLAN"))
    if word == "greater":
        return ask.Length(number(value, 0xFFFFFFFF, "a length"))
    if word == "less":
        return ask.Length(0, number(value, 0xFFFFFFFF, "a length"))
    vni = ask.Vni(number(value, 0xFFFFFF, "a VNI"))
    return vni if word == "vni" else ask.And((ask.Within(word), vni))


def _host(head: Head, value: str) -> Expression:
    if head.proto == "ether":
        return _mac(head, value)
    _refuse_transport(head)
    if "/" in value:
        raise UnfitError("host takes one address", "write net for a prefix")
    try:
        address = ip.to_int(value)
    except ValueError:
        raise _no_address(value) from None
    family = ip.family_of(value)
    return _net_of(head, address, ip.BITS[family], family)


def _no_address(value: str) -> UnfitError:
    if re.fullmatch(r"[a-z0-9]+\[.*", value):
        return UnfitError("byte offsets are not understood")
    if value.isdigit():
        return UnfitError("no IP address", f"write port {value} for a port")
    if _MAC.fullmatch(value):
        return UnfitError("no IP address", "write ether host for a hardware address")
    return UnfitError("no IP address", "names are not looked up")


def _net(head: Head, value: str) -> Expression:
    _refuse_transport(head)
    try:
        short = _SHORT_NET.fullmatch(value.partition("/")[0])
        family = 4 if short else ip.family_of(value)
        network, length = _short_prefix(value) if short else ip.prefix(value)
        address = ip.to_int(_filled(value.partition("/")[0]))
    except ValueError:
        raise UnfitError("no network", "as in 10.244.0.0/16, 10.244 or fd00::/8") from None
    if address != network:
        raise UnfitError("bits are set behind the prefix", f"the network is {ip.to_text(network, family)}/{length}")
    return _net_of(head, network, length, family)


def _short_prefix(value: str) -> tuple[int, int]:
    """As ``__pcap_atoin``: 10.244 is 10.244.0.0/16."""
    address, _, length = value.partition("/")
    return ip.prefix(f"{_filled(address)}/{length or 8 * (address.count('.') + 1)}")


def _filled(address: str) -> str:
    return address if ":" in address else address + ".0" * (3 - address.count("."))


def masked(head: Head, value: str, mask: str) -> Expression:
    """``net 10.244.0.0 mask 255.255.0.0``. Raises UnfitError."""
    try:
        bits = ip.to_int(mask)
    except ValueError:
        raise UnfitError("no mask", "as in 255.255.0.0") from None
    inverted = bits ^ 0xFFFFFFFF
    if ":" in mask or inverted & inverted + 1:
        raise UnfitError("no mask", "the ones of a mask stand before its zeros, as in 255.255.0.0")
    return _net(head, f"{value}/{32 - inverted.bit_length()}")


def _net_of(head: Head, network: int, length: int, family: int) -> Expression:
    within = FAMILIES.get(head.proto)
    if within is not None and (within == ask.IPV6) != (family == 6):
        raise UnfitError(f"no address of {head.proto}")
    return ask.Net(network, length, family, head.way, within)


def _refuse_transport(head: Head) -> None:
    if head.proto in TRANSPORTS or head.proto in {"icmp", "icmp6", "ether"}:
        raise UnfitError(f"{head.proto} has no {head.kind or 'host'}", f"write {head.proto} and host …")


def _mac(head: Head, value: str) -> Expression:
    if not _MAC.fullmatch(value):
        raise UnfitError("no hardware address", "as in 02:42:0a:f4:01:02")
    digits = "".join(part.zfill(2) for part in value.split(":"))
    return ask.Mac(int(digits, 16), head.way)


def _transport(head: Head) -> int | None:
    if head.proto and head.proto not in TRANSPORTS:
        raise UnfitError(f"{head.proto} has no ports", "only tcp, udp and sctp have")
    return TRANSPORTS.get(head.proto)


def _port(head: Head, value: str) -> Expression:
    proto = _transport(head)
    if "." in value or ":" in value:
        raise UnfitError("port takes a number", f"write host {value}")
    if "-" in value:
        raise UnfitError("port takes one number", "write portrange for several")
    port = number(value, 65535, "a port")
    return ask.Ports(port, port, head.way, proto)


def _portrange(head: Head, value: str) -> Expression:
    """As libpcap's ``gen_portrange``, the ends may be given in either order."""
    proto = _transport(head)
    first, dash, last = value.partition("-")
    if not dash:
        raise UnfitError("portrange takes two numbers", "as in 8000-8080")
    low, high = sorted((number(first, 65535, "a port"), number(last, 65535, "a port")))
    return ask.Ports(low, high, head.way, proto)


def _proto(head: Head, value: str) -> Expression:
    if head.way != ask.EITHER:
        raise UnfitError("a protocol has no source or destination")
    if head.proto == "ether":
        return ask.EtherType(_ethertype(value))
    if head.proto not in {"", "ip", "ip6"}:
        raise UnfitError(f"{head.proto} carries no protocol", "proto stands alone, or behind ip, ip6 or ether")
    name = value.removeprefix("\\")
    what = f"a protocol is one of {', '.join(PROTOCOLS)}, or"
    protocol = PROTOCOLS[name] if name in PROTOCOLS else number(value, 255, what)
    return ask.Protocol(protocol, {"ip": 4, "ip6": 6}.get(head.proto))


def _ethertype(value: str) -> int:
    name = value.removeprefix("\\")
    if name in FAMILIES:
        return FAMILIES[name]
    hexadecimal = re.fullmatch(r"0x([0-9a-fA-F]{1,4})", value)
    return number(str(int(hexadecimal[1], 16)) if hexadecimal else value, 65535, "an ethertype", 1)


_KINDS: dict[str, Callable[[Head, str], Expression]] = {
    "host": _host,
    "net": _net,
    "port": _port,
    "portrange": _portrange,
    "proto": _proto,
}
