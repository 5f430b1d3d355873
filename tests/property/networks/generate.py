"""``random_spec``: a network in working order, and up to three things that are wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from tests.property.networks import overlays, patterns
from tests.property.networks.draft import Draft
from tests.property.networks.mutate import mutate
from tests.property.networks.spec import Probe, Spec

PATTERNS: dict[str, tuple[Callable[[Draft], tuple[str, str, str]], int]] = {
    "lan": (patterns.lan, 4),
    "two-bridges": (patterns.two_bridges, 1),
    "chain": (patterns.chain, 6),
    "dual": (patterns.dual, 4),
    "proxy-arp": (patterns.proxy_arp, 2),
    "point-to-point": (patterns.point_to_point, 2),
    "macvlan": (patterns.macvlan, 3),
    "passthru": (patterns.passthru, 1),
    "alone": (patterns.alone, 1),
    "host-gw": (overlays.host_gw, 3),
    "flannel": (overlays.flannel, 6),
    "tunnel": (overlays.tunnel, 4),
    "stretched": (overlays.stretched, 3),
    "nested": (overlays.nested, 2),
}
"""Every pattern, and how often it is taken."""

IPV4_ONLY = frozenset({"proxy-arp"})
"""Patterns without IPv6: a router that answers neighbour solicitations for others does not do so steadily."""

LARGE = (1250, 1290, 1350, 1381, 1400, 1401, 1430, 1451, 1480, 1500, 1600)
"""Sizes around the MTUs that occur, and the 50 and 70 bytes that VXLAN adds."""

FAULT_COUNTS = (0, 0, 1, 1, 1, 1, 2, 2, 3)


def healthy_spec(seed: int, pattern: str | None = None) -> Spec:
    """A network in working order.

    No TCP over equal-cost routes: connect(2) looks its route up twice, first for the source address, then with
    it, and the two look-ups may choose differently.
    """
    rng = Random(f"network-{seed}")
    family = 6 if rng.random() < 0.3 else 4
    names = list(PATTERNS)
    chosen = rng.choices(names, [PATTERNS[name][1] for name in names])[0]
    name = pattern or chosen
    draft = Draft(rng, 4 if name in IPV4_ONLY else family)
    source, target, address = PATTERNS[name][0](draft)
    spec = draft.freeze(name, _probe(rng, source, target, address), seed)
    if spec.probe.proto == "tcp" and any("nexthop" in line for ns in spec.namespaces for line in ns.lines):
        return replace(spec, probe=replace(spec.probe, proto="udp"))
    return spec


def _probe(rng: Random, source: str, target: str, address: str) -> Probe:
    proto = rng.choice(("icmp", "icmp", "tcp", "udp"))
    port = None if proto == "icmp" else rng.choice((80, 8080, 5353))
    minimum = 48 if ":" in address else 28
    size = rng.choice((84, 84, 84, 200, 1000, 1300, 1400)) if proto != "tcp" else (80 if ":" in address else 60)
    return Probe(source, target, address, proto, port, rng.random() < 0.9, max(size, minimum))


def random_spec(seed: int) -> Spec:
    """The network of a seed: the same seed, the same network."""
    rng = Random(f"faults-{seed}")
    spec = healthy_spec(seed)
    for _ in range(rng.choice(FAULT_COUNTS)):
        spec = mutate(rng, spec)
    if spec.probe.proto == "tcp" and any(fault.name == "address-duplicate" for fault in spec.faults):
        # Of two holders one resets what the other accepted: what became of the SYN alone cannot be told.
        spec = replace(spec, probe=replace(spec.probe, proto="udp"))
    changed = any(fault.name in ("mtu", "route-option") for fault in spec.faults)
    return _large(rng, spec) if rng.random() < (0.7 if changed else 0.06) else spec


def _large(rng: Random, spec: Spec) -> Spec:
    """The same with a probe that may be too large for some device."""
    if spec.probe.proto == "tcp":
        return spec
    return replace(spec, probe=replace(spec.probe, size=rng.choice(LARGE)))
