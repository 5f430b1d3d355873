"""Which process is in which container: what netfs says, and what the engines that run them say.

Each engine has a machine of its own with containers of all sorts, looked at once; Docker's a second time with its
daemon killed: then its files are all that there is.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from netfs.container.node import Kernel, Node
from netfs.model.containers import Limits, Placed
from netfs.model.places import NodeRoot
from netfs.model.processes import Process
from tests.conformance.containers.engines import import_base
from tests.conformance.stores import archive, containerd, content, docker, podman
from tests.conformance.stores.machine import Machine, children, machine

pytestmark = pytest.mark.kernel

WAIT_S = 10
RUNNING = ("forks", "beside", "powerful")
"""Docker's."""
FORKS = "/bin/sleep 1000 & /bin/sleep 1001 & /bin/sh -c '/bin/sleep 1002; true' & wait"
"""The script of a container whose first process has children and grandchildren."""


@dataclass(frozen=True)
class View:
    """A machine at one moment."""

    placed: dict[str, Placed]
    """By the containers' names, or what they are called by."""
    processes: dict[int, Process]
    """By pid, as the tests number them."""
    wrong: dict[str, str]
    """What was wrong with engines, by name."""

    def inside(self, name: str) -> set[int]:
        """The processes of a container, as its machine numbers them."""
        return {self.number(pid) for pid in self.placed[name].pids}

    def number(self, pid: int) -> int:
        """A process as its machine numbers it."""
        return self.processes[pid].pids[1]


@dataclass(frozen=True)
class Told:
    """What an engine said of its containers, and what netfs made of the machine."""

    view: View
    tops: dict[str, set[int]]
    """Processes by container, as the machine numbers them."""
    inits: dict[str, int]
    """First processes by container, in the same way."""
    dead: View | None = None
    """With the daemon killed."""


def look(own: Machine) -> View:
    node = Node(NodeRoot("machine", own.root, members=(own.pid,)), Kernel(), 10)
    wrong = {engine.name: str(engine.gaps) for engine in node.engines if engine.gaps}
    return View({one.container.name or one.container.id: one for one in node.placed}, dict(node.by_pid), wrong)


def numbers(table: str) -> set[int]:
    """The first column of what ``ps`` or its like says, without its head."""
    return {int(line.split()[0]) for line in table.splitlines()[1:]}


def settled(own: Machine, sizes: Mapping[str, int]) -> View:
    """A look at it when containers have so many processes: what was just started is still becoming what it is to be."""
    until = time.monotonic() + WAIT_S
    while True:
        view = look(own)
        found = {name: len(view.placed[name].pids) for name in sizes if name in view.placed}
        if found == sizes or time.monotonic() > until:
            return view  # the tests say what is wrong with it
        time.sleep(0.02)


@contextmanager
def plain(own: Machine) -> Generator[None]:
    """A container without an engine: a shell in namespaces of its own."""
    program = "busybox sleep 1000 & echo ready; wait"
    command = own.inside("unshare", "-mnipf", "--mount-proc", "sh", "-c", program)
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=own.environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield
        finally:
            for pid in children(process.pid):
                for child in children(pid):
                    with suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)


@contextmanager
def running_docker(folder: Path) -> Generator[Told]:
    with machine(folder, {"DOCKER_HOST": f"unix://{docker.SOCKET}"}) as own, ExitStack() as stack:
        engine = docker.Docker(own)
        stack.enter_context(docker.started(engine))
        import_base(engine, folder)
        group, none = ("--cgroup-parent", own.group), ("--network", "none")
        sleep = ("base:1", "/bin/sleep", "1000")
        for name, options, program in (
            ("forks", none, ("base:1", "/bin/sh", "-c", FORKS)),
            ("beside", ("--network", "container:forks", "--pid", "container:forks"), sleep),
            ("powerful", (*none, "--cap-add", "SYS_ADMIN", "--pid", "host", "--memory", "64m"), sleep),
            ("stopped", none, sleep),
        ):
            engine("run", "-d", *group, *options, "--name", name, *program)
        engine("exec", "-d", "forks", "/bin/sleep", "1003")
        engine("kill", "stopped")
        stack.enter_context(plain(own))
        view = settled(own, {"forks": 6, "stopped": 0})
        tops = {name: numbers(engine("top", name, "-eo", "pid")) for name in RUNNING}
        inspected = {name: engine.container(name) for name in RUNNING}
        kill(own, Path(own.root, "run/docker.pid"), view)
        yield Told(view, tops, {name: one["State"]["Pid"] for name, one in inspected.items()}, look(own))


