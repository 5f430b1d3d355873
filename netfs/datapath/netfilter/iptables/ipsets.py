"""The ipsets of a namespace, as ``ipset save`` prints them. A set is read when a rule first asks it."""

from __future__ import annotations

from collections.abc import Iterator

from netfs.datapath.netfilter.datatypes import PROTOCOLS, NotUnderstoodError
from netfs.datapath.netfilter.elements import Unknown
from netfs.datapath.netfilter.iptables.ipset import ON_DEVICE, TYPES, IpSet, Key, Named, Part
from netfs.datapath.netfilter.values import Sight
from netfs.model import ip

MAX_RANGE = 65536

FLAG_OPTIONS = frozenset(("counters", "comment", "skbinfo", "forceadd"))
VALUE_OPTIONS = frozenset(("hashsize", "maxelem", "timeout", "bucketsize", "initval", "range", "size"))
"""Options of a set that say nothing about membership."""


class IpSets:
    """The sets of a namespace, by name."""

    def __init__(self, text: str | None) -> None:
        self.text = text
        self._lines: dict[str, list[str]] | None = None
        self._sets: dict[str, IpSet] = {}

    def test(self, name: str, directions: tuple[str, ...], sight: Sight) -> int | Unknown:
        """Whether the packet is in a set: 1 or 0."""
        if name in sight.touched:
            return Unknown(f"set {name} was changed by this packet")
        found = self.get(name)
        if found.defect is not None:
            return Unknown(found.defect)
        if found.dimensions == ("set",):
            return self._in_list(found, directions, sight)
        return found.test(directions, sight)

    def get(self, name: str) -> IpSet:
        """A set; one with a defect where it was not read or is not understood."""
        if name not in self._sets:
            self._sets[name] = self._read(name)
        return self._sets[name]

    def _in_list(self, of: IpSet, directions: tuple[str, ...], sight: Sight) -> int | Unknown:
        """In any of the member sets (``list_set_ktest``)."""
        doubt: Unknown | None = None
        for name in of.members:
            member = self.get(name)
            if member.dimensions == ("set",):
                return Unknown(f"set {of.name} lists the list {name}")
            answer = self.test(name, directions, sight)
            if answer == 1:
                return 1
            doubt = doubt or (answer if isinstance(answer, Unknown) else None)
        return 0 if doubt is None else doubt

    def _read(self, name: str) -> IpSet:
        if self._lines is None:
            self._lines = {}
            for line in (self.text or "").splitlines():
                words = line.split(" ", 2)
                if len(words) == 3 and words[0] in ("create", "add"):
                    self._lines.setdefault(words[1], []).append(line)
        lines = self._lines.get(name)
        if not lines:
            return IpSet(name, defect=f"set {name[:60]} was not read")
        try:
            return _set(name, lines)
        except (NotUnderstoodError, ValueError, IndexError) as error:
            return IpSet(name, defect=f"set {name[:60]}: {error} is not understood")


def _set(name: str, lines: list[str]) -> IpSet:
    """A set from its ``create`` line and its ``add`` lines. Raises NotUnderstoodError, ValueError."""
    words = lines[0].split()
    if words[0] != "create" or len(words) < 3 or words[2] not in TYPES:
        raise NotUnderstoodError(f"type {' '.join(words[2:3])[:60]!r}")
    dimensions = TYPES[words[2]]
    options = _create_options(words[3:])
    family = {"inet": 4, "inet6": 6, "": None if dimensions[0] in ("set", "bare port") else 4}[options["family"]]
    bits = ip.BITS[family or 4]
    full = (1 << bits) - 1
    netmask = int(options["netmask"] or bits)
    cut = full >> (bits - netmask) << (bits - netmask) if netmask else 0
    by_kind = {"ip": cut, "net": full, "mark": int(options["markmask"] or "0xffffffff", 0)}
    masks = tuple(by_kind.get(kind, full) for kind in dimensions)
    narrow = any(mask != full for mask in masks)
    tables: dict[tuple[int, ...], dict[Key, bool]] = {}
    devices: dict[int, dict[int, tuple[Named, ...]]] = {}
    members: list[str] = []
    for line in lines[1:]:
        words = line.split() if '"' not in line else line.partition(' comment "')[0].split()
        element, rest = words[2], words[3:]
        if dimensions == ("set",):
            members.append(element)
            continue
        for lengths, named in _keys(element, dimensions, family or 4):
            key = _narrowed(named, masks) if narrow else named
            if dimensions == ON_DEVICE and isinstance(key[0], int):
                device = Named(str(key[1]), "wildcard" in rest, "nomatch" in rest)
                networks = devices.setdefault(lengths[0], {})
                networks[key[0]] = (*networks.get(key[0], ()), device)
            else:
                tables.setdefault(lengths, {})[key] = "nomatch" in rest
    longest_first = {lengths: tables[lengths] for lengths in sorted(tables, reverse=True)}
    by_length = {length: devices[length] for length in sorted(devices, reverse=True)}
    return IpSet(name, dimensions, family, masks, longest_first, by_length, tuple(members))


