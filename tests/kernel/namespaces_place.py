"""Namespaces of every kind and in every way of being kept, made by one process and gone with it.

It runs in user, PID and mount namespaces of its own, so that any user may make them; it prints what it made as JSON and
waits for its stdin to end. Pids are told as the caller sees them.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MAKER = r"""
import ctypes, json, os, signal, subprocess, sys, threading, time
NEW = {"time": 0x80, "mnt": 0x20000, "cgroup": 0x2000000, "uts": 0x4000000, "ipc": 0x8000000, "user": 0x10000000,
       "pid": 0x20000000, "net": 0x40000000}
libc = ctypes.CDLL(None, use_errno=True)
made = {}

def unshare(*types):
    if libc.unshare(sum(NEW[each] for each in types)):
        raise OSError(ctypes.get_errno(), f"unshare {types}")

def number(path):
    return int(os.readlink(path).split("[")[1][:-1])

def inodes(pid="thread-self"):
    return {each: number(f"/proc/{pid}/ns/{each}") for each in NEW}

def forked(work):
    # A child that says a line of JSON when it is ready, and ends when this process does.
    answer, say = os.pipe()
    pid = os.fork()
    if pid == 0:
        libc.prctl(1, signal.SIGKILL)
        try:
            os.write(say, json.dumps(work()).encode() + b"\n")
        except BaseException as failure:  # whatever it was: the test hears of it
            os.write(say, json.dumps({"failed": repr(failure)}).encode() + b"\n")
        while True:
            signal.pause()
    os.close(say)
    with os.fdopen(answer) as file:
        told = json.loads(file.readline())
    if "failed" in told:
        raise SystemExit(told["failed"])
    return pid, told

def all_eight():
    unshare("cgroup", "ipc", "mnt", "net", "uts", "user", "pid", "time")
    def inside():
        return {"pids": pids(), "inodes": inodes()}
    return forked(inside)[1]

def pids():
    return [int(word) for line in open("/proc/self/status") if line.startswith("NSpid") for word in line.split()[1:]]

def pinned():
    # A network namespace that nobody is in, and a UTS namespace with a process, pinned in a mount namespace of its own.
    unshare("mnt", "uts")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    open("/run/uts", "w").close()
    subprocess.run(["mount", "--bind", "/proc/self/ns/uts", "/run/uts"], check=True)
    os.mkdir("/run/net ns")
    open("/run/net ns/bl\\ue", "w").close()
    def fresh():
        unshare("net")
        subprocess.run(["mount", "--bind", f"/proc/{os.getpid()}/ns/net", "/run/net ns/bl\\ue"], check=True)
        return {"net": number("/proc/self/ns/net")}
    pid, told = forked(fresh)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return {"pids": pids(), **told, "mnt": number("/proc/self/ns/mnt"), "uts": number("/proc/self/ns/uts")}

def nested():
    unshare("user")
    between = number("/proc/self/ns/user")
    for name, text in (("setgroups", "deny"), ("uid_map", "0 0 1"), ("gid_map", "0 0 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    unshare("user", "uts")
    return {"pids": pids(), "between": between, "inodes": inodes()}

def threaded():
    told = {}
    ready = threading.Event()
    def run():
        unshare("net")
        told.update(tid=threading.get_native_id(), net=number("/proc/thread-self/ns/net"))
        ready.set()
        threading.Event().wait()
    threading.Thread(target=run, daemon=True).start()
    ready.wait()
    return {"pids": pids(), **told}

def childless():
    # Its children will be in a PID namespace whose only process has ended.
    unshare("pid")
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return {"pids": pids(), "pid": number("/proc/self/ns/pid_for_children")}

def unseen():
    # A mount namespace that only a descriptor keeps, with a UTS namespace that is pinned in it alone.
    def gone():
        unshare("mnt", "uts")
        open("/run/unseen", "w").close()
        subprocess.run(["mount", "--bind", "/proc/thread-self/ns/uts", "/run/unseen"], check=True)
        return {"mnt": number("/proc/self/ns/mnt"), "uts": number("/proc/self/ns/uts")}
    pid, told = forked(gone)
    fd = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return {"pids": pids(), "fd": fd, **told}

subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
for work in (all_eight, pinned, nested, threaded, childless, unseen):
    made[work.__name__] = forked(work)[1]
print(json.dumps({"root": {"pids": pids(), "inodes": inodes()}, **made}))
sys.stdout.flush()
sys.stdin.read()
"""


@contextmanager
def made() -> Iterator[dict[str, Any]]:
    """What ``MAKER`` made, as long as it is there."""
    process = subprocess.Popen(
        ["unshare", "-Urm", sys.executable, "-c", MAKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert select.select([process.stdout], [], [], 30)[0]
        line = process.stdout.readline()
        assert line, "the maker failed"
        yield json.loads(line)
    finally:
        process.stdin.close()
        process.kill()
        process.wait()