def kill(own: Machine, written: Path, view: View) -> None:
    """End a daemon as it may end any moment, by the number that it wrote down in its machine."""
    (daemon,) = (pid for pid in view.processes if view.number(pid) == int(written.read_text()))
    pidfd = os.pidfd_open(daemon)
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        assert select.select([pidfd], [], [], WAIT_S)[0]
    finally:
        os.close(pidfd)


@contextmanager
def running_containerd(folder: Path) -> Generator[Told]:
    with machine(folder) as own, containerd.started(own), plain(own):
        ctr = containerd.Containerd(own)
        content.plant(folder / "tree")
        base = content.tar(folder / "tree", folder / "base.tar").read_bytes()
        archive.write(folder / "base.img", containerd.APP, (base,), ("ADD tree",))
        ctr("images", "import", str(folder / "base.img"))
        for name, group in (("grouped", f"{own.group}/grouped"), ("loose", "")):
            options = ("--detach", "--null-io", "--cgroup", group)
            ctr("run", *options, containerd.APP, name, "/bin/sh", "-c", FORKS)
        try:
            ctr("tasks", "exec", "--detach", "--exec-id", "more", "loose", "/bin/sleep", "1003")
            view = settled(own, {"grouped": 5, "loose": 6})
            inits = {row[0]: int(row[1]) for row in ctr.rows("tasks", "ls")}
            yield Told(view, {"grouped": numbers(ctr("tasks", "ps", "grouped"))}, inits)
        finally:
            ctr("tasks", "rm", "--force", "loose")  # runc made a group for it below ours


@contextmanager
def running_podman(folder: Path) -> Generator[Told]:
    settings = folder / "containers.conf"
    settings.write_text(podman.CONFIGURATION)
    with machine(folder, {"CONTAINERS_CONF": str(settings)}, unified=False) as own:
        engine = podman.Podman(own)
        Path(own.root, "etc/containers/storage.conf").write_text(podman.STORAGE)
        own.run("mkdir", "-p", podman.MORE)
        import_base(engine, folder, "--quiet")
        engine("run", "-d", "--name", "forks", "base:1", "/bin/sh", "-c", FORKS)
        group = ("--cgroups", "enabled", "--cgroup-parent", own.group)
        engine("run", "-d", "--name", "grouped", *group, "base:1", "/bin/sleep", "1000")
        engine("exec", "-d", "forks", "/bin/sleep", "1003")
        view = settled(own, {"forks": 6, "grouped": 1})
        told = engine.json("container", "inspect", "forks", "grouped")
        yield Told(view, {}, {one["Name"]: one["State"]["Pid"] for one in told})


@pytest.fixture(scope="module")
def of_docker(play: Callable[..., Told]) -> Generator[Told]:
    with ExitStack() as stack:
        yield play(running_docker, docker.PROGRAMS, stack)


@pytest.fixture(scope="module")
def of_containerd(play: Callable[..., Told]) -> Generator[Told]:
    with ExitStack() as stack:
        yield play(running_containerd, containerd.PROGRAMS, stack)


@pytest.fixture(scope="module")
def of_podman(play: Callable[..., Told]) -> Generator[Told]:
    with ExitStack() as stack:
        yield play(running_podman, podman.PROGRAMS, stack)


