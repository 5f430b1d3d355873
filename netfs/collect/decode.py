"""The kernel's bytes to records: a pure function of what ``read`` brought."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import error
from typing import TypeVar

from netfs.collect import counters, features, listeners
from netfs.collect.addresses import decode_addresses
from netfs.collect.confs import decode_neighbour_tables, decode_netconf
from netfs.collect.conntrack import decode_connections
from netfs.collect.links import decode_links
from netfs.collect.neighbours import decode_bridge_vlans, decode_fdb, decode_neighbours
from netfs.collect.netlink import MalformedError
from netfs.collect.questions import QUESTIONS
from netfs.collect.read import Raw
from netfs.collect.routes import decode_routes
from netfs.collect.rules import decode_rules
from netfs.model.snapshot import Firewall, Listener, NetNs

T = TypeVar("T")


def decode(raw: Raw, names: features.Names | None) -> tuple[NetNs, list[tuple[str, str]]]:
    """(the namespace, not yet named and linked; its gaps)."""
    gaps = list(raw["gaps"])
    dumps = raw["dumps"]
    files = raw["files"]

    def part(what: str, decoder: Callable[[bytes], tuple[T, ...]]) -> tuple[T, ...]:
        data = dumps.get(what)
        if data is None:
            return ()
        try:
            return decoder(data)
        except (MalformedError, error) as wrong:
            gaps.append((what, f"not understood: {wrong}"))
            return ()

    offloads = _features(dumps.get("features"), names, gaps)
    netns = NetNs(
        id=raw["id"],
        name="",
        links=part("links", lambda data: decode_links(data, offloads)),
        addresses=part("addresses", decode_addresses),
        routes=part("routes", decode_routes),
        rules=part("rules", decode_rules),
        neighbours=part("neighbours", decode_neighbours) + part("proxies", decode_neighbours),
        fdb=part("fdb", decode_fdb),
        bridge_vlans=part("bridge_vlans", decode_bridge_vlans),
        listeners=_listeners(raw, gaps),
        sysctls=_sysctls(raw, gaps),
        counters=_counters(files, raw["sysctls"]),
        firewall=Firewall(**raw["firewall"]) if raw["firewall"] else None,
        connections=part("connections", decode_connections),
    )
    return netns, gaps


def decode_wide(found: Mapping[str, bytes]) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """(limits of the neighbour tables, counters) that are one and the same for the whole kernel."""
    try:
        limits, entries = decode_neighbour_tables(found.get("neighbour_tables", b""))
    except (MalformedError, error):
        limits, entries = {}, {}
    return limits, entries | counters.decode_softnet(found.get("softnet", b""))


def _features(
    data: bytes | None, names: features.Names | None, gaps: list[tuple[str, str]]
) -> Mapping[int, Mapping[str, bool]]:
    if data is None or names is None:
        return {}
    try:
        return features.decode_features(data, names)
    except (MalformedError, error) as wrong:
        gaps.append(("features", f"not understood: {wrong}"))
        return {}


def _listeners(raw: Raw, gaps: list[tuple[str, str]]) -> tuple[Listener, ...] | None:
    """None where any of the four questions has no answer: then "nobody listens" cannot be said."""
    wanted = {what for what, _ in QUESTIONS}
    if any(what in wanted for what, _ in raw["gaps"]):
        return None
    found: list[Listener] = []
    try:
        for what, _ in QUESTIONS:
            if what in raw["dumps"]:
                found += listeners.decode_sockets(what, raw["dumps"][what])
            elif what in raw["files"]:
                found += listeners.decode_table(what, raw["files"][what])
    except (MalformedError, error) as wrong:
        gaps.append(("listeners", f"not understood: {wrong}"))
        return None
    return tuple(found)


def _sysctls(raw: Raw, gaps: list[tuple[str, str]]) -> Mapping[str, int]:
    found = dict(raw["sysctls"])
    try:
        found.update(decode_netconf(raw["dumps"].get("netconf", b"")))
    except (MalformedError, error) as wrong:
        gaps.append(("netconf", f"not understood: {wrong}"))
    forwarding = found.get("net.ipv4.conf.all.forwarding")
    if forwarding is not None:
        found["net.ipv4.ip_forward"] = forwarding
    return found


def _counters(files: Mapping[str, bytes], sysctls: Mapping[str, int]) -> Mapping[str, int]:
    found = {
        **counters.decode_pairs(files.get("snmp", b"")),
        **counters.decode_pairs(files.get("netstat", b"")),
        **counters.decode_snmp6(files.get("snmp6", b"")),
    }
    for name, key in (("conntrack.count", "nf_conntrack_count"), ("conntrack.max", "nf_conntrack_max")):
        value = sysctls.get(f"net.netfilter.{key}")
        if value is not None:
            found[name] = value
    return found
