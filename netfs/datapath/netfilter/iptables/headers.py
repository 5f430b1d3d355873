"""Matches on the packet's own headers (net/netfilter/xt_tcpudp.c, xt_multiport.c, xt_length.c, xt_dscp.c, …)."""

from __future__ import annotations

from collections.abc import Mapping

from netfs.datapath.netfilter.datatypes import ICMP_TYPES, ICMPV6_TYPES, SYMBOLS, NotUnderstoodError
from netfs.datapath.netfilter.iptables.options import (
    Extension,
    Option,
    Reader,
    Reading,
    address,
    each,
    either,
    equal,
    interval,
    masked,
    network,
    number,
    span,
)
from netfs.datapath.netfilter.records import (
    Anything,
    Asked,
    Between,
    Binary,
    Concat,
    Constant,
    Elements,
    Exact,
    Match,
    Meta,
    Parts,
    Payload,
    Statement,
)

ARPHRD_ETHER = 1
TCP_FLAGS = SYMBOLS["tcp_flag"]
ALL_FLAGS = 0x3F
"""FIN, SYN, RST, PSH, ACK, URG: what iptables calls ALL."""

ICMP_NAMES: Mapping[int, Mapping[str, tuple[int, int | None]]] = {
    4: {
        **{name: (value, None) for name, value in ICMP_TYPES.items()},
        "pong": (0, None),
        "ping": (8, None),
        "ttl-exceeded": (11, None),
        "network-unreachable": (3, 0),
        "host-unreachable": (3, 1),
        "protocol-unreachable": (3, 2),
        "port-unreachable": (3, 3),
        "fragmentation-needed": (3, 4),
        "source-route-failed": (3, 5),
        "network-prohibited": (3, 9),
        "host-prohibited": (3, 10),
        "communication-prohibited": (3, 13),
        "ttl-zero-during-transit": (11, 0),
        "ttl-zero-during-reassembly": (11, 1),
    },
    6: {
        **{name: (value, None) for name, value in ICMPV6_TYPES.items()},
        "ping": (128, None),
        "pong": (129, None),
        "ttl-exceeded": (3, None),
        "no-route": (1, 0),
        "communication-prohibited": (1, 1),
        "address-unreachable": (1, 3),
        "port-unreachable": (1, 4),
        "ttl-zero-during-transit": (3, 0),
        "router-solicitation": (133, None),
        "router-advertisement": (134, None),
        "neighbour-solicitation": (135, None),
        "neighbor-solicitation": (135, None),
        "neighbour-advertisement": (136, None),
        "neighbor-advertisement": (136, None),
        "redirect": (137, None),
    },
}
"""(type, code) by the names of libipt_icmp.c and libip6t_icmp6.c."""


def _port(protocol: str, field: str) -> Reader:
    def read(option: Option, at: Reading) -> Statement:
        return equal(Payload(protocol, field, "inet_service"), option, interval(*span(option.value, ":")))

    return read


def _ports_of(protocol: str) -> dict[str, tuple[int, Reader]]:
    return {
        name: (1, _port(protocol, field))
        for name, field in (
            ("--sport", "sport"),
            ("--source-port", "sport"),
            ("--dport", "dport"),
            ("--destination-port", "dport"),
        )
    }


def _flag_bits(text: str) -> int:
    bits = 0
    for name in text.split(","):
        if name.upper() == "ALL":
            bits |= ALL_FLAGS
        elif name.lower() in TCP_FLAGS and name.lower() not in ("ecn", "cwr"):
            bits |= TCP_FLAGS[name.lower()]
        elif name.upper() != "NONE":
            raise NotUnderstoodError(repr(text[:60]))
    return bits


def _flags_are(option: Option, mask: int, wanted: int) -> Statement:
    return equal(Binary("&", Payload("tcp", "flags", "tcp_flag"), Constant(mask), "tcp_flag"), option, Exact(wanted))


def _tcp_flags(option: Option, at: Reading) -> Statement:
    mask = number(option.values[0], 0x3F) if option.values[0].startswith("0x") else _flag_bits(option.values[0])
    wanted = number(option.values[1], 0x3F) if option.values[1].startswith("0x") else _flag_bits(option.values[1])
    return _flags_are(option, mask, wanted)


def _syn(option: Option, at: Reading) -> Statement:
    return _flags_are(option, TCP_FLAGS["syn"] | TCP_FLAGS["rst"] | TCP_FLAGS["ack"] | TCP_FLAGS["fin"], 2)


def _tcp_option(option: Option, at: Reading) -> Statement:
    return at.chance(f"{option.name} looks at options that a simulated packet does not have", option.column)


def _multiport(fields: tuple[str, ...]) -> Reader:
    """``ports`` is either of both (``ports_match_v1``)."""

    def read(option: Option, at: Reading) -> Statement:
        patterns = [interval(*span(part, ":")) for part in option.value.split(",")]
        if len(fields) == 1:
            return equal(Payload("th", fields[0], "inet_service"), option, either(patterns))
        both = Concat(tuple(Payload("th", field, "inet_service") for field in fields))
        loose = [(Parts((pattern, Anything())), None) for pattern in patterns]
        loose += [(Parts((Anything(), pattern)), None) for pattern in patterns]
        return equal(both, option, Elements(None, {}, tuple(loose)))

    return read


