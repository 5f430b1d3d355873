"""The table of processes against the kernel: whatever is born, dies, or may not be looked at."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from netfs.collect.processes import processes
from netfs.model.processes import NAMESPACE_TYPES, Process
from tests.kernel.processes_place import inside

pytestmark = pytest.mark.kernel


@pytest.fixture(autouse=True)
def _programs(require_program: Callable[[str], str]) -> None:
    for name in ("unshare", "ps", "setpriv"):
        require_program(name)


def own_table() -> dict[int, Process]:
    return {process.pid: process for process in processes().processes}


def test_each_field_is_as_ps_and_procfs_have_it() -> None:
    with subprocess.Popen(
        ["unshare", "-UrnmpiuCTf", "--kill-child", "sh", "-c", "echo; read x"], stdin=-1, stdout=-1
    ) as outer:
        assert outer.stdout is not None
        outer.stdout.readline()
        table = own_table()
        (inner,) = (pid for pid, process in table.items() if process.ppid == outer.pid)
        for pid in (os.getpid(), outer.pid, inner):
            told = subprocess.check_output(["ps", "-o", "ppid=,uid=,nlwp=,comm=", "-p", str(pid)], text=True)
            found = table[pid]
            assert told.split() == [str(found.ppid), str(found.uid), str(found.threads), found.comm]
            assert found.namespaces == {kind: os.stat(f"/proc/{pid}/ns/{kind}").st_ino for kind in NAMESPACE_TYPES}
            groups = (line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines())
            assert found.cgroups == {controllers: path for _, controllers, path in groups}
        own, there = table[os.getpid()], table[inner]
        assert (own.pids, there.pids, own.for_children) == ((os.getpid(),), (inner, 1), {})
        assert table[outer.pid].for_children == {kind: there.namespaces[kind] for kind in ("pid", "time")}
        assert not set(there.namespaces.values()) & set(own.namespaces.values())
        outer.communicate(b"\n")


def test_nobody_is_missing_who_is_there_all_the_time() -> None:
    ps = ["ps", "-e", "-o", "pid="]
    before = subprocess.check_output(ps, text=True).split()
    table = own_table()
    after = subprocess.check_output(ps, text=True).split()
    assert {int(pid) for pid in {*before} & {*after}} <= table.keys()


def test_names_threads_zombies_and_children() -> None:
    answer = inside(
        """
def threads():
    def away():
        unshare(UTS); gone.set(); time.sleep(99)
    gone = threading.Event()
    threading.Thread(target=away, daemon=True).start(); gone.wait()
def leaderless():
    unshare(UTS)
    def last():
        while state(os.getpid()) != "Z": time.sleep(0.001)
        os.write(told, b"."); time.sleep(99)
    threading.Thread(target=last).start()
    libc.syscall({"x86_64": 60}.get(os.uname().machine, 93), 0)  # exit(2): of this thread alone
named_oddly = child(lambda: named(b") (\\n9 \\xff"))
away = child(threads)
childless = child(lambda: unshare(0x20000000))
first_ended = child(leaderless)
zombie = os.fork() or os._exit(0)
while state(zombie) != "Z": time.sleep(0.001)
whole = processes()
found = {each.pid: each for each in whole.processes}
own = found[1].namespaces
show([[gap.reason for gap in whole.gaps],
      ascii(found[named_oddly].comm),
      [[found[away].namespaces == own, len(found[away].elsewhere), each.type, each.id != own["uts"], each.tid > away]
       for each in found[away].elsewhere],
      [found[childless].namespaces == own, found[childless].for_children],
      [found[first_ended].state, found[first_ended].namespaces == {**own, "uts": found[first_ended].namespaces["uts"]},
       found[first_ended].namespaces["uts"] != own["uts"], found[first_ended].cgroups == found[1].cgroups,
       facts(found[first_ended]).facts.command == facts(found[1]).facts.command],
      [found[zombie].state, sorted(found[zombie].namespaces), set(found[zombie].cgroups) <= {""}]])
"""
    )
    assert answer == [
        [],
        ascii(") (\n9 \udcff"),
        [[True, 1, "uts", True, True]],
        [True, {}],
        ["Z", True, True, True, True],
        ["Z", ["pid", "user"], True],
    ]


def test_a_number_that_is_given_again_while_it_is_read() -> None:
    answer = inside(
        """
from netfs.collect import processes as module
def first():
    named(b"first")
def second():
    named(b"second"); unshare(UTS)
pid = child(first)
def replaced():
    time.sleep(0.02)  # longer than a tick, by which a start is told
    end(pid); again(pid, second)
def after(step, name):
    original = getattr(module, name)
    def done(folder, *rest):
        found = original(folder, *rest)
        if os.readlink(f"/proc/self/fd/{folder}") == f"/proc/{pid}":
            replaced()
        return found
    setattr(module, name, done)
    try:
        return table().get(pid)
    finally:
        setattr(module, name, original)
