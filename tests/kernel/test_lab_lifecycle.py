"""A lab comes up whole, goes down without a trace, and survives the death of any of its parts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import netfs.lab
from netfs.errors import LabError, UsageError
from netfs.lab import cgroups, faults, lifecycle, probe, state
from netfs.lab.state import LabState
from tests.kernel.another_user import PYTHON, readable_library
from tests.kernel.sampled import sampled

ROOT = Path(netfs.lab.__file__).parents[2]
KINDS = ("net", "mnt", "uts", "pid", "ipc", "user")


@dataclass(frozen=True)
class Traces:
    """What a lab had on this machine."""

    name: str
    folder: Path
    processes: frozenset[tuple[int, int | None]]
    """(pid, start time) of every process in a namespace of the lab's."""


@pytest.fixture
def name() -> Iterator[str]:
    """A name of its own, and nothing left of it afterwards."""
    chosen = f"life-{os.getpid()}-{time.monotonic_ns() % 10**9}"
    yield chosen
    if state.folder(chosen).exists():
        netfs.lab.down(chosen)


def namespaces_of(pid: int | str) -> frozenset[int]:
    found = set()
    for kind in KINDS:
        try:
            found.add(os.stat(f"/proc/{pid}/ns/{kind}").st_ino)
        except OSError:
            continue
    return frozenset(found)


def traces(lab: LabState) -> Traces:
    """Who lives in a namespace that is its members' and not the caller's."""
    its = namespaces(lab)
    pids = [int(pid) for pid in os.listdir("/proc") if pid.isdecimal() and namespaces_of(pid) & its]
    return Traces(lab.name, state.folder(lab.name), frozenset((pid, state.start_time(pid)) for pid in pids))


def namespaces(lab: LabState) -> frozenset[int]:
    return frozenset().union(*(namespaces_of(member.pid) for member in lab.members)) - namespaces_of("self")


def left_of(seen: Traces) -> list[int]:
    return [pid for pid, start in seen.processes if start is not None and state.start_time(pid) == start]


def assert_gone(seen: Traces) -> None:
    assert left_of(seen) == []
    assert not seen.folder.exists()
    assert seen.name not in Path("/proc/self/mountinfo").read_text()
    assert [base for base in cgroups.bases(seen.name, os.geteuid() == 0) if os.path.exists(base)] == []
    assert seen.name not in netfs.lab.names()


def test_two_nodes_talk_both_ways_over_every_protocol(name: str) -> None:
    lab = netfs.lab.up(name, ipv6=True)
    assert [node.name for node in lab.nodes] == ["node1", "node2"]
    assert [(pod.name, pod.node) for pod in lab.pods] == [
        ("pod-a", "node1"),
        ("pod-b", "node2"),
        ("pod-c", "node1"),
        ("pod-d", "node2"),
    ]
    for target in lab.pods[1:]:
        assert probe.answered(lab, "pod-a", target.ip)
        assert probe.answered(lab, "pod-a", target.ip6 or "")
        assert probe.answered(lab, "pod-a", target.ip, proto="tcp", port=80)
        assert probe.answered(lab, "pod-a", target.ip, proto="udp", port=8080, size=1200)
        assert probe.answered(lab, "pod-a", target.ip6 or "", proto="tcp", port=8080)
    assert probe.answered(lab, "node1", lab.member("pod-b").ip)
    assert not probe.answered(lab, "pod-a", "10.244.2.99", timeout=0.2)


def test_down_leaves_nothing(name: str) -> None:
    seen = traces(netfs.lab.up(name))
    assert len(seen.processes) == 7
    netfs.lab.down(name)
    assert_gone(seen)


def test_each_member_has_namespaces_and_a_name_of_its_own(name: str) -> None:
    lab = netfs.lab.up(name)
    for kind in ("net", "mnt", "uts", "pid", "ipc"):
        inodes = {os.stat(f"/proc/{member.pid}/ns/{kind}").st_ino for member in lab.members}
        assert len(inodes) == len(lab.members), kind
    for member in lab.members:
        assert netfs.lab.execute(name, member.name, ["sh", "-c", f'test "$(hostname)" = {member.name}']) == 0


