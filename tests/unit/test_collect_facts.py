"""What is said of one process: users, capabilities, labels, arguments, and how it finds names."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfs.collect.facts import facts
from netfs.collect.facts.attempts import Attempts
from netfs.collect.facts.capabilities import NAMES, names
from netfs.collect.facts.inside import File, read_inside
from netfs.collect.facts.privileges import id_map, labels, privileges, status
from netfs.collect.facts.read import command, open_files_limit
from netfs.collect.facts.resolver import hosts, resolver
from netfs.collect.facts.whence import source
from netfs.collect.processes import processes
from netfs.model.process_facts import IdMap, MountPoint, Resolver
from tests.unit.proc_folder import OWN, write_process

STATUS = b"""Name:\tsh
Uid:\t1000\t1001\t1000\t1000
Gid:\t100\t101\t100\t100
Groups:\t4 24 100\x20
CapInh:\t0000000000000000
CapPrm:\t00000000a80425fb
CapEff:\t8000000000001001
CapBnd:\t000001ffffffffff
CapAmb:\t0000000000000000
NoNewPrivs:\t1
Seccomp:\t2
Seccomp_filters:\t3
"""
LIMITS = b"""Limit                     Soft Limit           Hard Limit           Units
Max processes             96365                96365                processes
Max open files            1024                 1048576              files
"""
RESOLV = b"""# made by hand
; nameserver 1.1.1.1
nameserver 10.96.0.10
nameserver\tfe80::1%eth0 # second
 nameserver 1.1.1.1
