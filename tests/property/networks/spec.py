"""A small network as data: namespaces, wires, the commands that set it up, the faults, and the probe.

A specification is frozen, compares by value and is JSON, so a disagreement that was found once is kept as a
small file. Commands are written as an operator types them (``ip …``, ``bridge …``, ``sysctl …``), for they are
the story that a reader of a regression wants. ``@NAME`` in a command stands for another namespace.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import msgspec


@dataclass(frozen=True, slots=True)
class Wire:
    """A veth pair between two namespaces; both ends are brought up."""

    a: str
    """``NAMESPACE/DEVICE``."""
    b: str
    a_mac: str
    b_mac: str
    mtu: int = 1500


@dataclass(frozen=True, slots=True)
class Namespace:
    """One namespace and the commands that set it up, in order."""

    name: str
    role: str
    """``host``, ``router``, ``switch`` or ``node``: for the reader alone."""
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """One change of a network that was in order: a command more, one less, or another in its place."""

    name: str
    netns: str
    new: str | None = None
    """The command that is run; None: the old one is just left out."""
    old: str | None = None
    """The command it stands in for; None: ``new`` comes after all others."""


@dataclass(frozen=True, slots=True)
class Probe:
    """The packet that is sent."""

    source: str
    """The namespace it is sent from."""
    target: str
    """The namespace it is meant for."""
    address: str
    """Its destination."""
    proto: str = "icmp"
    port: int | None = None
    listening: bool = True
    """Whether something listens on the port (TCP, UDP)."""
    size: int = 84
    """Length of the IP packet in bytes. DF is always set; a TCP probe is a SYN and has the kernel's own size."""

    @property
    def family(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.address else 4


@dataclass(frozen=True, slots=True)
class Spec:
    """One network, what is wrong in it, and one probe."""

    pattern: str
    namespaces: tuple[Namespace, ...]
    wires: tuple[Wire, ...]
    probe: Probe
    faults: tuple[Fault, ...] = ()
    seed: int | None = None

    def lines(self, name: str) -> tuple[str, ...]:
        """The commands of a namespace, its faults applied."""
        lines = list(next(ns.lines for ns in self.namespaces if ns.name == name))
        for fault in self.faults:
            if fault.netns != name:
                continue
            if fault.old is None:
                lines.append(fault.new or "")
            elif fault.old in lines:
                at = lines.index(fault.old)
                lines[at : at + 1] = [fault.new] if fault.new is not None else []
        return tuple(line for line in lines if line)

    @property
    def uses_ipv6(self) -> bool:
        """Whether any address in it is of IPv6; else IPv6 is off, and with it its multicast chatter."""
        return self.probe.family == 6 or any("::" in line for ns in self.namespaces for line in self.lines(ns.name))

    def commands(self) -> Iterator[str]:
        """The whole network as shell commands that a person can replay."""
        for ns in self.namespaces:
            yield f"ip netns add {ns.name}"
        for wire in self.wires:
            (a, a_dev), (b, b_dev) = wire.a.split("/"), wire.b.split("/")
            yield (
                f"ip -n {a} link add {a_dev} address {wire.a_mac} mtu {wire.mtu} type veth "
                f"peer name {b_dev} netns {b} address {wire.b_mac} mtu {wire.mtu}"
            )
            yield f"ip -n {a} link set {a_dev} up; ip -n {b} link set {b_dev} up"
        for ns in self.namespaces:
            for line in self.lines(ns.name):
                yield f"ip netns exec {ns.name} {line.replace('@', '')}"
        p = self.probe
        port = "" if p.port is None else f" port {p.port} ({'open' if p.listening else 'closed'})"
        yield f"# probe: {p.source} -> {p.target} {p.address} {p.proto}{port} size {p.size}"
        for fault in self.faults:
            yield f"# fault: {fault.name} in {fault.netns}"


def to_json(spec: Spec) -> bytes:
    """The specification as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(spec), indent=1) + b"\n"


def from_json(data: bytes) -> Spec:
    """A specification from its JSON. Raises msgspec.ValidationError where it is none."""
    return msgspec.json.decode(data, type=Spec)


def digest(spec: Spec) -> str:
    """A name made of the content, whatever seed it came from."""
    return hashlib.sha256(to_json(replace(spec, seed=None))).hexdigest()[:12]
