"""What this kernel did to a container's group is found, at that group."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator

import pytest

from netfs.collect.cgroups.read import cgroups
from netfs.container.cgroups import findings, told
from netfs.container.rates import with_rates
from netfs.model.cgroups import CgroupTree
from netfs.model.containers import Container, Limits, Placed
from tests.kernel.cgroup_place import Place, as_root, place, until

pytestmark = pytest.mark.kernel

ID = secrets.token_hex(32)
FOLDERS = ("", "/docker", f"/docker/{ID}")
GROUP = FOLDERS[-1]
MIB = 1 << 20


@pytest.fixture
def own() -> Iterator[Place]:
    with place() as made:
        yield made


def limit(own: Place, controllers: list[str], **files: str) -> None:
    """Make the group of a container, and write limits: ``memory_limit_in_bytes`` is memory.limit_in_bytes."""
    for folder in FOLDERS:
        own.make(controllers, folder)
    for name, text in files.items():
        controller, _, rest = name.partition("_")
        (own.folder(controller, GROUP) / f"{controller}.{rest}").write_text(text)


def read(own: Place, *known: Placed) -> CgroupTree:
    return told(cgroups(within=[own.path]).tree, known, node="here")


@as_root
def test_a_container_that_was_killed_and_has_another_limit(own: Place) -> None:
    limit(own, ["memory", "pids"], memory_limit_in_bytes=str(8 * MIB), pids_max="100")
    killed = own.start(["memory"], "ulimit -v 262144; exec tail /dev/zero", GROUP)
    assert killed.wait(30) == -9
    web = Container(ID, "web", runtime="docker", limits=Limits(memory=16 * MIB, pids=100))
    known = Placed(web, "here", 1, (1,), f"{own.path}{GROUP}", "cgroup")
    tree = read(own, known)
    (group,) = (each for each in tree.groups if each.path == f"{own.path}{GROUP}")
    assert (group.kind, group.container, group.effective["memory"].value) == ("container", "web", 8 * MIB)
    found = {each.slug: each for each in findings(tree, (known,)) if each.object == "web"}
    assert set(found) == {"cgroup-oom-killed", "cgroup-limit-differs"}
    assert found["cgroup-oom-killed"].evidence.startswith("1 process killed for want of memory")
    assert found["cgroup-limit-differs"].evidence == "memory: the kernel has 8.0 MiB, docker 16.0 MiB"


@as_root
def test_throttling_is_found_in_the_interval(own: Place) -> None:
    limit(own, ["cpu"], cpu_cfs_period_us="5000", cpu_cfs_quota_us="1000")
    burner = own.start(["cpu"], "while :; do :; done", GROUP)
    stat = own.folder("cpu", GROUP) / "cpu.stat"
    until(lambda: "nr_throttled 0" not in stat.read_text())
    before = read(own)
    time.sleep(0.2)
    after = with_rates(before, read(own))
    burner.kill()
    burner.wait()
    (group,) = (each for each in after.groups if each.path == f"{own.path}{GROUP}")
    assert group.rates is not None
    assert group.rates.throttled_share is not None
    assert group.rates.throttled_share > 0.5
    (finding,) = (
        each for each in findings(after, ()) if each.slug == "cgroup-cpu-throttled" and own.path not in each.object
    )
    assert finding.object == ID[:12]
    assert finding.evidence.endswith("its own limit is 0.2 CPUs")
