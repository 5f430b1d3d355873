"""What a lab consists of, as data: a pure function of (nodes, pods per node, ipv6).

The figures are flannel's and its CNI plugin's own (flannel-io/flannel ``pkg/backend/vxlan``): VNI 1, UDP port
8472, one /24 per node, the tunnel end at the subnet's own address, MTU 1500 − 50. MAC addresses are derived
from addresses, as Docker and CNI do, so that a lab is the same every time.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from functools import cached_property

from netfs.errors import UsageError

CLUSTER_CIDR = "10.244.0.0/16"
CLUSTER_CIDR6 = "fd00:10:244::/48"
SERVICE_CIDR = "10.96.0.0/12"
SERVICE_CIDR6 = "fd00:10:96::/112"
GATEWAY = "192.168.52.1"
GATEWAY_MAC = "02:42:c0:a8:34:01"
GATEWAY6 = "fd00:192:168:52::1"
VNI = 1
PORT = 8472
UNDERLAY_MTU = 1500
OVERHEAD = 50
OVERHEAD6 = 70
MAX_NODES = 200
MAX_PODS = 200
FABRIC = "underlay"


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node: ``eth0`` in the underlay, ``cni0`` for its pods, ``flannel.1`` between nodes."""

    number: int
    name: str
    ip: str
    mac: str
    vtep_ip: str
    vtep_mac: str
    gateway: str
    """cni0's address: the pods' gateway."""
    gateway_mac: str
    subnet: str
    ip6: str
    vtep6_ip: str
    vtep6_mac: str
    gateway6: str
    subnet6: str

    @property
    def port(self) -> str:
        """The fabric's end of the node's cable."""
        return self.name


@dataclass(frozen=True, slots=True)
class PodPlan:
    """One pod: ``eth0`` on a veth pair whose other end is a port of its node's ``cni0``."""

    name: str
    node: str
    ip: str
    mac: str
    ip6: str
    gateway: str
    gateway6: str
    hostveth: str
    hostveth_mac: str
    uid: str
    container: str
    """Container id: 64 hexadecimal digits."""


@dataclass(frozen=True)
class Plan:
    """The whole lab."""

    nodes: tuple[NodePlan, ...]
    pods: tuple[PodPlan, ...]
    ipv6: bool

    @property
    def pod_mtu(self) -> int:
        """MTU of cni0 and the pods: what fits into every tunnel they may use."""
        return UNDERLAY_MTU - (OVERHEAD6 if self.ipv6 else OVERHEAD)

    @cached_property
    def members(self) -> dict[str, NodePlan | PodPlan]:
        """Nodes and pods by name."""
        return {**{node.name: node for node in self.nodes}, **{pod.name: pod for pod in self.pods}}

    @cached_property
    def pods_of(self) -> dict[str, tuple[PodPlan, ...]]:
        """Pods by their node's name."""
        return {node.name: tuple(pod for pod in self.pods if pod.node == node.name) for node in self.nodes}


def make(nodes: int, pods: int, ipv6: bool) -> Plan:
    """Plan a lab of ``nodes`` nodes with ``pods`` pods each. Raises UsageError for what cannot be."""
    if not 1 <= nodes <= MAX_NODES:
        raise UsageError(f"{nodes} nodes cannot be", hint=f"1 to {MAX_NODES}")
    if not 0 <= pods <= MAX_PODS:
        raise UsageError(f"{pods} pods on each node cannot be", hint=f"0 to {MAX_PODS}")
    numbers = range(1, nodes + 1)
    return Plan(
        nodes=tuple(_node(number) for number in numbers),
        pods=tuple(
            _pod(index * nodes + number - 1, number, host=index + 2) for index in range(pods) for number in numbers
        ),
        ipv6=ipv6,
    )


def _node(number: int) -> NodePlan:
    ip = f"192.168.52.{10 + number}"
    vtep, gateway = f"10.244.{number}.0", f"10.244.{number}.1"
    return NodePlan(
        number=number,
        name=f"node{number}",
        ip=ip,
        mac=_mac("02:42", ip),
        vtep_ip=vtep,
        vtep_mac=_mac("02:f4", vtep),
        gateway=gateway,
        gateway_mac=_mac("0a:58", gateway),
        subnet=f"{vtep}/24",
        ip6=f"fd00:192:168:52::{10 + number}",
        vtep6_ip=f"fd00:10:244:{number}::",
        vtep6_mac=_mac("02:f6", vtep),
        gateway6=f"fd00:10:244:{number}::1",
        subnet6=f"fd00:10:244:{number}::/64",
    )


def _pod(index: int, number: int, host: int) -> PodPlan:
    name = f"pod-{letters(index)}"
    ip = f"10.244.{number}.{host}"
    digest = hashlib.sha256(name.encode()).hexdigest()
    return PodPlan(
        name=name,
        node=f"node{number}",
        ip=ip,
        mac=_mac("0a:58", ip),
        ip6=f"fd00:10:244:{number}::{host:x}",
        gateway=f"10.244.{number}.1",
        gateway6=f"fd00:10:244:{number}::1",
        hostveth=f"veth{zlib.crc32(name.encode()):08x}",
        hostveth_mac=_mac("02:76", ip),
        uid=f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}",
        container=digest,
    )


def letters(index: int) -> str:
    """a … z, aa, ab …: the names of pods, counted as spreadsheets count columns."""
    text = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        text = chr(ord("a") + rest) + text
    return text


def _mac(prefix: str, ip: str) -> str:
    """Two fixed bytes and the address's four."""
    return ":".join([prefix, *(f"{int(part):02x}" for part in ip.split("."))])
