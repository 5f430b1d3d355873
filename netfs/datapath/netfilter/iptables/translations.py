"""Targets of table nat: SNAT, DNAT, MASQUERADE, REDIRECT, NETMAP (net/netfilter/xt_nat.c, extensions/libxt_NAT.c)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from netfs.datapath.netfilter.datatypes import NotUnderstoodError
from netfs.datapath.netfilter.elements import Unknown
from netfs.datapath.netfilter.iptables.options import (
    Extension,
    Option,
    Reading,
    address,
    network,
    number,
    prefix_or_mask,
    span,
)
from netfs.datapath.netfilter.records import Asked, Between, Binary, Constant, Expression, Statement, Translate
from netfs.datapath.netfilter.values import Answer, Sight
from netfs.model import ip

FLAGS = {"--random": "random", "--random-fully": "fully-random", "--persistent": "persistent"}

SOURCE_HOOKS = frozenset(("input", "postrouting"))
DESTINATION_HOOKS = frozenset(("prerouting", "output"))


def _flags(options: tuple[Option, ...]) -> frozenset[str]:
    return frozenset(FLAGS[option.name] for option in options if option.name in FLAGS)


def _only(options: tuple[Option, ...], name: str) -> Option | None:
    """The option of a name. Raises NotUnderstoodError where there are several: old kernels knew that."""
    found = [option for option in options if option.name == name]
    if len(found) > 1:
        raise NotUnderstoodError(f"a second {name}", column=found[1].column)
    return found[0] if found else None


def _to(name: str, kind: str) -> Callable[[tuple[Option, ...], Reading], list[Statement]]:
    def read(options: tuple[Option, ...], at: Reading) -> list[Statement]:
        option = _only(options, name)
        if option is None:
            raise NotUnderstoodError(f"the lack of {name}")
        family = at.scope.family
        try:
            where, ports, base = _destination(option.value, family)
        except NotUnderstoodError as error:
            raise NotUnderstoodError(f"{name} {error}", column=option.column) from None
        if base is not None and ports is not None:
            if not isinstance(where, Constant):
                raise NotUnderstoodError(f"{name} {option.value[:60]!r}", column=option.column)
            return [Translate(kind, _shifted(where, ports, base), None, _flags(options), family)]
        return [Translate(kind, where, ports, _flags(options), family)]

    return read


def _destination(text: str, family: int) -> tuple[Expression | None, tuple[int, int] | None, int | None]:
    """(address, ports, base) of ``[ADDRESS[-ADDRESS]][:PORT[-PORT[/BASE]]]``; IPv6 with ports in brackets."""
    if family == 6:
        if text.startswith("["):
            addresses, closing, rest = text[1:].partition("]")
            if not closing or (rest and not rest.startswith(":")):
                raise NotUnderstoodError(repr(text[:60]))
            ports = rest[1:]
        else:
            addresses, ports = text, ""
    else:
        addresses, _, ports = text.partition(":")
    if not ports:
        return _addresses(addresses, family), None, None
    ends, slash, base = ports.partition("/")
    where = _addresses(addresses, family) if addresses else None
    return where, span(ends, "-"), number(base, 65535) if slash else None


def _addresses(text: str, family: int) -> Expression:
    """One address, or a range: each connection gets one of it, by a hash that is known (``find_best_ips_proto``)."""
    low, dash, high = text.partition("-")
    first = address(low.strip("[]"), family)
    last = address(high.strip("[]"), family) if dash else first
    if last < first:
        raise NotUnderstoodError(repr(text[:60]))
    return Constant(first if last == first else Between(first, last))


def _shifted(where: Constant, ports: tuple[int, int], base: int) -> Expression:
    """``NF_NAT_RANGE_PROTO_OFFSET``: the port keeps its distance from ``base``."""
    low, high = ports

    def answer(sight: Sight) -> Answer:
        port = sight.packet.dport
        if port is None or not isinstance(where.value, int):
            return Unknown("the packet's port is not known")
        return where.value, low + ((port - base) & 0xFFFF) % (high - low + 1)

    return Asked("a shifted range of ports", answer)


def _local(kind: str) -> Callable[[tuple[Option, ...], Reading], list[Statement]]:
    """MASQUERADE and REDIRECT: the address is the node's own."""

    def read(options: tuple[Option, ...], at: Reading) -> list[Statement]:
        option = _only(options, "--to-ports")
        try:
            ports = span(option.value, "-") if option is not None else None
        except NotUnderstoodError as error:
            raise NotUnderstoodError(f"--to-ports {error}", column=option.column if option else None) from None
        return [Translate(kind, None, ports, _flags(options), at.scope.family)]

    return read


def _netmap(options: tuple[Option, ...], at: Reading) -> list[Statement]:
    """The network is exchanged, the host's bits stay: of the source behind routing, else of the destination."""
    option = _only(options, "--to")
    if option is None:
        raise NotUnderstoodError("the lack of --to")
    family = at.scope.family
    value, mask = prefix_or_mask(option.value, family)
    rest = Constant((1 << ip.BITS[family]) - 1 - mask)
    made: list[Statement] = []
    for kind, field, hooks in (("dnat", "daddr", DESTINATION_HOOKS), ("snat", "saddr", SOURCE_HOOKS)):
        host = Binary("&", network(field, family), rest, "integer")
        made.append(Translate(kind, Binary("|", host, Constant(value), "integer"), None, frozenset(), family, hooks))
    return made


_RANDOM = {"--random": 0, "--random-fully": 0}

TRANSLATIONS: Mapping[str, Extension] = {
    "SNAT": Extension({"--to-source": 1, "--persistent": 0} | _RANDOM, _to("--to-source", "snat")),
    "DNAT": Extension({"--to-destination": 1, "--persistent": 0} | _RANDOM, _to("--to-destination", "dnat")),
    "MASQUERADE": Extension({"--to-ports": 1} | _RANDOM, _local("masquerade")),
    "REDIRECT": Extension({"--to-ports": 1} | _RANDOM, _local("redirect")),
    "NETMAP": Extension({"--to": 1}, _netmap),
}
