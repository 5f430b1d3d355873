"""The rules of overlayfs one by one: a small stack for each, what the kernel makes of it, and what our merge does.

A layer is a table of paths: text is a file's content, ``None`` a whiteout (a device 0:0), and marks make the rest. The
kernel of the day must answer as the table says (6.18 was asked), and ours must give the same tree to the last xattr.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.property.overlay_plan import Entry, Layer, Plan, to_json
from tests.property.overlay_play import SIDES, play, told

pytestmark = pytest.mark.kernel


def directory(**marks: str) -> Entry:
    return Entry("", "directory", mode=0o755, marks=marks)


def file(text: str = "", **marks: str) -> Entry:
    return Entry("", text=text, marks=marks)


def metacopy(size: int = 4, **marks: str) -> Entry:
    return Entry("", size=size, marks={"metacopy": "", **marks})


def foreign(entry: Entry, **marks: str) -> Entry:
    """With marks in the namespace that a usual mount does not heed."""
    return replace(entry, xattrs={f"user.overlay.{name}": value for name, value in marks.items()})


DIR = directory()
LINK = Entry("", "symlink", target="elsewhere")
Table = Mapping[str, Entry | str | None]


@dataclass(frozen=True, slots=True)
class Case:
    layers: tuple[Table, ...]
    seen: Mapping[str, str]
    """What the merged tree has, besides its root: ``directory``, a file's content, an error."""
    data: tuple[Table, ...] = ()
    sides: tuple[str, ...] = ("root", "user")
    """Where it is played: as root with ``trusted.*``, in a user namespace with ``user.*``."""
    upper: bool = False
    userxattr: bool = False
    redirect_dir: str = ""
    metacopy: bool | None = None

    def plan(self, side: str) -> Plan:
        return Plan(
            tuple(_layer(table) for table in self.layers),
            tuple(_layer(table) for table in self.data),
            upper=self.upper,
            userxattr=self.userxattr or side == "user",
            redirect_dir=self.redirect_dir,
            metacopy=self.metacopy,
        )


def _layer(table: Table) -> Layer:
    def entry(path: str, what: Entry | str | None) -> Entry:
        if what is None:
            return Entry(path, "whiteout")
        return Entry(path, text=what) if isinstance(what, str) else replace(what, path=path)

    return Layer(tuple(entry(path, what) for path, what in table.items()))


