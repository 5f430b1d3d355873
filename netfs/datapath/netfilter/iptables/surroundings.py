"""Matches on what is known of a packet beside its headers: devices, routes, owners, chance (net/netfilter/xt_*.c)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from netfs.datapath.netfilter.datatypes import SYMBOLS, NotUnderstoodError
from netfs.datapath.netfilter.elements import Unknown
from netfs.datapath.netfilter.iptables.connections import under
from netfs.datapath.netfilter.iptables.options import (
    NEVER,
    Extension,
    Option,
    Reader,
    Reading,
    each,
    either,
    equal,
    interval,
    masked,
    number,
    span,
)
from netfs.datapath.netfilter.records import (
    Asked,
    Chance,
    Elements,
    Exact,
    Fib,
    Inert,
    Match,
    Meta,
    Prefixed,
    Random,
    Statement,
)
from netfs.datapath.netfilter.values import NO_MATCH, Answer, Sight
from netfs.model import ip

ADDRESS_TYPES = SYMBOLS["fib_addrtype"] | {"throw": 9, "nat": 10, "xresolve": 11}


def _address_type(options: tuple[Option, ...], at: Reading) -> list[Statement]:
    """``addrtype_mt_v1``; ``--limit-iface-in`` and ``-out`` ask of that device alone."""
    limits = {"--limit-iface-in": "iif", "--limit-iface-out": "oif"}
    flags = frozenset(limits[option.name] for option in options if option.name in limits)
    fields = {"--src-type": "saddr", "--dst-type": "daddr"}
    made: list[Statement] = []
    for option in options:
        if option.name in limits:
            continue
        if not option.known:
            made.append(at.doubt(f"option {option.name[:60]} is not understood", option.column))
            continue
        names = option.value.lower().split(",")
        if not all(name in ADDRESS_TYPES for name in names):
            made.append(at.doubt(f"{option.name} {option.value[:60]!r} is not understood", option.column))
            continue
        asked = flags | {fields[option.name]}
        if at.scope.family == 6:
            of_type = Asked("address type", _address_types6(frozenset(names), asked))
            made.append(Match(of_type, "==", Exact(0 if option.negated else 1)))
            continue
        types = either(Exact(ADDRESS_TYPES[name]) for name in names)
        made.append(equal(Fib("type", asked, "fib_addrtype"), option, types))
    return made


ROUTED_TYPES = {"anycast": "anycast", "local": "local", "unreachable": "unreachable"} | dict.fromkeys(
    ("blackhole", "prohibit", "unspec"), "unreachable"
)
"""What a route look-up of IPv6 tells apart (``match_lookup_rt6``)."""


def _address_types6(names: frozenset[str], flags: frozenset[str]) -> Callable[[Sight], Answer]:
    """``match_type6``: an address is all that is asked of itself, and one of what is asked of its route."""
    wanted = names & {"anycast", "local", "prohibit", "unreachable"}

    def answer(sight: Sight) -> Answer:
        address = sight.packet.src if "saddr" in flags else sight.packet.dst
        kind = "multicast" if ip.is_multicast(address) else "unspec" if ip.to_int(address) == 0 else "unicast"
        if names & {"multicast", "unicast", "unspec"} - {kind}:
            return 0
        if not wanted:
            return 1
        found = sight.context.fib("type", flags, sight.packet) if sight.context.fib is not None else None
        if found is None:
            return Unknown("the routing look-up has no answer")
        return int(ROUTED_TYPES.get(found) in wanted)

    return answer


def _physical(which: str) -> Asked:
    """A port of the bridge: "" where the frame has none, no field where it is no bridged frame."""

    def answer(sight: Sight) -> Answer:
        context = sight.context
        if not context.bridged and context.physin is None and context.physout is None:
            return NO_MATCH
        return (context.physin if which == "physin" else context.physout) or ""

    return Asked(which, answer)


def _physdev_name(which: str) -> Reader:
    """A frame without a port of entry passes the test for it, however it is asked; one without a port of exit never
    does (``physdev_mt``).
    """

    def read(option: Option, at: Reading) -> Statement:
        wildcard = option.value.endswith("+")
        text = option.value.removesuffix("+")
        exact = [] if wildcard else [text]
        if option.negated is (which == "physout"):
            exact.append("")
        loose = ((Prefixed(text), None),) if wildcard else ()
        named = Elements(None, dict.fromkeys(exact), loose)
        return Match(_physical(which), "!=" if option.negated else "==", named, absent=option.negated)

    return read


def _physdev_is(which: str) -> Reader:
    def read(option: Option, at: Reading) -> Statement:
        return Match(_physical(which), "==" if option.negated else "!=", Exact(""), absent=option.negated)

    return read


def _route_back(options: tuple[Option, ...], at: Reading) -> list[Statement]:
    """``-m rpfilter`` (``rpfilter_mt``, net/ipv4/netfilter/ipt_rpfilter.c): the route to the source leaves by the
    device that the packet came in by; with ``--loose`` by any. That of IPv6 is not evaluated.
    """
    names = {option.name for option in options}
    strange = next((option for option in options if not option.known or option.name == "--accept-local"), None)
    if at.scope.family == 6 or strange is not None:
        return [Chance(f"match rpfilter asks for the route back, which is not evaluated in this form (line {at.line})")]
    flags = {"saddr"} | ({"mark"} if "--validmark" in names else set()) | (set() if "--loose" in names else {"iif"})

    def answer(sight: Sight) -> Answer:
        iif, packet, fib = sight.context.iif, sight.packet, sight.context.fib
        if iif is None or fib is None:
            return Unknown("the route back is not known")
        if iif.loopback or packet.src.startswith("0."):
            return 1
        kind, route = fib("type", frozenset(("saddr",)), packet), fib("oifname", frozenset(flags), packet)
        if kind is None or route is None:
            return Unknown("the route back is not known")
        return int(kind == "unicast" and route != "")

    return [Match(Asked("rpfilter", answer), "==", Exact(0 if "--invert" in names else 1))]


GROUPS = {"default": "0x0"}
"""Names of groups of devices that every system has (/etc/iproute2/group)."""


def _group(key: str) -> Reader:
    def read(option: Option, at: Reading) -> Statement:
        value, mask = masked(GROUPS.get(option.value, option.value))
        return equal(under(Meta(key, "integer"), mask, "integer"), option, Exact(value))

    return read


def _packet_type(option: Option, at: Reading) -> Statement:
    value = SYMBOLS["pkt_type"].get(option.value.lower())
    if value is None:
        raise NotUnderstoodError(repr(option.value[:60]))
    return equal(Meta("pkttype", "pkt_type"), option, Exact(value))


def _policy(options: tuple[Option, ...], at: Reading) -> list[Statement]:
    """``-m policy``: no packet here went through IPsec (the datapath stops where a namespace has policies)."""
    made: list[Statement] = []
    for option in options:
        if option.name == "--pol" and not option.negated and option.value in ("none", "ipsec"):
            made.append(Inert("policy") if option.value == "none" else NEVER)
        elif option.name not in ("--pol", "--dir"):
            made.append(at.chance(f"{option.name[:60]} of match policy is not evaluated", option.column))
        elif option.name == "--pol":
            raise NotUnderstoodError(f"option --pol {option.value[:60]!r}", column=option.column)
    return made


def _statistic(options: tuple[Option, ...], at: Reading) -> list[Statement]:
    """``statistic_mt``: with a probability, or one packet of every so many."""
    found = {option.name: option for option in options}
    for option in options:
        if not option.known:
            raise NotUnderstoodError(f"option {option.name[:60]}", column=option.column)
    mode = found.get("--mode")
    if mode is not None and mode.value == "random" and (chance := found.get("--probability")) is not None:
        try:
            probability = float(chance.value)
        except ValueError:
            probability = -1.0
        if 0.0 <= probability <= 1.0:
            return [Random(1.0 - probability if chance.negated else probability, "statistic mode random")]
    elif mode is not None and mode.value == "nth" and (every := found.get("--every")) is not None:
        count = number(every.value, 0xFFFFFFFF)
        if count:
            return [Random(1.0 - 1.0 / count if every.negated else 1.0 / count, "statistic mode nth")]
    raise NotUnderstoodError("its options", column=mode.column if mode is not None else None)


def _owner(options: tuple[Option, ...], at: Reading) -> list[Statement]:
    """Without a socket the match holds where every option is negated (``owner_mt``)."""
    absent = all(option.negated for option in options)
    keys = {"--uid-owner": "skuid", "--gid-owner": "skgid", "--suppl-groups": "", "--socket-exists": ""}
    made: list[Statement] = []
    for option in options:
        key = keys.get(option.name, "")
        if not key:
            made.append(at.chance(f"{option.name[:60]} of match owner is not evaluated", option.column))
            continue
        try:
            ends = interval(*span(option.value, "-", 0xFFFFFFFF))
        except NotUnderstoodError as error:
            raise NotUnderstoodError(f"{option.name} {error}", column=option.column) from None
        made.append(equal(Meta(key, "integer"), option, ends, absent=absent))
    return made


def _nothing(option: Option, at: Reading) -> None:
    return None


SURROUNDINGS: Mapping[str, Extension] = {
    "comment": each({"--comment": (1, _nothing)}),
    "addrtype": Extension(
        {"--src-type": 1, "--dst-type": 1, "--limit-iface-in": 0, "--limit-iface-out": 0}, _address_type
    ),
    "physdev": each(
        {
            "--physdev-in": (1, _physdev_name("physin")),
            "--physdev-out": (1, _physdev_name("physout")),
            "--physdev-is-in": (0, _physdev_is("physin")),
            "--physdev-is-out": (0, _physdev_is("physout")),
            "--physdev-is-bridged": (0, _physdev_is("physout")),
        }
    ),
    "rpfilter": Extension(dict.fromkeys(("--loose", "--validmark", "--accept-local", "--invert"), 0), _route_back),
    "devgroup": each({"--src-group": (1, _group("iifgroup")), "--dst-group": (1, _group("oifgroup"))}),
    "pkttype": each({"--pkt-type": (1, _packet_type)}),
    "policy": Extension(
        {
            **dict.fromkeys(("--dir", "--pol", "--reqid", "--spi", "--proto", "--mode", "--tunnel-src"), 1),
            "--tunnel-dst": 1,
            "--strict": 0,
            "--next": 0,
        },
        _policy,
    ),
    "statistic": Extension(dict.fromkeys(("--mode", "--probability", "--every", "--packet"), 1), _statistic),
    "owner": Extension(
        {"--uid-owner": 1, "--gid-owner": 1, "--suppl-groups": 0, "--socket-exists": 0},
        _owner,
    ),
}
