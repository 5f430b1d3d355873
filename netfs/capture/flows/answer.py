"""Rows of the flow table as flows: taps joined, sorted, each beside the one that answers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from itertools import repeat
from typing import Any

import numpy as np

from netfs.capture.flows.columns import Rows
from netfs.capture.flows.groups import Groups, groups_of
from netfs.capture.flows.keys import KINDS, LEVELS, Key, interface_of, key_of, mac_text, unpacked, without_tap
from netfs.capture.flows.table import COUNTED, MOST_MACS, NO_TTL, FlowTable
from netfs.model.flows import Flow, Tunnel


def flows_of(table: FlowTable, interfaces: Sequence[str]) -> tuple[list[Flow], list[Key]]:
    """All flows, most bytes first, then by tuple; and the key of each."""
    if not len(table):
        return [], []
    numbers: dict[bytes, int] = {}
    number = np.array([numbers.setdefault(without_tap(row), len(numbers)) for row in table.packed_keys()], np.int64)
    groups = groups_of(number)
    keys = [key_of(unpacked(row)) for row in numbers]
    columns = _columns(table, groups)
    columns["taps"] = _taps(table, number, interfaces) if len(interfaces) > 1 else [()] * len(keys)
    columns["macs"] = _macs(table, number, len(keys))
    columns["tunnels"] = _tunnels(keys, _sports(table, groups))
    octets = columns["bytes"]
    order = sorted(range(len(keys)), key=lambda place: (-octets[place], *_tuple(keys[place])))
    ordered = [keys[place] for place in order]
    answer = {name: [column[place] for place in order] for name, column in columns.items()}
    answer |= _told(ordered)
    defaults = {field.name: repeat(field.default) for field in fields(Flow) if field.name not in answer}
    # As many as there are packets, in a flood: so they are made by position, which takes half as long as by name.
    flows = list(map(Flow, *((answer.get(field.name) or defaults[field.name]) for field in fields(Flow))))
    return flows, ordered


def _told(keys: Sequence[Key]) -> dict[str, list[Any]]:
    """What keys say of flows, and which flow answers which."""
    inner = [key.levels[-1] for key in keys]
    # Most of a flood is answered by nobody: two addresses tell that for less than a whole key does.
    pairs = {(one.src, one.dst) for one in inner}
    both = [place for place, one in enumerate(inner) if (one.dst, one.src) in pairs]
    index = {keys[place]: place for place in both}
    reverse: list[int | None] = [None] * len(keys)
    for place in both:
        reverse[place] = index.get(keys[place].mirrored())
    names = ("src", "dst", "proto", "sport", "dport")
    told: dict[str, list[Any]] = {name: [getattr(one, name) for one in inner] for name in names}
    return told | {"vlans": [key.vlans for key in keys], "reverse": reverse}


def _tunnels(keys: Sequence[Key], sports: Sequence[Sequence[int | None]]) -> list[tuple[Tunnel, ...]]:
    """The tunnels of each flow; source ports are by level."""
    return [
        tuple(
            Tunnel(KINDS[one.form], one.src, one.dst, one.vni, sports[level][place], one.dport)
            for level, one in enumerate(key.levels[:-1])
        )
        if len(key.levels) > 1
        else ()
        for place, key in enumerate(keys)
    ]


def _columns(table: FlowTable, groups: Groups) -> dict[str, list[Any]]:
    """What flows count, by the name of the field; one entry for each flow."""
    rows = slice(len(table))
    sums = {"packets": table.packets, "bytes": table.octets, **{name: table.counted[name] for name in COUNTED}}
    columns: dict[str, list[Any]] = {name: groups.total(column[rows]).tolist() for name, column in sums.items()}
    columns["first_ns"] = groups.least(table.first[rows]).tolist()
    columns["last_ns"] = groups.most(table.last[rows]).tolist()
    columns["largest"] = groups.most(table.largest[rows]).tolist()
    least, most = groups.least(table.ttl_least[rows]).tolist(), groups.most(table.ttl_most[rows]).tolist()
    columns["ttl_least"] = [None if ttl == NO_TTL else ttl for ttl in least]
    columns["ttl_most"] = [None if ttl < 0 else ttl for ttl in most]
    return columns


def _sports(table: FlowTable, groups: Groups) -> list[list[int | None]]:
    """By level, the tunnels' source ports; None where there is none, and where packets had several."""
    answer = []
    for level in range(LEVELS - 1):
        ports = table.sports[level, : len(table)]
        pairs = zip(groups.least(ports).tolist(), groups.most(ports).tolist(), strict=True)
        answer.append([least if least == most and least >= 0 else None for least, most in pairs])
    return answer


def _taps(table: FlowTable, number: Rows, interfaces: Sequence[str]) -> list[tuple[tuple[str, int], ...]]:
    """Packets by interface, in the file's order of interfaces."""
    found: list[dict[int, int]] = [{} for _ in range(int(number.max()) + 1)]
    packets = table.packets.tolist()
    for row, (words, place) in enumerate(zip(table.packed_keys(), number.tolist(), strict=True)):
        interface = interface_of(words)
        found[place][interface] = found[place].get(interface, 0) + packets[row]
    return [tuple((interfaces[interface], taps[interface]) for interface in sorted(taps)) for taps in found]


def _macs(table: FlowTable, number: Rows, count: int) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [()] * count
    for row in sorted(table.macs):
        place = int(number[row])
        told = dict.fromkeys((*found[place], *map(mac_text, table.macs[row])))
        found[place] = tuple(told)[:MOST_MACS]
    return found


def _tuple(key: Key) -> tuple[Any, ...]:
    """For sorting; what is None comes first."""
    levels = [(one.src, one.dst, one.proto, _number(one.sport), _number(one.dport)) for one in key.levels[::-1]]
    kinds = [(one.form, _number(one.vni)) for one in key.levels]
    return *levels[0], levels[1:], kinds, key.vlans


def _number(value: int | None) -> int:
    return -1 if value is None else value
