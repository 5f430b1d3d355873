"""What the documentation says holds: commands parse, links lead somewhere, output is real, made parts are fresh."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import click
import pytest

import netfs.lab
from netfs.diagnose.catalogue import FAULTS
from netfs.lab import faults
from netfs.sources import uri
from netfs.sources.registry import SOURCES
from netfs_cli.app import app
from netfs_cli.settings import Settings

ROOT = Path(__file__).parents[2]
FOLDERS = (".", "docs", "docs/decisions", "plugins/*", "diagrams/*", "vagrant")
PAGES = sorted(page for folder in FOLDERS for page in ROOT.glob(f"{folder}/*.md"))
GUIDES = [page for page in PAGES if page.parent.name in (ROOT.name, "docs", "vagrant")]

LINK = re.compile(r"(?<!!)\[[^]\[]+\]\(([^)\s]+)\)")
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


def parse(arguments: list[str]) -> Settings:
    """Parse a command line as the command does. Nothing is run: where click would call it, nothing is called."""
    settings = Settings()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(click.Context, "invoke", lambda *_, **__: None)
        try:
            with app.make_context("netfs", list(arguments), obj=settings) as context:
                app.invoke(context)
        except click.exceptions.Exit:
            pass
    return settings


def is_mention(arguments: tuple[str, ...]) -> bool:
    """Whether only a command is named, as in a sentence about it; or the line of usage that click made."""
    found: click.Command | None = app
    for word in arguments:
        if word == "[OPTIONS]":
            return True
        found = found.get_command(click.Context(found), word) if isinstance(found, click.Group) else None
    return found is not None


SHOWN = [
    pytest.param(arguments, id=f"{name(page)}: {shlex.join(arguments)}")
    for page in GUIDES
    for arguments in dict.fromkeys(tuple(c) for line in lines_of_shell(page.read_text()) for c in commands_of(line))
    if not is_mention(arguments)
]


@pytest.mark.parametrize("arguments", SHOWN)
def test_a_command_that_is_shown_parses(arguments: tuple[str, ...]) -> None:
    settings = parse(list(arguments))
    for source in settings.sources:
        assert uri.parse(source).scheme in SOURCES
    match [word for word in arguments if not word.startswith("-")]:
        case ["lab", "break" | "repair" as verb, slug, *_] if slug.islower():
            assert slug in faults.catalogue(), f"the lab cannot {verb} it"
        case ["explain", slug] if slug.islower():
            assert slug in FAULTS


def test_a_wrong_command_would_be_noticed() -> None:
    assert len(SHOWN) > 40
    (arguments,) = commands_of("NETFS_SOURCE=lab sudo netfs trace pod-a pod-b --prot tcp | head")
    assert arguments == ["trace", "pod-a", "pod-b", "--prot", "tcp"]
    with pytest.raises(click.UsageError):
        parse(["trace", "pod-a", "pod-b", "--colour"])
    with pytest.raises(click.UsageError):
        parse(["lab", "unknown"])


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: no such file"
        assert not anchor or anchor in anchors(target), f"{link}: no such heading"


def test_what_is_made_from_the_code_is_what_the_code_says() -> None:
    command = [sys.executable, str(ROOT / ".ci" / "docs.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.fixture
def play(require_program: Callable[[str], str]) -> Iterator[Callable[[str], str]]:
    """Runs a command line as it is shown, in a lab of its own that answers to the name `default`."""
    require_program("ip")
    require_program("ping")
    lab = f"docs-{os.getpid()}"
    environment = {**os.environ, "NETFS_SOURCE": f"lab:{lab}", "PYTHONIOENCODING": "utf-8", "NO_COLOR": "1"}
    environment["PYTHONPATH"] = os.pathsep.join((str(ROOT / "cli"), str(ROOT)))

    def run(line: str) -> str:
        (arguments,) = commands_of(line)
        words = [*arguments[:2], "--name", lab, *arguments[2:]] if arguments[0] == "lab" else arguments
        command = [sys.executable, "-m", "netfs_cli", *words]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode in (0, 1), f"{line}: {done.stderr}"
        return done.stdout.replace(lab, "default").replace("rootless", "as root")

    yield run
    if lab in netfs.lab.names():
        netfs.lab.down(lab)


def comparable(line: str) -> str:
    """A line without what differs between two runs: process ids, and the width of their column."""
    return re.sub(r"\s+", " ", re.sub(r"\d+(?= +running$)", "PID", line)).strip()


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


@pytest.mark.parametrize("shown", [["a", "c"], ["a", "b"], ["…", "c", "b"], ["b", "c"], ["a", "x", "…"]], ids=" ".join)
def test_output_that_is_not_what_is_printed_would_be_noticed(shown: list[str]) -> None:
    assert_shown("", ["a", "…", "c"], ["a", "b", "c"])
    with pytest.raises(AssertionError):
        assert_shown("", shown, ["a", "b", "c"])


def scenes(text: str) -> Iterator[tuple[str, list[str]]]:
    """The command lines behind `$` with the output that is shown under each."""
    for block in blocks(text):
        starts = [number for number, line in enumerate(block) if line.startswith("$ netfs ")]
        for start, end in pairwise([*starts, len(block)]):
            yield block[start][2:], block[start + 1 : end]


@pytest.mark.kernel
def test_the_class_room_of_the_readme_prints_what_is_shown(
    play: Callable[[str], str], require_program: Callable[[str], str]
) -> None:
    require_program("iptables-nft")
    text = (ROOT / "README.md").read_text()
    first, *lessons = scenes(text)
    assert [line.split()[1:3] for line, _ in lessons][:2] == [["lab", "up"], ["trace", "pod-a"]]
    for line, shown in lessons:
        printed = [line for line in map(comparable, play(line).splitlines()) if line]
        assert_shown(line, shown, printed)
        if "break" in line:
            assert_shown(first[0], first[1], [x for x in map(comparable, play(first[0]).splitlines()) if x])


@pytest.mark.kernel
def test_the_recipes_that_show_output_print_it(
    play: Callable[[str], str], require_program: Callable[[str], str]
) -> None:
    require_program("iptables-nft")
    for line, shown in scenes((ROOT / "docs" / "how-to.md").read_text()):
        if "netns:" not in line:
            assert_shown(line, shown, [x for x in map(comparable, play(line).splitlines()) if x])
