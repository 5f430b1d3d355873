"""The targets of iptables (``-j NAME``): what each does to the packet (net/netfilter/xt_*.c).

A target that changes neither the packet's way nor what later rules look at is inert. TCPMSS is: it changes an option
of SYN packets that nothing here looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from netfs.datapath.netfilter.datatypes import SYMBOLS, NotUnderstoodError
from netfs.datapath.netfilter.iptables.options import MARK_BITS, Extension, Option, Reading, masked, number
from netfs.datapath.netfilter.iptables.translations import TRANSLATIONS
from netfs.datapath.netfilter.records import (
    Asked,
    Binary,
    Constant,
    Ct,
    Expression,
    Inert,
    Mangle,
    Meta,
    NoTrack,
    Reject,
    Statement,
    Touch,
)
from netfs.datapath.netfilter.values import Answer, Sight

REJECTIONS: Mapping[int, Mapping[str, str]] = {
    4: {
        "icmp-net-unreachable": "icmp net-unreachable",
        "icmp-host-unreachable": "icmp host-unreachable",
        "icmp-proto-unreachable": "icmp prot-unreachable",
        "icmp-port-unreachable": "icmp port-unreachable",
        "icmp-net-prohibited": "icmp net-prohibited",
        "icmp-host-prohibited": "icmp host-prohibited",
        "icmp-admin-prohibited": "icmp admin-prohibited",
        "tcp-reset": "tcp reset",
    },
    6: {
        "icmp6-no-route": "icmpv6 no-route",
        "no-route": "icmpv6 no-route",
        "icmp6-adm-prohibited": "icmpv6 admin-prohibited",
        "adm-prohibited": "icmpv6 admin-prohibited",
        "icmp6-addr-unreachable": "icmpv6 addr-unreachable",
        "addr-unreach": "icmpv6 addr-unreachable",
        "icmp6-port-unreachable": "icmpv6 port-unreachable",
        "icmp6-policy-fail": "icmpv6 policy-fail",
        "icmp6-reject-route": "icmpv6 reject-route",
        "tcp-reset": "tcp reset",
    },
}
"""``--reject-with``, in nftables' words."""

_MARK = Meta("mark", "mark")
_CONNMARK = Ct("mark", None, "mark")


def _reject(options: tuple[Option, ...], at: Reading) -> list[Statement]:
    family = at.scope.family
    answer = "icmpv6 port-unreachable" if family == 6 else "icmp port-unreachable"
    for option in options:
        if option.value not in REJECTIONS[family]:
            raise NotUnderstoodError(f"--reject-with {option.value[:60]!r}", column=option.column)
        answer = REJECTIONS[family][option.value]
    return [Reject(answer)]


def _exchanged(old: Expression, mask: int, new: Expression, kind: str = "mark", most: int = MARK_BITS) -> Expression:
    """``(old & ~mask) ^ new``: how marks and the TOS byte are set."""
    if mask == most:
        return new
    kept = old if mask == 0 else Binary("&", old, Constant(most & ~mask), kind)
    return Binary("^", kept, new, kind)


def _value_and_mask(option: Option, prefix: str, most: int) -> tuple[int, int]:
    """(value, mask) of the ways to set some bits (``mark_tg``, ``tos_tg``). Raises NotUnderstoodError."""
    match option.name.removeprefix("--").removesuffix(prefix):
        case "set-x":
            return masked(option.value, most)
        case "set-":
            value, mask = masked(option.value, most)
            return value, value | mask if prefix == "mark" else mask
        case "and-":
            return 0, most & ~number(option.value, most)
        case "or-":
            value = number(option.value, most)
            return value, value
        case "xor-":
            return number(option.value, most), 0
    raise NotUnderstoodError(option.name)


def _single(options: tuple[Option, ...]) -> Option:
    if len(options) != 1:
        raise NotUnderstoodError(f"{len(options)} options", column=options[1].column if options else None)
    return options[0]


def _mark(options: tuple[Option, ...], at: Reading) -> list[Statement]:
    option = _single(options)
    try:
        value, mask = _value_and_mask(option, "mark", MARK_BITS)
    except NotUnderstoodError as error:
        raise NotUnderstoodError(f"{option.name} {error}", column=option.column) from None
    return [Mangle("meta mark", _exchanged(_MARK, mask, Constant(value)))]


