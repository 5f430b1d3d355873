"""Faults: one change to a network, drawn at random. Not every one breaks it; a few are merely unusual."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from random import Random

from tests.property.networks.spec import Fault, Spec

Mutation = Callable[[Random, Spec], "Fault | None"]


def mutate(rng: Random, spec: Spec) -> Spec:
    """The specification with one fault more; a fault that does not fit it is drawn again."""
    for _ in range(20):
        fault = rng.choice(MUTATIONS)(rng, spec)
        if fault is not None and fault not in spec.faults:
            return replace(spec, faults=(*spec.faults, fault))
    return spec


def _lines(spec: Spec, pattern: str) -> list[tuple[str, str, re.Match[str]]]:
    """Every (namespace, command, match) whose command fits a pattern."""
    found = []
    for ns in spec.namespaces:
        for line in spec.lines(ns.name):
            match = re.search(pattern, line)
            if match is not None:
                found.append((ns.name, line, match))
    return found


def devices(spec: Spec) -> list[tuple[str, str]]:
    """Every (namespace, device), loopback left out."""
    found = [(end.split("/")[0], end.split("/")[1]) for wire in spec.wires for end in (wire.a, wire.b)]
    for ns, _, match in _lines(spec, r"link add (\S+) .*?(?:netns @(\S+) )?type"):
        found.append((match[2] or ns, match[1]))
    return found


def _device(rng: Random, spec: Spec) -> tuple[str, str]:
    return rng.choice(devices(spec))


def _remove(name: str, pattern: str) -> Mutation:
    """Leaves out a command that fits a pattern."""

    def mutation(rng: Random, spec: Spec) -> Fault | None:
        found = _lines(spec, pattern)
        if not found:
            return None
        ns, line, _ = rng.choice(found)
        return Fault(name, ns, None, line)

    return mutation


def _change(name: str, pattern: str, *values: str) -> Mutation:
    """Puts one of the values in the place of a pattern's first group."""

    def mutation(rng: Random, spec: Spec) -> Fault | None:
        found = _lines(spec, pattern)
        if not found:
            return None
        ns, line, match = rng.choice(found)
        new = line[: match.start(1)] + rng.choice(values) + line[match.end(1) :]
        return None if new == line else Fault(name, ns, new, line)

    return mutation


def _per_device(name: str, *templates: str) -> Mutation:
    """Runs a command on a device."""

    def mutation(rng: Random, spec: Spec) -> Fault | None:
        ns, device = _device(rng, spec)
        return Fault(name, ns, rng.choice(templates).format(dev=device, mac=f"02:ff:00:00:00:{rng.randrange(256):02x}"))

    return mutation


def _per_netns(name: str, *templates: str) -> Mutation:
    """Runs a command in a namespace."""

    def mutation(rng: Random, spec: Spec) -> Fault | None:
        return Fault(name, rng.choice(spec.namespaces).name, rng.choice(templates))

    return mutation


def _bridge_port(name: str, *templates: str) -> Mutation:
    """Runs a command on a port of a bridge."""

    def mutation(rng: Random, spec: Spec) -> Fault | None:
        found = _lines(spec, r"^ip link set (\S+) master (\S+)")
        if not found:
            return None
        ns, _, match = rng.choice(found)
        return Fault(name, ns, rng.choice(templates).format(dev=match[1], bridge=match[2]))

    return mutation


def _goals(spec: Spec) -> list[str]:
    """Addresses that the packet or its answer is meant for."""
    goals = [spec.probe.address]
    for ns, _, match in _lines(spec, r"addr add (\S+)/\d+ dev"):
        if ns == spec.probe.source and (":" in match[1]) == (spec.probe.family == 6):
            goals.append(match[1])
    return goals


def _bad_route(rng: Random, spec: Spec) -> Fault | None:
    kind = rng.choice(("blackhole", "unreachable", "prohibit", "throw"))
    where = rng.choice(spec.namespaces).name
    return Fault(f"route-{kind}", where, f"ip route add {kind} {rng.choice(_goals(spec))}")


def _wrong_device(rng: Random, spec: Spec) -> Fault | None:
    ns, device = _device(rng, spec)
    return Fault("route-wrong-device", ns, f"ip route add {rng.choice(_goals(spec))} dev {device}")


