"""Whole trees below a folder, with a mountinfo made by hand."""

from __future__ import annotations

import marshal
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from netfs.collect.cgroups import read, walk
from netfs.collect.cgroups.read import CgroupReading, cgroups
from netfs.model.cgroups import Cgroup, HugePages

POD = "/kubepods.slice/kubepods-pod1.slice"
APP = f"{POD}/cri-containerd-abc.scope"


class Host:
    """A /proc and a /sys/fs/cgroup."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        device = folder.stat().st_dev
        self._device = f"{os.major(device)}:{os.minor(device)}"
        self._lines: list[str] = []

    def mount(self, name: str, options: str, root: str = "/") -> Path:
        """A hierarchy; no options: version 2."""
        kind = f"cgroup cgroup rw,{options}" if options else "cgroup2 cgroup2 rw"
        self._lines.append(f"{30 + len(self._lines)} 24 {self._device} {root} {self.folder / name} rw - {kind}\n")
        (self.folder / name).mkdir()
        return self.folder / name

    def read(self, **words: object) -> CgroupReading:
        proc = self.folder / "proc"
        (proc / "self").mkdir(parents=True, exist_ok=True)
        (proc / "self/mountinfo").write_text("".join(self._lines))
        return cgroups(proc=str(proc), **words)  # type: ignore[arg-type]  # the words of the caller


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def fill(root: Path, group: str, files: Mapping[str, str]) -> None:
    folder = root / group.lstrip("/")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def version_2(root: Path) -> None:
    fill(root, "/", {"cgroup.controllers": "cpuset cpu io memory hugetlb pids\n", "cpu.stat": "usage_usec 99\n"})
    for group in ("/", "/kubepods.slice", POD):
        fill(root, group, {"cgroup.subtree_control": "cpu memory pids hugetlb\n", "cgroup.procs": ""})
    for group in ("/kubepods.slice", POD, APP):
        fill(
            root,
            group,
            {
                "cpu.stat": "usage_usec 9\nnr_periods 4\n",
                "cpu.max": "max 100000\n",
                "memory.current": "100\n",
                "memory.max": "max\n",
                "memory.events": "oom_kill 0\n",
                "pids.current": "2\n",
                "pids.max": "max\n",
            },
        )
    limits = {"cpu.max": "5000 10000\n", "memory.max": "200\n", "memory.stat": "inactive_file 30\n", "pids.max": "5\n"}
    events = {"cgroup.events": "populated 1\nfrozen 0\n", "cgroup.type": "domain\n", "cgroup.procs": "12\n7\n0\n"}
    fill(root, APP, {**limits, **events, "hugetlb.2MB.current": "0\n", "hugetlb.2MB.max": "max\n"})


def paths(reading: CgroupReading) -> list[str]:
    return [group.path for group in reading.tree.groups]


def group(reading: CgroupReading, path: str) -> Cgroup:
    return next(each for each in reading.tree.groups if each.path == path)


def numbers(each: Cgroup) -> tuple[object, ...]:
    assert each.cpu is not None
    assert each.memory is not None
    assert each.processes is not None
    return (
        (each.cpu.usage_us, each.cpu.quota_us, each.cpu.period_us, each.cpu.periods),
        (each.memory.current, each.memory.limit, each.memory.working_set, each.memory.oom_kills),
        (each.processes.current, each.processes.limit),
    )


def test_a_host_of_version_2(host: Host) -> None:
    version_2(host.mount("cgroup", ""))
    for detail in (True, False):
        reading = host.read(detail=detail)
        assert not reading.gaps
        assert reading.tree.mode == "v2"
        assert reading.tree.hierarchies[0].controllers == ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")
        assert paths(reading) == ["/", "/kubepods.slice", POD, APP]
        app = group(reading, APP)
        assert numbers(app) == ((9, 5000, 10_000, 4), (100, 200, 70, 0), (2, 5))
        assert app.controllers == ("", "cpu", "hugetlb", "memory", "pids")
        assert app.inode == (host.folder / "cgroup" / APP.lstrip("/")).stat().st_ino
        root = group(reading, "/")
        assert (root.cpu and root.cpu.usage_us, root.memory, root.processes) == (99, None, None)


def test_only_detail_reads_the_rest(host: Host) -> None:
    version_2(host.mount("cgroup", ""))
    app = group(host.read(), APP)
    assert (app.pids, app.populated, app.frozen, app.type) == ((7, 12), True, False, "domain")
    assert app.huge_pages == (HugePages("2MB", 0, None, None),)
    plain = group(host.read(detail=False), APP)
    assert (plain.pids, plain.populated, plain.huge_pages) == ((), None, ())


def test_a_long_list_of_processes_is_read_to_its_end(host: Host) -> None:
    fill(host.mount("cgroup", ""), "/a", {"cgroup.procs": "".join(f"{pid}\n" for pid in range(1, 40_001))})
    assert group(host.read(), "/a").pids == tuple(range(1, 40_001))


def version_1(host: Host) -> None:
    cpu, memory = host.mount("cpu,cpuacct", "cpu,cpuacct"), host.mount("memory", "memory")
    pids, freezer = host.mount("pids", "pids"), host.mount("freezer", "freezer")
    named = host.mount("systemd", "xattr,name=systemd")
    for path in ("/docker", "/docker/abc"):
        fill(cpu, path, {"cpu.cfs_quota_us": "-1\n", "cpuacct.usage": "9000\n", "cgroup.procs": "12\n"})
        numbers = {"memory.usage_in_bytes": "100\n", "memory.oom_control": "oom_kill 0\n"}
        fill(memory, path, {**numbers, "memory.limit_in_bytes": "9223372036854771712\n", "cgroup.procs": "7\n"})
        fill(pids, path, {"pids.current": "2\n", "pids.max": "max\n"})
    quota = {"cpu.cfs_quota_us": "5000\n", "cpu.cfs_period_us": "10000\n", "cpu.stat": "nr_periods 4\n"}
    fill(cpu, "/docker/abc", quota)
    fill(memory, "/docker", {"memory.stat": "total_inactive_file 1\n"})
    fill(memory, "/docker/abc", {"memory.limit_in_bytes": "200\n", "memory.stat": "total_inactive_file 30\n"})
    fill(pids, "/docker/abc", {"pids.max": "5\n"})
    fill(freezer, "/docker/abc", {"freezer.state": "FROZEN\n"})
    fill(named, "/user.slice", {"cgroup.procs": "44\n"})


def test_a_host_of_version_1_has_one_record_for_a_path(host: Host) -> None:
    version_1(host)
    reading = host.read()
    assert not reading.gaps
    assert reading.tree.mode == "v1"
    assert paths(reading) == ["/", "/docker", "/docker/abc", "/user.slice"]
    app = group(reading, "/docker/abc")
    assert numbers(app) == ((9, 5000, 10_000, 4), (100, 200, 70, 0), (2, 5))
    assert app.controllers == ("cpu", "cpuacct", "freezer", "memory", "pids")
    assert (app.pids, app.frozen, app.populated) == ((7, 12), True, None)
    assert group(reading, "/user.slice").controllers == ("name=systemd",)
    lines = host.read(detail=False)
    assert numbers(group(lines, "/docker/abc")) == numbers(app)
    unlimited = [group(each, "/docker").memory for each in (reading, lines)]
    assert [memory and memory.working_set for memory in unlimited] == [99, None]


def test_a_hybrid_host_where_version_2_has_what_version_1_lacks(host: Host) -> None:
    version_1(host)
    unified = host.mount("unified", "")
    fill(unified, "/docker/abc", {"cpu.stat": "usage_usec 1\nuser_usec 3\n", "cgroup.events": "populated 1\n"})
    fill(unified, "/user.slice", {"cpu.stat": "usage_usec 55\n"})
    for detail in (True, False):
        reading = host.read(detail=detail)
        assert reading.tree.mode == "hybrid"
        app, user = group(reading, "/docker/abc"), group(reading, "/user.slice")
        assert numbers(app) == ((9, 5000, 10_000, 4), (100, 200, 70, 0), (2, 5))
        assert (app.populated, "" in app.controllers) == (True if detail else None, True)
        assert app.cpu is not None
        assert app.cpu.user_us == (3 if detail else None)  # a line needs no more than version 1 tells
        assert user.cpu is not None
        assert user.cpu.usage_us == 55
        assert app.inode == (unified / "docker/abc").stat().st_ino


def test_within_has_what_is_below_and_above(host: Host) -> None:
    root = host.mount("cgroup", "")
    for path in ("/a/b/c", "/a/other", "/ab", "/z/y"):
        fill(root, path, {})
    assert paths(host.read(within=["/a/b"])) == ["/", "/a", "/a/b", "/a/b/c"]
    assert paths(host.read(within=["/a/b/c", "/z"], detail=False)) == ["/", "/a", "/a/b", "/a/b/c", "/z", "/z/y"]
    assert paths(host.read(within=["/a/gone"])) == ["/", "/a"]
    assert paths(host.read(within=["/"])) == paths(host.read())
    assert paths(host.read(within=[])) == ["/"]


def test_a_part_that_is_mounted_has_the_paths_of_the_whole(host: Host) -> None:
    fill(host.mount("cgroup", "", "/docker/abc"), "/inner", {})
    assert paths(host.read()) == ["/docker/abc", "/docker/abc/inner"]
    assert paths(host.read(within=["/docker"])) == ["/docker/abc", "/docker/abc/inner"]


def test_order_is_by_name_with_those_below_following(host: Host) -> None:
    root = host.mount("cgroup", "")
    for path in ("/a/x", "/a!", "/a b", "/b", "/a\nb\x1b[31m"):
        fill(root, path, {})
    os.mkdir(os.fsencode(root) + b"/\xff\xfe")
    assert paths(host.read()) == ["/", "/a", "/a/x", "/a\nb\x1b[31m", "/a b", "/a!", "/b", "/\udcff\udcfe"]


def test_links_are_not_followed(host: Host) -> None:
    root = host.mount("cgroup", "")
    fill(root, "/a", {})
    (root / "loop").symlink_to(root)
    (host.folder / "elsewhere").write_text("usage_usec 5\n")
    (root / "a/cpu.stat").symlink_to(host.folder / "elsewhere")
    reading = host.read()
    assert paths(reading) == ["/", "/a"]
    assert group(reading, "/a").cpu is None


def test_a_strange_file_is_a_gap_one_for_all_groups(host: Host) -> None:
    root = host.mount("cgroup", "")
    for path in ("/a", "/b"):
        fill(root, path, {"pids.current": "few\n", "pids.max": "3\n"})
    reading = host.read()
    processes = group(reading, "/a").processes
    assert processes is not None
    assert (processes.current, processes.limit) == (None, 3)
    assert [(gap.where, gap.what, gap.reason) for gap in reading.gaps] == [
        ("/a", "pids.current", "its form is not known (2 such)")
    ]


def test_what_may_not_be_read_is_a_gap(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    version_2(host.mount("cgroup", ""))

    def refusing(path: str, flags: int, **words: int) -> int:
        if path.endswith("memory.current"):
            raise PermissionError(13, "no")
        return opened(path, flags, **words)

    opened = os.open
    monkeypatch.setattr(os, "open", refusing)
    reading = host.read()
    memory = group(reading, APP).memory
    assert memory is not None
    assert (memory.current, memory.limit) == (None, 200)
    assert [gap.reason for gap in reading.gaps] == ["Permission denied (3 such)"]


@pytest.mark.parametrize("step", ["stat", "open", "read"])
def test_a_group_that_goes_meanwhile_is_no_gap(host: Host, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    version_2(host.mount("cgroup", ""))
    real: Callable[..., object] = getattr(os, step)
    count = 0

    def going(*args: object, **words: object) -> object:
        nonlocal count
        count += 1
        if count > 20:
            raise OSError(19 if step == "read" else 2, "gone")
        return real(*args, **words)

    monkeypatch.setattr(os, step, going)
    reading = host.read()
    monkeypatch.undo()
    assert not reading.gaps
    assert paths(reading)[0] == "/"


def test_no_hierarchy_and_no_mountinfo(host: Host, tmp_path: Path) -> None:
    reading = host.read()
    assert (reading.tree.mode, reading.tree.groups, reading.gaps) == ("none", (), ())
    reading = cgroups(proc=str(tmp_path / "none"))
    assert (reading.tree.mode, reading.tree.groups) == ("none", ())
    assert [gap.reason for gap in reading.gaps] == ["No such file or directory"]


def test_a_mount_that_another_hides_is_a_gap(host: Host) -> None:
    host.mount("cgroup", "").rmdir()
    (host.folder / "cgroup").symlink_to("/proc")
    reading = host.read()
    assert reading.tree.groups == ()
    assert len(reading.gaps) == 1


def test_a_tree_too_deep_is_a_gap(host: Host) -> None:
    root = host.mount("cgroup", "")
    fill(root, "/d" * (walk.DEEPEST + 5), {})
    reading = host.read()
    assert len(reading.tree.groups) == walk.DEEPEST + 1
    assert "levels deep" in reading.gaps[0].reason


def many(host: Host, count: int) -> None:
    root, memory = host.mount("cgroup", ""), host.mount("memory", "memory")
    for number in range(count):
        fill(root, f"/pods/{number}/app", {"cpu.stat": f"usage_usec {number}\n"})
        fill(memory, f"/pods/{number}", {"memory.usage_in_bytes": f"{number}\n", "memory.failcnt": "?\n"})


def in_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine and this test's process are like."""
    monkeypatch.setattr(read, "_many", lambda proc: True)
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})


