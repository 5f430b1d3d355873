"""Live traces and captures where something is missing: a capability, open files, a home, standard input.

Each run is the command's own, on a node with pods in namespaces that end with it. What fails is one line that says
what is missing; what can go on does, and says what it lost.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

PLACE = """
mount -t tmpfs tmpfs /run
mkdir /run/netns
ip link set lo up
ip link add br0 type bridge
ip link set br0 up
for i in $(seq 2 $((PODS + 1))); do
  ip netns add p$i
  ip link add v$i type veth peer name eth0 netns p$i
  ip link set v$i up master br0
  ip -n p$i link set eth0 up
  ip -n p$i addr add 10.5.0.$i/16 dev eth0
done
live() { "$@" trace p2 p3 --live --wait 500ms --source x=pid:$$; }
record() { "$@" capture --duration 300ms -o json --source x=pid:$$; }
without() { exec setpriv --bounding-set -$1 --inh-caps -$1 "${@:2}"; }
few() { ulimit -n $1; exec "${@:2}"; }
"""
UNSHARE = ("unshare", "-Ur", "unshare", "-nmpf", "--mount-proc", "--kill-child")
RUN = f"{sys.executable} -m netfs_cli"


@pytest.fixture(autouse=True)
def _programs(require_program: Callable[[str], str]) -> None:
    for name in ("ip", "unshare", "setpriv"):
        require_program(name)


def run(command: str, pods: int = 2) -> subprocess.CompletedProcess[str]:
    """In a user namespace of its own, its root's: no one's rights are more there than an ordinary user's."""
    return subprocess.run(
        [*UNSHARE, "bash", "-c", f"set -e; PODS={pods}\n{PLACE}\nset +e\n{command}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (
            f"live without net_raw {RUN}",
            "netfs: x/p2: no probe can be sent: raw socket: Operation not permitted (it needs CAP_NET_RAW)",
        ),
        (f"record without net_raw {RUN}", "netfs: x: packet socket: Operation not permitted (it needs CAP_NET_RAW)"),
        (
            f"record without sys_admin {RUN}",
            "netfs: x: /proc/1/ns/net: Operation not permitted (it needs CAP_SYS_ADMIN)",
        ),
        (f"record few 9 {RUN}", "netfs: x: no listener could begin: Too many open files"),
    ],
)
def test_what_is_missing_is_told_in_one_line(command: str, told: str) -> None:
    done = run(command)
    assert (done.returncode, done.stderr.splitlines()) == (3, [told])


def test_with_few_open_files_the_way_itself_is_heard() -> None:
    done = run(f"live few 64 {RUN}", pods=34)
    assert (done.returncode, done.stderr) == (0, "")
    assert "LIVE there: as predicted  (1 of 1 probe arrived" in done.stdout
    assert "LIVE back: as predicted  (1 of 1 answer arrived" in done.stdout
    assert "not listened to: no more open files (RLIMIT_NOFILE is 64)" in done.stdout


def test_a_filter_that_the_kernel_has_no_room_for_is_told() -> None:
    """Before Linux 6.8 net.core.optmem_max was 20480 by default; here it is less than any program needs."""
    small = "for i in '' 'ip netns exec p2' 'ip netns exec p3'; do $i sysctl -qw net.core.optmem_max=2000; done"
    done = run(f"[ -w /proc/sys/net/core/optmem_max ] || exit 0\n{small}\nlive {RUN}")
    if not done.stdout:
        return  # it is the machine's own on this kernel
    assert "LIVE there: not known" in done.stdout
    assert (
        "x/p2: not listened to: filter: Cannot allocate memory (net.core.optmem_max is too small for it)" in done.stdout
    )
    assert "x: not listened to: filter:" in done.stdout


def test_neither_home_nor_terminal_nor_a_place_for_files_is_needed() -> None:
    bare = f"env -i TMPDIR=/nonexistent {sys.executable} -I -m netfs_cli"
    done = run(f"mount -t tmpfs -o ro tmpfs /dev/shm; live {bare} <&-")
    assert (done.returncode, done.stderr) == (0, "")
    assert "LIVE back: as predicted  (1 of 1 answer arrived" in done.stdout
