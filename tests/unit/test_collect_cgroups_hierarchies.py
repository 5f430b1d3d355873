"""Which hierarchies a mountinfo tells of: lines as hosts of each kind have them."""

from __future__ import annotations

import os

import pytest

from netfs.collect.cgroups.hierarchies import mode, mounted
from netfs.model.cgroups import Hierarchy

V2 = rb"""24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
31 24 0:27 / /sys/fs/cgroup rw,nosuid,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
"""
V1 = rb"""25 24 0:22 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:8 - tmpfs tmpfs ro,mode=755
27 25 0:24 / /sys/fs/cgroup/systemd rw shared:10 - cgroup cgroup rw,xattr,release_agent=/usr/lib/agent,name=systemd
30 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:13 - cgroup cgroup rw,cpu,cpuacct
31 25 0:28 / /sys/fs/cgroup/memory rw,nosuid shared:14 - cgroup cgroup rw,memory
"""
HYBRID = (
    V1
    + rb"""26 25 0:23 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate
"""
)


def told(mountinfo: bytes) -> list[Hierarchy]:
    return [mounts[0].hierarchy for mounts in mounted(mountinfo)]


def test_a_host_of_version_2() -> None:
    assert told(V2) == [Hierarchy(2, (), "/sys/fs/cgroup")]
    assert mounted(V2)[0][0].device == os.makedev(0, 27)


def test_a_host_of_version_1_with_controllers_together() -> None:
    assert told(V1) == [
        Hierarchy(1, ("name=systemd",), "/sys/fs/cgroup/systemd"),
        Hierarchy(1, ("cpu", "cpuacct"), "/sys/fs/cgroup/cpu,cpuacct"),
        Hierarchy(1, ("memory",), "/sys/fs/cgroup/memory"),
    ]


def test_a_hybrid_host_names_version_2_first() -> None:
    assert told(HYBRID)[0] == Hierarchy(2, (), "/sys/fs/cgroup/unified")
    assert told(HYBRID)[1:] == told(V1)


@pytest.mark.parametrize(
    ("mountinfo", "expected"),
    [
        (V1, "v1"),
        (V2, "v2"),
        (HYBRID, "hybrid"),
        (b"", "none"),
        (V2 + V1.splitlines()[1], "v2"),  # a named hierarchy limits nothing
        (V1.splitlines()[1], "v1"),
    ],
)
def test_mode(mountinfo: bytes, expected: str) -> None:
    assert mode(told(mountinfo)) == expected


def test_of_several_mounts_the_one_that_shows_most_comes_first() -> None:
    part = b"40 24 0:28 /docker/abc /srv/part ro - cgroup cgroup rw,memory\n"
    again = b"41 24 0:28 / /srv/again ro - cgroup cgroup rw,memory\n"
    outside = b"42 24 0:28 /../.. /host/memory ro - cgroup cgroup rw,memory\n"
    memory = mounted(part + V1 + again + outside)[0]
    assert [mount.hierarchy.path for mount in memory] == [
        "/host/memory",
        "/srv/again",
        "/sys/fs/cgroup/memory",
        "/srv/part",
    ]
    assert memory[-1].hierarchy.root == "/docker/abc"


def test_what_is_escaped() -> None:
    line = rb"40 24 0:28 /a\040b /srv/a\040b\134 rw - cgroup none rw,name=a\054memory" + b"\n"
    assert told(line) == [Hierarchy(1, ("name=a,memory",), "/srv/a b\\", "/a b")]
