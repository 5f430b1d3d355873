"""Whatever a hand or an accident makes of a snapshot, it is refused in one line or answered: no crash, no hang.

A sound document of a small lab is spoilt at random places. Most of the new values are of the old one's kind, so that
many spoilt documents pass the door and reach the rooms behind it: a master of itself, a peer that is no veth, a route
to a device that is not there.
"""

from __future__ import annotations

import copy
import json
import time
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from netfs.api import Cluster
from netfs.errors import NetfsError
from netfs.model.kubernetes import LabelSelector, NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule, Requirement
from netfs.model.snapshot import Connection, Snapshots
from netfs.sources import document
from netfs_cli import inventory
from netfs_cli.render.findings import findings as render_findings
from netfs_cli.render.ink import Ink
from netfs_cli.render.inventory import render as render_inventory
from netfs_cli.render.trace import render as render_trace
from tests.unit import clusters, services

LISTING = (Path(__file__).parents[1] / "unit" / "netfilter_listing.json").read_text()
NUMBERS = (0, 1, 2, 3, 4, 5, 6, 7, 16, 100, 128, 253, 254, 255, 1500, 8472, 65535, 2**31 - 1, 2**32 - 1, 2**63, -1)
TEXTS: tuple[str, ...] = (
    "",
    "eth0",
    "cni0",
    "veth",
    "bridge",
    "vxlan",
    "macvlan",
    "vlan",
    "vrf",
    "tun",
    "local",
    "blackhole",
    "node2",
)
TEXTS += ("10.244.1.2", "10.244.2.2", "0.0.0.0", "255.255.255.255", "224.0.0.1", "0.0.0.0/0", "10.244.1.2/32", "::/0")
TEXTS += ("fd00::1", "fe80::1", "::", "ff02::1", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "02:f4:0a:f4:02:00")
TEXTS += (
    "10.96.0.10",
    "192.0.2.10",
    "web",
    "heads",
    "default",
    "tcp",
    "udp",
    "ExternalName",
    "NodePort",
    "Local",
    "None",
)
TEXTS += ("\x1b[2J\n", "[bold]x[/]", "\ud7ff\u202e", "a" * 300, "99999", "%", "{}", "{")
OTHERS: tuple[Any, ...] = (None, True, False, 1.5, 1e300, [], {}, [1], {"a": 1}, [[[[]]]])
REQUESTS: tuple[dict[str, Any], ...] = (
    {},
    {"proto": "tcp", "port": 80},
    {"size": 3000, "df": False},
    {"family": 6},
    {},
    {},
    {"proto": "udp", "port": 53},
    {"port": 80},
    {"proto": "icmp"},
)
PAIRS = (
    ("pod-a", "pod-b"),
    ("pod-a", "pod-c"),
    ("node/node1", "10.244.2.2"),
    ("pod-b", "8.8.8.8"),
    ("pod-d", "fd00::1"),
    ("pod-a", "svc/web"),
    ("pod-b", "svc/heads:80"),
    ("node/node1", "10.96.0.11"),
    ("fabric", "192.0.2.10"),
)
CONNECTION = Connection(
    "tcp", "10.244.1.2", "10.96.0.10", "10.244.2.2", "10.244.1.2", 40000, 80, 80, 40000, ("confirmed", "dnat")
)
RECENT = "KUBE-SEP-4MCNSM2JLE5VUTYA src=10.244.1.2 ttl: 64 last_seen: 4298215591 oldest_pkt: 1 4298215591\n"
POLICY = NetworkPolicy(
    "only-web",
    pods=LabelSelector({"app": "web"}, (Requirement("tier", "In", ("front",)),)),
    types=("Ingress", "Egress"),
    ingress=(PolicyRule((PolicyPeer(LabelSelector(), cidr=None),), (PolicyPort("tcp", 80, 90),)),),
    egress=(PolicyRule((PolicyPeer(cidr="10.0.0.0/8", excluded=("10.1.0.0/16",)),)),),
)
SLOW = 5.0
"""Seconds that no answer about a lab of two nodes may take."""


