"""A layer on disk where only the kernel can say what is right: mounts, devices, ``trusted.*``, atimes, permissions.

Each script runs as root of a user namespace of its own, in a mount namespace that ends with it, on a tmpfs. Where it
matters it runs twice: with openat2(2), and under a seccomp filter that refuses it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from netfs.overlay.disk.root import Root

pytestmark = pytest.mark.kernel

PLACE = """
import ctypes, errno, os, stat, struct, subprocess, sys, time
from netfs.errors import SourceError
from netfs.disk import openat2
from netfs.overlay.disk.root import Root

def refuse_openat2(code):
    # seccomp(2): load the system call's number; openat2 and listxattrat get an errno, all others are allowed.
    program = [
        (0x20, 0, 0, 0), (0x15, 1, 0, 437), (0x15, 0, 1, 465), (0x06, 0, 0, 0x50000 | code), (0x06, 0, 0, 0x7FFF0000)
    ]
    text = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    filter = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(text)))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, filter) == 0, ctypes.get_errno()

def code(call):
    try:
        call()
    except OSError as error:
        return errno.errorcode[error.errno]

def sh(command):
    subprocess.run(command, shell=True, check=True)

if WAY == "openat2":
    assert openat2.in_kernel()
else:
    refuse_openat2(getattr(errno, WAY))
    assert not openat2.in_kernel()
