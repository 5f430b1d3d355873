"""Matches on lists of addresses: ipsets (net/netfilter/xt_set.c) and who was seen before (xt_recent.c)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from netfs.datapath.netfilter.datatypes import NotUnderstoodError
from netfs.datapath.netfilter.iptables.options import MARK_BITS, NEVER, Extension, Option, Reading, number
from netfs.datapath.netfilter.records import Asked, Exact, Match, Statement, Touch
from netfs.datapath.netfilter.values import Answer, Sight

FULL_MASKS = ("255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")


def _recent(options: tuple[Option, ...], at: Reading) -> list[Statement]:
    """``recent_mt``: ``--set`` remembers the address and matches; every other form asks who was remembered before."""
    found = {option.name: option for option in options}
    for option in options:
        if not option.known:
            raise NotUnderstoodError(f"option {option.name[:60]}", column=option.column)
    name = found["--name"].value if "--name" in found else "DEFAULT"
    if (remember := found.get("--set")) is not None:
        return [Touch(_seen(name)), NEVER] if remember.negated else [Touch(_seen(name))]
    asked = next((found[name] for name in ("--rcheck", "--update", "--remove") if name in found), None)
    if asked is None or ("--mask" in found and found["--mask"].value not in FULL_MASKS):
        raise NotUnderstoodError("its options")
    hits = number(found["--hitcount"].value, MARK_BITS) if "--hitcount" in found else 1
    member = Asked(_seen(name), _on_list(at, name, hits, source="--rdest" not in found))
    return [Match(member, "==", Exact(0 if asked.negated else 1))]


def _seen(name: str) -> str:
    return f"recent {name}"


def _on_list(at: Reading, name: str, hits: int, *, source: bool) -> Callable[[Sight], Answer]:
    """One whom no list holds is on it once this very packet was remembered, with one hit."""
    lists = at.scope.recent

    def answer(sight: Sight) -> Answer:
        known = lists.test(name, sight.packet.src if source else sight.packet.dst)
        return int(hits <= 1) if known == 0 and _seen(name) in sight.touched else known

    return answer


def _set(options: tuple[Option, ...], at: Reading) -> list[Statement]:
    """``-m set`` (``set_match_v4``)."""
    made: list[Statement] = []
    for option in options:
        if option.name in ("--update-counters", "--update-subcounters"):
            continue
        if option.name != "--match-set":
            made.append(at.doubt(f"option {option.name[:60]} of match set is not understood", option.column))
            continue
        name, flags = option.values
        directions = tuple(flags.split(","))
        if not all(direction in ("src", "dst") for direction in directions):
            raise NotUnderstoodError(f"{flags[:60]!r}", column=option.column)
        member = Asked(f"set {name}", _in_set(at, name, directions))
        made.append(Match(member, "==", Exact(0 if option.negated else 1)))
    return made


def _in_set(at: Reading, name: str, directions: tuple[str, ...]) -> Callable[[Sight], Answer]:
    sets = at.scope.sets

    def answer(sight: Sight) -> Answer:
        return sets.test(name, directions, sight)

    return answer


LISTS: Mapping[str, Extension] = {
    "recent": Extension(
        dict.fromkeys(("--set", "--rcheck", "--update", "--remove", "--reap", "--rttl", "--rsource", "--rdest"), 0)
        | dict.fromkeys(("--name", "--seconds", "--hitcount", "--mask"), 1),
        _recent,
    ),
    "set": Extension(
        {"--match-set": 2, "--update-counters": 0, "--update-subcounters": 0, "--return-nomatch": 0}
        | dict.fromkeys(("--packets-eq", "--packets-lt", "--packets-gt", "--bytes-eq", "--bytes-lt", "--bytes-gt"), 1),
        _set,
    ),
}