def _connmark(options: tuple[Option, ...], at: Reading) -> list[Statement]:
    """``connmark_tg``: the connection's mark from a value or the packet's, or the packet's from the connection's."""
    names = {option.name: option for option in options}
    both = names.get("--mask")
    masks = {"--nfmask": MARK_BITS, "--ctmask": MARK_BITS}
    for name in masks:
        option = names.get(name, both)
        if option is not None:
            masks[name] = number(option.value, MARK_BITS)
    nf_mask, ct_mask = masks["--nfmask"], masks["--ctmask"]
    if "--save-mark" in names:
        kept = Binary("&", _MARK, Constant(nf_mask), "mark")
        return [Mangle("ct mark", _exchanged(_CONNMARK, ct_mask, kept))]
    if "--restore-mark" in names:
        kept = Binary("&", _CONNMARK, Constant(ct_mask), "mark")
        return [Mangle("meta mark", _exchanged(_MARK, nf_mask, kept))]
    option = _single(options)
    value, mask = _value_and_mask(option, "mark", MARK_BITS)
    return [Mangle("ct mark", _exchanged(_CONNMARK, mask, Constant(value)))]


def _ttl(options: tuple[Option, ...], at: Reading) -> list[Statement]:
    """``ttl_tg``, ``hl_tg6``: never below 0 or above 255."""
    option = _single(options)
    amount = number(option.value, 255)
    target = "ip6 hoplimit" if at.scope.family == 6 else "ip ttl"
    if option.name.endswith("-set"):
        return [Mangle(target, Constant(amount))]
    step = -amount if option.name.endswith("-dec") else amount

    def answer(sight: Sight) -> Answer:
        return min(255, max(0, sight.packet.ttl + step))

    return [Mangle(target, Asked(option.name, answer))]


def _tos(options: tuple[Option, ...], at: Reading) -> list[Statement]:
    option = _single(options)
    value, mask = _value_and_mask(option, "tos", 0xFF)
    protocol = "ip6" if at.scope.family == 6 else "ip"
    old = Asked("tos", lambda sight: sight.packet.tos)
    return [Mangle(f"{protocol} tos", _exchanged(old, mask, Constant(value), "integer", 0xFF))]


def _dscp(options: tuple[Option, ...], at: Reading) -> list[Statement]:
    option = _single(options)
    named = SYMBOLS["dscp"].get(option.value.lower()) if option.name == "--set-dscp-class" else None
    value = number(option.value, 63) if named is None else named
    return [Mangle(f"{'ip6' if at.scope.family == 6 else 'ip'} dscp", Constant(value))]


def _ct(options: tuple[Option, ...], at: Reading) -> list[Statement]:
    """``CT``: a zone would make it another connection; the rest changes nothing that is looked at."""
    for option in options:
        if option.name.startswith("--zone"):
            raise NotUnderstoodError(f"{option.name}", column=option.column)
    if any(option.name == "--notrack" for option in options):
        return [NoTrack()]
    return [Inert("CT")]


def _notrack(options: tuple[Option, ...], at: Reading) -> list[Statement]:
    return [NoTrack()]


def _set(options: tuple[Option, ...], at: Reading) -> list[Statement]:
    made: list[Statement] = []
    for option in options:
        if option.name in ("--add-set", "--del-set"):
            made.append(Touch(option.values[0]))
        elif option.name.startswith("--map"):
            raise NotUnderstoodError(option.name, column=option.column)
    return made or [Inert("SET")]


def _inert(name: str) -> Callable[[tuple[Option, ...], Reading], Iterable[Statement]]:
    def read(options: tuple[Option, ...], at: Reading) -> list[Statement]:
        return [Inert(name)]

    return read


def _ignored(name: str, *values: str, flags: tuple[str, ...] = ()) -> Extension:
    return Extension(dict.fromkeys(values, 1) | dict.fromkeys(flags, 0), _inert(name))


