"""A private place for tests that read /proc: Python in new namespaces of every type, with a procfs of its own.

Works for any user, beside any number of others, and leaves nothing behind: with the first process all others end.
Nobody in it is of the kernel's group 0, which a procfs with ``hidepid`` shows all.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

START = """
import ctypes, json, os, signal, subprocess, sys, threading, time
from netfs.collect.facts import facts
from netfs.collect.processes import processes
from netfs.collect.sockets import owners

libc = ctypes.CDLL(None, use_errno=True)
UTS = 0x04000000

def show(answer):
    print(json.dumps(answer))

def unshare(flags):
    assert libc.unshare(flags) == 0, ctypes.get_errno()

def named(name):
    with open("/proc/self/comm", "wb", 0) as file:
        file.write(name)

def state(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]

def child(work):
    # Its pid, once it has done its work, or told so itself; it then sleeps.
    global told
    inner, outer = os.pipe()
    told = outer
    pid = os.fork()
    if not pid:
        try:
            work()
            os.write(outer, b".")
            signal.pause()
        finally:
            os._exit(1)
    os.close(outer)
    done = os.read(inner, 1)
    os.close(inner)
    assert done == b".", "a child failed"
    return pid

def program(*words):
    # The pid of a program that answers what it is asked (cat), once it does so.
    global started
    started = subprocess.Popen(words, stdin=-1, stdout=-1)
    started.stdin.write(b"."); started.stdin.flush()
    assert started.stdout.read(1) == b"."
    return started.pid

def end(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

def again(pid, work):
    # A new process, of the number that another had (sysctl(8), kernel.ns_last_pid).
    with open("/proc/sys/kernel/ns_last_pid", "w") as file:
        file.write(str(pid - 1))
    found = child(work)
    assert found == pid, (found, pid)

def table():
    return {each.pid: each for each in processes().processes}

def without_capabilities(work):
    # What work() answers, in a process that has the same user and no capability.
    inner, outer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            header = (ctypes.c_uint32 * 2)(0x20080522, 0)
            assert libc.capset(header, (ctypes.c_uint32 * 6)()) == 0
            with open(outer, "w") as file:
                json.dump(work(), file)
            os._exit(0)
        finally:
            os._exit(1)
    os.close(outer)
    with open(inner) as file:
        said = file.read()
    assert os.waitpid(pid, 0)[1] == 0
    return json.loads(said)
"""


def inside(program: str, *, mount: str = "mount -t proc proc /proc", timeout: float = 60) -> Any:
    """Run the shell line ``mount``, then the Python lines ``program``; what that shows as JSON."""
    as_root = ["setpriv", "--regid=65534", "--clear-groups", "--"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [
            *as_root,
            "unshare",
            "-UrnmpiuCf",
            "--kill-child",
            "sh",
            "-c",
            f'{mount} && exec "$0" -c "$1"',
            sys.executable,
            START + program,
        ],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
