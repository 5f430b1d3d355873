"""What processes change on an overlay that the kernel mounted, told as ``docker diff`` does.

The oracle compares the two mounts, with and without the upper layer, file by file: Docker's own way
(moby: pkg/archive/changes.go). All of it happens in a user namespace of its own, on a tmpfs.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.kernel

SEEDS = 10
CHANGES = 25
NAMES = "abcdef"
SECOND = 1_000_000_000
PROJECT = Path(__file__).parents[2]


def test_changes_made_on_a_mount_are_told_as_docker_tells_them(
    tmp_path: Path, require_program: Callable[[str], str]
) -> None:
    unshare = [require_program("unshare"), "--user", "--map-root-user", "--mount"]
    command = [*unshare, sys.executable, "-m", "tests.kernel.test_overlay_diff", str(tmp_path)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    played = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(played) == SEEDS
    for seed, (ours, expected) in enumerate(played):
        assert sorted(ours) == sorted(expected), seed
    kinds = {change[0] for ours, _ in played for change in ours}
    assert kinds == {"A", "C", "D"}


def play(folder: Path, seed: int) -> tuple[list[str], list[str]]:
    """Make layers, change things on the mount; what was changed, as we tell it and by comparison of the mounts."""
    pick = random.Random(seed)
    bottom, middle, upper, work, mount, below = (folder / name for name in ("0", "1", "up", "work", "mount", "below"))
    for each in (bottom, middle, upper, work, mount, below):
        each.mkdir(parents=True)
    (bottom / "a").mkdir()
    change(bottom, pick, 3 * CHANGES)
    overlay(middle, f"lowerdir={bottom},upperdir={middle},workdir={work}", mount, pick)
    shutil.rmtree(work)
    work.mkdir()
    overlay(upper, f"lowerdir={middle}:{bottom},upperdir={upper},workdir={work}", mount, pick)
    mounted(f"lowerdir={upper}:{middle}:{bottom}", mount)
    mounted(f"lowerdir={middle}:{bottom}", below)
    expected = list(compared("", mount, below))
    return told(upper, middle, bottom), expected


def overlay(upper: Path, options: str, mount: Path, pick: random.Random) -> None:
    mounted(options, mount)
    change(mount, pick, CHANGES)
    subprocess.run(["umount", mount], check=True)


def mounted(options: str, mount: Path) -> None:
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"userxattr,{options}", mount], check=True)


def change(root: Path, pick: random.Random, times: int) -> None:
    """Do what processes do; what the kernel refuses is left out."""
    for _ in range(times):
        every = [path for path in root.rglob("*") if not path.is_symlink()]
        folders = [root, *(path for path in every if path.is_dir())]
        path, new = pick.choice(every or [root / "none"]), pick.choice(folders) / pick.choice(NAMES)
        with contextlib.suppress(OSError):
            pick.choice(DEEDS)(path, new, pick)


def write(path: Path, new: Path, pick: random.Random) -> None:
    if not new.exists() or new.is_file():
        new.write_bytes(bytes(pick.randrange(9)))


def remove(path: Path, new: Path, pick: random.Random) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def become_a_directory(path: Path, new: Path, pick: random.Random) -> None:
    remove(path, new, pick)
    path.mkdir()
    (path / "b").touch()


def become_a_file(path: Path, new: Path, pick: random.Random) -> None:
    remove(path, new, pick)
    path.touch()


DEEDS: list[Callable[[Path, Path, random.Random], object]] = [
    write,
    write,
    remove,
    become_a_directory,
    become_a_file,
    lambda path, new, pick: new.mkdir(),
    lambda path, new, pick: new.mkdir(),
    lambda path, new, pick: new.symlink_to("x"),
    lambda path, new, pick: os.mkfifo(new),
    lambda path, new, pick: new.hardlink_to(path),
    lambda path, new, pick: path.rename(new),
    lambda path, new, pick: path.chmod(0o700),
    lambda path, new, pick: path.chmod(path.stat().st_mode & 0o7777),
    lambda path, new, pick: os.utime(path, ns=(0, pick.choice((0, 5, SECOND)))),
]


def compared(path: str, now: Path | None, then: Path | None) -> Iterator[str]:
    """The children of a directory: ``A /path`` and so on, for the directory as well where it is not new."""
    names = {each.name for side in (now, then) if side for each in side.iterdir()}
    inside: list[str] = []
    for name in names:
        place, new, old = f"{path}/{name}", now and now / name, then and then / name
        new_status = new.lstat() if new and os.path.lexists(new) else None
        old_status = old.lstat() if old and os.path.lexists(old) else None
        told_itself = True
        if not new_status:
            inside.append(f"D {place}")
        elif not old_status:
            inside.append(f"A {place}")
        elif differ(new_status, old_status):
            inside.append(f"C {place}")
        else:
            told_itself = False
        if new_status and stat.S_ISDIR(new_status.st_mode):
            was_directory = old_status and stat.S_ISDIR(old_status.st_mode)
            below = list(compared(place, new, old if was_directory else None))
            inside += below if told_itself or not below else [f"C {place}", *below]
    yield from inside


def differ(now: os.stat_result, then: os.stat_result) -> bool:
    if (now.st_mode, now.st_uid, now.st_gid) != (then.st_mode, then.st_uid, then.st_gid):
        return True
    if stat.S_ISDIR(now.st_mode):
        return False
    seconds = [divmod(each.st_mtime_ns, SECOND) for each in (now, then)]
    rough = not all(rest for _, rest in seconds)
    same = seconds[0] == seconds[1] or (rough and seconds[0][0] == seconds[1][0])
    return not same or now.st_size != then.st_size


def told(*layers: Path) -> list[str]:
    from netfs.model.layers import MountOptions
    from netfs.overlay.changes.diff import diff
    from netfs.overlay.disk.root import Root
    from netfs.overlay.merge.tree import Stack

    with Root() as root:
        trees = [root.tree(str(layer), userxattr=True) for layer in layers]
        stack = Stack([tree.root for tree in trees], options=MountOptions(userxattr=True))
        return [f"{each.kind} {each.path}" for each in diff(stack)]


if __name__ == "__main__":
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", sys.argv[1]], check=True)
    for number in range(SEEDS):
        print(json.dumps(play(Path(sys.argv[1]) / str(number), number)))
