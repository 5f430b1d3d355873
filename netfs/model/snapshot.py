"""The snapshot: one node at one moment, and the only contract between reading and reasoning.

Records are frozen and compare by value. They are plain dataclasses of the standard library, because
the collector that makes them travels to nodes as one file that needs nothing but python3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netfs.model.address import Address, BridgeVlan, FdbEntry, Neighbour
from netfs.model.gaps import Gap
from netfs.model.kubernetes import Kubernetes
from netfs.model.link import Link
from netfs.model.route import Route, Rule

SCHEMA = "netfs.snapshot/v1"


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that accepts packets: TCP in LISTEN, UDP unconnected."""

    proto: str
    """``tcp`` or ``udp``."""
    family: int
    """4 or 6; an IPv6 wildcard socket that is not v6only serves IPv4 as well."""
    address: str
    """``0.0.0.0`` and ``::`` are wildcards."""
    port: int
    index: int | None = None
    """Device the socket is bound to (SO_BINDTODEVICE)."""
    v6only: bool = False
    inode: int = 0


@dataclass(frozen=True, slots=True)
class Firewall:
    """Raw firewall state of a namespace, as its own tools print it. None: nothing there, or a gap says why."""

    nft: str | None = None
    """``nft -j list ruleset``. None as well where all tables are iptables-nft's, and its tools tell them whole."""
    iptables: str | None = None
    """``iptables-nft-save -c``."""
    ip6tables: str | None = None
    iptables_legacy: str | None = None
    ip6tables_legacy: str | None = None
    ipset: str | None = None
    """``ipset save``."""
    ipvs: str | None = None
    """``ipvsadm -Sn``."""
    recent: str | None = None
    """The files of /proc/net/xt_recent, each line behind the name of its list; of an empty list the name alone."""
    nft_devices: str | None = None
    """``nft "list chains netdev; list chains inet"``, where the JSON does not tell of which device a chain is."""


@dataclass(frozen=True, slots=True)
class Connection:
    """An entry of the connection table: what its packets are, and what their answers are, translated or not."""

    proto: str
    """``tcp``, ``udp``, ``icmp``, else the number."""
    src: str
    dst: str
    reply_src: str
    reply_dst: str
    sport: int | None = None
    dport: int | None = None
    reply_sport: int | None = None
    reply_dport: int | None = None
    status: tuple[str, ...] = ()
    """``seen-reply``, ``assured``, ``confirmed``, ``snat``, ``dnat``, … as nftables names them."""
    mark: int = 0
    zone: int = 0
    timeout: int = 0
    """Seconds until it is forgotten."""


@dataclass(frozen=True, slots=True)
class NetNs:
    """One network namespace."""

    id: int
    """Inode of the namespace on nsfs: its identity within one boot of one kernel."""
    name: str
    """The name operators know: the node's, the pod's, the pin's; else ``netns-INODE``."""
    pids: tuple[int, ...] = ()
    """Some processes in it, lowest first; not all."""
    pins: tuple[str, ...] = ()
    """Paths it is bind-mounted on."""
    links: tuple[Link, ...] = ()
    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    fdb: tuple[FdbEntry, ...] = ()
    bridge_vlans: tuple[BridgeVlan, ...] = ()
    listeners: tuple[Listener, ...] | None = ()
    """None: could not be read."""
    sysctls: Mapping[str, int] = field(default_factory=dict)
    """By full name: ``net.ipv4.ip_forward``, ``net.ipv4.conf.all.rp_filter``, …; per device see ``Link``.

    One that is missing was not read, or the kernel has none: it is not zero."""
    counters: Mapping[str, int] = field(default_factory=dict)
    """``Ip.InReceives``, ``IpExt.…``, ``Ip6.…``, ``softnet.dropped``, ``conntrack.count``, …

    Of /proc/net's own, one that is missing is zero, unless a gap names its file."""
    firewall: Firewall | None = None
    """None: no rules at all, or a gap says why."""
    connections: tuple[Connection, ...] = ()
    """Tracked connections with a translation, and those of UDP without one that nobody answered: no rule translates
    them any more. Others do not change a packet's way."""


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod."""

    name: str
    id: str
    runtime: str | None = None
    image: str | None = None
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class Pod:
    """A network namespace with one or more containers in it."""

    name: str
    netns: int
    """``NetNs.id``."""
    namespace: str = "default"
    uid: str | None = None
    containers: tuple[Container, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    ips: tuple[str, ...] = ()
    """The addresses its orchestrator gave it, whether its namespace holds them or not."""


@dataclass(frozen=True, slots=True)
class NodeSnapshot:
    """One node at one moment."""

    name: str
    kernel: str
    """Identity of the running kernel (boot id): namespaces of equal ``kernel`` and ``NetNs.id`` are one."""
    netns: int
    """``NetNs.id`` of the node itself."""
    namespaces: tuple[NetNs, ...]
    """The node's own and its pods'; a peer that is in none of them was not seen."""
    pods: tuple[Pod, ...] = ()
    gaps: tuple[Gap, ...] = ()
    role: str = "node"
    """``node``, or ``fabric`` for a namespace that only carries packets between nodes (the lab's underlay)."""
    taken_at: float = 0.0
    """Seconds since the epoch."""
    hostname: str = ""
    release: str = ""
    """Kernel release, as ``uname -r``."""
    source: str = ""
    """The source URI it was read from."""
    schema: str = SCHEMA


@dataclass(frozen=True, slots=True)
class Snapshots:
    """The document of ``netfs collect``: every node of one moment."""

    nodes: tuple[NodeSnapshot, ...]
    kubernetes: Kubernetes | None = None
    """What the cluster's API said; None: nobody asked it."""
    schema: str = SCHEMA