def _marks(kind: str) -> dict[str, int]:
    return {f"--{way}{kind}": 1 for way in ("set-", "and-", "or-", "xor-")}


TARGETS: Mapping[str, Extension] = {
    **TRANSLATIONS,
    "REJECT": Extension({"--reject-with": 1}, _reject),
    "MARK": Extension(_marks("mark") | {"--set-xmark": 1}, _mark),
    "CONNMARK": Extension(
        _marks("mark")
        | {"--set-xmark": 1, "--mask": 1, "--nfmask": 1, "--ctmask": 1}
        | {"--save-mark": 0, "--restore-mark": 0},
        _connmark,
    ),
    "TTL": Extension(dict.fromkeys(("--ttl-set", "--ttl-inc", "--ttl-dec"), 1), _ttl),
    "HL": Extension(dict.fromkeys(("--hl-set", "--hl-inc", "--hl-dec"), 1), _ttl),
    "TOS": Extension(_marks("tos"), _tos),
    "DSCP": Extension({"--set-dscp": 1, "--set-dscp-class": 1}, _dscp),
    "NOTRACK": Extension({}, _notrack),
    "CT": Extension(
        {"--notrack": 0, **dict.fromkeys(("--helper", "--ctevents", "--expevents", "--timeout"), 1)}
        | dict.fromkeys(("--zone", "--zone-orig", "--zone-reply"), 1),
        _ct,
    ),
    "SET": Extension(
        {"--add-set": 2, "--del-set": 2, "--map-set": 2, "--timeout": 1, "--exist": 0}
        | {"--map-mark": 0, "--map-prio": 0, "--map-queue": 0},
        _set,
    ),
    "LOG": _ignored(
        "LOG",
        "--log-prefix",
        "--log-level",
        flags=("--log-tcp-sequence", "--log-tcp-options", "--log-ip-options", "--log-uid", "--log-macdecode"),
    ),
    "NFLOG": _ignored("NFLOG", "--nflog-group", "--nflog-prefix", "--nflog-range", "--nflog-size", "--nflog-threshold"),
    "ULOG": _ignored("ULOG", "--ulog-nlgroup", "--ulog-prefix", "--ulog-cprange", "--ulog-qthreshold"),
    "TRACE": _ignored("TRACE"),
    "AUDIT": _ignored("AUDIT", "--type"),
    "CHECKSUM": _ignored("CHECKSUM", flags=("--checksum-fill",)),
    "TCPMSS": _ignored("TCPMSS", "--set-mss", flags=("--clamp-mss-to-pmtu",)),
    "TCPOPTSTRIP": _ignored("TCPOPTSTRIP", "--strip-options"),
    "CLASSIFY": _ignored("CLASSIFY", "--set-class"),
    "TEE": _ignored("TEE", "--gateway", "--oif"),
    "ECN": _ignored("ECN", flags=("--ecn-tcp-remove",)),
    "SECMARK": _ignored("SECMARK", "--selctx"),
    "CONNSECMARK": _ignored("CONNSECMARK", flags=("--save", "--restore")),
    "RATEEST": _ignored("RATEEST", "--rateest-name", "--rateest-interval", "--rateest-ewmalog"),
    "IDLETIMER": _ignored("IDLETIMER", "--timeout", "--label", flags=("--alarm",)),
    "LED": _ignored("LED", "--led-trigger-id", "--led-delay", flags=("--led-always-blink",)),
}
"""By the name behind ``-j``."""

UNEVALUATED: Mapping[str, str] = {
    "NFQUEUE": "hands the packet to a program, which decides",
    "QUEUE": "hands the packet to a program, which decides",
    "TPROXY": "hands the packet to a local socket; that is not evaluated",
    "SYNPROXY": "answers in the server's place; that is not evaluated",
    "HMARK": "sets a mark by a hash that is not known",
    "CLUSTERIP": "shares an address among nodes by a hash; that is not evaluated",
    "TARPIT": "keeps the connection open; that is not evaluated",
    "DNPT": "exchanges prefixes; that is not evaluated",
    "SNPT": "exchanges prefixes; that is not evaluated",
}
"""Targets that are known and not evaluated, and why."""
