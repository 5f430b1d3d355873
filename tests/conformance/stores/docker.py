"""Docker's daemon with overlay2: images of both builders, containers in every state, a layer that nobody owns."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from tests.conformance.stores import archive, content
from tests.conformance.stores.machine import Machine, machine

PROGRAMS = ("dockerd", "docker", "containerd", "runc", "busybox", "unshare", "nsenter", "ip")
SOCKET = "/run/docker.sock"
STORE = "/var/lib/docker"
DEEP = 80
"""Layers whose paths do not fit the page that mount(2) takes: the daemon gives them as relative ones."""
ORPHAN = "0" * 60 + "dead"
"""A directory that an engine forgot."""
DANGLING = "DANGLINGDANGLINGDANGLINGDA"
"""A link to a directory that is not there."""


class Connection(http.client.HTTPConnection):
    """To a daemon that listens at a path."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self.path)


@dataclass(frozen=True)
class Docker:
    """A daemon that runs."""

    machine: Machine
    saved: str = ""
    """A root with a copy of its store, made while the daemon did not run."""

    def __call__(self, *arguments: str) -> str:
        """What its command-line program says."""
        return self.machine.text("docker", *arguments)

    def get(self, path: str) -> Any:
        """What the daemon answers: names of files can be told apart in it, in lines they cannot."""
        connection = Connection(self.machine.root + SOCKET)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, f"{path}: {body!r}"
            return json.loads(body)
        finally:
            connection.close()

    def container(self, name: str) -> dict[str, Any]:
        """``docker inspect --size``."""
        return cast("dict[str, Any]", self.get(f"/containers/{name}/json?size=1"))

    def image(self, name: str) -> dict[str, Any]:
        """``docker image inspect``."""
        return cast("dict[str, Any]", self.get(f"/images/{name}/json"))


def build(docker: Docker, name: str, lines: str, *, buildkit: bool = False) -> None:
    """Build an image of the lines of a Dockerfile; its context is the lines."""
    docker.machine.run(
        *(
            "env",
            f"DOCKER_BUILDKIT={int(buildkit)}",
            "docker",
            "build",
            "--quiet",
            "--network",
            "none",
            "-t",
            name,
            "-",
        ),
        given=lines.encode(),
    )


def run_lines(script: str) -> str:
    """A RUN of a Dockerfile: its strings are JSON's."""
    return f"RUN {json.dumps(['/bin/sh', '-c', script])}\n"


def fill(docker: Docker, folder: Path) -> None:
    """Images ``base``, ``app`` (three layers), ``other`` (on app's second), ``kit`` (BuildKit's), and containers."""
    content.plant(folder / "tree")
    base = content.tar(folder / "tree", folder / "base.tar")
    docker("import", "--message", "from a tree", str(base), "base:1")
    second = f"FROM base:1\n{run_lines(content.CHANGE)}"
    build(docker, "app:1", f"{second}LABEL stage=two\n{run_lines(content.CHANGE_AGAIN)}")
    build(docker, "other:1", f"{second}ENV other=yes\n{run_lines('echo other >/etc/other')}")
    build(
        docker, "kit:1", f"{second}{run_lines('rm -r /data/many; mkdir /data/many; echo kit >/etc/kit')}", buildkit=True
    )
    build(docker, "gone:1", f"FROM app:1\n{run_lines('echo gone >/etc/gone')}")
    docker("tag", "app:1", "registry.example:5000/team/app:stable")
    start(docker, "writer", "app:1", f"{content.WRITE}\n{content.WRITE_FOLDER_OVER_FILE}")
    start(docker, "quiet", "app:1")
    start(docker, "on-other", "other:1", "rm -r /data/many")
    start(docker, "on-kit", "kit:1", "rm -r /data/many; mkdir /data/many; rm /etc/passwd; mkdir /etc/passwd")
    for name, image, script in (
        ("imageless", "gone:1", "echo left >/etc/left"),
        ("stopped", "base:1", content.WRITE_ELSEWHERE),
        ("removed", "base:1", "true"),
    ):
        docker("run", *options(docker), "--name", name, image, "/bin/sh", "-c", script)
    docker("create", "--name", "created", *options(docker), "base:1", "/bin/true")
    docker("rm", "removed")
    docker("rmi", "-f", "gone:1")


def options(docker: Docker) -> tuple[str, ...]:
    """How every container is run."""
    return ("--network", "none", "--cgroup-parent", docker.machine.group)


def start(docker: Docker, name: str, image: str, script: str = "true") -> None:
    """A container that goes on running, and a script in it to its end."""
    docker("run", "-d", *options(docker), "--name", name, "--label", f"who={name}", image, "/bin/sleep", "1000")
    docker("exec", name, "/bin/sh", "-c", script)


def fill_deep(docker: Docker, folder: Path) -> None:
    """An image of many layers, and a container. It takes its time."""
    content.plant(folder / "tree")
    base = content.tar(folder / "tree", folder / "base.tar")
    archive.write_deep(folder / "deep.tar", "docker.io/library/deep:1", DEEP, base.read_bytes())
    docker("load", "--quiet", "--input", str(folder / "deep.tar"))
    start(docker, "on-deep", "deep:1", "rm /deep/000")


def plant_orphans(store: Path) -> None:
    """What no daemon makes on purpose."""
    orphan = store / "overlay2" / ORPHAN
    (orphan / "diff/etc").mkdir(parents=True)
    (orphan / "diff/etc/lost").write_bytes(b"lost\n" * 1000)
    (orphan / "link").write_text("ORPHANORPHANORPHANORPHANOR")
    (store / "overlay2/l/ORPHANORPHANORPHANORPHANOR").symlink_to(f"../{ORPHAN}/diff")
    (store / "overlay2/l" / DANGLING).symlink_to(f"../{'f' * 64}/diff")


@contextmanager
def running(folder: Path, filled: Callable[[Docker, Path], None] = fill) -> Generator[Docker]:
    """The daemon, its store filled. Its containers do not notice that it was away meanwhile."""
    with machine(folder, {"DOCKER_HOST": f"unix://{SOCKET}"}) as own:
        docker = Docker(own)
        with started(docker):
            filled(docker, folder)
        plant_orphans(Path(own.root + STORE))
        saved = own.copy(STORE)
        with started(docker):
            yield replace(docker, saved=saved)


def started(docker: Docker) -> AbstractContextManager[None]:
    """The daemon, as long as the context lasts."""
    return docker.machine.daemon(
        *("dockerd", "-H", f"unix://{SOCKET}", "-p", "/run/docker.pid", "--storage-driver", "overlay2"),
        *("--bridge=none", "--iptables=false", "--live-restore", "--exec-opt", "native.cgroupdriver=cgroupfs"),
        *("--cgroup-parent", docker.machine.group),  # BuildKit's are below it, too
        ready=lambda: answers(docker),
    )


def answers(docker: Docker) -> bool:
    """Whether it does already."""
    try:
        return bool(docker.get("/version"))
    except (OSError, http.client.HTTPException):
        return False
