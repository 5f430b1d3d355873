"""What is wrong with control groups: evidence, severity, and how it is repaired."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfs.container.cgroups import findings, told
from netfs.container.cgroups.promised import weights
from netfs.model.cgroups import Cgroup, Cpu, Cpuset, Rates
from netfs.model.containers import Limits, Placed
from netfs.model.findings import Finding
from tests.unit.cgroup_records import APP, MIB, NODE, PAUSE, POD, PODS, V1, V2, WEB, app, group, placed, tree, web

PATH = f"/docker/{WEB}"
IN_POD = f"{POD}/{APP}"


def found(*groups: Cgroup, known: tuple[Placed, ...] = (), v1: bool = False) -> tuple[Finding, ...]:
    return findings(told(tree(*groups, hierarchies=V1 if v1 else (V2,)), known, node="node1"), known)


def only(*groups: Cgroup, known: tuple[Placed, ...] = (), v1: bool = False) -> Finding:
    (finding,) = found(*groups, known=known, v1=v1)
    return finding


def test_a_healthy_group_has_none() -> None:
    cpu = Cpu(quota_us=50_000, period_us=100_000, periods=1000, throttled_periods=249)
    assert found(group(PATH, used=89 * MIB, limit=100 * MIB, kills=0, pids=(89, 100), cpu=cpu)) == ()


# throttled


def busy(part: int, periods: int = 1000, **fields: Any) -> Cgroup:
    cpu = Cpu(quota_us=50_000, period_us=100_000, periods=periods, throttled_periods=part, throttled_us=12_340_000)
    return group(PATH, cpu=cpu, **fields)


def test_a_throttled_container_is_told_with_its_limit_and_the_command() -> None:
    assert only(busy(250), known=(placed(web()),)) == Finding(
        "cgroup-cpu-throttled",
        "warning",
        "web",
        "stopped in 250 of 1,000 periods (25 %), for 12.3 s, since the group was made; its own limit is 0.5 CPUs",
        "docker update --cpus 0.75 web",
        node="node1",
    )


def test_few_periods_say_nothing() -> None:
    assert found(busy(99, periods=99)) == ()
    assert len(found(busy(100, periods=100))) == 1


@pytest.mark.parametrize(("part", "told"), [(0.24, False), (0.25, True), (1.0, True), (None, False)])
def test_with_rates_the_interval_counts(part: float | None, told: bool) -> None:
    rates = Rates(throttled_share=part, throttled_us=250_000)
    assert bool(found(busy(900, rates=rates))) is told
    if told:
        assert (
            "of its periods just now, for 0.25 s in each second; its own limit"
            in found(busy(0, rates=rates))[0].evidence
        )


# memory


def test_memory_near_the_limit_of_the_pod_is_told_at_the_container() -> None:
    groups = (
        group(PODS, used=990 * MIB, limit=4000 * MIB),
        group(POD, used=970 * MIB, limit=1000 * MIB),
        group(IN_POD, used=960 * MIB),
        group(f"{IN_POD}/init.scope", used=950 * MIB),
        group(f"{POD}/{PAUSE}", used=MIB),
    )
    assert only(*groups, known=(placed(app(runtime="containerd")),)) == Finding(
        "cgroup-memory-near-limit",
        "warning",
        "team/pod-a/app",
        "the working set is 960 MiB, 96 % of 1.0 GiB: the limit of its pod team/pod-a",
        "raise the limit where team/pod-a is made from: "
        "kubectl set resources -n team KIND/NAME -c app --limits=memory=1500Mi",
        node="node1",
    )


def test_memory_that_several_containers_use_up_is_told_at_their_pod() -> None:
    groups = (group(POD, used=950, limit=1000), group(IN_POD, used=500), group(f"{POD}/{PAUSE}", used=450))
    assert only(*groups, known=(placed(app()),)).object == "team/pod-a"


def test_without_a_container_the_lowest_group_is_told_by_its_path() -> None:
    groups = (
        group("/system.slice", used=95 * MIB, limit=100 * MIB),
        group("/system.slice/web.service", used=94 * MIB),
        group("/system.slice/db.service", used=MIB),
    )
    finding = only(*groups)
    assert finding.object == "/system.slice/web.service"
    assert finding.evidence == "the working set is 94.0 MiB, 94 % of 100 MiB: the limit of /system.slice"
    assert finding.fix == "systemctl set-property system.slice MemoryMax=150M"


def test_two_limits_that_are_near_are_two_findings() -> None:
    assert len(found(group(POD, used=95, limit=100), group(IN_POD, used=95, limit=99))) == 2


@pytest.mark.parametrize("groups", [group(PATH, used=0, limit=0), group(PATH, used=100), group(PATH, limit=100)])
def test_no_limit_no_use_or_neither_is_near(groups: Cgroup) -> None:
    assert found(groups) == ()


# killed


def test_a_kill_is_told_once_where_it_happened() -> None:
    groups = (
        group("/kubepods", kills=3),
        group(POD, kills=3, limit=200 * MIB),
        group(IN_POD, kills=2, used=20 * MIB, limit=100 * MIB),
        group(f"{POD}/{PAUSE}", kills=0),
    )
    inner, gone = sorted(found(*groups, known=(placed(app()),)), key=lambda finding: finding.object, reverse=True)
    assert (inner.object, inner.severity) == ("team/pod-a/app", "warning")
    assert inner.evidence == (
        "2 processes killed for want of memory since the group was made; "
        "its own limit is 100 MiB, the working set now 20.0 MiB"
    )
    assert (gone.object, gone.evidence.split(";")[0]) == (
        "team/pod-a",
        "1 process killed for want of memory since the group was made",
    )


def test_version_1_counts_a_kill_in_its_own_group_alone() -> None:
    groups = (group("/a", kills=1, used=1, limit=100), group("/a/b", kills=3, used=1, limit=50))
    assert [finding.evidence[0] for finding in found(*groups, v1=True)] == ["1", "3"]
    assert [finding.evidence[0] for finding in found(*groups)] == ["3"]


def test_a_kill_is_an_error_where_memory_is_at_the_limit_again() -> None:
    severities = {each.slug: each.severity for each in found(group(PATH, used=90, limit=100, kills=1))}
    assert severities == {"cgroup-memory-near-limit": "warning", "cgroup-oom-killed": "error"}
    stuck = group(PATH, used=1, limit=100, kills=1)
    assert stuck.memory is not None
    assert only(replace(stuck, memory=replace(stuck.memory, under_oom=True))).severity == "error"


def test_without_a_limit_it_was_the_node_that_had_no_memory() -> None:
    finding = only(group(PATH, used=90, kills=1))
    assert "no limit holds here" in finding.evidence
    assert finding.severity == "warning"


# processes


def test_processes_near_the_limit() -> None:
    finding = only(group(PATH, pids=(90, 100)), known=(placed(web(runtime="podman")),))
    assert finding == Finding(
        "cgroup-pids-near-limit",
        "warning",
        "web",
        "90 processes and threads, 90 % of 100: its own limit",
        "podman update --pids-limit 200 web",
        node="node1",
    )


def test_a_limit_that_is_reached_and_refused_is_an_error() -> None:
    groups = (group(POD, pids=(100, 100)), group(IN_POD, pids=(99, None), refused=7))
    finding = only(*groups, known=(placed(app()),))
    assert (finding.severity, finding.object) == ("error", "team/pod-a/app")
    assert finding.evidence.endswith("the limit of its pod team/pod-a; 7 forks failed because of it")
    assert finding.fix == "raise podPidsLimit in the kubelet's configuration, or start fewer processes in the pod"
    assert only(group(PATH, pids=(95, 100), refused=7)).severity == "warning"
    assert (
        only(groups[1], replace(groups[0], path=PATH, processes=None), group("/x", pids=(100, 100), refused=1)).object
        == "/x"
    )


def test_few_processes_are_meant_to_be_the_limit_until_a_fork_fails() -> None:
    assert found(group(PATH, pids=(1, 1))) == ()
    assert only(group(PATH, pids=(1, 1), refused=1)).severity == "error"


# limits that differ


def differing(group_: Cgroup, **limits: Any) -> list[str]:
    one = placed(web(limits=Limits(**limits)), PATH)
    return [finding.evidence for finding in found(group_, known=(one,)) if finding.slug == "cgroup-limit-differs"]


def test_the_evidence_names_the_kernels_limit_and_the_engines() -> None:
    cpu = Cpu(quota_us=50_000, period_us=100_000)
    cgroup = group(PATH, used=1, limit=100 * MIB, pids=(1, 50), cpu=cpu, cpuset=Cpuset("0-1"))
    said = {"memory": 200 * MIB, "cpu_quota_us": 200_000, "pids": 100, "cpuset": "0,2"}
    (evidence,) = differing(cgroup, **said)
    assert evidence.split("; ") == [
        "memory: the kernel has 100 MiB, docker 200 MiB",
        "CPU: the kernel has 0.5 CPUs, docker 2 CPUs",
        "processes: the kernel has 50, docker 100",
        "processors: the kernel has 0-1, docker 0,2",
    ]
    same = {"memory": 100 * MIB + 4095, "cpu_quota_us": 5_000, "cpu_period_us": 10_000, "pids": 50, "cpuset": "1,0"}
    assert differing(cgroup, **same) == []
    assert differing(cgroup) == [
        "memory: the kernel has 100 MiB, docker none; CPU: the kernel has 0.5 CPUs, docker none"
    ]


def test_no_limit_is_written_in_several_ways() -> None:
    cgroup = group(PATH, used=1, pids=(1, 5_000), cpu=Cpu(quota_us=None, period_us=100_000), cpuset=Cpuset())
    for nothing in (None, 0, -1):
        assert differing(cgroup, memory=nothing, cpu_quota_us=nothing, pids=nothing, cpu_shares=nothing) == []


def test_systemd_has_quotas_in_whole_percents() -> None:
    assert differing(group(PATH, cpu=Cpu(quota_us=34_000, period_us=100_000)), cpu_quota_us=33_333) == []
    assert differing(group(PATH, cpu=Cpu(quota_us=35_000, period_us=100_000)), cpu_quota_us=33_333) != []


@pytest.mark.parametrize(
    ("shares", "old", "new"), [(2, 1, 1), (1024, 39, 100), (2000, 77, 170), (262_144, 10_000, 10_000)]
)
def test_shares_are_a_weight_by_one_of_two_formulas(shares: int, old: int, new: int) -> None:
    assert weights(shares) == (old, new)
    for weight in (old, new):
        assert differing(group(PATH, cpu=Cpu(weight=weight)), cpu_shares=shares) == []
    (evidence,) = differing(group(PATH, cpu=Cpu(weight=new + 1)), cpu_shares=shares)
    assert evidence.startswith(f"CPU weight: the kernel has {new + 1}, docker {shares} shares")


def test_shares_of_version_1_are_the_same_number() -> None:
    assert differing(group(PATH, cpu=Cpu(shares=512)), cpu_shares=512) == []
    assert differing(group(PATH, cpu=Cpu(shares=2)), cpu_shares=1) == []
    assert len(differing(group(PATH, cpu=Cpu(shares=1024)), cpu_shares=512)) == 1


@pytest.mark.parametrize(
    "one",
    [
        placed(web(limits=Limits(memory=MIB)), PATH, pids=()),
        placed(web(limits=Limits(memory=MIB)), PATH, by="namespace"),
        placed(web(limits=Limits(memory=MIB)), "/docker"),
        placed(web(limits=Limits(memory=MIB)), f"/docker/{NODE}"),
        placed(web(), PATH),
        replace(placed(web(limits=Limits(memory=MIB)), PATH), node="node2"),
    ],
)
def test_only_what_runs_in_a_group_of_its_own_can_differ(one: Placed) -> None:
    groups = [group(path, used=1) for path in ("/docker", f"/docker/{NODE}", PATH)]
    assert found(*groups, known=(one,)) == ()


def test_limits_stand_at_the_containers_group_though_its_processes_are_inside() -> None:
    one = placed(web(limits=Limits(memory=MIB)), f"{PATH}/init.scope")
    assert found(group(PATH, used=1, limit=MIB), group(f"{PATH}/init.scope", used=1), known=(one,)) == ()
    assert len(found(group(PATH, used=1), group(f"{PATH}/init.scope", used=1, limit=MIB * 9), known=(one,))) == 1


# how limits are raised


@pytest.mark.parametrize(
    ("path", "v1", "fix"),
    [
        (f"/docker/{APP}", False, f"raise /sys/fs/cgroup/docker/{APP}/memory.max, or ask what made the group for more"),
        ("/mine", True, "raise /sys/fs/cgroup/memory/mine/memory.limit_in_bytes, or ask what made the group for more"),
        ("/system.slice/a b.service", False, "systemctl set-property 'a b.service' MemoryMax=2M"),
        ("/user.slice/user@1.service/app.slice", False, "systemctl --user set-property app.slice MemoryMax=2M"),
        ("/kubepods.slice", False, "this is what the kubelet leaves to all pods together: "),
        ("/kubepods/burstable", False, "this is what the kubelet leaves to all pods together: "),
        (POD, False, "raise the limit where the pod is made from: kubectl set resources KIND/NAME --limits=memory=2Mi"),
    ],
)
def test_a_limit_is_raised_by_who_made_the_group(path: str, v1: bool, fix: str) -> None:
    assert only(group(path, used=MIB, limit=MIB), v1=v1).fix.startswith(fix)


def test_an_engine_that_the_kubelet_drives_is_not_told_otherwise() -> None:
    labelled = app(runtime="docker", labels={"io.kubernetes.pod.uid": "x"})
    assert "kubectl" in only(group(IN_POD, used=MIB, limit=MIB), known=(placed(labelled),)).fix


def test_a_name_is_quoted_for_the_shell() -> None:
    assert only(group(PATH, used=MIB, limit=MIB), known=(placed(web(name="a;b")),)).fix.endswith(" 'a;b'")


NUMBERS = st.none() | st.integers(-2, 1 << 64)


@given(
    st.lists(st.tuples(st.sampled_from([PATH, POD, IN_POD, "/", "/a/b"]), *[NUMBERS] * 8), unique_by=lambda one: one[0])
)
def test_any_numbers_are_taken(rows: list[Any]) -> None:
    groups = [
        group(
            path,
            used=used,
            limit=limit,
            kills=kills,
            pids=(pids or 0, most),
            cpu=Cpu(None, None, None, quota, period, periods=periods, throttled_periods=used),
        )
        for path, used, limit, kills, pids, most, quota, period, periods in sorted(rows, key=lambda row: str(row[0]))
    ]
    known = (placed(web(limits=Limits(rows[0][6], rows[0][7], rows[0][1], "0-", rows[0][2])), PATH),) if rows else ()
    for finding in found(*groups, known=known):
        assert finding.evidence