def _narrowed(key: Key, masks: tuple[int, ...]) -> Key:
    return tuple(part & mask if isinstance(part, int) else part for part, mask in zip(key, masks, strict=True))


def _create_options(words: list[str]) -> dict[str, str]:
    found = {"family": "", "netmask": "", "markmask": ""}
    rest = iter(words)
    for word in rest:
        if word in FLAG_OPTIONS:
            continue
        value = next(rest, None)
        if value is None or (word not in VALUE_OPTIONS and word not in found):
            raise NotUnderstoodError(f"option {word[:60]!r}")
        if word in found:
            found[word] = value
    if found["family"] not in ("", "inet", "inet6"):
        raise NotUnderstoodError(f"family {found['family'][:60]!r}")
    return found


def _keys(element: str, dimensions: tuple[str, ...], family: int) -> Iterator[tuple[tuple[int, ...], Key]]:
    """(prefix lengths, key) of every element that a text names: ranges are many."""
    parts = element.split(",")
    if len(parts) != len(dimensions):
        raise NotUnderstoodError(f"element {element[:60]!r}")
    choices = [_choices(kind, part, family) for kind, part in zip(dimensions, parts, strict=True)]
    if len(choices) == 1:
        yield from (((length,), (part,)) for length, part in choices[0])
        return
    made: list[tuple[tuple[int, ...], Key]] = [((), ())]
    for choice in choices:
        if len(made) * len(choice) > MAX_RANGE:
            raise NotUnderstoodError(f"element {element[:60]!r} of so many")
        made = [((*lengths, length), (*key, part)) for lengths, key in made for length, part in choice]
    yield from made


def _choices(kind: str, text: str, family: int) -> list[tuple[int, Part]]:
    match kind:
        case "net":
            address, length = ip.prefix(text)
            _same_family(text, family)
            return [(length, address)]
        case "ip":
            _same_family(text, family)
            if "/" not in text and "-" not in text:
                return [(-1, ip.to_int(text))]
            low, high = _address_range(text)
            if high - low >= MAX_RANGE:
                raise NotUnderstoodError(f"element {text[:60]!r} of so many")
            return [(-1, address) for address in range(low, high + 1)]
        case "port":
            return [(-1, (protocol, port)) for protocol, port in _ports(text)]
        case "bare port":
            return [(-1, port) for _, port in _ports(text)]
        case "mark":
            return [(-1, int(text, 0))]
    if text.startswith("physdev:"):
        raise NotUnderstoodError(f"element {text[:60]!r}")
    return [(-1, text)]


def _same_family(text: str, family: int) -> None:
    if ip.family_of(text) != family:
        raise NotUnderstoodError(f"element {text[:60]!r}")


def _address_range(text: str) -> tuple[int, int]:
    if "-" in text:
        low, _, high = text.partition("-")
        return ip.to_int(low), ip.to_int(high)
    first, length = ip.prefix(text)
    return first, first + (1 << (ip.BITS[ip.family_of(text)] - length)) - 1


def _ports(text: str) -> Iterator[tuple[int, int]]:
    """(protocol, port) of ``tcp:80``, ``udp:53-60``, ``icmp:8/0``; ports alone are TCP's."""
    name, _found, ports = text.rpartition(":")
    number = PROTOCOLS.get(name) if name else PROTOCOLS["tcp"]
    if number is None:
        number = int(name)
    if "/" in ports:
        message, _, code = ports.partition("/")
        yield number, int(message) << 8 | int(code)
        return
    if number in (1, 58):
        yield number, _icmp(number, ports)
        return
    low, _, high = ports.partition("-")
    if not 0 <= int(low) <= int(high or low) <= 65535:
        raise NotUnderstoodError(f"ports {text[:60]!r}")
    for port in range(int(low), int(high or low) + 1):
        yield number, port


def _icmp(number: int, name: str) -> int:
    """Type and code by the names of ipset (lib/icmp.c, lib/icmpv6.c)."""
    known = {1: {"echo-reply": 0, "pong": 0, "echo-request": 8 << 8, "ping": 8 << 8, "port-unreachable": 3 << 8 | 3}}
    known[58] = {"echo-request": 128 << 8, "ping": 128 << 8, "echo-reply": 129 << 8, "pong": 129 << 8}
    if name not in known[number]:
        raise NotUnderstoodError(f"ICMP type {name[:60]!r}")
    return known[number][name]
