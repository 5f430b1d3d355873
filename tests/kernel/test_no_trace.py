"""Reading leaves no trace: what a lab and its reader are made of is the same before and after every question."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import netfs
import netfs.lab
from netfs.lab import cgroups, state
from netfs.lab.inside import capture
from netfs.lab.state import LabState
from netfs_cli.run import run
from tests.kernel.cgroup_place import until
from tests.kernel.traces import Handle, held, left, measured

pytestmark = pytest.mark.kernel
FORMS = ("text", "wide", "json", "yaml")


@pytest.fixture(scope="module", autouse=True)
def _programs(require_program: Callable[[str], str]) -> None:
    for name in ("nft", "ip", "ping"):
        require_program(name)


@contextmanager
def running() -> Iterator[LabState]:
    name = f"trace-{os.getpid()}-{time.monotonic_ns() % 10**9}"
    try:
        yield netfs.lab.up(name)
    finally:
        if state.supervisor(name) is not None:
            netfs.lab.down(name)


@pytest.fixture(scope="module")
def lab() -> Iterator[LabState]:
    with running() as made:
        yield made


def ask_everything(lab: LabState) -> netfs.Containers:
    containers = netfs.containers(f"lab:{lab.name}")
    assert len(containers.placed) == 4
    containers.namespaces(open_files=True)
    containers.namespaces("pod-a")
    for detail in (True, False):
        containers.cgroups(detail=detail)
    for target in ("pod-a", "node/node1", f"pid/{lab.member('pod-b').pid}"):
        containers.inspect(target)
    return containers


def test_the_library_leaves_none(lab: LabState) -> None:
    ask_everything(lab)  # what a process makes once for all
    before = measured(lab)
    ask_everything(lab)
    assert left(lab, before) == {}


@pytest.mark.parametrize(
    ("commands", "forms"),
    [
        (("namespaces", "namespaces --files --tree", "namespaces pod-a -t net"), FORMS),
        (("cgroups --containers", "cgroups pod-a", "cgroups --containers --watch --count 2 -d 50ms"), FORMS),
        (("inspect pod-a", "inspect node/node1"), FORMS),
        (("inspect pid/{pid}", "trace pod-a pod-b --proto tcp --port 80", "get pods -A"), ("text", "json")),
        (("doctor", "get links"), ("text", "json")),
        (("collect",), ()),
        (("layers ls", "layers show pod-a", "layers which pod-a /etc/motd", "layers orphans"), ("text", "json")),
        (("layers diff pod-a", "layers usage", "layers verify pod-a --content"), ("text",)),
    ],
    ids=lambda commands: commands[0].partition(" -")[0] if commands else "",
)
def test_a_command_leaves_none(
    lab: LabState, commands: tuple[str, ...], forms: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    pid = lab.member("pod-b").pid
    before = measured(lab)
    for words in commands:
        asked = [*words.format(pid=pid).split(), "--source", f"lab:{lab.name}"]
        for form in [["-o", form] for form in forms] or [[]]:
            status = run([*asked, *form], program="netfs")
            said = capfd.readouterr()
            # An ordinary user's pods may have no groups of their own.
            assert status in {0, 1, 3} or "no control group" in said.err, (asked, said.err)
            assert "Traceback" not in said.err
    assert left(lab, before) == {}


def test_no_namespace_outlives_its_lab_by_who_read_it() -> None:
    with running() as lab:
        containers = ask_everything(lab)
        own = {
            f"/proc/{member.pid}/ns/{kind}": os.stat(f"/proc/{member.pid}/ns/{kind}").st_ino
            for member in (*lab.nodes, *lab.pods)
            for kind in ("net", "mnt", "pid", "uts", "ipc")
        }
        handles = [handle for path in own if (handle := Handle.of(path)) is not None]
        assert all(handle.living for handle in handles)
        assert set(own.values()) <= {each.id for each in containers.namespaces().namespaces}
        netfs.lab.down(lab.name)
        until(lambda: not any(handle.living for handle in handles))
        assert not held(set(own.values()))
        assert len(containers.placed) == 4


def test_each_kind_of_trace_is_seen() -> None:
    """What the other tests look for, once: none of their comparisons holds whatever happens."""
    expected = {"signals", "own descriptors", "own threads", "read", "files", "rules", "tracking", "pins", "mounts"}
    expected |= {"numbers of namespaces", "sockets"}
    enough = threading.Event()
    with running() as lab:
        pod = lab.member("pod-a")
        before = measured(lab)
        own = os.open(f"/proc/{pod.pid}/ns/net", os.O_RDONLY)
        thread = threading.Thread(target=enough.wait)
        try:
            assert held({os.fstat(own).st_ino})
            os.kill(pod.pid, signal.SIGSTOP)
            os.kill(pod.pid, signal.SIGCONT)
            folder = state.folder(lab.name)
            (folder / "state.json").read_bytes()
            (folder / "left").touch()
            within(lab, "pod-b", f"nft add table ip left; nft '{TRACKING}'")
            within(lab, "pod-a", "mount -t tmpfs left /run; ip netns attach left $$; ip netns set left 4711")
            within(
                lab,
                "pod-a",
                f"{sys.executable} -c '{LISTENER}' >/dev/null 2>&1 & while ! test -e /run/ready; do sleep 0.02; done",
            )
            if shutil.which("iptables-legacy-save") and Path("/proc/net/ip_tables_names").exists():
                within(lab, "pod-b", "iptables-legacy -L -n >/dev/null")
                expected.add("tables")
            for base in cgroups.bases(lab.name, True)[:1] if lab.root else ():
                Path(base, "left").mkdir()
                expected.add("groups")
            thread.start()
            assert left(lab, before).keys() == expected
        finally:
            enough.set()
            os.close(own)
    thread.join()


TRACKING = "add chain ip left out { type filter hook output priority 0; }; add rule ip left out ct state new"
LISTENER = """
import signal, socket
listener = socket.create_server(("127.0.0.1", 7))
open("/run/ready", "w").close()
signal.pause()
"""


def within(lab: LabState, member: str, script: str) -> None:
    """Do something that leaves a trace."""

    def do() -> str:
        done = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, check=False)
        return done.stderr

    assert capture(lab, lab.member(member), do) == ""
