"""The small files of /proc/PID, whatever their processes call themselves."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfs.collect import mountinfo, procfs
from netfs.model.process_facts import MountPoint

STAT = b"19 (%s) S 7 19 19 0 -1 1077936192 1 0 0 0 0 0 0 0 20 0 3 0 4691281 1 2 3 4\n"
NAMES = [b"sleep", b") (\n", b")", b"(", b"", b"1 (x) R 2", b"kworker/0:1-events", b"a\nb) S 9 9", b"\xff\xfe"]
CGROUP = b"4:memory:/kubepods/a:b\n3:cpu,cpuacct:/\n1:name=systemd:/../x (deleted)\n0::/sys tem\n"
STATUS = b"Name:\ta\\nNSpid:\\t9\nUmask:\t0022\nGroups:\t0 7 \nNSpid:\t17775\t42\t1\nNSpgid:\t1\nSeccomp:\t2\n"
MOUNTS = (
    b"24 1 254:0 / / rw,relatime shared:1 master:3 - ext4 /dev/root rw,errors=remount-ro\n"
    b"105 24 0:39 /a\\040b /m\\134\\011\\012\\043 ro,nosuid - fuse.x\\040y  rw,lowerdir=/l/c\\134\\054d,k=a b - c\n"
    b"106 24 0:4 net:[4026532516] /run/netns/a rw - nsfs nsfs rw\n"
)


@pytest.mark.parametrize("name", NAMES)
def test_stat_whatever_the_name(name: bytes) -> None:
    found = procfs.stat(STAT % name)
    assert found is not None
    assert found.comm.encode("utf-8", "surrogateescape") == name
    assert found[1:] == ("S", 7, 1077936192, 3, 4691281)
    assert (found.ending, found.is_kernel_thread) == (False, False)


@pytest.mark.parametrize("data", [b"", b"19 (a) S 7", STAT.replace(b"4691281", b"x") % b"a", b"\0" * 99, b") ("])
def test_stat_of_another_form(data: bytes) -> None:
    assert procfs.stat(data) is None


@pytest.mark.parametrize(
    ("state", "flags", "ending"), [("S", 4, True), ("Z", 0, True), ("X", 0, True), ("R", 8, False)]
)
def test_a_process_that_exits(state: str, flags: int, ending: bool) -> None:
    assert procfs.Stat("a", state, 1, flags, 1, 1).ending is ending


def test_cgroups_by_controllers_with_colons_in_a_path() -> None:
    assert procfs.cgroups(CGROUP) == {
        "memory": "/kubepods/a:b",
        "cpu,cpuacct": "/",
        "name=systemd": "/../x (deleted)",
        "": "/sys tem",
    }


def test_pids_are_not_taken_from_the_name() -> None:
    assert procfs.pids(STATUS) == (17775, 42, 1)
    assert procfs.pids(b"Name:\tNSpid:\t7\nPid:\t8\n") == ()


@pytest.mark.parametrize(
    ("link", "number"),
    [
        ("net:[4026531833]", 4026531833),
        ("net:[]", None),
        ("net:[-1]", None),
        ("mnt:[1]", None),
        ("net:[1", None),
        ("net:[" + "9" * 21 + "]", None),
        ("net:[\u0663]", None),
        ("", None),
    ],
)
def test_the_inode_that_a_link_names(link: str, number: int | None) -> None:
    assert procfs.inode(link, "net") == number


def test_mounts() -> None:
    assert mountinfo.parse(MOUNTS) == (
        MountPoint(
            24,
            1,
            "254:0",
            "/",
            "/",
            "rw,relatime",
            "ext4",
            "/dev/root",
            "rw,errors=remount-ro",
            ("shared:1", "master:3"),
        ),
        MountPoint(
            105, 24, "0:39", "/a b", "/m\\\t\n#", "ro,nosuid", "fuse.x y", "", r"rw,lowerdir=/l/c\134\054d,k=a b - c"
        ),
        MountPoint(106, 24, "0:4", "net:[4026532516]", "/run/netns/a", "rw", "nsfs", "nsfs", "rw"),
    )


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" - ",
        b"24 1 254:0 / / rw - ext4 /dev/root",
        b"24 1 254 / / rw - a b c",
        b"x 1 0:1 / / rw - a b c",
        b"24 1 254:0 / / - a b c",
        b"99999999999 1 0:1 / / rw - a b c",
    ],
)
def test_a_line_that_is_no_mount_is_left_out(line: bytes) -> None:
    assert mountinfo.parse(MOUNTS.splitlines()[0] + b"\n" + line) == mountinfo.parse(MOUNTS)[:1]


@pytest.mark.parametrize(
    ("parse", "sound"),
    [(procfs.stat, STAT % b"a"), (procfs.cgroups, CGROUP), (procfs.pids, STATUS), (mountinfo.parse, MOUNTS)],
)
def test_damaged_bytes_are_parsed_or_left_out(parse: Callable[[bytes], object], sound: bytes) -> None:
    dice = random.Random(6)
    for _ in range(2000):
        data = bytearray(sound)
        for _ in range(dice.randrange(1, 4)):
            at = dice.randrange(len(data))
            data[at : at + dice.randrange(3)] = dice.choice(
                [b"", b" ", b"\n", b":", b"-", b"\0", b"\xff", b"99999999999", b")"]
            )
        parse(bytes(data))


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_left_out(data: bytes) -> None:
    for parse in (procfs.stat, procfs.cgroups, procfs.pids, mountinfo.parse):
        parse(data)