def _icmp(option: Option, at: Reading) -> Statement | None:
    family = at.scope.family
    protocol = "icmpv6" if family == 6 else "icmp"
    kind, slash, code = option.value.partition("/")
    named = ICMP_NAMES[family].get(kind)
    if named is not None:
        message, code_of = named
    elif family == 4 and kind in ("any", "255", "0xff"):
        return Match(Constant(0), "==", Exact(1)) if option.negated else None
    else:
        message, code_of = number(kind, 255), None
    if slash:
        code_of = number(code, 255)
    if code_of is None:
        return equal(Payload(protocol, "type", f"{protocol}_type"), option, Exact(message))
    both = Concat((Payload(protocol, "type", f"{protocol}_type"), Payload(protocol, "code", f"{protocol}_code")))
    return equal(both, option, Exact((message, code_of)))


def _length(option: Option, at: Reading) -> Statement:
    return equal(Meta("length", "integer"), option, interval(*span(option.value, ":")))


def _ttl(op: str) -> Reader:
    def read(option: Option, at: Reading) -> Statement:
        field = network("hoplimit" if at.scope.family == 6 else "ttl", at.scope.family)
        value = Exact(number(option.value, 255))
        return equal(field, option, value) if op == "==" else Match(field, op, value)

    return read


def _tos(option: Option, at: Reading) -> Statement:
    value, mask = masked(option.value, 0xFF)
    return equal(
        Binary("&", Asked("tos", lambda sight: sight.packet.tos), Constant(mask), "integer"), option, Exact(value)
    )


def _dscp(option: Option, at: Reading) -> Statement:
    return equal(network("dscp", at.scope.family), option, Exact(number(option.value, 63)))


def _dscp_class(option: Option, at: Reading) -> Statement:
    value = SYMBOLS["dscp"].get(option.value.lower())
    if value is None:
        raise NotUnderstoodError(repr(option.value[:60]))
    return equal(network("dscp", at.scope.family), option, Exact(value))


def _ecn(option: Option, at: Reading) -> Statement:
    return equal(network("ecn", at.scope.family), option, Exact(number(option.value, 3)))


def _mac(options: tuple[Option, ...], at: Reading) -> list[Statement]:
    """Only what came in by an Ethernet device has a source address (``mac_mt``)."""
    made: list[Statement] = [Match(Meta("iiftype", "iface_type"), "==", Exact(ARPHRD_ETHER))]
    for option in options:
        try:
            octets = bytes(int(part, 16) for part in option.value.split(":"))
        except (ValueError, IndexError):
            octets = b""
        if len(octets) != 6:
            raise NotUnderstoodError(f"option {option.name[:60]}", column=option.column)
        made.append(equal(Payload("ether", "saddr", "ether_addr"), option, Exact(int.from_bytes(octets, "big"))))
    return made


def _absent(options: tuple[Option, ...], at: Reading) -> list[Statement]:
    """A header of extensions: no simulated packet has one, and negation does not change that (``rt_mt6``)."""
    return [Match(Constant(0), "==", Exact(1))]


def _range(field: str) -> Reader:
    def read(option: Option, at: Reading) -> Statement:
        low, _, high = option.value.partition("-")
        family = at.scope.family
        ends = Between(address(low, family), address(high or low, family))
        return equal(network(field, family), option, ends)

    return read


PORTS = {name: _ports_of(name) for name in ("tcp", "udp", "sctp", "dccp", "udplite")}

HEADERS: Mapping[str, Extension] = {
    "tcp": each(PORTS["tcp"] | {"--tcp-flags": (2, _tcp_flags), "--syn": (0, _syn), "--tcp-option": (1, _tcp_option)}),
    "udp": each(PORTS["udp"]),
    "sctp": each(PORTS["sctp"]),
    "dccp": each(PORTS["dccp"]),
    "udplite": each(PORTS["udplite"]),
    "multiport": each(
        {
            "--sports": (1, _multiport(("sport",))),
            "--source-ports": (1, _multiport(("sport",))),
            "--dports": (1, _multiport(("dport",))),
            "--destination-ports": (1, _multiport(("dport",))),
            "--ports": (1, _multiport(("sport", "dport"))),
        }
    ),
    "icmp": each({"--icmp-type": (1, _icmp)}),
    "icmp6": each({"--icmpv6-type": (1, _icmp)}),
    "length": each({"--length": (1, _length)}),
    "ttl": each(
        {"--ttl-eq": (1, _ttl("==")), "--ttl-lt": (1, _ttl("<")), "--ttl-gt": (1, _ttl(">")), "--ttl": (1, _ttl("=="))}
    ),
    "hl": each({"--hl-eq": (1, _ttl("==")), "--hl-lt": (1, _ttl("<")), "--hl-gt": (1, _ttl(">"))}),
    "tos": each({"--tos": (1, _tos)}),
    "dscp": each({"--dscp": (1, _dscp), "--dscp-class": (1, _dscp_class)}),
    "ecn": each({"--ecn-ip-ect": (1, _ecn)}),
    "mac": Extension({"--mac-source": 1}, _mac),
    "rt": Extension(
        {
            "--rt-type": 1,
            "--rt-segsleft": 1,
            "--rt-len": 1,
            "--rt-0-res": 0,
            "--rt-0-addrs": 1,
            "--rt-0-not-strict": 0,
        },
        _absent,
    ),
    "hbh": Extension({"--hbh-len": 1, "--hbh-opts": 1}, _absent),
    "dst": Extension({"--dst-len": 1, "--dst-opts": 1}, _absent),
    "iprange": each({"--src-range": (1, _range("saddr")), "--dst-range": (1, _range("daddr"))}),
}