os.chdir(PLACE)
"""
UNSHARE = ("unshare", "--user", "--map-root-user", "--mount")
WAYS = pytest.mark.parametrize("way", ["openat2", "EPERM", "ENOSYS"])


@pytest.fixture
def inside(tmp_path: Path, require_program: Callable[[str], str]) -> Callable[..., None]:
    """Run a script in a namespace, on a tmpfs; its assertions are the test's."""
    unshare = require_program("unshare")

    def run(script: str, way: str = "openat2", *, options: str = "", without: str = "") -> None:
        place = tmp_path / "place"
        place.mkdir(exist_ok=True)
        text = f"WAY, PLACE = {way!r}, {str(place)!r}\n{PLACE}\n{script}"
        mount = f'mount -t tmpfs {options} tmpfs "$0" && exec {without} "$@"'
        done = subprocess.run(
            [unshare, *UNSHARE[1:], "sh", "-c", mount, place, sys.executable, "-c", text],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    return run


@WAYS
def test_what_is_mounted_over_a_directory_or_a_file_is_not_entered(inside: Callable[..., None], way: str) -> None:
    inside(
        """
os.makedirs("layer/usr/lib/deep")
os.makedirs("other/deep")
open("layer/usr/file", "w").write("own")
open("other/file", "w").write("other")
open("layer/usr/lib/own", "w").write("own")
with Root(".") as root:
    again = root.tree("layer")
    before = again.root.enter("usr").enter("lib")
    assert before.read("own", 0, 9) == b"own"
    root.close()
with Root(".") as root:
    tree = root.tree("layer")
    usr = tree.root.enter("usr")
    sh("mount --bind other layer/usr/lib && mount --bind other/file layer/usr/file")
    assert code(lambda: usr.enter("lib")) == "EXDEV"
    assert code(lambda: usr.enter("lib")) == "EXDEV"
    assert code(lambda: usr.read("file", 0, 1)) == "EXDEV"
    assert tree.mounted_over == ("usr/lib", "usr/file"), tree.mounted_over
    # the handle that is to be opened again, beneath the mount
    assert (code(lambda: before.read("own", 0, 9)), again.mounted_over) == ("EXDEV", ("usr/lib",))
    # a layer may itself begin at a mount, and be reached through others
    assert root.tree("layer/usr/lib").root.enter("deep").names() == {}
    assert root.read("/layer/usr/file") == b"other"
    root.close()  # what it keeps open would keep the mount busy
    sh("umount layer/usr/lib")
    assert usr.enter("lib").names().keys() == {"deep", "own"}
""",
        way,
    )


@WAYS
def test_a_whiteout_is_seen_and_not_opened(inside: Callable[..., None], way: str) -> None:
    inside(
        """
os.mkdir("layer")
os.mknod("layer/gone", stat.S_IFCHR, 0)
with Root(".") as root:
    tree = root.tree("layer", userxattr=True).root
    for status in (tree.scan()["gone"], tree.status("gone")):
        assert (stat.S_IFMT(status.st_mode), status.st_rdev) == (stat.S_IFCHR, 0)
    assert tree.names() == {"gone": 0}
    assert code(lambda: tree.read("gone", 0, 1)) == "EINVAL"
    assert code(lambda: tree.enter("gone")) == "ENOTDIR"
    assert code(lambda: root.read("layer/gone")) == "EINVAL"
    assert (tree.mark("gone", "whiteout"), dict(tree.xattrs("gone"))) == (None, {})
""",
        way,
    )


@WAYS
def test_reading_leaves_atimes_alone(inside: Callable[..., None], way: str) -> None:
    inside(
        """
os.makedirs("layer/sub")
open("layer/sub/file", "w").write("text")
paths = ["layer", "layer/sub", "layer/sub/file"]
for path in paths:
    os.utime(path, (1000, 2000))
with Root(".") as root:
    tree = root.tree("layer", userxattr=True).root
    sub = tree.enter("sub")
    for directory in (tree, sub):
        directory.scan(), directory.names(), directory.mark("", "opaque"), directory.xattrs("")
    assert sub.read("file", 0, 9) == root.read("layer/sub/file") == b"text"
    assert root.names("layer/sub") == ["file"]
    sub.mark("file", "metacopy"), sub.xattrs("file")
assert [os.stat(path).st_atime for path in paths] == [1000] * 3
os.listdir("layer"), open("layer/sub/file").read()
assert [os.stat(path).st_atime == 1000 for path in paths] == [False, True, False]  # reading otherwise does
""",
        way,
        options="-o strictatime",
    )


def test_what_may_not_be_read_is_an_error_and_no_empty_directory(
    inside: Callable[..., None], require_program: Callable[[str], str]
) -> None:
    inside(
        """
for name in ("closed", "search", "listed", "open"):
    os.makedirs(f"layer/{name}/below")
    open(f"layer/{name}/file", "w").write("text")
open("layer/secret", "w").write("text")
os.chmod("layer/secret", 0)
for name, mode in (("closed", 0), ("search", 0o111), ("listed", 0o444)):
    os.chmod(f"layer/{name}", mode)
with Root(".") as root:
    tree = root.tree("layer").root
    assert code(lambda: tree.read("secret", 0, 1)) == "EACCES"
    assert tree.scan().keys() == {"closed", "search", "listed", "open", "secret"}
    search = tree.enter("search")
    assert (code(search.scan), code(search.names)) == ("EACCES", "EACCES")
    assert search.read("file", 0, 9) == b"text"
    assert search.status("file").st_size == 4
    assert search.enter("below").names() == {}
    assert (search.mark("", "opaque"), search.mark("file", "opaque")) == (None, None)
    assert search.own_status().st_mode & 0o777 == 0o111
    listed = tree.enter("listed")
    assert listed.names().keys() == {"below", "file"}
    assert (code(listed.scan), code(lambda: listed.status("file"))) == ("EACCES", "EACCES")
    closed = tree.enter("closed")
    assert (code(closed.scan), code(lambda: closed.status("file"))) == ("EACCES", "EACCES")
    assert (code(lambda: closed.mark("file", "opaque")), code(lambda: closed.enter("below"))) == ("EACCES", "EACCES")
    assert code(lambda: root.names("layer/search")) == "EACCES"
    assert root.read("layer/search/file") == b"text"
    assert not root.is_directory("layer/closed/below")
try:
    Root("layer/closed")
except SourceError as error:
    assert str(error) == "layer/closed: Permission denied", error
else:
    raise AssertionError("a root that may not be searched")
""",
        without=f"{require_program('setpriv')} --inh-caps=-all --bounding-set=-all",
    )


def test_trusted_marks_are_known_to_be_unreadable_exactly_where_they_are(
    tmp_path: Path, require_program: Callable[[str], str]
) -> None:
    (tmp_path / "file").touch()
    allowed = True
    try:
        os.setxattr(tmp_path, "trusted.overlay.opaque", b"y")
        os.setxattr(tmp_path / "file", "trusted.overlay.metacopy", b"")
    except PermissionError:
        allowed = False
    with Root(str(tmp_path)) as root:
        tree = root.tree("/")
        assert tree.unreadable is not allowed
        assert tree.root.mark("", "opaque") == (b"y" if allowed else None)
        assert tree.root.mark("file", "metacopy") == (b"" if allowed else None)
        assert root.tree("/", userxattr=True).unreadable is False
    # root of a user namespace has CAP_SYS_ADMIN, and sees none of them
    script = f"""
from netfs.overlay.disk.root import Root
tree = Root({str(tmp_path)!r}).tree("/")
status = open("/proc/self/status").read()
effective = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff"))
assert effective >> 21 & 1
assert tree.root.mark("", "opaque") is None and tree.root.mark("file", "metacopy") is None
assert not [name for name in tree.root.xattrs("") if name.startswith("trusted.")]
assert tree.unreadable
"""
    subprocess.run([require_program("unshare"), "-Ur", sys.executable, "-c", script], check=True)


@WAYS
def test_the_files_of_another_mount_namespace_are_reached_through_its_process(
    inside: Callable[..., None], way: str
) -> None:
    inside(
        """
os.makedirs("store/layer/etc")
hide = "mount -t tmpfs tmpfs store && mkdir -p store/layer/etc"
other = subprocess.Popen(
    ["unshare", "--mount", "sh", "-c", f"{hide} && echo theirs >store/layer/etc/file && echo && exec sleep 60"],
    stdout=subprocess.PIPE,
)
try:
    assert other.stdout.read(1)
    with Root(f"/proc/{other.pid}/root") as root:
        place = os.getcwd() + "/store"
        assert root.tree(f"{place}/layer").root.enter("etc").read("file", 0, 9) == b"theirs\\n"
        assert root.resolve(f"{place}/./layer") == f"{place}/layer"
    assert Root(".").tree("store/layer").root.enter("etc").names() == {}
finally:
    other.kill()
    other.wait()
""",
        way,
    )


def test_without_proc_nothing_is_answered(inside: Callable[..., None]) -> None:
    inside("""
sh("mount -t tmpfs tmpfs /proc")
try:
    Root(".")
except SourceError as error:
    assert str(error).startswith("/proc: "), error
else:
    raise AssertionError("a root without /proc")
""")


@WAYS
def test_xattrs_of_64_kib_are_read_whole_and_a_heap_of_them_is_refused(inside: Callable[..., None], way: str) -> None:
    inside(
        """
os.mkdir("layer")
open("layer/file", "w").close()
open("layer/heap", "w").close()
large = bytes(range(256)) * 256
os.setxattr("layer/file", "user.overlay.redirect", large)
os.setxattr("layer", "user.overlay.redirect", large)
kept = 0
for number in range(20):
    try:
        os.setxattr("layer/heap", f"user.{number}", large)
        kept += 1
    except OSError:
        break  # what a tmpfs takes from an ordinary user is bounded
with Root(".") as root:
    tree = root.tree("layer", userxattr=True).root
    assert tree.mark("file", "redirect") == tree.mark("", "redirect") == large
    assert tree.xattrs("file")["user.overlay.redirect"] == large
    if kept >= 16:
        assert code(lambda: tree.xattrs("heap")) == "E2BIG"
""",
        way,
    )


@pytest.mark.parametrize(("way", "depth"), [("openat2", 20_000), ("ENOSYS", 2_000)])
def test_a_deep_tree_takes_bounded_time_memory_and_descriptors(
    inside: Callable[..., None], way: str, depth: int
) -> None:
    inside(
        f"depth = {depth}"
        """
import resource
name = "d" * 20
os.mkdir("layer")
here = os.open("layer", os.O_RDONLY)
for level in range(depth):
    os.mkdir(name, dir_fd=here)
    os.mkdir("aside", dir_fd=here)
    here, above = os.open(name, os.O_RDONLY, dir_fd=here), here
    os.close(above)
os.close(here)
most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
began = time.monotonic()
with Root(".") as root:
    directory, asides = root.tree("layer").root, []
    for _ in range(depth):
        assert directory.scan().keys() == {name, "aside"}
        asides.append(directory.enter("aside"))
        directory = directory.enter(name)
    assert directory.scan() == {}
    assert len(directory.path) == depth * (len(name) + 1) - 1
    while asides:
        assert asides.pop().scan() == {}
assert time.monotonic() - began < 60
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most < 40_000
""",
        way,
    )


def test_a_directory_of_100000_entries_takes_less_than_a_kilobyte_for_each(inside: Callable[..., None]) -> None:
    inside("""
import resource
os.mkdir("layer")
here = os.open("layer", os.O_RDONLY)
for number in range(100_000):
    os.mknod(f"file-{number}", dir_fd=here)
with Root(".") as root:
    tree = root.tree("layer").root
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert len(tree.scan()) == 100_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most < 100_000
""")
