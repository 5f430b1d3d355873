"""mountinfo: which lines are overlays, and which directories each is made of, whatever their names hold.

The lines are the kernel's own (6.18, 6.1); tests/kernel/test_overlay_mounted.py mounts the like and compares.
"""

from __future__ import annotations

import os
import random
import string

import pytest

from netfs.model.layers import Mount, MountOptions
from netfs.overlay.stores.mountinfo import parse

HEAD = "69 65 0:40 / /m rw,relatime - overlay overlay rw"


def one(options: str, head: str = HEAD) -> Mount:
    (mount,) = parse(f"{head},{options}")
    return mount


def test_a_mount_of_docker() -> None:
    text = (
        "24 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw\n"
        "105 104 0:39 / /var/lib/docker/overlay2/ac29/merged rw,relatime shared:5 master:3 - overlay overlay rw,"
        "lowerdir=/var/lib/docker/overlay2/l/FU:/var/lib/docker/overlay2/l/DO,"
        "upperdir=/var/lib/docker/overlay2/ac29/diff,workdir=/var/lib/docker/overlay2/ac29/work,nouserxattr\n"
    )
    assert parse(text, 7) == (
        Mount(
            mountpoint="/var/lib/docker/overlay2/ac29/merged",
            lower=("/var/lib/docker/overlay2/l/FU", "/var/lib/docker/overlay2/l/DO"),
            upper="/var/lib/docker/overlay2/ac29/diff",
            work="/var/lib/docker/overlay2/ac29/work",
            id=105,
            device="0:39",
            pid=7,
        ),
    )


@pytest.mark.parametrize(
    ("options", "lower", "data"),
    [
        (r"lowerdir=/l/a\134:b:/l/c", ("/l/a:b", "/l/c"), ()),
        (r"lowerdir=/l/c\134\054d", ("/l/c,d",), ()),
        (r"lowerdir=/l/e\134\134f", (r"/l/e\f",), ()),
        (r"lowerdir=/l/s\134\134\134:t:/bot", (r"/l/s\:t", "/bot"), ()),
        (r"lowerdir=/l/g\040h\011i\012j", ("/l/g h\ti\nj",), ()),
        (r"lowerdir=/l/w\134\134040x", (r"/l/w\040x",), ()),
        (r"lowerdir=/l/z\134:\134:z:/bot", ("/l/z::z", "/bot"), ()),
        ("lowerdir=/l/a:/l/b::/d/a::/d/b", ("/l/a", "/l/b"), ("/d/a", "/d/b")),
        ("lowerdir+=/l/a:b,lowerdir+=/l/::c,datadir+=/d/x:y", ("/l/a:b", "/l/::c"), ("/d/x:y",)),
        (r"lowerdir+=/l/a\072b", ("/l/a:b",), ()),
        (r"lowerdir+=/l/e\134f,lowerdir+=/l/c\054d", (r"/l/e\f", "/l/c,d"), ()),
        ("lowerdir=68/fs:67/fs", ("68/fs", "67/fs"), ()),
        ("lowerdir=/l/a=b:/l/#c", ("/l/a=b", "/l/#c"), ()),
        ("lowerdir=/l/a", ("/l/a",), ()),
        ("index=off", (), ()),
    ],
)
def test_lowers_are_what_the_mounter_named(options: str, lower: tuple[str, ...], data: tuple[str, ...]) -> None:
    mount = one(options)
    assert (mount.lower, mount.data) == (lower, data)


@pytest.mark.parametrize(
    ("shown", "path"),
    [
        ("/u/a:b", "/u/a:b"),
        (r"/u/a\134:b", "/u/a:b"),
        (r"/u/c\134\054d", "/u/c,d"),
        (r"/u/e\134\134f", r"/u/e\f"),
        ("u", "u"),
    ],
)
def test_upper_and_work_lose_one_level_of_backslashes(shown: str, path: str) -> None:
    mount = one(f"lowerdir=/l,upperdir={shown},workdir={shown}")
    assert (mount.upper, mount.work) == (path, path)


def test_names_that_are_no_utf8_come_back_as_their_bytes() -> None:
    line = b"69 65 0:40 / /m\xff rw - overlay none rw,lowerdir+=/l\xfe\\040x"
    (mount,) = parse(os.fsdecode(line))
    assert (os.fsencode(mount.mountpoint), os.fsencode(mount.lower[0])) == (b"/m\xff", b"/l\xfe x")


@pytest.mark.parametrize(
    ("said", "options"),
    [
        ("userxattr,redirect_dir=nofollow", MountOptions(userxattr=True, redirect_dir="nofollow")),
        ("redirect_dir=on,metacopy=on,index=on,xino=on", MountOptions(False, "on", True, True, "on")),
        ("redirect_dir=off,metacopy=off,index=off", MountOptions(redirect_dir="off")),
        ("fsync=volatile", MountOptions(volatile=True)),
        ("volatile", MountOptions(volatile=True)),
        ("fsync=strict,verity=on,uuid=on,nfs_export=off,default_permissions", MountOptions()),
        ("redirect_dir=\x1b[2J,metacopy=maybe", MountOptions()),
        (r'context="system_u:object_r:container_file_t:s0:c1,c2"', MountOptions()),
    ],
)
def test_options_that_decide_the_merge(said: str, options: MountOptions) -> None:
    assert one(f"lowerdir=/l,{said}").options == options