known = table()[pid]
left_out = [after(step, step) is None for step in ("read", "read_stat")]
show([left_out, table()[pid].comm, table()[pid].started > known.started, [gap.reason for gap in facts(known).gaps],
      dict(owners([known]))])
"""
    )
    assert answer == [[True, True], "second", True, ["it ended, and its number is another's now"], {}]


def test_hundreds_that_are_born_and_die_are_never_mixed() -> None:
    scans, seen, wrong = inside(
        """
def maker(letter):
    # Its children take the same few numbers as those of the other.
    def work():
        unshare(UTS)
        named(b"churn-" + letter)
        with open("/proc/self/oom_score_adj", "w") as file: file.write(str(letter[0]))
        if os.fork(): return
        while True:
            try:
                with open("/proc/sys/kernel/ns_last_pid", "w") as file: file.write("300")
            except OSError: pass
            # Longer than a tick: two processes of one number that start in one are the same to everybody.
            kids = [os.fork() or (time.sleep(0.02), os._exit(0)) for each in range(8)]
            for kid in kids: os.waitpid(kid, 0)
    return work
makers = {name: child(maker(name[-1:].encode())) for name in ("churn-a", "churn-b")}
right = {name: table()[pid].namespaces for name, pid in makers.items()}
scans, seen, wrong = 0, set(), []
until = time.monotonic() + 1
while time.monotonic() < until:
    scans += 1
    for each in processes().processes:
        if each.pid < 300: continue
        seen.add((each.pid, each.started))
        expected = right[each.comm]
        if each.namespaces != expected and (each.state not in "ZXR" or set(each.namespaces) != {"pid", "user"}):
            wrong.append(repr(each))
        found = facts(each).facts
        if found and found.oom_score_adjust != ord(each.comm[-1]): wrong.append(repr(found))
show([scans, len(seen), wrong])
"""
    )
    assert wrong == []
    assert scans > 5
    assert seen > 50


def test_without_capabilities_the_first_process_is_refused_and_stays_in_the_table() -> None:
    answer = inside(
        """
def look():
    whole = processes()
    first = whole.processes[0]
    found, gaps = facts(first)
    return [[each.pid for each in whole.processes], first.namespaces, list(first.cgroups.values()) != [], first.pids,
            [[gap.what, gap.reason] for gap in whole.gaps], found.command[:1], len(found.mounts) > 0,
            [gap.reason for gap in gaps]]
show(without_capabilities(look))
"""
    )
    (first, reader), namespaces, grouped, pids, gaps, command, mounted, refused = answer
    assert (first, namespaces, grouped, pids) == (1, {}, True, [1])
    assert reader > first
    assert gaps == [["namespaces by process", "1 process may not be looked at (first: pid 1)"]]
    assert (len(command), mounted, refused) == (1, True, ["Permission denied"])


@pytest.mark.parametrize(
    ("hidepid", "gap"),
    [
        (1, "1 process may not be read at all, as by hidepid (first: pid 1)"),
        (2, "it hides the processes of others (hidepid)"),
        (4, "it hides the processes of others (hidepid)"),
    ],
)
def test_a_procfs_that_hides_the_processes_of_others(hidepid: int, gap: str) -> None:
    gaps, pids, trusted, none, reasons = inside(
        """
first = table()[1]
def look():
    whole = processes()
    return [[gap.reason for gap in whole.gaps], [each.pid == os.getpid() for each in whole.processes],
            facts(first).facts, [gap.reason for gap in facts(first).gaps]]
refused = without_capabilities(look)
show([refused[0], refused[1], [gap.reason for gap in processes().gaps], refused[2], refused[3]])
""",
        mount=f"mount -t proc -o hidepid={hidepid} proc /proc",
    )
    assert (gaps, pids, trusted, none) == ([gap], [True], [], None)
    assert len(reasons) == 1


@pytest.mark.parametrize("hidepid", [2, 4])
def test_others_are_hidden_where_the_first_process_is_the_readers_own(hidepid: int) -> None:
    """As in a container whose processes have several users; here one of them gave up its capabilities."""
    answer = inside(
        """
hidden = child(lambda: None)
header = (ctypes.c_uint32 * 2)(0x20080522, 0)
assert libc.capset(header, (ctypes.c_uint32 * 6)()) == 0
whole = processes()
show([[each.pid for each in whole.processes], [gap.reason for gap in whole.gaps], os.path.exists(f"/proc/{hidden}")])
""",
        mount=f"mount -t proc -o hidepid={hidepid} proc /proc",
    )
    assert answer == [[1], ["it hides the processes of others (hidepid)"], False]