def _wrong_nexthop(rng: Random, spec: Spec) -> Fault | None:
    gateways = sorted({match[1] for _, _, match in _lines(spec, r"addr add (\S+)/\d+ dev (?!lo)")})
    gateways = [text for text in gateways if (":" in text) == (spec.probe.family == 6)]
    ns, device = _device(rng, spec)
    if not gateways:
        return None
    via = f"{rng.choice(_goals(spec))} via {rng.choice(gateways)} dev {device} onlink"
    return Fault("route-wrong-nexthop", ns, f"ip route add {via}")


def _rule(rng: Random, spec: Spec) -> Fault | None:
    ns, device = _device(rng, spec)
    goal = rng.choice(_goals(spec))
    action = rng.choice(("lookup 55", "prohibit", "unreachable", "blackhole", "lookup main suppress_prefixlength 0"))
    every = "::/0" if ":" in goal else "0.0.0.0/0"
    extra = rng.choice((f"iif {device}", "iif lo", f"oif {device}", "", "fwmark 0x1"))
    match = rng.choice((f"from {every} to {goal}", f"from {goal}", f"from {every} {extra}", f"not from {goal}"))
    pref = rng.choice((10, 200, 32766))
    return Fault("rule", ns, f"{'ip -6' if ':' in goal else 'ip'} rule add {match} {action} pref {pref}")


def _neighbour(rng: Random, spec: Spec) -> Fault | None:
    """An entry for an address on some segment: a stranger's MAC, another's MAC, or a failed one."""
    owners = [(ns, match[1]) for ns, _, match in _lines(spec, r"addr add (\S+)/\d+ dev (?!lo)")]
    if not owners:
        return None
    ns, device = _device(rng, spec)
    address = rng.choice(owners)[1]
    macs = ["02:ff:00:00:00:01", *(wire.a_mac for wire in spec.wires), *(wire.b_mac for wire in spec.wires)]
    what = rng.choice(
        (f"lladdr {rng.choice(macs)} nud permanent", f"lladdr {rng.choice(macs)} nud stale", "nud failed")
    )
    return Fault("neighbour", ns, f"ip neigh replace {address} dev {device} {what}")


def _fdb(rng: Random, spec: Spec) -> Fault | None:
    """A static bridge entry that sends somebody's frames to a port of our choice."""
    ports = _lines(spec, r"^ip link set (\S+) master (\S+)")
    if not ports:
        return None
    ns, _, match = rng.choice(ports)
    macs = [mac for wire in spec.wires for mac in (wire.a_mac, wire.b_mac)]
    return Fault("bridge-fdb-stale", ns, f"bridge fdb replace {rng.choice(macs)} dev {match[1]} master static")


def _duplicate_mac(rng: Random, spec: Spec) -> Fault | None:
    ns, device = _device(rng, spec)
    mac = rng.choice([mac for wire in spec.wires for mac in (wire.a_mac, wire.b_mac)])
    return Fault("mac-duplicate", ns, f"ip link set {device} address {mac}")


def _duplicate_address(rng: Random, spec: Spec) -> Fault | None:
    ns, device = _device(rng, spec)
    goal = rng.choice(_goals(spec))
    bits = rng.choice(("64", "128") if ":" in goal else ("24", "32"))
    return Fault("address-duplicate", ns, f"ip addr add {goal}/{bits} dev {device}{' nodad' if ':' in goal else ''}")


def _route_option(rng: Random, spec: Spec) -> Fault | None:
    """An option more on a route: a path MTU, a source, a metric."""
    found = _lines(spec, r"route add (?!blackhole|throw)[^@]*$")
    found = [(ns, line, match) for ns, line, match in found if "nexthop" not in line]
    if not found:
        return None
    ns, line, _ = rng.choice(found)
    own = [match[1] for where, _, match in _lines(spec, r"addr add (\S+)/\d+ dev") if where == ns]
    own = [text for text in own if (":" in text) == (spec.probe.family == 6)] or [None]
    source = rng.choice(own)
    options = ["mtu 1400", "mtu lock 1300", "metric 900"]
    if source is not None and "table" not in line:
        options.append(f"src {source}")
    return Fault("route-option", ns, f"{line} {rng.choice(options)}", line)


