"""Namespaces of all eight types, in every way of being kept, as netfs tells them and as lsns(8) does."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from netfs.collect import copies
from netfs.collect.namespaces import halves, ioctls, pins
from netfs.collect.namespaces.found import Search
from netfs.collect.namespaces.read import UNLISTED, NamespaceTable, namespaces
from netfs.collect.processes import processes
from netfs.model.namespaces import Namespace
from netfs.model.processes import NAMESPACE_TYPES, Elsewhere, Process
from tests.kernel.collect_place import inside
from tests.kernel.namespaces_place import made

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).parents[2]
LSNS = ["lsns", "-J", "-o", "NS,TYPE,PATH,NPROCS,PID,PPID,UID,NETNSID,NSFS,PNS,ONS"]
OURS = """
import json, sys
from dataclasses import asdict
from netfs.collect.namespaces.read import namespaces
from netfs.collect.processes import processes
print(json.dumps([asdict(each) for each in namespaces(processes().processes).namespaces]))
"""
BIRTHS = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
libc.unshare(0x10000000)
print("ready", flush=True)
while os.getppid() == int(sys.argv[1]):
    pid = os.fork()
    if pid == 0:
        libc.unshare(0x10000000 | 0x20000000 | 0x20000 | 0x4000000 | 0x8000000)
        if os.fork() == 0:
            os._exit(0)
        os.wait()
        os._exit(0)
    os.waitpid(pid, 0)
"""
PRIVILEGED = os.geteuid() == 0
"""May list mount namespaces, and enter them."""
LISTS = tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 12)


@pytest.fixture(scope="module")
def place() -> Iterator[dict[str, Any]]:
    with made() as found:
        yield found


@pytest.fixture(scope="module")
def table(place: dict[str, Any]) -> NamespaceTable:
    return namespaces(processes().processes, open_files=True)


def one(table: NamespaceTable, type: str, id: int) -> Namespace:
    (found,) = [each for each in table.namespaces if (each.type, each.id) == (type, id)]
    return found


def lsns(*before: str) -> list[dict[str, Any]]:
    done = subprocess.run([*before, *LSNS], capture_output=True, text=True, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)["namespaces"]
    return found


def told_by_lsns(each: dict[str, Any]) -> tuple[object, ...]:
    return each["type"], each["ns"], each["nprocs"], each["pid"], each["uid"], each["pns"] or None, each["ons"] or None


def told_by_us(each: Namespace) -> tuple[object, ...]:
    return each.type, each.id, len(each.pids), each.leader, each.uid, each.parent, each.owner


def test_a_process_in_all_eight_is_told_as_lsns_does(
    place: dict[str, Any], require_program: Callable[[str], str]
) -> None:
    require_program("lsns")
    inodes = place["all_eight"]["inodes"]
    assert sorted(inodes) == list(NAMESPACE_TYPES)
    theirs = {told_by_lsns(each) for each in lsns() if each["ns"] in inodes.values()}
    ours = namespaces(processes().processes)
    assert {told_by_us(one(ours, type, id)) for type, id in inodes.items()} == theirs
    assert len(theirs) == 8
    others = {(type, id) for type, id in inodes.items() if type != "user"}
    assert {one(ours, *each).owner for each in others} == {inodes["user"]}


def test_everything_of_the_place_that_lsns_shows_is_told_alike(
    place: dict[str, Any], require_program: Callable[[str], str]
) -> None:
    require_program("lsns")
    root = place["root"]["inodes"]["user"]
    ours = namespaces(processes().processes)
    below = {root} | {each.id for each in ours.namespaces if each.type == "user" and each.parent == root}
    theirs = {told_by_lsns(each) for each in lsns() if each["ons"] in below}
    mine = {told_by_us(each) for each in ours.namespaces if each.owner in below}
    assert theirs <= mine
    unseen = {"mnt", "uts"} if LISTS and PRIVILEGED else set()
    assert {told[0] for told in mine - theirs} == {"net", "pid", "user"} | unseen  # what lsns does not see