def sound() -> Any:
    """The document that is spoilt: nodes with firewalls and connections, and the objects of an API."""
    snapshots = clusters.change(
        clusters.cluster(2, 2),
        "node1",
        lambda netns: replace(
            netns,
            firewall=replace(services.firewall("iptables", "node1"), nft=LISTING, recent=RECENT),
            connections=(CONNECTION,),
        ),
    )
    return msgspec.to_builtins(Snapshots(tuple(snapshots), replace(services.OBJECTS, network_policies=(POLICY,))))


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a document."""
    found = [path] if path else []
    keys = node.keys() if isinstance(node, dict) else range(len(node)) if isinstance(node, list | tuple) else ()
    return found + [below for key in keys for below in places(node[key], (*path, key))]


def spoilt(whole: Any, paths: list[tuple[Any, ...]], random: Random) -> Any:
    """The document with one to six values replaced, removed or doubled."""
    made = copy.deepcopy(whole)
    for path in random.choices(paths, k=random.choice((1, 1, 1, 2, 3, 6))):
        try:
            holder = made
            for key in path[:-1]:
                holder = holder[key]
            holder[path[-1]] = _another(holder[path[-1]], whole, paths, random)
            if isinstance(holder, list) and random.random() < 0.2:
                holder.append(copy.deepcopy(holder[path[-1]]))
            elif random.random() < 0.1:
                del holder[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue
    return made


def _another(value: Any, whole: Any, paths: list[tuple[Any, ...]], random: Random) -> Any:
    """Another value, mostly of the same kind."""
    if random.random() < 0.1:
        return random.choice(OTHERS)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return random.choice((value + 1, value ^ 1 << random.randrange(18), random.choice(NUMBERS)))
    if isinstance(value, str) or value is None:
        return random.choice((random.choice(TEXTS), random.choice(NUMBERS) if value is None else random.choice(TEXTS)))
    other = whole
    for key in random.choice([path for path in random.choices(paths, k=30) if len(path) > 2] or paths):
        other = other[key]
    return copy.deepcopy(other) if type(other) is type(value) else value


def ask_everything(data: bytes) -> bool:
    """Load a document and ask all there is to ask; False where it was refused."""
    try:
        cluster = Cluster(document.decode(data))
    except NetfsError:
        return False
    ink = Ink(colour=False)
    for number, (source, destination) in enumerate(PAIRS):
        try:
            trace = cluster.trace(source, destination, **REQUESTS[number % len(REQUESTS)])
        except NetfsError:
            continue
        assert trace.verdict in ("delivered", "dropped", "unknown")
        assert plain(render_trace(trace, ink, width=100, wide=True))
        msgspec.json.encode(trace)
    assert plain("\n".join(render_findings(cluster.findings(), ink, 100)))
    for rows in (
        inventory.nodes(cluster.topology),
        inventory.pods(cluster.topology, None),
        inventory.links(cluster.topology),
        inventory.services(cluster.services, None),
        inventory.services(Cluster(replace(cluster.snapshots, kubernetes=None)).services, None),
    ):
        assert plain(render_inventory(rows, ink, wide=True, names=False, headers=True, every=True))
    return True


def plain(text: str) -> bool:
    """Whether a terminal would take nothing in the text for a command."""
    return all(line.isprintable() for line in text.split("\n"))


def play(seed: int, count: int) -> int:
    """Spoil and ask ``count`` times; how many documents passed the door."""
    whole = json.loads(json.dumps(sound()))
    paths = places(whole)
    passed = 0
    for number in range(seed, seed + count):
        made = json.dumps(spoilt(whole, paths, Random(number))).encode()
        begin = time.process_time()
        try:
            passed += ask_everything(made)
        except Exception as error:
            raise AssertionError(f"seed {number}: {type(error).__name__}: {error}") from error
        assert time.process_time() - begin < SLOW, f"seed {number} takes too long"
    return passed


def test_a_spoilt_snapshot_is_refused_or_answered() -> None:
    """A few hundred documents; at least a third of them pass the door, else nothing behind it was tried."""
    assert play(0, 300) > 100


@pytest.mark.soak
def test_many_spoilt_snapshots_are_refused_or_answered() -> None:
    """Thousands more."""
    assert play(1_000, 5_000) > 1_600