AS_ROOT = ("root",)
AS_USER = ("user",)
BELOW: Table = {"d": DIR, "d/below": "below"}
UNDER: Table = {"o": DIR, "o/below": "below"}
CASES = {
    # whiteouts
    "a whiteout hides what is below": Case(({"a": None}, {"a": "below", "b": "b"}), {"b": "b"}),
    "a whiteout hides a directory with all in it": Case(({"d": None}, BELOW), {}),
    "a whiteout hides nothing above it": Case(({"a": "top"}, {"a": None}, {"a": "bottom"}), {"a": "top"}),
    "a whiteout with nothing below is not there": Case(({}, {"d": DIR, "d/a": None}), {"d": "directory"}),
    "a whiteout in the upper is not there": Case(({"a": None}, {"a": "below"}), {}, upper=True),
    "an xattr whiteout in an opaque x directory hides": Case(
        ({"d": directory(opaque="x"), "d/below": file(whiteout="")}, BELOW), {"d": "directory"}
    ),
    "an xattr whiteout hides in any directory": Case(
        ({"d": DIR, "d/below": file(whiteout="y")}, BELOW), {"d": "directory"}
    ),
    "an xattr whiteout hides in the upper": Case(
        ({"d": DIR, "d/below": file(whiteout="")}, BELOW), {"d": "directory"}, upper=True
    ),
    "an xattr whiteout with something in it is a file": Case(
        ({"d": directory(opaque="x"), "d/below": file("text", whiteout="")}, BELOW),
        {"d": "directory", "d/below": "text"},
    ),
    "a .wh. file is a file": Case(({".wh.a": ""}, {"a": "below"}), {".wh.a": "", "a": "below"}),
    # opaque directories
    "an opaque directory hides what is below": Case(
        ({"d": DIR, "d/top": "top"}, {"d": directory(opaque="y"), "d/middle": "middle"}, BELOW),
        {"d": "directory", "d/top": "top", "d/middle": "middle"},
    ),
    "an opaque x directory is merged": Case(
        ({"d": directory(opaque="x"), "d/top": "top"}, BELOW), {"d": "directory", "d/top": "top", "d/below": "below"}
    ),
    "an opaque mark of another value counts for nothing": Case(
        ({"d": directory(opaque="n")}, BELOW), {"d": "directory", "d/below": "below"}
    ),
    "an opaque root counts for nothing": Case(
        ({"": directory(opaque="y"), "a": "top"}, {"b": "below"}), {"a": "top", "b": "below"}
    ),
    "an escaped opaque mark counts for nothing": Case(
        ({"d": directory(**{"overlay.opaque": "y"})}, BELOW), {"d": "directory", "d/below": "below"}
    ),
    # namespaces of marks
    "user marks count for nothing without userxattr": Case(
        ({"d": foreign(DIR, opaque="y")}, BELOW), {"d": "directory", "d/below": "below"}, sides=AS_ROOT
    ),
    "user marks count with userxattr": Case(({"d": directory(opaque="y")}, BELOW), {"d": "directory"}, userxattr=True),
    "trusted marks count for nothing with userxattr": Case(
        ({"d": replace(DIR, xattrs={"trusted.overlay.opaque": "y"})}, BELOW),
        {"d": "directory", "d/below": "below"},
        sides=AS_ROOT,
        userxattr=True,
    ),
    # one type over another
    "directories of all layers are merged": Case(
        ({"d": DIR, "d/a": "top"}, {"d": DIR, "d/a": "middle", "d/b": "b"}, BELOW),
        {"d": "directory", "d/a": "top", "d/b": "b", "d/below": "below"},
    ),
    "a file between two directories ends the merge": Case(({"d": DIR}, {"d": "file"}, BELOW), {"d": "directory"}),
    "a whiteout between two directories ends the merge": Case(({"d": DIR}, {"d": None}, BELOW), {"d": "directory"}),
    "a directory over a symlink is alone": Case(({"d": DIR}, {"d": LINK}, BELOW), {"d": "directory"}),
    "a file hides a directory": Case(({"d": "file"}, BELOW), {"d": "file"}),
    "a symlink hides a directory and is not followed": Case(
        ({"d": replace(LINK, target="o")}, BELOW, UNDER), {"d": "-> o", "o": "directory", "o/below": "below"}
    ),
    # redirects
    "an absolute redirect is followed": Case(
        ({"d": directory(redirect="/o"), "d/top": "top", "o": None}, UNDER),
        {"d": "directory", "d/top": "top", "d/below": "below"},
        sides=AS_ROOT,
    ),
    "an absolute redirect is refused with nofollow": Case(
        ({"d": directory(redirect="/o"), "o": None}, UNDER), {"d": "EPERM"}, sides=AS_ROOT, redirect_dir="nofollow"
    ),
    "a redirect is refused with userxattr": Case(
        ({"d": directory(redirect="/o"), "o": None}, UNDER), {"d": "EPERM"}, userxattr=True
    ),
    "a relative redirect is followed beside its own directory": Case(
        ({"p": DIR, "p/d": directory(redirect="o"), "p/o": None}, {"p": DIR, "p/o": DIR, "p/o/below": "below"}),
        {"p": "directory", "p/d": "directory", "p/d/below": "below"},
        sides=AS_ROOT,
    ),
    "a relative redirect, then an absolute one": Case(
        (
            {"d": directory(redirect="m"), "m": None, "o": None},
            {"m": directory(redirect="/o"), "m/middle": "middle"},
            UNDER,
        ),
        {"d": "directory", "d/middle": "middle", "d/below": "below"},
        sides=AS_ROOT,
    ),
    "an absolute redirect leads out of an opaque parent": Case(
        ({"p": directory(opaque="y"), "p/d": directory(redirect="/o"), "o": None}, {"p": DIR, "p/gone": ""}, UNDER),
        {"p": "directory", "p/d": "directory", "p/d/below": "below"},
        sides=AS_ROOT,
    ),
    "an opaque directory's redirect is not followed": Case(
        ({"d": directory(opaque="y", redirect="/o"), "o": None}, UNDER), {"d": "directory"}, sides=AS_ROOT
    ),
    "a redirect to nothing is a directory of its own": Case(
        ({"d": directory(redirect="/nothing")}, BELOW), {"d": "directory"}, sides=AS_ROOT
    ),
    "a redirect with two names is refused": Case(
        ({"d": directory(redirect="o/o")}, UNDER), {"d": "EINVAL", "o": "directory", "o/below": "below"}, sides=AS_ROOT
    ),
    "a redirect upwards is refused": Case(
        ({"d": directory(redirect="..")}, UNDER), {"d": "EACCES", "o": "directory", "o/below": "below"}, sides=AS_ROOT
    ),
    # metacopies
    "a metacopy has the data of its own name below": Case(
        ({"a": metacopy()}, {"a": "data"}), {"a": "data"}, sides=AS_ROOT, metacopy=True
    ),
    "a metacopy is refused without metacopy=on": Case(
        ({"a": metacopy()}, {"a": "data"}), {"a": "EPERM"}, sides=AS_ROOT
    ),
    "a metacopy's redirect leads to its data": Case(
        ({"a": metacopy(redirect="/d/o"), "d": None}, {"d": DIR, "d/o": "data"}),
        {"a": "data"},
        sides=AS_ROOT,
        metacopy=True,
    ),
    "a metacopy's redirect is refused without metacopy=on": Case(
        ({"a": metacopy(redirect="/d/o"), "d": None}, {"d": DIR, "d/o": "data"}), {"a": "EPERM"}, sides=AS_ROOT
    ),
    "a metacopy over a metacopy": Case(
        ({"a": metacopy()}, {"a": metacopy()}, {"a": "data"}), {"a": "data"}, sides=AS_ROOT, metacopy=True
    ),
    "a metacopy with no data": Case(({"a": metacopy()}, {}), {"a": "EIO"}, sides=AS_ROOT, metacopy=True),
    "a metacopy over a directory has no data": Case(
        ({"d": metacopy()}, BELOW), {"d": "EIO"}, sides=AS_ROOT, metacopy=True
    ),
    # data-only layers
    "data of a data-only layer": Case(
        ({}, {"a": metacopy(redirect="/o")}), {"a": "data"}, data=({"o": "data"},), sides=AS_ROOT, metacopy=True
    ),
    "data of the first data-only layer that has them": Case(
        ({}, {"a": metacopy(redirect="/o")}), {"a": "data"}, data=({}, {"o": "data"}, {"o": "last"}), sides=AS_ROOT
    ),
    "the last layer's metacopy needs no metacopy=on": Case(
        ({}, {"a": metacopy(redirect="/o")}), {"a": "data"}, data=({"o": "data"},), sides=AS_ROOT
    ),
    "the last layer's metacopy is read with userxattr": Case(
        ({}, {"a": metacopy(redirect="/o")}), {"a": "data"}, data=({"o": "data"},), userxattr=True
    ),
    "a metacopy above another layer is refused without metacopy=on": Case(
        ({"a": metacopy(redirect="/o")}, {}), {"a": "EPERM"}, data=({"o": "data"},), sides=AS_ROOT
    ),
    "a metacopy above another layer, with metacopy=on": Case(
        ({"a": metacopy(redirect="/o")}, {}), {"a": "data"}, data=({"o": "data"},), sides=AS_ROOT, metacopy=True
    ),
    "no data-only layer has it": Case(
        ({}, {"a": metacopy(redirect="/o")}), {"a": "open ENOENT"}, data=({},), sides=AS_ROOT, metacopy=True
    ),
    "names of a data-only layer are not seen": Case(({"a": "a"}, {}), {"a": "a"}, data=({"o": "data"},)),
}

