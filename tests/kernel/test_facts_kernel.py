"""What is said of one process against the kernel: privileges, mounts, names, limits, sockets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from netfs.collect.facts.capabilities import NAMES
from tests.kernel.processes_place import inside

pytestmark = pytest.mark.kernel


@pytest.fixture(autouse=True)
def _programs(require_program: Callable[[str], str]) -> None:
    for name in ("unshare", "setpriv"):
        require_program(name)


def test_a_plain_process_as_procfs_has_it() -> None:
    answer = inside(
        """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (77, 88))
with open("/proc/self/oom_score_adj", "w") as file: file.write("321")
os.chdir("/usr")
pid = program("cat", "-u", "/dev/stdin")
found, gaps = facts(table()[pid])
folder = f"/proc/{pid}"
lines = [line.split(" ") for line in open(f"{folder}/mountinfo").read().splitlines()]
show([list(gaps), found.command, found.executable == os.readlink(f"{folder}/exe"), found.directory,
      found.open_files == len(os.listdir(f"{folder}/fd")), found.open_files_limit, found.oom_score_adjust,
      [[str(m.id), str(m.parent), m.device, m.options, *m.propagation] for m in found.mounts] ==
      [[*line[:3], *line[5:line.index("-")]] for line in lines],
      "%d:%d" % (os.major(os.stat("/proc").st_dev), os.minor(os.stat("/proc").st_dev)) in [
          m.device for m in found.mounts if m.type == "proc"],
      found.privileges.uid, found.privileges.gid, found.privileges.all_capabilities, found.privileges.seccomp,
      found.privileges.no_new_privileges == (libc.prctl(39, 0, 0, 0, 0) == 1),
      [[m.inside, m.count] for m in found.privileges.uid_map]])
"""
    )
    assert answer == [
        [],
        ["cat", "-u", "/dev/stdin"],
        True,
        "/usr",
        True,
        77,
        321,
        True,
        True,
        0,
        0,
        True,
        "disabled",
        True,
        [[0, 1]],
    ]


def test_privileges_that_were_given_up() -> None:
    answer = inside(
        """
def strict():
    libc.prctl(38, 1, 0, 0, 0)
    # struct sock_fprog of one instruction that allows all (seccomp(2))
    allow = (ctypes.c_uint64 * 1)(0x7fff000000000006)
    program = (ctypes.c_uint64 * 2)(1, ctypes.addressof(allow))
    assert libc.prctl(22, 2, program) == 0
pid = child(strict)
filtered = facts(table()[pid]).facts.privileges
pid = program("setpriv", "--bounding-set=-all,+net_admin,+chown", "--inh-caps=-all,+net_admin",
              "--ambient-caps=-all,+net_admin", "cat")
few = facts(table()[pid]).facts.privileges
every = facts(table()[1]).facts.privileges.capabilities["effective"]
show([filtered.no_new_privileges, filtered.seccomp, filtered.seccomp_filters, filtered.all_capabilities,
      few.capabilities, few.all_capabilities, every, int(open("/proc/sys/kernel/cap_last_cap").read())])
"""
    )
    *filtered, few, everything, every, last = answer
    assert filtered == [True, "filter", 1, True]
    assert few == {
        "effective": ["CAP_CHOWN", "CAP_NET_ADMIN"],
        "permitted": ["CAP_CHOWN", "CAP_NET_ADMIN"],
        "inheritable": ["CAP_NET_ADMIN"],
        "bounding": ["CAP_CHOWN", "CAP_NET_ADMIN"],
        "ambient": ["CAP_NET_ADMIN"],
    }
    assert not everything
    assert every == list(NAMES[: last + 1])


def test_names_are_found_in_the_processs_root_and_the_file_where_it_comes_from(tmp_path: Path) -> None:
    answer = inside(
        f"""
os.chdir({str(tmp_path)!r})
for name in ("image/etc", "image/real", "store", "image/sub"): os.makedirs(name)
def write(path, text):
    with open(path, "w") as file: file.write(text)
write("store/resolv.conf", "nameserver 10.96.0.10\\nsearch a.b\\n")
write("image/real/hosts", "10.0.0.1 pod\\n")
write("image/etc/resolv.conf", "")
os.symlink("../../../../../../../real/hosts", "image/etc/hosts")
os.symlink("/real", "image/link")
def mount(*words): subprocess.run(["mount", *words], check=True)
def contained():
    unshare(0x20000)
    mount("--bind", "store/resolv.conf", "image/etc/resolv.conf")
    mount("-t", "tmpfs", "odd name", "image/sub")
    os.chroot("image"); os.chdir("/link")
pid = child(contained)
outside = child(lambda: (os.chroot("image"), os.chdir("/")))
found = facts(table()[pid]).facts
other = facts(table()[outside]).facts
show([found.resolver.nameservers, found.resolver.search, found.resolver.source, found.hosts, found.directory,
      [[m.path, m.source] for m in found.mounts if m.type == "tmpfs" and m.path == "/sub"],
      [other.resolver.nameservers, other.resolver.source]])
"""
    )
    assert answer == [
        ["10.96.0.10"],
        ["a.b"],
        f"{tmp_path}/store/resolv.conf",
        {"10.0.0.1": ["pod"]},
        "/real",
        [["/sub", "odd name"]],
        [[], ""],
    ]


def test_whose_a_socket_is() -> None:
    answer = inside(
        """
import socket
listener = socket.socket()
listener.listen()
inode = os.fstat(listener.fileno()).st_ino
heir = child(lambda: os.dup(listener.fileno()))
listener.close()
known = table()
show([owners(known.values()).get(inode) == (heir,), owners([known[1]]),
      without_capabilities(lambda: inode in owners(known.values()))])
"""
    )
    assert answer == [True, {}, False]
