"""What ``netfs inspect`` answers: everything that makes a pod a pod. ``netfs.inspect/v1`` is this file as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netfs.model.cgroups import Cgroup
from netfs.model.containers import Container
from netfs.model.findings import Finding
from netfs.model.gaps import Gap
from netfs.model.layer_answers import ChainRef
from netfs.model.namespaces import Namespace
from netfs.model.process_facts import MountPoint, ProcessFacts, ProcessUse

SCHEMA = "netfs.inspect/v1"


@dataclass(frozen=True, slots=True)
class SharedNamespace:
    """One namespace of a container, and who else is in it."""

    type: str
    id: int | None
    """None: it could not be read."""
    own: bool
    """Nobody else is in it, as far as can be seen."""
    with_node: bool = False
    """It is the node's."""
    shared_with: tuple[str, ...] = ()
    """Other containers in it, by name."""
    pins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Socket:
    """A socket that accepts packets, and who has it."""

    proto: str
    address: str
    """``0.0.0.0``, ``::``, ``127.0.0.11``."""
    port: int
    device: str = ""
    """The device it is bound to."""
    pids: tuple[int, ...] = ()
    command: str = ""


@dataclass(frozen=True, slots=True)
class Interface:
    """A device of the pod, and the way from it to the node's underlay."""

    name: str
    kind: str
    """``veth``, ``lo``, ``macvlan``, …"""
    mac: str = ""
    mtu: int = 0
    up: bool = True
    addresses: tuple[str, ...] = ()
    """With their prefix: ``10.244.1.2/24``."""
    peer: str = ""
    """Its other end on the node: ``veth3a2f``; of a macvlan or vlan the device below."""
    peer_netns: str = ""
    """Where that is: the node's name, or a pod's."""
    bridge: str = ""
    """What the peer is a port of: ``cni0``."""
    way: tuple[str, ...] = ()
    """From here to where packets leave the node, for a destination outside: ``eth0``, ``veth3a2f``, ``cni0``, ``eth0``;
    empty: not known."""


@dataclass(frozen=True, slots=True)
class InspectedContainer:
    """One container of the pod."""

    container: Container
    node: str = ""
    init: int | None = None
    by: str = ""
    """As ``Placed.by``."""
    uncertain: str = ""
    processes: tuple[ProcessUse, ...] = ()
    """Parents before their children."""
    namespaces: tuple[SharedNamespace, ...] = ()
    cgroup: Cgroup | None = None
    chain: ChainRef | None = None
    """The layers of its root."""
    root: MountPoint | None = None
    """What is mounted at its root."""
    facts: ProcessFacts | None = None
    """None: it does not run, or its first process may not be looked at."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """A pod: what it is made of."""

    name: str
    """``default/pod-a``; of a plain container its name."""
    kind: str
    """``pod``, ``container`` (one that no pod has), ``node``, ``process`` (that of nobody)."""
    node: str
    uid: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    containers: tuple[InspectedContainer, ...] = ()
    """The sandbox last."""
    pod_cgroup: Cgroup | None = None
    """The group that holds those of its containers."""
    namespaces: tuple[Namespace, ...] = ()
    """Every namespace of its processes."""
    interfaces: tuple[Interface, ...] = ()
    routes: tuple[str, ...] = ()
    """As ``ip route`` writes them, both families."""
    sockets: tuple[Socket, ...] = ()
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()
    schema: str = SCHEMA
