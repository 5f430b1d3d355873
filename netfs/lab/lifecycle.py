"""Bringing a lab up, taking it down, and cleaning up after one that was killed."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from netfs.errors import LabError
from netfs.lab import cgroups, plan, rules, services, state
from netfs.lab.state import LabState, Member
from netfs.model.kubernetes import Kubernetes, NetworkPolicy

_PATIENCE = 60.0
"""Seconds a lab may take to build."""

_ATTEMPTS = 1000
"""How often a folder may vanish, by somebody's ``down``, before it is held."""

_CAP_NET_ADMIN, _CAP_SYS_ADMIN = 12, 21


def up(
    name: str,
    nodes: int,
    pods: int,
    ipv6: bool,
    proxy: str | None = None,
    wanted: Sequence[str] = (),
    policies: Sequence[NetworkPolicy] = (),
    enforce: bool = False,
) -> LabState:
    """Build a lab; see ``netfs.lab.up``."""
    state.check_name(name)
    whole = plan.make(nodes, pods, ipv6)
    objects = services.objects(whole, wanted, policies)
    mode = proxy or rules.default_mode(bool(wanted))
    rules.check_mode(mode)
    with claim(name) as (folder, lock):
        _refuse_if_running(name)
        _kill(name)
        _remove(folder)
        try:
            return _launch(name, folder, lock, whole, mode, objects, enforce)
        except BaseException:
            _kill(name)
            _remove(folder)
            raise


def down(name: str) -> None:
    """Take a lab down; see ``netfs.lab.down``."""
    folder = state.folder(name)
    if not folder.is_dir():
        raise LabError("is not running", where=f"lab {name}")
    with claim(name):
        _kill(name)
        _remove(folder)


@contextlib.contextmanager
def claim(name: str) -> Iterator[tuple[Path, int]]:
    """Hold a lab's folder, made where it is missing, while the block runs: one builder or remover at a time.

    The lock is the folder's own; the builder hands it on, so that nobody gets between it and its supervisor.
    """
    folder = state.folder(name)
    for _ in range(_ATTEMPTS):
        _make_home(folder.parent)
        try:
            with contextlib.suppress(FileExistsError):
                folder.mkdir(mode=0o700)
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise LabError(f"cannot be made or opened: {error.strerror}", where=str(folder)) from None
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            if os.path.lexists(folder) and os.path.samestat(os.fstat(held), os.lstat(folder)):
                try:
                    yield folder, held
                finally:
                    _tidy(folder)
                return
        finally:
            os.close(held)
    raise LabError("cannot be made: it vanishes again and again", where=str(folder))


def _make_home(home: Path) -> None:
    for path in (home.parent, home):
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            continue
        except FileNotFoundError:
            return
        except OSError as error:
            raise LabError(f"cannot be made: {error.strerror}", where=str(path)) from None


def _refuse_if_running(name: str) -> None:
    try:
        running = state.find(name)
    except LabError:
        return
    raise LabError(
        f"is running already, with {len(running.nodes)} nodes",
        where=f"lab {name}",
        hint=f"netfs lab down --name {name}",
    )


def _launch(
    name: str, folder: Path, lock: int, whole: plan.Plan, proxy: str, objects: Kubernetes, enforce: bool
) -> LabState:
    root = _is_privileged()
    groups = cgroups.bases(name, root)
    reports, reports_write = os.pipe()
    go_read, go = os.pipe()
    order = {
        "name": name,
        "folder": str(folder),
        "nodes": len(whole.nodes),
        "pods": len(whole.pods) // len(whole.nodes),
        "ipv6": whole.ipv6,
        "proxy": proxy,
        "kubernetes": asdict(objects),
        "enforce": enforce,
        "root": root,
        "cgroups": groups,
        "lock": lock,
        "reports": reports_write,
        "go": go_read,
    }
    try:
        launcher = _start(order, (reports_write, go_read, lock))
        os.close(reports_write)
        os.close(go_read)
        try:
            report = _await(name, reports)
        finally:
            launcher.wait()
        lab = replace(_describe(name, root, whole, report), proxy=proxy, enforce=enforce)
        lab = _labelled(lab, objects)
        state.save(lab)
        os.write(go, b"!")
        return lab
    finally:
        os.close(reports)
        os.close(go)