Verdicts = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def verdicts(require_program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Verdicts:
    """By side: what kernel and merge say of every case. Each side is played once, when it is first asked for."""
    unshare = require_program("unshare")
    known: dict[str, dict[str, Any]] = {}

    def of(side: str) -> dict[str, Any]:
        if side not in known:
            plans = tmp_path_factory.mktemp("plans")
            names: dict[str, str] = {}
            for name, case in CASES.items():
                if side in case.sides:
                    path = plans / f"{len(names)}.json"
                    path.write_text(to_json(replace(case.plan(side), name=name)))
                    names[str(path)] = name
            answers = play(unshare, side, "plans", tmp_path_factory.mktemp("layers"), *names)
            known[side] = {names[path]: verdict for path, verdict in answers.items()}
        return known[side]

    return of


@pytest.mark.parametrize(
    ("side", "name"), [(side, name) for name, case in CASES.items() for side in SIDES if side in case.sides]
)
def test_the_kernel_and_the_merge_answer_as_the_table_says(verdicts: Verdicts, side: str, name: str) -> None:
    verdict = verdicts(side)[name]
    kinds = ("directory", "EPERM", "EINVAL", "EACCES", "EIO", "open ", "-> ")
    seen = {path: what if what.startswith(kinds) else repr(what.encode()) for path, what in CASES[name].seen.items()}
    assert not verdict["refused"]
    assert verdict["kernel"] == {"": "directory", **seen}
    assert not verdict["wrong"]
    assert not verdict["left_out"]


def test_random_stacks_of_an_ordinary_user_are_merged_as_the_kernel_merges_them(
    require_program: Callable[[str], str], tmp_path: Path
) -> None:
    """Few: ``tests/property`` plays a thousand, but not as the user that these tests are run as once more."""
    result = play(require_program("unshare"), "user", "random", tmp_path, 1_000_000, 100, 0)
    assert not result["differ"], told(result)
    assert result["stacks"] > 90
