"""The bar of ``netfs cgroups``: 2,000 groups in at most three times what ``systemd-cgls`` or a ``find`` needs for them.

The groups are in every hierarchy that has what a line shows: cpu, cpuacct, memory, pids, and version 2. ``find`` lists
the files that netfs reads, by name; ``cat`` reads their contents as well. All run in turn; the median of each counts.
"""

from __future__ import annotations

import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from netfs.collect.cgroups import names
from netfs.collect.cgroups.read import cgroups
from netfs.model.cgroups import Cgroup
from tests.bench.slack import SLACK
from tests.kernel.cgroup_place import UNIFIED, hierarchies

pytestmark = pytest.mark.bench

PODS, CONTAINERS = 500, 3
GROUPS = 2000
ROUNDS = 7
TIMES = 3
LIMITED = 10
"""Of so many containers one has limits."""
NETFS = [sys.executable, "-c", "from netfs_cli.main import main; main()", "cgroups"]


class Grown:
    """Groups as of pods, each with three containers: 500 and 1,500."""

    def __init__(self) -> None:
        self.path = f"/netfs-test-{secrets.token_hex(6)}"
        mounts = hierarchies()
        wanted = ("cpu", "cpuacct", "memory", "pids", UNIFIED)
        self.roots = sorted({Path(f"{mounts[name]}{self.path}") for name in wanted if name in mounts})
        pods = [f"pod{number}" for number in range(PODS)]
        self._groups = ["", *pods, *(f"{pod}/{number}" for pod in pods for number in range(CONTAINERS))]

    def grow(self) -> None:
        for root in self.roots:
            for group in self._groups:
                (root / group).mkdir()
            for group in self._groups[-1 : -PODS * CONTAINERS : -LIMITED]:
                limits = {"cpu.cfs_quota_us": "50000", "memory.limit_in_bytes": "67108864", "pids.max": "100"}
                for name, limit in limits.items():
                    with suppress(OSError):  # another hierarchy's
                        (root / group / name).write_text(limit)

    def remove(self) -> None:
        for root in self.roots:
            for group in reversed(self._groups):
                with suppress(FileNotFoundError):
                    (root / group).rmdir()


@pytest.fixture(scope="module")
def grown() -> Iterator[Grown]:
    own = Grown()
    try:
        own.grow()
        yield own
    finally:
        own.remove()


def shown(groups: tuple[Cgroup, ...], grown: Grown) -> int:
    return sum(group.path.startswith(f"{grown.path}/") and group.memory is not None for group in groups)


def test_bench_groups_against_systemd_and_find(
    grown: Grown, environment: dict[str, str], require_program: Callable[[str], str]
) -> None:
    files = {name for each in names.LINE.values() for several in each.values() for name in several} | {names.USE_V2}
    named = [word for name in sorted(files) for word in ("-o", "-name", name)][1:]
    find = ["find", *map(str, grown.roots), "-type", "f", "(", *named, ")"]
    commands = {
        "systemd-cgls": [require_program("systemd-cgls"), "--no-pager", f"/sys/fs/cgroup/memory{grown.path}"],
        "find": [*find, "-printf", "%p\\n"],
        "find and cat": [*find, "-exec", "cat", "{}", "+"],
        "netfs cgroups": NETFS,
    }
    times: dict[str, list[float]] = {name: [] for name in [*commands, "a call"]}
    assert shown(cgroups(detail=False).tree.groups, grown) == GROUPS
    for _ in range(ROUNDS):
        for name, command in commands.items():
            begin = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**environment, "COLUMNS": "200"})
            times[name].append(time.perf_counter() - begin)
        begin = time.perf_counter()
        cgroups(detail=False)
        times["a call"].append(time.perf_counter() - begin)
    middle = {name: statistics.median(seconds) for name, seconds in times.items()}
    ours = middle["netfs cgroups"]
    print(f"\n{GROUPS} groups in {len(grown.roots)} hierarchies:")
    for name, seconds in middle.items():
        print(f"  {name:14} {seconds * 1000:5.0f} ms   netfs cgroups is {ours / seconds:.2f} times that")
    assert ours <= TIMES * SLACK * max(middle["systemd-cgls"], middle["find"])
