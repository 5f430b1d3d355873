"""Podman with its own storage: images it built, one in an additional store, containers in every state, one in a pod."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from tests.conformance.stores import content
from tests.conformance.stores.machine import Machine, machine

PROGRAMS = ("podman", "crun", "conmon", "busybox", "unshare", "nsenter", "ip")
STORE = "/var/lib/containers/storage"
MORE = "/var/lib/more"
"""A store whose images others may use."""
ORPHAN = "0" * 60 + "dead"
DANGLING = "DANGLINGDANGLINGDANGLINGDA"
CONFIGURATION = """
[containers]
cgroups = "disabled"
netns = "none"
log_driver = "none"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "crun"
"""
"""No container of these needs a cgroup."""
STORAGE = f"""
[storage]
driver = "overlay"
graphroot = "{STORE}"
runroot = "/run/containers/storage"
[storage.options]
additionalimagestores = ["{MORE}"]
"""


@dataclass(frozen=True)
class Podman:
    """It has no daemon."""

    machine: Machine
    saved: str = ""
    """A root with a copy of both stores, made while its containers ran."""

    def __call__(self, *arguments: str) -> str:
        """What it says."""
        return self.machine.text("podman", *arguments)

    def json(self, *arguments: str) -> Any:
        """What it says in JSON."""
        return json.loads(self(*arguments))

    def container(self, name: str) -> dict[str, Any]:
        """``podman container inspect --size``."""
        return cast("dict[str, Any]", self.json("container", "inspect", "--size", name)[0])

    def image(self, name: str) -> dict[str, Any]:
        """``podman image inspect``."""
        return cast("dict[str, Any]", self.json("image", "inspect", name)[0])


def build(podman: Podman, folder: Path, name: str, base: str, *scripts: str) -> None:
    """Build an image, a layer for each script."""
    lines = "".join(f"RUN {json.dumps(['/bin/sh', '-c', script])}\n" for script in scripts)
    podman.machine.run(
        *("podman", "build", "--quiet", "--isolation", "chroot", "--layers", "--pull-never", "-t", name, "-f", "-"),
        str(folder),
        given=f"FROM {base}\n{lines}".encode(),
    )


def fill(podman: Podman, folder: Path) -> None:
    """Images ``base``, ``app`` (three layers), ``other`` (on app's second), ``far`` of another store; containers."""
    content.plant(folder / "tree")
    base = str(content.tar(folder / "tree", folder / "base.tar"))
    (folder / "tree/etc/far").write_text("from afar\n")
    far = str(content.tar(folder / "tree", folder / "far.tar"))
    context = folder / "context"
    context.mkdir()
    podman("--root", MORE, "--storage-opt", "", "import", "--quiet", far, "far:1")
    podman("import", "--quiet", "--change", "LABEL base=yes", base, "base:1")
    build(podman, context, "app:1", "base:1", content.CHANGE, content.CHANGE_AGAIN)
    build(podman, context, "other:1", "base:1", content.CHANGE, "echo other >/etc/other")
    build(podman, context, "gone:1", "app:1", "echo gone >/etc/gone")
    podman("pod", "create", "--infra=false", "--name", "web")
    for name, image, script, options in (
        ("writer", "app:1", content.WRITE, ()),
        ("quiet", "app:1", "true", ()),
        ("on-other", "other:1", "rm -r /data/many", ("--pod", "web")),
        ("on-far", "far:1", content.WRITE_ELSEWHERE, ()),
    ):
        podman("run", "-d", "--name", name, *options, image, "/bin/sleep", "1000")
        podman("exec", name, "/bin/sh", "-c", script)
    podman("run", "--name", "stopped", "base:1", "/bin/sh", "-c", content.WRITE_ELSEWHERE)
    podman("create", "--name", "created", "base:1", "/bin/true")


def plant_orphans(store: Path) -> None:
    """What no engine makes on purpose."""
    orphan = store / "overlay" / ORPHAN
    (orphan / "diff/etc").mkdir(parents=True)
    (orphan / "diff/etc/lost").write_bytes(b"lost\n" * 1000)
    (orphan / "link").write_text("ORPHANORPHANORPHANORPHANOR")
    (store / "overlay/l/ORPHANORPHANORPHANORPHANOR").symlink_to(f"../{ORPHAN}/diff")
    (store / "overlay/l" / DANGLING).symlink_to(f"../{'f' * 64}/diff")


@contextmanager
def running(folder: Path) -> Generator[Podman]:
    """Its store, filled."""
    settings = folder / "containers.conf"
    settings.write_text(CONFIGURATION)
    with machine(folder, {"CONTAINERS_CONF": str(settings)}, unified=False) as own:
        Path(own.root, "etc/containers/storage.conf").write_text(STORAGE)
        podman = Podman(own)
        fill(podman, folder)
        plant_orphans(Path(own.root + STORE))
        yield replace(podman, saved=own.copy(STORE, MORE, "/etc/containers"))