MUTATIONS: tuple[Mutation, ...] = (
    _per_device("link-down", "ip link set {dev} down"),
    _per_device("link-down", "ip link set {dev} down"),
    _per_device("noarp", "ip link set {dev} arp off"),
    _per_device("mac-changed", "ip link set {dev} address {mac}"),
    _per_device("mtu", "ip link set {dev} mtu 1280", "ip link set {dev} mtu 1400", "ip link set {dev} mtu 1480"),
    _per_device("forwarding", "sysctl net.ipv4.conf.{dev}.forwarding=0", "sysctl net.ipv6.conf.{dev}.forwarding=0"),
    _per_device("rp-filter", "sysctl net.ipv4.conf.{dev}.rp_filter=1", "sysctl net.ipv4.conf.{dev}.rp_filter=2"),
    _per_device("arp-ignore", *(f"sysctl net.ipv4.conf.{{dev}}.arp_ignore={n}" for n in (1, 2, 8))),
    _per_device("arp-filter", "sysctl net.ipv4.conf.{dev}.arp_filter=1"),
    _per_device("accept-local", "sysctl net.ipv4.conf.{dev}.accept_local=1"),
    _per_device("proxy-arp", "sysctl net.ipv4.conf.{dev}.proxy_arp=1"),
    _per_device("proxy-arp-off", "sysctl net.ipv4.conf.{dev}.proxy_arp=0"),
    _per_device("ipv6-disabled", "sysctl net.ipv6.conf.{dev}.disable_ipv6=1"),
    _per_device("addr-flush", "ip addr flush dev {dev}"),
    _per_netns("rp-filter", "sysctl net.ipv4.conf.all.rp_filter=1", "sysctl net.ipv4.conf.all.rp_filter=2"),
    _per_netns("forwarding-off", "sysctl net.ipv4.ip_forward=0", "sysctl net.ipv6.conf.all.forwarding=0"),
    _per_netns("forwarding-on", "sysctl net.ipv4.ip_forward=1", "sysctl net.ipv6.conf.all.forwarding=1"),
    _per_netns("ignore-linkdown", "sysctl net.ipv4.conf.all.ignore_routes_with_linkdown=1"),
    _per_netns("arp-ignore-all", "sysctl net.ipv4.conf.all.arp_ignore=1", "sysctl net.ipv4.conf.all.arp_filter=1"),
    _bridge_port(
        "port-state", "ip link set {dev} type bridge_slave state 0", "ip link set {dev} type bridge_slave state 4"
    ),
    _bridge_port(
        "port-state", "ip link set {dev} type bridge_slave state 1", "ip link set {dev} type bridge_slave state 2"
    ),
    _bridge_port("port-isolated", "ip link set {dev} type bridge_slave isolated on"),
    _bridge_port("port-flood-off", "ip link set {dev} type bridge_slave flood off"),
    _bridge_port("port-bcast-off", "ip link set {dev} type bridge_slave bcast_flood off"),
    _bridge_port("port-learning-off", "ip link set {dev} type bridge_slave learning off"),
    _bridge_port("port-hairpin", "ip link set {dev} type bridge_slave hairpin on"),
    _bridge_port("port-detached", "ip link set {dev} nomaster"),
    _bridge_port("bridge-down", "ip link set {bridge} down"),
    _remove("address-missing", r"addr add"),
    _remove("route-missing", r"route add"),
    _remove("route-missing", r"route add"),
    _remove("rule-missing", r"rule add"),
    _remove("neighbour-missing", r"neigh (?:replace|add)"),
    _remove("fdb-missing", r"fdb (?:append|add)"),
    _change("prefix-wrong", r"addr add \S+(/(?:24|64|16)) dev", "/16", "/30", "/32"),
    _change("vni-mismatch", r"type vxlan id (\d+)", "99", "2"),
    _change("port-mismatch", r"dstport (\d+)", "4789", "8472", "4790"),
    _change("vxlan-local", r"vxlan .*local \S+?(\d) ", "9", "1", "2"),
    _change("vxlan-remote", r"remote \S+?(\d)$", "9", "1", "2"),
    _change("vxlan-learning", r"( nolearning)", ""),
    _change("vxlan-lower", r"type vxlan .*dev (\S+)", "lo"),
    _change("fdb-dst", r"fdb append .* dst \S+?(\d)$", "1", "2", "3", "9"),
    _change("neigh-mac", r"neigh replace .* lladdr 02:00:00:00:00:(\S\S)", "01", "02", "77"),
    _change("macvlan-mode", r"macvlan mode (\S+)", "bridge", "private", "vepa"),
    _bad_route,
    _bad_route,
    _wrong_device,
    _wrong_nexthop,
    _rule,
    _rule,
    _neighbour,
    _neighbour,
    _fdb,
    _duplicate_mac,
    _duplicate_address,
    _route_option,
)
"""Every kind of fault; those that stand twice are drawn twice as often."""
