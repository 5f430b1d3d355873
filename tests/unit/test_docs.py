"""What the documentation says holds: commands parse, links lead somewhere, made parts are fresh, tables are whole."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import click
import pytest

from netfs import errors
from netfs.capture.filter import words as filter_words
from netfs.capture.filter.parse import parse as parse_filter
from netfs.collect.namespaces import read as namespaces
from netfs.container.engines import sockets
from netfs.diagnose.catalogue import FAULTS
from netfs.lab import faults
from netfs.model import layer_answers, layers, live
from netfs.model.cgroups import Cgroup
from netfs.model.containers import Placed
from netfs.model.namespaces import Namespace
from netfs.overlay import layer_stores
from netfs.overlay.merge import trail
from netfs.overlay.stores import find
from netfs.sources import uri
from netfs.sources.registry import SOURCES
from netfs_cli.app import app
from netfs_cli.settings import Settings
from tests.unit.pages import CODE, DOCS, GUIDES, PAGES, ROOT, commands_of, lines_of_shell, name

LINK = re.compile(r"(?<!!)\[[^]\[]+\]\(([^)\s]+)\)")


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


def section(title: str, page: str = "reference") -> str:
    """A section of a page."""
    return (DOCS / f"{page}.md").read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_word_of_filters_is_explained_and_every_filter_shown_is_one() -> None:
    rows = [line.split(" | ")[0] for line in section("Filters").splitlines() if line.startswith("| `")]
    forms = [form.replace("\\|", "|") for row in rows for form in CODE.findall(row)]
    assert len(forms) > 30
    for form in forms:
        parse_filter(form)
    words = {word for form in forms for word in re.findall(r"[a-z0-9]+|[&|!]+", form)}
    assert words >= {*filter_words.ALL, *filter_words.PROTOCOLS}


def test_every_verdict_of_live_traces_is_explained() -> None:
    verdicts = set(re.findall(r"^\| `([a-z-]+)`", section("Live traces"), re.MULTILINE))
    assert verdicts == {live.AGREES, live.LOST, live.OTHER_PATH, live.STRAY, live.FURTHER, live.UNHEARD}


def described(record: type, field: str) -> set[str]:
    """The words that a field of a record may hold, as its docstring has them."""
    source = inspect.getsource(record)
    docstring = source.partition(f"\n    {field}: ")[2].partition('"""')[2].partition('"""')[0]
    return set(re.findall(r"``([a-z]+)``", docstring))


def test_every_word_about_layers_is_explained() -> None:
    tables = section("Words", "layers").split("\n\n")
    kinds, roles, fates = (
        {word for row in rows(table) for word in CODE.findall(row)} for table in tables if "|" in table
    )
    assert kinds == {*layer_stores.KINDS} == described(layer_answers.ChainRef, "kind")
    assert roles == described(layers.Layer, "role") | {"mount"}
    assert fates - {"by", "why"} == described(trail.Held, "fate")


def test_every_word_about_containers_is_explained() -> None:
    ties, kinds, keepers = (
        {word for row in rows(table) for word in CODE.findall(row.split(" | ")[0])}
        for table in section("Words", "containers").split("\n\n")
        if "|" in table
    )
    assert ties == described(Placed, "by")
    assert kinds == described(Cgroup, "kind")
    assert keepers == described(Namespace, "kept_by")


def test_every_gap_about_containers_is_explained() -> None:
    told = {word for row in rows(section("Gaps")) for word in CODE.findall(row.split(" | ")[0])}
    assert {missing for missing, *_ in namespaces.REASONS.values()} <= told


def test_every_place_where_engines_listen_is_told() -> None:
    told = CODE.findall(section("Who is asked, and how", "containers"))
    usual = {path for paths in sockets._USUAL.values() for path in paths if not path.startswith("/var/run/")}
    assert len(usual) > 7
    assert usual | {f"{sockets._USERS}/UID/{name}" for name in sockets._OF_USERS.values()} <= set(told)
    assert {*sockets._ENVIRONMENT} <= set(told)


def rows(table: str) -> list[str]:
    """The rows of a table, without its head."""
    return [line for line in table.splitlines() if line.startswith("| ") and " --- " not in line][1:]


def test_every_place_where_stores_are_looked_for_is_told() -> None:
    told = CODE.findall(section("What is read", "layers"))
    places = {path for paths in find._USUAL.values() for path in paths if path.count("/") > 2 or "/var/lib" in path}
    assert len(places) > 7
    assert places | set(find._AT_HOME.values()) <= set(told)


def test_every_fault_of_layers_and_containers_is_found_by_the_command_that_is_named() -> None:
    rooms = [ROOT / "netfs" / room for room in ("overlay", "container")]
    source = "".join(path.read_text() for room in rooms for path in room.rglob("*.py"))
    told = {slug: fault.found_by for slug, fault in FAULTS.items() if fault.found_by is not None}
    assert {slug for slug in told if f'"{slug}"' not in source} == {"layer-xattr-unreadable"}, "that is told as a gap"
    for command in told.values():
        assert is_mention(tuple(shlex.split(command)[1:]))


def test_every_error_of_the_library_stands_in_its_tree() -> None:
    assert errors.__doc__ is not None
    tree = errors.__doc__[errors.__doc__.index("NetfsError\n") :].strip()
    assert textwrap.indent(tree, "    ") in section("Library")


def test_no_page_is_left_out() -> None:
    assert set(DOCS.rglob("*.md")) <= set(PAGES)
