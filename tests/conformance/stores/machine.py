"""A machine of its own for an engine that keeps layers: namespaces that end with their first process.

Its /run and /var/lib are in memory, and engines' folders of /etc are copies: so an engine finds its usual places empty,
overlays have a file system that they can lie on, and nothing stays. A test sees its files below ``root``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DEBIAN = "/usr/sbin:/usr/bin:/sbin:/bin"
"""Where Debian's packages put programs: another engine in /usr/local is none of ours."""
START_S = 30
FIRST_PROCESS = """
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755,strictatime tmpfs /var/lib
mkdir -p /run/home /run/netns /run/etc
for folder in containers containerd docker; do
  if [ -d /etc/$folder ]; then cp -a /etc/$folder /run/etc; mount --bind /run/etc/$folder /etc/$folder; fi
done
ip link set lo up
# crun refuses both versions of cgroups side by side; what it writes there all the same, goes with the machine
hidden=no
if [ "$UNIFIED" = no ] && mountpoint -q /sys/fs/cgroup/unified; then
  umount /sys/fs/cgroup/unified
  mount -t tmpfs tmpfs /sys/fs/cgroup/unified
  hidden=yes
fi
echo ready
read -r end || true
# in version 1 what is frozen does not even end; a group below another that is frozen thaws after it
if [ -d /sys/fs/cgroup/freezer"$GROUP" ]; then
  find /sys/fs/cgroup/freezer"$GROUP" -name freezer.state | while read -r state; do echo THAWED >"$state" || true; done
fi
kill -KILL -1
wait
if [ $hidden = yes ]; then umount /sys/fs/cgroup/unified; fi
for turn in $(seq 100); do
  left=no
  for folder in /sys/fs/cgroup"$GROUP" /sys/fs/cgroup/*"$GROUP"; do
    [ -d "$folder" ] || continue
    find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null || left=yes
  done
  [ $left = yes ] || break
  sleep 0.05
done
"""
"""It ends as soon as nobody holds the other side of its input any more; its containers' cgroups go with it.

The file system of its stores notes every access."""


class NotHereError(Exception):
    """The engine does not start on this machine; its own words say why."""


@dataclass(frozen=True)
class Machine:
    """Where an engine runs."""

    pid: int
    """Its first process, as the tests' own namespace numbers it."""
    group: str
    """The cgroup that its containers go below: ``/netfs-layers-…``."""
    log: Path
    """What its daemons say."""
    environment: Mapping[str, str]

    @property
    def root(self) -> str:
        """Its file system, as a test sees it."""
        return f"/proc/{self.pid}/root"

    def inside(self, *command: str) -> list[str]:
        """The words that run a command in it."""
        return ["nsenter", "--target", str(self.pid), "--net", "--mount", "--pid", "--", *command]

    def run(self, *command: str, given: bytes = b"") -> bytes:
        """What a command says that succeeds."""
        done = subprocess.run(
            self.inside(*command), input=given, capture_output=True, check=False, timeout=60, env=self.environment
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.decode(errors='replace')}"
        return done.stdout

    def text(self, *command: str) -> str:
        """What a command says, without the end of its last line."""
        return self.run(*command).decode().rstrip("\n")

    def copy(self, *folders: str) -> str:
        """Copy folders as an administrator would who saves them. What is mounted in them stays behind.

        They lie below a root that holds nothing else: that root's path, as a test sees it.
        """
        saved = f"/var/lib/saved-{uuid.uuid4()}"
        for folder in folders:
            self.run("mkdir", "-p", f"{saved}{folder}")
            self.run("cp", "-ax", f"{folder}/.", f"{saved}{folder}")
        return self.root + saved

    @contextmanager
    def working(self, turn: str) -> Generator[None]:
        """Shell lines over and over as long as the context lasts, twice at least; the turn's number is in ``$i``.

        Each turn succeeds.
        """
        self.run("touch", "/run/working")
        script = f"set -e; i=0; while [ -e /run/working ] || [ $i -lt 2 ]; do i=$((i + 1)); {turn}\ndone"
        with subprocess.Popen(
            self.inside("sh", "-c", script), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment
        ) as worker:
            try:
                yield
            finally:
                self.run("rm", "/run/working")
                _, wrong = worker.communicate(timeout=60)
        assert worker.returncode == 0, wrong.decode(errors="replace")

    @contextmanager
    def daemon(self, *command: str, ready: Callable[[], bool]) -> Generator[None]:
        """A daemon that runs as long as the context does.

        Raises NotHereError where it does not become ready.
        """
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self.inside(*command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment
            )
        try:
            until = time.monotonic() + START_S
            while not ready():
                if process.poll() is not None or time.monotonic() > until:
                    raise NotHereError(self.log.read_text(errors="replace")[-2000:])
                time.sleep(0.02)
            yield
        finally:
            if process.poll() is None:
                # the daemon, not nsenter, which only waits for it
                for pid in children(process.pid):
                    os.kill(pid, signal.SIGTERM)
            process.wait(timeout=30)


def children(pid: int) -> list[int]:
    """The processes that a process started."""
    import psutil

    return [child.pid for child in psutil.Process(pid).children()]


@contextmanager
def machine(folder: Path, environment: Mapping[str, str] | None = None, *, unified: bool = True) -> Generator[Machine]:
    """A machine whose daemons write into ``folder``. ``unified``: cgroups of version 2 may lie beside those of 1."""
    group = f"/netfs-layers-{uuid.uuid4()}"
    settings = {"PATH": DEBIAN, "HOME": "/run/home", "LANG": "C.UTF-8", **(environment or {})}
    with subprocess.Popen(
        ["unshare", "-nmpf", "--mount-proc", "--kill-child", "bash", "-ec", FIRST_PROCESS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**settings, "GROUP": group, "UNIFIED": "yes" if unified else "no"},
        start_new_session=True,  # whoever interrupts the tests lets it end in order
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            if process.stdout.readline() != b"ready\n":
                raise NotHereError(process.stderr.read().decode(errors="replace"))
            (first,) = children(process.pid)
            yield Machine(first, group, folder / "log", settings)
        finally:
            process.stdin.close()
            process.wait(timeout=30)
