"""Answers about control groups made by hand: a pod and a web server, and hostile ones."""

from __future__ import annotations

from dataclasses import replace

from netfs.container.cgroups import below, findings, told
from netfs.model.cgroups import (
    Cgroup,
    Cgroups,
    CgroupTree,
    Cpu,
    Cpuset,
    HugePages,
    Io,
    Memory,
    Pids,
    Pressure,
    Stall,
)
from netfs.model.findings import Finding
from netfs.model.gaps import Gap
from tests.cli.layer_answers import HOSTILE
from tests.unit.cgroup_records import APP, MIB, PAUSE, UID, V2, WEB, app, placed, sandbox, web

UID_ = UID.replace("-", "_")
SLICE = "/kubepods.slice/kubepods-burstable.slice"
POD = f"{SLICE}/kubepods-burstable-pod{UID_}.slice"
IN_POD = f"{POD}/cri-containerd-{APP}.scope"
KNOWN = (placed(app(runtime="containerd"), IN_POD), placed(sandbox()), placed(web()))
ALL = ("", "cpu", "memory", "pids")


def _memory(used: int, limit: int | None = None, **more: int) -> Memory:
    fields = {"current": used + MIB, "limit": limit, "working_set": used, **more}
    return Memory(**fields)  # type: ignore[arg-type]  # a mapping of one type


STALLS = Pressure(Stall(12.5, 8.0, 1.25, 3_600_000_000), Stall(0.5, 0.25, 0.0, 90_000))
GROUPS = (
    Cgroup("/", ALL, cpu=Cpu(usage_us=8_000_000_000)),
    Cgroup("/init.scope", ALL, pids=(1,), memory=_memory(20 * MIB), processes=Pids(1)),
    Cgroup("/kubepods.slice", ALL, memory=_memory(300 * MIB, 4096 * MIB), processes=Pids(9)),
    Cgroup(SLICE, ALL, memory=_memory(300 * MIB), processes=Pids(9)),
    Cgroup(POD, ALL, memory=_memory(248 * MIB, 256 * MIB, oom_kills=1), processes=Pids(9, 100)),
    Cgroup(
        IN_POD,
        ALL,
        pids=tuple(range(100, 115)),
        cpu=Cpu(31_200_000, 30_000_000, 1_200_000, 50_000, 100_000, 1000, 20, None, 1000, 400, 12_300_000),
        memory=_memory(
            240 * MIB, peak=250 * MIB, anonymous=230 * MIB, file=11 * MIB, oom_kills=1, limit_hits=12, swap=MIB
        ),
        processes=Pids(8, None, 12, 3),
        io=(Io("8:0", 5 * MIB, 0, 10, 0, {"wbps": 1_000_000}), Io("7:1")),
        huge_pages=(HugePages("2MB", 4 * MIB, 8 * MIB), HugePages("1GB", 0)),
        cpuset=Cpuset("0-1", "0", "", "0", "member"),
        pressure={"memory": STALLS, "io": Pressure(Stall(0.0, 0.0, 0.0, 0))},
        frozen=True,
    ),
    Cgroup(f"{IN_POD}/init.scope", ALL),
    Cgroup(f"{POD}/cri-containerd-{PAUSE}.scope", ALL, memory=_memory(MIB), processes=Pids(1)),
    Cgroup("/system.slice", ALL),
    Cgroup(f"/system.slice/docker-{WEB}.scope", ALL, cpu=Cpu(usage_us=400_000, shares=512), processes=Pids(2)),
    Cgroup(f"/system.slice/libpod-conmon-{WEB}.scope", ALL),
)


def answer(*groups: Cgroup, at: float = 1.0) -> Cgroups:
    tree = told(CgroupTree("", "v2", hierarchies=(V2,), groups=groups, taken_at=at), KNOWN, node="node1")
    return Cgroups((tree,), findings(tree, KNOWN))


WHOLE = answer(*GROUPS)
_TREE = below(WHOLE.trees[0], {IN_POD})
ONE = Cgroups((_TREE,), findings(_TREE, KNOWN))
LATER = answer(
    *(
        replace(
            group,
            cpu=group.cpu
            and replace(group.cpu, usage_us=(group.cpu.usage_us or 0) + 500_000, periods=1020, throttled_periods=401),
            io=tuple(replace(each, written_bytes=(each.written_bytes or 0) + 4096) for each in group.io),
        )
        for group in GROUPS
    ),
    at=3.0,
)
HEALTHY = answer(*GROUPS[:4])
NOTED = replace(HEALTHY, notes=("nothing is its own",), gaps=(Gap("/sys/fs/cgroup/a", "memory", "Permission denied"),))
ERROR = replace(HEALTHY, findings=(Finding("cgroup-oom-killed", "error", "web", "1 process killed", ""),))
NONE = Cgroups((CgroupTree("node1", "none"), CgroupTree("node2", "hybrid", groups=(Cgroup("/"),))))


def hostile() -> Cgroups:
    """Every text that somebody else chose is the worst."""
    group = replace(
        WHOLE.trees[0].groups[5],
        path=f"/{HOSTILE}",
        node=HOSTILE,
        pod=HOSTILE,
        container=HOSTILE,
        qos=HOSTILE,
        cpuset=Cpuset(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE),
        io=(Io(HOSTILE, 1, 1, limits={HOSTILE: 1}),),
        huge_pages=(HugePages(HOSTILE, 1, 1),),
        pressure={HOSTILE: STALLS},
    )
    kinds = tuple(
        replace(group, kind=kind, path=f"{group.path}/{kind}") for kind in ("pod", "sandbox", "monitor", HOSTILE)
    )
    tree = CgroupTree(HOSTILE, HOSTILE, HOSTILE, (), (group, *kinds))
    finding = Finding(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    return Cgroups((tree,), (finding,), (HOSTILE,), (Gap(HOSTILE, HOSTILE, HOSTILE),))
