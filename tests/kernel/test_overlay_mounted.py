"""Overlays as the kernel shows them: odd names come back from mountinfo, and every namespace's mounts are found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.kernel

WAYS = {"user": ["unshare", "-Urm"], "root": ["unshare", "-m", "--propagation", "private"]}
AS = ["user", "root"] if os.geteuid() == 0 else ["user"]
ODD = [
    "a:b",
    "c,d",
    "e\\f",
    "g h",
    "i\tj",
    "k\nl",
    "m#n",
    'o"p',
    "s\\:t",
    "u\\,v",
    "w\\040x",
    "=y",
    "z::z",
    "é",
    "\udcff",
]
START = r"""
import ctypes, json, os, subprocess, sys, time
from netfs.overlay.stores import mounted
from netfs.overlay.stores.mountinfo import parse
libc = ctypes.CDLL(None, use_errno=True)
def call(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def mount(options, target, source="overlay", flags=0, kind="overlay"):
    options = os.fsencode(options) if options else None
    call(libc.mount(os.fsencode(source), os.fsencode(target), kind.encode(), flags, options))
def configure(settings, target):
    context = call(libc.syscall(430, b"overlay", 1))  # fsopen
    for key, value in settings:
        if isinstance(value, int):
            call(libc.syscall(431, context, 5, key.encode(), None, value))  # fsconfig, FSCONFIG_SET_FD
        elif value is None:
            call(libc.syscall(431, context, 0, key.encode(), None, 0))  # FSCONFIG_SET_FLAG
        else:
            call(libc.syscall(431, context, 1, key.encode(), os.fsencode(value), 0))  # FSCONFIG_SET_STRING
    call(libc.syscall(431, context, 6, None, None, 0))  # FSCONFIG_CMD_CREATE
    made = call(libc.syscall(432, context, 1, 0))  # fsmount
    call(libc.syscall(429, made, b"", -100, os.fsencode(target), 4))  # move_mount
def directories(*paths):
    for path in paths:
        os.makedirs(path, exist_ok=True)
    return paths
def shown():
    with open("/proc/self/mountinfo", "rb") as file:
        return parse(os.fsdecode(file.read()), os.getpid(), mounted.default_options())
def at(mountpoint):
    (found,) = (mount for mount in shown() if mount.mountpoint == mountpoint)
    return found
def answer(value):
    print(json.dumps(value))
mount(None, "/run", "tmpfs", 0, "tmpfs")
os.chdir("/run")
MINE = f"/run/m{os.getpid()}"  # no mount of another test that runs beside
def live():
    mounts, gaps = mounted.live()
    return [mount for mount in mounts if mount.mountpoint.startswith(MINE)], gaps
"""
PROCESSES = r"""
def start(*command):
    child = subprocess.Popen([*command, "sh", "-c", "echo; exec sleep 60"], stdout=subprocess.PIPE)
    child.stdout.readline()
    return child
def stop(*children):
    for child in children:
        child.kill()
        child.wait()
def enter(child, *command):
    subprocess.run(["nsenter", "-t", str(child.pid), "-m", *command], check=True)
"""


@pytest.fixture(autouse=True)
def _programs(require_program: Callable[[str], str]) -> None:
    require_program("unshare")
    require_program("nsenter")


def inside(way: str, script: str) -> Any:
    """What the script answers, run in a mount namespace of its own; of a user namespace of its own, or as root."""
    done = subprocess.run(
        [*WAYS[way], sys.executable, "-c", START + script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("way", AS)
def test_every_odd_name_comes_back_as_it_was_mounted(way: str) -> None:
    told = inside(
        way,
        f"odd = {ODD!r}"
        r"""
def escaped(path, *characters):
    for character in ("\\", *characters):
        path = path.replace(character, "\\" + character)
    return path
directories("/run/bottom")
told = []
for name in odd:
    for api in ("mount", "fsconfig"):
        base = f"/run/{api}/{name}"
        lower, upper, work, target = directories(*(f"{base}/{part}{name}" for part in "luwm"))
        if api == "mount":
            lowers = f"lowerdir={escaped(lower, ':', ',')}:/run/bottom"
            mount(f"{lowers},upperdir={escaped(upper, ',')},workdir={escaped(work, ',')}", target)
        else:
            configure([("lowerdir+", lower), ("lowerdir+", "/run/bottom"), ("upperdir", escaped(upper)),
                       ("workdir", escaped(work))], target)
        found = at(target)
        told.append([name, api, [found.lower, found.upper, found.work]
                     == [(lower, "/run/bottom"), upper, work]])
answer(told)
""",
    )
    assert len(told) == 2 * len(ODD)
    assert [each for each in told if not each[2]] == []


@pytest.mark.parametrize("way", AS)
def test_data_only_layers_and_options_come_back(way: str) -> None:
    told = inside(
        way,
        f"follow = {'userxattr' if way == 'user' else 'redirect_dir=on'!r}"
        r"""
names = directories(*"abcdm"), directories("u/up", "u/work")
def after(act):
    act()
    found = at("/run/m")
    call(libc.umount2(b"/run/m", 2))
    return [found.lower, found.data, found.upper, found.read_only, found.options.userxattr,
            found.options.redirect_dir, found.options.metacopy, found.options.volatile]
followed = ("userxattr", None) if follow == "userxattr" else ("redirect_dir", "on")
handles = [os.open(name, os.O_PATH) for name in directories("x:y", "e\\f")]
def by_descriptor():
    try:
        configure([("lowerdir+", handles[0]), ("lowerdir+", handles[1])], "/run/m")
    except OSError:  # before 6.13
        configure([("lowerdir+", "/run/x:y"), ("lowerdir+", "/run/e\\f")], "/run/m")
answer({
    "data": after(lambda: mount("lowerdir=a:b::c::d," + follow, "/run/m")),
    "datadir": after(lambda: configure([("lowerdir+", "/run/a"), ("datadir+", "/run/x:y"), followed], "/run/m")),
    "again": after(lambda: configure([("lowerdir+", "/run/c"), ("lowerdir", "/run/a:/run/b")], "/run/m")),
    "descriptor": after(by_descriptor),
    "user": after(lambda: mount("lowerdir=a:b,upperdir=u/up,workdir=u/work,userxattr,volatile", "/run/m")),
    "source": after(lambda: mount("lowerdir=a:b", "/run/m", "x y,lowerdir=/z - overlay \\")),
    "empty": after(lambda: mount("lowerdir=a:b", "/run/m", "")),
    "read-only": after(lambda: mount("lowerdir=a:b,upperdir=u/up,workdir=u/w2", "/run/m", flags=1))
    if directories("u/w2") else None,
})
""",
    )
    assert told["data"][:3] == [["a", "b"], ["c", "d"], None]
    assert told["datadir"][:3] == [["/run/a"], ["/run/x:y"], None]
    assert told["again"][:2] == [["/run/a", "/run/b"], []]
    assert told["descriptor"][:2] == [["/run/x:y", "/run/e\\f"], []]
    assert told["user"] == [["a", "b"], [], "u/up", False, True, "nofollow", False, True]
    assert told["source"][0] == told["empty"][0] == ["a", "b"]
    assert told["read-only"][2:4] == ["u/up", True]


@pytest.mark.parametrize("way", AS)
def test_all_of_long_options_is_shown(way: str) -> None:
    told = inside(
        way,
        r"""
directories("m", *(f"layer\\{number}" for number in range(400)))
long = [f"/run/layer\\{number}" for number in range(400)]
configure([("lowerdir+", name) for name in long], "/run/m")
answer(list(at("/run/m").lower) == long)
""",
    )
    assert told is True


@pytest.mark.parametrize("way", AS)
def test_the_overlays_of_other_namespaces_are_found_each_once(way: str) -> None:
    told = inside(
        way,
        PROCESSES
        + r"""
directories("a", "b", MINE, f"{MINE}-theirs", f"{MINE}-part")
mount("lowerdir=/run/a:/run/b", MINE)
os.makedirs("/run/a/sub")
first = start("unshare", "-m", "--propagation", "private")
second = start("unshare", "-m", "--propagation", "private")
try:
    # MS_BIND: a second mount of the overlay
    call(libc.mount(f"{MINE}/sub".encode(), f"{MINE}-part".encode(), None, 4096, None))
    enter(first, "mount", "-t", "overlay", "-o", "lowerdir=/run/b:/run/a", "overlay", f"{MINE}-theirs")
    mounts, gaps = live()
    name = lambda mount: mount.mountpoint.removeprefix(MINE)
    answer([[[name(mount), mount.root, {os.getpid(): "own", first.pid: "first"}.get(mount.pid)] for mount in mounts],
            [[gap.where, gap.reason] for gap in gaps],
            [name(mount) for mount in mounted.of(first.pid)[0] if mount.mountpoint.startswith(MINE)]])
finally:
    stop(first, second)
""",
    )
    mounts, gaps, of_one = told
    assert mounts == [["", "/", "own"], ["-theirs", "/", "first"]]
    assert all(where == "/proc" for where, _ in gaps)
    assert any("may not be looked into" in reason for _, reason in gaps) or way == "root"
    assert sorted(of_one) == ["", "-theirs"]


def test_our_own_namespace_comes_before_that_of_an_older_process() -> None:
    told = inside(
        "user",
        r"""
directories("a", "b", MINE)
mount("lowerdir=/run/a:/run/b", MINE)
older = os.getpid()
child = os.fork()
if not child:
    call(libc.unshare(0x20000))  # CLONE_NEWNS
    answer([[mount.pid == os.getpid() for mount in live()[0]], older < os.getpid()])
    sys.stdout.flush()
    os._exit(0)
os.waitpid(child, 0)
""",
    )
    assert told == [[True], True]


@pytest.mark.parametrize("way", AS)
def test_an_overlay_is_told_as_the_namespace_shows_it_that_has_its_layers(way: str) -> None:
    told = inside(
        way,
        PROCESSES
        + r"""
directories(MINE, "x")
first = start("unshare", "-m", "--propagation", "private")
try:
    enter(first, "mount", "-t", "tmpfs", "tmpfs", "/run/x")
    enter(first, "mkdir", "/run/x/a", "/run/x/b")
    enter(first, "mount", "-t", "overlay", "-o", "lowerdir=/run/x/a:/run/x/b", "overlay", MINE)
    second = start("nsenter", "-t", str(first.pid), "-m", "unshare", "-m", "--propagation", "private")
    try:
        found = lambda: [mount.pid for mount in live()[0]]
        before = found()
        enter(first, "umount", "-l", "/run/x")
        answer([before == [first.pid], found() == [second.pid], first.pid < second.pid])
    finally:
        stop(second)
finally:
    stop(first)
""",
    )
    assert told == [True, True, True]


@pytest.mark.parametrize("way", AS)
def test_a_process_with_a_root_of_its_own_does_not_speak_for_its_namespace(way: str) -> None:
    told = inside(
        way,
        PROCESSES
        + r"""
directories("a", "b", MINE, "jail")
call(libc.mount(b"/", b"/run/jail", None, 4096 | 16384, None))  # MS_BIND | MS_REC
jailed = start("unshare", "-m", "--propagation", "private", "chroot", "/run/jail")
free = start("nsenter", "-t", str(jailed.pid), "-m")
try:
    enter(free, "mount", "-t", "overlay", "-o", "lowerdir=/run/a:/run/b", "overlay", MINE)
    pids = [mount.pid for mount in live()[0]]
    answer([pids, jailed.pid, free.pid, os.readlink(f"/proc/{jailed.pid}/root")])
finally:
    stop(jailed, free)
""",
    )
    pids, _, free, root = told
    assert root == "/run/jail"
    assert pids == [free]


def test_processes_that_come_and_go_are_passed_over() -> None:
    told = inside(
        "user",
        r"""
busy = subprocess.Popen(["sh", "-c", "while :; do unshare -m true; true; done"], stderr=subprocess.DEVNULL)
try:
    end, rounds = time.monotonic() + 1.5, 0
    while time.monotonic() < end:
        mounted.live()
        rounds += 1
    answer(rounds)
finally:
    busy.kill()
    busy.wait()
""",
    )
    assert told > 5
