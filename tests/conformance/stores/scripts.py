"""Random shell lines that change a small tree: whatever a process can do to files, in any order."""

from __future__ import annotations

from random import Random

TOP = "/r"
NAMES = ("a", "b", "c", "d")
LINES = (
    "[ -p {path} ] || echo {number} >{path}",
    "[ -p {path} ] || echo {number} >>{path}",
    "rm -rf {path}",
    "mkdir -p {path}",
    "rm -rf {path}; mkdir -p {path}",
    "rm -rf {path}; echo {number} >{path}",
    "mv {path} {other}",
    "cp -a {path} {other}",
    "ln {path} {other}",
    "ln -s {other} {path}",
    "chmod {mode} {path}",
    "chown {number}:{number} {path}",
    "touch {path}",
    "touch -d '2001-02-03 04:05:06' {path}",
    "mkfifo {path}",
    "mknod {path} c 240 {number}",
    "mkdir -p {path}/e/f; echo {number} >{path}/e/f/g",
    "mv {path} {other}; mkdir {path}",
    "rm -rf {path}/*",
)


def script(random: Random, lines: int) -> str:
    """Lines of which some do not succeed."""
    return "\n".join([f"mkdir -p {TOP}/a/a {TOP}/b", *(_line(random) for _ in range(lines)), "true"])


def _line(random: Random) -> str:
    path, other = _path(random), _path(random)
    while f"{other}/".startswith(f"{path}/"):  # nothing is copied into itself
        other = _path(random)
    number, mode = random.randrange(100), random.choice(("600", "755"))
    return random.choice(LINES).format(path=path, other=other, number=number, mode=mode)


def _path(random: Random) -> str:
    return "/".join((TOP, *random.choices(NAMES, k=random.choice((1, 1, 2, 2, 3)))))