def test_a_pin_in_another_mount_namespace_is_found(place: dict[str, Any], table: NamespaceTable) -> None:
    """Its path has a blank and a backslash, which mountinfo writes in octal."""
    made = place["pinned"]
    (pin,) = one(table, "net", made["net"]).pins
    assert (pin.path, pin.mount_namespace, pin.pid) == ("/run/net ns/bl\\ue", made["mnt"], made["pids"][0])
    found = one(table, "net", made["net"])
    assert (found.pids, found.kept_by, found.owner) == ((), ("pin",), place["root"]["inodes"]["user"])
    assert one(table, "uts", made["uts"]).kept_by == ("processes", "pin")


def test_the_reader_in_that_mount_namespace_sees_pins_as_lsns_does(
    place: dict[str, Any], require_program: Callable[[str], str]
) -> None:
    require_program("lsns")
    pid = str(place["pinned"]["pids"][0])
    enter = ["nsenter", "--preserve-credentials", "-U", "-m", "-t", pid]
    done = subprocess.run(
        [*enter, sys.executable, "-c", OURS],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    ours = {each["id"]: each for each in json.loads(done.stdout)}
    theirs = {each["ns"]: each for each in lsns(*enter)}
    uts = place["pinned"]["uts"]
    assert theirs[uts]["nsfs"] == "/run/uts"
    assert [pin["path"] for pin in ours[uts]["pins"]] == ["/run/uts"]
    user = place["root"]["inodes"]["user"]
    assert ours[user]["parent"] is None  # beyond what may be seen from in there
    assert (theirs[user]["pns"], theirs[user]["ons"]) == (0, 0)
    assert [pin["path"] for pin in ours[place["pinned"]["net"]]["pins"]] == ["/run/net ns/bl\\ue"]


def test_a_user_namespace_without_a_process_is_told_as_the_parent_it_is(
    place: dict[str, Any], table: NamespaceTable
) -> None:
    between = one(table, "user", place["nested"]["between"])
    assert (between.pids, between.kept_by, between.owner_uid) == ((), ("child",), os.geteuid())
    assert between.parent == place["root"]["inodes"]["user"]
    assert one(table, "user", place["nested"]["inodes"]["user"]).parent == between.id
    assert one(table, "uts", place["nested"]["inodes"]["uts"]).owner == place["nested"]["inodes"]["user"]


def test_a_thread_elsewhere_keeps_its_namespace(place: dict[str, Any], table: NamespaceTable) -> None:
    found = one(table, "net", place["threaded"]["net"])
    assert (found.pids, found.threads, found.kept_by) == ((), (place["threaded"]["tid"],), ("threads",))
    assert found.owner == place["root"]["inodes"]["user"]


def test_a_pid_namespace_for_children_alone_is_found(place: dict[str, Any], table: NamespaceTable) -> None:
    found = one(table, "pid", place["childless"]["pid"])
    assert (found.pids, found.children_of) == ((), tuple(place["childless"]["pids"]))
    assert (found.kept_by, found.parent) == (("children",), place["root"]["inodes"]["pid"])


def test_a_mount_namespace_without_a_process_is_found_by_its_descriptor(
    place: dict[str, Any], table: NamespaceTable
) -> None:
    made = place["unseen"]
    found = one(table, "mnt", made["mnt"])
    assert [(file.pid, file.fd) for file in found.open_files] == [(made["pids"][0], made["fd"])]
    assert (found.pids, found.kept_by) == ((), ("file",))


def test_a_mount_namespace_without_a_process_is_listed_by_the_kernel(place: dict[str, Any]) -> None:
    found = namespaces(processes().processes)
    if why := [gap.reason for gap in found.gaps if gap.what == UNLISTED]:
        assert "may not" in why[0] if LISTS else "this kernel" in why[0]
        assert not (LISTS and PRIVILEGED)
        return
    assert one(found, "mnt", place["unseen"]["mnt"]).kept_by == ("mount",)


def test_what_is_pinned_in_a_mount_namespace_without_a_process_is_found(
    place: dict[str, Any], table: NamespaceTable
) -> None:
    if not (LISTS and PRIVILEGED):
        assert [gap for gap in table.gaps if gap.what == UNLISTED]
        return
    made = place["unseen"]
    found = one(table, "uts", made["uts"])
    assert [(pin.path, pin.mount_namespace, pin.pid) for pin in found.pins] == [("/run/unseen", made["mnt"], None)]
    assert found.owner == place["root"]["inodes"]["user"]


def test_of_some_processes_only_what_they_lead_to_is_told(place: dict[str, Any]) -> None:
    """The user namespace between is; those above, which none of them is in, are not."""
    pids = {place["nested"]["pids"][0], place["root"]["pids"][0]}
    some = [process for process in processes().processes if process.pid in pids]
    found = namespaces(some, whole=False)
    users = {each.id for each in found.namespaces if each.type == "user"}
    assert users == {place["root"]["inodes"]["user"], place["nested"]["between"], place["nested"]["inodes"]["user"]}
    assert one(found, "user", place["root"]["inodes"]["user"]).parent is not None
    assert {pid for each in found.namespaces for pid in each.pids} == pids


def test_numbers_are_those_of_the_readers_network_namespace(require_program: Callable[[str], str]) -> None:
    require_program("lsns")
    answer = f"""
import json, subprocess, sys
from netfs.collect.namespaces.read import namespaces
from netfs.collect.processes import processes
sleepers = [subprocess.Popen(["ip", "netns", "exec", name, "sleep", "60"]) for name in ("a", "b", "c")]
try:
    import os, time
    for sleeper in sleepers:
        while os.readlink(f"/proc/{{sleeper.pid}}/ns/net") == os.readlink("/proc/self/ns/net"):
            time.sleep(0.001)
    found = namespaces(processes().processes).namespaces
    ours = {{each.id: each.nsid for each in found if each.type == "net" and each.pins}}
    theirs = json.loads(subprocess.check_output({LSNS!r}))["namespaces"]
finally:
    for sleeper in sleepers:
        sleeper.kill()
        sleeper.wait()
numbers = sorted((each["ns"], each["netnsid"]) for each in theirs if each["ns"] in ours)
print(json.dumps([sorted(ours.items()), numbers]))
"""
    ours, theirs = inside("ip netns add a\nip netns add b\nip netns add c\nip netns set a 7\nip netns set b 9", answer)
    assert sorted(number for _, number in ours if number is not None) == [7, 9]
    assert [[id, "unassigned" if number is None else str(number)] for id, number in ours] == theirs


def test_what_is_born_and_dies_meanwhile_breaks_nothing_and_leaves_nothing_open() -> None:
    process = subprocess.Popen([sys.executable, "-c", BIRTHS, str(os.getpid())], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline()
        before = sorted(os.listdir("/proc/self/fd")), threading.active_count()
        for _ in range(8):
            found = namespaces(processes().processes, open_files=True)
            assert len({(each.type, each.id) for each in found.namespaces}) == len(found.namespaces)
            assert not [
                gap for gap in found.gaps if gap.what == "owners of namespaces" and "did not answer" in gap.reason
            ]
        assert (sorted(os.listdir("/proc/self/fd")), threading.active_count()) == before
    finally:
        process.kill()
        process.wait()


def test_a_namespace_that_ended_between_the_two_looks_is_left_out() -> None:
    """Its process is told still, and its inode may be another's by then."""
    process = subprocess.Popen(["unshare", "-Uu", "sleep", "60"])
    try:
        while os.readlink(f"/proc/{process.pid}/ns/uts") == os.readlink("/proc/self/ns/uts"):
            pass
        seen = [each for each in processes().processes if each.pid == process.pid]
    finally:
        process.kill()
        process.wait()
    assert {each.type for each in namespaces(seen, whole=False).namespaces} <= {"user"}
    assert not [each for each in namespaces(seen, whole=False).namespaces if each.pids]


def test_what_a_process_has_left_meanwhile_is_not_taken_for_what_it_has_now() -> None:
    """Its pid may be another's by now, too."""
    moved = Process(os.getpid(), 0, namespaces={"uts": 1}, for_children={"pid": 2}, elsewhere=(Elsewhere(1, "net", 3),))
    assert namespaces([moved], whole=False) == ((), ())


def test_a_file_that_only_reads_like_a_namespace_is_none(tmp_path: Path) -> None:
    named = tmp_path / "net:[4026531840]"
    named.write_text("")
    with named.open(), socket.socket(), open(os.open("/proc/self/ns/uts", os.O_RDONLY), closefd=True) as real:
        found = namespaces(processes().processes, open_files=True)
        own = [(each.type, file.fd) for each in found.namespaces for file in each.open_files if file.pid == os.getpid()]
        assert own == [("uts", real.fileno())]


def test_a_kernel_that_lists_no_mount_namespaces_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ioctls, "NS_MNT_GET_NEXT", 0xB7FF)
    monkeypatch.setattr(ioctls, "NS_MNT_GET_PREV", 0xB7FF)
    gaps = namespaces(processes().processes).gaps
    assert [gap.reason for gap in gaps if gap.what == UNLISTED] == ["this kernel does not list them (Linux 6.12 does)"]


@pytest.mark.parametrize("lost", [False, True], ids=["told", "lost"])
def test_two_processes_find_what_one_finds(lost: bool, place: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the copy ends without a word."""
    own = {pid for each in place.values() for pid in each["pids"]}
    table = [each for each in processes().processes if each.pid in own]
    alone = namespaces(table, whole=False)
    asked: list[int] = []

    def in_two(here: Callable[[], None], there: Callable[[], Any]) -> Any:
        asked.append(1)
        return copies.in_two(here, (lambda: os._exit(1)) if lost else there)

    monkeypatch.setattr(halves, "MANY", 0)
    monkeypatch.setattr(halves, "may_be_two", lambda: True)
    monkeypatch.setattr(halves, "in_two", in_two)
    assert namespaces(table, whole=False) == alone
    assert asked
    assert any(each.pins for each in alone.namespaces)


@pytest.mark.parametrize("removed", [True, False], ids=["removed", "covered"])
def test_a_pin_that_was_removed_since_is_none_and_one_that_is_covered_stays(
    removed: bool, place: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is mounted over a pin does not end it, though nobody reaches it any more."""
    made = place["pinned"]
    enter = ["nsenter", "--preserve-credentials", "-U", "-m", "-t", str(made["pids"][0])]
    build = (
        "unshare -un sh -c 'touch /run/late && mount --bind /proc/self/ns/net /run/late && readlink /proc/self/ns/net'"
    )
    done = subprocess.run([*enter, "sh", "-c", build], capture_output=True, text=True, check=True)
    inode = int(done.stdout.split("[")[1][:-2])
    later = "umount /run/late" if removed else "mount --bind /run/uts /run/late"
    first = pins.add_pins

    def look_and_then(search: Search, known: Mapping[int, Sequence[pins.Told]]) -> None:
        first(search, known)
        subprocess.run([*enter, "sh", "-c", later], check=True)

    monkeypatch.setattr("netfs.collect.namespaces.read.add_pins", look_and_then)
    try:
        found = [each for each in namespaces(processes().processes).namespaces if each.id == inode]
        assert [[pin.path for pin in each.pins] for each in found] == ([] if removed else [["/run/late"]])
        assert all(each.owner is None for each in found)
    finally:
        if not removed:
            subprocess.run([*enter, "sh", "-c", "umount /run/late && umount /run/late"], check=True)