def test_two_processes_find_what_one_finds(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    many(host, 70)
    alone = host.read()
    in_two(monkeypatch)
    together = host.read()
    assert len(alone.tree.groups) == 142
    assert together.tree.groups == alone.tree.groups
    assert together.gaps == alone.gaps
    assert host.read(detail=False).tree.groups[-1].cpu == alone.tree.groups[-1].cpu


def test_a_lost_process_is_made_up_for(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    many(host, 70)
    alone = host.read()
    in_two(monkeypatch)
    monkeypatch.setattr(marshal, "dump", lambda *_: os._exit(1))
    assert host.read().tree.groups == alone.tree.groups


def test_where_no_process_may_be_started_one_reads_all(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing() -> int:
        raise BlockingIOError(11, "too many")

    many(host, 70)
    in_two(monkeypatch)
    monkeypatch.setattr(os, "fork", refusing)
    assert len(host.read().tree.groups) == 142


def test_a_process_of_several_threads_reads_alone(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    many(host, 70)
    monkeypatch.setattr(read, "_many", lambda proc: True)
    monkeypatch.setattr(os, "fork", None)
    wait = threading.Event()
    thread = threading.Thread(target=wait.wait)
    thread.start()
    try:
        assert len(host.read().tree.groups) == 142
    finally:
        wait.set()
        thread.join()
