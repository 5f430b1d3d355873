"""containerd with its overlayfs snapshotter: two namespaces, pods' labels, snapshots that no container uses."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from tests.conformance.stores import archive, content
from tests.conformance.stores.machine import Machine, machine

PROGRAMS = ("containerd", "ctr", "runc", "busybox", "unshare", "nsenter", "ip")
STORE = "/var/lib/containerd"
SNAPSHOTS = f"{STORE}/io.containerd.snapshotter.v1.overlayfs/snapshots"
ORPHAN = "4711"
"""A number that no snapshot has."""
SETTINGS = """
version = 2
[debug]
  level = "warn"
[plugins."io.containerd.gc.v1.scheduler"]
  startup_delay = "1h"
  mutation_threshold = 1000000
"""
"""Its collector would remove what nobody owns a moment after it starts, and every hundred changes."""
APP, OTHER, DEEP = "docker.io/library/app:1", "docker.io/library/other:1", "docker.io/library/deep:1"
LEVELS = 60
"""So many layers' paths do not fit the page that mount(2) takes: the daemon gives them as relative ones."""
LAYERS = (
    archive.Change(
        "second",
        files={
            "data/changed": b"changed anew\n",
            "data/replaced/new": b"new\n",
            "data/becomes-file": b"file\n",
            "opt/added/file": b"added\n",
        },
        folders=("opt", "opt/added"),
        deleted=("data/deleted", "etc/odd/two words"),
        opaque=("data/replaced", "data/emptied"),
    ),
    archive.Change(
        "third",
        files={"data/deleted": b"back\n", "data/becomes-folder/x": b"x\n"},
        folders=("data/becomes-folder",),
        links={"data/link": "kept"},
        deleted=("opt/added", "data/changed", "data/removed"),
        mode=0o4711,
    ),
)


@dataclass(frozen=True)
class Containerd:
    """A daemon that runs."""

    machine: Machine
    saved: str = ""
    """A root with a copy of its store, made while the daemon did not run."""

    def __call__(self, *arguments: str, namespace: str = "default") -> str:
        """What ``ctr`` says."""
        return self.machine.run("ctr", "-n", namespace, *arguments).decode(errors="surrogateescape").rstrip("\n")

    def rows(self, *arguments: str, namespace: str = "default") -> list[list[str]]:
        """The words of a table's lines, without its head."""
        return [line.split() for line in self(*arguments, namespace=namespace).splitlines()[1:]]

    def snapshot(self, key: str, namespace: str = "default") -> dict[str, Any]:
        """``ctr snapshots info``."""
        return cast("dict[str, Any]", json.loads(self("snapshots", "info", key, namespace=namespace)))

    def container(self, name: str, namespace: str = "default") -> dict[str, Any]:
        """``ctr containers info``."""
        return cast("dict[str, Any]", json.loads(self("containers", "info", name, namespace=namespace)))

    def layers(self, key: str, namespace: str = "default") -> list[str]:
        """The directories of an active snapshot, uppermost first, as its mount has them."""
        # mount -t overlay overlay TARGET -o index=off,workdir=…,upperdir=…,lowerdir=…:…
        words = self("snapshots", "mounts", "/target", key, namespace=namespace).split()
        options = dict(option.partition("=")[::2] for option in words[-1].split(","))
        return [options["upperdir"], *options["lowerdir"].split(":")]


def fill(containerd: Containerd, folder: Path) -> None:
    """Images ``app`` (three layers) and ``other`` (on app's second) in two namespaces, containers, loose snapshots."""
    content.plant(folder / "tree")
    base = content.tar(folder / "tree", folder / "base.tar").read_bytes()
    second, third = map(archive.layer, LAYERS)
    other = archive.layer(archive.Change("other", files={"etc/other": b"other\n"}))
    archive.write(folder / "app.tar", APP, (base, second, third), ("ADD tree", "RUN second", "RUN third", "CMD sh"))
    archive.write(folder / "other.tar", OTHER, (base, second, other), ("ADD tree", "RUN second", "RUN other"))
    archive.write_deep(folder / "deep.tar", DEEP, LEVELS, base)
    containerd("images", "import", str(folder / "deep.tar"))
    for namespace in ("default", "k8s.io"):
        for name in ("app", "other"):
            containerd("images", "import", str(folder / f"{name}.tar"), namespace=namespace)
    pod = ("io.kubernetes.pod.name=web", "io.kubernetes.pod.namespace=shop", "io.kubernetes.pod.uid=1-2-3")
    server = (*pod, "io.cri-containerd.kind=container", "io.kubernetes.container.name=server")
    run(containerd, "writer", APP, content.WRITE)
    run(containerd, "quiet", APP)
    run(containerd, "on-deep", DEEP, "rm /deep/000")
    run(containerd, "sandbox", OTHER, "", "k8s.io", (*pod, "io.cri-containerd.kind=sandbox"))
    run(containerd, "server", OTHER, "echo served >/etc/served", "k8s.io", server)
    containerd("containers", "create", APP, "created")
    top = containerd.snapshot("quiet")["Parent"]
    containerd("snapshots", "prepare", "loose", top)
    containerd("snapshots", "view", "seen", top)
    containerd("snapshots", "prepare", "to-commit", top)
    containerd("snapshots", "commit", "committed", "to-commit")
    containerd("snapshots", "view", "of-committed", "committed")
    containerd("snapshots", "prepare", "bottom")
    containerd("snapshots", "prepare", "given-up", top)
    containerd("snapshots", "rm", "given-up")


def run(
    containerd: Containerd,
    name: str,
    image: str,
    script: str = "",
    namespace: str = "default",
    labels: Sequence[str] = (),
) -> None:
    """Run a container, and a script in it to its end."""
    options = [word for label in labels for word in ("--label", label)]
    sleep = ("/bin/sleep", "1000")
    group = ("--cgroup", f"{containerd.machine.group}/{name}")  # else runc makes one that nobody removes
    containerd("run", "--detach", "--null-io", *group, *options, image, name, *sleep, namespace=namespace)
    if script:
        containerd("tasks", "exec", "--exec-id", "script", name, "/bin/sh", "-c", script, namespace=namespace)


@contextmanager
def running(folder: Path) -> Generator[Containerd]:
    """The daemon, its store filled. Its containers do not notice that it was away meanwhile."""
    with machine(folder) as own:
        containerd = Containerd(own)
        with started(own):
            fill(containerd, folder)
        orphan = Path(f"{own.root}{SNAPSHOTS}/{ORPHAN}/fs")
        orphan.mkdir(parents=True)
        (orphan / "lost").write_bytes(b"lost\n" * 1000)
        saved = own.copy(STORE)
        with started(own):
            yield replace(containerd, saved=saved)


def started(own: Machine) -> AbstractContextManager[None]:
    """The daemon, as long as the context lasts."""
    Path(own.root, "run/containerd.toml").write_text(SETTINGS)
    return own.daemon("containerd", "--config", "/run/containerd.toml", ready=lambda: answers(own))


def answers(own: Machine) -> bool:
    """Whether it does already."""
    asked = subprocess.run(own.inside("ctr", "version"), capture_output=True, env=own.environment, check=False)
    return asked.returncode == 0
