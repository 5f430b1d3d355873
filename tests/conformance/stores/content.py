"""What the images and containers of every engine hold: a tree around a static busybox, and scripts that change it."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

APPLETS = (
    "cat",
    "chmod",
    "chown",
    "cp",
    "dd",
    "ln",
    "ls",
    "mkdir",
    "mkfifo",
    "mknod",
    "mv",
    "rm",
    "rmdir",
    "sh",
    "sleep",
    "touch",
    "true",
)
ODD_NAMES = (
    b"two words",
    b"line\nbreak",
    b"not-utf8-\xff\xfe",
    b"-dash",
    b"*",
    b"back\\slash",
    b".wh",
    b"\xe2\x98\x83",
    b"quote\"'",
)

NET_RAW = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)
"""A file capability, of the second revision (linux/capability.h, ``vfs_cap_data``): CAP_NET_RAW, effective."""


def plant(root: Path) -> None:
    """Make the tree. It takes root: a device is in it."""
    for folder in (
        "bin",
        "data/deep",
        "data/emptied",
        "data/links",
        "data/many",
        "etc/odd",
        "proc",
        "sys",
        "dev",
        "tmp",
    ):
        (root / folder).mkdir(parents=True)
    busybox = shutil.which("busybox")
    assert busybox is not None
    shutil.copy2(busybox, root / "bin/busybox")
    for name in APPLETS:
        (root / "bin" / name).symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
    for number, odd in enumerate(ODD_NAMES):
        (root / "etc/odd" / os.fsdecode(odd)).write_bytes(b"odd\n" * number)
    data = root / "data"
    for folder in ("replaced", "emptied", "becomes-file", "renamed", "removed", "touched", "second"):
        (data / folder / "sub").mkdir(parents=True)
        for name in ("a", "b", "sub/c"):
            (data / folder / name).write_text(f"{folder} {name}\n" * 10)
    for name in ("kept", "changed", "deleted", "becomes-folder", "mode", "owner", "link", "appended", "late", "same"):
        (data / name).write_text(f"{name}\n" * 100)
    (data / "links/one").write_text("several names\n")
    (data / "links/two").hardlink_to(data / "links/one")
    for name, target in (
        ("relative", "one"),
        ("broken", "/nowhere"),
        ("absolute", "/etc/passwd"),
        ("up", "../../etc"),
        ("loop", "loop"),
    ):
        (data / "links" / name).symlink_to(target)
    (data / "setuid").write_text("#!\n")
    os.chown(data / "setuid", 1000, 2000)
    (data / "setuid").chmod(0o6755)
    (data / "capable").write_text("#!\n")
    os.setxattr(data / "capable", "security.capability", NET_RAW)
    (root / "tmp").chmod(0o1777)
    os.mkfifo(data / "fifo", 0o640)
    os.mknod(data / "null", 0o20666, os.makedev(1, 3))
    with (data / "sparse").open("wb") as file:
        file.truncate(1 << 20)
        file.seek(500_000)
        file.write(b"an island")
    deep = data / "deep"
    for _ in range(30):
        deep /= "deeper"
    deep.mkdir(parents=True)
    (deep / "bottom").write_text("bottom\n")
    for number in range(100):
        (data / f"many/{number:03}").write_bytes(bytes(number * 100))


def tar(root: Path, file: Path) -> Path:
    """The tree as a tar, its names in order."""
    attributes = ("--xattrs", "--xattrs-include=security.capability")
    subprocess.run(
        ["tar", "--sort=name", "--numeric-owner", *attributes, "-C", str(root), "-cf", str(file), "."], check=True
    )
    return file


CHANGE = r"""set -e
echo more >>/data/changed
rm /data/deleted
rm -r /data/replaced; mkdir /data/replaced; echo new >/data/replaced/a; echo new >/data/replaced/new
rm -r /data/emptied/*
rm -r /data/becomes-file; echo file >/data/becomes-file
rm /data/becomes-folder; mkdir /data/becomes-folder; echo x >/data/becomes-folder/x
mv /data/renamed /data/elsewhere
rm -r /data/removed
chmod 4711 /data/mode
chown 5:6 /data/owner
rm /data/link; ln -s kept /data/link
ln /data/links/one /data/links/three
rm '/etc/odd/two words'
echo more >>'/etc/odd/line
break'
echo more >>/etc/odd/not-utf8-"$(printf '\377\376')"
for number in 010 011 012; do rm /data/many/$number; done
mkdir -p /opt/added/sub; echo added >/opt/added/sub/file; mkfifo /opt/added/fifo
"""
"""The second layer of an image: everything that a layer can do to those below it."""
CHANGE_AGAIN = r"""set -e
echo back >/data/deleted
rm -r /data/elsewhere/sub
mkdir /data/removed; echo again >/data/removed/a
rm -r /opt/added
mv /data/links /data/moved-links
cp /data/kept /data/kept-too
rm /data/changed
"""
"""The third: among other things, what the second added is removed, and what it removed is there again."""
WRITE = r"""set -e
echo late >>/data/late
chmod 644 /data/same
rm -r /data/second; mkdir /data/second; echo new >/data/second/new
mv /data/touched /data/moved
rm /data/deleted
rm -r /data/replaced
rm -r /data/becomes-folder; ln -s nowhere /data/becomes-folder
ln /data/kept /data/kept-linked
rm '/etc/odd/line
break'
echo new >'/etc/odd/new
name'
echo new >/etc/odd/new-"$(printf '\374')"
mkdir -p /var/cache/deep/er; dd if=/dev/zero of=/var/cache/deep/er/file bs=1000 count=77 2>/dev/null
mkfifo /var/fifo; touch /var/empty; mkdir /var/nothing
chmod 700 /data/many
touch /data/deep/deeper
"""
"""What a container writes."""
WRITE_FOLDER_OVER_FILE = "rm /data/becomes-file; mkdir /data/becomes-file; echo x >/data/becomes-file/x"
"""Podman 4.3 cannot tell what such a container changed: it asks for ``becomes-file/x`` below the file."""
WRITE_ELSEWHERE = r"""set -e
rm -r /data/links /data/renamed/sub
mkdir -p /srv/one; echo one >/srv/one/file; chmod 750 /srv
cp /data/kept /data/deleted
"""
"""What another does, in the first layer's tree."""