def test_pods_have_an_overlay_and_see_only_their_own_processes(name: str) -> None:
    lab = netfs.lab.up(name)
    if any("overlay" in note for note in lab.notes):
        pytest.skip("this host lets the caller mount no overlay")
    script = "set -e; m=$(grep -c '^overlay .*/merged ' /proc/mounts); p=$(ls -d /proc/[0-9]* | wc -l); "
    assert netfs.lab.execute(name, "node1", ["sh", "-c", script + "test $m = 2 -a $p -lt 12"]) == 0
    assert netfs.lab.execute(name, "pod-a", ["sh", "-c", script + "test $m = 1 -a $p -lt 8"]) == 0
    merged = "$(grep -o '/[^ ]*/merged' /proc/self/mountinfo)"
    assert netfs.lab.execute(name, "pod-c", ["sh", "-c", f"grep -qx pod-c {merged}/etc/hostname"]) == 0
    assert netfs.lab.execute(name, "pod-c", ["sh", "-c", f"grep -q 'application layer' {merged}/etc/motd"]) == 0


def test_pods_have_a_control_group_where_the_host_lets_them(name: str) -> None:
    lab = netfs.lab.up(name)
    groups = Path(f"/proc/{lab.member('pod-a').pid}/cgroup").read_text()
    allowed = bool(cgroups.bases(name, os.geteuid() == 0))
    assert (f"/netfs-lab-{name}/kubepods/pod" in groups) is allowed
    assert any("control group" in note for note in lab.notes) is not allowed
    limits = {"memory.limit_in_bytes": "134217728", "memory.max": "134217728", "cpu.cfs_quota_us": "100000"}
    pods = [found for base in cgroups.bases(name, os.geteuid() == 0) for found in Path(base).glob("kubepods/pod*/")]
    files = [each / file for pod in pods for each in (pod, *pod.glob("*/")) for file in limits]
    assert {file.read_text().strip() == limits[file.name] for file in files if file.exists()} <= {True}
    assert {(pod / "pids.max").read_text() for pod in pods if (pod / "pids.max").exists()} <= {"256\n"}