nameserverx 1.1.1.1
nameserver
domain first.example
search a.svc.cluster.local  b.example\tc
options ndots:5
options timeout:1 edns0
"""
HOSTS = b"""127.0.0.1\tlocalhost # here
# 10.0.0.9 none
::1 localhost ip6-localhost
10.244.1.2   pod-a
127.0.0.1 vm localhost
10.0.0.1
"""


def folder_of(path: Path) -> int:
    return os.open(path, os.O_PATH | os.O_DIRECTORY)


@pytest.fixture
def process(tmp_path: Path) -> Path:
    folder = write_process(tmp_path, 1, status=STATUS)
    (tmp_path / "sys" / "kernel").mkdir(parents=True)
    (tmp_path / "sys" / "kernel" / "cap_last_cap").write_text("40\n")
    return folder


def test_there_are_41_names() -> None:
    assert len(NAMES) == 41
    assert names(1 << 12 | 1 << 40 | 1 << 41 | 1 << 63) == (
        "CAP_NET_ADMIN",
        "CAP_CHECKPOINT_RESTORE",
        "CAP_41",
        "CAP_63",
    )


def test_privileges(process: Path) -> None:
    for name, value in {"uid_map": "0 100000 65536\n", "gid_map": "0 5 1\n7 9 2\n"}.items():
        (process / name).write_text(value)
    folder = folder_of(process)
    found = privileges(folder, str(process.parent), Attempts(str(process)))
    os.close(folder)
    assert (found.uid, found.gid, found.groups) == (1001, 101, (4, 24, 100))
    assert found.capabilities["effective"] == ("CAP_CHOWN", "CAP_NET_ADMIN", "CAP_63")
    assert (len(found.capabilities["permitted"]), len(found.capabilities["bounding"])) == (14, 41)
    assert found.capabilities["ambient"] == found.capabilities["inheritable"] == ()
    assert (found.no_new_privileges, found.seccomp, found.seccomp_filters) == (True, "filter", 3)
    assert found.uid_map == (IdMap(0, 100000, 65536),)
    assert found.gid_map == (IdMap(0, 5, 1), IdMap(7, 9, 2))
    assert (found.all_capabilities, found.apparmor, found.selinux) == (False, "", "")


@pytest.mark.parametrize(("last", "mask", "every"), [(40, 41, True), (40, 40, False), (37, 38, True), (41, 41, False)])
def test_every_capability_of_this_kernel(process: Path, last: int, mask: int, every: bool) -> None:
    (process.parent / "sys" / "kernel" / "cap_last_cap").write_text(f"{last}\n")
    (process / "status").write_bytes(b"CapEff:\t%016x\n" % ((1 << mask) - 1))
    folder = folder_of(process)
    found = privileges(folder, str(process.parent), Attempts(str(process)))
    os.close(folder)
    assert found.all_capabilities is every
    assert (found.uid, found.no_new_privileges, found.seccomp, found.seccomp_filters) == (None, None, "", None)


@pytest.mark.parametrize(
    ("own", "current", "apparmor", "selinux"),
    [
        ("docker-default (enforce)", "docker-default (enforce)", "docker-default (enforce)", ""),
        (
            "unconfined",
            "system_u:system_r:container_t:s0:c1,c2",
            "unconfined",
            "system_u:system_r:container_t:s0:c1,c2",
        ),
        ("", "cri-containerd.apparmor.d (complain)", "cri-containerd.apparmor.d (complain)", ""),
        ("", "user_u:user_r:user_t", "", "user_u:user_r:user_t"),
        ("", ":ns://a:b:c (enforce)", ":ns://a:b:c (enforce)", ""),
        ("", "unconfined", "unconfined", ""),
        ("", "_", "", ""),
        ("", "", "", ""),
    ],
)
def test_labels_are_told_apart_by_their_form(own: str, current: str, apparmor: str, selinux: str) -> None:
    assert labels(own, current) == (apparmor, selinux)


def test_arguments() -> None:
    assert command(b"sh\0-c\0\0a b\0") == ("sh", "-c", "", "a b")
    assert command(b"nginx: worker process") == ("nginx: worker process",)
    assert command(b"a\xff\0") == ("a\udcff",)
    assert command(b"") == ()


def test_limit_of_open_files() -> None:
    assert open_files_limit(LIMITS) == 1024
    assert open_files_limit(LIMITS.replace(b"1024 ", b"unlimited ")) is None


def test_resolv_conf_as_glibc_reads_it() -> None:
    assert resolver(RESOLV, "/x") == Resolver(
        nameservers=("10.96.0.10", "fe80::1%eth0"),
        search=("a.svc.cluster.local", "b.example", "c"),
        options=("ndots:5", "timeout:1", "edns0"),
        source="/x",
    )
    assert resolver(b"search a b\ndomain c d").search == ("c",)


def test_hosts_by_address() -> None:
    assert hosts(HOSTS) == {
        "127.0.0.1": ("localhost", "vm"),
        "::1": ("localhost", "ip6-localhost"),
        "10.244.1.2": ("pod-a",),
    }


@pytest.mark.parametrize(
    ("parse", "sound"),
    [
        (status, STATUS),
        (resolver, RESOLV),
        (hosts, HOSTS),
        (command, b"a\0b\0"),
        (open_files_limit, LIMITS),
        (id_map, b"0 100000 65536\n7 9 2\n"),
    ],
)
def test_damaged_bytes_are_parsed_or_left_out(parse: Callable[[bytes], object], sound: bytes) -> None:
    dice = random.Random(6)
    for _ in range(1000):
        data = bytearray(sound)
        for _ in range(dice.randrange(1, 4)):
            at = dice.randrange(len(data))
            data[at : at + dice.randrange(3)] = dice.choice(
                [b"", b" ", b"\n", b":", b"\0", b"\xff", b"99999999999", b"#"]
            )
        parse(bytes(data))


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_left_out(data: bytes) -> None:
    for parse in (status, resolver, hosts, command, open_files_limit, id_map):
        parse(data)


def test_any_status_is_read(process: Path) -> None:
    dice = random.Random(6)
    folder = folder_of(process)
    for _ in range(300):
        data = bytearray(STATUS)
        at = dice.randrange(len(data))
        data[at : at + dice.randrange(9)] = dice.randbytes(dice.randrange(4))
        (process / "status").write_bytes(data)
        privileges(folder, str(process.parent), Attempts(str(process)))
    os.close(folder)


# Files below a root.


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside").write_text("outside")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "run").mkdir()
    (root / "run" / "stub").write_text("inside")
    (root / "outside").write_text("within")
    return root


@pytest.mark.parametrize(
    ("target", "path", "data"),
    [
        ("../run/stub", "/run/stub", b"inside"),
        ("/run/stub", "/run/stub", b"inside"),
        ("../../../../run/./stub", "/run/stub", b"inside"),
        ("../../outside", "/outside", b"within"),
        ("/../outside", "/outside", b"within"),
    ],
)
def test_links_lead_nowhere_but_inside(root: Path, target: str, path: str, data: bytes) -> None:
    (root / "etc" / "resolv.conf").symlink_to(target)
    fd = folder_of(root)
    found = read_inside(fd, "/etc/resolv.conf", 100)
    os.close(fd)
    assert (found.path, found.data) == (path, data)


def test_a_folder_that_is_a_link_to_outside_is_one_inside(root: Path, tmp_path: Path) -> None:
    (root / "etc").rmdir()
    (root / "etc").symlink_to(tmp_path)
    fd = folder_of(root)
    with pytest.raises(FileNotFoundError):
        read_inside(fd, "/etc/outside", 100)
    os.close(fd)


def test_no_more_than_so_many_bytes(root: Path) -> None:
    fd = folder_of(root)
    assert read_inside(fd, "run/stub", 3).data == b"ins"
    os.close(fd)


def test_what_is_no_regular_file_is_refused(root: Path) -> None:
    os.mkfifo(root / "etc" / "fifo")
    (root / "etc" / "loop").symlink_to("loop")
    (root / "etc" / "null").symlink_to("/dev/null")
    before = len(os.listdir("/proc/self/fd"))
    fd = folder_of(root)
    for name in ("etc/fifo", "etc", "etc/loop", "etc/null", "run/stub/x", "etc/" + "a/" * 300):
        with pytest.raises(OSError, match=r"Invalid argument|Too many|No such|Not a dir"):
            read_inside(fd, name, 100)
    os.close(fd)
    assert len(os.listdir("/proc/self/fd")) == before


# Where a file comes from.


def mount(number: int, device: str, root: str, path: str) -> MountPoint:
    return MountPoint(number, 1, device, root, path, "rw", "ext4", "/dev/x")


def file(path: str, mount: int, on_host: Path) -> File:
    return File(path, mount, on_host.stat(), b"")


def test_a_file_that_is_mounted_is_named_as_this_host_has_it(tmp_path: Path) -> None:
    (tmp_path / "c1").mkdir()
    (tmp_path / "c1" / "resolv.conf").touch()
    seen = [mount(5, "0:9", "/", "/"), mount(6, "8:1", "/containers/c1/resolv.conf", "/etc/resolv.conf")]
    own = [
        mount(1, "8:1", "/other", "/x"),
        mount(2, "8:1", "/containers/c1/resolv.conf", "/nowhere"),
        mount(3, "8:1", "/containers", str(tmp_path)),
    ]
    found = file("/etc/resolv.conf", 6, tmp_path / "c1" / "resolv.conf")
    assert source(found, seen, lambda: own) == f"{tmp_path}/c1/resolv.conf"
    assert source(found, seen, lambda: own[:2]) == "/containers/c1/resolv.conf"
    assert source(found._replace(path="/run/a", mount=7), [mount(7, "0:3", "/", "/run")], list) == "/a"


def test_a_file_of_the_root_itself_comes_from_nowhere(tmp_path: Path) -> None:
    seen = [mount(5, "0:9", "/", "/")]
    for number in (5, 6):
        assert source(file("/etc/hosts", number, tmp_path), seen, lambda: pytest.fail("not needed")) == ""


# The whole.


def test_facts_of_a_process_made_of_files(process: Path, tmp_path: Path) -> None:
    root = tmp_path / "image"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "resolv.conf").write_bytes(RESOLV)
    os.mkfifo(root / "etc" / "hosts")
    (process / "root").symlink_to(root)
    (process / "exe").symlink_to(f"{root}/bin/sh")
    (process / "cwd").symlink_to(root)
    (process / "fd").mkdir()
    (process / "fd" / "0").touch()
    (process / "cmdline").write_bytes(b"sh\0" + b"a" * (1 << 17))
    (process / "limits").write_bytes(LIMITS)
    (process / "oom_score_adj").write_text("-998\n")
    ((first,), _) = processes(str(tmp_path))
    found, gaps = facts(first, str(tmp_path))
    assert found is not None
    assert (found.executable, found.directory) == ("/bin/sh", "/")
    assert (found.open_files, found.open_files_limit, found.oom_score_adjust) == (1, 1024, -998)
    assert found.resolver == resolver(RESOLV)
    assert (found.privileges.uid, found.mounts, found.hosts) == (1001, (), {})
    assert [(gap.what, gap.reason) for gap in gaps] == [
        ("/etc/hosts", "Invalid argument"),
        ("command", "only its first 128 KiB were read"),
    ]


def test_another_process_of_the_same_number_is_not_read(process: Path, tmp_path: Path) -> None:
    ((first,), _) = processes(str(tmp_path))
    (process / "stat").write_bytes((process / "stat").read_bytes().replace(b" 100 ", b" 101 "))
    found, (gap,) = facts(first, str(tmp_path))
    assert found is None
    assert "another's" in gap.reason


def test_a_process_that_has_ended_has_no_facts(tmp_path: Path) -> None:
    write_process(tmp_path, 1, state="Z", namespaces={"user": OWN["user"]}, children={})
    ((first,), _) = processes(str(tmp_path))
    assert [gap.reason for gap in facts(first, str(tmp_path)).gaps] == ["it ended, or is hidden by now"]
    (tmp_path / "1").rename(tmp_path / "2")
    assert facts(first, str(tmp_path)).facts is None
