"""The pages of the documentation as tests read them: blocks, command lines, the output that is shown under each."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = (".", "docs", "docs/decisions", "plugins/*", "diagrams/*", "vagrant")
DOCS = ROOT / "docs"
PAGES = sorted(page for folder in FOLDERS for page in ROOT.glob(f"{folder}/*.md"))
GUIDES = [page for page in PAGES if page.parent.name in (ROOT.name, "docs", "vagrant")]

CHANGING = (
    (r"\d+(?= +running$)", "PID"),
    (r"(\d+\.\d / ){2}\d+\.\d µs", "TIMES"),
    (r"\+?\d+\.\d µs", "TIME"),
    (r"\b\d\d:\d\d:\d\d\.\d{6}\b", "TIME"),
    (r"(?<=B, )\d+\.\d s\b", "TIME"),
    (r"\bmarked [0-9a-f]{12}\b", "MARK"),
    (r"\bUDP port \d+(?= to )", "PORT"),
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME"),
    (r"\b([0-9a-f]{12})[0-9a-f]{52}(?![0-9a-f])", r"\1…"),
)
"""What differs between two runs: process ids, times, a probe's mark, the source port of a tunnel. A digest is cut."""
ON_DISK = r"\b(\d+(\.\d)? KiB|0 B|\d+\.\d%)"
"""What takes how much: file systems allocate blocks as they like."""
OF_CONTAINERS = ("netfs inspect", "netfs namespaces", "netfs cgroups", "netfs doctor")
MEASURED = (
    (r"\b40265\d{5}\b", "INODE"),
    (r"(\bpid |\()\d+(?=\)| netfs:|$)", r"\1PID"),
    (r"\b\d+(?= root netfs:)", "PID"),
    (r"\b(?!128 MiB)\d+(\.\d)? (B|KiB|MiB|GiB)\b", "SIZE"),
    (r"\b\d+(\.\d)? (ms|s|min|h)\b( \d+ (s|min)\b)?", "TIME"),
    (r"\b\d+(\.\d)? %", "SHARE"),
    (r"\b(v1|v2|v1 with v2 beside it)(?=, driver)", "MODE"),
    (r"(?<=CPU-LIMIT) THROTTLED\b|(?<= 1) SHARE(?= SIZE/)", ""),
    (r" PRESSURE$| (cpu|io|irq|memory) SHARE$| \(SIZE with cache\)|, at most \d+$|, throttled in .+$", ""),
)
"""What differs as well in what is said of containers, or is not always said: what is used, and how much is waited."""
UNTOLD = "the kernel's own word on drops was not heard"
"""Printed where this process may not use tracefs. The pages show what root is told."""

CODE = re.compile(r"`([^`\n]+)`")
LEFT_OUT = "…"


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(text: str) -> Iterator[list[str]]:
    """The indented blocks of a page, without their indentation; an empty line inside a block does not end it."""
    block: list[str] = []
    for line in [*text.splitlines(), "end"]:
        if line.startswith("    ") or (block and not line.strip()):
            block.append(line)
        elif block:
            yield textwrap.dedent("\n".join(block)).splitlines()
            block = []


def lines_of_shell(text: str) -> Iterator[str]:
    """Every line a reader may type: of blocks (those behind `$` where a block has any), and from within sentences."""
    for block in blocks(text):
        typed = [line.strip()[2:] for line in block if line.strip().startswith("$ ")]
        yield from typed or block
    yield from CODE.findall(text)


def commands_of(line: str) -> Iterator[list[str]]:
    """The arguments of every `netfs` in a line of shell; nothing where the line is none."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:
        return
    command: list[str] = []
    for word in [*words, ";"]:
        if word and set(word) <= set("();<>|&"):
            while command and (command[0] in ("sudo", "!") or re.fullmatch(r"[A-Z_]+=.*", command[0])):
                command = command[1:]
            if command and command[0].removeprefix(".venv/bin/") == "netfs":
                yield command[1:]
            command = []
        else:
            command.append(word)


def scenes(text: str) -> Iterator[tuple[str, list[str]]]:
    """The command lines behind `$` with the output that is shown under each."""
    for block in blocks(text):
        starts = [number for number, line in enumerate(block) if line.startswith("$ netfs ")]
        for start, end in pairwise([*starts, len(block)]):
            yield block[start][2:], block[start + 1 : end]


def comparable(line: str) -> str:
    """A line without what differs between two runs, and the width of its columns."""
    for pattern, name in CHANGING:
        line = re.sub(pattern, name, line)
    return re.sub(r"\s+", " ", line).strip()


def measured(line: str) -> str:
    """A comparable line without what is measured."""
    for pattern, name in MEASURED:
        line = re.sub(pattern, name, line)
    return line


def without_the_kernel(shown: list[str]) -> list[str]:
    """What is shown, as it is printed where the kernel was not asked."""
    lines = [re.sub(r"^( *)dropped [^;]+; ", r"\1", line) for line in shown]
    return [line for line in lines if not line.strip().startswith(("the kernel says:", "the kernel dropped"))]


def assert_prints(line: str, shown: list[str], output: str) -> None:
    """Whether a command's output is what is shown."""
    if line.startswith("netfs layers"):
        shown, output = [re.sub(ON_DISK, "SIZE", one) for one in shown], re.sub(ON_DISK, "SIZE", output)
    printed = [one for one in map(comparable, output.splitlines()) if one]
    if line.startswith(OF_CONTAINERS):
        shown, printed = [*map(measured, map(comparable, shown))], [*map(measured, printed)]
    told = not any(one.startswith(UNTOLD) for one in printed)
    assert_shown(line, shown if told else without_the_kernel(shown), printed)


def assert_shown(line: str, shown: list[str], printed: list[str]) -> None:
    """Whether `printed` is what is shown, but for the lines left out at a `…`."""
    at = 0
    free = False
    for wanted in filter(None, map(comparable, shown)):
        if wanted == LEFT_OUT:
            free = True
            continue
        found = printed.index(wanted, at) if wanted in printed[at:] else -1
        assert found >= 0, f"{line}: does not print {wanted!r}"
        assert free or found == at, f"{line}: prints {printed[at]!r}, which is not shown, before {wanted!r}"
        at, free = found + 1, False
    assert free or at == len(printed), f"{line}: prints {printed[at]!r}, which is not shown"