def firsts(told: Told) -> dict[str, int]:
    """Containers' first processes, as netfs has them."""
    inits = {name: told.view.placed[name].init for name in told.inits}
    return {name: told.view.number(init) for name, init in inits.items() if init is not None}


def test_docker_has_the_processes_that_docker_top_lists(of_docker: Told) -> None:
    """With another's PID and network namespaces, with the host's, and what ``docker exec`` started."""
    assert {name: of_docker.view.inside(name) for name in RUNNING} == of_docker.tops
    assert firsts(of_docker) == of_docker.inits
    assert {of_docker.view.placed[name].by for name in RUNNING} == {"cgroup"}
    assert not any(of_docker.view.placed[name].uncertain for name in RUNNING)
    assert not of_docker.view.wrong


def test_a_container_that_was_stopped_is_nowhere(of_docker: Told) -> None:
    stopped = of_docker.view.placed["stopped"]
    assert (stopped.container.state, stopped.pids, stopped.by, stopped.uncertain) == ("exited", (), "", "")


def test_no_process_is_in_two_containers(of_docker: Told, of_containerd: Told) -> None:
    for told in (of_docker, of_containerd):
        pids = [pid for placed in told.view.placed.values() for pid in placed.pids]
        assert len(pids) == len(set(pids))


def test_with_the_daemon_killed_its_files_say_the_same(of_docker: Told) -> None:
    dead = of_docker.dead
    assert dead is not None
    assert list(dead.wrong) == ["docker"]
    assert dead.placed.keys() == of_docker.view.placed.keys()
    for name, placed in dead.placed.items():
        before = of_docker.view.placed[name]
        assert replace(placed, container=before.container) == before
        assert placed.container.limits == before.container.limits
    assert dead.placed["powerful"].container.limits == Limits(memory=64 << 20, memory_swap=128 << 20)


def test_namespaces_alone_are_a_container_as_well(of_docker: Told, of_containerd: Told) -> None:
    for told in (of_docker, of_containerd):
        (name,) = (name for name, one in told.view.placed.items() if one.by == "namespace")
        placed = told.view.placed[name]
        assert name == f"sh-{placed.init}"
        assert [told.view.processes[pid].comm for pid in placed.pids] == ["sh", "busybox"]
        assert placed.uncertain


def test_containerd_has_the_processes_that_ctr_lists(of_containerd: Told) -> None:
    grouped = of_containerd.view.placed["grouped"]
    assert (grouped.by, of_containerd.view.inside("grouped")) == ("cgroup", of_containerd.tops["grouped"])
    assert firsts(of_containerd) == of_containerd.inits


@pytest.mark.parametrize(("engine", "name"), [("of_containerd", "loose"), ("of_podman", "forks")])
def test_without_a_group_of_its_own_it_is_all_of_its_pid_namespace(
    engine: str, name: str, request: pytest.FixtureRequest
) -> None:
    """Also what was started in it later; but not who watches it from outside (conmon)."""
    told: Told = request.getfixturevalue(engine)
    placed = told.view.placed[name]
    assert (placed.by, placed.uncertain) == ("pid", "")
    assert placed.init is not None
    own = told.view.processes[placed.init].namespaces["pid"]
    assert set(placed.pids) == {pid for pid, one in told.view.processes.items() if one.namespaces.get("pid") == own}
    assert sorted(told.view.processes[pid].comm for pid in placed.pids) == ["sh", "sh", *["sleep"] * 4]


def test_podman_has_the_process_that_it_names(of_podman: Told) -> None:
    assert firsts(of_podman) == of_podman.inits
    assert of_podman.view.placed["grouped"].by == "cgroup"
    assert of_podman.view.placed["grouped"].cgroup.endswith(f"libpod-{of_podman.view.placed['grouped'].container.id}")
