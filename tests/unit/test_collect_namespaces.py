"""Mounts of nsfs in a mountinfo, whatever else stands there; who leads a namespace; what old kernels refuse."""

from __future__ import annotations

import os
from errno import EINVAL, ENOTTY, EPERM

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfs.collect.namespaces import ioctls, relations
from netfs.collect.namespaces.found import Found, Search, leader
from netfs.collect.namespaces.mountinfo import named_namespace, nsfs_mounts
from netfs.collect.namespaces.numbers import Numbers
from netfs.collect.namespaces.pins import mountinfo
from netfs.collect.namespaces.read import namespaces
from netfs.model.processes import Process

LINE = b"812 30 0:4 net:[4026532281] %b rw shared:5 - nsfs nsfs rw"


@pytest.mark.parametrize(
    ("shown", "path"),
    [
        (b"/run/netns/blue", b"/run/netns/blue"),
        (b"/run/a\\040b", b"/run/a b"),
        (b"/run/a\\134040b", b"/run/a\\040b"),
        (b"/run/\\012\\011\\043", b"/run/\n\t#"),
        (b"/run/\xff\xfe", b"/run/\xff\xfe"),
        (b"/run/\\777", b"/run/\\777"),  # no byte
        (b"/run/\\", b"/run/\\"),
    ],
)
def test_a_pin_is_read_as_it_is_called(shown: bytes, path: bytes) -> None:
    assert list(nsfs_mounts(LINE % shown + b"\n")) == [("net", 4026532281, path)]


@pytest.mark.parametrize(
    "line",
    [
        b"812 30 0:4 / /run/net:[1] rw - tmpfs tmpfs rw",
        b"812 30 0:4 / /run/x\\040-\\040nsfs\\040 rw - tmpfs - rw",
        b"812 30 0:4 net:[1]x /run/x rw - nsfs nsfs rw",
        b"812 30 0:4 net:[-1] /run/x rw - nsfs nsfs rw",
        b"812 30 0:4 net:[" + b"9" * 5000 + b"] /run/x rw - nsfs nsfs rw",
        b" - nsfs ",
        b"a b - nsfs c",
    ],
)
def test_what_is_no_pin_is_none(line: bytes) -> None:
    assert list(nsfs_mounts(line + b"\n" + LINE % b"/last")) == [("net", 4026532281, b"/last")]


@given(st.lists(st.sampled_from([*b" -\\0479/:[]\n", *b"net", 0xFF]), max_size=60), st.integers(0, 60))
def test_no_mountinfo_breaks_the_reader(noise: list[int], at: int) -> None:
    line = LINE % b"/run/x"
    for type, id, point in nsfs_mounts(line[:at] + bytes(noise) + line[at:]):
        assert type.isalpha()
        assert id >= 0
        assert isinstance(point, bytes)


@given(st.text(max_size=40))
def test_a_link_is_a_namespaces_or_not(text: str) -> None:
    named = named_namespace(text)
    assert named is None or text == f"{named[0]}:[{text[len(named[0]) + 2 : -1]}]"


def test_the_leader_is_the_first_without_a_parent_there() -> None:
    by_pid = {pid: Process(pid, 0, ppid) for pid, ppid in ((5, 9), (7, 1), (8, 7), (9, 1))}
    assert leader((5, 7, 8, 9), by_pid) == by_pid[7]
    assert leader((5, 8, 9), by_pid) == by_pid[8]
    assert leader((), by_pid) is None
    assert leader((1, 2), {1: Process(1, 0, 2), 2: Process(2, 0, 1)}) is None


def test_of_a_mount_namespace_a_process_with_the_whole_view_is_asked(tmp_path: os.PathLike[str]) -> None:
    """A process in a chroot does not see what is mounted outside; one that has moved on tells of another."""
    for pid, root, link in ((1, "/jail", "mnt:[7]"), (2, "/", "mnt:[8]"), (3, "/", "mnt:[7]")):
        folder = os.path.join(tmp_path, str(pid))
        os.makedirs(f"{folder}/ns")
        os.symlink(root, f"{folder}/root")
        os.symlink(link, f"{folder}/ns/mnt")
        with open(f"{folder}/mountinfo", "w", encoding="ascii") as file:
            file.write(str(pid))
    mounts = Found("mnt", 7)
    mounts.pids = [1, 2, 3, 4]
    assert mountinfo(mounts, os.fspath(tmp_path)) == (3, b"3")
    mounts.pids = [1, 2]
    assert mountinfo(mounts, os.fspath(tmp_path)) == (1, b"1")
    mounts.pids = [2, 4]
    assert mountinfo(mounts, os.fspath(tmp_path)) is None


@pytest.mark.parametrize(("errno", "counted"), [(EPERM, 0), (ENOTTY, 1), (EINVAL, 1)])
def test_what_an_old_kernel_does_not_answer_is_counted_and_what_is_beyond_sight_is_not(
    errno: int, counted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(fd: int, request: int) -> int:
        raise OSError(errno, "refused")

    monkeypatch.setattr(ioctls, "related", refuse)
    search = Search("/proc", 0)
    found = search.get("uts", 1)
    relations.Relations(search, Numbers(), 0).learn(found, -1)
    assert (found.owner, search.refused.get("ioctl", (0, ""))[0]) == (None, counted)


def test_processes_that_never_were_leave_nothing() -> None:
    gone = Process(2**22 + 1, 0, namespaces={"net": 1, "mnt": 2}, for_children={"pid": 3})
    assert namespaces([gone], whole=False, open_files=True) == ((), ())


def test_a_proc_that_is_not_there_is_a_gap(tmp_path: os.PathLike[str]) -> None:
    found = namespaces([], proc=os.fspath(tmp_path))
    assert found.namespaces == ()
    assert [gap.what for gap in found.gaps] == ["namespaces"]
