"""Groups of this kernel, as they are read and as their files are."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from netfs.collect.cgroups.read import cgroups
from netfs.model.cgroups import Cgroup
from tests.kernel.cgroup_place import UNIFIED, Place, as_root, hierarchies, place, until

pytestmark = pytest.mark.kernel

ALL = ("cpu", "cpuacct", "memory", "pids", "cpuset", "freezer", "blkio", UNIFIED)
MIB = 1 << 20
PATHS = """
import sys
from netfs.collect.cgroups.read import cgroups
with open(sys.argv[1], "w") as file:
    for group in cgroups().tree.groups:
        if group.cpu is not None and group.cpu.shares is not None and not group.path.count(" "):
            print(group.path, group.cpu.shares, file=file)
"""


@pytest.fixture
def own() -> Iterator[Place]:
    with place() as made:
        yield made


def seen(path: str, *, detail: bool = True) -> Cgroup:
    reading = cgroups(within=[path], detail=detail)
    assert not reading.gaps
    return next(group for group in reading.tree.groups if group.path == path)


@as_root
def test_limits_are_read_as_they_were_set(own: Place) -> None:
    own.make(ALL)
    disk = next(disk for disk in sorted(Path("/sys/block").iterdir()) if not disk.name.startswith("loop"))
    device = (disk / "dev").read_text().strip()
    for controller, name, text in (
        ("cpu", "cpu.cfs_period_us", "20000"),
        ("cpu", "cpu.cfs_quota_us", "5000"),
        ("cpu", "cpu.cfs_burst_us", "1000"),
        ("cpu", "cpu.shares", "512"),
        ("memory", "memory.limit_in_bytes", str(16 * MIB)),
        ("memory", "memory.memsw.limit_in_bytes", str(24 * MIB)),
        ("pids", "pids.max", "7"),
        ("cpuset", "cpuset.cpus", "0"),
        ("cpuset", "cpuset.mems", "0"),
        ("blkio", "blkio.throttle.read_bps_device", f"{device} 1048576"),
        ("blkio", "blkio.throttle.write_iops_device", f"{device} 100"),
    ):
        own.write(controller, name, text)
    group = seen(own.path)
    assert set(ALL) <= set(group.controllers)
    assert group.inode == own.folder(UNIFIED).stat().st_ino
    assert group.cpu is not None
    assert (group.cpu.quota_us, group.cpu.period_us, group.cpu.burst_us, group.cpu.shares) == (5000, 20_000, 1000, 512)
    assert group.memory is not None
    assert (group.memory.limit, group.memory.swap_limit) == (16 * MIB, 8 * MIB)
    assert group.processes is not None
    assert (group.processes.current, group.processes.limit) == (0, 7)
    assert group.cpuset is not None
    assert (group.cpuset.cpus, group.cpuset.effective_cpus, group.cpuset.mems) == ("0", "0", "0")
    assert [(each.device, dict(each.limits)) for each in group.io] == [(device, {"rbps": 1_048_576, "wiops": 100})]
    assert (group.populated, group.frozen, group.pids) == (False, False, ())


@as_root
def test_a_group_without_limits_has_none(own: Place) -> None:
    own.make(ALL)
    for detail in (True, False):
        group = seen(own.path, detail=detail)
        assert group.cpu is not None
        assert group.memory is not None
        assert group.processes is not None
        limits = (group.cpu.quota_us, group.memory.limit, group.memory.swap_limit, group.processes.limit)
        assert limits == (None, None, None, None)


@as_root
def test_throttling_is_counted_as_the_kernel_counts_it(own: Place) -> None:
    own.make(ALL)
    own.write("cpu", "cpu.cfs_period_us", "10000")
    own.write("cpu", "cpu.cfs_quota_us", "1000")
    burner = own.start(["cpu", "cpuacct", UNIFIED], "while :; do :; done")
    until(lambda: own.keyed("cpu", "cpu.stat")["nr_throttled"] >= 5)
    burner.kill()
    burner.wait()
    before: dict[str, int] = {}
    while before != (stat := own.keyed("cpu", "cpu.stat")):  # the clock of the periods runs a little longer
        before = stat
        time.sleep(0.05)
    for detail in (True, False):
        cpu = seen(own.path, detail=detail).cpu
        assert cpu is not None
        assert (cpu.periods, cpu.throttled_periods) == (stat["nr_periods"], stat["nr_throttled"])
        assert cpu.throttled_us == stat["throttled_time"] // 1000
        assert cpu.usage_us == int(own.read("cpuacct", "cpuacct.usage")) // 1000
        assert cpu.throttled_us > 0 < cpu.usage_us
    ticks = own.keyed("cpuacct", "cpuacct.stat")
    cpu = seen(own.path).cpu
    assert cpu is not None
    assert cpu.user_us == ticks["user"] * 1_000_000 // os.sysconf("SC_CLK_TCK")


@as_root
def test_a_fork_that_is_refused_is_counted(own: Place) -> None:
    own.make(["pids"])
    own.write("pids", "pids.max", "2")
    shell = own.start(["pids"], "sleep 60 & sleep 60 & wait")
    assert shell.wait(10) != 0  # it may not fork, and ends; its child stays
    until(lambda: own.read("pids", "pids.current") == "1")
    processes = seen(own.path).processes
    assert processes is not None
    assert (processes.current, processes.limit, processes.peak) == (1, 2, 2)
    assert processes.refused == own.keyed("pids", "pids.events")["max"]


@as_root
def test_a_process_that_is_killed_for_memory_is_counted(own: Place) -> None:
    own.make(["memory"])
    own.write("memory", "memory.limit_in_bytes", str(8 * MIB))
    greedy = own.start(["memory"], "ulimit -v 262144; exec tail /dev/zero")
    assert greedy.wait(30) == -9
    for detail in (True, False):
        memory = seen(own.path, detail=detail).memory
        assert memory is not None
        assert (memory.oom_kills, memory.under_oom, memory.limit) == (1, False, 8 * MIB)
        assert memory.working_set is not None
    memory = seen(own.path).memory
    assert memory is not None
    assert memory.peak == 8 * MIB
    assert memory.limit_hits == int(own.read("memory", "memory.failcnt"))
    assert memory.limit_hits > 0


@as_root
def test_working_set_leaves_out_what_could_be_dropped(own: Place, tmp_path: Path) -> None:
    own.make(["memory"])
    own.write("memory", "memory.limit_in_bytes", str(64 * MIB))
    file = tmp_path / "file"
    own.start(["memory"], f"head -c {8 * MIB} /dev/zero >'{file}'; cat '{file}' >/dev/null").wait()
    group = seen(own.path)
    stat = own.keyed("memory", "memory.stat")
    assert group.memory is not None
    assert group.memory.current is not None
    assert group.memory.working_set == max(0, group.memory.current - stat["total_inactive_file"])
    assert (group.memory.file, group.memory.anonymous) == (stat["total_cache"], stat["total_rss"])


@as_root
def test_pressure_is_that_of_the_files(own: Place) -> None:
    own.make([UNIFIED])
    own.start([UNIFIED], "while :; do :; done")
    own.start([UNIFIED], "while :; do :; done")
    own.start([UNIFIED], "while :; do :; done")
    files = sorted(each.name for each in own.folder(UNIFIED).glob("*.pressure") if each.name != "cgroup.pressure")

    def total(resource: str) -> int:
        return int(own.read(UNIFIED, f"{resource}.pressure").splitlines()[0].rpartition("=")[2])

    until(lambda: not files or total("cpu") > 0)
    before = {name: total(name.removesuffix(".pressure")) for name in files}
    group = seen(own.path)
    assert sorted(f"{resource}.pressure" for resource in group.pressure) == files
    for name, least in before.items():
        resource = name.removesuffix(".pressure")
        some = group.pressure[resource].some
        assert some is not None
        assert least <= some.total_us <= total(resource)


@as_root
@pytest.mark.parametrize(
    ("controller", "file", "words"),
    [
        ("freezer", "freezer.state", ("FROZEN", "THAWED")),
        (UNIFIED, "cgroup.freeze", ("1", "0")),
    ],
)
def test_processes_and_whether_they_are_frozen(own: Place, controller: str, file: str, words: tuple[str, str]) -> None:
    own.make([controller], "")
    own.make([controller], "/inner")
    sleeper = own.start([controller], "exec sleep 60", "/inner")
    inner = f"{own.path}/inner"
    until(lambda: seen(inner).pids == (sleeper.pid,))
    for word, frozen in zip(words, (True, False), strict=True):
        own.write(controller, file, word)
        until(lambda frozen=frozen: seen(inner).frozen is frozen)  # type: ignore[misc]  # bound now
        populated = (True, True) if controller == UNIFIED else (None, None)
        outer = seen(own.path)
        assert (outer.populated, seen(inner).populated) == populated
        assert outer.pids == ()


@as_root
def test_processes_are_those_of_every_hierarchy(own: Place) -> None:
    own.make(["cpu", "memory"])
    first = own.start(["cpu"], "exec sleep 60")
    second = own.start(["memory"], "exec sleep 60")
    until(lambda: seen(own.path).pids == tuple(sorted((first.pid, second.pid))))


@as_root
def test_a_threaded_group_tells_no_processes(own: Place) -> None:
    own.make([UNIFIED])
    own.make([UNIFIED], "/inner")
    (own.folder(UNIFIED, "/inner") / "cgroup.type").write_text("threaded")
    group = seen(f"{own.path}/inner")
    assert (group.type, group.pids) == ("threaded", ())
    assert seen(own.path).type == "domain threaded"


@as_root
def test_groups_that_come_and_go_are_no_gap(own: Place) -> None:
    own.make(ALL)
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            for number in range(20):
                own.make(["cpu", "memory", UNIFIED], f"/{number}")
            for number in range(20):
                for controller in ("cpu", "memory", UNIFIED):
                    own.folder(controller, f"/{number}").rmdir()

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        for number in range(30):
            reading = cgroups(within=[own.path], detail=number % 2 == 0)
            assert not reading.gaps
            assert own.path in {group.path for group in reading.tree.groups}
    finally:
        stop.set()
        thread.join()


@as_root
def test_names_are_kept_as_they_are(own: Place) -> None:
    own.make(["cpu"])
    names = [b"a b", b"\x1b[31m", b"..x", b"\xff\xfe", b"%s"]
    for name in names:
        os.mkdir(os.fsencode(own.folder("cpu")) + b"/" + name)
    paths = {group.path for group in cgroups(within=[own.path], detail=False).tree.groups}
    assert {os.fsencode(f"{own.path}/") + name for name in names} < set(map(os.fsencode, paths))
    for name in names:
        os.rmdir(os.fsencode(own.folder("cpu")) + b"/" + name)


@as_root
def test_inside_a_cgroup_namespace_paths_begin_at_its_root(own: Place, tmp_path: Path) -> None:
    own.make(["cpu"])
    own.make(["cpu"], "/inner")
    own.make(["cpu"], "/inner/child")
    own.write("cpu", "cpu.shares", "77")
    (own.folder("cpu", "/inner/child") / "cpu.shares").write_text("88")
    mount, out = hierarchies()["cpu"], tmp_path / "out"
    told = f"unshare --cgroup --mount sh -c 'umount -l {mount}; mount -t cgroup -o cpu cgroup {mount}; $0 \"$@\"'"
    program = [sys.executable, "-c", PATHS, str(out)]
    for namespace in ("unshare --cgroup", told):
        ran = own.start(["cpu"], f"shift; exec {namespace} {shlex.join(program)}", "/inner")
        assert ran.wait(30) == 0
        shares = dict(line.split() for line in out.read_text().splitlines())
        if namespace == told:
            assert shares.items() >= {"/child": "88"}.items()
            assert not {path for path in shares if own.path in path}
        else:
            outside = f"/../..{own.path}"
            assert shares.items() >= {outside: "77", f"{outside}/inner/child": "88"}.items()


@as_root
def test_what_is_mounted_on_a_group_is_not_followed(own: Place, tmp_path: Path) -> None:
    own.make(["cpu"])
    for below in ("/hidden", "/hidden/under", "/seen"):
        own.make(["cpu"], below)
    out = tmp_path / "out"
    hidden = own.folder("cpu", "/hidden")
    hiding = f"mount -t tmpfs none {hidden} && echo 5 >{hidden}/cpu.shares"
    program = shlex.join([sys.executable, "-c", PATHS, str(out)])
    assert own.start(["cpu"], f"exec unshare --mount sh -c {shlex.quote(f'{hiding} && {program}')}").wait(30) == 0
    paths = {line.split()[0] for line in out.read_text().splitlines() if line.startswith(own.path)}
    assert paths == {own.path, f"{own.path}/seen"}


def test_every_group_has_the_limits_of_its_files() -> None:
    """What others change meanwhile is left out: that whose files are not the same before and after."""
    mounts = hierarchies()

    def limits() -> dict[tuple[str, str], str]:
        found = {}
        for controller, name in (("memory", "memory.limit_in_bytes"), ("pids", "pids.max"), ("cpu", "cpu.shares")):
            root = mounts[controller]
            command = ["find", str(root), "-name", name, "-printf", "/%P\n"]
            for file in subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines():
                try:
                    found[file.removesuffix(f"/{name}") or "/", name] = Path(f"{root}{file}").read_text().strip()
                except OSError:
                    continue
        return found

    before = limits()
    groups = {group.path: group for group in cgroups().tree.groups}
    after = limits()
    same = {key: text for key, text in before.items() if after.get(key) == text}
    assert len(same) >= 2
    for (path, name), text in same.items():
        group = groups[path]
        assert group.cpu is not None or name != "cpu.shares"
        told = {
            "memory.limit_in_bytes": group.memory and group.memory.limit,
            "pids.max": group.processes and group.processes.limit,
            "cpu.shares": group.cpu and group.cpu.shares,
        }[name]
        assert told == (None if text == "max" or int(text) > 1 << 62 else int(text)), (path, name)


def test_reading_leaves_no_descriptor_open() -> None:
    before = os.listdir("/proc/self/fd")
    for detail in (True, False):
        cgroups(detail=detail)
    cgroups(pid=os.getpid(), detail=False)
    assert os.listdir("/proc/self/fd") == before


def test_another_process_leads_to_the_same_groups() -> None:
    own = {mount.path for mount in cgroups(within=["/"], detail=False).tree.hierarchies}
    reading = cgroups(within=[], detail=False, pid=os.getpid())
    assert {mount.path for mount in reading.tree.hierarchies} == own
    assert [group.path for group in reading.tree.groups] == ["/"]