def test_what_is_not_said_is_as_the_module_has_it() -> None:
    module = MountOptions(redirect_dir="on", metacopy=True, index=True, xino="auto")
    (silent,) = parse(HEAD, default=module)
    (said,) = parse(f"{HEAD},redirect_dir=nofollow,metacopy=off,index=off,xino=off", default=module)
    assert silent.options == module
    assert said.options == MountOptions(redirect_dir="nofollow", xino="off")


def test_read_only_is_the_mount_or_the_overlay() -> None:
    lines = ("rw - overlay o rw,lowerdir=/l", "ro,nosuid - overlay o rw,lowerdir=/l", "rw - overlay o ro,lowerdir=/l")
    assert [mount.read_only for line in lines for mount in parse(f"1 1 0:1 / /m {line}")] == [False, True, True]


def test_a_source_may_be_empty_and_may_look_like_options() -> None:
    assert parse(r"1 1 0:1 / /m rw - overlay  ro,lowerdir=/l")[0].lower == ("/l",)
    assert parse(r"1 1 0:1 / /m rw - overlay x\040-\040overlay,lowerdir=/evil ro,lowerdir=/l")[0].lower == ("/l",)


def test_a_raw_space_among_the_options_stays() -> None:
    assert one("lowerdir=/l l:/k").lower == ("/l l", "/k")


def test_a_part_of_an_overlay_that_is_bound_elsewhere_says_so() -> None:
    (mount,) = parse(r"127 108 0:63 /a\040b /m rw - overlay overlay ro,lowerdir=/l")
    assert mount.root == "/a b"


def test_fuse_overlayfs_shows_no_layers() -> None:
    (mount,) = parse("1 1 0:60 / /m rw - fuse.fuse-overlayfs fuse-overlayfs rw,user_id=0,group_id=0,allow_other")
    assert (mount.kind, mount.lower, mount.upper) == ("fuse.fuse-overlayfs", (), None)


@pytest.mark.parametrize(
    "line",
    [
        "24 1 254:0 / / rw - ext4 /dev/root rw",
        "1 1 0:1 / /overlay rw - tmpfs overlay rw,lowerdir=/l",
        "1 1 0:1 / /m rw - overlay",
        "1 1 0:1 / /m - overlay o rw",
        "x 1 0:1 / /m rw - overlay o rw",
        "1 1 0 / /m rw - overlay o rw",
        "99999999999999999999 1 0:1 / /m rw - overlay o rw",
        "٣ 1 0:1 / /m rw - overlay o rw",
        "",
    ],
)
def test_another_line_is_left_out(line: str) -> None:
    (mount,) = parse(f"{line}\n1 1 0:1 / /m rw - overlay o rw,lowerdir=/l\n{line}")
    assert mount.lower == ("/l",)


def test_a_line_ends_at_a_newline_only() -> None:
    (mount,) = parse("1 1 0:1 / /m rw - overlay o rw,lowerdir=/l\r\x0b\x85\u2028x")
    assert mount.lower == ("/l\r\x0b\x85\u2028x",)


def shown(value: str) -> str:
    """An option's value as the kernel shows it (``seq_show_option``, include/linux/seq_file.h)."""
    return "".join(f"\\{ord(each):03o}" if each in ", \t\n\\" else each for each in value)


def typed(path: str, also: str) -> str:
    """A path as a mounter has to write it, so that ``ovl_unescape`` gives it back."""
    return "".join(f"\\{each}" if each in f"\\,{also}" else each for each in path)


def test_random_names_come_back_by_either_api() -> None:
    chance = random.Random(11)
    for _ in range(1000):
        names = ["/" + "".join(chance.choices('ab:,\\ \t\n#"=01é\udcff', k=chance.randint(1, 6))) for _ in range(5)]
        first, second, data, upper, work = names
        lowers = ":".join(typed(name, ":") for name in (first, second)) + "::" + typed(data, ":")
        ends = f"upperdir={shown(typed(upper, ''))},workdir={shown(typed(work, ''))}"
        old = one(f"lowerdir={shown(lowers)},{ends}")
        new = one(f"lowerdir+={shown(first)},lowerdir+={shown(second)},datadir+={shown(data)},{ends}")
        for mount in (old, new):
            assert [*mount.lower, *mount.data, mount.upper, mount.work] == names


def test_whatever_the_text_is_nothing_is_raised() -> None:
    chance = random.Random(4)
    pieces = [
        HEAD,
        " - overlay ",
        "lowerdir=",
        "lowerdir+=",
        "upperdir=",
        ",",
        ":",
        "::",
        "\\",
        "\\134",
        "\\1",
        "\n",
        " ",
    ]
    pieces += [*string.ascii_lowercase[:5], "\udcff", "\0", "=", "9" * 30]
    for _ in range(3000):
        text = "".join(chance.choices(pieces, k=chance.randrange(30)))
        for mount in parse(text):
            assert all(mount.lower)
            assert all(mount.data)
    for _ in range(500):
        parse(os.fsdecode(chance.randbytes(200)))


def test_a_hostile_line_takes_no_longer_than_it_is() -> None:
    parse("1 1 0:1 / /m rw" + " a" * 50_000 + " - overlay o")
    parse(f"{HEAD},lowerdir=" + "\\" * 100_001 + ":" * 50_000)
    parse(f"{HEAD}" + ",lowerdir+=x" * 50_000)