def _start(order: dict[str, Any], fds: tuple[int, ...]) -> subprocess.Popen[bytes]:
    """Start the launcher, in a session of its own: a Ctrl-C is the caller's to handle."""
    package = str(Path(__file__).resolve().parents[2])
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from netfs.lab.supervisor import main; main()"
    launcher = subprocess.Popen(
        [sys.executable, "-c", code, package, str(order["name"])],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=fds,
        start_new_session=True,
        cwd="/",
    )
    if launcher.stdin is not None:
        launcher.stdin.write(json.dumps(order).encode())
        launcher.stdin.close()
    return launcher


def _await(name: str, reports: int) -> dict[str, Any]:
    """The supervisor's report. Raises LabError with what went wrong."""
    where = f"lab {name}"
    data = b""
    deadline = time.monotonic() + _PATIENCE
    while not data.endswith(b"\n"):
        ready, _, _ = select.select([reports], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise LabError(f"was not built within {_PATIENCE:.0f} s", where=where)
        piece = os.read(reports, 65536)
        if not piece:
            raise LabError("its supervisor died while building", where=where)
        data += piece
    report: dict[str, Any] = json.loads(data)
    if "error" in report:
        raise LabError(report["error"], where=report["where"], hint=report["hint"])
    return report


def _labelled(lab: LabState, objects: Kubernetes) -> LabState:
    """The lab with the objects of its API, and the labels that they give the pods."""
    pods = tuple(replace(pod, labels=services.labels(objects, pod.name)) for pod in lab.pods)
    return replace(lab, pods=pods, kubernetes=objects, planned=objects)


def _describe(name: str, root: bool, whole: plan.Plan, report: dict[str, Any]) -> LabState:
    pids: dict[str, int] = report["pids"]

    def member(name: str, kind: str, node: str | None, ip: str, ip6: str) -> Member:
        start = state.start_time(pids[name])
        if start is None:
            raise LabError("died as soon as it was built", where=name)
        return Member(name, kind, node, pids[name], start, ip, ip6 if whole.ipv6 else None)

    fabric = member(plan.FABRIC, "fabric", None, plan.GATEWAY, plan.GATEWAY6)
    return LabState(
        name=name,
        root=root,
        userns_pid=None if root else fabric.pid,
        supervisor_pid=fabric.pid,
        supervisor_start=fabric.start,
        nodes=tuple(member(node.name, "node", node.name, node.ip, node.ip6) for node in whole.nodes),
        pods=tuple(member(pod.name, "pod", pod.node, pod.ip, pod.ip6) for pod in whole.pods),
        fabric=fabric,
        ipv6=whole.ipv6,
        notes=tuple(report["notes"]),
    )


def _is_privileged() -> bool:
    """Whether the caller may make namespaces and set up networks without a user namespace of its own."""
    with open("/proc/self/status", encoding="ascii") as file:
        effective = next(int(line.split()[1], 16) for line in file if line.startswith("CapEff:"))
    return os.geteuid() == 0 and all(effective >> bit & 1 for bit in (_CAP_NET_ADMIN, _CAP_SYS_ADMIN))


def _kill(name: str) -> None:
    """Kill a lab's supervisor, and with it every process of the lab; wait until they are gone."""
    record = state.supervisor(name)
    if record is None:
        return
    pid, start = record
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if state.start_time(pid, dying=True) == start:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            select.select([handle], [], [], 10.0)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def _remove(folder: Path) -> None:
    """Remove what no process holds: control groups and files. The folder itself stays, and is empty."""
    try:
        record = json.loads((folder / "supervisor.json").read_text(encoding="utf-8"))
        groups = [str(base) for base in record["cgroups"]]
    except (OSError, ValueError, KeyError, TypeError):
        groups = []
    for base in groups:
        cgroups.remove(base)
    for entry in list(os.scandir(folder)):
        if entry.is_dir(follow_symlinks=False):
            _remove_tree(entry.path)
        else:
            os.unlink(entry.path)


def _remove_tree(path: str) -> None:
    """Remove a folder and all below it, overlayfs's closed work folders too."""
    os.chmod(path, 0o700)
    for entry in list(os.scandir(path)):
        if entry.is_dir(follow_symlinks=False):
            _remove_tree(entry.path)
        else:
            os.unlink(entry.path)
    os.rmdir(path)


def _tidy(folder: Path) -> None:
    """Remove a lab's folder and those above it, as far as they hold nothing any more."""
    with contextlib.suppress(OSError):
        folder.rmdir()
        folder.parent.rmdir()
        folder.parent.parent.rmdir()
