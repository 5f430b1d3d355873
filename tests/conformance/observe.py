"""Runs inside a world: pods that answer, probes between them, and the snapshot that traces are made from.

Prints one JSON document: ``snapshot``, what became of every probe as ``outcomes``, and what live traces said as
``proofs``. Everybody answers on TCP and UDP port 80 with its own name and the address it sees, so an answer tells who
was reached and as whom.

usage: python -m tests.conformance.observe PODS PROBES LIVE
  PODS    a file with a line ``NAME PATH-OF-NAMESPACE`` for each pod; the node is where this runs
  PROBES  JSON: the fields of each ``Probe``
  LIVE    JSON: numbers of the probes whose traces are live, and the sources that netfs is given for them
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import TypeVar

from netfs.collect import Target, collect, nsfs
from netfs.collect.target import PodTarget
from netfs.model.snapshot import NetNs, NodeSnapshot, Snapshots
from netfs.sources import document
from tests.conformance.agreement import CLIENT, NODE, Outcome, Probe
from tests.conformance.proof import proved

PORT = 80
AT_ONCE = 100
TURNS = 6
"""Times that a probe's rules are counted until two of them agree."""
PATIENCE = 3
"""Seconds until a probe without an answer counts as lost."""
KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
IP_PKTINFO = 8
ASK_FOR_ADDRESS = {
    socket.AF_INET: (socket.IPPROTO_IP, IP_PKTINFO),
    socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO),
}
T = TypeVar("T")


def serve(path: str, name: str, family: socket.AddressFamily, kind: str) -> None:
    """Start a server in the namespace at ``path``."""
    server = in_namespace(path, lambda: socket.socket(family, KINDS[kind]))
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    server.setsockopt(*ASK_FOR_ADDRESS[family], 1)
    server.bind(("", PORT))
    if kind == "tcp":
        server.listen()

    def answer() -> None:
        while True:
            if kind == "tcp":
                connection, (peer, *_) = server.accept()
                with connection:
                    connection.sendall(f"{name} {peer}".encode())
            else:
                _, ancillary, _, sender = server.recvmsg(64, 64)
                server.sendmsg([f"{name} {sender[0]}".encode()], [answer_from(each) for each in ancillary], 0, sender)

    threading.Thread(target=answer, daemon=True).start()


def answer_from(ancillary: tuple[int, int, bytes]) -> tuple[int, int, bytes]:
    """Answer by the address that was asked, by whatever device the route says (ip(7), ipv6(7))."""
    level, kind, info = ancillary
    if level == socket.IPPROTO_IP:
        return level, kind, bytes(4) + info[8:12] + bytes(4)
    return level, kind, info[:16] + bytes(4)


def in_namespace(path: str, work: Callable[[], T]) -> T:
    """What ``work`` gives in the namespace at ``path``."""

    def there() -> T:
        with nsfs.opened(path) as fd:
            nsfs.enter(fd)
        return work()

    return nsfs.apart(there)


def ping(path: str, destination: str) -> Outcome:
    """Whether an echo is answered."""
    words = ["ping", "-n", "-c1", "-W3", destination]
    done = in_namespace(path, lambda: subprocess.run(words, capture_output=True, check=False))
    return Outcome("dropped" if done.returncode else "delivered")


def ask(path: str, destination: str, kind: str, port: int) -> Outcome:
    """Who answers, and as whom it sees the sender."""
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    with in_namespace(path, lambda: socket.socket(family, KINDS[kind])) as client:
        client.settimeout(PATIENCE)
        try:
            client.connect((destination, port))
            client.sendall(b"who")
            words = client.recv(64).decode().split()
        except OSError:
            words = []
    return Outcome("delivered", words[0], words[1]) if words else Outcome("dropped")


def counted(file: bytes) -> dict[str, int]:
    """Packets by rule of what iptables-save prints; a rule that stands there twice counts as one."""
    found: dict[str, int] = {}
    table = ""
    for line in file.decode().splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("["):
            counters, rule = line[1:].split("] ", 1)
            found[f"{table} {rule}"] = found.get(f"{table} {rule}", 0) + int(counters.split(":")[0])
    return found


def counters() -> dict[str, int]:
    """Packets by rule of both kinds of iptables, now."""
    commands = (["iptables-nft-save", "-c"], ["iptables-legacy-save", "-c"])
    return counted(b"".join(subprocess.run(each, capture_output=True, check=False).stdout for each in commands))


def met(paths: dict[str, str], probe: Probe, outcome: Outcome) -> Outcome:
    """The outcome with the rules met, where one more packet goes there and one comes back."""
    if probe.proto == "tcp" or ":" in probe.dst or probe.by_program or outcome.verdict != "delivered":
        return outcome
    seen: list[tuple[str, ...]] = []
    for _ in range(TURNS):  # packets of the probes before may still be on their way
        before = counters()
        outcome = observed(paths, probe)
        rules = [rule for rule, packets in counters().items() for _ in range(packets - before.get(rule, 0))]
        seen.append(tuple(sorted(rules)))
        if seen[-1:] == seen[-2:-1]:
            break
    return replace(outcome, met=seen[-1])


def observed(paths: dict[str, str], probe: Probe) -> Outcome:
    """What became of it."""
    if probe.port is None:
        return ping(paths[probe.src], probe.dst)
    return ask(paths[probe.src], probe.dst, probe.proto, probe.port)


def plain(node: NodeSnapshot) -> NodeSnapshot:
    """Without what is this machine's alone and no packet meets."""
    return replace(
        node,
        hostname=node.name,
        kernel="kernel",
        release="",
        taken_at=0.0,
        namespaces=tuple(map(_plain, node.namespaces)),
        pods=tuple(replace(pod, containers=()) for pod in node.pods),
        gaps=tuple(gap for gap in node.gaps if not gap.where.startswith("/proc")),
    )


def _plain(netns: NetNs) -> NetNs:
    links = tuple(replace(link, features={}) for link in netns.links)
    return replace(netns, pids=(), pins=(), counters={}, links=links)


def main(pods_file: str, asked: str, live: str) -> None:
    """Answer, probe, collect, trace live, print."""
    paths = dict(line.split() for line in Path(pods_file).read_text().splitlines())
    paths[NODE] = f"/proc/{os.getpid()}/ns/net"
    for name, path in paths.items():
        for family, kind in product((socket.AF_INET, socket.AF_INET6), KINDS):
            serve(path, name, family, kind)
    probes = [Probe(**each) for each in json.loads(asked)]
    with ThreadPoolExecutor(min(len(probes), AT_ONCE)) as pool:
        outcomes = list(pool.map(lambda each: observed(paths, each), probes))
    outcomes = [met(paths, probe, outcome) for probe, outcome in zip(probes, outcomes, strict=True)]
    pods = tuple(PodTarget(name, path) for name, path in paths.items() if name not in (NODE, CLIENT))
    nodes = collect([Target(NODE, paths[NODE], pods=pods), Target(CLIENT, paths[CLIENT])])
    snapshot = document.encode(Snapshots(tuple(map(plain, nodes)))).decode()
    proofs = {number: asdict(each) for number, each in proved(paths, probes, **json.loads(live)).items()}
    print(json.dumps({"snapshot": snapshot, "outcomes": [asdict(each) for each in outcomes], "proofs": proofs}))


if __name__ == "__main__":
    main(*sys.argv[1:])
