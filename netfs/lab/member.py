"""How a node or pod comes to life: its namespaces, its own /proc and /sys, and how its parent talks to it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from netfs.errors import LabError
from netfs.lab import linux

_NAMESPACES = linux.CLONE_NEWNS | linux.CLONE_NEWNET | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_PACKAGES = {"nft": "nftables", "iptables": "iptables", "ip6tables": "iptables", "conntrack": "conntrack"}


@dataclass(frozen=True, slots=True)
class Child:
    """A member, as the process that started it sees it."""

    name: str
    pid: int
    """In the starter's PID namespace."""
    reports: Any
    go: int

    def expect(self, word: str) -> dict[str, Any]:
        """Wait for the next report. Raises LabError with what went wrong in the member."""
        line = self.reports.readline()
        if not line:
            raise LabError("died while it was being built", where=self.name)
        report: dict[str, Any] = json.loads(line)
        if "error" in report:
            raise LabError(report["error"], where=report["where"], hint=report["hint"])
        if report["word"] != word:
            raise LabError(f"reported {report['word']} in place of {word}", where=self.name)
        return report

    def start(self) -> None:
        """Let the member go on."""
        os.write(self.go, b"!")


@dataclass(frozen=True, slots=True)
class Parent:
    """The process that started a member, as the member sees it."""

    where: str
    reports: int
    go: int

    def tell(self, word: str, **facts: Any) -> None:
        """Report, in one line."""
        data = json.dumps({"word": word, **facts}).encode() + b"\n"
        while data:
            data = data[os.write(self.reports, data) :]

    def fail(self, error: BaseException) -> None:
        """Report a failure."""
        if isinstance(error, LabError):
            report = {"error": error.what, "where": error.where or self.where, "hint": error.hint}
        else:
            report = {"error": f"{type(error).__name__}: {error}", "where": self.where, "hint": ""}
        with contextlib.suppress(OSError):
            os.write(self.reports, json.dumps(report).encode() + b"\n")

    def wait(self) -> None:
        """Wait to be let go. Ends the process if the starter is gone."""
        if not os.read(self.go, 1):
            os._exit(1)


def spawn(name: str, body: Callable[[Parent], NoReturn]) -> Child:
    """Start ``body`` as the first process of a PID namespace of its own, with its other namespaces."""
    report_read, report_write = os.pipe()
    go_read, go_write = os.pipe()
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        linux.unshare(linux.CLONE_NEWPID)
        pid = os.fork()
        if pid == 0:
            os.close(report_read)
            os.close(go_write)
            _live(Parent(name, report_write, go_read), body)
        linux.setns(own, linux.CLONE_NEWPID)
    finally:
        os.close(own)
    os.close(report_write)
    os.close(go_read)
    return Child(name, pid, os.fdopen(report_read, encoding="utf-8"), go_write)


def _live(parent: Parent, body: Callable[[Parent], NoReturn]) -> NoReturn:
    try:
        body(parent)
    except BaseException as error:  # noqa: BLE001 (a first process has nobody above it: the starter hears)
        parent.fail(error)
    os._exit(1)


def enter(name: str) -> tuple[str, ...]:
    """Give the calling process namespaces, host name, /proc and /sys of its own. Notes what the host forbids."""
    linux.unshare(_NAMESPACES)
    linux.mount("none", "/", "", linux.MS_REC | linux.MS_PRIVATE)
    linux.sethostname(name)
    linux.name_process(f"netfs:{name}")
    linux.allow_inspection()
    notes = []
    for target, mount in (("/proc", _mount_proc), ("/sys", _mount_sys)):
        try:
            mount()
        except OSError as error:
            notes.append(f"no {target} of its own ({os.strerror(error.errno or 0)})")
    return tuple(notes)


def _mount_proc() -> None:
    linux.mount("proc", "/proc", "proc")


def _mount_sys() -> None:
    """A /sys that shows the namespace's own devices, with the host's control groups put back into it."""
    groups = os.open("/sys/fs/cgroup", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        linux.mount("sysfs", "/sys", "sysfs")
        linux.mount(f"/proc/self/fd/{groups}", "/sys/fs/cgroup", "", linux.MS_BIND | linux.MS_REC)
    finally:
        os.close(groups)


def rest() -> NoReturn:
    """Live on as a first process must: children that end are reaped by the kernel."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        signal.pause()


def write_sysctls(settings: Mapping[str, str]) -> None:
    """Write settings of the namespace the caller is in; those this kernel does not have are left out."""
    for name, value in settings.items():
        try:
            with open("/proc/sys/" + name.replace(".", "/"), "w", encoding="ascii") as file:
                file.write(value)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise LabError(f"{name}={value}: {error.strerror}") from None


def batch(tool: str, lines: Iterable[str]) -> None:
    """Run ``ip`` or ``bridge`` over many lines in one process. Raises LabError with the line that failed."""
    text = "\n".join(lines)
    if not text:
        return
    done = run([tool, "-batch", "-"], text + "\n")
    if done.returncode != 0:
        raise LabError(_complaint(text.splitlines(), done.stderr))


def run(argv: list[str], text: str) -> subprocess.CompletedProcess[str]:
    """Run a system tool with ``text`` as its input. Raises LabError where it is not installed."""
    program = shutil.which(argv[0], path=PATH)
    if program is None:
        package = _PACKAGES.get(argv[0].partition("-")[0], "iproute2")
        raise LabError(f"{argv[0]} is not installed", hint=f"apt-get install {package}")
    return subprocess.run([program, *argv[1:]], input=text, capture_output=True, text=True, check=False)


def _complaint(lines: list[str], stderr: str) -> str:
    """iproute2's message with the line it is about (``Command failed -:7``)."""
    message = " ".join(line for line in stderr.splitlines() if not line.startswith("Command failed"))
    number = stderr.rpartition("Command failed -:")[2].strip()
    line = lines[int(number) - 1] if number.isdecimal() and 0 < int(number) <= len(lines) else ""
    return f"{message} ({line})" if line else message
