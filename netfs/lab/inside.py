"""Running a command inside a node or pod, as nsenter(1) would."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from netfs.errors import LabError, UsageError
from netfs.lab import cgroups, linux, state
from netfs.lab.state import LabState, Member

_FLAGS = linux.CLONE_NEWNS | linux.CLONE_NEWPID | linux.CLONE_NEWNET | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC


def execute(name: str, member: str, argv: Sequence[str]) -> int:
    """Run a command in a member with the caller's stdio; see ``netfs.lab.execute``."""
    if not argv:
        raise UsageError("no command to run")
    lab = state.find(name)
    handle = open_member(lab, meant := lab.member(member))
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        pid = os.fork()
        if pid == 0:
            _become(handle, lab, meant, argv)
    finally:
        os.close(handle)
    ignored = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGQUIT)}
    try:
        return _status(os.waitpid(pid, 0)[1])
    finally:
        for number, handler in ignored.items():
            signal.signal(number, handler)


def open_member(lab: LabState, member: Member) -> int:
    """A pidfd of a member's first process. Raises LabError where it has died."""
    with contextlib.suppress(OSError):
        handle = os.pidfd_open(member.pid)
        if state.start_time(member.pid) == member.start:
            return handle
        os.close(handle)
    raise LabError("has died", where=f"{lab.name}/{member.name}", hint=f"netfs lab down --name {lab.name}")


def enter(handle: int, lab: LabState, flags: int = _FLAGS) -> None:
    """Move the calling, single-threaded process into a member's namespaces; its children into the PID namespace.

    iptables is told of a lock that the lab's owner may write to. Raises OSError.
    """
    os.environ["XTABLES_LOCKFILE"] = str(state.folder(lab.name) / state.XTABLES_LOCK)
    if not lab.root and lab.userns_pid is not None and not _same_user_namespace(lab.userns_pid):
        flags |= linux.CLONE_NEWUSER
    linux.setns(handle, flags)


def _same_user_namespace(pid: int) -> bool:
    ours, theirs = os.stat("/proc/self/ns/user"), os.stat(f"/proc/{pid}/ns/user")
    return ours.st_ino == theirs.st_ino


def _become(handle: int, lab: LabState, member: Member, argv: Sequence[str]) -> NoReturn:
    """In a forked child: enter, fork once more for the PID namespace, and be the command.

    The command alone goes into the member's control groups: who waits for it is none of the member's.
    """
    try:
        folder = os.getcwd()
        groups = cgroups.opened(member.pid, lab.name)
        enter(handle, lab)
        with contextlib.suppress(OSError):
            os.chdir(folder)
        pid = os.fork()
        if pid == 0:
            cgroups.join_opened(groups)
            _exec(argv)
        for number in (signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        os._exit(_status(os.waitpid(pid, 0)[1]))
    except OSError as error:
        _complain(f"{lab.name}: {error.strerror}")
    finally:
        os._exit(126)


def _exec(argv: Sequence[str]) -> NoReturn:
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    program = argv[0] if "/" in argv[0] else shutil.which(argv[0])
    try:
        if program is None:
            raise FileNotFoundError
        os.execv(program, list(argv))  # noqa: S606 (the user asked for this command)
    except FileNotFoundError:
        _complain(f"{argv[0]}: not found")
        os._exit(127)
    except OSError as error:
        _complain(f"{argv[0]}: {error.strerror}")
    finally:
        os._exit(126)


def _complain(what: str) -> None:
    """Say why on standard error, from a child that shares its buffers with nobody."""
    with contextlib.suppress(OSError):
        os.write(2, f"netfs: {what}\n".encode(errors="replace"))


def _status(raw: int) -> int:
    """A wait status as a shell tells it: 128 + the signal that killed."""
    code = os.waitstatus_to_exitcode(raw)
    return code if code >= 0 else 128 - code


def capture(lab: LabState, member: Member, work: Callable[[], str]) -> str:
    """Run ``work`` in a child inside a member's namespaces, and return what it returns.

    Raises LabError with the message of what it raised.
    """
    handle = open_member(lab, member)
    read, write = os.pipe()
    try:
        pid = os.fork()
        if pid == 0:
            _report(handle, lab, work, write)
    finally:
        os.close(handle)
        os.close(write)
    with os.fdopen(read, encoding="utf-8") as answers:
        answer = answers.read()
    os.waitpid(pid, 0)
    if not answer.startswith("+"):
        raise LabError(answer[1:] or "died", where=f"{lab.name}/{member.name}")
    return answer[1:]


def _report(handle: int, lab: LabState, work: Callable[[], str], write: int) -> NoReturn:
    try:
        enter(handle, lab)
        answer = "+" + work()
    except LabError as error:
        answer = "-" + error.what
    except BaseException as error:  # noqa: BLE001 (a child has nobody above it: whatever it is, the parent hears)
        answer = f"-{error}"
    data = answer.encode()
    while data:
        data = data[os.write(write, data) :]
    os._exit(0)
