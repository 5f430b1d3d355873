"""A machine of its own for readings in a storm: Python in new PID, mount and network namespaces, with a Docker's files.

Fake containers are processes with namespaces of their own; as root also in control groups ``…/docker/ID`` below a group
of the test. An ordinary user has no groups: his are told by their namespaces, or by what Docker's files say.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.kernel.cgroup_place import UNIFIED, hierarchies, place

ROOT = Path(__file__).parents[2]

START = """
import contextlib, ctypes, errno, hashlib, io, json, os, random, signal, socket, sys, time
from pathlib import Path
import netfs
from netfs.errors import EndpointError
from netfs_cli.run import run
from tests.unit.docker_store import DockerStore, hexadecimal

GROUPS = [Path(folder) for folder in json.loads(os.environ["GROUPS"])]
libc = ctypes.CDLL(None, use_errno=True)
NS, CGROUP, UTS, IPC, PID, NET = 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x20000000, 0x40000000
OWN = NS | UTS | IPC | NET
store = DockerStore(Path("/var/lib/docker"))
image = store.image("busybox:1", "base")

def show(answer):
    print(json.dumps(answer))

def unshare(flags):
    if libc.unshare(flags):
        raise OSError(ctypes.get_errno(), "unshare")

def named(name):
    with open("/proc/self/comm", "w") as file:
        file.write(name)

def identity(word):
    return hexadecimal(f"container {word}")

def enter(word):
    # Into the container's group, in every hierarchy.
    for folder in GROUPS:
        own = folder / "docker" / identity(word)
        own.mkdir(parents=True, exist_ok=True)
        (own / "cgroup.procs").write_text("0")

def leave():
    for folder in GROUPS:
        (folder / "cgroup.procs").write_text("0")

def left(word):
    for folder in GROUPS:
        with contextlib.suppress(OSError):
            (folder / "docker" / identity(word)).rmdir()

def child(work):
    # Its pid, once it has done its work; it then sleeps.
    inner, outer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.close(inner)
            work()
            os.write(outer, b".")
            os.close(outer)
            while True: signal.pause()
        finally:
            os._exit(1)
    os.close(outer)
    done = os.read(inner, 1)
    os.close(inner)
    assert done == b".", "a child failed"
    return pid

def end(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

def apart(work):
    # What work() answers, in a process of its own that may give up what it likes.
    inner, outer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            with open(outer, "w") as file: json.dump(work(), file)
        finally:
            sys.stderr.flush()
            os._exit(0)
    os.close(outer)
    with open(inner) as file: said = file.read()
    os.waitpid(pid, 0)
    return json.loads(said)

def again(pid, work):
    # A new process, of the number that another had (sysctl(8), kernel.ns_last_pid).
    with open("/proc/sys/kernel/ns_last_pid", "w") as file:
        file.write(str(pid - 1))
    found = child(work)
    assert found == pid, (found, pid)
    return pid

def container(word, more=1):
    # Its pids, the first one first: a process with namespaces of its own, and those it started.
    inner, outer = os.pipe()
    def work():
        enter(word)
        unshare(OWN)
        named(word)
        os.write(outer, json.dumps([os.getpid(), *(child(lambda: None) for each in range(more))]).encode())
    child(work)
    pids = json.loads(os.read(inner, 999))
    os.close(inner), os.close(outer)
    return pids

def written(word, pid, started=None, running=True):
    # What Docker wrote down of a container.
    moment = time.time() if started is None else started
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
    store.container(word, image, {"State": {"Running": running, "Pid": pid, "StartedAt": at}})

def complaints(said):
    return [err for _, _, err in said if "Traceback" in err or "defect" in err]

def ask(words):
    # (status, what was printed, what was complained of) of a command.
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = run([*words.split(), "--source", "local"], program="netfs")
    return status, out.getvalue(), err.getvalue()
"""


def machine(program: str, *, mount: str = "", timeout: float = 60) -> Any:
    """Run Python lines, before them a shell line; what they show as JSON."""
    as_root = os.geteuid() == 0
    namespaces = ["unshare", "-pmnf"] if as_root else ["unshare", "-Urpmnf"]
    setup = f"mount -t proc proc /proc && mount -t tmpfs tmpfs /var/lib && {mount or 'true'}"
    with place() as own:
        wanted: list[str] = [name for name in ("memory", "pids") if name in hierarchies()] or [UNIFIED]
        own.make(wanted if as_root else ())
        folders = sorted({str(own.folder(name)) for name in wanted}) if as_root else []
        done = subprocess.run(
            [*namespaces, "--kill-child", "sh", "-c", f'{setup} && exec "$0" -c "$1"', sys.executable, START + program],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env={
                **os.environ,
                "PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}",
                "GROUPS": json.dumps(folders),
                "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
            },
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
