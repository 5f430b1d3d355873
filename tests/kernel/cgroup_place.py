"""Control groups of a test's own, in every hierarchy of this kernel, that are gone when it ends."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

Test = TypeVar("Test", bound=Callable[..., None])
UNIFIED = ""
PATIENCE = 10.0


def as_root(test: Test) -> Test | None:
    """A test that an ordinary user does not have: only root may make groups."""
    return test if os.geteuid() == 0 else None


def hierarchies() -> dict[str, Path]:
    """Where each controller is mounted; version 2 by an empty name."""
    found: dict[str, Path] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split()[:3]
        if kind.startswith("cgroup"):
            for name in [UNIFIED] if kind == "cgroup2" else options.split(","):
                found.setdefault(name, Path(before.split()[4]))
    return found


class Place:
    """Groups of one name, one in each hierarchy."""

    def __init__(self) -> None:
        self.path = f"/netfs-test-{secrets.token_hex(6)}"
        self._mounts = hierarchies()
        self._started: list[subprocess.Popen[bytes]] = []

    def folder(self, controller: str, below: str = "") -> Path:
        return Path(f"{self._mounts[controller]}{self.path}{below}")

    def make(self, controllers: Sequence[str], below: str = "") -> None:
        for controller in controllers:
            self.folder(controller, below).mkdir(exist_ok=True)

    def write(self, controller: str, name: str, text: str) -> None:
        (self.folder(controller) / name).write_text(text)

    def read(self, controller: str, name: str) -> str:
        return (self.folder(controller) / name).read_text().strip()

    def keyed(self, controller: str, name: str) -> dict[str, int]:
        return {key: int(word) for key, word in map(str.split, self.read(controller, name).splitlines())}

    def start(self, controllers: Sequence[str], script: str, below: str = "") -> subprocess.Popen[bytes]:
        """A shell in these groups."""
        files = [str(self.folder(controller, below) / "cgroup.procs") for controller in controllers]
        enter = 'for file; do echo $$ >"$file" || exit 99; done; '
        command = ["sh", "-c", enter + script, "sh", *files]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._started.append(process)
        return process

    def remove(self) -> None:
        """End what is in the groups, by its number, and remove them."""
        for process in self._started:
            process.kill()
        roots = [folder for folder in {self.folder(name) for name in self._mounts} if folder.is_dir()]
        for folder in [below for root in roots for below in sorted(root.rglob("*/"), reverse=True)] + roots:
            _emptied(folder)
        for process in self._started:
            process.wait()


def _emptied(folder: Path) -> None:
    """Groups of which something else remained for too long stay, and the test fails."""
    until = time.monotonic() + PATIENCE
    while folder.exists():
        with suppress(OSError):
            (folder / "freezer.state").write_text("THAWED")
        with suppress(OSError):
            (folder / "cgroup.freeze").write_text("0")
        for pid in _processes(folder):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            folder.rmdir()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


def _processes(folder: Path) -> list[int]:
    try:
        return [int(pid) for pid in (folder / "cgroup.procs").read_text().split()]
    except OSError:  # a threaded group does not tell; none of ours has any
        return []


@contextmanager
def place() -> Iterator[Place]:
    own = Place()
    try:
        yield own
    finally:
        own.remove()


def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)
