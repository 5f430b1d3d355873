"""A world of its own for software that programs a node's network: namespaces that end with their first process.

In it a node (where the software runs) has ``eth0`` to a client outside, which has the node as its way to everywhere.
/run is its own, and where the software needs it /etc too, so that nothing written there stays.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from netfs.api import Cluster
from netfs.sources import document
from tests.conformance.agreement import Outcome, Probe
from tests.conformance.proof import Proof

ROOT = Path(__file__).parents[2]
NODE_ADDRESS, CLIENT_ADDRESS = "192.0.2.1", "192.0.2.2"
NODE_ADDRESS_6, CLIENT_ADDRESS_6 = "2001:db8::1", "2001:db8::2"
BEGIN = f"""
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/world/home
export HOME=/run/world/home
cd /run/world
ip netns add client
ip link add eth0 type veth peer name eth0 netns client
ip link set lo up
ip link set eth0 up
ip addr add {NODE_ADDRESS}/24 dev eth0
ip addr add {NODE_ADDRESS_6}/64 dev eth0 nodad
ip -n client link set lo up
ip -n client link set eth0 up
ip -n client addr add {CLIENT_ADDRESS}/24 dev eth0
ip -n client addr add {CLIENT_ADDRESS_6}/64 dev eth0 nodad
ip -n client route add default via {NODE_ADDRESS}
ip -n client route add default via {NODE_ADDRESS_6}
echo client /run/netns/client >pods
"""
OWN_ETC = """
cp -a /etc /run/world/etc
mount --bind /run/world/etc /etc
"""
ROUTED = """
routed() { # NAME NUMBER: a pod behind a wire of its own
  ip netns add $1
  ip link add v$1 type veth peer name eth0 netns $1
  ip link set v$1 up
  ip -n $1 link set lo up
  ip -n $1 link set eth0 up
  ip addr add 10.9.$2.1/24 dev v$1
  ip addr add fd09:0:0:$2::1/64 dev v$1 nodad
  ip -n $1 addr add 10.9.$2.2/24 dev eth0
  ip -n $1 addr add fd09:0:0:$2::2/64 dev eth0 nodad
  ip -n $1 route add default via 10.9.$2.1
  ip -n $1 route add default via fd09:0:0:$2::1
  echo $1 /run/netns/$1 >>pods
}
"""
"""Pods that no program made, for firewalls to stand in front of."""
OBSERVE = """
for turn in $(seq 100); do
  ip -n client route get 2001:db8::1 >/dev/null 2>&1 && ! ip -6 addr show tentative | grep -q inet6 && break
  sleep 0.1
done
cd "$ROOT"
"$PYTHON" -m tests.conformance.observe /run/world/pods "$PROBES" "$LIVE" >/run/world/answer
cat /run/world/answer
"""


CANNOT = 77
"""How a build ends whose daemon does not start on this machine at all."""


class NotHereError(Exception):
    """The world's daemon does not start on this machine; its own words say why."""


@dataclass(frozen=True)
class World:
    """What is built, and what is asked of it."""

    build: str
    """Shell lines. They write ``NAME PATH-OF-NAMESPACE`` for each pod into the file ``pods``."""
    probes: tuple[Probe, ...]
    programs: tuple[str, ...]
    """What has to be installed, by name or path."""
    end: str = "true"
    """A command that runs at the end, whatever happened."""
    user: bool = False
    """An ordinary user may play it, in a user namespace."""
    sources: tuple[str, ...] = ("node=pid:1", "client=netns:client")
    """What netfs is given for live traces. Process 1 is the world's first."""


def outcome(fields: dict[str, Any]) -> Outcome:
    """As JSON has it."""
    met = fields.pop("met")
    return Outcome(**fields, met=None if met is None else tuple(met))


class Played(NamedTuple):
    """What a world gave."""

    cluster: Cluster
    outcomes: list[Outcome]
    """Of each probe."""
    proofs: dict[int, Proof]
    """Of those whose traces were live, by their number."""


def play(world: World, live: Sequence[int] = ()) -> Played:
    """Build a world, send its probes, and hand out what was collected and what was observed.

    ``live``: numbers of the probes whose traces are live.
    """
    script = f"trap '({world.end}) >&2' EXIT\n{BEGIN}{world.build}{OBSERVE}"
    # the files of /proc/net belong to who is root when the network namespace is made: so the user namespace comes first
    begin = ["unshare", "-Ur"] if world.user else []
    done = subprocess.run(
        [*begin, "unshare", "-nmpf", "--mount-proc", "--kill-child", "bash", "-c", script],
        capture_output=True,
        text=True,
        timeout=120 + 2 * len(live),
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
            "PYTHON": sys.executable,
            "ROOT": str(ROOT),
            "PROBES": json.dumps([asdict(probe) for probe in world.probes]),
            "LIVE": json.dumps({"numbers": list(live), "sources": world.sources}),
        },
    )
    if done.returncode == CANNOT:
        raise NotHereError(done.stderr)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    snapshots = document.decode(answer["snapshot"].encode())
    return Played(
        Cluster(snapshots),
        [outcome(each) for each in answer["outcomes"]],
        {int(number): Proof(**fields) for number, fields in answer["proofs"].items()},
    )
