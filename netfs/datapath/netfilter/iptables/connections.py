"""Matches on marks and on connection tracking (net/netfilter/xt_conntrack.c, xt_state.c, xt_connmark.c)."""

from __future__ import annotations

from collections.abc import Mapping

from netfs.datapath.netfilter.datatypes import SYMBOLS, NotUnderstoodError
from netfs.datapath.netfilter.elements import Unknown
from netfs.datapath.netfilter.iptables.options import (
    Extension,
    Option,
    Reader,
    Reading,
    each,
    equal,
    interval,
    masked,
    one,
    prefix_or_mask,
    protocol,
    span,
)
from netfs.datapath.netfilter.records import (
    Asked,
    Binary,
    Constant,
    Ct,
    Exact,
    Expression,
    Match,
    Meta,
    Statement,
)
from netfs.datapath.netfilter.values import Answer, Sight
from netfs.model import ip

STATES = SYMBOLS["ct_state"]
NAT_STATES = {"snat": 1 << 8, "dnat": 1 << 9}
"""Bits of our own for the states that are no states: the connection is translated (``XT_CONNTRACK_STATE_SNAT``)."""

STATUSES = {"none": 0, "expected": 1, "seen_reply": 2, "assured": 4, "confirmed": 8}


def under(left: Expression, mask: int, kind: str) -> Expression:
    """``LEFT & MASK``."""
    return left if mask == 0xFFFFFFFF else Binary("&", left, Constant(mask), kind)


def _mark(of: Expression) -> Reader:
    def read(option: Option, at: Reading) -> Statement:
        value, mask = masked(option.value)
        return equal(under(of, mask, "mark"), option, Exact(value))

    return read


def _state_bits(text: str) -> int:
    bits = 0
    for name in text.lower().split(","):
        bit = STATES.get(name, NAT_STATES.get(name))
        if bit is None:
            raise NotUnderstoodError(repr(text[:60]))
        bits |= bit
    return bits


def _state_and_nat(sight: Sight) -> Answer:
    """``conntrack_mt``: the state's bit, and those of a translation where there is a connection."""
    state = STATES.get(sight.ct_state)
    if state is None:
        return Unknown(f"ct state {sight.ct_state} is not known")
    if state == STATES["untracked"]:
        return state
    if not sight.tracked or state == STATES["invalid"]:
        return STATES["invalid"]
    bits = SYMBOLS["ct_status"]
    for name, bit in NAT_STATES.items():
        state |= bit if sight.ct_status & bits[name] else 0
    return state


def _state(option: Option, at: Reading) -> Statement:
    bits = _state_bits(option.value)
    translated = bits & sum(NAT_STATES.values())
    left: Expression = Asked("ct state", _state_and_nat) if translated else Ct("state", None, "ct_state")
    return Match(left, "!" if option.negated else "in", Exact(bits))


def _of_connection(options: tuple[Option, ...], at: Reading) -> list[Statement]:
    """``-m conntrack``: without a connection only ``--ctstate`` is asked (``conntrack_mt``)."""
    absent = any(option.name == "--ctstate" for option in options)
    made: list[Statement] = []
    for option in options:
        reader = _CONNTRACK[option.name][1] if option.known else None
        statement = one(option, at, reader)
        if isinstance(statement, Match):
            statement = Match(statement.left, statement.op, statement.right, absent)
        if statement is not None:
            made.append(statement)
    return made


def _status(option: Option, at: Reading) -> Statement:
    bits = 0
    for name in option.value.lower().split(","):
        if name not in STATUSES:
            raise NotUnderstoodError(repr(option.value[:60]))
        bits |= STATUSES[name]
    return Match(Ct("status", None, "ct_status"), "!" if option.negated else "in", Exact(bits))


def _ct_address(field: str, direction: str) -> Reader:
    def read(option: Option, at: Reading) -> Statement:
        family = at.scope.family
        value, mask = prefix_or_mask(option.value, family)
        left: Expression = Ct(f"ip{'6' if family == 6 else ''} {field}", direction, f"ipv{family}_addr")
        if mask != (1 << ip.BITS[family]) - 1:
            left = Binary("&", left, Constant(mask), "integer")
        return equal(left, option, Exact(value))

    return read


def _ct_port(field: str, direction: str) -> Reader:
    def read(option: Option, at: Reading) -> Statement:
        return equal(Ct(field, direction, "inet_service"), option, interval(*span(option.value, ":")))

    return read


def _ct_protocol(option: Option, at: Reading) -> Statement:
    return equal(Ct("protocol", None, "inet_proto"), option, Exact(protocol(option.value)))


def _ct_direction(option: Option, at: Reading) -> Statement:
    value = SYMBOLS["ct_dir"].get(option.value.lower())
    if value is None:
        raise NotUnderstoodError(repr(option.value[:60]))
    return equal(Ct("direction", None, "ct_dir"), option, Exact(value))


def _ct_expire(option: Option, at: Reading) -> Statement:
    return at.chance(f"{option.name} depends on the traffic before", option.column)


_CONNTRACK: Mapping[str, tuple[int, Reader]] = {
    "--ctstate": (1, _state),
    "--ctstatus": (1, _status),
    "--ctproto": (1, _ct_protocol),
    "--ctorigsrc": (1, _ct_address("saddr", "original")),
    "--ctorigdst": (1, _ct_address("daddr", "original")),
    "--ctreplsrc": (1, _ct_address("saddr", "reply")),
    "--ctrepldst": (1, _ct_address("daddr", "reply")),
    "--ctorigsrcport": (1, _ct_port("proto-src", "original")),
    "--ctorigdstport": (1, _ct_port("proto-dst", "original")),
    "--ctreplsrcport": (1, _ct_port("proto-src", "reply")),
    "--ctrepldstport": (1, _ct_port("proto-dst", "reply")),
    "--ctdir": (1, _ct_direction),
    "--ctexpire": (1, _ct_expire),
}


CONNECTIONS: Mapping[str, Extension] = {
    "mark": each({"--mark": (1, _mark(Meta("mark", "mark")))}),
    "connmark": each({"--mark": (1, _mark(Ct("mark", None, "mark")))}),
    "state": each({"--state": (1, _state)}),
    "conntrack": Extension({name: arity for name, (arity, _) in _CONNTRACK.items()}, _of_connection),
}
