"""The table of processes, from a /proc made of files: whose places are read how, and what is said of the others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netfs.collect.hidden import hides
from netfs.collect.processes import ProcessTable, processes
from netfs.collect.procfs import Stat, read_stat
from netfs.model.processes import Elsewhere
from tests.unit.proc_folder import EXITING, KERNEL_THREAD, OWN, write_process, write_thread

OTHERS = OWN | {"pid": 4026532515, "net": 4026532516}
LEFT = {kind: OWN[kind] for kind in ("pid", "user")}


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    write_process(tmp_path, 1, comm=b"init", ppid=0)
    (tmp_path / "self").symlink_to("1")
    (tmp_path / "uptime").touch()
    return tmp_path


def read(proc: Path) -> ProcessTable:
    before = len(os.listdir("/proc/self/fd"))
    table = processes(str(proc))
    assert len(os.listdir("/proc/self/fd")) == before
    return table


def test_a_process_of_a_container(proc: Path) -> None:
    status = b"Name:\tx\nNSpid:\t30\t4\n"
    write_process(
        proc, 30, comm=b") (\n", cgroup=b"4:memory:/docker/a\n", status=status, namespaces=OTHERS, children=OTHERS
    )
    first, second = read(proc).processes
    assert (first.pid, first.comm, first.namespaces, first.pids) == (1, "init", OWN, (1,))
    assert (second.comm, second.started, second.ppid, second.uid) == (") (\n", 100, 1, os.geteuid())
    assert (second.namespaces, second.for_children, second.pids) == (OTHERS, {}, (30, 4))
    assert second.cgroups == {"memory": "/docker/a"}


def test_status_is_not_read_of_processes_in_the_readers_own_pid_namespace(proc: Path) -> None:
    (write_process(proc, 30) / "status").unlink()
    assert read(proc).processes[1].pids == (30,)


def test_numbers_are_those_of_the_first_process_where_the_reader_is_below(proc: Path) -> None:
    status = b"NSpid:\t40\t1\n"
    (proc / "self").unlink()
    (proc / "self").symlink_to("40")
    write_process(proc, 40, status=status, namespaces=OTHERS, children=OTHERS)
    assert [process.pids for process in read(proc).processes] == [(1,), (40, 1)]


def test_where_children_will_be(proc: Path) -> None:
    write_process(proc, 30, children=OWN | {"pid": 7, "time": 8})
    assert read(proc).processes[1].for_children == {"pid": 7, "time": 8}


def test_children_may_have_no_place_yet(proc: Path) -> None:
    write_process(proc, 30, children={"time": OWN["time"]})
    process = read(proc).processes[1]
    assert (process.namespaces, process.for_children) == (OWN, {})


def test_a_kernel_without_a_type(proc: Path) -> None:
    for name in ("time", "time_for_children"):
        (proc / "1" / "ns" / name).unlink()
    assert set(read(proc).processes[0].namespaces) == set(OWN) - {"time"}


def test_kernel_threads_are_with_the_first_but_for_mounts(proc: Path) -> None:
    write_process(proc, 2, comm=b"kthreadd", flags=KERNEL_THREAD)
    write_process(proc, 3, comm=b"kdevtmpfs", flags=KERNEL_THREAD, namespaces={"mnt": 99})
    write_process(proc, 4, comm=b"rcu_gp", flags=KERNEL_THREAD, namespaces={"mnt": OWN["mnt"]})
    assert [process.namespaces for process in read(proc).processes[1:]] == [OWN, OWN | {"mnt": 99}, OWN]


def test_a_reader_without_a_descriptor_left_says_so(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_process(proc, 30)

    def failing(folder: int, name: str) -> bytes:
        raise OSError(24, "Too many open files", f"{folder}/{name}")

    monkeypatch.setattr("netfs.collect.processes.read", failing)
    table = read(proc)
    assert table.processes == ()
    assert [gap.reason for gap in table.gaps] == ["2 processes could not be read (first: pid 1): Too many open files"]


@pytest.mark.parametrize("late", [{}, {"cgroup": OWN["cgroup"], "ipc": OWN["ipc"]}])
@pytest.mark.parametrize(("state", "flags"), [("Z", 0), ("Z", EXITING), ("R", EXITING)])
def test_what_has_ended_is_in_few_namespaces_and_its_version_1_groups_are_not_known(
    proc: Path, state: str, flags: int, late: dict[str, int]
) -> None:
    """``late``: what was still there when it was looked at."""
    groups = b"4:memory:/\n0::/docker/a\n"
    write_process(proc, 30, state=state, flags=flags, cgroup=groups, namespaces=LEFT | late, children={})
    table = read(proc)
    assert (table.processes[1].namespaces, table.processes[1].cgroups) == (LEFT, {"": "/docker/a"})
    assert table.gaps == ()


def test_threads_that_are_elsewhere(proc: Path) -> None:
    folder = write_process(proc, 30, threads=3)
    write_thread(folder, 30, OWN)
    write_thread(folder, 32, OWN | {"uts": 1, "net": 2, "user": 3})
    write_thread(folder, 31, OWN | {"mnt": 4})
    assert read(proc).processes[1].elsewhere == (
        Elsewhere(31, "mnt", 4),
        Elsewhere(32, "net", 2),
        Elsewhere(32, "uts", 1),
    )


def test_where_the_first_thread_has_ended_the_others_tell(proc: Path) -> None:
    folder = write_process(proc, 30, state="Z", flags=EXITING, threads=2, namespaces=LEFT, children={})
    write_thread(folder, 30, LEFT)
    write_thread(folder, 31, OTHERS)
    process = read(proc).processes[1]
    assert (process.state, process.namespaces) == ("Z", OTHERS)
    assert process.cgroups == {"memory": "/of/threads"}


def test_what_ends_meanwhile_is_left_out(proc: Path) -> None:
    for number, missing in enumerate(("stat", "cgroup")):
        (write_process(proc, 30 + number) / missing).unlink()
    write_process(proc, 40)
    assert [process.pid for process in read(proc).processes] == [1, 40]


def test_damaged_stat_is_left_out(proc: Path) -> None:
    (write_process(proc, 30) / "stat").write_bytes(b"30 (a) S")
    assert [process.pid for process in read(proc).processes] == [1]


def test_a_procfs_without_its_first_process_hides_others(tmp_path: Path) -> None:
    write_process(tmp_path, 30)
    (gap,) = read(tmp_path).gaps
    assert (gap.where, gap.what) == (str(tmp_path), "processes")
    assert "hidepid" in gap.reason


def test_what_may_not_be_read_at_all_is_counted(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for pid in (30, 31):
        write_process(proc, pid, comm=b"secret")

    def refusing(folder: int) -> Stat:
        found = read_stat(folder)
        if found.comm == "secret":
            raise PermissionError(1, "Operation not permitted")
        return found

    monkeypatch.setattr("netfs.collect.processes.read_stat", refusing)
    table = read(proc)
    assert [process.pid for process in table.processes] == [1]
    assert [gap.reason for gap in table.gaps] == ["2 processes may not be read at all, as by hidepid (first: pid 30)"]


def test_a_folder_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError):
        processes("/proc/no-such")


def test_who_may_trace_is_shown_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netfs.collect.hidden._options", lambda _: {"hidepid": "ptraceable"})
    for may in (True, False):
        monkeypatch.setattr("netfs.collect.hidden._may_trace", lambda may=may: may)
        assert hides(0, first_is_listed=True) is not may


@pytest.mark.parametrize(
    ("options", "hidden"),
    [
        ({}, False),
        ({"hidepid": "1"}, False),
        ({"hidepid": "noaccess"}, False),
        ({"hidepid": "2"}, True),
        ({"hidepid": "invisible", "gid": "OWN"}, False),
        ({"hidepid": "4", "gid": "OWN"}, True),
        ({"hidepid": "ptraceable"}, True),
    ],
)
def test_options_of_procfs(options: dict[str, str], hidden: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {name: value.replace("OWN", str(os.getegid())) for name, value in options.items()}
    said.setdefault("gid", str(max(os.getegid(), *os.getgroups(), 0) + 1))
    monkeypatch.setattr("netfs.collect.hidden._options", lambda _: said)
    monkeypatch.setattr("netfs.collect.hidden._may_trace", lambda: False)
    monkeypatch.setattr("netfs.collect.hidden._IDENTITY", Path("/proc/self/gid_map").read_bytes().split())
    assert hides(0, first_is_listed=True) is hidden
    monkeypatch.setattr("netfs.collect.hidden._IDENTITY", [])  # numbers mean others here
    assert hides(0, first_is_listed=True) is (options.get("hidepid", "0") in {"2", "4", "invisible", "ptraceable"})