def test_a_fault_that_cannot_be_played_leaves_the_lab_as_it_was(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = netfs.lab.up(name, nodes=1)
    with pytest.raises(UsageError, match=r"no fault 'pod-link-dwn' .near: pod-link-down"):
        netfs.lab.break_fault(name, "pod-link-dwn")
    with pytest.raises(LabError, match="cannot be played in a lab: it needs a driver"):
        netfs.lab.break_fault(name, "vxlan-tx-checksum")
    with pytest.raises(LabError, match=r"needs IPv6 .netfs lab up --ipv6"):
        netfs.lab.break_fault(name, "ipv6-disabled")
    with pytest.raises(LabError, match="the fault needs node2"):
        netfs.lab.break_fault(name, "vxlan-fdb-missing")
    half = faults.Fault("half", ("pod-a: ip link set eth0 down", "pod-a: ip nonsense"), ("pod-a: restore",))
    monkeypatch.setattr(faults, "catalogue", lambda: {"half": half})
    with pytest.raises(LabError, match="ip nonsense: Object"):
        netfs.lab.break_fault(name, "half")
    assert netfs.lab.status(name).broken == ()
    # a link that came up is heard of within a second (net/core/link_watch.c)
    assert any(probe.answered(lab, "pod-a", lab.member("node1").ip) for _ in range(3))


@pytest.mark.parametrize("part", ["underlay", "node1", "node2", "pod-a", "pod-d"])
def test_down_leaves_nothing_after_a_part_was_killed(name: str, part: str) -> None:
    lab = netfs.lab.up(name)
    seen = traces(lab)
    os.kill(lab.member(part).pid, signal.SIGKILL)
    netfs.lab.down(name)
    assert_gone(seen)


def test_status_tells_who_has_died(name: str) -> None:
    lab = netfs.lab.up(name)
    os.kill(lab.member("pod-b").pid, signal.SIGKILL)
    deadline = time.monotonic() + 2.0
    while netfs.lab.status(name).member("pod-b").alive and time.monotonic() < deadline:
        time.sleep(0.01)
    now = netfs.lab.status(name)
    assert [member.name for member in now.members if not member.alive] == ["pod-b"]
    with pytest.raises(LabError, match="has died"):
        netfs.lab.execute(name, "pod-b", ["true"])


def test_up_after_a_crash_works_and_leaves_no_debris(name: str) -> None:
    first = netfs.lab.up(name)
    seen = traces(first)
    os.kill(first.supervisor_pid, signal.SIGKILL)
    deadline = time.monotonic() + 2.0
    while name in netfs.lab.names() and time.monotonic() < deadline:
        time.sleep(0.001)
    with pytest.raises(LabError, match="has died"):
        netfs.lab.status(name)
    second = netfs.lab.up(name)
    assert probe.answered(second, "pod-a", second.member("pod-b").ip)
    assert left_of(seen) == []
    netfs.lab.down(name)


def test_up_refuses_a_lab_that_runs_and_leaves_it_alone(name: str) -> None:
    lab = netfs.lab.up(name)
    with pytest.raises(LabError, match=f"running already.*netfs lab down --name {name}"):
        netfs.lab.up(name)
    assert netfs.lab.status(name) == lab


def test_two_labs_run_side_by_side(name: str) -> None:
    other = f"{name}-2"
    one, two = netfs.lab.up(name), netfs.lab.up(other, nodes=1, pods=1)
    try:
        assert {name, other} <= set(netfs.lab.names())
        assert namespaces(one).isdisjoint(namespaces(two))
        netfs.lab.break_fault(name, "pod-link-down")
        assert not probe.answered(one, "pod-a", one.member("pod-b").ip, timeout=0.2)
        assert probe.answered(two, "node1", two.member("pod-a").ip)
    finally:
        netfs.lab.down(other)
    assert probe.answered(one, "pod-a", one.member("pod-c").ip)


def test_what_is_run_in_a_pod_is_in_its_control_groups(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    lab = netfs.lab.up(name)
    for member in lab.members:
        assert netfs.lab.execute(name, member.name, ["cat", "/proc/self/cgroup"]) == 0
        limited = {line for line in Path(f"/proc/{member.pid}/cgroup").read_text().splitlines() if name in line}
        assert {line for line in capfd.readouterr().out.splitlines() if name in line} == limited
        assert bool(limited) == (member.kind == "pod" and bool(cgroups.bases(name, os.geteuid() == 0)))


def test_exec_passes_exit_status_and_signals(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    netfs.lab.up(name)
    assert netfs.lab.execute(name, "pod-a", ["sh", "-c", "exit 42"]) == 42
    assert netfs.lab.execute(name, "pod-a", ["sh", "-c", "kill -9 $$"]) == 128 + 9
    assert netfs.lab.execute(name, "node1", ["no-such-command"]) == 127
    assert netfs.lab.execute(name, "node1", ["/etc/hosts"]) == 126
    assert netfs.lab.execute(name, "node1", ["sh", "-c", "echo out; echo err >&2"]) == 0
    out, err = capfd.readouterr()
    assert out == "out\n"
    assert err.endswith("err\n")
    with pytest.raises(LabError, match="no node or pod 'pod-x'"):
        netfs.lab.execute(name, "pod-x", ["true"])


def test_all_faults_are_repaired_newest_first(name: str) -> None:
    lab = netfs.lab.up(name)
    for slug in ("vxlan-vni-mismatch", "vxlan-fdb-missing", "pod-link-down"):
        netfs.lab.break_fault(name, slug)
    with pytest.raises(LabError, match="broken already"):
        netfs.lab.break_fault(name, "pod-link-down")
    assert netfs.lab.status(name).broken == ("vxlan-vni-mismatch", "vxlan-fdb-missing", "pod-link-down")
    done = netfs.lab.repair(name)
    assert done[0] == "pod-b: restore"
    assert netfs.lab.status(name).broken == ()
    assert probe.answered(lab, "pod-a", lab.member("pod-b").ip)


def start_up(name: str) -> subprocess.Popen[bytes]:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import netfs.lab; netfs.lab.up({name!r}, nodes=8)"
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("milliseconds", sampled([0, 60, 100, 150, 250, 400]))
@pytest.mark.parametrize("whom", ["caller", "supervisor"])
def test_killed_while_building_it_leaves_nothing_after_down(name: str, whom: str, milliseconds: int) -> None:
    caller = start_up(name)
    time.sleep(milliseconds / 1000)
    if whom == "caller":
        caller.kill()
    elif (record := state.supervisor(name)) is not None:
        os.kill(record[0], signal.SIGKILL)
    caller.wait()
    if state.folder(name).exists():
        netfs.lab.down(name)
    assert_nothing_named(name)
    lab = netfs.lab.up(name, nodes=1)
    assert lab.nodes[0].alive
    seen = traces(lab)
    netfs.lab.down(name)
    assert_gone(seen)


def assert_nothing_named(name: str) -> None:
    """No process of a lab: its supervisor's command line carries the name."""
    deadline = time.monotonic() + 3.0
    while (left := _commands_with(name)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left == []
    assert not state.folder(name).exists()
    assert [base for base in cgroups.bases(name, os.geteuid() == 0) if os.path.exists(base)] == []


def _commands_with(name: str) -> list[str]:
    found = []
    for pid in os.listdir("/proc"):
        if pid.isdecimal() and int(pid) != os.getpid():
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if name.encode() in command and b"netfs.lab.supervisor" in command:
                found.append(f"{pid} {command!r}")
    return found


def test_one_of_several_builders_wins(name: str) -> None:
    builders = [start_up(name) for _ in range(3)]
    assert sorted(builder.wait() for builder in builders) == [0, 1, 1]
    assert len(netfs.lab.status(name).nodes) == 8


def test_a_lab_that_is_not_there_leaves_no_folder_behind(name: str) -> None:
    for ask in (netfs.lab.down, netfs.lab.status, netfs.lab.repair):
        with pytest.raises(LabError, match="is not running"):
            ask(name)
    with lifecycle.claim(name) as (folder, _):
        assert folder.is_dir()
    assert not folder.exists()


def test_an_ordinary_user_gets_the_same_lab_beside_ours(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Run by root, it becomes somebody else first."""
    ours = netfs.lab.up(name)
    script = _ORDINARY.replace("ROOT", repr(str(ROOT)))
    run = _as_somebody(tmp_path_factory) if os.geteuid() == 0 else _as_oneself
    answer = json.loads(run(script))
    assert answer["root"] is False
    assert answer["probes"] == [True, False, True, True]
    assert answer["status"] == 3
    assert not Path(answer["folder"]).exists()
    assert probe.answered(ours, "pod-a", ours.member("pod-b").ip)
    assert [pid for pid, start in answer["processes"] if state.start_time(pid) == start] == []


_ORDINARY = """
import json, os, signal, sys, time
sys.path.insert(0, ROOT)
import netfs.lab
from netfs.lab import probe, state
name = f"plain-{os.getpid()}"
lab = netfs.lab.up(name)
target = lab.member("pod-b").ip
try:
    probes = [probe.answered(lab, "pod-a", target)]
    netfs.lab.break_fault(name, "vxlan-fdb-missing")
    probes.append(probe.answered(lab, "pod-a", target, timeout=0.2))
    netfs.lab.repair(name)
    probes.append(probe.answered(lab, "pod-a", target))
    status = netfs.lab.execute(name, "node2", ["sh", "-c", "exit 3"])
    os.kill(lab.supervisor_pid, signal.SIGKILL)
    while name in netfs.lab.names():
        time.sleep(0.001)
    again = netfs.lab.up(name)
    probes.append(probe.answered(again, "pod-a", target))
    processes = [(member.pid, member.start) for member in (*lab.members, *again.members)]
    folder = str(state.folder(name))
finally:
    netfs.lab.down(name)
print(json.dumps({"root": lab.root, "probes": probes, "status": status, "processes": processes, "folder": folder}))
"""


def _as_oneself(script: str) -> str:
    return subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout


def _as_somebody(factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """A user id that nobody has, with a runtime folder of its own."""
    uid = 54321 + os.getpid() % 1000
    runtime = factory.mktemp("run")
    for parent in (runtime, *runtime.parents):
        if parent.stat().st_uid == os.geteuid() and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    os.chown(runtime, uid, uid)

    def run(script: str) -> str:
        environment = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(runtime)}
        with readable_library() as library:
            done = subprocess.run(
                [PYTHON, "-c", script.replace(str(ROOT), str(library))],
                user=uid,
                group=uid,
                extra_groups=[],
                env=environment,
                cwd="/",
                check=False,
                capture_output=True,
                text=True,
            )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
